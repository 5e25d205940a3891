/* lists_test.c - reject_rbl_client and its kin, against a DNS that says what the test gives it */
#include "rig_unit.h"

/* What a list in order has: its own test point, and neither 127.0.0.1 nor INVALID. */
#define X20          "xxxxxxxxxxxxxxxxxxxx"
#define X100         X20 X20 X20 X20 X20
#define X400         X100 X100 X100 X100
#define POINTS(zone) "2.0.0.127." zone " A 127.0.0.2\n"
#define NAMES(zone)  "test." zone " A 127.0.1.2\n"

static const char zone[] = POINTS("bl.example") POINTS("second.example") POINTS("wl.example") NAMES(
        "names.example") NAMES("wlnames.example")
        POINTS("secret.zen.dq.spamhaus.net") "1.2.0.192.bl.example A 127.0.0.4\n"
                                             "1.2.0.192.bl.example TXT \"see http://bl.example/192.0.2.1\"\n"
                                             "2.2.0.192.bl.example A 127.0.0.9\n"
                                             "3.2.0.192.bl.example A 127.0.0.9\n"
                                             "3.2.0.192.bl.example TXT \"one\"\n"
                                             "3.2.0.192.bl.example TXT \"two \"\n"
                                             "4.2.0.192.bl.example A 127.0.0.9\n"
                                             "4.2.0.192.bl.example TXT \"" X400 "\"\n"
                                             "4.2.0.192.bl.example TXT \"" X400 "\"\n"
                                             "1.2.0.192.wl.example A 127.0.9.1\n"
                                             "1.2.0.192.secret.zen.dq.spamhaus.net A 127.0.0.3\n"
                                             "1.2.0.192.secret.zen.dq.spamhaus.net TXT \"https://x/secret/192.0.2.1\"\n"
                                             "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example A 127.0.0.4\n"
                                             "client.example.names.example A 127.0.1.2\n"
                                             "bad.example.names.example A 127.0.1.2\n"
                                             "bad.example.names.example TXT \"listed\\013\\010 name\"\n"
                                             "reverse.example.names.example A 127.0.1.2\n"
                                             "relay.example.names.example A 127.0.1.2\n"
                                             "client.example.wlnames.example A 127.0.1.2\n"
                                             "*.refused.example A 127.255.255.254\n"
                                             "*.all.example A 127.0.0.2\n"
                                             "*.sold.example A 192.0.2.80\n"
                                             "*.slow.example TIMEOUT\n"
                                             "*.broken.example SERVFAIL\n"
                                             "1.2.0.192.empty.example A 127.0.0.2\n";

static struct rig rig;

static void load(const char *lines)
{
        static char main_cf[4000];
        struct why why = {""};
        rig_init(&rig);
        rig.dns = dns_new_given(str_from(zone), &why);
        if (!rig.dns)
                fail_msg("%s", why.text);
        snprintf(main_cf, sizeof(main_cf),
                 RIG_MAIN_CF "smtpd_relay_restrictions = reject_unauth_destination\n%s", lines);
        rig_load(&rig, main_cf);
}

static void hang_up(void)
{
        dnsbl_visit_free(&rig.facts.visit);
        dns_questions_free(&rig.facts.dns);
}

static void done(void)
{
        hang_up();
        rig_done(&rig);
        rig = (struct rig){0};
}

/* Another RCPT of the same session. */
static const char *judge(void)
{
        static char text[1000];
        await_policy_judge(rig.policy, POLICY_AT_RCPT, &rig.facts, &rig.arena, &rig.effects,
                           &rig.verdict);
        if (rig.verdict.action == VERDICT_PERMIT)
                return "permit";
        snprintf(text, sizeof(text), "%d %s %.*s", rig.verdict.reply.code,
                 rig.verdict.reply.enhanced, STR_ARG(rig.verdict.reply.text));
        return text;
}

