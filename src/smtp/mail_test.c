/* mail_test.c - MAIL and RCPT with their parameters */
#include "base/unit.h"

#include "smtp/command.h"

#include <errno.h>

static const struct smtp_path_rules rules = {
        .allows_null = true, .allows_no_domain = true, .allows_utf8 = true};
static const struct smtp_path_rules rcpt_rules = {.allows_no_domain = true, .allows_utf8 = true};
static const struct smtp_offers all = {true, true, true, true};

#define TEN     "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void takes_mail(void **state)
{
        struct arena a;
        struct smtp_mail_command c;
        struct smtp_reply refusal = {0};
        arena_init(&a, 0);
        assert_int_equal(smtp_mail_parse(STR("FROM:<a@b.example>"), &rules, &all, &a, &c, &refusal),
                         0);
        assert_str_equal(c.sender.text, "a@b.example");
        assert_int_equal(c.size, 0);
        assert_int_equal(c.body, SMTP_BODY_7BIT);
        assert_int_equal(c.ret, SMTP_RET_UNSET);
        assert_false(c.smtputf8);
        assert_int_equal(c.envid.len, 0);

        assert_int_equal(smtp_mail_parse(STR("from: <>  size=123 body=8bitmime SMTPUTF8 RET=hdrs "
                                             "ENVID=QQ+2B1=x"),
                                         &rules, &all, &a, &c, &refusal),
                         0);
        assert_str_equal(c.sender.text, "");
        assert_int_equal(c.size, 123);
        assert_int_equal(c.body, SMTP_BODY_8BITMIME);
        assert_int_equal(c.ret, SMTP_RET_HDRS);
        assert_true(c.smtputf8);
        assert_str_equal(c.envid, "QQ+2B1+3Dx");

        assert_int_equal(smtp_mail_parse(STR("FROM:<a@b.example> SIZE=99999999999999999999"),
                                         &rules, &all, &a, &c, &refusal),
                         0);
        assert_true(c.size == INT64_MAX);
        assert_int_equal(smtp_mail_parse(STR("FROM:<a@b.example> ENVID=" HUNDRED), &rules, &all, &a,
                                         &c, &refusal),
                         0);

        /* said twice, the last one counts; AUTH is taken and forgotten */
        assert_int_equal(smtp_mail_parse(STR("FROM:<a@b.example> SIZE=1 BODY=8BITMIME SIZE=2 "
                                             "BODY=7bit SMTPUTF8 SMTPUTF8 AUTH= AUTH=a+40b"),
                                         &rules, &all, &a, &c, &refusal),
                         0);
        assert_int_equal(c.size, 2);
        assert_int_equal(c.body, SMTP_BODY_7BIT);

        /* a domain in U-labels wants SMTPUTF8 */
        struct smtp_path_rules ascii = rules;
        ascii.refuses_u_labels = true;
        struct str u_labels = STR("FROM:<a@m\xc3\xbc.example>");
        assert_int_equal(smtp_mail_parse(u_labels, &rules, &all, &a, &c, &refusal), 0);
        assert_int_equal(smtp_mail_parse(u_labels, &ascii, &all, &a, &c, &refusal), -EBADMSG);
        assert_int_equal(refusal.code, 501);
        assert_string_equal(refusal.enhanced, "5.1.7");
        assert_int_equal(smtp_mail_parse(STR("FROM:<a@m\xc3\xbc.example> SMTPUTF8"), &ascii, &all,
                                         &a, &c, &refusal),
                         0);
        assert_int_equal(
                smtp_mail_parse(STR("FROM:<\xc3\xa4@b.example>"), &ascii, &all, &a, &c, &refusal),
                0);
        arena_done(&a);
}

