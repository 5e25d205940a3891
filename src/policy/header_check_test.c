/* header_check_test.c - header_checks: what its actions make of a header */
#include "policy/rig_unit.h"

static void load(struct rig *r, const char *rules, const char *lines)
{
        char main_cf[2000];
        rig_init(r);
        rig_write(r, "checks", rules);
        snprintf(main_cf, sizeof(main_cf), RIG_MAIN_CF "header_checks = pcre:%s/checks\n%s", r->dir,
                 lines);
        rig_load(r, main_cf);
        rig_facts(r, "a@b.example", "user@relay.example");
        r->facts.queue_id = STR("4gXyZ12abcz9");
}

/* The header as it becomes; "554 5.7.1 text" when refused. */
static const char *run(struct rig *r, const char *header)
{
        static char out[200000];
        struct policy_header_result result;
        memset(&r->effects, 0, sizeof(r->effects));
        await_policy_check_header(r->policy, str_from(header), &r->facts, &r->arena, &r->effects,
                                  &result);
        if (result.verdict.action == VERDICT_REFUSE)
                snprintf(out, sizeof(out), "%d %s %.*s", result.verdict.reply.code,
                         result.verdict.reply.enhanced, STR_ARG(result.verdict.reply.text));
        else
                snprintf(out, sizeof(out), "%.*s",
                         STR_ARG(result.is_changed ? buf_str(&result.header) : str_from(header)));
        assert_true(result.is_changed || result.header.len == 0);
        buf_done(&result.header);
        return out;
}

#define HEADER(subject) "From: a@b.example\r\nSubject: " subject "\r\nTo: c@d.example\r\n\r\n"

static void actions_act(void **state)
{
        static const struct {
                const char *rule, *subject, *expected;
                bool is_held, is_discarded;
        } rows[] = {
                {"/^Subject: nothing/ REJECT", "x", HEADER("x"), false, false},
                {"/^Subject: x/ REJECT", "x", "550 5.7.1 message content rejected", false, false},
                {"/^SUBJECT: X/ reject Big sale", "x", "550 5.7.1 Big sale", false, false},
                {"/^Subject: x/ REJECT 5.6.1 no", "x", "550 5.6.1 no", false, false},
                {"/^Subject: x/ REJECT 4.7.0 later", "x", "450 4.7.0 later", false, false},
                {"/^Subject: x/ DISCARD", "x", HEADER("x"), false, true},
                {"/^Subject: x/ HOLD", "x", HEADER("x"), true, false},
                {"/^Subject: x/ WARN", "x", HEADER("x"), false, false},
                {"/^Subject: x/ INFO", "x", HEADER("x"), false, false},
                {"/^Subject: x/ DUNNO", "x", HEADER("x"), false, false},
                {"/^Subject: x/ IGNORE", "x", "From: a@b.example\r\nTo: c@d.example\r\n\r\n", false,
                 false},
                {"/^Subject: x/ STRIP", "x", "From: a@b.example\r\nTo: c@d.example\r\n\r\n", false,
                 false},
                {"/^(From|To):/ IGNORE", "x", "Subject: x\r\n\r\n", false, false},
                {"/./ IGNORE", "x", "\r\n", false, false},
                {"/^Subject: (x)/ PREPEND X-Seen: $1", "x",
                 "From: a@b.example\r\nX-Seen: x\r\nSubject: x\r\nTo: c@d.example\r\n\r\n", false,
                 false},
                {"/^Subject: (x)/ REPLACE Subject: [$1]", "x", HEADER("[x]"), false, false},
                {"/^(Subject: .*)/ REPLACE $1", "a\r\n b\r\n\tc", HEADER("a\r\n b\r\n\tc"), false,
                 false},
                {"/^Subject: a\\n b/ REJECT folded", "a\r\n b", "550 5.7.1 folded", false, false},
                {"/^From:/ PASS\n/^Subject:/ REJECT", "x", HEADER("x"), false, false},
                /* never passed in silence */
                {"/^Subject: x/ BCC a@b", "x", "451 4.3.5 Server configuration error", false,
                 false},
                {"/^Subject: x/ FILTER smtp:x", "x", "451 4.3.5 Server configuration error", false,
                 false},
                {"/^Subject: x/ REDIRECT a@b", "x", "451 4.3.5 Server configuration error", false,
                 false},
                {"/^Subject: x/ 550 no", "x", "451 4.3.5 Server configuration error", false, false},
                {"/^Subject: x/ REJCT", "x", "451 4.3.5 Server configuration error", false, false},
                {"/^Subject: x/ PREPEND", "x", "451 4.3.5 Server configuration error", false,
                 false},
                {"/^Subject: x/ REPLACE no field", "x", "451 4.3.5 Server configuration error",
                 false, false},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;
                char header[1000];
                char rules[400];
                snprintf(rules, sizeof(rules), "%s\n", rows[i].rule);
                load(&r, rules, "");
                assert_true(policy_has_header_checks(r.policy));
                snprintf(header, sizeof(header), HEADER("%s"), rows[i].subject);
                const char *out = run(&r, header);
                if (strcmp(out, rows[i].expected) != 0)
                        fail_msg("%s: \"%s\", not \"%s\"", rows[i].rule, out, rows[i].expected);
                assert_int_equal(r.effects.is_held, rows[i].is_held);
                assert_int_equal(r.effects.is_discarded, rows[i].is_discarded);
                rig_done(&r);
        }
}