/* A new session's RCPT. */
static const char *rcpt_from(const char *client, const char *name, const char *from, const char *to)
{
        hang_up();
        rig_facts(&rig, from, to);
        rig_client(&rig, name, client);
        rig.facts.reverse_client_name = STR("unknown");
        rig.facts.dns = dns_questions_new(rig.dns);
        rig.facts.visit = dnsbl_visit_new(rig.facts.dns, 2000);
        for (int event = POLICY_AT_CONNECT; event <= POLICY_AT_RCPT; event++)
                policy_prefetch(rig.policy, (enum policy_event)event, &rig.facts);
        return judge();
}

static const char *rcpt(const char *client)
{
        return rcpt_from(client, "unknown", "a@sender.example", "user@relay.example");
}

static struct dnsbl_figures figures;

static void take(void *context, const struct dnsbl_figures *f)
{
        if (str_eq(f->domain, str_from(context)))
                figures = *f;
}

static const char *state_of(const char *list)
{
        char name[100];
        snprintf(name, sizeof(name), "%s", list);
        figures = (struct dnsbl_figures){0};
        dnsbl_each(take, name, 0);
        assert_true(figures.domain.len > 0);
        return dnsbl_state_name(figures.state);
}

#define LISTED_1                                                                                \
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.example; see " \
        "http://bl.example/192.0.2.1"

/* ---- reject_rbl_client ---- */

static void a_listed_client_is_refused(void **state)
{
        load("smtpd_client_restrictions = reject_rbl_client bl.example\n");
        assert_string_equal(rcpt("192.0.2.1"), LISTED_1);
        assert_string_equal(rcpt("192.0.2.9"), "permit");
        assert_string_equal(
                rcpt("2001:db8::1"),
                "554 5.7.1 Service unavailable; Client host [2001:db8::1] blocked using "
                "bl.example");
        assert_string_equal(state_of("bl.example"), "well");
        assert_int_equal(figures.asked, 3);
        assert_int_equal(figures.listed, 2);
        assert_int_equal(figures.refused_mail, 2);
        assert_int_equal(figures.would_refuse, 2);
        assert_int_equal(figures.not_listed, 1);
        done();
}

static void replies_are_filtered(void **state)
{
        load("smtpd_client_restrictions = reject_rbl_client bl.example\n"
             "smtpd_dns_reply_filter = pcre:{{/^1\\.2\\.0\\.192\\.bl\\.example\\. \\d+ IN TXT/ IGNORE}}\n");
        assert_string_equal(rcpt("192.0.2.1"),
                            "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using "
                            "bl.example");
        done();
        load("smtpd_client_restrictions = reject_rbl_client bl.example\n"
             "smtpd_dns_reply_filter = pcre:{{/^1\\.2\\.0\\.192\\.bl\\.example\\. \\d+ IN A 127/ IGNORE}}\n");
        assert_string_equal(rcpt("192.0.2.1"), "permit");
        done();
}

static void a_second_recipient_counts_nothing_twice(void **state)
{
        load("smtpd_client_restrictions = reject_rbl_client bl.example\n");
        rcpt("192.0.2.1");
        assert_string_equal(judge(), LISTED_1);
        state_of("bl.example");
        assert_int_equal(figures.asked, 1);
        assert_int_equal(figures.refused_mail, 1);
        done();
}

static void a_filter_chooses_what_refuses(void **state)
{
        load("smtpd_client_restrictions = reject_rbl_client bl.example=127.0.0.[2;5..11]\n");
        assert_string_equal(rcpt("192.0.2.1"), "permit"); /* 127.0.0.4 */
        assert_int_equal(strncmp(rcpt("192.0.2.2"), "554 ", 4), 0);
        state_of("bl.example");
        assert_int_equal(figures.filtered, 1);
        assert_int_equal(figures.would_refuse, 1);
        done();
}

static void several_lists_are_asked_in_order(void **state)
{
        load("smtpd_recipient_restrictions = reject_rbl_client second.example,\n"
             " reject_rbl_client bl.example\n");
        assert_string_equal(rcpt("192.0.2.1"), LISTED_1);
        done();
}

