/*
 * cidr_test.c - cidr: tables answer as Postfix's do, and say what is wrong where Postfix skips a
 * rule
 */
#include "table/table_private.h"
#include "table/table_unit.h"

static void the_first_rule_counts(void **state)
{
        static const char text[] = "# rules\n"
                                   "192.168.1.1 OK\n"
                                   "192.168.0.0/16\tREJECT  all of it \r\n"
                                   "[10.1.0.0]/16 brackets\n"
                                   "10.0.0.0/8\n"
                                   "  on the next line\n"
                                   "2001:db8::1 one\n"
                                   "2001:db8::/32 six\n"
                                   "IF 172.16.0.0/12\n"
                                   "!172.16.5.0/24 not five\n"
                                   "if !172.16.5.128/25\n"
                                   "172.16.5.1 nested\n"
                                   "EndIf\n"
                                   "172.16.5.0/24 five\n"
                                   "endif\n"
                                   "if 203.0.113.0/24\n"
                                   "endif\n"
                                   "! 198.51.100.0/24 other\n";
        static const struct {
                const char *key;
                const char *value;
        } cases[] = {
                {"192.168.1.1", "OK"},
                {"192.168.1.2", "REJECT  all of it"},
                {"10.1.200.1", "brackets"},
                {"10.2.0.1", "on the next line"},
                {"2001:db8::1", "one"},
                {"2001:0db8:0:0:0:0:0:1", "one"},
                {"2001:db8:1::", "six"},
                {"172.16.4.1", "not five"},
                {"172.16.5.1", "nested"},
                {"172.16.5.2", "five"},
                {"172.16.5.200", "five"},
                {"203.0.113.1", "other"},
                {"198.51.100.9", "-"},
                {"2001:db9::1", "-"}, /* a negated IPv4 network says nothing about IPv6 */
                {"no address", "-"},
                {"", "-"},
        };
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", text);
        struct table *t = bench_must_open(&b, "cidr:t");
        assert_true(table_is_pattern(t));
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_string_equal(bench_find(&b, t, cases[i].key), cases[i].value);
        }
        assert_null(b.findings.first);
        bench_done(&b);
}

static void rules_may_stand_in_main_cf(void **state)
{
        struct bench b;
        bench_init(&b);
        struct table *t = bench_must_open(&b, "cidr:{ { 10.0.0.0/8 ten }, {::/0 six, of course} }");
        assert_string_equal(bench_find(&b, t, "10.1.1.1"), "ten");
        assert_string_equal(bench_find(&b, t, "::1"), "six, of course");
        assert_string_equal(bench_find(&b, t, "11.1.1.1"), "-");
        assert_null(bench_open(&b, "cidr:{ 10.0.0.0/8 ten }"));
        bench_why_has(&b, "no rule in braces");
        assert_null(bench_open(&b, "cidr:{ { 10.0.0.0/8 ten }"));
        bench_why_has(&b, "unbalanced braces");
        assert_null(bench_open(&b, "cidr:{ }"));
        bench_why_has(&b, "without a rule");
        bench_done(&b);
}

static void errors_have_their_line(void **state)
{
        static const struct {
                const char *text;
                const char *why;
        } cases[] = {
                {"10.0.0.0/8 a\n10.0.0.1/8 b\n", "t:2: \"10.0.0.1/8\" has host bits"},
                {"10.0.0.0/8\n", "t:1: a network without a result"},
                {"\n10.0.0.0/8\n11.0.0.0/8 x\n", "t:2: a network without a result"},
                {"example.com REJECT\n", "t:1: \"example.com\" is not an address"},
                {"010.0.0.1 oct\n", "leading zeros"},
                {" 10.0.0.0/8 x\n", "t:1: a line that begins with a blank"},
                {"endif\n", "t:1: an endif without an if"},
                {"if 10.0.0.0/8\n10.1.1.1 x\n", "t:1: the if of this line has no endif"},
                {"if\nendif\n", "t:1: a rule without a network"},
                {"! x\n", "is not an address"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct bench b;
                bench_init(&b);
                bench_write(&b, "t", cases[i].text);
                assert_null(bench_open(&b, "cidr:t"));
                bench_why_has(&b, cases[i].why);
                bench_done(&b);
        }
}

static void nesting_and_rules_have_limits(void **state)
{
        struct bench b;
        bench_init(&b);
        FILE *f = fopen(bench_path(&b, "deep"), "w");
        for (int i = 0; i <= RULE_NESTING_MAX; i++)
                fprintf(f, "if 10.0.0.0/8\n");
        fclose(f);
        assert_null(bench_open(&b, "cidr:deep"));
        bench_why_has(&b, "deep:33: more than 32 ifs");

        f = fopen(bench_path(&b, "many"), "w");
        for (int i = 0; i <= TABLE_RULES_MAX; i++)
                fprintf(f, "10.0.0.0/8 x\n");
        fclose(f);
        assert_null(bench_open(&b, "cidr:many"));
        bench_why_has(&b, "many:100001: more than 100000 rules");
        bench_done(&b);
}

static void the_rule_that_answered_is_named(void **state)
{
        struct bench b;
        struct table_rule rule;
        struct str value;
        bench_init(&b);
        bench_write(&b, "t", "10.0.0.0/8 ten\n\n!192.0.2.0/24 other\n");
        struct table *t = bench_must_open(&b, "cidr:t");
        assert_int_equal(await_table_find_rule(t, STR("10.1.1.1"), &b.arena, &value, &rule, &b.why),
                         TABLE_FOUND);
        assert_int_equal(rule.line, 1);
        assert_true(str_eq(rule.pattern, STR("10.0.0.0/8")));
        assert_int_equal(await_table_find_rule(t, STR("9.1.1.1"), &b.arena, &value, &rule, &b.why),
                         TABLE_FOUND);
        assert_int_equal(rule.line, 3);
        assert_true(str_eq(rule.pattern, STR("!192.0.2.0/24")));
        bench_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_rule_counts),
                cmocka_unit_test(the_rule_that_answered_is_named),
                cmocka_unit_test(rules_may_stand_in_main_cf),
                cmocka_unit_test(errors_have_their_line),
                cmocka_unit_test(nesting_and_rules_have_limits),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
