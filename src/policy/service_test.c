/* service_test.c - policy servers: options, requests, replies, and connections that are kept */
#include "policy/rig_unit.h"
#include "policy/service.h"

#include "loop/pool.h"
#include "loop/task.h"

#include <poll.h>
#include <pthread.h>

/* ---- options ---- */

static void options_are_read(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "smtpd_policy_service_timeout = 7s\nqueue_directory = /q\n");
        struct policy_service s;
        struct why why;
        const struct params *p = &r.config->params;
        assert_int_equal(policy_service_parse(STR("inet:127.0.0.1:9998"), p, &r.arena, &s, &why),
                         0);
        assert_int_equal(s.timeout_ms, 7000);
        assert_int_equal(s.max_idle_ms, 300000);
        assert_int_equal(s.max_ttl_ms, 1000000);
        assert_int_equal(s.try_limit, 2);
        assert_str_equal(s.default_action, "451 4.3.5 Server configuration problem");
        assert_str_equal(s.endpoint.host, "127.0.0.1");
        assert_str_equal(s.endpoint.port, "9998");
        assert_int_equal(policy_service_parse(
                                 STR("{ unix:private/policy, timeout=1m,\n default_action=DUNNO "
                                     "policy_context = }"),
                                 p, &r.arena, &s, &why),
                         -EINVAL);
        assert_int_equal(policy_service_parse(
                                 STR("{ unix:private/policy, timeout=1m,\n default_action=DUNNO "
                                     "policy_context=sub max_idle=1s max_ttl=2 retry_delay=3s "
                                     "try_limit=1 request_limit=5 }"),
                                 p, &r.arena, &s, &why),
                         0);
        assert_str_equal(s.endpoint.path, "/q/private/policy");
        assert_int_equal(s.timeout_ms, 60000);
        assert_int_equal(s.max_idle_ms, 1000);
        assert_int_equal(s.max_ttl_ms, 2000);
        assert_int_equal(s.retry_delay_ms, 3000);
        assert_int_equal(s.try_limit, 1);
        assert_int_equal(s.request_limit, 5);
        assert_str_equal(s.default_action, "DUNNO");
        assert_str_equal(s.policy_context, "sub");
        assert_int_equal(policy_service_parse(
                                 STR("{ inet:[::1]:1, { default_action = 451 4.3.0 later on } }"),
                                 p, &r.arena, &s, &why),
                         0);
        assert_str_equal(s.default_action, "451 4.3.0 later on");
        assert_str_equal(s.endpoint.host, "::1");
        rig_done(&r);
}

static void wrong_options_are_errors(void **state)
{
        static const char *const rows[] = {
                "",
                "{}",
                "inet:x",
                "inet:::1:25",
                "inet::25",
                "unix:",
                "x",
                "inet:x:",
                "{ inet:x:1, timeout=0 }",
                "{ inet:x:1 timeout=x }",
                "{ inet:x:1 moo=1 }",
                "{ inet:x:1 try_limit=0 }",
                "{ inet:x:1 request_limit=-1 }",
        };
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct policy_service s;
                struct why why;
                if (policy_service_parse(str_from(rows[i]), &r.config->params, &r.arena, &s,
                                         &why) == 0)
                        fail_msg("\"%s\" was taken", rows[i]);
        }
        rig_done(&r);
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF
                 "smtpd_recipient_restrictions = check_policy_service { inet:x:1 moo=1 }\n");
        assert_non_null(rig_finding(&r, "bad-policy-service"));
        rig_done(&r);
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "smtpd_recipient_restrictions = check_policy_service\n");
        assert_non_null(rig_finding(&r, "missing-argument"));
        rig_done(&r);
}

/* ---- requests and replies ---- */

