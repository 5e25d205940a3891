/* match_list_test.c - relay_domains, mynetworks and other lists answer as Postfix's do */
#include "table/table_private.h"
#include "table/table_unit.h"

static const char *find(struct bench *b, struct match_list *list, const char *key)
{
        struct str value = STR("not set");
        switch (await_match_list_find(list, str_from(key), &b->arena, &value, &b->why)) {
        case TABLE_FOUND:
                b->value = arena_str(&b->arena, value);
                return b->value.ptr;
        case TABLE_NOT_FOUND:
                assert_str_equal(value, "not set");
                return "-";
        default:
                return "!";
        }
}

static struct match_list *must_open(struct bench *b, const char *text, enum match_kind kind,
                                    bool parent_matches)
{
        struct match_list *list = match_list_open(b->set, str_from(text), kind, parent_matches,
                                                  bench_at, &b->findings);
        if (!list)
                fail_msg("%s: %.*s", text, STR_ARG(b->findings.first->text));
        return list;
}

static void domains(void **state)
{
        static const struct {
                const char *list;
                const char *key;
                const char *dotted;  /* without parent_domain_matches_subdomains */
                const char *parents; /* with it */
        } cases[] = {
                {"example.com", "example.com", "", ""},
                {"Example.COM", "eXample.com", "", ""},
                {"example.com", "a.example.com", "-", ""},
                {"example.com", "b.a.example.com", "-", ""},
                {"example.com", "xexample.com", "-", "-"},
                {"example.com", "com", "-", "-"},
                {"example.com", "", "-", "-"},
                {".example.com", "example.com", "-", "-"},
                {".example.com", "a.example.com", "", "-"},
                {".example.com", "b.a.example.com", "", "-"},
                {"a.example.com, example.com", "example.com", "", ""},
                {"!a.example.com, example.com .example.com", "a.example.com", "-", "-"},
                {"!a.example.com, example.com .example.com", "b.example.com", "", ""},
                {"!a.example.com, example.com", "x.a.example.com", "-", "-"},
                {"example.com !a.example.com", "a.example.com", "-", ""},
                {"!!example.com", "example.com", "", ""},
                {"hash:t", "table.example", "OK", "OK"},
                {"hash:t", "TABLE.example", "OK", "OK"},
                {"hash:t", "sub.table.example", "-", "OK"},
                {"hash:t", "a.dot.example", "DOT", "-"},
                {"hash:t", "dot.example", "-", "-"},
                {"!hash:t, example.com table.example", "table.example", "-", "-"},
                {"!hash:t, example.com table.example", "example.com", "", ""},
                {"table.example hash:t", "table.example", "", ""},
                {"hash:t table.example", "table.example", "OK", "OK"},
                {"pcre:{{/^example$/ wrong}, {/^(.*)\\.example$/ $1}}", "a.b.example", "a.b",
                 "a.b"},
                {"pcre:{{/^example$/ wrong}}", "a.example", "-", "-"},
                {"static:all", "what.ever", "all", "all"},
                {"", "example.com", "-", "-"},
        };
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "table.example OK\n.dot.example DOT\n");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                for (int parents = 0; parents < 2; parents++) {
                        struct match_list *list =
                                must_open(&b, cases[i].list, MATCH_DOMAIN, parents);
                        const char *said = find(&b, list, cases[i].key);
                        const char *expected = parents ? cases[i].parents : cases[i].dotted;
                        if (strcmp(said, expected) != 0)
                                fail_msg("%s in %s (%d): \"%s\"", cases[i].key, cases[i].list,
                                         parents, said);
                        assert_int_equal(match_list_is_empty(list), cases[i].list[0] == '\0');
                }
        bench_done(&b);
}

static void strings(void **state)
{
        struct bench b;
        bench_init(&b);
        struct match_list *list = must_open(
                &b, "root, !Nobody, inline:{ { x = y } } user@example.com", MATCH_STRING, true);
        assert_string_equal(find(&b, list, "ROOT"), "");
        assert_string_equal(find(&b, list, "nobody"), "-");
        assert_string_equal(find(&b, list, "X"), "y");
        assert_string_equal(find(&b, list, "user@example.com"), "");
        assert_string_equal(find(&b, list, "a.root"), "-");
        char *longer = malloc(TABLE_KEY_BYTES_MAX + 2);
        memset(longer, 'x', TABLE_KEY_BYTES_MAX + 1);
        longer[TABLE_KEY_BYTES_MAX + 1] = '\0';
        assert_string_equal(find(&b, list, longer), "-");
        free(longer);
        bench_done(&b);
}

static void addresses(void **state)
{
        static const struct {
                const char *key;
                const char *value;
        } cases[] = {
                {"127.0.0.1", ""},        {"127.255.0.1", ""},   {"10.0.0.1", "-"},
                {"10.0.1.1", ""},         {"::1", ""},           {"[::1]", ""},
                {"2001:db8::5", ""},      {"2001:db9::5", "-"},  {"192.0.2.7", "seven"},
                {"198.51.100.1", "cidr"}, {"host.example", "-"}, {"", "-"},
        };
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "192.0.2.7 seven\n");
        bench_write(&b, "c", "198.51.100.0/24 cidr\n");
        struct match_list *list = must_open(
                &b, "127.0.0.0/8 !10.0.0.0/24 10.0.0.0/8 [::1]/128 [2001:db8::]/32 hash:t cidr:c",
                MATCH_ADDRESS, false);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_string_equal(find(&b, list, cases[i].key), cases[i].value);
        bench_done(&b);
}

