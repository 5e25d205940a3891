/* names_test.c - known, made-up, mistyped and not honoured names; the two tables themselves */
#include "config/fixture.h"

static void mistyped(void **state)
{
        static const struct {
                const char *text, *error;
        } cases[] = {
                {"smtpd_helo_requred = yes\n",
                 "dir/main.cf:1: error: unknown parameter smtpd_helo_requred (did you mean "
                 "smtpd_helo_required?) [unknown-parameter]"},
                {"transport_map = hash:x\n", "dir/main.cf:1: error: unknown parameter "
                                             "transport_map (did you mean transport_maps?) "
                                             "[unknown-parameter]"},
                {"mynetowrks = x\n", "dir/main.cf:1: error: unknown parameter mynetowrks (did you "
                                     "mean mynetworks?) [unknown-parameter]"},
                {"MyNetworks = x\n", "dir/main.cf:1: error: unknown parameter MyNetworks (did you "
                                     "mean mynetworks?) [unknown-parameter]"},
                {"something_else_altogether = x\n",
                 "dir/main.cf:1: error: unknown parameter something_else_altogether (remove the "
                 "line) [unknown-parameter]"},
                {"dovecot_destination_recipient_limit = 1\n",
                 "dir/main.cf:1: warning: dovecot_destination_recipient_limit: there is no such "
                 "transport (remove the line, or have the transport in master.cf) "
                 "[unknown-transport]"},
                {"filter_time_limit = 3600\n",
                 "dir/main.cf:1: warning: filter_time_limit: there is no such transport (remove the "
                 "line, or have the transport in master.cf) [unknown-transport]"},
                {"defalt_destination_recipient_limit = 1\n",
                 "dir/main.cf:1: error: unknown parameter defalt_destination_recipient_limit (did "
                 "you mean default_destination_recipient_limit?) [unknown-parameter]"},
                {"sntpd_recipient_limit = 1\n",
                 "dir/main.cf:1: error: unknown parameter sntpd_recipient_limit (did you mean "
                 "smtpd_recipient_limit?) [unknown-parameter]"},
                {"smtpd_banner = $mynmae\n", "dir/main.cf:1: warning: $mynmae is not set anywhere, "
                                             "and stands for nothing [undefined-name]"},
                {"smtpd_banner = a\n $mail_nam\n",
                 "dir/main.cf:2: warning: $mail_nam is not set anywhere, and stands for nothing "
                 "(did you mean mail_name?) [undefined-name]"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct findings f;
                struct config *c = fixture_read(cases[i].text, NULL, &f);
                assert_true(fixture_has(&f, cases[i].error));
                assert_null(f.first->next);
                fixture_done(&c, &f);
        }
}

/* Names of a user's own count when something that counts refers to them. */
static void made_up(void **state)
{
        static const struct {
                const char *text;
                unsigned errors;
        } cases[] = {
                {"mine = x\n", 1},
                {"mine = x\nsmtpd_banner = $mine\n", 0},
                {"mine = x\nsmtpd_banner = ${stress?$mine}\n", 0},
                {"mine = x\nyours = $mine\n", 2},
                {"mine = x\nyours = $mine\nsmtpd_banner = $yours\n", 0},
                {"mine = $yours\nyours = $mine\n", 2},
                {"mine = $mine\nsmtpd_noop_commands = ${stress?$mine}\n",
                 1}, /* only under stress, but then */
                {"smtpd_restriction_classes = strict, lax\nstrict = reject\nlax = $own\nown = x\n",
                 0},
                {"smtpd_restriction_classes = $list\nlist = strict\nstrict = reject\n", 0},
                {"smtpd_milters =\nmilter_connect_macros = $mine\nmine = j\n", 0},
                {"smtpd_banner = $$mine\nmine = x\n", 1},
                {"relay_domains = proxy:pgsql:doms\ndoms_hosts = x\ndoms_qery = y\n", 1},
                {"relay_domains = static:x, ldap:doms\ndoms_bind_dn = $mine\nmine = x\n", 0},
                {"relay_domains = hash:doms\ndoms_hosts = x\n", 1},
                {"relay_domains = mysql:/doms\n_hosts = x\n", 1},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct findings f;
                struct config *c = fixture_read(cases[i].text, NULL, &f);
                if (f.count[SEVERITY_ERROR] != cases[i].errors)
                        fail_msg("%s: %zu errors", cases[i].text, f.count[SEVERITY_ERROR]);
                fixture_done(&c, &f);
        }
}

static void not_honoured(void **state)
{
        static const struct {
                const char *text, *finding; /* NULL: nothing to say */
        } cases[] = {
                {"biff = no\n", "dir/main.cf:1: note: biff changes nothing here: nobody is told by "
                                "biff(1) [parameter-not-needed]"},
                {"biff = yes\n", NULL},
                {"smtpd_sasl_auth_enable = yes\n",
                 "dir/main.cf:1: warning: smtpd_sasl_auth_enable has no effect yet: users cannot "
                 "sign in yet (SMTP AUTH) [parameter-without-effect]"},
                {"smtpd_sasl_auth_enable = no\n", NULL},
                {"smtpd_milters =\n", NULL},
                {"empty =\nsmtpd_milters = $empty\n", NULL},
                {"tlsproxy_tls_ciphers = $smtpd_tls_ciphers\n", NULL},
                {"2bounce_notice_recipient = other@example.com\n", NULL},
                {"smtp_destination_rate_delay = 1s\n", NULL},
                {"smtp_destination_rate_delay = 0\n", NULL},
                {"mime_header_checks =\nheader_checks = pcre:/x\n", NULL},
                {"mime_header_checks = $header_checks\nheader_checks = pcre:/x\n", NULL},
                {"postscreen_command_filter = x\n",
                 "dir/main.cf:1: error: postscreen_command_filter: commands are not rewritten before "
                 "postscreen's tests (remove the line if mail may pass without it) [parameter-refused]"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct findings f;
                struct config *c = fixture_read(cases[i].text, NULL, &f);
                if (cases[i].finding)
                        assert_true(fixture_has(&f, cases[i].finding));
                else
                        assert_null(f.first);
                fixture_done(&c, &f);
        }
        struct findings f;
        struct config *c =
                fixture_read("", "smtp inet n - n - - smtpd -o postscreen_command_filter=x\n", &f);
        const struct finding *found = fixture_find(&f, "parameter-refused");
        assert_non_null(found);
        assert_str_equal(found->file, "dir/master.cf");
        fixture_done(&c, &f);
}

/* Each default is a value that its own row allows, refers only to known names, and names are once. */
static void the_tables_are_right(void **state)
{
        struct findings f;
        struct config *c = fixture_read("", NULL, &f);
        assert_null(f.first);
        const struct declaration *d, *before = NULL;
        size_t honoured = 0, count = 0;
        for (; (d = declaration_at(count)); count++) {
                if (before && strcmp(before->name, d->name) >= 0)
                        fail_msg("%s is declared twice", d->name);
                before = d;
                assert_ptr_equal(declaration_find(str_from(d->name)), d);
                assert_true(strlen(d->help) > 0 && strlen(d->help) < 200);
                struct config_description about;
                assert_true(config_describe(str_from(d->name), &about));
                assert_int_equal(about.fate, d->fate);
                if (d->fate != CONFIG_HONOURED)
                        continue;
                honoured++;
                assert_true(strlen(about.room) > 0 && strlen(about.title) > 0);
                assert_true(d->min <= d->max);
        }
        assert_true(honoured > 250);
        assert_true(count - honoured > 200);
        fixture_done(&c, &f);

        /* said aloud, the defaults are accepted without a word */
        static char text[256 * 1024];
        size_t at = 0;
        for (size_t i = 0; (d = declaration_at(i)); i++)
                if (d->initial[0] != '(' && d->fate == CONFIG_HONOURED)
                        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s = %s\n", d->name,
                                               d->initial);
        assert_true(at < sizeof(text));
        c = fixture_read(text, NULL, &f);
        if (f.first) {
                static char line[2000];
                finding_format(f.first, line, sizeof(line));
                fail_msg("%s", line);
        }
        fixture_done(&c, &f);
}

static void distances(void **state)
{
        static const struct {
                const char *a, *b;
                unsigned max, wanted;
        } cases[] = {
                {"", "", 3, 0},        {"a", "a", 3, 0},       {"a", "A", 3, 0},
                {"abc", "acb", 3, 1},  {"abc", "abd", 3, 1},   {"abc", "ab", 3, 1},
                {"abc", "xabc", 3, 1}, {"abcd", "badc", 3, 2}, {"abc", "xyz", 3, 3},
                {"abc", "xyz", 1, 2},  {"", "abcd", 9, 4},     {"", "abcd", 2, 3},
                {"ca", "abc", 5, 3},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct str a = str_from(cases[i].a), b = str_from(cases[i].b);
                assert_int_equal(text_distance(a, b, cases[i].max), cases[i].wanted);
                assert_int_equal(text_distance(b, a, cases[i].max), cases[i].wanted);
        }
        static char long_name[1000];
        memset(long_name, 'x', sizeof(long_name) - 1);
        assert_int_equal(text_distance(str_from(long_name), str_from(long_name), 3), 4);
        assert_null(declaration_nearest(str_from(long_name)));
        assert_string_equal(config_nearest(STR("relay_domain")), "relay_domains");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(mistyped),     cmocka_unit_test(made_up),
                cmocka_unit_test(not_honoured), cmocka_unit_test(the_tables_are_right),
                cmocka_unit_test(distances),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