static void a_request_has_all_attributes(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "mail_version = 3.9.0\n");
        rig_facts(&r, "a@b.example", "user@relay.example");
        r.facts.client_port = STR("1234");
        r.facts.server_address = STR("10.3.2.1");
        r.facts.server_port = STR("25");
        r.facts.instance = STR("1.2");
        r.facts.declared_bytes = 12345;
        r.facts.tls = STR("TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)");
        r.facts.helo = STR("evil\nsender=x\r");
        r.facts.recipient_count = 3;
        struct policy_service s;
        struct why why;
        assert_int_equal(policy_service_parse(STR("{ inet:x:1 policy_context=ctx }"),
                                              &r.config->params, &r.arena, &s, &why),
                         0);
        struct buf out;
        buf_init(&out, 10000);
        assert_int_equal(
                policy_service_request(&s, &r.config->params, POLICY_AT_RCPT, &r.facts, &out), 0);
        assert_str_equal(
                buf_str(&out),
                "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
                "client_address=192.0.2.1\nclient_name=client.example\nclient_port=1234\n"
                "reverse_client_name=client.example\nserver_address=10.3.2.1\nserver_port=25\n"
                "helo_name=evil?sender=x?\nsender=a@b.example\nrecipient=user@relay.example\n"
                "queue_id=\ninstance=1.2\netrn_domain=\nstress=\nsasl_method=\nsasl_username=\n"
                "sasl_sender=\nccert_subject=\nccert_issuer=\nccert_fingerprint=\n"
                "ccert_pubkey_fingerprint=\npolicy_context=ctx\ncompatibility_level=3.6\n"
                "mail_version=3.9.0\nrecipient_count=0\nsize=12345\nencryption_protocol=TLSv1.3\n"
                "encryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\n\n");
        buf_clear(&out);
        r.facts.tls = STR("");
        r.facts.message_bytes = 99;
        assert_int_equal(policy_service_request(&s, &r.config->params, POLICY_AT_END_OF_DATA,
                                                &r.facts, &out),
                         0);
        assert_true(str_find_str(buf_str(&out), STR("protocol_state=END-OF-MESSAGE\n")) > 0);
        assert_true(str_ends(buf_str(&out), STR("recipient_count=3\nsize=99\nencryption_protocol=\n"
                                                "encryption_cipher=\nencryption_keysize=0\n\n")));
        buf_done(&out);
        buf_init(&out, 100);
        assert_true(policy_service_request(&s, &r.config->params, POLICY_AT_RCPT, &r.facts, &out) <
                    0);
        buf_done(&out);
        rig_done(&r);
}

static void a_reply_is_an_action(void **state)
{
        static const struct {
                const char *lines, *action; /* NULL: bad */
        } rows[] = {
                {"action=DUNNO\n\n", "DUNNO"},
                {"x=y\naction = REJECT no\nz=\n\n", "REJECT no"},
                {"action=REJECT a\x01"
                 "b=c\n\n",
                 "REJECT a?b=c"},
                {"action=\n\n", ""},
                {"\n", NULL},
                {"x=y\n\n", NULL},
                {"DUNNO\n\n", NULL},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct arena arena;
                struct why why;
                struct policy_reply reply = {.lines = 0};
                struct str rest = str_from(rows[i].lines);
                enum policy_reply_state result = POLICY_REPLY_MORE;
                arena_init(&arena, 0);
                while (result == POLICY_REPLY_MORE)
                        result = policy_reply_line(&reply, str_cut(&rest, '\n'), &arena, &why);
                assert_int_equal(result, rows[i].action ? POLICY_REPLY_DONE : POLICY_REPLY_BAD);
                if (rows[i].action)
                        assert_str_equal(reply.action, rows[i].action);
                arena_done(&arena);
        }
        struct arena arena;
        struct why why;
        struct policy_reply reply = {.lines = 0};
        arena_init(&arena, 0);
        for (int i = 0; i < SERVICE_LINES_MAX; i++)
                assert_int_equal(policy_reply_line(&reply, STR("x=y"), &arena, &why),
                                 POLICY_REPLY_MORE);
        assert_int_equal(policy_reply_line(&reply, STR("x=y"), &arena, &why), POLICY_REPLY_BAD);
        arena_done(&arena);
}

/* ---- a server ---- */

struct server {
        int fd, port;
        const char *script; /* a letter a request: see serve() */
        int accepted, requests;
        pthread_t thread;
};

