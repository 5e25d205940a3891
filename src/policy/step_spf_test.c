/* step_spf_test.c - SPF in the lists: each restriction with each result, exceptions, the fields for accepted mail */
#include "base/clock.h"
#include "policy/rig_unit.h"

static const char zone[] =
        "pass.example TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
        "fail.example TXT \"v=spf1 -all\"\n"
        "why.example TXT \"v=spf1 -all exp=exp.example\"\nexp.example TXT \"see http://x.example/%{S}\"\n"
        "soft.example TXT \"v=spf1 ~all\"\n"
        "neutral.example TXT \"v=spf1 ?all\"\n"
        "wrong.example TXT \"v=spf1 moo\"\n"
        "slow.example TIMEOUT\n"
        "helofail.example TXT \"v=spf1 -all\"\n"
        "helosoft.example TXT \"v=spf1 ~all\"\n"
        "helowrong.example TXT \"v=spf1 a:\"\n"
        "heloslow.example SERVFAIL\n";

static void load(struct rig *r, const char *more, const char *restriction)
{
        char main_cf[4000];
        rig_init(r);
        rig_dns(r, zone);
        snprintf(main_cf, sizeof(main_cf),
                 RIG_MAIN_CF "%s\nsmtpd_relay_restrictions = reject_unauth_destination\n"
                             "smtpd_recipient_restrictions = %s\n",
                 more, restriction);
        rig_load(r, main_cf);
        if (findings_has_errors(&r->findings))
                rig_print_findings(r);
        assert_false(findings_has_errors(&r->findings));
}

struct row {
        const char *restriction, *helo, *from, *expected;
};

#define SENDER(domain, text) "<joe@" domain ">: Sender address rejected: SPF: " text
#define HELO(domain, text)   "<" domain ">: Helo command rejected: SPF: " text

