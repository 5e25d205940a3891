/*
 * pattern_test.c - regexp: and pcre: tables: what matches, what comes out, what is wrong, what is
 * too much
 */
#include "table/table_private.h"
#include "table/table_unit.h"

/* Both types, in one table of cases; NULL: the case is for the other type alone. */
static void rules_answer_in_order(void **state)
{
        static const char text[] = "# rules\n"
                                   "/^one$/ first\n"
                                   "/^ONE$/i never: i makes it exact\n"
                                   "/^TWO$/i exact\n"
                                   "!/^[a-z0-9@. ]*$/ odd bytes\n"
                                   "if /^x/\n"
                                   "/^x(a)?b(c)?$/ [$1][${2}][$(1)]$$\n"
                                   "if !/^xz/\n"
                                   "/^x./\tnot z\n"
                                   "endif\n"
                                   "/^xz/ z\n"
                                   "ENDIF\n"
                                   "~^/usr/(.*)~ never: odd bytes\n"
                                   "/^(.*)-outgoing@(.*)$/ never: odd bytes\n"
                                   "/^([^@]+)@(.*)\\.example$/\n"
                                   "    ${1} at\n"
                                   "    $2\n"
                                   "! ! /^even$/ even\n";
        static const struct {
                const char *key;
                const char *value;
        } cases[] = {
                {"one", "first"},
                {"ONE", "first"},
                {"two", "-"},
                {"TWO", "exact"},
                {"/usr/x", "odd bytes"},
                {"a-outgoing@b", "odd bytes"},
                {"xb", "[][][]$"},
                {"xab", "[a][][a]$"},
                {"xabc", "[a][c][a]$"},
                {"XABC", "[A][C][A]$"},
                {"xq", "not z"},
                {"xz", "z"},
                {"x", "-"},
                {"who@mail.example", "who at    mail"},
                {"even", "even"},
                {"odd", "-"},
                {"", "-"},
        };
        static const char *const types[] = {"regexp:t", "pcre:t"};
        for (size_t i = 0; i < 2; i++) {
                struct bench b;
                bench_init(&b);
                bench_write(&b, "t", text);
                struct table *t = bench_must_open(&b, types[i]);
                assert_true(table_is_pattern(t));
                for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
                        assert_string_equal(bench_find(&b, t, cases[k].key), cases[k].value);
                assert_null(b.findings.first);
                bench_done(&b);
        }
}

/* A pattern that is meant for encoded words, and what it does. */
static void an_encoded_word_needs_a_backslash(void **state)
{
        static const char *const types[] = {"regexp:t", "pcre:t"};
        for (size_t i = 0; i < 2; i++) {
                struct bench b;
                bench_init(&b);
                bench_write(&b, "t", "/^Subject: =?big5?/ REJECT Chinese encoding not allowed.\n");
                struct table *t = bench_must_open(&b, types[i]);
                assert_string_equal(bench_find(&b, t, "Subject: =?big5?B?pKQ=?="), "-");
                assert_string_equal(bench_find(&b, t, "Subject: Big sale"),
                                    "REJECT Chinese encoding not allowed.");
                bench_expect(&b, "pattern-quantifier", 1, "=?");
                bench_done(&b);
        }
}

