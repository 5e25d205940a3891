/* value_test.c - times, lists, and what each kind of value allows */
#include "config/fixture.h"

#include <errno.h>

static void times(void **state)
{
        static const struct {
                const char *text;
                char unit;
                int code;
                int64_t ms;
        } cases[] = {
                {"0", 's', 0, 0},
                {"5", 's', 0, 5000},
                {"5", 'd', 0, 5 * 86400000LL},
                {"5s", 'd', 0, 5000},
                {"2m", 's', 0, 120000},
                {"3h", 's', 0, 3 * 3600000LL},
                {"1w", 's', 0, 7 * 86400000LL},
                {"", 's', -EINVAL, 0},
                {"s", 's', -EINVAL, 0},
                {"5x", 's', -EINVAL, 0},
                {"5S", 's', -EINVAL, 0},
                {"5 s", 's', -EINVAL, 0},
                {"5ms", 's', -EINVAL, 0},
                {"1h30m", 's', -EINVAL, 0},
                {"+5", 's', -EINVAL, 0},
                {"-5", 's', -ERANGE, 0},
                {"0x10", 's', -EINVAL, 0},
                {"9223372036854775807", 's', -ERANGE, 0},
                {"9223372036854775808", 's', -ERANGE, 0},
                {"9223372036854775", 's', 0, 9223372036854775000LL},
                {"106751991168", 'd', -ERANGE, 0},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int64_t ms = 0;
                int code = config_parse_time(str_from(cases[i].text), cases[i].unit, &ms);
                if (code != cases[i].code || ms != cases[i].ms)
                        fail_msg("\"%s\": %d, %lld ms", cases[i].text, code, (long long)ms);
        }
}

