/* proxy_test.c - a filter in front of the queue: where it is, XFORWARD, and what comes of all that it may say */
#include "session/proxy.h"

#include "base/log.h"
#include "base/unit.h"
#include "config/fixture.h"
#include "loop/pool.h"
#include "loop/task.h"
#include "smtp/xclient.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- where it is ---- */

static void names_are_read_as_postfix_reads_them(void **state)
{
        static const struct {
                const char *text, *host, *port, *path; /* without host and path: an error */
        } rows[] = {
                {"smtpd_proxy_filter = 127.0.0.1:10025\n", "127.0.0.1", "10025", ""},
                {"smtpd_proxy_filter = inet:[::1]:10025\n", "::1", "10025", ""},
                {"smtpd_proxy_filter = INET:filter.example:smtp\n", "filter.example", "smtp", ""},
                {"smtpd_proxy_filter = 10025\n", "localhost", "10025", ""},
                {"smtpd_proxy_filter = :10025\n", "localhost", "10025", ""},
                {"smtpd_proxy_filter = inet:10025\n", "localhost", "10025", ""},
                {"smtpd_proxy_filter = inet::10025\n", "localhost", "10025", ""},
                {"queue_directory = /q\nsmtpd_proxy_filter = unix:private/filter\n", "", "",
                 "/q/private/filter"},
                {"smtpd_proxy_filter = unix:/run/filter\n", "", "", "/run/filter"},
                {"smtpd_proxy_filter = unix:\n", "", "", ""},
                {"smtpd_proxy_filter = ::1:10025\n", "", "", ""},
                {"smtpd_proxy_filter = host:\n", "", "", ""},
                {"smtpd_proxy_filter = inet:\n", "", "", ""},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct findings f;
                struct config *c = fixture_read(rows[i].text, NULL, &f);
                struct arena arena;
                struct proxy_filter filter;
                const char *parameter;
                struct why why;
                arena_init(&arena, 0);
                int rc = proxy_filter_parse(&c->params, &arena, &filter, &parameter, &why);
                bool is_right = rows[i].host[0] || rows[i].path[0];
                if ((rc == 0) != is_right)
                        fail_msg("%s: %d", rows[i].text, rc);
                if (is_right) {
                        assert_str_equal(filter.endpoint.host, rows[i].host);
                        assert_str_equal(filter.endpoint.port, rows[i].port);
                        assert_str_equal(filter.endpoint.path, rows[i].path);
                } else {
                        assert_string_equal(parameter, "smtpd_proxy_filter");
                }
                arena_done(&arena);
                fixture_done(&c, &f);
        }
}

static void options_are_read(void **state)
{
        static const struct {
                const char *text;
                int rc;
                bool adjusts;
        } rows[] = {{"", 0, false},
                    {"smtpd_proxy_options = speed_adjust\n", 0, true},
                    {"smtpd_proxy_options = , speed_adjust\n", 0, true},
                    {"smtpd_proxy_options = speed_adjust, moo\n", -EINVAL, true}};
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct findings f;
                struct config *c = fixture_read(rows[i].text, NULL, &f);
                struct arena arena;
                struct proxy_filter filter;
                const char *parameter;
                struct why why;
                arena_init(&arena, 0);
                assert_int_equal(proxy_filter_parse(&c->params, &arena, &filter, &parameter, &why),
                                 rows[i].rc);
                assert_int_equal(filter.adjusts_speed, rows[i].adjusts);
                assert_true(str_is_empty(filter.endpoint.text));
                if (rows[i].rc)
                        assert_string_equal(parameter, "smtpd_proxy_options");
                arena_done(&arena);
                fixture_done(&c, &f);
        }
}

/* ---- XFORWARD ---- */

