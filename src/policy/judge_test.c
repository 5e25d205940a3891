/* judge_test.c - which lists are asked when, and what defers, warns and nests */
#include "policy/rig_unit.h"

static void load(struct rig *r, const char *lines)
{
        char main_cf[4000];
        rig_init(r);
        snprintf(main_cf, sizeof(main_cf), RIG_MAIN_CF "%s", lines);
        rig_load(r, main_cf);
}

#define EVERY_LIST                                                                \
        "smtpd_client_restrictions = static:{450 client}\n"                       \
        "smtpd_helo_restrictions = static:{450 helo}\n"                           \
        "smtpd_sender_restrictions = static:{450 sender}\n"                       \
        "smtpd_relay_restrictions = static:{450 relay}\n"                         \
        "smtpd_recipient_restrictions = static:{450 recipient}\n"                 \
        "smtpd_data_restrictions = check_sender_access static:{450 data}\n"       \
        "smtpd_end_of_data_restrictions = check_sender_access static:{450 end}\n" \
        "smtpd_etrn_restrictions = static:{450 etrn}\n"

/* Which list spoke: the last word. */
static const char *who_spoke(struct rig *r, enum policy_event event)
{
        const char *said = rig_judge(r, event);
        const char *blank = strrchr(said, ' ');
        return blank ? blank + 1 : said;
}

static void lists_are_asked_at_their_events(void **state)
{
        /* each list in turn is taken away, and the next one speaks */
        static const struct {
                const char *lines;
                const char *at[POLICY_AT_VRFY + 1]; /* by event, in its order */
        } rows[] = {
                {"", {"permit", "permit", "permit", "client", "data", "end", "client", "client"}},
                {"smtpd_client_restrictions =\n",
                 {"permit", "permit", "permit", "helo", "data", "end", "helo", "helo"}},
                {"smtpd_client_restrictions =\nsmtpd_helo_restrictions =\n",
                 {"permit", "permit", "permit", "sender", "data", "end", "etrn", "sender"}},
                {"smtpd_client_restrictions =\nsmtpd_helo_restrictions =\n"
                 "smtpd_sender_restrictions = permit\n",
                 {"permit", "permit", "permit", "relay", "data", "end", "etrn", "relay"}},
                {"smtpd_client_restrictions =\nsmtpd_helo_restrictions =\n"
                 "smtpd_sender_restrictions = permit\nsmtpd_relay_restrictions = permit\n",
                 {"permit", "permit", "permit", "recipient", "data", "end", "etrn", "recipient"}},
                {"smtpd_client_restrictions =\nsmtpd_helo_restrictions =\n"
                 "smtpd_sender_restrictions =\n"
                 "smtpd_relay_before_recipient_restrictions = no\n",
                 {"permit", "permit", "permit", "recipient", "data", "end", "etrn", "recipient"}},
                {"smtpd_delay_reject = no\n",
                 {"client", "helo", "sender", "relay", "data", "end", "etrn", "relay"}},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;
                char lines[3000];
                snprintf(lines, sizeof(lines), EVERY_LIST "%s", rows[i].lines);
                load(&r, lines);
                for (int event = POLICY_AT_CONNECT; event <= POLICY_AT_VRFY; event++) {
                        rig_facts(&r, "a@b.example", "user@relay.example");
                        r.facts.etrn_name = STR("relay.example");
                        const char *who = who_spoke(&r, (enum policy_event)event);
                        if (strcmp(who, rows[i].at[event]) != 0)
                                fail_msg("row %zu, event %d: %s, not %s", i, event, who,
                                         rows[i].at[event]);
                }
                rig_done(&r);
        }
}

static void lists_without_their_subject_are_not_asked(void **state)
{
        struct rig r;
        load(&r, EVERY_LIST "smtpd_client_restrictions =\n");
        rig_facts(&r, "a@b.example", "user@relay.example");
        r.facts.helo = STR("");
        assert_string_equal(who_spoke(&r, POLICY_AT_RCPT), "sender");
        r.facts.has_sender = false;
        assert_string_equal(who_spoke(&r, POLICY_AT_VRFY), "relay");
        rig_done(&r);
}

