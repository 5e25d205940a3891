/* text_test.c - hash: and its kin read the text of postmap(1) as postmap does */
#include "table/table_private.h"
#include "table/table_unit.h"

static void reads_what_postmap_reads(void **state)
{
        static const char text[] = "# comment\n"
                                   "a one\n"
                                   "b  two words  \n"
                                   "   more   \n"
                                   "# a comment does not end the entry\n"
                                   "\n"
                                   "\ttail\n"
                                   "\"q k\" quoted\n"
                                   "\"x\\\"y\" escaped\n"
                                   "a again\n"
                                   "UPPER@Example.COM Val\n"
                                   "novalue\n"
                                   "c\n"
                                   " on the next line\n"
                                   "bad\"quote val\n"
                                   "k\"e y\" inner\n"
                                   "z: alias\n"
                                   "crlf v\r\n"
                                   "cr2 a\r\n"
                                   " b\r\n"
                                   "last no newline";
        static const struct {
                const char *key;
                const char *value;
        } cases[] = {
                {"a", "one"},
                {"A", "one"},
                {"b", "two words     more   \ttail"},
                {"\"q k\"", "quoted"},
                {"q k", "-"},
                {"\"x\\\"y\"", "escaped"},
                {"upper@example.com", "Val"},
                {"UPPER@EXAMPLE.com", "Val"},
                {"novalue", "-"},
                {"c", "on the next line"},
                {"bad\"quote", "-"},
                {"k\"e y\"", "inner"},
                {"z:", "alias"},
                {"z", "-"},
                {"crlf", "v"},
                {"cr2", "a b"},
                {"last", "no newline"},
                {"", "-"},
                {"#", "-"},
                {"on", "-"},
        };
        static const char *const types[] = {"hash:t", "btree:t", "texthash:t", "proxy:hash:t"};
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                struct bench b;
                bench_init(&b);
                bench_write(&b, "t", text);
                struct table *t = bench_must_open(&b, types[i]);
                assert_str_equal(table_name(t), types[i]);
                assert_false(table_is_pattern(t));
                assert_false(table_has_any_key(t));
                for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
                        assert_string_equal(bench_find(&b, t, cases[k].key), cases[k].value);
                bench_expect(&b, "table-duplicate", 10, "\"a\"");
                bench_expect(&b, "table-no-value", 12, "\"novalue\"");
                bench_expect(&b, "table-open-quote", 15, "quote");
                bench_expect(&b, "table-alias-format", 17, "\"z:\"");
                assert_int_equal(b.findings.count[SEVERITY_WARNING], 4);
                assert_int_equal(b.findings.count[SEVERITY_ERROR], 0);
                assert_string_equal(bench_finding(&b, "table-duplicate")->file.ptr,
                                    bench_path(&b, "t"));
                bench_done(&b);
        }
}

static void empty_files_have_nothing(void **state)
{
        static const char *const texts[] = {"", "\n", "# only\n", " \r\n\t\n", "#"};
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                struct bench b;
                bench_init(&b);
                bench_write(&b, "t", texts[i]);
                struct table *t = bench_must_open(&b, "hash:t");
                assert_string_equal(bench_find(&b, t, "a"), "-");
                assert_string_equal(bench_find(&b, t, ""), "-");
                assert_null(b.findings.first);
                bench_done(&b);
        }
}

static void a_first_line_with_a_blank_is_ignored(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "# c\n lead v\n more\na b\n");
        struct table *t = bench_must_open(&b, "hash:t");
        assert_string_equal(bench_find(&b, t, "lead"), "-");
        assert_string_equal(bench_find(&b, t, "a"), "b");
        bench_expect(&b, "table-blank-start", 2, "ignored");
        bench_done(&b);
}

static void keys_with_any_bytes_are_safe(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "ab v\n");
        struct table *t = bench_must_open(&b, "hash:t");
        static const struct str keys[] = {
                STR_INIT("a\0b"), STR_INIT("ab\0"), STR_INIT("\0"), STR_INIT("\xff\xfe"), {"", 0}};
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                assert_int_equal(await_table_find(t, keys[i], &b.arena, &b.value, &b.why),
                                 TABLE_NOT_FOUND);
        bench_done(&b);
}

static char *repeat(char c, size_t count, const char *tail)
{
        char *text = malloc(count + strlen(tail) + 1);
        memset(text, c, count);
        memcpy(text + count, tail, strlen(tail) + 1);
        return text;
}