static void xforward_tells_what_is_offered(void **state)
{
        unsigned offer = proxy_xforward_offer(
                STR("host.example\nPIPELINING\nxforward name ADDR  moo SOURCE\nXFORWARDS PORT"));
        assert_int_equal(offer, 1U << SMTP_ATTRIBUTE_NAME | 1U << SMTP_ATTRIBUTE_ADDR |
                                        1U << SMTP_ATTRIBUTE_SOURCE);
        assert_int_equal(proxy_xforward_offer(STR("")), 0);

        struct envelope e = {.client_name = STR("unknown"), .client_address = STR("2001:db8::1")};
        struct arena arena;
        struct buf out;
        arena_init(&arena, 0);
        buf_init(&out, 64 * 1024);
        assert_int_equal(proxy_xforward_format(offer, &e, &arena, &out), 1);
        assert_str_equal(buf_str(&out),
                         "XFORWARD NAME=[UNAVAILABLE] ADDR=IPv6:2001:db8::1 SOURCE=REMOTE\r\n");
        buf_clear(&out);
        assert_int_equal(proxy_xforward_format(0, &e, &arena, &out), 0);
        assert_int_equal(out.len, 0);
        buf_done(&out);
        arena_done(&arena);
}

/* No line is over 512 bytes while no value is, and all that was offered is told. */
static void xforward_is_broken_into_commands(void **state)
{
        static char name[256], helo[400];
        memset(name, 'n', sizeof(name) - 1);
        memset(helo, '=', sizeof(helo) - 1); /* each becomes three */
        struct envelope e = {.client_name = str_from(name),
                             .client_address = STR("192.0.2.1"),
                             .helo = str_part(str_from(helo), 0, 160),
                             .protocol = STR("ESMTP")};
        struct arena arena;
        struct buf out;
        arena_init(&arena, 0);
        buf_init(&out, 64 * 1024);
        assert_int_equal(proxy_xforward_format(~0U, &e, &arena, &out), 3);
        struct str rest = buf_str(&out);
        while (rest.len) {
                struct str line = str_cut(&rest, '\n');
                assert_true(str_starts(line, STR("XFORWARD ")) && line.len <= 511);
        }
        static const char *const all[] = {
                " NAME=", " ADDR=", " PORT=", " HELO=", " IDENT=", " PROTO=", " SOURCE="};
        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
                assert_true(str_find_str(buf_str(&out), str_from(all[i])) > 0);
        buf_done(&out);
        arena_done(&arena);
}

/* ---- the dialogue, with a filter that says what its script has ---- */

enum { SCRIPT_BYTES = 256 * 1024 };

struct filter {
        char directory[64], path[100];
        int fd;
        const char *says; /* all at once, as soon as somebody is there */
        char heard[SCRIPT_BYTES];
        size_t heard_bytes;
        pthread_t thread;
};

static void *serve(void *arg)
{
        struct filter *f = arg;
        int fd = accept(f->fd, NULL, NULL);
        size_t bytes = strlen(f->says);
        size_t said = 0;
        while (said < bytes) { /* who is tired of it hangs up */
                ssize_t n = send(fd, f->says + said, bytes - said, MSG_NOSIGNAL);
                if (n <= 0)
                        break;
                said += (size_t)n;
        }
        shutdown(fd, SHUT_WR);
        ssize_t n;
        while (f->heard_bytes < sizeof(f->heard) &&
               (n = read(fd, f->heard + f->heard_bytes, sizeof(f->heard) - f->heard_bytes)) > 0)
                f->heard_bytes += (size_t)n;
        close(fd);
        return NULL;
}