static void doubts_name_the_line(void **state)
{
        static const struct {
                const char *rule;
                const char *code; /* NULL: no doubt */
        } cases[] = {
                {"/^Subject: =\\?big5\\?/ x", NULL},
                {"/a=?b/ x", "pattern-quantifier"},
                {"/=?(koi8|big5)/ x", "pattern-quantifier"},
                {"/[=?a]/ x", NULL},
                {"/name=?/ x", NULL},
                {"// x", "pattern-matches-all"},
                {"!// x", "pattern-matches-all"},
                {"/a*/ x", "pattern-matches-all"},
                {"/(spam|)/ x", "pattern-matches-all"},
                {"/.*/ x", NULL},
                {"/^/ x", NULL},
                {"/./ x", NULL},
                {"/^$/ x", NULL},
                {"!/./ x", NULL},
                {"if /x/ text\nendif", "table-extra-text"},
                {"if /x/\nendif text", "table-extra-text"},
                {"/a/X x", "pattern-flag"},
                {"/a^b/ x", "pattern-matches-nothing"},
                {"/a$b/ x", "pattern-matches-nothing"},
                {"/^Subject$: x/ x", "pattern-matches-nothing"},
                {"/\\p{Han}/ x", "pattern-matches-nothing"},
                {"/\\p{Latin}/ x", NULL},
                {"/(*UTF)\\p{Han}/ x", NULL},
                {"/(^a|b$)/ x", NULL},
                {"/a?^b|[a^$b]|a\\^b|a\\$b/ x", NULL},
                {"/a^b/m x", NULL},
                {"# matches: a spam\n# not: ham\n/spam/ x", NULL},
                {"# matches: ham\n/spam/ x", "pattern-example"},
                {"# not: spam\n/spam/ x", "pattern-example"},
                {"## NOT: a spam\n# why\n/spam/ x", "pattern-example"},
                {"# matches: ham\n\n/spam/ x", NULL}, /* not right above it */
                {"# matches: ham\n!/spam/ x", NULL},
                {"# not: ham\n!/spam/ x", "pattern-example"},
                {"# matches: a\\nb\n/a\\nb/ x", NULL},
                {"/x/ y\n  z\n# matches: ham\n/spam/ x", "pattern-example"},
                {"# matches: ham\nif /spam/\n# matches: b\n/b/ x\nendif", "pattern-example"},
                {"# matches:\n/^$/ x", NULL},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct bench b;
                bench_init(&b);
                bench_write(&b, "t", cases[i].rule);
                bench_must_open(&b, "pcre:t");
                if (!cases[i].code && b.findings.first)
                        fail_msg("%s: %s", cases[i].rule, b.findings.first->code);
                if (cases[i].code && !bench_finding(&b, cases[i].code))
                        fail_msg("%s: no doubt", cases[i].rule);
                bench_done(&b);
        }
}

static void letters_that_are_no_class_are_pointed_out(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "/[\\d]/ x\n/^[0-9]\\d$/ y\n");
        bench_must_open(&b, "regexp:t");
        bench_expect(&b, "pattern-escape", 2, "\\d");
        assert_int_equal(bench_count(&b, "pattern-escape"), 1);
        bench_must_open(&b, "pcre:t");
        assert_int_equal(bench_count(&b, "pattern-escape"), 1);
        bench_done(&b);
}