/* Reads one request. False: the client hung up. */
static bool read_request(int fd)
{
        char bytes[2] = {0, 0};
        char c;
        while (read(fd, &c, 1) == 1) {
                bytes[0] = bytes[1];
                bytes[1] = c;
                if (bytes[0] == '\n' && bytes[1] == '\n')
                        return true;
        }
        return false;
}

static void say(int fd, const char *text)
{
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* d: DUNNO; r: REJECT, then hangs up; h: hangs up; s: stays silent; x: rubbish; l: a line too long; p: byte by byte */
static bool serve_one(struct server *s, int fd, char what)
{
        static char line[SERVICE_LINE_BYTES_MAX + 100];
        switch (what) {
        case 'd':
                say(fd, "action=DUNNO\n\n");
                return true;
        case 'r':
                say(fd, "action=REJECT go away\n\n");
                return false;
        case 's':
                read_request(fd);
                return false;
        case 'x':
                say(fd, "250 ok\r\n\r\n");
                return true;
        case 'l':
                memset(line, 'x', sizeof(line));
                memcpy(line, "action=", 7);
                line[sizeof(line) - 1] = '\0';
                say(fd, line);
                say(fd, "\n\n");
                return true;
        case 'p':
                for (const char *c = "action=DUNNO\n\n"; *c; c++) {
                        assert_int_equal(write(fd, c, 1), 1);
                        usleep(500);
                }
                return true;
        default:
                return false;
        }
}

static void *serve(void *arg)
{
        struct server *s = arg;
        while (s->script[s->requests]) {
                int fd = accept(s->fd, NULL, NULL);
                if (fd < 0)
                        break;
                s->accepted++;
                while (s->script[s->requests] && read_request(fd))
                        if (!serve_one(s, fd, s->script[s->requests++]))
                                break;
                close(fd);
        }
        return NULL;
}

static void server_start(struct server *s, const char *script)
{
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(at);
        *s = (struct server){.fd = socket(AF_INET, SOCK_STREAM, 0), .script = script};
        assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof(at)), 0);
        assert_int_equal(listen(s->fd, 10), 0);
        assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &len), 0);
        s->port = ntohs(at.sin_port);
        assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
        shutdown(s->fd, SHUT_RDWR);
        pthread_join(s->thread, NULL);
        close(s->fd);
}

struct asking {
        struct rig *r;
        const char *argument;
        int count;           /* of questions */
        const char *answers; /* what they come to: "DUNNO DUNNO error" */
        int64_t took_ms;
};

static void await_questions(void *arg)
{
        struct asking *a = arg;
        struct policy_service s;
        struct why why;
        char got[1000] = "";
        assert_int_equal(policy_service_parse(str_from(a->argument), &a->r->config->params,
                                              &a->r->arena, &s, &why),
                         0);
        int64_t start_ms = clock_mono_ms();
        for (int i = 0; i < a->count; i++) {
                struct str action;
                int rc =
                        await_policy_service(&s, STR("request=x\n\n"), &a->r->arena, &action, &why);
                size_t len = strlen(got);
                snprintf(got + len, sizeof(got) - len, "%s%.*s", i ? " | " : "",
                         STR_ARG(rc ? STR("error") : action));
        }
        a->took_ms = clock_mono_ms() - start_ms;
        if (strcmp(got, a->answers) != 0)
                fail_msg("%s: \"%s\", not \"%s\" (%s)", a->argument, got, a->answers, why.text);
        policy_leave_loop();
        loop_stop(loop_self());
}

static void ask_all(struct asking *a)
{
        struct why why;
        struct loop *l = loop_new(&why);
        assert_non_null(l);
        task_start(l, await_questions, a);
        loop_run(l);
        loop_free(&l);
}