static void warn_if_reject_only_counts(void **state)
{
        load("smtpd_client_restrictions = warn_if_reject reject_rbl_client bl.example\n");
        assert_string_equal(rcpt("192.0.2.1"), "permit");
        assert_non_null(strstr(rig_log(&rig), "reject_warning: RCPT from unknown[192.0.2.1]: 554 "
                                              "5.7.1 Service unavailable;"));
        state_of("bl.example");
        assert_int_equal(figures.would_refuse, 1);
        assert_int_equal(figures.refused_mail, 0);
        done();
}

/* ---- lists that are not to be believed ---- */

static void assert_never_refuses(const char *list, const char *expected_state, const char *log)
{
        char lines[300];
        snprintf(lines, sizeof(lines),
                 "smtpd_client_restrictions = reject_rbl_client %s, reject_rbl_client bl.example\n",
                 list);
        load(lines);
        for (int i = 0; i < 10; i++)
                assert_string_equal(rcpt("192.0.2.9"), "permit");
        assert_string_equal(rcpt("192.0.2.1"), LISTED_1); /* the other list goes on */
        assert_string_equal(state_of(list), expected_state);
        const char *lines_logged = rig_log(&rig);
        assert_non_null(strstr(lines_logged, log));
        assert_null(strstr(strstr(lines_logged, log) + 1, log)); /* told once */
        done();
}

static void what_is_no_listing_never_refuses(void **state)
{
        assert_never_refuses("refused.example", "refuses", "refused.example is switched off");
        assert_never_refuses("all.example", "lists all", "all.example is switched off");
        assert_never_refuses("sold.example", "out of range", "sold.example is switched off");
        assert_never_refuses("broken.example", "unreachable", "broken.example is switched off");
        assert_never_refuses("slow.example", "unreachable", "slow.example is switched off");
        assert_never_refuses("list.dsbl.org", "dead", "list.dsbl.org is not asked");
}

static void a_list_without_a_test_point_is_used_with_an_alarm(void **state)
{
        load("smtpd_client_restrictions = reject_rbl_client empty.example\n");
        assert_int_equal(strncmp(rcpt("192.0.2.1"), "554 ", 4), 0);
        assert_string_equal(state_of("empty.example"), "silent");
        assert_non_null(strstr(rig_log(&rig), "its test point is not listed"));
        done();
}

/* A session that has asked all that it may says nothing of a list, and strangers cannot switch one off. */
static void a_greedy_session_switches_nothing_off(void **state)
{
        load("smtpd_sender_restrictions = reject_rhsbl_sender names.example\n");
        for (int round = 0; round < 2; round++) {
                rcpt("192.0.2.9");
                for (int i = 0; i < 250; i++) {
                        char name[40];
                        snprintf(name, sizeof(name), "x%d.example", i);
                        dns_ask(rig.facts.dns, str_from(name), DNS_A);
                }
                for (int i = 0; i < 20; i++) {
                        char from[40];
                        snprintf(from, sizeof(from), "a@y%d.example", i);
                        rig.facts.sender = rig_address(&rig, from);
                        assert_string_equal(judge(), "permit");
                }
        }
        state_of("names.example");
        assert_true(figures.is_used);
        assert_int_equal(figures.failed, 0);
        done();
}

/* ---- names ---- */

static void listed_names_are_refused(void **state)
{
        load("smtpd_client_restrictions = reject_rhsbl_client names.example\n");
        assert_string_equal(rcpt_from("192.0.2.9", "client.example", "", "user@relay.example"),
                            "554 5.7.1 Service unavailable; Client host [client.example] blocked "
                            "using names.example");
        assert_string_equal(rcpt("192.0.2.9"), "permit"); /* unknown */
        done();
        load("smtpd_client_restrictions = reject_rhsbl_reverse_client names.example\n");
        assert_string_equal(rcpt("192.0.2.9"), "permit");
        rig.facts.reverse_client_name = STR("reverse.example");
        assert_string_equal(judge(), "554 5.7.1 Service unavailable; Unverified Client host "
                                     "[reverse.example] blocked using names.example");
        done();
        load("smtpd_helo_restrictions = reject_rhsbl_helo names.example\n");
        assert_string_equal(rcpt("192.0.2.9"),
                            "554 5.7.1 Service unavailable; Helo command [client.example] blocked "
                            "using names.example");
        rig.facts.helo = STR("[192.0.2.9]");
        assert_string_equal(judge(), "permit");
        rig.facts.helo = STR("192.0.2.9");
        assert_string_equal(judge(), "permit");
        done();
        load("smtpd_sender_restrictions = reject_rhsbl_sender names.example\n");
        assert_string_equal(
                rcpt_from("192.0.2.9", "unknown", "who@Bad.Example", "user@relay.example"),
                "554 5.7.1 Service unavailable; Sender address [who@Bad.Example] blocked using "
                "names.example; listed?? name");
        assert_string_equal(rcpt("192.0.2.9"), "permit");
        assert_string_equal(rcpt_from("192.0.2.9", "unknown", "", "user@relay.example"), "permit");
        done();
        load("smtpd_recipient_restrictions = reject_rhsbl_recipient names.example\n");
        assert_string_equal(rcpt("192.0.2.9"), "554 5.7.1 Service unavailable; Recipient address "
                                               "[user@relay.example] blocked using names.example");
        done();
}

