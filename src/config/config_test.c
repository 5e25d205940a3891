/* config_test.c - whole configurations */
#include "config/fixture.h"

static const char *source_path(const char *name)
{
        static char path[4096];
        const char *source = getenv("FOREPOST_SOURCE");
        snprintf(path, sizeof(path), "%s/tests/data/%s", source ? source : ".", name);
        return path;
}

static void types_and_defaults(void **state)
{
        struct findings f;
        struct config *c = fixture_read("myhostname = mx1.example.com\n"
                                        "smtpd_timeout = 2m\n"
                                        "maximal_queue_lifetime = 3\n"
                                        "message_size_limit = 1000000\n"
                                        "smtpd_helo_required = YES\n"
                                        "log_format = json\n"
                                        "smtp_tls_security_level = dane-only\n",
                                        NULL, &f);
        assert_null(f.first);
        const struct params *p = &c->params;
        assert_str_equal(p->mydomain, "example.com");
        assert_str_equal(p->mydestination, "mx1.example.com, localhost.example.com, localhost");
        assert_str_equal(p->smtpd_banner, "mx1.example.com ESMTP Forepost");
        assert_int_equal(p->smtpd_timeout, 120000);
        assert_int_equal(p->smtpd_starttls_timeout, 300000);
        assert_int_equal(p->maximal_queue_lifetime, 3 * 86400000LL);
        assert_int_equal(p->message_size_limit, 1000000);
        assert_true(p->smtpd_helo_required);
        assert_false(p->disable_vrfy_command);
        assert_int_equal(p->log_format, LOG_FORMAT_JSON);
        assert_int_equal(p->smtp_tls_security_level, TLS_LEVEL_DANE_ONLY);
        assert_int_equal(p->smtpd_tls_security_level, TLS_LEVEL_UNSET);
        assert_int_equal(p->smtpd_tls_ciphers, TLS_GRADE_MEDIUM);
        assert_int_equal(p->smtpd_forbid_bare_newline, BARE_NEWLINE_NORMALIZE);
        assert_str_equal(p->mynetworks, "127.0.0.0/8 [::1]/128");
        assert_str_equal(p->config_directory, "dir");
        fixture_done(&c, &f);
}

/* The article's relay as it is: no errors, and everything where it was written. */
static void reads_the_article(void **state)
{
        struct findings f;
        findings_init(&f);
        struct config *c = config_load(source_path("article"), NULL, &f);
        assert_non_null(c);
        assert_int_equal(f.count[SEVERITY_ERROR], 0);
        assert_int_equal(f.count[SEVERITY_WARNING], 0);
        const struct params *p = &c->params;
        assert_str_equal(p->smtpd_banner, "mx99.test.mydomain.com ESMTP Forepost");
        assert_str_equal(p->mydestination, "");
        assert_int_equal(p->unknown_local_recipient_reject_code, 500);
        assert_int_equal(p->in_flow_delay, 5000);
        assert_int_equal(config_place(c, "smtpd_recipient_restrictions").line, 20);
        struct str rest = p->smtpd_recipient_restrictions, item;
        size_t count = 0;
        while (config_list_next(&rest, &item)) {
                assert_int_equal(config_place_of(c, item).line, count < 2 ? 20 : 21);
                count++;
        }
        assert_int_equal(count, 14);
        fixture_done(&c, &f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(types_and_defaults),
                cmocka_unit_test(reads_the_article),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