static void flags_of_pcre(void **state)
{
        static const struct {
                const char *rule;
                const char *key;
                const char *value;
        } cases[] = {
                {"/a.b/ x", "a\nb", "x"},
                {"/a.b/s x", "a\nb", "-"},
                {"/^b/ x", "a\nb", "-"},
                {"/^b/m x", "a\nb", "x"},
                {"/a b/x x", "ab", "x"},
                {"/b/A x", "ab", "-"},
                {"/b$/ x", "b\n", "x"},
                {"/b$/E x", "b\n", "-"},
                {"/(a+)/ $1", "aaa", "aaa"},
                {"/(a+)/U $1", "aaa", "a"},
                {"/\\d+/ x", "7", "x"},
                {"/^.$/ x", "\xc3\xa9", "-"}, /* bytes */
                {"/(*UTF)^.$/ x", "\xc3\xa9", "x"},
                {"/(*UTF)./ x", "\xff", "-"},
                {"!/(*UTF)./ x", "\xff", "x"},
                {"/A/ii x", "a", "x"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct bench b;
                bench_init(&b);
                bench_write(&b, "t", cases[i].rule);
                assert_string_equal(bench_find(&b, bench_must_open(&b, "pcre:t"), cases[i].key),
                                    cases[i].value);
                bench_done(&b);
        }
}

static void flags_of_regexp(void **state)
{
        static const struct {
                const char *rule;
                const char *key;
                const char *value;
        } cases[] = {
                {"/a.b/ x", "a\nb", "x"}, {"/a.b/m x", "a\nb", "-"},
                {"/^b/ x", "a\nb", "-"},  {"/^b/m x", "a\nb", "x"},
                {"/b$/ x", "b\n", "-"},   {"/a+/x x", "aa", "-"},
                {"/a+/x x", "a+", "x"},   {"/\\(a\\)\\1/x [$1]", "aa", "[a]"},
                {"/A/i x", "a", "-"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct bench b;
                bench_init(&b);
                bench_write(&b, "t", cases[i].rule);
                assert_string_equal(bench_find(&b, bench_must_open(&b, "regexp:t"), cases[i].key),
                                    cases[i].value);
                bench_done(&b);
        }
}

static void errors_have_their_line(void **state)
{
        static const struct {
                const char *text;
                const char *why;
        } cases[] = {
                {"/^Subject: x/\nREJECT\n", "t:1: a pattern without a result"},
                {"/ok/ x\n\n/g/\n", "t:3: a pattern without a result"},
                {"REJECT\n", "t:1: a pattern between two slashes"},
                {"/a/ x\nk /y/ z\n", "t:2: a pattern between two slashes"},
                {"/a x\n", "t:1: the pattern has no second \"/\""},
                {"/a\\/ x\n", "no second \"/\""},
                {"/a/q x\n", "\"q\" is no flag"},
                {"/a/i!/b/ x\n", "if !/second/"},
                {"/a/ $1\n", "the pattern has 0 groups"},
                {"/(a)/ $2\n", "the pattern has 1 group"},
                {"/(a)/ $0\n", "the result says $0"},
                {"/(a)/ $1x\n", "${1}text"},
                {"/(a)/ ${1?x}\n", "${1}text"},
                {"/(a)/ ${1\n\n", NULL},
                {"/a/ 5 $ only\n", "write $$ for a dollar"},
                {"/a/ $name\n", "write $$ for a dollar"},
                {"!/(a)/ $1\n", "a negated pattern"},
                {"/(a/ x\n", "t:1: the pattern is wrong"},
                {"/[z-a]/ x\n", "the pattern is wrong"},
                {"if /a/\n/b/ x\n", "t:1: the if of this line has no endif"},
                {"endif\n", "an endif without an if"},
                {" /a/ x\n", "begins with a blank"},
                {"!\n", "a pattern between two slashes"},
        };
        static const char *const types[] = {"regexp:t", "pcre:t"};
        for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
                struct bench b;
                bench_init(&b);
                bench_write(&b, "t", cases[i / 2].text);
                struct table *t = bench_open(&b, types[i % 2]);
                if (cases[i / 2].why) {
                        if (t)
                                fail_msg("taken: %s", cases[i / 2].text);
                        bench_why_has(&b, cases[i / 2].why);
                }
                bench_done(&b);
        }
}

static void a_runaway_match_is_an_error(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "# evil\n/^(a+)+$/ x\n");
        char key[60];
        memset(key, 'a', sizeof(key));
        memcpy(key + sizeof(key) - 2, "!", 2);
        static const char *const types[] = {"regexp:t", "pcre:t"};
        for (size_t i = 0; i < 2; i++) {
                struct table *t = bench_must_open(&b, types[i]);
                assert_string_equal(bench_find(&b, t, key), "!");
                bench_why_has(&b, types[i]);
                bench_why_has(&b, "line 2: the pattern needs too many steps");
                assert_string_equal(bench_find(&b, t, "aaa"), "x");
        }
        bench_done(&b);
}