/* ---- allow lists ---- */

static void allow_lists_permit_their_own_list_only(void **state)
{
        load("smtpd_client_restrictions = permit_dnswl_client wl.example, reject\n");
        assert_string_equal(rcpt("192.0.2.1"), "permit");
        assert_int_equal(strncmp(rcpt("192.0.2.9"), "554 ", 4), 0);
        done();
        load("smtpd_client_restrictions = permit_rhswl_client wlnames.example, reject\n");
        assert_string_equal(
                rcpt_from("192.0.2.9", "client.example", "a@b.example", "user@relay.example"),
                "permit");
        assert_int_equal(strncmp(rcpt("192.0.2.9"), "554 ", 4), 0);
        done();
}

static void an_allow_list_makes_no_open_relay(void **state)
{
        load("smtpd_relay_restrictions =\n"
             "smtpd_recipient_restrictions = permit_dnswl_client wl.example, "
             "reject_unauth_destination\n");
        assert_string_equal(rcpt("192.0.2.1"), "permit");
        assert_string_equal(
                rcpt_from("192.0.2.1", "unknown", "a@sender.example", "x@elsewhere.example"),
                "554 5.7.1 <x@elsewhere.example>: Relay access denied");
        done();
}

static void an_allow_list_that_fails_makes_refusals_temporary(void **state)
{
        load("smtpd_client_restrictions = permit_dnswl_client broken.example, reject\n");
        for (int i = 0; i < 4; i++)
                assert_string_equal(rcpt("192.0.2.1"),
                                    "450 4.7.1 <192.0.2.1>: Client host rejected: Service "
                                    "unavailable");
        /* now it is switched off */
        assert_int_equal(strncmp(rcpt("192.0.2.1"), "554 ", 4), 0);
        done();
}

/* ---- replies ---- */

