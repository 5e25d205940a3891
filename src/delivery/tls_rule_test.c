/* tls_rule_test.c - levels and policies: what is asked of a next hop, and which entries make no sense */
#include "delivery/tls_rule.h"

#include "base/unit.h"
#include "delivery/transport.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static struct arena arena;
static struct params params;

static void set_params(int level)
{
        params = (struct params){
                .smtp_tls_security_level = level,
                .smtp_tls_protocols = STR(">=TLSv1"),
                .smtp_tls_mandatory_protocols = STR(">=TLSv1.2"),
                .smtp_tls_ciphers = TLS_GRADE_MEDIUM,
                .smtp_tls_mandatory_ciphers = TLS_GRADE_HIGH,
                .tls_medium_cipherlist = STR("MEDIUM-LIST"),
                .tls_high_cipherlist = STR("HIGH-LIST"),
                .smtp_tls_exclude_ciphers = STR("RC4"),
                .smtp_tls_mandatory_exclude_ciphers = STR("MD5"),
                .smtp_tls_verify_cert_match = STR("hostname"),
                .smtp_tls_secure_cert_match = STR("nexthop, dot-nexthop"),
                .smtp_tls_fingerprint_cert_match = STR("AA:BB | CC:DD"),
        };
}

static void test_levels(void **state)
{
        static const struct {
                int level;
                const char *protocols, *ciphers, *excluded, *matches;
                bool needs_tls;
        } cases[] = {
                {TLS_LEVEL_MAY, ">=TLSv1", "MEDIUM-LIST", "RC4", "", false},
                {TLS_LEVEL_ENCRYPT, ">=TLSv1.2", "HIGH-LIST", "RC4 MD5", "", true},
                {TLS_LEVEL_FINGERPRINT, ">=TLSv1.2", "HIGH-LIST", "RC4 MD5", "AA:BB | CC:DD", true},
                {TLS_LEVEL_VERIFY, ">=TLSv1.2", "HIGH-LIST", "RC4 MD5", "hostname", true},
                {TLS_LEVEL_SECURE, ">=TLSv1.2", "HIGH-LIST", "RC4 MD5", "nexthop, dot-nexthop",
                 true},
        };
        for (size_t i = 0; i < COUNT(cases); i++) {
                struct tls_rule rule;
                set_params(cases[i].level);
                tls_rule_init(&rule, &params, STR("[mx.dest.test]:2525"), &arena);
                assert_int_equal(rule.level, cases[i].level);
                assert_str_equal(rule.protocols, cases[i].protocols);
                assert_str_equal(rule.ciphers, cases[i].ciphers);
                assert_str_equal(rule.excluded, cases[i].excluded);
                assert_str_equal(rule.matches, cases[i].matches);
                assert_str_equal(rule.nexthop_name, "mx.dest.test");
                assert_int_equal(tls_rule_needs_tls(&rule), cases[i].needs_tls);
        }
        struct tls_rule rule;
        set_params(TLS_LEVEL_UNSET);
        tls_rule_init(&rule, &params, STR("dest.test"), &arena);
        assert_int_equal(rule.level, TLS_LEVEL_NONE);
}

static void test_entries(void **state)
{
        static const struct {
                const char *entry;
                int level; /* -1: refused */
                const char *matches, *protocols, *excluded;
        } cases[] = {
                {"none", TLS_LEVEL_NONE, "", ">=TLSv1", "RC4"},
                {"MAY", TLS_LEVEL_MAY, "", ">=TLSv1", "RC4"},
                {"encrypt protocols=TLSv1.3 ciphers=medium", TLS_LEVEL_ENCRYPT, "", "TLSv1.3",
                 "RC4 MD5"},
                {"encrypt exclude=AES128:CAMELLIA", TLS_LEVEL_ENCRYPT, "", ">=TLSv1.2",
                 "RC4 MD5 AES128:CAMELLIA"},
                {"secure match=mx.dest.test:.dest.test", TLS_LEVEL_SECURE,
                 "mx.dest.test .dest.test", ">=TLSv1.2", "RC4 MD5"},
                {"verify", TLS_LEVEL_VERIFY, "hostname", ">=TLSv1.2", "RC4 MD5"},
                {"secure, servername=x.test, connection_reuse=yes", TLS_LEVEL_SECURE,
                 "nexthop, dot-nexthop", ">=TLSv1.2", "RC4 MD5"},
                {"fingerprint match=11:22:33 match=44:55|66:77", TLS_LEVEL_FINGERPRINT,
                 "AA:BB | CC:DD 11:22:33 44:55 66:77", ">=TLSv1.2", "RC4 MD5"},
                {"", -1, NULL, NULL, NULL},
                {"   ", -1, NULL, NULL, NULL},
                {"sometimes", -1, NULL, NULL, NULL},
                {"dane", -1, NULL, NULL, NULL},
                {"dane-only", -1, NULL, NULL, NULL},
                {"may match=x.test", -1, NULL, NULL, NULL},
                {"encrypt ciphers=best", -1, NULL, NULL, NULL},
                {"encrypt tafile=/etc/ca.pem", -1, NULL, NULL, NULL},
                {"fingerprint tafile=/etc/ca.pem", -1, NULL, NULL, NULL},
                {"secure tafile=", -1, NULL, NULL, NULL},
                {"encrypt protocols", -1, NULL, NULL, NULL},
                {"encrypt protocols=", -1, NULL, NULL, NULL},
        };
        for (size_t i = 0; i < COUNT(cases); i++) {
                struct tls_rule rule;
                struct why why = {0};
                set_params(TLS_LEVEL_MAY);
                tls_rule_init(&rule, &params, STR("dest.test"), &arena);
                int rc = tls_rule_apply(&rule, &params, str_from(cases[i].entry), &arena, &why);
                if (cases[i].level < 0) {
                        assert_int_equal(rc, -EINVAL);
                        assert_true(why.text[0]);
                        continue;
                }
                if (rc)
                        fail_msg("%s: %s", cases[i].entry, why.text);
                assert_int_equal(rule.level, cases[i].level);
                assert_str_equal(rule.matches, cases[i].matches);
                assert_str_equal(rule.protocols, cases[i].protocols);
                assert_str_equal(rule.excluded, cases[i].excluded);
        }
        /* trust anchors gather, and go with another level */
        struct tls_rule anchored;
        struct why reason;
        set_params(TLS_LEVEL_MAY);
        tls_rule_init(&anchored, &params, STR("dest.test"), &arena);
        assert_int_equal(tls_rule_apply(&anchored, &params,
                                        STR("secure tafile=/a.pem tafile=/b.pem"), &arena, &reason),
                         0);
        assert_str_equal(anchored.anchor_files, " /a.pem /b.pem");
        assert_int_equal(tls_rule_apply(&anchored, &params, STR("verify"), &arena, &reason), 0);
        assert_str_equal(anchored.anchor_files, "");
        /* no fingerprint anywhere */
        struct tls_rule rule;
        struct why why;
        set_params(TLS_LEVEL_MAY);
        params.smtp_tls_fingerprint_cert_match = STR("");
        tls_rule_init(&rule, &params, STR("dest.test"), &arena);
        assert_int_equal(tls_rule_apply(&rule, &params, STR("fingerprint"), &arena, &why), -EINVAL);
        /* an option over the limit */
        static char entry[8000];
        snprintf(entry, sizeof(entry), "secure match=%0*d", 5000, 1);
        assert_int_equal(tls_rule_apply(&rule, &params, str_from(entry), &arena, &why), -EINVAL);
}