static void a_result_has_a_limit(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "/^(.*)$/ $1$1\n");
        struct table *t = bench_must_open(&b, "pcre:t");
        size_t half = TABLE_RESULT_BYTES_MAX / 2;
        char *key = malloc(half + 2);
        memset(key, 'k', half + 1);
        key[half + 1] = '\0';
        assert_string_equal(bench_find(&b, t, key), "!");
        bench_why_has(&b, "at most 65536");
        key[half] = '\0';
        assert_int_equal(strlen(bench_find(&b, t, key)), half * 2);
        free(key);
        bench_done(&b);
}

static void patterns_have_limits(void **state)
{
        struct bench b;
        bench_init(&b);
        FILE *f = fopen(bench_path(&b, "long"), "w");
        fprintf(f, "/a/ x\n/");
        for (int i = 0; i < 16385; i++)
                fputc('a', f);
        fprintf(f, "/ x\n");
        fclose(f);
        assert_null(bench_open(&b, "pcre:long"));
        bench_why_has(&b, "long:2: a pattern of 16385 bytes");

        f = fopen(bench_path(&b, "groups"), "w");
        fputc('/', f);
        for (int i = 0; i < 120; i++)
                fprintf(f, "(a)?");
        fprintf(f, "/ $100\n");
        fclose(f);
        assert_null(bench_open(&b, "pcre:groups"));
        bench_why_has(&b, "at most $99");

        bench_write(&b, "big", "/((a{1000}){1000}){1000}/ x\n");
        assert_null(bench_open(&b, "regexp:big"));
        bench_why_has(&b, "big:1: the pattern is wrong");

        FILE *many = fopen(bench_path(&b, "many"), "w");
        assert_int_equal(ftruncate(fileno(many), (16 << 20) + 1), 0);
        fclose(many);
        assert_null(bench_open(&b, "pcre:many"));
        bench_why_has(&b, "at most 16777216 are read");
        bench_done(&b);
}

/* More groups than a match keeps: the first of them still come out. */
static void many_groups_are_no_harm(void **state)
{
        struct bench b;
        bench_init(&b);
        FILE *f = fopen(bench_path(&b, "t"), "w");
        fputc('/', f);
        for (int i = 0; i < 150; i++)
                fprintf(f, "(%c)", 'a' + i % 26);
        fprintf(f, "/ $1 $99\n");
        fclose(f);
        char key[151];
        for (int i = 0; i < 150; i++)
                key[i] = (char)('a' + i % 26);
        key[150] = '\0';
        assert_string_equal(bench_find(&b, bench_must_open(&b, "pcre:t"), key), "a u");
        bench_done(&b);
}

static void rules_may_stand_in_main_cf(void **state)
{
        struct bench b;
        bench_init(&b);
        struct table *t = bench_must_open(&b, "pcre:{ {/^a{2}$/ two, a}, { /(b)/ [$1] } }");
        assert_string_equal(bench_find(&b, t, "aa"), "two, a");
        assert_string_equal(bench_find(&b, t, "b"), "[b]");
        assert_null(bench_open(&b, "regexp:{{/(b/ x}}"));
        bench_why_has(&b, "the pattern is wrong");
        assert_null(strstr(b.why.text, ":1:")); /* there is no file to name a line of */
        bench_done(&b);
}