static void replies_are_as_configured(void **state)
{
        load("maps_rbl_reject_code = 550\n"
             "default_rbl_reply = $rbl_code 5.1.8 $rbl_what|$rbl_class|$rbl_domain|$rbl_txt|"
             "$client|$client_address|$client_name|$reverse_client_name|$helo_name|$sender|"
             "$sender_name|$sender_domain|$recipient|$recipient_name|$recipient_domain|$other|\n"
             "smtpd_client_restrictions = reject_rbl_client bl.example=127.0.0.4\n"
             "rbl_reply_maps = inline:{ {other.example=451 no} }\n");
        assert_string_equal(rcpt("192.0.2.1"),
                            "550 5.0.0 192.0.2.1|Client host|bl.example|see "
                            "http://bl.example/192.0.2.1|unknown[192.0.2.1]|192.0.2.1|unknown|"
                            "unknown|client.example|a@sender.example|a|sender.example|"
                            "user@relay.example|user|relay.example||");
        done();
        load("smtpd_client_restrictions = reject_rbl_client bl.example=127.0.0.4\n"
             "rbl_reply_maps = inline:{ {bl.example=451 4.7.1 Not this} },\n"
             "  regexp:{ {/^bl\\.example=127/ 451 4.7.1 Not now} }\n");
        assert_string_equal(rcpt("192.0.2.1"), "451 4.7.1 Not now");
        done();
        load("smtpd_client_restrictions = reject_rbl_client bl.example\n"
             "rbl_reply_maps = inline:{ {bl.example=451 4.7.1 Not now, $$client_address} }\n");
        assert_string_equal(rcpt("192.0.2.1"), "451 4.7.1 Not now, 192.0.2.1");
        done();
        load("smtpd_client_restrictions = reject_rbl_client bl.example\n"
             "default_rbl_reply = 554 $rbl_reason.\n");
        assert_string_equal(rcpt("192.0.2.3"), "554 5.7.1 one / two.");
        /* what goes over 500 bytes is left out */
        assert_string_equal(rcpt("192.0.2.4"), "554 5.7.1 " X400 ".");
        done();
        load("smtpd_client_restrictions = reject_rbl_client bl.example\n"
             "default_rbl_reply = go away\n");
        assert_string_equal(rcpt("192.0.2.1"), "450 4.7.1 Service unavailable");
        assert_non_null(strstr(rig_log(&rig), "does not begin with a code"));
        done();
        load("smtpd_client_restrictions = reject_rbl_client bl.example\n"
             "rbl_reply_maps = inline:{ {broken=x} }, inline:{ {bl.example=554 hello} }\n");
        assert_string_equal(rcpt("192.0.2.1"), "554 5.7.1 hello");
        done();
        load("smtpd_sender_restrictions = reject_rhsbl_sender names.example\n"
             "default_rbl_reply = $rbl_code 5.1.1 [$rbl_what] $$\n"
             "smtpd_expansion_filter = abdelmpx.@\n");
        assert_string_equal(
                rcpt_from("192.0.2.9", "unknown", "who@bad.example", "user@relay.example"),
                "554 5.1.7 [___@bad.example] $");
        done();
}

static void a_key_is_never_shown(void **state)
{
        load("smtpd_client_restrictions = reject_rbl_client secret.zen.dq.spamhaus.net\n");
        assert_string_equal(rcpt("192.0.2.1"),
                            "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using "
                            "zen.dq.spamhaus.net; https://x/******/192.0.2.1");
        assert_str_equal(rig.verdict.source, "main.cf:16 reject_rbl_client zen.dq.spamhaus.net");
        assert_null(strstr(rig_log(&rig), "secret"));
        done();
}

/* ---- where it stands ---- */

static void lists_may_stand_in_classes_and_tables(void **state)
{
        load("smtpd_restriction_classes = strict\nstrict = reject_rbl_client bl.example\n"
             "smtpd_recipient_restrictions = check_recipient_access "
             "inline:{ {user@relay.example=strict} {abuse@relay.example=reject_rbl_client "
             "bl.example=127.0.0.4} }\n");
        assert_string_equal(rcpt("192.0.2.1"), LISTED_1);
        assert_string_equal(
                rcpt_from("192.0.2.1", "unknown", "a@sender.example", "abuse@relay.example"),
                LISTED_1);
        done();
}

static void mistakes_are_found(void **state)
{
        static const char *const wrong[] = {
                "smtpd_client_restrictions = reject_rbl_client bl.example=127.0.0\n",
                "smtpd_client_restrictions = reject_rbl_client bl.example*2\n",
                "smtpd_client_restrictions = reject_rbl_client =127.0.0.2\n",
                "smtpd_client_restrictions = permit_dnswl_client a..b\n",
        };
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                load(wrong[i]);
                assert_non_null(rig_finding(&rig, "bad-dnsbl"));
                done();
        }
        load("smtpd_client_restrictions = reject_rbl_client bl.example\n"
             "dnsbl_query_budget = bl.example=lots\n");
        assert_non_null(rig_finding(&rig, "bad-budget"));
        done();
}

/* ---- postscreen's score ---- */

static int score(const char *client, struct str *name)
{
        struct screen_score s;
        rcpt(client);
        policy_ask_screen(rig.policy, &rig.facts);
        await_policy_screen_score(rig.policy, &rig.facts, &rig.arena, &s);
        if (name)
                *name = s.shown;
        return s.score;
}