static void lists(void **state)
{
        static const struct {
                const char *text;
                const char *items; /* joined by | */
        } cases[] = {
                {"", ""},
                {" ,\t\r\n, ", ""},
                {"one", "one|"},
                {"one,two three\tfour", "one|two|three|four|"},
                {"{ one two } three", "one two|three|"},
                {"{one}{two}", "one|two|"},
                {"{a {b c} d},e", "a {b c} d|e|"},
                {"{}x", "|x|"},
                {"inline:{a=b, c=d} x", "inline:{a=b, c=d}|x|"},
                {"check_x { inline:{ {a = b} }, y }", "check_x|inline:{ {a = b} }, y|"},
                {"a } b", "a|}|b|"},
                {"{ open and on", "{ open and on|"},
                {"a,{ open", "a|{ open|"},
                {"t:{open x", "t:{open x|"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char got[200] = "";
                size_t at = 0;
                struct str rest = str_from(cases[i].text), item;
                while (config_list_next(&rest, &item))
                        at += (size_t)snprintf(got + at, sizeof(got) - at, "%.*s|", STR_ARG(item));
                if (strcmp(got, cases[i].items) != 0)
                        fail_msg("\"%s\" gave \"%s\"", cases[i].text, got);
                assert_true(str_is_empty(item) && str_is_empty(str_trim(rest)));
        }
}

/* Every bad value is one error that names what is allowed; the default stands. */
static void bad_values(void **state)
{
        static const struct {
                const char *line, *error;
        } cases[] = {
                {"smtpd_recipient_limit = 0",
                 "smtpd_recipient_limit = 0: allowed is a number from 1 to 2147483647"},
                {"smtpd_recipient_limit = 2147483648",
                 "smtpd_recipient_limit = 2147483648: allowed is a number from 1 to 2147483647"},
                {"smtpd_recipient_limit = many",
                 "smtpd_recipient_limit = many: allowed is a number from 1 to 2147483647"},
                {"smtpd_recipient_limit =",
                 "smtpd_recipient_limit = : allowed is a number from 1 to 2147483647"},
                {"smtpd_recipient_limit = +5",
                 "smtpd_recipient_limit = +5: allowed is a number from 1 to 2147483647"},
                {"message_size_limit = 10M",
                 "message_size_limit = 10M: allowed is a number of bytes 0 or more"},
                {"message_size_limit = -1",
                 "message_size_limit = -1: allowed is a number of bytes 0 or more"},
                {"spool_segment_size = 1",
                 "spool_segment_size = 1: allowed is a number of bytes from 1048576 to 4294967296"},
                {"smtpd_timeout = soon",
                 "smtpd_timeout = soon: allowed is a time like 30s, 5m, 2h or 1d, from 1s to 3650d"},
                {"smtpd_timeout = 0",
                 "smtpd_timeout = 0: allowed is a time like 30s, 5m, 2h or 1d, from 1s to 3650d"},
                {"smtpd_timeout = 3651d",
                 "smtpd_timeout = 3651d: allowed is a time like 30s, 5m, 2h or 1d, from 1s to "
                 "3650d"},
                {"smtpd_error_sleep_time = 2h",
                 "smtpd_error_sleep_time = 2h: allowed is a time like 30s, 5m, 2h or 1d, from 0s "
                 "to 1h"},
                {"smtpd_helo_required = true", "smtpd_helo_required = true: allowed is yes or no"},
                {"log_format = xml", "log_format = xml: allowed is postfix or json"},
                {"smtpd_tls_security_level = dane",
                 "smtpd_tls_security_level = dane: allowed is none, may or encrypt"},
                {"mynetworks_style =", "mynetworks_style = : allowed is class, subnet or host"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct findings f;
                char line[400];
                struct config *c = fixture_read(cases[i].line, NULL, &f);
                snprintf(line, sizeof(line), "dir/main.cf:1: error: %s [bad-value]",
                         cases[i].error);
                assert_true(fixture_has(&f, line));
                assert_int_equal(f.count[SEVERITY_ERROR], 1);
                assert_int_equal(c->params.smtpd_recipient_limit, 1000);
                assert_int_equal(c->params.message_size_limit, 10240000);
                assert_int_equal(c->params.smtpd_timeout, 300000);
                assert_int_equal(c->params.log_format, LOG_FORMAT_POSTFIX);
                fixture_done(&c, &f);
        }
}

/* One letter behind a number is read, as in Postfix; what else there is brings a warning. */
static void time_with_more_behind_it(void **state)
{
        static const struct {
                const char *line, *finding;
                int64_t ms;
        } cases[] = {
                {"smtpd_timeout = 2days",
                 "dir/main.cf:1: warning: smtpd_timeout = 2days is read as 2d, as in Postfix (write "
                 "one letter behind the number: s, m, h, d or w) [time-unit]",
                 2 * 86400000LL},
                {"smtpd_timeout = 5m # minutes",
                 "dir/main.cf:1: warning: smtpd_timeout = 5m # minutes is read as 5m, as in Postfix "
                 "(write one letter behind the number: s, m, h, d or w) [time-unit]",
                 300000},
                {"smtpd_timeout = 1h30m",
                 "dir/main.cf:1: warning: smtpd_timeout = 1h30m is read as 1h, as in Postfix (write "
                 "one letter behind the number: s, m, h, d or w) [time-unit]",
                 3600000},
                {"smtpd_timeout = 5 d",
                 "dir/main.cf:1: error: smtpd_timeout = 5 d: allowed is a time like 30s, 5m, 2h or "
                 "1d, from 1s to 3650d [bad-value]",
                 300000},
                {"smtpd_timeout = 0seconds",
                 "dir/main.cf:1: error: smtpd_timeout = 0seconds: allowed is a time like 30s, 5m, 2h "
                 "or 1d, from 1s to 3650d [bad-value]",
                 300000},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct findings f;
                struct config *c = fixture_read(cases[i].line, NULL, &f);
                assert_true(fixture_has(&f, cases[i].finding));
                assert_int_equal(c->params.smtpd_timeout, cases[i].ms);
                fixture_done(&c, &f);
        }
        /* Its default is made of postscreen_dnsbl_ttl and an "h". */
        struct findings f;
        struct config *c = fixture_read("postscreen_dnsbl_ttl = 5m", NULL, &f);
        assert_int_equal(f.count[SEVERITY_ERROR], 0);
        assert_int_equal(c->params.postscreen_dnsbl_max_ttl, 300000);
        fixture_done(&c, &f);
}

/* The enums of config.h are in the order of the words in params.def. */
static void words_have_their_numbers(void **state)
{
        static const char *const levels[] = {"",      "none",      "may",         "encrypt",
                                             "dane",  "dane-only", "fingerprint", "verify",
                                             "secure"};
        static const char *const grades[] = {"export", "low", "medium", "high", "null"};
        static const char *const newlines[] = {"no", "yes", "normalize", "reject", "note"};
        static const char *const preferences[] = {"any", "ipv4", "ipv6"};
        static const struct {
                const char *name;
                const char *const *words;
                int count;
        } cases[] = {
                {"smtp_tls_security_level", levels, TLS_LEVEL_SECURE + 1},
                {"lmtp_tls_security_level", levels, TLS_LEVEL_SECURE + 1},
                {"smtpd_tls_security_level", levels, TLS_LEVEL_ENCRYPT + 1},
                {"smtpd_tls_ciphers", grades, TLS_GRADE_NULL + 1},
                {"smtp_tls_mandatory_ciphers", grades, TLS_GRADE_NULL + 1},
                {"smtpd_forbid_bare_newline", newlines, BARE_NEWLINE_NOTE + 1},
                {"smtp_address_preference", preferences, ADDRESS_IPV6 + 1},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const struct declaration *d = declaration_find(str_from(cases[i].name));
                assert_non_null(d);
                for (int k = 0; k < cases[i].count; k++) {
                        struct params params;
                        struct why why;
                        assert_int_equal(value_store(d, str_from(cases[i].words[k]), &params, &why),
                                         0);
                        assert_int_equal(*(int *)(void *)((char *)&params + d->offset), k);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(times),
                cmocka_unit_test(time_with_more_behind_it),
                cmocka_unit_test(lists),
                cmocka_unit_test(bad_values),
                cmocka_unit_test(words_have_their_numbers),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
