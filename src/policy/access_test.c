/* access_test.c - what access tables are asked, in which order, and what their answers do */
#include "policy/rig_unit.h"

/* A table that says which key it was asked, by REJECT key; the others are not there. */
struct order_row {
        const char *check;    /* check_client_access */
        const char *entries;  /* key=key, ... : the first that is asked is in the reply */
        const char *expected; /* the key; NULL: none of them is asked */
};

static void load_table(struct rig *r, const char *more, const char *check, const char *table)
{
        char main_cf[3000];
        rig_init(r);
        snprintf(main_cf, sizeof(main_cf),
                 RIG_MAIN_CF "%s\nsmtpd_relay_restrictions = permit\n"
                             "smtpd_recipient_restrictions = %s %s\n",
                 more, check, table);
        rig_load(r, main_cf);
}

/* The keys of "a b c", each with the value REJECT and itself. */
static void write_keys(const struct rig *r, const char *name, const char *keys)
{
        char text[1000] = "";
        struct str rest = str_from(keys);
        struct str key;
        size_t len = 0;
        while (str_next_word(&rest, " ", &key))
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s REJECT %.*s\n",
                                        STR_ARG(key), STR_ARG(key));
        rig_write(r, name, text);
}

/* The last word of a reply. */
static const char *asked_key(struct rig *r)
{
        const char *said = rig_judge(r, POLICY_AT_RCPT);
        return strcmp(said, "permit") == 0 ? NULL : strrchr(said, ' ') + 1;
}

static void check_order(const char *more, const struct order_row *rows, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct rig r;
                char main_cf[3000];
                rig_init(&r);
                write_keys(&r, "table", rows[i].entries);
                snprintf(main_cf, sizeof(main_cf),
                         RIG_MAIN_CF "%s\nsmtpd_relay_restrictions = permit\n"
                                     "smtpd_reject_unlisted_recipient = no\n"
                                     "smtpd_recipient_restrictions = %s hash:%s/table\n",
                         more, rows[i].check, r.dir);
                rig_load(&r, main_cf);
                rig_facts(&r, "Joe+Box@sub.Sender.example", "Ann+x@sub.relay.example");
                r.facts.helo = STR("mx.sub.helo.example.");
                rig_client(&r, "a.b.client.example", "192.0.2.1");
                if (strstr(rows[i].entries, "db8"))
                        rig_client(&r, "unknown", "2001:db8::77:1");
                if (strstr(rows[i].entries, "numeric"))
                        r.facts.helo = STR("10.1.2.3");
                const char *key = asked_key(&r);
                if (rows[i].expected ? !key || strcmp(key, rows[i].expected) != 0 : key != NULL)
                        fail_msg("%s \"%s\": %s, not %s", rows[i].check, rows[i].entries,
                                 key ? key : "nothing",
                                 rows[i].expected ? rows[i].expected : "nothing");
                rig_done(&r);
        }
}

