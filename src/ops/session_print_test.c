/* session_print_test.c - what a listing of sessions says, and what a stranger cannot make it say */
#include "ops/session_print.h"

#include "base/unit.h"

static struct session_view a_view(void)
{
        return (struct session_view){
                .client_name = STR("mail.example.org"),
                .client_address = STR("192.0.2.7"),
                .client_port = STR("40000"),
                .server_address = STR("192.0.2.1"),
                .server_port = STR("25"),
                .service = STR("smtpd"),
                .protocol = STR("SMTP"),
                .command = STR("CONNECT"),
                .since_us = 1000000000LL * 1000000,
                .waits_for = "waiting for a line",
                .waits_ms = 7999,
        };
}

static void print(struct session_print *p, const struct session_view *v, struct buf *out)
{
        buf_init(out, 100000);
        p->out = out;
        p->now_us = 1000000012LL * 1000000;
        session_print_one(p, v);
        session_print_end(p);
}

static void test_text(void **state)
{
        struct buf out;
        struct session_view v = a_view();
        struct session_print p = {0};
        print(&p, &v, &out);
        assert_str_equal(buf_str(&out),
                         "mail.example.org[192.0.2.7]:40000 since 2001-09-09 01:46:40 UTC (12 s), "
                         "after CONNECT: waiting for a line (for 7 s)\n"
                         "    smtpd, helo=<>, 0 messages so far, no TLS\n"
                         "-- 1 session.\n");
        buf_done(&out);

        v.helo = STR("evil\x1b[2J\nhost");
        v.has_sender = true;
        v.sender = STR("a@b.example");
        v.recipients = 2;
        v.messages = 1;
        v.tls = STR("TLSv1.3 with cipher X (256/256 bits)");
        v.command = STR("RCPT");
        v.is_local = true;
        v.local_uid = 1000;
        p = (struct session_print){.count = 1};
        print(&p, &v, &out);
        assert_str_equal(
                buf_str(&out),
                "mail.example.org[192.0.2.7]:40000 (user 1000) since 2001-09-09 01:46:40 UTC "
                "(12 s), after RCPT: waiting for a line (for 7 s)\n"
                "    smtpd, helo=<evil?[2J?host>, from=<a@b.example>, 2 recipients, 1 message so "
                "far, TLSv1.3 with cipher X (256/256 bits)\n"
                "-- 2 sessions.\n");
        buf_done(&out);
}

static void test_json(void **state)
{
        struct buf out;
        struct session_view v = a_view();
        v.helo = STR("a\"b\n");
        struct session_print p = {.as_json = true, .loop = 3};
        print(&p, &v, &out);
        assert_str_equal(
                buf_str(&out),
                "{\"client_name\": \"mail.example.org\", \"client_address\": \"192.0.2.7\", "
                "\"client_port\": \"40000\", \"server_address\": \"192.0.2.1\", "
                "\"server_port\": \"25\", \"service\": \"smtpd\", \"loop\": 3, "
                "\"helo\": \"a\\\"b\\u000a\", \"protocol\": \"SMTP\", \"tls\": \"\", "
                "\"in_transaction\": false, \"sender\": \"\", \"recipients\": 0, \"messages\": 0, "
                "\"since\": 1000000000, \"command\": \"CONNECT\", "
                "\"waits_for\": \"waiting for a line\", \"waits_since\": 1000000005}\n");
        buf_done(&out);
}

static void test_ceiling(void **state)
{
        static char long_helo[60000];
        memset(long_helo, 1, sizeof(long_helo)); /* six bytes each in JSON */
        struct session_view v = a_view();
        v.helo = v.sender = v.client_name = str_make(long_helo, sizeof(long_helo));
        v.has_sender = true;
        for (int as_json = 0; as_json < 2; as_json++) {
                struct buf out;
                struct session_print p = {.as_json = as_json != 0};
                print(&p, &v, &out);
                assert_in_range(out.len, 1500, 10000);
                assert_int_equal(out.ptr[out.len - 1], '\n');
                buf_done(&out);
        }
}

static void test_none(void **state)
{
        struct buf out;
        buf_init(&out, 1000);
        struct session_print p = {.out = &out};
        session_print_end(&p);
        assert_str_equal(buf_str(&out), "no session is open\n");
        buf_clear(&out);
        p.as_json = true;
        session_print_end(&p);
        assert_int_equal(out.len, 0);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_ceiling),
                cmocka_unit_test(test_none),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