static void long_keys_and_values_have_limits(void **state)
{
        static const struct {
                size_t key;
                size_t value;
                const char *wrong; /* NULL: fits */
        } cases[] = {
                {TABLE_KEY_BYTES_MAX, 1, NULL},
                {TABLE_KEY_BYTES_MAX + 1, 1, "t:2: a key of 1001 bytes"},
                {1, TABLE_VALUE_BYTES_MAX, NULL},
                {1, TABLE_VALUE_BYTES_MAX + 1, "t:2: a value of 1048577 bytes"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct bench b;
                bench_init(&b);
                char *key = repeat('k', cases[i].key, "");
                char *value = repeat('v', cases[i].value, "");
                FILE *f = fopen(bench_path(&b, "t"), "w");
                fprintf(f, "a b\n%s %s\n", key, value);
                fclose(f);
                struct table *t = bench_open(&b, "hash:t");
                if (cases[i].wrong) {
                        assert_null(t);
                        bench_why_has(&b, cases[i].wrong);
                } else {
                        assert_non_null(t);
                        assert_string_equal(bench_find(&b, t, key), value);
                        char *longer = repeat('k', TABLE_KEY_BYTES_MAX + 1, "");
                        assert_string_equal(bench_find(&b, t, longer), "-");
                        free(longer);
                }
                free(key);
                free(value);
                bench_done(&b);
        }
}

static void what_is_no_text_is_refused(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write_bytes(&b, "t", "a b\nc\0d e\n", 10);
        assert_null(bench_open(&b, "hash:t"));
        bench_why_has(&b, "t:2: there is a NUL byte");
        bench_write(&b, "bom",
                    "\xef\xbb\xbf"
                    "a b\n");
        assert_string_equal(bench_find(&b, bench_must_open(&b, "hash:bom"), "a"), "b");
        bench_expect(&b, "table-byte-order-mark", 1, "byte order mark");
        bench_done(&b);
}

static void doubts_are_counted_not_repeated(void **state)
{
        struct bench b;
        bench_init(&b);
        FILE *f = fopen(bench_path(&b, "t"), "w");
        for (int i = 0; i < 1000; i++)
                fprintf(f, "same value%d\n", i);
        fclose(f);
        struct table *t = bench_must_open(&b, "hash:t");
        assert_string_equal(bench_find(&b, t, "same"), "value0");
        assert_int_equal(bench_count(&b, "table-duplicate"), TABLE_DOUBTS_MAX + 1);
        bench_expect(&b, "table-duplicate", TABLE_DOUBTS_MAX + 2, "and more");
        bench_done(&b);
}

/* Many entries, few of them lines: the index shrinks, and everything is still found. */
static void agrees_with_what_was_written(void **state)
{
        enum { ENTRIES = 20000 };
        struct bench b;
        bench_init(&b);
        FILE *f = fopen(bench_path(&b, "t"), "w");
        for (int i = 0; i < ENTRIES; i++)
                fprintf(f, "# one\n#two\n\nUser%d@Example.com\t%d times\n", i, i * 7);
        fclose(f);
        struct table *t = bench_must_open(&b, "hash:t");
        char key[40];
        char value[40];
        for (int i = 0; i < ENTRIES; i++) {
                snprintf(key, sizeof(key), "user%d@example.COM", i);
                snprintf(value, sizeof(value), "%d times", i * 7);
                assert_string_equal(bench_find(&b, t, key), value);
                snprintf(key, sizeof(key), "user%d@example.org", i);
                assert_string_equal(bench_find(&b, t, key), "-");
        }
        assert_null(b.findings.first);
        bench_done(&b);
}

struct visits {
        char text[200];
        size_t len;
        int left;
};

static bool note_visit(void *context, struct str key, struct str value)
{
        struct visits *v = context;
        v->len += (size_t)snprintf(v->text + v->len, sizeof(v->text) - v->len, "%.*s=%.*s;",
                                   STR_ARG(key), STR_ARG(value));
        return --v->left > 0;
}

static void entries_can_be_listed(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "Zeta one\nalpha two\nzeta three\nempty\n\n# no\nlast  four \n");
        struct table *t = bench_must_open(&b, "hash:t");
        struct visits all = {.left = 100};
        assert_true(table_each(t, note_visit, &all));
        assert_string_equal(all.text, "zeta=one;alpha=two;last=four;");
        struct visits some = {.left = 2};
        assert_true(table_each(t, note_visit, &some));
        assert_string_equal(some.text, "zeta=one;alpha=two;");
        struct visits pairs = {.left = 100};
        assert_true(table_each(bench_must_open(&b, "inline:{a=b, {C = d e}}"), note_visit, &pairs));
        assert_string_equal(pairs.text, "c=d e;a=b;");
        bench_write(&b, "none", "");
        struct visits none = {.left = 100};
        assert_true(table_each(bench_must_open(&b, "texthash:none"), note_visit, &none));
        assert_string_equal(none.text, "");
        assert_false(table_each(bench_must_open(&b, "static:x"), note_visit, &none));
        assert_false(table_each(bench_must_open(&b, "pcre:{{/x/ y}}"), note_visit, &none));
        bench_done(&b);
}

static void a_file_of_aliases_is_read_as_such(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "aliases", "# comment\nroot: admin\nPostmaster : root\n\"a b\": c\n  d\n");
        struct table *t = bench_must_open(&b, "hash:aliases");
        assert_string_equal(bench_find(&b, t, "ROOT"), "admin");
        assert_string_equal(bench_find(&b, t, "postmaster"), "root");
        assert_string_equal(bench_find(&b, t, "a b"), "c  d");
        assert_int_equal(bench_finding(&b, "table-alias-format")->severity, SEVERITY_NOTE);
        /* one entry that is none, and it is what postmap makes of it */
        bench_write(&b, "mixed", "root: admin\nuser admin\n");
        t = bench_must_open(&b, "hash:mixed");
        assert_string_equal(bench_find(&b, t, "root"), "-");
        assert_string_equal(bench_find(&b, t, "root:"), "admin");
        /* keys with colons in them are no aliases */
        bench_write(&b, "addresses", "2001:db8::1 REJECT\n");
        t = bench_must_open(&b, "hash:addresses");
        assert_string_equal(bench_find(&b, t, "2001:db8::1"), "REJECT");
        /* texthash: is never made by postalias */
        t = bench_must_open(&b, "texthash:aliases");
        assert_string_equal(bench_find(&b, t, "root"), "-");
        bench_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_file_of_aliases_is_read_as_such),
                cmocka_unit_test(reads_what_postmap_reads),
                cmocka_unit_test(empty_files_have_nothing),
                cmocka_unit_test(a_first_line_with_a_blank_is_ignored),
                cmocka_unit_test(keys_with_any_bytes_are_safe),
                cmocka_unit_test(long_keys_and_values_have_limits),
                cmocka_unit_test(what_is_no_text_is_refused),
                cmocka_unit_test(doubts_are_counted_not_repeated),
                cmocka_unit_test(agrees_with_what_was_written),
                cmocka_unit_test(entries_can_be_listed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