static void filter_start(struct filter *f, const char *says)
{
        *f = (struct filter){.says = says};
        snprintf(f->directory, sizeof(f->directory), "/tmp/forepost-proxy-XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        snprintf(f->path, sizeof(f->path), "%s/filter", f->directory);
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        snprintf(to.sun_path, sizeof(to.sun_path), "%s", f->path);
        f->fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(bind(f->fd, (struct sockaddr *)&to, sizeof(to)), 0);
        assert_int_equal(listen(f->fd, 5), 0);
        assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

static void filter_stop(struct filter *f)
{
        pthread_join(f->thread, NULL);
        close(f->fd);
        unlink(f->path);
        rmdir(f->directory);
}

struct talk {
        const struct params *params;
        struct proxy_filter filter;
        char got[8000]; /* what each step came to: "open 250 354 250" */
};

static void add(struct talk *t, const struct smtp_reply *reply)
{
        size_t len = strlen(t->got);
        snprintf(t->got + len, sizeof(t->got) - len, "%s%d %s %.*s", len ? " | " : "", reply->code,
                 reply->enhanced ? reply->enhanced : "-", STR_ARG(str_part(reply->text, 0, 100)));
}

static void await_talk(void *arg)
{
        struct talk *t = arg;
        struct arena arena;
        struct smtp_reply reply;
        struct envelope e = {.client_name = STR("c.example"), .client_address = STR("192.0.2.1")};
        arena_init(&arena, 0);
        struct proxy_dialogue *d = proxy_dialogue_new(&t->filter, t->params);
        bool goes_on = await_proxy_open(d, &e, &arena, &reply);
        if (!goes_on)
                add(t, &reply);
        static const struct {
                struct str command;
                enum proxy_wants wants;
        } commands[] = {{STR_INIT("MAIL FROM:<>"), PROXY_WANTS_OK},
                        {STR_INIT("RCPT TO:<a@b>"), PROXY_WANTS_OK},
                        {STR_INIT("DATA"), PROXY_WANTS_MORE}};
        for (size_t i = 0; goes_on && i < sizeof(commands) / sizeof(commands[0]); i++) {
                goes_on = await_proxy_command(d, commands[i].command, commands[i].wants, &arena,
                                              &reply);
                add(t, &reply);
        }
        if (goes_on && await_proxy_text(d, STR("Subject: x\r\n\r\n.\r\nwhole\r\n"))) {
                await_proxy_end(d, &arena, &reply);
                add(t, &reply);
        }
        proxy_dialogue_free(&d);
        assert_null(d);
        arena_done(&arena);
        loop_stop(loop_self());
}

static void check_talk(const char *says, const char *comes_to, const char *heard)
{
        static struct filter f;
        static struct talk t;
        struct findings findings;
        struct why why;
        char text[200];
        struct arena arena;
        const char *parameter;
        arena_init(&arena, 0);
        filter_start(&f, says);
        snprintf(text, sizeof(text),
                 "smtpd_proxy_filter = unix:%s\nsmtpd_proxy_ehlo = us.example\n", f.path);
        struct config *c = fixture_read(text, NULL, &findings);
        t = (struct talk){.params = &c->params};
        assert_int_equal(proxy_filter_parse(&c->params, &arena, &t.filter, &parameter, &why), 0);
        struct loop *l = loop_new(&why);
        assert_non_null(l);
        task_start(l, await_talk, &t);
        loop_run(l);
        loop_free(&l);
        filter_stop(&f);
        if (strcmp(t.got, comes_to) != 0)
                fail_msg("\"%.200s\"\ncame to \"%s\"\nnot     \"%s\"", says, t.got, comes_to);
        if (heard && (f.heard_bytes != strlen(heard) || memcmp(f.heard, heard, f.heard_bytes) != 0))
                fail_msg("it heard \"%.*s\"", (int)f.heard_bytes, f.heard);
        fixture_done(&c, &findings);
        arena_done(&arena);
}

#define OPEN   "220 f ESMTP\r\n250 f\r\n"
#define FAILED "451 4.3.0 Error: queue file write error"

static void a_message_goes_through(void **state)
{
        check_talk(
                "220-f\r\n220 f ESMTP\r\n250-f\r\n250 XFORWARD NAME ADDR\r\n250 ok\r\n250 2.1.0 m\r\n"
                "250 2.1.5 r\r\n354 go\r\n250-2.0.0 taken\r\n250 2.0.0 as X\r\n",
                "250 2.1.0 m | 250 2.1.5 r | 354 - go | 250 2.0.0 taken\nas X",
                "EHLO us.example\r\nXFORWARD NAME=c.example ADDR=192.0.2.1\r\nMAIL FROM:<>\r\n"
                "RCPT TO:<a@b>\r\nDATA\r\nSubject: x\r\n\r\n..\r\nwhole\r\n.\r\nQUIT\r\n");
}

static void refusals_are_the_filters_own(void **state)
{
        check_talk(OPEN "550 5.7.1 no\r\n", "550 5.7.1 no",
                   "EHLO us.example\r\nMAIL FROM:<>\r\nQUIT\r\n");
        check_talk(OPEN "250 m\r\n450 later\r\n", "250 - m | 450 - later", NULL);
        check_talk(OPEN "250 m\r\n250 r\r\n554 no\r\n", "250 - m | 250 - r | 554 - no",
                   "EHLO us.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nQUIT\r\n");
        check_talk(OPEN "250 m\r\n250 r\r\n354 d\r\n552 5.3.4 big\r\n",
                   "250 - m | 250 - r | 354 - d | 552 5.3.4 big", NULL);
}

/* It has to take us; and a yes in the place of another yes is none. */
static void other_answers_are_its_failure(void **state)
{
        check_talk("554 closed\r\n", FAILED, NULL);
        check_talk("220 f\r\n502 what\r\n", FAILED, NULL);
        check_talk("220 f\r\n250 XFORWARD\r\n250-f\r\n", FAILED, NULL);
        check_talk("220 f\r\n250-f\r\n250 XFORWARD NAME\r\n550 no\r\n", FAILED, NULL);
        check_talk("220 f\r\n354 f\r\n", FAILED, NULL);
        check_talk(OPEN "354 m\r\n", FAILED, "EHLO us.example\r\nMAIL FROM:<>\r\n");
        check_talk(OPEN "250 m\r\n250 r\r\n250 d\r\n", "250 - m | 250 - r | " FAILED, NULL);
        check_talk(OPEN "250 m\r\n250 r\r\n354 d\r\n354 e\r\n",
                   "250 - m | 250 - r | 354 - d | " FAILED, NULL);
}

static void what_is_no_reply_is_its_failure(void **state)
{
        static char much[SCRIPT_BYTES];
        check_talk("", FAILED, NULL);
        check_talk("220 f", FAILED, NULL);
        check_talk("hello\r\n", FAILED, NULL);
        check_talk("220-f\r\n250 f\r\n", FAILED, NULL);
        check_talk("999 f\r\n", FAILED, NULL);
        check_talk(OPEN, FAILED, NULL);
        /* a line without end */
        memset(much, 'x', 100 * 1024);
        memcpy(much, "220 ", 4);
        much[100 * 1024] = '\0';
        check_talk(much, FAILED, NULL);
        /* a reply without end */
        size_t len = 0;
        for (int i = 0; i <= SMTP_REPLY_LINES_MAX; i++)
                len += (size_t)snprintf(much + len, sizeof(much) - len, "220-x\r\n");
        snprintf(much + len, sizeof(much) - len, "220 x\r\n250 f\r\n");
        check_talk(much, FAILED, NULL);
        /* half a message never gets its end */
        check_talk(OPEN "250 m\r\n250 r\r\n354 d\r\nmoo\r\n",
                   "250 - m | 250 - r | 354 - d | " FAILED, NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_are_read_as_postfix_reads_them),
                cmocka_unit_test(options_are_read),
                cmocka_unit_test(xforward_tells_what_is_offered),
                cmocka_unit_test(xforward_is_broken_into_commands),
                cmocka_unit_test(a_message_goes_through),
                cmocka_unit_test(refusals_are_the_filters_own),
                cmocka_unit_test(other_answers_are_its_failure),
                cmocka_unit_test(what_is_no_reply_is_its_failure),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
