/* wire_table_test.c - socketmap: and tcp:, their replies, and a server that a thread plays */
#include "table/wire_table.h"

#include "loop/task.h"
#include "table/table_unit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

/* "+value", "-" none, "t" refused, "f" failed */
static const char *said(const struct server_reply *reply)
{
        static char text[300];
        if (reply->outcome == SERVER_REFUSED)
                return "t";
        if (reply->outcome != SERVER_ANSWERED)
                return "f";
        if (!reply->is_found)
                return "-";
        snprintf(text, sizeof(text), "+%.*s", (int)reply->value.len, reply->value.ptr);
        return text;
}

static void replies_of_socketmap(void **state)
{
        static const char *const cases[][2] = {
                {"OK a value", "+a value"},
                {"OK ", "-"},
                {"OK", "-"},
                {"NOTFOUND ", "-"},
                {"NOTFOUND", "-"},
                {"TEMP later", "t"},
                {"TIMEOUT x", "t"},
                {"PERM never", "t"},
                {"ok a", "f"},
                {"", "f"},
                {"NOTFOUNDX", "f"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct server_reply reply = {.outcome = SERVER_FAILED};
                buf_init(&reply.value, 1000);
                socketmap_reply_parse(str_from(cases[i][0]), &reply);
                assert_string_equal(said(&reply), cases[i][1]);
                buf_done(&reply.value);
        }
}

static void replies_of_tcp(void **state)
{
        static const char *const cases[][2] = {
                {"200 a%20value%25", "+a value%"},
                {"200 ", "-"},
                {"500 none", "-"},
                {"500 ", "-"},
                {"400 later", "t"},
                {"200", "f"},
                {"500", "f"},
                {"300 x", "f"},
                {"200 a%2", "f"},
                {"200 a%zz", "f"},
                {"200 a%00", "f"},
                {"2000 x", "f"},
                {"", "f"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct server_reply reply = {.outcome = SERVER_FAILED};
                buf_init(&reply.value, 1000);
                tcp_reply_parse(str_from(cases[i][0]), &reply);
                assert_string_equal(said(&reply), cases[i][1]);
                buf_done(&reply.value);
        }
}

static void netstrings(void **state)
{
        static const struct {
                const char *in;
                int rc;
                const char *payload;
        } cases[] = {
                {"5:hello,", 0, "hello"},   {"0:,", 0, ""},
                {"5:hello,x", 0, "hello"},  {"", -EAGAIN, ""},
                {"5", -EAGAIN, ""},         {"5:hello", -EAGAIN, ""},
                {"5:hellox", -EBADMSG, ""}, {":", -EBADMSG, ""},
                {"x", -EBADMSG, ""},        {"05:hello,", -EBADMSG, ""},
                {"101:", -EMSGSIZE, ""},    {"99999999999999999999999", -EMSGSIZE, ""},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct str payload = STR("");
                size_t used;
                assert_int_equal(netstring_parse(str_from(cases[i].in), 100, &payload, &used),
                                 cases[i].rc);
                assert_str_equal(payload, cases[i].payload);
        }
}

/* ---- a server ---- */
struct peer {
        int fd;
        uint16_t port;
        bool is_socketmap;
        bool closes_each; /* after one answer */
        atomic_int connections;
        atomic_int questions;
        pthread_t thread;
};

/* The answer to what was asked, in the peer's protocol. */
static size_t answer(const struct peer *p, const char *in, char *out, size_t room)
{
        if (!p->is_socketmap)
                return (size_t)snprintf(out, room,
                                        strncmp(in, "get User%20x@d.example\n", 23) == 0
                                                ? "200 a%%20value\n"
                                        : strncmp(in, "get trouble\n", 12) == 0 ? "400 later\n"
                                        : strncmp(in, "get twice\n", 10) == 0   ? "500 a\n500 b\n"
                                                                                : "500 none\n");
        const char *text = strstr(in, "users known,")   ? "8:OK value,"
                           : strstr(in, "users perm,")  ? "10:PERM never,"
                           : strstr(in, "users bad,")   ? "3:xyz!"
                           : strstr(in, "users large,") ? "200000:OK "
                                                        : "9:NOTFOUND ,";
        return (size_t)snprintf(out, room, "%s", text);
}

static void serve(struct peer *p, int fd)
{
        char in[2000];
        ssize_t n;
        while ((n = read(fd, in, sizeof(in) - 1)) > 0) {
                char out[200];
                in[n] = '\0';
                atomic_fetch_add(&p->questions, 1);
                size_t len = answer(p, in, out, sizeof(out));
                if (write(fd, out, len) != (ssize_t)len || p->closes_each)
                        break;
        }
        close(fd);
}

static void *peer_main(void *arg)
{
        struct peer *p = arg;
        int fd;
        while ((fd = accept(p->fd, NULL, NULL)) >= 0) {
                atomic_fetch_add(&p->connections, 1);
                serve(p, fd);
        }
        return NULL;
}

static void peer_start(struct peer *p, const char *path)
{
        union {
                struct sockaddr any;
                struct sockaddr_in in;
                struct sockaddr_un un;
        } at = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
        socklen_t len = sizeof(at.in);
        if (path) {
                at.un = (struct sockaddr_un){.sun_family = AF_UNIX};
                snprintf(at.un.sun_path, sizeof(at.un.sun_path), "%s", path);
                len = sizeof(at.un);
        }
        p->fd = socket(path ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(p->fd, &at.any, len), 0);
        assert_int_equal(listen(p->fd, 10), 0);
        if (!path) {
                assert_int_equal(getsockname(p->fd, &at.any, &len), 0);
                p->port = ntohs(at.in.sin_port);
        }
        assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
}

static void peer_stop(struct peer *p)
{
        shutdown(p->fd, SHUT_RDWR);
        pthread_join(p->thread, NULL);
        close(p->fd);
}

static void tcp_is_asked(void **state)
{
        struct bench b;
        struct peer p = {.fd = -1};
        char spec[100];
        bench_init(&b);
        peer_start(&p, NULL);
        snprintf(spec, sizeof(spec), "tcp:127.0.0.1:%d", p.port);
        struct table *t = bench_must_open(&b, spec);
        assert_true(table_is_pattern(t));
        assert_string_equal(bench_find(&b, t, "User x@d.example"), "a value");
        assert_string_equal(bench_find(&b, t, "other"), "-");
        assert_string_equal(bench_find(&b, t, "trouble"), "!");
        bench_why_has(&b, "trouble of its own");
        assert_string_equal(bench_find(&b, t, "User x@d.example"), "a value"); /* as before */
        assert_int_equal(p.questions, 3);
        assert_string_equal(bench_find(&b, t, "twice"), "!");
        peer_stop(&p);
        assert_string_equal(bench_find(&b, t, "new"), "!");
        assert_string_equal(bench_find(&b, t, "User x@d.example"), "a value");
        bench_done(&b);
}

static void socketmap_is_asked(void **state)
{
        struct bench b;
        struct peer p = {.fd = -1, .is_socketmap = true};
        char spec[300];
        bench_init(&b);
        peer_start(&p, bench_path(&b, "socket"));
        snprintf(spec, sizeof(spec), "socketmap:unix:%s:users", bench_path(&b, "socket"));
        struct table *t = bench_must_open(&b, spec);
        assert_string_equal(bench_find(&b, t, "Known"), "value");
        assert_string_equal(bench_find(&b, t, "unknown"), "-");
        assert_string_equal(bench_find(&b, t, "perm"), "!");
        bench_why_has(&b, "PERM never");
        assert_string_equal(bench_find(&b, t, "bad"), "!");
        bench_why_has(&b, "not understood");
        assert_string_equal(bench_find(&b, t, "large"), "!");
        bench_why_has(&b, "too long");
        peer_stop(&p);
        bench_done(&b);
}

/* ---- connections are kept by a loop ---- */
struct course {
        struct bench *b;
        struct table *t;
        struct loop *loop;
        struct peer *peer;
};

static void await_course(void *arg)
{
        struct course *c = arg;
        for (int i = 0; i < 20; i++) {
                char key[20];
                snprintf(key, sizeof(key), "key%d", i);
                assert_string_equal(bench_find(c->b, c->t, key), "-");
        }
        await_tables_idle();
        loop_stop(c->loop);
}

static void run_course(bool closes_each, int connections)
{
        struct bench b;
        struct peer p = {.fd = -1, .closes_each = closes_each};
        char spec[100];
        struct why why;
        bench_init(&b);
        peer_start(&p, NULL);
        snprintf(spec, sizeof(spec), "tcp:127.0.0.1:%d", p.port);
        struct course c = {.b = &b, .t = bench_must_open(&b, spec), .loop = loop_new(&why)};
        task_start(c.loop, await_course, &c);
        loop_run(c.loop);
        loop_free(&c.loop);
        assert_int_equal(p.questions, 20);
        assert_int_equal(p.connections, connections);
        peer_stop(&p);
        bench_done(&b);
}

static void connections_are_kept(void **state)
{
        run_course(false, 1);
        run_course(true, 20);
}

static void what_is_wrong_is_told(void **state)
{
        static const char *const wrong[] = {"tcp:",
                                            "tcp:host",
                                            "tcp::25",
                                            "tcp:host:",
                                            "socketmap:x",
                                            "socketmap:inet:host:name",
                                            "socketmap:unix:/a:",
                                            "socketmap:unix::name",
                                            "socketmap:udp:a:b:c"};
        struct bench b;
        bench_init(&b);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                assert_null(bench_open(&b, wrong[i]));
                bench_why_has(&b, "(write ");
        }
        bench_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(replies_of_socketmap),
                cmocka_unit_test(replies_of_tcp),
                cmocka_unit_test(netstrings),
                cmocka_unit_test(tcp_is_asked),
                cmocka_unit_test(socketmap_is_asked),
                cmocka_unit_test(connections_are_kept),
                cmocka_unit_test(what_is_wrong_is_told),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