static void weights_add_up(void **state)
{
        struct str name;
        load("postscreen_dnsbl_sites = bl.example=127.0.0.4*2, bl.example=127.0.0.[2..9],\n"
             " wl.example*-5 second.example refused.example*8 all.example*8\n"
             " secret.zen.dq.spamhaus.net*4\n"
             "postscreen_dnsbl_reply_map = inline:{ {bl.example=our list} }\n");
        assert_int_equal(score("192.0.2.1", &name), 2 + 1 - 5 + 4);
        assert_str_equal(name, "zen.dq.spamhaus.net"); /* what weighs most */
        assert_int_equal(score("192.0.2.2", &name), 1);
        assert_str_equal(name, "our list");
        assert_int_equal(score("192.0.2.9", &name), 0);
        assert_str_equal(name, "");
        done();
        load("postscreen_dnsbl_sites = bl.example*2 wl.example*-5\npostscreen_dnsbl_threshold = 3\n");
        assert_non_null(rig_finding(&rig, "dnsbl-threshold"));
        done();
        load("postscreen_dnsbl_sites = bl.example*2 wl.example*-5\npostscreen_dnsbl_threshold = 2\n");
        assert_null(rig_finding(&rig, "dnsbl-threshold"));
        done();
        load("postscreen_dnsbl_sites = bl.example*x\n");
        assert_non_null(rig_finding(&rig, "bad-dnsbl"));
        done();
}

static enum screen_access access_of(const char *client)
{
        rcpt(client);
        return await_policy_screen_access(rig.policy, &rig.facts, &rig.arena);
}

static void an_access_list_lets_in_and_turns_away(void **state)
{
        load("postscreen_access_list = permit_mynetworks, cidr:{ {192.0.2.1 reject} {192.0.2.2/31 "
             "permit} {192.0.2.4 dunno} {192.0.2.4/30 reject} {192.0.2.8 what} }\n");
        assert_int_equal(access_of("10.0.0.1"), SCREEN_PERMIT);
        assert_int_equal(access_of("192.0.2.1"), SCREEN_REJECT);
        assert_int_equal(access_of("192.0.2.3"), SCREEN_PERMIT);
        assert_int_equal(access_of("192.0.2.4"), SCREEN_DUNNO);
        assert_int_equal(access_of("192.0.2.5"), SCREEN_REJECT);
        assert_int_equal(access_of("192.0.2.9"), SCREEN_DUNNO);
        rig_log(&rig);
        assert_int_equal(access_of("192.0.2.8"), SCREEN_DUNNO);
        assert_non_null(strstr(rig_log(&rig), "postscreen_access_list"));
        done();
        load("postscreen_access_list = reject_me\n");
        assert_non_null(rig_finding(&rig, "bad-screen-access"));
        done();
        load("postscreen_access_list = dunno permit\n");
        assert_int_equal(access_of("192.0.2.1"), SCREEN_DUNNO);
        done();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_listed_client_is_refused),
                cmocka_unit_test(replies_are_filtered),
                cmocka_unit_test(a_second_recipient_counts_nothing_twice),
                cmocka_unit_test(a_filter_chooses_what_refuses),
                cmocka_unit_test(several_lists_are_asked_in_order),
                cmocka_unit_test(warn_if_reject_only_counts),
                cmocka_unit_test(what_is_no_listing_never_refuses),
                cmocka_unit_test(a_list_without_a_test_point_is_used_with_an_alarm),
                cmocka_unit_test(a_greedy_session_switches_nothing_off),
                cmocka_unit_test(listed_names_are_refused),
                cmocka_unit_test(allow_lists_permit_their_own_list_only),
                cmocka_unit_test(an_allow_list_makes_no_open_relay),
                cmocka_unit_test(an_allow_list_that_fails_makes_refusals_temporary),
                cmocka_unit_test(replies_are_as_configured),
                cmocka_unit_test(a_key_is_never_shown),
                cmocka_unit_test(lists_may_stand_in_classes_and_tables),
                cmocka_unit_test(mistakes_are_found),
                cmocka_unit_test(weights_add_up),
                cmocka_unit_test(an_access_list_lets_in_and_turns_away),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