static void each_restriction_has_its_result(void **state)
{
        static const struct row rows[] = {
                {"reject_spf_fail", "x.example", "joe@pass.example", "permit"},
                {"reject_spf_fail", "x.example", "joe@fail.example",
                 "550 5.7.23 " SENDER("fail.example",
                                      "fail.example does not permit 192.0.2.1 to send for it")},
                {"reject_spf_fail", "x.example", "joe@why.example",
                 "550 5.7.23 " SENDER(
                         "why.example",
                         "why.example does not permit 192.0.2.1 to send for it; why.example says: "
                         "see http://x.example/joe%40why.example")},
                {"reject_spf_fail", "x.example", "joe@soft.example", "permit"},
                {"reject_spf_fail", "x.example", "joe@neutral.example", "permit"},
                {"reject_spf_fail", "x.example", "joe@none.example", "permit"},
                {"reject_spf_fail", "x.example", "joe@wrong.example", "permit"},
                {"reject_spf_fail", "x.example", "joe@slow.example", "permit"},
                {"reject_spf_fail", "helofail.example", "joe@pass.example", "permit"},
                /* the null sender is the postmaster of who speaks */
                {"reject_spf_fail", "helofail.example", "",
                 "550 5.7.23 " HELO("helofail.example",
                                    "helofail.example does not permit 192.0.2.1 to send for it")},
                {"reject_spf_fail", "", "", "permit"},
                {"reject_spf_softfail", "x.example", "joe@soft.example",
                 "550 5.7.23 " SENDER("soft.example",
                                      "soft.example probably does not permit 192.0.2.1 to "
                                      "send for it")},
                {"reject_spf_softfail", "x.example", "joe@fail.example", "permit"},
                {"defer_spf_softfail", "x.example", "joe@soft.example",
                 "451 4.7.23 " SENDER("soft.example",
                                      "soft.example probably does not permit 192.0.2.1 to "
                                      "send for it")},
                {"reject_spf_none", "x.example", "joe@none.example",
                 "550 5.7.1 " SENDER("none.example",
                                     "none.example says nothing of who sends for it")},
                {"reject_spf_none", "x.example", "joe@neutral.example", "permit"},
                {"reject_spf_permerror", "x.example", "joe@wrong.example",
                 "550 5.7.24 " SENDER("wrong.example",
                                      "the record of wrong.example is in error: wrong.example: "
                                      "syntax error in \"moo\"")},
                {"defer_spf_temperror", "x.example", "joe@slow.example",
                 "451 4.7.24 " SENDER("slow.example", "a look-up for slow.example failed")},
                {"defer_spf_temperror", "x.example", "joe@wrong.example", "permit"},
                {"reject_spf_helo_fail", "helofail.example", "joe@pass.example",
                 "550 5.7.23 " HELO("helofail.example",
                                    "helofail.example does not permit 192.0.2.1 to send for it")},
                {"reject_spf_helo_fail", "x.example", "joe@fail.example", "permit"},
                {"reject_spf_helo_softfail", "helosoft.example", "joe@pass.example",
                 "550 5.7.23 " HELO("helosoft.example",
                                    "helosoft.example probably does not permit 192.0.2.1 to "
                                    "send for it")},
                {"reject_spf_helo_permerror", "helowrong.example", "joe@pass.example",
                 "550 5.7.24 " HELO("helowrong.example",
                                    "the record of helowrong.example is in error: "
                                    "helowrong.example: syntax error in \"a:\"")},
                {"defer_spf_helo_temperror", "heloslow.example", "joe@pass.example",
                 "451 4.7.24 " HELO("heloslow.example", "a look-up for heloslow.example failed")},
                {"warn_if_reject reject_spf_fail", "x.example", "joe@fail.example", "permit"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;
                load(&r, "", rows[i].restriction);
                rig_facts(&r, rows[i].from, "user@relay.example");
                r.facts.helo = str_from(rows[i].helo);
                const char *said = rig_judge(&r, POLICY_AT_RCPT);
                if (strcmp(said, rows[i].expected) != 0)
                        fail_msg("%s %s <%s>: %s", rows[i].restriction, rows[i].helo, rows[i].from,
                                 said);
                rig_done(&r);
        }
}

static void codes_are_configured(void **state)
{
        struct rig r;
        load(&r, "spf_reject_code = 554\nspf_defer_code = 450\n",
             "reject_spf_fail, defer_spf_temperror");
        assert_true(strncmp(rig_rcpt(&r, "a@fail.example", "user@relay.example"), "554 5.7.23",
                            10) == 0);
        assert_true(strncmp(rig_rcpt(&r, "a@slow.example", "user@relay.example"), "450 4.7.24",
                            10) == 0);
        rig_done(&r);
}

static void our_own_are_not_asked_about(void **state)
{
        struct rig r;
        load(&r, "", "reject_spf_fail");
        rig_facts(&r, "a@fail.example", "user@relay.example");
        rig_client(&r, "inside.example", "10.0.0.7");
        assert_string_equal(rig_judge(&r, POLICY_AT_RCPT), "permit");
        rig_done(&r);
        load(&r, "core_relays = 203.0.113.0/24\n", "reject_spf_fail");
        rig_facts(&r, "a@fail.example", "user@relay.example");
        rig_client(&r, "relay.example", "203.0.113.7");
        assert_string_equal(rig_judge(&r, POLICY_AT_RCPT), "permit");
        rig_done(&r);
}

static void exceptions_are_asked_by_all_names(void **state)
{
        static const struct {
                const char *maps;
                bool is_excepted;
        } rows[] = {
                {"inline:{192.0.2.1=x}", true},
                {"inline:{192.0=x}", true},
                {"inline:{client.example.net=x}", true},
                {"inline:{example.net=x}", true},
                {"inline:{helo.example=x}", true},
                {"inline:{joe@sub.fail.example=x}", true},
                {"inline:{sub.fail.example=x}", true},
                {"inline:{fail.example=x}", true},
                {"inline:{other.example=x}, inline:{fail.example=x}", true},
                {"cidr:{{192.0.2.0/24 x}}", true},
                {"pcre:{{/^joe@/ x}}", true},
                /* a pattern sees whole names only */
                {"pcre:{{/^fail\\.example$/ x}}", false},
                {"inline:{bob@fail.example=x}", false},
                {"inline:{192.0.3=x}", false},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;
                char more[300];
                snprintf(more, sizeof(more), "spf_exception_maps = %s\n", rows[i].maps);
                rig_init(&r);
                rig_dns(&r, "sub.fail.example TXT \"v=spf1 -all\"\n");
                char main_cf[4000];
                snprintf(main_cf, sizeof(main_cf),
                         RIG_MAIN_CF "%ssmtpd_recipient_restrictions = reject_spf_fail\n"
                                     "smtpd_relay_restrictions = reject_unauth_destination\n",
                         more);
                rig_load(&r, main_cf);
                rig_facts(&r, "joe@sub.fail.example", "user@relay.example");
                rig_client(&r, "client.example.net", "192.0.2.1");
                r.facts.helo = STR("my.helo.example");
                bool is_permitted = strcmp(rig_judge(&r, POLICY_AT_RCPT), "permit") == 0;
                if (is_permitted != rows[i].is_excepted)
                        fail_msg("%s", rows[i].maps);
                rig_done(&r);
        }
}

static void a_broken_table_defers(void **state)
{
        struct rig r;
        load(&r, "spf_exception_maps = inline:{x=x}\n", "reject_spf_fail");
        rig_facts(&r, "a@broken.example", "user@relay.example");
        assert_string_equal(rig_judge(&r, POLICY_AT_RCPT),
                            "451 4.3.0 <a@broken.example>: Temporary lookup failure");
        rig_done(&r);
}

static void a_table_that_is_not_there_is_an_error(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "spf_exception_maps = hash:/nowhere/at/all\n");
        assert_true(findings_has_errors(&r.findings));
        rig_done(&r);
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "spf_header_type = both\nauthserv_id =\n");
        assert_non_null(rig_finding(&r, "no-authserv-id"));
        rig_done(&r);
}