static void keys_are_asked_in_order(void **state)
{
        static const struct order_row rows[] = {
                {"check_client_access",
                 "192 192.0 192.0.2 192.0.2.1 example client.example "
                 "b.client.example a.b.client.example",
                 "a.b.client.example"},
                {"check_client_access", "192.0.2.1 example client.example b.client.example",
                 "b.client.example"},
                {"check_client_access", "192.0.2.1 example client.example", "client.example"},
                {"check_client_access", "192.0.2.1 example", "example"},
                {"check_client_access", "192 192.0 192.0.2 192.0.2.1", "192.0.2.1"},
                {"check_client_access", "192 192.0 192.0.2", "192.0.2"},
                {"check_client_access", "192 192.0", "192.0"},
                {"check_client_access", "192", "192"},
                {"check_client_access", "19 192.0. .client.example 92.0.2.1", NULL},
                {"check_client_access", "2001 2001:db8 2001:db8::77 2001:db8::77:1",
                 "2001:db8::77:1"},
                {"check_client_access", "2001 2001:db8 2001:db8::77", "2001:db8::77"},
                {"check_client_access", "2001 2001:db8", "2001:db8"},
                {"check_client_access", "unknown 2001:db8", "unknown"},
                {"check_helo_access", "example helo.example sub.helo.example mx.sub.helo.example.",
                 "mx.sub.helo.example."},
                {"check_helo_access", "example helo.example mx.sub.helo.example",
                 "mx.sub.helo.example"},
                {"check_helo_access", "example helo.example", "helo.example"},
                {"check_helo_access", "10 10.1 numeric", NULL},
                {"check_helo_access", "numeric 10.1.2.3", "10.1.2.3"},
                {"check_sender_access",
                 "joe@ joe+box@ example sender.example sub.sender.example joe@sub.sender.example "
                 "joe+box@sub.sender.example",
                 "joe+box@sub.sender.example"},
                {"check_sender_access",
                 "joe@ joe+box@ example sender.example sub.sender.example joe@sub.sender.example",
                 "joe@sub.sender.example"},
                {"check_sender_access", "joe@ joe+box@ example sender.example sub.sender.example",
                 "sub.sender.example"},
                {"check_sender_access", "joe@ joe+box@ example sender.example", "sender.example"},
                {"check_sender_access", "joe@ joe+box@ example", "example"},
                {"check_sender_access", "joe@ joe+box@", "joe+box@"},
                {"check_sender_access", "joe@", "joe@"},
                {"check_sender_access", "joe joe+box @sub.sender.example .sender.example", NULL},
                {"check_recipient_access", "ann@ ann+x@ relay.example", "relay.example"},
                {"check_recipient_access", "ann+x@sub.relay.example", "ann+x@sub.relay.example"},
        };
        check_order("", rows, sizeof(rows) / sizeof(rows[0]));
}

static void parents_may_have_dots(void **state)
{
        static const struct order_row rows[] = {
                {"check_client_access", "client.example .example .client.example .b.client.example",
                 ".b.client.example"},
                {"check_client_access", "client.example example .example", ".example"},
                {"check_client_access", "client.example b.client.example", NULL},
                {"check_helo_access", "helo.example .helo.example", ".helo.example"},
                {"check_sender_access", "sender.example .sender.example", ".sender.example"},
                {"check_sender_access", "sub.sender.example .sender.example", "sub.sender.example"},
        };
        check_order("parent_domain_matches_subdomains = relay_domains", rows,
                    sizeof(rows) / sizeof(rows[0]));
}

