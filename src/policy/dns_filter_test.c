/* dns_filter_test.c - records as tables are asked about them, and what is left */
#include "policy/dns_filter.h"

#include "base/clock.h"
#include "policy/rig_unit.h"

#define ZONE                                 \
        "one.example 600 A 192.0.2.1\n"      \
        "one.example 600 A 192.0.2.2\n"      \
        "one.example AAAA 2001:db8::1\n"     \
        "one.example MX 10 mx.one.example\n" \
        "one.example MX 20 mx.two.example\n" \
        "one.example TXT \"some words\"\n"   \
        "one.example NS ns.example\n"        \
        "alias.example CNAME one.example\n"  \
        "null.example MX 0 .\n"              \
        "dead.example SERVFAIL\n"

struct bench {
        struct rig rig;
        struct dns_filter *filter;
        struct dns_questions *questions;
};

static void load(struct bench *b, const char *rules)
{
        char main_cf[4000];
        *b = (struct bench){0};
        rig_init(&b->rig);
        rig_dns(&b->rig, ZONE);
        rig_write(&b->rig, "filter", rules);
        snprintf(main_cf, sizeof(main_cf), RIG_MAIN_CF "smtpd_dns_reply_filter = pcre:%s/filter\n",
                 b->rig.dir);
        rig_load(&b->rig, main_cf);
        assert_false(findings_has_errors(&b->rig.findings));
        b->filter = dns_filter_open(b->rig.config, "smtpd_dns_reply_filter",
                                    b->rig.config->params.smtpd_dns_reply_filter, b->rig.tables,
                                    &b->rig.arena, &b->rig.findings);
        b->questions = dns_questions_new(b->rig.dns);
}

static void done(struct bench *b)
{
        dns_questions_free(&b->questions);
        rig_done(&b->rig);
}

static const struct dns_answer *find(struct bench *b, const char *name, enum dns_type type)
{
        const struct dns_answer *a = await_dns(b->questions, str_from(name), type, CLOCK_NEVER);
        return await_dns_filter(b->filter, a, type, &b->rig.arena);
}

static void each_type_has_its_text(void **state)
{
        static const struct {
                const char *rule;
                const char *name;
                enum dns_type type;
                size_t left;
        } rows[] = {
                {"/^one\\.example\\. 600 IN A 192\\.0\\.2\\.1$/ IGNORE", "one.example", DNS_A, 1},
                {"/^ONE\\.example\\. \\d+ in a 192\\.0\\.2\\.1$/ ignore", "one.example", DNS_A, 1},
                {"/^one\\.example\\. 600 IN A 192\\.0\\.2\\.3$/ IGNORE", "one.example", DNS_A, 2},
                {"/^one\\.example\\. 3600 IN AAAA 2001:db8::1$/ IGNORE", "one.example", DNS_AAAA,
                 0},
                {"/^one\\.example\\. 3600 IN MX 10 mx\\.one\\.example\\.$/ IGNORE", "one.example",
                 DNS_MX, 1},
                {"/^\\S+ \\S+ IN MX /  IGNORE", "one.example", DNS_MX, 0},
                {"/^one\\.example\\. 3600 IN TXT some words$/ IGNORE", "one.example", DNS_TXT, 0},
                {"/^one\\.example\\. 3600 IN NS ns\\.example\\.$/ IGNORE", "one.example", DNS_NS,
                 0},
                /* whoever has the records is named */
                {"/^one\\.example\\. / IGNORE", "alias.example", DNS_A, 0},
                {"/^alias\\.example\\. / IGNORE", "alias.example", DNS_A, 2},
                /* "takes no mail" is no record to overlook */
                {"/./ IGNORE", "null.example", DNS_MX, 1},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct bench b;
                load(&b, rows[i].rule);
                const struct dns_answer *a = find(&b, rows[i].name, rows[i].type);
                if (a->count != rows[i].left)
                        fail_msg("%s: %zu are left", rows[i].rule, a->count);
                assert_int_equal(a->result, rows[i].left ? DNS_FOUND : DNS_NO_DATA);
                assert_int_equal(a->is_dropped, rows[i].left == 0);
                done(&b);
        }
}

static void the_first_answer_stays_as_it_was(void **state)
{
        struct bench b;
        load(&b, "/IN A 192\\.0\\.2\\.1$/ IGNORE");
        const struct dns_answer *left = find(&b, "one.example", DNS_A);
        assert_string_equal(arena_str(&b.rig.arena, left->records[0].text).ptr, "192.0.2.2");
        assert_int_equal(dns_peek(b.questions, STR("one.example"), DNS_A)->count, 2);
        /* nothing goes: the answer itself */
        const struct dns_answer *whole = find(&b, "one.example", DNS_MX);
        assert_ptr_equal(whole, dns_peek(b.questions, STR("one.example"), DNS_MX));
        /* and what is none is not asked about */
        assert_int_equal(find(&b, "dead.example", DNS_A)->result, DNS_FAILED);
        assert_false(find(&b, "none.example", DNS_A)->is_dropped);
        assert_ptr_equal(await_dns_filter(NULL, left, DNS_A, &b.rig.arena), left);
        done(&b);
}

static void a_filter_that_cannot_be_used_is_a_failure(void **state)
{
        struct bench b;
        load(&b, "/IN A / PASS\n");
        const struct dns_answer *a = find(&b, "one.example", DNS_A);
        assert_int_equal(a->result, DNS_FAILED);
        assert_string_equal(a->why, "the DNS reply filter cannot be used");
        assert_non_null(strstr(rig_log(&b.rig), "smtpd_dns_reply_filter: \"PASS\" for "
                                                "\"one.example. 600 IN A 192.0.2.1\": only "
                                                "IGNORE is known"));
        done(&b);
        rig_init(&b.rig);
        rig_load(&b.rig, RIG_MAIN_CF "smtpd_dns_reply_filter = pcre:/nowhere\n");
        assert_true(findings_has_errors(&b.rig.findings));
        rig_done(&b.rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_type_has_its_text),
                cmocka_unit_test(the_first_answer_stays_as_it_was),
                cmocka_unit_test(a_filter_that_cannot_be_used_is_a_failure),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