static void lines_are_logged_as_cleanup_does(void **state)
{
        struct rig r;
        load(&r,
             "/^Subject: r/ REJECT Big sale\n/^Subject: w/ WARN look\n/^Subject: h/ HOLD\n"
             "/^Subject: d/ DISCARD\n/^Subject: u/ NONSENSE\n",
             "");
        static const struct {
                const char *subject, *expected;
        } rows[] = {
                {"r", "postfix/cleanup["},
                {"r", "4gXyZ12abcz9: reject: header Subject: r from client.example[192.0.2.1]; "
                      "from=<a@b.example> to=<user@relay.example> proto=ESMTP "
                      "helo=<client.example>: 5.7.1 Big sale\n"},
                {"w", "4gXyZ12abcz9: warning: header Subject: w from client.example[192.0.2.1]; "
                      "from=<a@b.example> to=<user@relay.example> proto=ESMTP "
                      "helo=<client.example>: look\n"},
                {"h", "hold: header Subject: h from"},
                {"d", "discard: header Subject: d from"},
                {"u", "warning: header_checks: NONSENSE: no such action"},
                {"u", "reject: header Subject: u from"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char header[200];
                snprintf(header, sizeof(header), HEADER("%s"), rows[i].subject);
                run(&r, header);
                const char *text = rig_log(&r);
                if (!strstr(text, rows[i].expected))
                        fail_msg("\"%s\" not in \"%s\"", rows[i].expected, text);
        }
        rig_done(&r);
}

static void a_field_is_looked_at_up_to_its_limit(void **state)
{
        struct rig r;
        load(&r, "/needle/ REJECT\n", "header_size_limit = 100\n");
        char header[400];
        snprintf(header, sizeof(header), "X: %060d needle\r\n\r\n", 1);
        assert_string_equal(run(&r, header), "550 5.7.1 message content rejected");
        snprintf(header, sizeof(header), "X: %0120d needle\r\n\r\n", 1);
        assert_string_equal(run(&r, header), header);
        rig_done(&r);
}

static void growth_has_a_ceiling(void **state)
{
        struct rig r;
        char rules[3000];
        snprintf(rules, sizeof(rules), "/^X:/ PREPEND Y: %01000d\n", 1);
        load(&r, rules, "");
        char header[1000] = "";
        for (int i = 0; i < 100; i++)
                memcpy(header + i * 6, "X: y\r\n", 7);
        assert_string_equal(run(&r, header), "451 4.3.5 Server configuration error");
        header[6 * 60] = '\0';
        assert_int_equal(strlen(run(&r, header)), 60 * (6 + 1005));
        rig_done(&r);
}

static void a_table_that_cannot_be_asked_refuses_for_now(void **state)
{
        struct rig r;
        load(&r, "/^X:/ REJECT\n", "");
        assert_string_equal(run(&r, "Subject: broken\r\n\r\n"),
                            "451 4.3.0 Temporary lookup failure");
        rig_done(&r);
}

static void without_checks_there_is_nothing_to_do(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF);
        assert_false(policy_has_header_checks(r.policy));
        rig_facts(&r, "a@b.example", "user@relay.example");
        assert_string_equal(run(&r, HEADER("x")), HEADER("x"));
        rig_done(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(actions_act),
                cmocka_unit_test(lines_are_logged_as_cleanup_does),
                cmocka_unit_test(a_field_is_looked_at_up_to_its_limit),
                cmocka_unit_test(growth_has_a_ceiling),
                cmocka_unit_test(a_table_that_cannot_be_asked_refuses_for_now),
                cmocka_unit_test(without_checks_there_is_nothing_to_do),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