static void the_unlisted_come_last(void **state)
{
        struct rig r;
        load(&r, "smtpd_recipient_restrictions = static:{450 first}\n");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "no@relay.example"),
                            "450 4.7.1 <no@relay.example>: Recipient address rejected: first");
        rig_done(&r);

        load(&r, "smtpd_recipient_restrictions = permit\n");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "no@relay.example"),
                            "550 5.1.1 <no@relay.example>: Recipient address rejected: User "
                            "unknown in relay recipient table");
        assert_str_equal(r.verdict.source, "smtpd_reject_unlisted_recipient");
        rig_done(&r);

        load(&r, "smtpd_reject_unlisted_recipient = no\n");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "no@relay.example"), "permit");
        rig_done(&r);

        load(&r, "smtpd_reject_unlisted_sender = yes\n"
                 "receive_override_options = no_unknown_recipient_checks\n"
                 "smtpd_recipient_restrictions = reject_unlisted_recipient\n");
        assert_string_equal(rig_rcpt(&r, "no@relay.example", "no@relay.example"), "permit");
        rig_done(&r);

        load(&r, "smtpd_reject_unlisted_sender = yes\n");
        assert_string_equal(rig_rcpt(&r, "no@relay.example", "user@relay.example"),
                            "550 5.1.0 <no@relay.example>: Sender address rejected: User unknown "
                            "in relay recipient table");
        rig_done(&r);

        /* a warning is not enough */
        load(&r, "smtpd_recipient_restrictions = warn_if_reject reject_unlisted_recipient\n");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "no@relay.example"),
                            "550 5.1.1 <no@relay.example>: Recipient address rejected: User "
                            "unknown in relay recipient table");
        assert_non_null(strstr(rig_log(&r), "NOQUEUE: reject_warning: RCPT from client.example["
                                            "192.0.2.1]: 550 5.1.1 <no@relay.example>: "));
        rig_done(&r);
}

static void the_postmaster_is_always_there(void **state)
{
        struct rig r;
        load(&r, "smtpd_client_restrictions = reject\n");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "PostMaster"), "permit");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user"),
                            "554 5.7.1 <client.example[192.0.2.1]>: Client host rejected: Access "
                            "denied");
        rig_done(&r);
        load(&r, "");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "Postmaster@relay.example"), "permit");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "postmaster@other.example"),
                            "454 4.7.1 <postmaster@other.example>: Relay access denied");
        rig_done(&r);
}

static void warn_if_reject_warns(void **state)
{
        struct rig r;
        load(&r, "smtpd_restriction_classes = inner\n"
                 "inner = permit_mynetworks, reject_non_fqdn_sender, reject\n"
                 "smtpd_recipient_restrictions = warn_if_reject reject_unauth_destination,"
                 " warn_if_reject inner, reject_non_fqdn_recipient\n"
                 "smtpd_relay_restrictions = permit_mynetworks\n");
        rig_facts(&r, "a@b", "x@other.example");
        assert_string_equal(rig_judge(&r, POLICY_AT_RCPT), "permit");
        const char *log = rig_log(&r);
        assert_non_null(strstr(log, "postfix/smtpd["));
        assert_non_null(strstr(log,
                               "]: NOQUEUE: reject_warning: RCPT from client.example[192.0.2.1]: "
                               "554 5.7.1 <x@other.example>: Relay access denied; from=<a@b> "
                               "to=<x@other.example> proto=ESMTP helo=<client.example>\n"));
        assert_non_null(strstr(log, "504 5.5.2 <a@b>: Sender address rejected: need"));
        assert_non_null(strstr(log, "554 5.7.1 <x@other.example>: Recipient address rejected: "
                                    "Access denied"));
        /* what cannot be asked is no matter for a warning */
        rig_facts(&r, "a@b", "x@broken.example");
        assert_string_equal(rig_judge(&r, POLICY_AT_RCPT),
                            "451 4.3.0 <x@broken.example>: Temporary lookup failure");
        rig_done(&r);
}