static void check_talk(const char *script, const char *options, int count, const char *answers,
                       int accepted)
{
        struct rig r;
        struct server s;
        char argument[200];
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF);
        server_start(&s, script);
        snprintf(argument, sizeof(argument), "{ inet:127.0.0.1:%d retry_delay=1 %s }", s.port,
                 options);
        struct asking a = {.r = &r, .argument = argument, .count = count, .answers = answers};
        ask_all(&a);
        server_stop(&s);
        if (s.accepted != accepted)
                fail_msg("%s: %d connections, not %d", script, s.accepted, accepted);
        rig_done(&r);
}

static void connections_are_kept(void **state)
{
        check_talk("ddd", "", 3, "DUNNO | DUNNO | DUNNO", 1);
        check_talk("dddd", "request_limit=2", 4, "DUNNO | DUNNO | DUNNO | DUNNO", 2);
        check_talk("pp", "", 2, "DUNNO | DUNNO", 1);
}

static void a_kept_one_that_is_gone_costs_nothing(void **state)
{
        /* closed before the request, and closed upon it: neither waits for retry_delay, nor counts as a try */
        check_talk("rrd", "try_limit=1", 3, "REJECT go away | REJECT go away | DUNNO", 3);
        check_talk("dhd", "try_limit=1", 2, "DUNNO | DUNNO", 2);
}

static void what_fails_is_tried_again(void **state)
{
        check_talk("hd", "", 1, "DUNNO", 2);
        check_talk("hh", "", 1, "error", 2);
        check_talk("xd", "", 1, "DUNNO", 2);
        check_talk("ll", "", 1, "error", 2);
        check_talk("sd", "timeout=1 try_limit=1", 1, "error", 1);
}

static void a_server_that_is_down_is_an_error(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF);
        struct asking a = {.r = &r,
                           .argument = "{ unix:/nowhere/at/all try_limit=1 }",
                           .count = 1,
                           .answers = "error"};
        ask_all(&a);
        a.argument = "{ inet:127.0.0.1:1 try_limit=1 }";
        ask_all(&a);
        rig_done(&r);
}

/* ---- the restriction ---- */

struct judging {
        struct rig *r;
        const char *said;
};

static void await_judging(void *arg)
{
        struct judging *j = arg;
        j->said = rig_rcpt(j->r, "a@b.example", "user@relay.example");
        policy_leave_loop();
        loop_stop(loop_self());
}

static void an_action_is_done(void **state)
{
        static const struct {
                const char *script, *options, *said;
        } rows[] = {
                {"d", "", "permit"},
                {"r", "", "554 5.7.1 <user@relay.example>: Recipient address rejected: go away"},
                {"h", "try_limit=1",
                 "451 4.3.5 <user@relay.example>: Recipient address rejected: Server "
                 "configuration problem"},
                {"h", "try_limit=1 default_action=DUNNO", "permit"},
                {"h", "try_limit=1 { default_action = 550 5.7.9 no }",
                 "550 5.7.9 <user@relay.example>: Recipient address rejected: no"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;
                struct server s;
                char main_cf[4000];
                struct why why;
                rig_init(&r);
                server_start(&s, rows[i].script);
                snprintf(
                        main_cf, sizeof(main_cf),
                        RIG_MAIN_CF
                        "smtpd_relay_restrictions = reject_unauth_destination\n"
                        "smtpd_recipient_restrictions = check_policy_service { inet:127.0.0.1:%d,\n %s }\n",
                        s.port, rows[i].options);
                rig_load(&r, main_cf);
                struct loop *l = loop_new(&why);
                struct judging j = {.r = &r};
                task_start(l, await_judging, &j);
                loop_run(l);
                loop_free(&l);
                server_stop(&s);
                assert_string_equal(j.said, rows[i].said);
                rig_done(&r);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(options_are_read),
                cmocka_unit_test(wrong_options_are_errors),
                cmocka_unit_test(a_request_has_all_attributes),
                cmocka_unit_test(a_reply_is_an_action),
                cmocka_unit_test(connections_are_kept),
                cmocka_unit_test(a_kept_one_that_is_gone_costs_nothing),
                cmocka_unit_test(what_fails_is_tried_again),
                cmocka_unit_test(a_server_that_is_down_is_an_error),
                cmocka_unit_test(an_action_is_done),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
