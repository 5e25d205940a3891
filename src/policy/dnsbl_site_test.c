/* dnsbl_site_test.c - sites, filters, what answers mean */
#include "policy/dnsbl.h"

#include "base/unit.h"

static int parse(const char *text, bool takes_weight, struct dnsbl_site *out)
{
        struct why why;
        return dnsbl_site_parse(str_from(text), takes_weight, out, &why);
}

static void assert_matches(const char *site, const char *replies, const char *others)
{
        struct dnsbl_site s;
        assert_int_equal(parse(site, true, &s), 0);
        for (int pass = 0; pass < 2; pass++) {
                struct str rest = str_from(pass ? others : replies);
                struct str word;
                while (str_next_word(&rest, " ", &word)) {
                        unsigned a, b, c, d;
                        char text[20];
                        snprintf(text, sizeof(text), "%.*s", STR_ARG(word));
                        assert_int_equal(sscanf(text, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
                        unsigned char reply[4] = {(unsigned char)a, (unsigned char)b,
                                                  (unsigned char)c, (unsigned char)d};
                        assert_int_equal(dnsbl_filter_matches(&s.filter, reply), !pass);
                }
        }
}

static void sites_have_domain_filter_and_weight(void **state)
{
        struct dnsbl_site s;
        assert_int_equal(parse("zen.example", true, &s), 0);
        assert_true(str_eq(s.domain, STR("zen.example")));
        assert_int_equal(s.weight, 1);
        assert_false(s.filter.is_set);
        assert_int_equal(parse("zen.example.=127.0.0.2*-3", true, &s), 0);
        assert_true(str_eq(s.domain, STR("zen.example")));
        assert_int_equal(s.weight, -3);
        assert_true(s.filter.is_set);
        assert_int_equal(parse("l*1000000", true, &s), 0);
        assert_int_equal(s.weight, 1000000);
}

static void filters_choose_replies(void **state)
{
        assert_matches("l", "127.0.0.2 127.0.0.255 127.1.2.3", "");
        assert_matches("l=127.0.0.4", "127.0.0.4", "127.0.0.5 127.0.1.4");
        assert_matches("l=127.0.0.[2..11]", "127.0.0.2 127.0.0.11", "127.0.0.1 127.0.0.12");
        assert_matches("l=127.0.[0..2].[1;3;5..7;255]", "127.0.0.1 127.0.1.3 127.0.2.6 127.0.0.255",
                       "127.0.0.2 127.0.3.1");
        assert_matches("l=[0..255].[0..255].[0..255].[0..255]", "0.0.0.0 255.255.255.255", "");
}

static void what_is_wrong_is_refused(void **state)
{
        static const char *const wrong[] = {
                "",
                "=127.0.0.1",
                ".",
                ".a",
                "a..b",
                "a b",
                "a=",
                "a=127",
                "a=127.0.0",
                "a=127.0.0.",
                "a=127.0.0.256",
                "a=127.0.0.1.1",
                "a=127.0.0.[",
                "a=127.0.0.[]",
                "a=127.0.0.[1",
                "a=127.0.0.[2..1]",
                "a=127.0.0.[1..]",
                "a=127.0.0.[1;]",
                "a=127.0.0.1x",
                "a=127.0.0.-1",
                "a=127.0.0.0002",
                "a*",
                "a*x",
                "a*1.5",
                "a*2000000",
                "a*1*2",
                "a/b",
                "a=127.0.0.1=2",
        };
        struct dnsbl_site s;
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
                if (parse(wrong[i], true, &s) == 0)
                        fail_msg("\"%s\" was taken", wrong[i]);
        assert_int_not_equal(parse("a*2", false, &s), 0);
        assert_int_equal(parse("a=127.0.0.2", false, &s), 0);
        /* over the ceilings: a label, a name behind the nibbles of an IPv6 address */
        char label[70], name[200];
        memset(label, 'a', 64);
        label[64] = '\0';
        assert_int_not_equal(parse(label, false, &s), 0);
        label[63] = '\0';
        assert_int_equal(parse(label, false, &s), 0);
        snprintf(name, sizeof(name), "%s.%s.%s", label, label, label);
        assert_int_not_equal(parse(name, false, &s), 0);
}

static enum dnsbl_answer read_answer(enum dns_result result, const char *addresses,
                                     enum dnsbl_kind kind)
{
        struct dns_record records[4] = {{0}};
        struct dns_answer a = {.result = result, .records = records};
        struct str rest = str_from(addresses);
        struct str word;
        while (str_next_word(&rest, " ", &word)) {
                char text[20];
                unsigned b[4];
                snprintf(text, sizeof(text), "%.*s", STR_ARG(word));
                assert_int_equal(sscanf(text, "%u.%u.%u.%u", &b[0], &b[1], &b[2], &b[3]), 4);
                for (int i = 0; i < 4; i++)
                        records[a.count].address[12 + i] = (unsigned char)b[i];
                a.count++;
        }
        return dnsbl_answer_read(&a, kind);
}

static void answers_mean_what_rfc_5782_says(void **state)
{
        const enum dnsbl_kind of = DNSBL_OF_ADDRESSES;
        assert_int_equal(read_answer(DNS_FOUND, "127.0.0.2", of), DNSBL_LISTED);
        assert_int_equal(read_answer(DNS_FOUND, "127.0.0.2 127.0.0.10", of), DNSBL_LISTED);
        assert_int_equal(read_answer(DNS_FOUND, "127.9.8.7", of), DNSBL_LISTED);
        assert_int_equal(read_answer(DNS_NO_NAME, "", of), DNSBL_NOT_LISTED);
        assert_int_equal(read_answer(DNS_NO_DATA, "", of), DNSBL_NOT_LISTED);
        assert_int_equal(read_answer(DNS_FAILED, "", of), DNSBL_FAILED);
        assert_int_equal(read_answer(DNS_FOUND, "127.255.255.254", of), DNSBL_REFUSED);
        assert_int_equal(read_answer(DNS_FOUND, "127.255.255.1", of), DNSBL_REFUSED);
        assert_int_equal(read_answer(DNS_FOUND, "127.0.0.2 127.255.255.252", of), DNSBL_REFUSED);
        assert_int_equal(read_answer(DNS_FOUND, "127.255.254.1", of), DNSBL_LISTED);
        assert_int_equal(read_answer(DNS_FOUND, "192.0.2.1", of), DNSBL_OUT_OF_RANGE);
        assert_int_equal(read_answer(DNS_FOUND, "127.0.0.2 192.0.2.1", of), DNSBL_OUT_OF_RANGE);
        assert_int_equal(read_answer(DNS_FOUND, "127.0.0.1", of), DNSBL_OUT_OF_RANGE);
        assert_int_equal(read_answer(DNS_FOUND, "127.0.1.255", of), DNSBL_LISTED);
        assert_int_equal(read_answer(DNS_FOUND, "127.0.1.255", DNSBL_OF_NAMES), DNSBL_NOT_LISTED);
        assert_int_equal(read_answer(DNS_FOUND, "127.0.1.2", DNSBL_OF_NAMES), DNSBL_LISTED);
}

static void budgets_are_for_all_or_for_one(void **state)
{
        struct why why;
        int64_t n;
        assert_int_equal(dnsbl_budget_parse(STR(""), STR("a.example"), &n, &why), 0);
        assert_int_equal(n, 0);
        assert_int_equal(dnsbl_budget_parse(STR("100"), STR("a.example"), &n, &why), 0);
        assert_int_equal(n, 100);
        struct str text = STR("A.example=5, 100 b.example=0");
        assert_int_equal(dnsbl_budget_parse(text, STR("a.example"), &n, &why), 0);
        assert_int_equal(n, 5);
        assert_int_equal(dnsbl_budget_parse(text, STR("b.example"), &n, &why), 0);
        assert_int_equal(n, 0);
        assert_int_equal(dnsbl_budget_parse(text, STR("c.example"), &n, &why), 0);
        assert_int_equal(n, 100);
        assert_int_not_equal(dnsbl_budget_parse(STR("many"), STR("a"), &n, &why), 0);
        assert_int_not_equal(dnsbl_budget_parse(STR("a=-1"), STR("a"), &n, &why), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sites_have_domain_filter_and_weight),
                cmocka_unit_test(filters_choose_replies),
                cmocka_unit_test(what_is_wrong_is_refused),
                cmocka_unit_test(answers_mean_what_rfc_5782_says),
                cmocka_unit_test(budgets_are_for_all_or_for_one),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