static void one_check_serves_a_session(void **state)
{
        struct rig r;
        load(&r, "spf_header_type = received-spf\n", "reject_spf_fail");
        struct policy_spf *memory = policy_spf_new();
        rig_facts(&r, "a@slow.example", "user@relay.example");
        r.facts.spf = memory;
        struct dns_figures before, after;
        assert_string_equal(rig_judge(&r, POLICY_AT_RCPT), "permit");
        dns_figures(r.dns, &before);
        r.facts.spf = memory;
        struct buf out;
        buf_init(&out, 4096);
        await_policy_spf_fields(r.policy, &r.facts, &r.arena, &out);
        assert_true(str_starts(buf_str(&out), STR("Received-SPF: temperror ")));
        dns_figures(r.dns, &after);
        assert_int_equal(before.asked, after.asked);
        /* another sender is another check */
        buf_clear(&out);
        r.facts.sender = rig_address(&r, "a@fail.example");
        await_policy_spf_fields(r.policy, &r.facts, &r.arena, &out);
        assert_true(str_starts(buf_str(&out), STR("Received-SPF: fail ")));
        buf_done(&out);
        policy_spf_free(&memory);
        rig_done(&r);
}

static void fields_are_what_is_configured(void **state)
{
        static const struct {
                const char *type;
                bool has_authres, has_received;
        } rows[] = {{"none", false, false},
                    {"received-spf", false, true},
                    {"authentication-results", true, false},
                    {"both", true, true}};
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;
                char more[200];
                snprintf(more, sizeof(more), "spf_header_type = %s\n", rows[i].type);
                load(&r, more, "permit");
                rig_facts(&r, "joe@pass.example", "user@relay.example");
                r.facts.spf = policy_spf_new();
                struct buf out;
                buf_init(&out, 4096);
                await_policy_spf_fields(r.policy, &r.facts, &r.arena, &out);
                struct str authres = STR("Authentication-Results: mx1.example.com;\r\n"
                                         "\tspf=pass smtp.mailfrom=joe@pass.example\r\n");
                assert_int_equal(str_starts(buf_str(&out), authres), rows[i].has_authres);
                assert_int_equal(str_find_str(buf_str(&out), STR("Received-SPF: pass (")) >= 0,
                                 rows[i].has_received);
                assert_int_equal(out.len > 0, rows[i].has_authres || rows[i].has_received);
                buf_clear(&out);
                rig_client(&r, "inside.example", "10.0.0.7");
                await_policy_spf_fields(r.policy, &r.facts, &r.arena, &out);
                assert_int_equal(out.len, 0);
                buf_done(&out);
                policy_spf_free(&r.facts.spf);
                rig_done(&r);
        }
}

static void results_of_ours_are_forged_when_strangers_bring_them(void **state)
{
        struct rig r;
        load(&r, "", "permit");
        rig_facts(&r, "joe@pass.example", "user@relay.example");
        struct str name = STR("Authentication-Results");
        struct str ours = STR("mx1.example.com; spf=pass");
        assert_true(policy_is_forged_result(r.policy, &r.facts, name, ours));
        assert_false(policy_is_forged_result(r.policy, &r.facts, name,
                                             STR("mx2.example.com; spf=pass")));
        assert_false(policy_is_forged_result(r.policy, &r.facts, STR("X-A"), ours));
        rig_client(&r, "inside.example", "10.0.0.7");
        assert_false(policy_is_forged_result(r.policy, &r.facts, name, ours));
        rig_done(&r);
        load(&r, "core_relays = 203.0.113.0/24\nauthserv_id = example.com\n", "permit");
        rig_facts(&r, "joe@pass.example", "user@relay.example");
        rig_client(&r, "mx1.example.com", "203.0.113.7");
        assert_false(
                policy_is_forged_result(r.policy, &r.facts, name, STR("example.com; spf=pass")));
        rig_done(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_restriction_has_its_result),
                cmocka_unit_test(codes_are_configured),
                cmocka_unit_test(our_own_are_not_asked_about),
                cmocka_unit_test(exceptions_are_asked_by_all_names),
                cmocka_unit_test(a_broken_table_defers),
                cmocka_unit_test(a_table_that_is_not_there_is_an_error),
                cmocka_unit_test(one_check_serves_a_session),
                cmocka_unit_test(fields_are_what_is_configured),
                cmocka_unit_test(results_of_ours_are_forged_when_strangers_bring_them),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
