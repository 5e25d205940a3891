/* trace_field_test.c - Received-SPF (RFC 7208 9.1) and the resinfo of Authentication-Results (RFC 8601 2.7.2) */
#include "base/unit.h"
#include "policy/spf/trace_field.h"

static const struct spf_trace_facts facts = {
        .receiver = STR_INIT("mx1.relay.test"),
        .client_address = STR_INIT("192.0.2.1"),
        .helo = STR_INIT("client.example"),
        .sender = STR_INIT("joe@top.example"),
};

static void fields_are_as_the_rfc_writes_them(void **state)
{
        struct spf_outcome o = {
                .result = SPF_PASS,
                .domain = STR("top.example"),
                .mechanism = STR("include:a.example"),
        };
        struct buf b;
        buf_init(&b, 4096);
        assert_int_equal(spf_put_received_spf(&o, &facts, &b), 0);
        assert_str_equal(buf_str(&b),
                         "Received-SPF: pass (mx1.relay.test: top.example designates as permitted "
                         "sender 192.0.2.1)\r\n"
                         "\treceiver=mx1.relay.test;\r\n"
                         "\tclient-ip=192.0.2.1;\r\n"
                         "\tenvelope-from=\"joe@top.example\";\r\n"
                         "\thelo=client.example;\r\n"
                         "\tidentity=mailfrom;\r\n"
                         "\tmechanism=\"include:a.example\"\r\n");
        buf_clear(&b);
        assert_int_equal(spf_put_resinfo(&o, &facts, &b), 0);
        assert_str_equal(buf_str(&b), ";\r\n\tspf=pass smtp.mailfrom=joe@top.example");
        buf_done(&b);
}

static void what_strangers_say_stays_inside_its_place(void **state)
{
        struct spf_trace_facts odd = facts;
        odd.helo = STR("a (\"b\\) \r\nX: y");
        odd.sender = STR("\"j; spf=pass\"@top.example");
        struct spf_outcome o = {
                .result = SPF_PERMERROR,
                .domain = STR("t(op\r\n.example"),
                .problem = STR("syntax error in \"a=\""),
        };
        struct buf b;
        buf_init(&b, 4096);
        assert_int_equal(spf_put_received_spf(&o, &odd, &b), 0);
        assert_str_equal(
                buf_str(&b),
                "Received-SPF: permerror (mx1.relay.test: t?op??.example: its SPF record is in "
                "error, for 192.0.2.1)\r\n"
                "\treceiver=mx1.relay.test;\r\n"
                "\tclient-ip=192.0.2.1;\r\n"
                "\tenvelope-from=\"\\\"j; spf=pass\\\"@top.example\";\r\n"
                "\thelo=\"a (\\\"b\\\\) ??X: y\";\r\n"
                "\tidentity=mailfrom;\r\n"
                "\tproblem=\"syntax error in \\\"a=\\\"\"\r\n");
        buf_clear(&b);
        o.domain = STR("top.example");
        assert_int_equal(spf_put_resinfo(&o, &odd, &b), 0);
        assert_str_equal(buf_str(&b), ";\r\n\tspf=permerror reason=\"syntax error in \\\"a=\\\"\" "
                                      "smtp.mailfrom=top.example");
        buf_clear(&b);
        o.is_helo = true;
        o.result = SPF_NONE;
        assert_int_equal(spf_put_resinfo(&o, &odd, &b), 0);
        assert_str_equal(buf_str(&b), ";\r\n\tspf=none smtp.helo=\"a (\\\"b\\\\) ??X: y\"");
        buf_done(&b);
}

static void a_buf_that_is_full_stays_as_it_was(void **state)
{
        struct spf_outcome o = {.result = SPF_FAIL, .domain = STR("top.example")};
        for (size_t room = 0; room < 200; room++) {
                struct buf b;
                buf_init(&b, room);
                if (spf_put_received_spf(&o, &facts, &b) < 0)
                        assert_int_equal(b.len, 0);
                buf_clear(&b);
                if (spf_put_resinfo(&o, &facts, &b) < 0)
                        assert_int_equal(b.len, 0);
                buf_done(&b);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fields_are_as_the_rfc_writes_them),
                cmocka_unit_test(what_strangers_say_stays_inside_its_place),
                cmocka_unit_test(a_buf_that_is_full_stays_as_it_was),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