static void takes_verp(void **state)
{
        static const struct {
                const char *args, *verp;
                int code;
        } cases[] = {
                {"FROM:<a@b.example>", "", 250},
                {"FROM:<a@b.example> XVERP", "+=", 250},
                {"FROM:<a@b.example> xverp=-+", "-+", 250},
                {"FROM:<a@b.example> XVERP==-", "=-", 250},
                {"FROM:<a@b.example> XVERP=-+ SIZE=1 XVERP", "+=", 250},
                {"FROM:<a@b.example> XVERP=", "", 501},
                {"FROM:<a@b.example> XVERP=+", "", 501},
                {"FROM:<a@b.example> XVERP=+=-", "", 501},
                {"FROM:<a@b.example> XVERP=*=", "", 501},
                {"FROM:<a@b.example> XVERP=+*", "", 501},
                {"FROM:<a@b.example> XVERPS", "", 555},
                {"FROM:<a@b.example> XVERP+=", "", 555},
        };
        struct smtp_offers offers = all;
        struct smtp_mail_command c;
        struct smtp_reply refusal;
        struct arena a;
        arena_init(&a, 0);
        offers.verp = true;
        offers.verp_delimiters = STR("+=");
        offers.verp_filter = STR("-=+");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                refusal = smtp_reply_make(250, NULL, STR(""));
                int rc =
                        smtp_mail_parse(str_from(cases[i].args), &rules, &offers, &a, &c, &refusal);
                assert_int_equal(rc, cases[i].code == 250 ? 0 : -EBADMSG);
                assert_int_equal(refusal.code, cases[i].code);
                if (rc == 0)
                        assert_true(str_eq(c.verp, str_from(cases[i].verp)));
                else
                        assert_string_equal(refusal.enhanced, "5.5.4");
        }
        /* not for this client */
        assert_int_equal(
                smtp_mail_parse(STR("FROM:<a@b.example> XVERP"), &rules, &all, &a, &c, &refusal),
                -EBADMSG);
        assert_int_equal(refusal.code, 555);
        arena_done(&a);
}