static void patterns_see_the_whole(void **state)
{
        static const struct {
                const char *table, *expected;
        } rows[] = {
                {"check_sender_access regexp:{{/^sender\\.example$$/ REJECT part}}", NULL},
                {"check_sender_access regexp:{{/^joe\\+box@sub\\.sender\\.example$$/ REJECT whole}}",
                 "whole"},
                {"check_client_access pcre:{{/^client\\.example$$/ REJECT part}}", NULL},
                {"check_client_access pcre:{{/\\.client\\.example$$/ REJECT whole}}", "whole"},
                {"check_client_access cidr:{{192.0.2.0/24 REJECT network}}", "network"},
                {"check_client_access cidr:{{192.0.3.0/24 REJECT network}}", NULL},
                {"check_sender_access cidr:{{192.0.2.0/24 REJECT network}}", NULL},
                {"check_client_access static:{REJECT all}", "all"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;
                load_table(&r, "", "", rows[i].table);
                rig_facts(&r, "joe+box@sub.sender.example", "user@relay.example");
                rig_client(&r, "a.client.example", "192.0.2.1");
                const char *key = asked_key(&r);
                if (rows[i].expected) {
                        if (!key)
                                rig_print_findings(&r);
                        assert_non_null(key);
                        assert_string_equal(key, rows[i].expected);
                } else {
                        assert_null(key);
                }
                rig_done(&r);
        }
}

static void the_null_sender_has_a_key(void **state)
{
        struct rig r;
        load_table(&r, "", "check_sender_access", "inline:{{<>=REJECT no bounces}}");
        assert_string_equal(rig_rcpt(&r, "", "user@relay.example"),
                            "554 5.7.1 <>: Sender address rejected: no bounces");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user@relay.example"), "permit");
        rig_done(&r);
        load_table(&r, "smtpd_null_access_lookup_key = nobody", "check_sender_access",
                   "inline:{<>=OK, nobody=REJECT}");
        assert_string_equal(rig_rcpt(&r, "", "user@relay.example"),
                            "554 5.7.1 <>: Sender address rejected: Access denied");
        rig_done(&r);
}

#define SENDER_REJECTED "<a@b.example>: Sender address rejected: "

static void actions_act(void **state)
{
        static const struct {
                const char *action, *expected;
                bool is_held, is_discarded;
        } rows[] = {
                /* what stands behind the table is "reject" */
                {"OK", "permit", false, false},
                {"ok with words", "permit", false, false},
                {"RELAY", "permit", false, false},
                {"20261122105301", "permit", false, false},
                {"554", "permit", false, false},
                {"DUNNO",
                 "554 5.7.1 <user@relay.example>: Recipient address rejected: Access "
                 "denied",
                 false, false},
                {"permit", "permit", false, false},
                {"REJECT", "554 5.7.1 " SENDER_REJECTED "Access denied", false, false},
                {"reject", "554 5.7.1 " SENDER_REJECTED "Access denied", false, false},
                {"REJECT  go  away ", "554 5.7.1 " SENDER_REJECTED "go  away", false, false},
                {"REJECT 5.7.27 null", "554 5.7.27 " SENDER_REJECTED "null", false, false},
                {"REJECT 5.1.1 who", "554 5.1.7 " SENDER_REJECTED "who", false, false},
                {"REJECT 5.1.2 where", "554 5.1.8 " SENDER_REJECTED "where", false, false},
                {"REJECT 4.7.1 wrong class", "554 5.7.1 " SENDER_REJECTED "wrong class", false,
                 false},
                {"REJECT 5.7.x what", "554 5.7.1 " SENDER_REJECTED "5.7.x what", false, false},
                {"450 later", "450 4.7.1 " SENDER_REJECTED "later", false, false},
                {"550 4.1.7 odd", "550 5.1.7 " SENDER_REJECTED "odd", false, false},
                {"421 4.3.2 bye", "421 4.3.2 " SENDER_REJECTED "bye", false, false},
                {"521 bye", "521 5.7.1 " SENDER_REJECTED "bye", false, false},
                {"DEFER", "450 4.7.1 " SENDER_REJECTED "Access denied", false, false},
                {"DEFER 4.2.1 later", "450 4.2.1 " SENDER_REJECTED "later", false, false},
                {"DEFER_IF_REJECT slow", "450 4.7.1 " SENDER_REJECTED "slow", false, false},
                {"HOLD",
                 "554 5.7.1 <user@relay.example>: Recipient address rejected: Access denied", true,
                 false},
                {"DISCARD", "permit", false, true},
                {"reject_unauth_destination, permit", "permit", false, false},
                {"reject_unauth_pipelining",
                 "554 5.7.1 <user@relay.example>: Recipient address rejected: Access denied", false,
                 false},
                {"my_class", "504 5.5.2 <h>: Helo command rejected: need fully-qualified hostname",
                 false, false},
                {"warn_if_reject reject, permit", "permit", false, false},
                /* never passed in silence */
                {"REDIRECT nowhere", "451 4.3.5 Server configuration error", false, false},
                {"BCC nowhere", "451 4.3.5 Server configuration error", false, false},
                {"FILTER nowhere", "451 4.3.5 Server configuration error", false, false},
                {"REJCT", "451 4.3.5 Server configuration error", false, false},
                {"reject_rbl_client", "451 4.3.5 Server configuration error", false, false},
                {"check_sender_access hash:/x", "451 4.3.5 Server configuration error", false,
                 false},
                {"PREPEND no header", "451 4.3.5 Server configuration error", false, false},
                {"600 no", "451 4.3.5 Server configuration error", false, false},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;
                char main_cf[3000];
                rig_init(&r);
                snprintf(main_cf, sizeof(main_cf),
                         RIG_MAIN_CF
                         "smtpd_restriction_classes = my_class\n"
                         "my_class = permit_mynetworks, reject_non_fqdn_helo_hostname\n"
                         "smtpd_relay_restrictions = permit\nsmtpd_recipient_restrictions ="
                         " check_sender_access inline:{{b.example = %s}}, reject\n",
                         rows[i].action);
                rig_load(&r, main_cf);
                rig_facts(&r, "a@b.example", "user@relay.example");
                r.facts.helo = STR("h");
                const char *said = rig_judge(&r, POLICY_AT_RCPT);
                if (strcmp(said, rows[i].expected) != 0)
                        fail_msg("%s: said \"%s\", not \"%s\"", rows[i].action, said,
                                 rows[i].expected);
                assert_int_equal(r.effects.is_held, rows[i].is_held);
                assert_int_equal(r.effects.is_discarded, rows[i].is_discarded);
                rig_done(&r);
        }
}

static void where_mail_goes_is_noted(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "smtpd_relay_restrictions = permit\n"
                                 "smtpd_client_restrictions = check_client_access "
                                 "inline:{{192.0.2.1 = BCC boss@b.example}}\n"
                                 "smtpd_sender_restrictions = check_sender_access "
                                 "inline:{{a@b.example = FILTER smtp:[192.0.2.9]:10025},"
                                 " {b.example = REDIRECT other@b.example}}\n"
                                 "smtpd_recipient_restrictions = check_recipient_access "
                                 "inline:{{relay.example = BCC second@b.example}}\n");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user@relay.example"), "permit");
        assert_str_equal(r.effects.filter, "smtp:[192.0.2.9]:10025");
        assert_true(str_is_empty(r.effects.redirect.text));
        assert_int_equal(r.effects.bcc_count, 2);
        assert_str_equal(r.effects.bcc[0].text, "boss@b.example");
        assert_str_equal(r.effects.bcc[1].text, "second@b.example");
        const char *log = rig_log(&r);
        assert_non_null(strstr(log,
                               "filter: RCPT from client.example[192.0.2.1]: <a@b.example>: "
                               "Sender address triggers FILTER smtp:[192.0.2.9]:10025; from="));
        assert_non_null(strstr(log, "Client host triggers BCC boss@b.example; from="));
        /* once for each address, however many recipients ask */
        assert_string_equal(rig_rcpt(&r, "a@b.example", "abuse@relay.example"), "permit");
        assert_int_equal(r.effects.bcc_count, 2);
        assert_string_equal(rig_rcpt(&r, "c@b.example", "user@relay.example"), "permit");
        assert_str_equal(r.effects.redirect.text, "other@b.example");
        assert_non_null(strstr(rig_log(&r), "Sender address triggers REDIRECT other@b.example"));
        rig_done(&r);
}