static void characters_or_bytes(void **state)
{
        struct bench b;
        struct str value;
        struct why why;
        bench_init(&b);
        bench_write(&b, "t", "# matches: \xe4\xb8\xad\n/\\p{Han}/ han\n/^.$/ one\n");
        struct table *utf8 = bench_must_open(&b, "pcre-utf8:t");
        assert_null(b.findings.first);
        struct table *bytes = bench_must_open(&b, "pcre:t");
        assert_non_null(bench_finding(&b, "pattern-matches-nothing"));
        assert_int_equal(await_table_find(utf8, STR("a\xe4\xb8\xad"), &b.arena, &value, &why),
                         TABLE_FOUND);
        assert_str_equal(value, "han");
        assert_int_equal(await_table_find(utf8, STR("\xc3\xa4"), &b.arena, &value, &why),
                         TABLE_FOUND);
        assert_str_equal(value, "one");
        assert_int_equal(await_table_find(utf8, STR("\xe4"), &b.arena, &value, &why),
                         TABLE_NOT_FOUND);
        assert_int_equal(await_table_find(bytes, STR("a\xe4\xb8\xad"), &b.arena, &value, &why),
                         TABLE_NOT_FOUND);
        assert_int_equal(await_table_find(bytes, STR("\xe4"), &b.arena, &value, &why), TABLE_FOUND);
        bench_done(&b);
}

/* Who explains an answer names its rule as it is written; a pipemap: that says nothing names none. */
static void the_rule_that_answered_is_named(void **state)
{
        static const struct {
                const char *spec, *key;
                enum table_result result;
                const char *table;
                int line;
                const char *pattern;
        } cases[] = {
                {"pcre:t", "one", TABLE_FOUND, "pcre:t", 2, "/^one$/i"},
                {"pcre:t", "x two", TABLE_FOUND, "pcre:t", 4, "! /^two/"},
                {"pcre:t", "two", TABLE_NOT_FOUND, "", 0, ""},
                {"regexp:t", "one", TABLE_FOUND, "regexp:t", 2, "/^one$/i"},
                {"hash:h", "one", TABLE_FOUND, "hash:h", 0, ""},
                {"unionmap:{pcre:t, hash:h}", "one", TABLE_FOUND, "pcre:t", 2, "/^one$/i"},
                {"pipemap:{pcre:t, hash:h}", "one", TABLE_NOT_FOUND, "", 0, ""},
        };
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "# rules\n/^one$/i first\nif !/^two/\n! /^two/ odd\nendif\n");
        bench_write(&b, "h", "one 1\n");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct table *t = bench_must_open(&b, cases[i].spec);
                struct table_rule rule = {.line = -1};
                struct str value;
                assert_int_equal(await_table_find_rule(t, str_from(cases[i].key), &b.arena, &value,
                                                       &rule, &b.why),
                                 cases[i].result);
                assert_true(str_eq(rule.table, str_from(cases[i].table)));
                assert_int_equal(rule.line, cases[i].line);
                assert_true(str_eq(rule.pattern, str_from(cases[i].pattern)));
        }
        /* no more of a long pattern than anybody reads */
        char text[2000];
        memset(text, 'a', sizeof(text));
        memcpy(text + sizeof(text) - 6, "/ yes", 6);
        text[0] = '/';
        bench_write(&b, "long", text);
        char key[2000];
        memset(key, 'a', sizeof(key));
        struct table_rule rule;
        struct str value;
        assert_int_equal(await_table_find_rule(bench_must_open(&b, "pcre:long"),
                                               str_make(key, sizeof(key)), &b.arena, &value, &rule,
                                               &b.why),
                         TABLE_FOUND);
        assert_int_equal(rule.pattern.len, 200);
        bench_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(characters_or_bytes),
                cmocka_unit_test(the_rule_that_answered_is_named),
                cmocka_unit_test(rules_answer_in_order),
                cmocka_unit_test(an_encoded_word_needs_a_backslash),
                cmocka_unit_test(doubts_name_the_line),
                cmocka_unit_test(letters_that_are_no_class_are_pointed_out),
                cmocka_unit_test(flags_of_pcre),
                cmocka_unit_test(flags_of_regexp),
                cmocka_unit_test(errors_have_their_line),
                cmocka_unit_test(a_runaway_match_is_an_error),
                cmocka_unit_test(a_result_has_a_limit),
                cmocka_unit_test(patterns_have_limits),
                cmocka_unit_test(many_groups_are_no_harm),
                cmocka_unit_test(rules_may_stand_in_main_cf),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