static void test_matches(void **state)
{
        static const struct {
                int level;
                const char *matches;
                const char *expected; /* joined by blanks */
        } cases[] = {
                {TLS_LEVEL_SECURE, "nexthop, dot-nexthop", "dest.test .dest.test"},
                {TLS_LEVEL_VERIFY, "hostname", "mx.dest.test"},
                {TLS_LEVEL_VERIFY, "hostname:other.test", "mx.dest.test other.test"},
                {TLS_LEVEL_FINGERPRINT, "AA:BB | CC:DD EE:FF", "AA:BB CC:DD EE:FF"},
        };
        for (size_t i = 0; i < COUNT(cases); i++) {
                struct tls_rule rule = {.level = cases[i].level,
                                        .matches = str_from(cases[i].matches),
                                        .nexthop_name = STR("dest.test")};
                struct str rest = rule.matches;
                struct str one;
                struct str all = STR("");
                while (tls_rule_next_match(&rule, &rest, STR("mx.dest.test"), &arena, &one))
                        all = arena_printf(&arena, "%.*s%s%.*s", STR_ARG(all), all.len ? " " : "",
                                           STR_ARG(one));
                assert_str_equal(all, cases[i].expected);
        }
}

static void test_finding(void **state)
{
        static const struct {
                const char *nexthop;
                int level;
        } cases[] = {
                {"dest.test", TLS_LEVEL_ENCRYPT},      {"sub.dest.test", TLS_LEVEL_SECURE},
                {"a.sub.dest.test", TLS_LEVEL_SECURE}, {"[mx.dest.test]", TLS_LEVEL_NONE},
                {"[mx.dest.test]:25", TLS_LEVEL_MAY},  {"[sub.dest.test]", TLS_LEVEL_MAY},
                {"other.test", TLS_LEVEL_MAY},         {"dest.test:26", TLS_LEVEL_MAY},
        };
        struct why why;
        struct findings findings;
        findings_init(&findings);
        struct table_set *tables = table_set_new("/");
        struct place nowhere = {0};
        set_params(TLS_LEVEL_MAY);
        struct transport t = {
                .name = STR("smtp"),
                .params = &params,
                .tls_policies = table_list_open(
                        tables,
                        STR("inline:{ { dest.test = encrypt } { .dest.test = secure }"
                            " { [mx.dest.test] = none } { bad.test = nonsense } }"),
                        nowhere, &findings),
        };
        assert_non_null(t.tls_policies);
        struct tls_rule rule;
        for (size_t i = 0; i < COUNT(cases); i++) {
                assert_int_equal(
                        await_tls_rule(&t, str_from(cases[i].nexthop), &arena, &rule, &why), 0);
                if (rule.level != cases[i].level)
                        fail_msg("%s: level %d", cases[i].nexthop, rule.level);
        }
        /* what cannot be read makes mail wait */
        assert_int_equal(await_tls_rule(&t, STR("bad.test"), &arena, &rule, &why), -EAGAIN);
        assert_non_null(strstr(why.text, "nonsense"));
        t.tls_policies = table_list_open(tables, STR("static:none"), nowhere, &findings);
        assert_int_equal(await_tls_rule(&t, STR("x.test"), &arena, &rule, &why), 0);
        assert_int_equal(rule.level, TLS_LEVEL_NONE);
        table_set_free(&tables);
        findings_done(&findings);
}

static int begin(void **state)
{
        arena_init(&arena, 0);
        return 0;
}

static int end(void **state)
{
        arena_done(&arena);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_levels),
                cmocka_unit_test(test_entries),
                cmocka_unit_test(test_matches),
                cmocka_unit_test(test_finding),
        };
        return cmocka_run_group_tests(tests, begin, end);
}
