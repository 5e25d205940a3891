/* command_test.c */
#include "base/unit.h"

#include "smtp/command.h"

#include <errno.h>

static void finds_verbs(void **state)
{
        static const struct {
                struct str line;
                enum smtp_verb verb;
                const char *word, *args;
        } cases[] = {
                {STR_INIT("EHLO mx.example"), SMTP_EHLO, "EHLO", "mx.example"},
                {STR_INIT("helo  mx.example  "), SMTP_HELO, "helo", "mx.example"},
                {STR_INIT("Mail From:<a@b> SIZE=3"), SMTP_MAIL, "Mail", "From:<a@b> SIZE=3"},
                {STR_INIT("RCPT\tTO:<a@b>"), SMTP_RCPT, "RCPT", "TO:<a@b>"},
                {STR_INIT("DATA"), SMTP_DATA, "DATA", ""},
                {STR_INIT("BDAT 5 LAST"), SMTP_BDAT, "BDAT", "5 LAST"},
                {STR_INIT(" rset "), SMTP_RSET, "rset", ""},
                {STR_INIT("NOOP x"), SMTP_NOOP, "NOOP", "x"},
                {STR_INIT("VRFY a"), SMTP_VRFY, "VRFY", "a"},
                {STR_INIT("HELP"), SMTP_HELP, "HELP", ""},
                {STR_INIT("QUIT"), SMTP_QUIT, "QUIT", ""},
                {STR_INIT("STARTTLS"), SMTP_STARTTLS, "STARTTLS", ""},
                {STR_INIT("AUTH PLAIN x"), SMTP_AUTH, "AUTH", "PLAIN x"},
                {STR_INIT("ETRN x"), SMTP_ETRN, "ETRN", "x"},
                {STR_INIT("EXPN x"), SMTP_EXPN, "EXPN", "x"},
                {STR_INIT("XCLIENT NAME=x"), SMTP_XCLIENT, "XCLIENT", "NAME=x"},
                {STR_INIT("XFORWARD NAME=x"), SMTP_XFORWARD, "XFORWARD", "NAME=x"},
                {STR_INIT(""), SMTP_UNKNOWN, "", ""},
                {STR_INIT("   "), SMTP_UNKNOWN, "", ""},
                {STR_INIT("DATAX"), SMTP_UNKNOWN, "DATAX", ""},
                {STR_INIT("DAT"), SMTP_UNKNOWN, "DAT", ""},
                {STR_INIT("UNKNOWN"), SMTP_UNKNOWN, "UNKNOWN", ""},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct smtp_command c = smtp_command_parse(cases[i].line);
                assert_int_equal(c.verb, cases[i].verb);
                assert_str_equal(c.word, cases[i].word);
                assert_str_equal(c.args, cases[i].args);
        }
        assert_int_equal(smtp_command_parse(STR("QUIT\0")).verb, SMTP_UNKNOWN);
        for (int verb = 0; verb < SMTP_UNKNOWN; verb++)
                assert_int_equal(smtp_command_parse(str_from(smtp_verb_name(verb))).verb, verb);
        assert_string_equal(smtp_verb_name(SMTP_UNKNOWN), "UNKNOWN");
}

static void knows_strangers(void **state)
{
        static const struct {
                struct str line;
                bool is_foreign;
        } cases[] = {
                {STR_INIT("GET / HTTP/1.1"), true}, {STR_INIT("POST /x HTTP/1.0"), true},
                {STR_INIT("CONNECT a:25"), true},   {STR_INIT("Host: x"), true},
                {STR_INIT("Subject : x"), true},    {STR_INIT("X-Foo:"), true},
                {STR_INIT("1234"), true},           {STR_INIT("\x16\x03\x01"), true},
                {STR_INIT("<html>"), true},         {STR_INIT("EHLO x"), false},
                {STR_INIT("MAIL FROM:<a>"), false}, {STR_INIT("FOO bar"), false},
                {STR_INIT("FOO bar: x"), false},    {STR_INIT(""), false},
                {STR_INIT("  EHLO x"), false},      {STR_INIT("DELIVER me"), false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_int_equal(smtp_command_is_foreign(cases[i].line), cases[i].is_foreign);
}

static void counts_chunks(void **state)
{
        static const struct {
                struct str args;
                int code;
                int64_t bytes;
                bool is_last;
        } cases[] = {
                {STR_INIT("1000"), 0, 1000, false},
                {STR_INIT("1000 LAST"), 0, 1000, true},
                {STR_INIT("0 last"), 0, 0, true},
                {STR_INIT("007\tLAST "), 0, 7, true},
                {STR_INIT("9223372036854775807"), 0, INT64_MAX, false},
                {STR_INIT("9223372036854775808"), -EBADMSG, 0, false},
                {STR_INIT("99999999999999999999999999"), -EBADMSG, 0, false},
                {STR_INIT(""), -EBADMSG, 0, false},
                {STR_INIT("-1"), -EBADMSG, 0, false},
                {STR_INIT("+1"), -EBADMSG, 0, false},
                {STR_INIT("1x"), -EBADMSG, 0, false},
                {STR_INIT("LAST"), -EBADMSG, 0, false},
                {STR_INIT("1 FIRST"), -EBADMSG, 0, false},
                {STR_INIT("1 LAST LAST"), -EBADMSG, 0, false},
                {STR_INIT("1\0"), -EBADMSG, 0, false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct smtp_reply refusal = {0};
                int64_t bytes = -1;
                bool is_last = false;
                assert_int_equal(smtp_bdat_parse(cases[i].args, &bytes, &is_last, &refusal),
                                 cases[i].code);
                if (cases[i].code == 0) {
                        assert_true(bytes == cases[i].bytes);
                        assert_int_equal(is_last, cases[i].is_last);
                } else {
                        assert_int_equal(refusal.code, 521);
                        assert_string_equal(refusal.enhanced, "5.5.4");
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(finds_verbs),
                cmocka_unit_test(knows_strangers),
                cmocka_unit_test(counts_chunks),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