static void a_line_that_comes_too_late_is_a_warning(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "smtpd_relay_restrictions = permit\n"
                                 "smtpd_end_of_data_restrictions = check_sender_access "
                                 "inline:{{b.example = PREPEND X-Late: yes}}, permit\n");
        rig_facts(&r, "a@b.example", "user@relay.example");
        assert_string_equal(rig_judge(&r, POLICY_AT_END_OF_DATA), "permit");
        assert_int_equal(r.effects.prepended_count, 0);
        assert_non_null(strstr(rig_log(&r), "PREPEND comes too late"));
        rig_done(&r);
}

static void addresses_are_asked_in_lower_case(void **state)
{
        struct rig r;
        load_table(&r, "", "check_sender_access",
                   "pcre:{{/^A@B\\.example$$/i permit}, {/^a@b\\.example$$/i REJECT}}");
        assert_string_equal(rig_rcpt(&r, "A@B.example", "user@relay.example"),
                            "554 5.7.1 <A@B.example>: Sender address rejected: Access denied");
        rig_done(&r);
}

static void refusals_name_their_source(void **state)
{
        struct rig r;
        load_table(&r, "", "check_sender_access", "inline:{b.example=REJECT}");
        rig_rcpt(&r, "a@sub.b.example", "user@relay.example");
        assert_str_equal(r.verdict.source,
                         "main.cf:17 check_sender_access inline:{b.example=REJECT} (b.example)");
        rig_done(&r);
        load_table(&r, "", "check_sender_access", "inline:{b.example=reject_unauth_pipelining}");
        rig_facts(&r, "a@b.example", "user@relay.example");
        r.facts.has_early_input = true;
        assert_string_equal(rig_judge(&r, POLICY_AT_RCPT),
                            "503 5.5.0 <a@b.example>: Sender address rejected: Improper use of "
                            "SMTP command pipelining");
        assert_str_equal(r.verdict.source,
                         "main.cf:17 check_sender_access "
                         "inline:{b.example=reject_unauth_pipelining} (b.example): "
                         "reject_unauth_pipelining");
        rig_done(&r);
}