static void refuses_mail(void **state)
{
        static const struct {
                struct str args;
                int code;
                const char *enhanced;
        } cases[] = {
                {STR_INIT(""), 501, "5.5.4"},
                {STR_INIT("FROM"), 501, "5.5.4"},
                {STR_INIT("FROM:"), 501, "5.5.4"},
                {STR_INIT("FROM: "), 501, "5.5.4"},
                {STR_INIT("FROM :<a@b>"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b>"), 501, "5.5.4"},
                {STR_INIT("<a@b>"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@@b>"), 501, "5.1.7"},
                {STR_INIT("FROM:<a@b> SIZE=-1"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> SIZE=+1"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> SIZE=1k"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> SIZE="), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> SIZE"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> SIZE=100000000000000000000"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> FOO SIZE=x"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> SIZE=x FOO"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> BODY="), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> RET="), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> ENVID="), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> AUTH"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> BODY=BINARYMIME"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> SMTPUTF8=yes"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> RET=SOME"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> RET=FULL RET=HDRS"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> ENVID=a+"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> ENVID=a+0D+0Ab"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> ENVID=\xc3\xa4"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> ENVID=" HUNDRED "1"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b> NOTIFY=NEVER"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> FOO"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> FOO=1"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> =1"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> -A=1"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> A\0B"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> X=a\033b"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> <c@d>"), 555, "5.5.4"},
                {STR_INIT("FROM:<a@b> X=\xff"), 500, "5.5.2"},
        };
        struct arena a;
        arena_init(&a, 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct smtp_mail_command c;
                struct smtp_reply refusal = {0};
                int code = smtp_mail_parse(cases[i].args, &rules, &all, &a, &c, &refusal);
                if (code != -EBADMSG || refusal.code != cases[i].code)
                        fail_msg("%.*s: %d", STR_ARG(cases[i].args), refusal.code);
                assert_string_equal(refusal.enhanced, cases[i].enhanced);
        }
        arena_done(&a);
}

/* The client's words are shown, but no line end that a filter of commands has put among them. */
static void refuses_in_one_line(void **state)
{
        struct smtp_mail_command c;
        struct smtp_reply refusal = {0};
        struct arena a;
        arena_init(&a, 0);
        assert_int_equal(
                smtp_mail_parse(STR("FROM:<a@b> X=\001\nY"), &rules, &all, &a, &c, &refusal),
                -EBADMSG);
        assert_int_equal(refusal.code, 555);
        assert_str_equal(refusal.text, "Unsupported option: X=\001");
        arena_done(&a);
}

/* What EHLO did not offer is unknown. */
static void refuses_what_is_not_offered(void **state)
{
        static const struct {
                struct str parameter;
                struct smtp_offers without;
        } cases[] = {
                {STR_INIT("SIZE=1"), {false, true, true, true}},
                {STR_INIT("BODY=7BIT"), {true, false, true, true}},
                {STR_INIT("SMTPUTF8"), {true, true, false, true}},
                {STR_INIT("RET=FULL"), {true, true, true, false}},
                {STR_INIT("ENVID=x"), {true, true, true, false}},
        };
        struct arena a;
        arena_init(&a, 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct smtp_mail_command c;
                struct smtp_reply refusal = {0};
                struct str args = arena_printf(&a, "FROM:<a@b> %.*s", STR_ARG(cases[i].parameter));
                assert_int_equal(smtp_mail_parse(args, &rules, &all, &a, &c, &refusal), 0);
                assert_int_equal(smtp_mail_parse(args, &rules, &cases[i].without, &a, &c, &refusal),
                                 -EBADMSG);
                assert_int_equal(refusal.code, 555);
                assert_str_equal(refusal.text, arena_printf(&a, "Unsupported option: %.*s",
                                                            STR_ARG(cases[i].parameter))
                                                       .ptr);
        }
        arena_done(&a);
}

/* XREPORT is for those to whom it is offered. */
static void takes_report(void **state)
{
        const struct smtp_offers local = {.report = true};
        struct arena a;
        struct smtp_mail_command c;
        struct smtp_reply refusal = {0};
        arena_init(&a, 0);
        assert_int_equal(smtp_mail_parse(STR("FROM:<a@b>"), &rules, &local, &a, &c, &refusal), 0);
        assert_int_equal(c.report, SMTP_REPORT_NONE);
        assert_int_equal(
                smtp_mail_parse(STR("FROM:<a@b> XREPORT=verify"), &rules, &local, &a, &c, &refusal),
                0);
        assert_int_equal(c.report, SMTP_REPORT_VERIFY);
        assert_int_equal(smtp_mail_parse(STR("FROM:<a@b> XREPORT=DELIVERY"), &rules, &local, &a, &c,
                                         &refusal),
                         0);
        assert_int_equal(c.report, SMTP_REPORT_DELIVERY);
        static const struct str bad[] = {STR_INIT("FROM:<a@b> XREPORT=SOME"),
                                         STR_INIT("FROM:<a@b> XREPORT="),
                                         STR_INIT("FROM:<a@b> XREPORT"),
                                         STR_INIT("FROM:<a@b> XREPORT=VERIFY XREPORT=VERIFY")};
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(smtp_mail_parse(bad[i], &rules, &local, &a, &c, &refusal),
                                 -EBADMSG);
        assert_int_equal(
                smtp_mail_parse(STR("FROM:<a@b> XREPORT=VERIFY"), &rules, &all, &a, &c, &refusal),
                -EBADMSG);
        assert_int_equal(refusal.code, 555);
        arena_done(&a);
}

static void insists_on_smtputf8(void **state)
{
        struct smtp_path_rules insists = {.allows_null = true};
        struct arena a;
        struct smtp_mail_command c;
        struct smtp_reply refusal = {0};
        arena_init(&a, 0);
        assert_int_equal(smtp_mail_parse(STR("FROM:<\xc3\xa4@b.example> SMTPUTF8"), &insists, &all,
                                         &a, &c, &refusal),
                         0);
        assert_int_equal(smtp_mail_parse(STR("FROM:<\xc3\xa4@b.example> BODY=8BITMIME"), &insists,
                                         &all, &a, &c, &refusal),
                         -EBADMSG);
        assert_int_equal(refusal.code, 553);
        assert_int_equal(
                smtp_mail_parse(STR("FROM:<\xc3\xa4@b.example>"), &rules, &all, &a, &c, &refusal),
                0);
        arena_done(&a);
}

static void takes_rcpt(void **state)
{
        static const struct {
                struct str args;
                unsigned notify;
                const char *orcpt;
        } cases[] = {
                {STR_INIT("TO:<a@b.example>"), 0, ""},
                {STR_INIT("to: <a@b.example> NOTIFY=never"), SMTP_NOTIFY_NEVER, ""},
                {STR_INIT("TO:<a@b.example> NOTIFY=SUCCESS,FAILURE,DELAY"),
                 SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY, ""},
                {STR_INIT("TO:<a@b.example> ORCPT=rfc822;c+2Bd@e.example NOTIFY=DELAY"),
                 SMTP_NOTIFY_DELAY, "rfc822;c+2Bd@e.example"},
                {STR_INIT("TO:<a@b.example> ORCPT=rfc822;c+2b+2Bd@e.example NOTIFY=DELAY,DELAY"),
                 SMTP_NOTIFY_DELAY, "rfc822;c+2B+2Bd@e.example"},
                {STR_INIT("TO:<a@b.example> ORCPT=rfc822;list-a=b@c.example"), 0,
                 "rfc822;list-a+3Db@c.example"},
                {STR_INIT("TO:<a@b.example> ORCPT=utf-8;\xc3\xa4@b.example"), 0,
                 "utf-8;\xc3\xa4@b.example"},
                {STR_INIT("TO:<a@b.example> ORCPT=utf-8;\\x{E4}@b.example"), 0,
                 "utf-8;\\x{E4}@b.example"},
        };
        struct arena a;
        arena_init(&a, 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct smtp_rcpt_command c;
                struct smtp_reply refusal = {0};
                assert_int_equal(
                        smtp_rcpt_parse(cases[i].args, &rcpt_rules, &all, &a, &c, &refusal), 0);
                assert_str_equal(c.recipient.text, "a@b.example");
                assert_int_equal(c.notify, cases[i].notify);
                assert_str_equal(c.orcpt, cases[i].orcpt);
        }
        arena_done(&a);
}

static void refuses_rcpt(void **state)
{
        static const struct {
                struct str args;
                int code;
                const char *enhanced;
        } cases[] = {
                {STR_INIT(""), 501, "5.5.4"},
                {STR_INIT("TO:"), 501, "5.5.4"},
                {STR_INIT("FROM:<a@b>"), 501, "5.5.4"},
                {STR_INIT("TO:<>"), 501, "5.1.3"},
                {STR_INIT("TO:<a@b> NOTIFY="), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> NOTIFY=NEVER,DELAY"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> NOTIFY=DELAY,NEVER"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> NOTIFY=SUCCESS,NEVER,SUCCESS"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> X="), 555, "5.5.4"},
                {STR_INIT("TO:<a@b> NOTIFY=DELAY,"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> NOTIFY=,"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> NOTIFY=SOME"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> NOTIFY=NEVER NOTIFY=NEVER"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> ORCPT=a@b"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> ORCPT=;a@b"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> ORCPT=rfc822;"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> ORCPT=rfc822;a+0D+0AX:@b"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> ORCPT=rfc822;a+zz"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> ORCPT=rf c822;a"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> ORCPT=rfc822;\xc3\xa4@b"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> ORCPT=utf-8;+0D\xc3\xa4@b"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> ORCPT=x!;a@b"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> ORCPT=rfc822;" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED), 501,
                 "5.5.4"},
                {STR_INIT("TO:<a@b> ORCPT=x;a ORCPT=x;a"), 501, "5.5.4"},
                {STR_INIT("TO:<a@b> SIZE=1"), 555, "5.5.4"},
                {STR_INIT("TO:<a@b> NOTIFY"), 555, "5.5.4"},
                {STR_INIT("TO:<a@b> X=\xc3"), 500, "5.5.2"},
        };
        struct arena a;
        arena_init(&a, 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct smtp_rcpt_command c;
                struct smtp_reply refusal = {0};
                int code = smtp_rcpt_parse(cases[i].args, &rcpt_rules, &all, &a, &c, &refusal);
                if (code != -EBADMSG || refusal.code != cases[i].code)
                        fail_msg("%.*s: %d", STR_ARG(cases[i].args), refusal.code);
                assert_string_equal(refusal.enhanced, cases[i].enhanced);
        }
        struct smtp_offers none = {0};
        struct smtp_rcpt_command c;
        struct smtp_reply refusal = {0};
        assert_int_equal(
                smtp_rcpt_parse(STR("TO:<a@b> NOTIFY=DELAY"), &rcpt_rules, &none, &a, &c, &refusal),
                -EBADMSG);
        assert_int_equal(refusal.code, 555);
        arena_done(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(takes_mail),
                cmocka_unit_test(takes_verp),
                cmocka_unit_test(refuses_mail),
                cmocka_unit_test(refuses_in_one_line),
                cmocka_unit_test(refuses_what_is_not_offered),
                cmocka_unit_test(takes_report),
                cmocka_unit_test(insists_on_smtputf8),
                cmocka_unit_test(takes_rcpt),
                cmocka_unit_test(refuses_rcpt),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