static void files_of_items(void **state)
{
        struct bench b;
        bench_init(&b);
        char text[300];
        bench_write(&b, "inner", "inner.example\n!not.example\n");
        snprintf(text, sizeof(text),
                 "# names\nOne.example, two.example\r\n\n  three.example\n%s/inner\n"
                 "hash:t\n",
                 b.dir);
        bench_write(&b, "outer", text);
        bench_write(&b, "t", "table.example yes\n");
        snprintf(text, sizeof(text), "first.example %s/outer not.example", b.dir);
        struct match_list *list = must_open(&b, text, MATCH_DOMAIN, false);
        static const char *const cases[][2] = {{"first.example", ""},    {"one.example", ""},
                                               {"two.example", ""},      {"three.example", ""},
                                               {"inner.example", ""},    {"not.example", "-"},
                                               {"table.example", "yes"}, {"other.example", "-"}};
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_string_equal(find(&b, list, cases[i][0]), cases[i][1]);

        /* ! in front of a file turns all of it round */
        snprintf(text, sizeof(text), "!%s/inner inner.example", b.dir);
        list = must_open(&b, text, MATCH_DOMAIN, false);
        assert_string_equal(find(&b, list, "inner.example"), "-");
        assert_string_equal(find(&b, list, "not.example"), "");

        /* a change is noticed, in the file and in the file that it names */
        bench_write(&b, "inner", "changed.example\n");
        table_set_refresh(b.set);
        snprintf(text, sizeof(text), "%s/outer", b.dir);
        list = must_open(&b, text, MATCH_DOMAIN, false);
        assert_string_equal(find(&b, list, "changed.example"), "");
        assert_string_equal(find(&b, list, "inner.example"), "-");
        bench_write(&b, "outer", "only.example hash:new\n");
        bench_write(&b, "new", "new.example yes\n");
        table_set_refresh(b.set);
        assert_string_equal(find(&b, list, "only.example"), "");
        assert_string_equal(find(&b, list, "new.example"), "yes");
        assert_string_equal(find(&b, list, "one.example"), "-");
        bench_done(&b);
}

static void errors_name_the_place(void **state)
{
        static const struct {
                const char *list;
                enum match_kind kind;
                const char *code;
                int line;
                const char *text;
        } cases[] = {
                {"192.0.2.1/24", MATCH_ADDRESS, "match-list-network", 12, "192.0.2.0/24"},
                {"relay.example", MATCH_ADDRESS, "match-list-network", 12, "not an address"},
                {"2001:db8::/32", MATCH_ADDRESS, "match-list-network", 12, "brackets"},
                {"/no/such/file", MATCH_DOMAIN, "table-missing", 12,
                 "/no/such/file does not exist"},
                {"!", MATCH_DOMAIN, "match-list-name", 12, "without a name"},
                {"hash:/no/such", MATCH_DOMAIN, "table-missing", 12, "/no/such does not exist"},
                {"hahs:/x", MATCH_STRING, "table-type-unknown", 12, "hahs"},
                {"FILE", MATCH_ADDRESS, "match-list-network", 2, "10.0.0.0/8"},
                {"CIRCLE", MATCH_DOMAIN, "match-list-depth", 1, "8 deep"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct bench b;
                bench_init(&b);
                char text[200];
                bench_write(&b, "f", "10.0.0.0/8\n10.1.0.0/8\n");
                snprintf(text, sizeof(text), "%s/circle\n", b.dir);
                bench_write(&b, "circle", text);
                snprintf(text, sizeof(text), "%s", cases[i].list);
                if (strcmp(text, "FILE") == 0)
                        snprintf(text, sizeof(text), "%s/f", b.dir);
                if (strcmp(text, "CIRCLE") == 0)
                        snprintf(text, sizeof(text), "%s/circle", b.dir);
                assert_null(match_list_open(b.set, str_from(text), cases[i].kind, true, bench_at,
                                            &b.findings));
                bench_expect(&b, cases[i].code, cases[i].line, cases[i].text);
                bench_done(&b);
        }
}

static void an_error_of_a_table_is_an_error(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "evil", "/^(a+)+$/ x\n");
        struct match_list *list =
                must_open(&b, "first.example pcre:evil other.example", MATCH_DOMAIN, true);
        char key[60];
        memset(key, 'a', sizeof(key));
        memcpy(key + 48, "!", 2);
        assert_string_equal(find(&b, list, key), "!");
        bench_why_has(&b, "pcre:evil");
        assert_string_equal(find(&b, list, "first.example"), "");
        assert_int_equal(await_match_list_find(list, STR("other.example"), &b.arena, NULL, &b.why),
                         TABLE_FOUND);
        bench_done(&b);
}

static void long_names_are_refused(void **state)
{
        struct bench b;
        bench_init(&b);
        char *name = malloc(TABLE_KEY_BYTES_MAX + 2);
        memset(name, 'x', TABLE_KEY_BYTES_MAX + 1);
        name[TABLE_KEY_BYTES_MAX + 1] = '\0';
        assert_null(
                match_list_open(b.set, str_from(name), MATCH_DOMAIN, true, bench_at, &b.findings));
        bench_expect(&b, "match-list-name", 12, "a name of 1001 bytes");
        free(name);
        bench_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(domains),
                cmocka_unit_test(strings),
                cmocka_unit_test(addresses),
                cmocka_unit_test(files_of_items),
                cmocka_unit_test(errors_name_the_place),
                cmocka_unit_test(an_error_of_a_table_is_an_error),
                cmocka_unit_test(long_names_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