static void defer_if_permit_defers_what_is_permitted(void **state)
{
        struct rig r;
        load(&r, "smtpd_client_restrictions = defer_if_permit\n"
                 "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user@relay.example"),
                            "450 4.7.0 <client.example[192.0.2.1]>: Client host rejected: "
                            "defer_if_permit requested");
        assert_str_equal(r.verdict.source, "main.cf:15 defer_if_permit");
        assert_false(r.effects.is_deferred);
        assert_string_equal(rig_rcpt(&r, "a@b.example", "x@other.example"),
                            "554 5.7.1 <x@other.example>: Relay access denied");
        assert_false(r.effects.is_deferred);
        rig_done(&r);

        /* asked at connect: it stays for the connection */
        load(&r, "smtpd_delay_reject = no\nsmtpd_client_restrictions = defer_if_permit\n"
                 "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n");
        rig_facts(&r, "a@b.example", "user@relay.example");
        assert_string_equal(rig_judge(&r, POLICY_AT_CONNECT), "permit");
        for (int i = 0; i < 2; i++) {
                r.facts.recipient = rig_address(&r, "user@relay.example");
                assert_string_equal(rig_judge(&r, POLICY_AT_RCPT),
                                    "450 4.7.0 <client.example[192.0.2.1]>: Client host rejected: "
                                    "defer_if_permit requested");
                r.facts.recipient = rig_address(&r, "x@other.example");
                assert_string_equal(rig_judge(&r, POLICY_AT_RCPT),
                                    "554 5.7.1 <x@other.example>: Relay access denied");
        }
        rig_done(&r);

        load(&r, "smtpd_recipient_restrictions = warn_if_reject defer_if_permit\n");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user@relay.example"), "permit");
        assert_non_null(strstr(rig_log(&r), "reject_warning"));
        rig_done(&r);
}

static void defer_if_reject_defers_what_is_refused(void **state)
{
        struct rig r;
        load(&r, "smtpd_relay_restrictions = permit_mynetworks, defer_if_reject,"
                 " reject_unauth_destination\n");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "x@other.example"),
                            "450 4.7.0 <x@other.example>: Recipient address rejected: "
                            "defer_if_reject requested");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user@relay.example"), "permit");
        /* the end of the list ends it */
        assert_string_equal(rig_rcpt(&r, "a@b.example", "no@relay.example"),
                            "550 5.1.1 <no@relay.example>: Recipient address rejected: User "
                            "unknown in relay recipient table");
        rig_done(&r);

        /* both: nothing is left to ask */
        load(&r, "smtpd_recipient_restrictions = defer_if_reject, defer_if_permit, reject\n");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user@relay.example"),
                            "450 4.7.0 <user@relay.example>: Recipient address rejected: "
                            "defer_if_permit requested");
        rig_done(&r);
}

static void discard_ends_the_questions(void **state)
{
        struct rig r;
        load(&r, "smtpd_sender_restrictions = inline:{b.example=DISCARD}\n"
                 "smtpd_recipient_restrictions = reject\n");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "x@other.example"), "permit");
        assert_true(r.effects.is_discarded);
        rig_done(&r);
}