static void warnings_are_logged_in_postfix_words(void **state)
{
        struct rig r;
        load_table(&r, "", "check_sender_access",
                   "inline:{{w.example=WARN look here}, {i.example=INFO}, {h.example=HOLD}, "
                   "{d.example=DISCARD bye}, {u.example=NONSENSE}}");
        static const struct {
                const char *from, *expected;
        } rows[] = {
                {"a@w.example", "NOQUEUE: warn: RCPT from client.example[192.0.2.1]: look here; "
                                "from=<a@w.example> to=<user@relay.example> proto=ESMTP "
                                "helo=<client.example>"},
                {"a@i.example", "NOQUEUE: info: RCPT from client.example[192.0.2.1]: ; from="},
                {"a@h.example", "NOQUEUE: hold: RCPT from client.example[192.0.2.1]: "
                                "<a@h.example>: Sender address triggers HOLD action; from="},
                {"a@d.example", "NOQUEUE: discard: RCPT from client.example[192.0.2.1]: "
                                "<a@d.example>: Sender address bye; from="},
                {"a@u.example", "warning: main.cf:17 check_sender_access"},
                {"a@u.example", "(u.example): action \"NONSENSE\": unknown restriction "
                                "\"NONSENSE\""},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                memset(&r.effects, 0, sizeof(r.effects));
                rig_rcpt(&r, rows[i].from, "user@relay.example");
                const char *text = rig_log(&r);
                if (!strstr(text, rows[i].expected))
                        fail_msg("wanted \"%s\" in \"%s\"", rows[i].expected, text);
        }
        rig_done(&r);
}

static void prepended_lines_gather(void **state)
{
        struct rig r;
        load_table(&r, "", "check_recipient_access", "pcre:{{/^(\\w+)@/ PREPEND X-For: $$1}}");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user@relay.example"), "permit");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user@relay.example"), "permit");
        assert_int_equal(r.effects.prepended_count, 1);
        assert_str_equal(r.effects.prepended[0], "X-For: user");
        for (int i = 0; i < 10; i++) {
                char to[40];
                snprintf(to, sizeof(to), "u%d@other.example", i);
                assert_string_equal(rig_rcpt(&r, "a@b.example", to), "permit");
        }
        assert_int_equal(r.effects.prepended_count, 8);
        assert_int_equal(r.effects.prepended_dropped, 3);
        rig_done(&r);
}

static void routed_recipients_get_no_ok(void **state)
{
        struct rig r;
        char main_cf[2000];
        rig_init(&r);
        snprintf(main_cf, sizeof(main_cf),
                 RIG_MAIN_CF "smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = "
                             "check_recipient_access inline:{relay.example=OK}, reject\n");
        rig_load(&r, main_cf);
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user@relay.example"), "permit");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user%x.example@relay.example"),
                            "554 5.7.1 <user%x.example@relay.example>: Recipient address rejected: "
                            "Access denied");
        rig_done(&r);
}

static void tables_that_call_each_other_end(void **state)
{
        struct rig r;
        char main_cf[2000];
        rig_init(&r);
        rig_write(&r, "loop", "b.example again\n");
        snprintf(main_cf, sizeof(main_cf),
                 RIG_MAIN_CF "smtpd_restriction_classes = again\n"
                             "again = check_sender_access hash:%s/loop\n"
                             "smtpd_recipient_restrictions = again\n",
                 r.dir);
        rig_load(&r, main_cf);
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user@relay.example"),
                            "451 4.3.5 Server configuration error");
        rig_done(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keys_are_asked_in_order),
                cmocka_unit_test(parents_may_have_dots),
                cmocka_unit_test(patterns_see_the_whole),
                cmocka_unit_test(the_null_sender_has_a_key),
                cmocka_unit_test(actions_act),
                cmocka_unit_test(where_mail_goes_is_noted),
                cmocka_unit_test(refusals_name_their_source),
                cmocka_unit_test(warnings_are_logged_in_postfix_words),
                cmocka_unit_test(prepended_lines_gather),
                cmocka_unit_test(a_line_that_comes_too_late_is_a_warning),
                cmocka_unit_test(addresses_are_asked_in_lower_case),
                cmocka_unit_test(routed_recipients_get_no_ok),
                cmocka_unit_test(tables_that_call_each_other_end),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