static void classes_are_lists(void **state)
{
        struct rig r;
        load(&r, "smtpd_restriction_classes = outer, inner\n"
                 "outer = inner, reject_non_fqdn_sender\n"
                 "inner = permit_mynetworks, inline:{{x@b.example=REJECT by inner}}\n"
                 "smtpd_sender_restrictions = outer\n");
        assert_string_equal(rig_rcpt(&r, "x@b.example", "user@relay.example"),
                            "554 5.7.1 <x@b.example>: Sender address rejected: by inner");
        assert_str_equal(r.verdict.source,
                         "main.cf:17 access table inline:{{x@b.example=REJECT by inner}} "
                         "(x@b.example)");
        assert_string_equal(rig_rcpt(&r, "a@b", "user@relay.example"),
                            "504 5.5.2 <a@b>: Sender address rejected: need fully-qualified "
                            "address");
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user@relay.example"), "permit");
        rig_done(&r);
}

static void log_lines_have_their_event(void **state)
{
        static const struct {
                enum policy_event event;
                const char *protocol, *queue_id, *expected;
        } rows[] = {
                {POLICY_AT_CONNECT, "SMTP", "", "NOQUEUE: reject: CONNECT from c[192.0.2.1]: 554"},
                {POLICY_AT_HELO, "SMTP", "", "NOQUEUE: reject: HELO from c[192.0.2.1]: 554"},
                {POLICY_AT_HELO, "ESMTP", "", "NOQUEUE: reject: EHLO from c[192.0.2.1]: 554"},
                {POLICY_AT_MAIL, "ESMTP", "", "NOQUEUE: reject: MAIL from c[192.0.2.1]: 554"},
                {POLICY_AT_DATA, "ESMTP", "4gXyZ12abcz9", "4gXyZ12abcz9: reject: DATA from"},
                {POLICY_AT_END_OF_DATA, "ESMTP", "4gXyZ12abcz9",
                 "4gXyZ12abcz9: reject: END-OF-MESSAGE from c[192.0.2.1]: 554 5.7.1 no; "
                 "from=<a@b.example> proto=ESMTP helo=<h>"},
                {POLICY_AT_VRFY, "ESMTP", "", "NOQUEUE: reject: VRFY from c[192.0.2.1]: 554"},
                {POLICY_AT_ETRN, "ESMTP", "", "NOQUEUE: reject: ETRN from c[192.0.2.1]: 554"},
        };
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                rig_facts(&r, "a@b.example", "");
                rig_client(&r, "c", "192.0.2.1");
                r.facts.helo = STR("h");
                r.facts.protocol = str_from(rows[i].protocol);
                r.facts.queue_id = str_from(rows[i].queue_id);
                struct smtp_reply reply = smtp_reply_make(554, "5.7.1", STR("no"));
                policy_log_refusal("reject", rows[i].event, &r.facts, &reply);
                const char *text = rig_log(&r);
                if (!strstr(text, rows[i].expected))
                        fail_msg("\"%s\" not in \"%s\"", rows[i].expected, text);
        }
        rig_done(&r);
}

static void a_policy_outlives_its_maker(void **state)
{
        struct rig r;
        load(&r, "");
        struct policy *mine = policy_ref(r.policy);
        policy_unref(&r.policy);
        assert_null(r.policy);
        table_set_free(&r.tables);
        config_unref(&r.config);
        r.policy = mine;
        assert_string_equal(rig_rcpt(&r, "a@b.example", "no@relay.example"),
                            "550 5.1.1 <no@relay.example>: Recipient address rejected: User "
                            "unknown in relay recipient table");
        rig_done(&r);
        policy_unref(&r.policy); /* nothing is fine */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lists_are_asked_at_their_events),
                cmocka_unit_test(lists_without_their_subject_are_not_asked),
                cmocka_unit_test(the_unlisted_come_last),
                cmocka_unit_test(the_postmaster_is_always_there),
                cmocka_unit_test(warn_if_reject_warns),
                cmocka_unit_test(defer_if_permit_defers_what_is_permitted),
                cmocka_unit_test(defer_if_reject_defers_what_is_refused),
                cmocka_unit_test(discard_ends_the_questions),
                cmocka_unit_test(classes_are_lists),
                cmocka_unit_test(log_lines_have_their_event),
                cmocka_unit_test(a_policy_outlives_its_maker),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
