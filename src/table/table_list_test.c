/*
 * table_list_test.c - which keys are asked, of which tables, in which order
 *
 * The order is seen by tables that have one key each: with every key there, the first asked
 * answers; without it, the next.
 */
#include "table/table_private.h"
#include "table/table_unit.h"

static struct table_list *must_open(struct bench *b, const char *text)
{
        struct table_list *list = table_list_open(b->set, str_from(text), bench_at, &b->findings);
        if (!list)
                fail_msg("%s: %.*s", text, STR_ARG(b->findings.first->text));
        return list;
}

static struct table_address address_of(const char *local, const char *domain, bool is_local,
                                       const char *delimiters)
{
        return (struct table_address){str_from(local), str_from(domain), is_local,
                                      str_from(delimiters)};
}

/* "value" or "value|extension"; "-": nothing; "!": error */
static const char *find_address(struct bench *b, struct table_list *list,
                                const struct table_address *address)
{
        struct str extension = STR("not set");
        static char said[300];
        switch (await_table_list_find_address(list, address, &b->arena, &b->value, &extension,
                                              &b->why)) {
        case TABLE_FOUND:
                snprintf(said, sizeof(said), "%.*s%s%.*s", STR_ARG(b->value),
                         extension.len ? "|" : "", STR_ARG(extension));
                return said;
        case TABLE_NOT_FOUND:
                assert_int_equal(extension.len, 0);
                return "-";
        default:
                return "!";
        }
}

static void tables_are_asked_in_order(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "one", "a one\n");
        bench_write(&b, "two", "a two\nb two\n");
        struct table_list *list = must_open(
                &b, " hash:one,hash:two\n\tinline:{ { c = three }, d=four } static:{any thing}");
        static const char *const cases[][2] = {
                {"a", "one"}, {"b", "two"}, {"C", "three"}, {"d", "four"}, {"e", "any thing"}};
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_int_equal(await_table_list_find(list, str_from(cases[i][0]), &b.arena,
                                                       &b.value, &b.why),
                                 TABLE_FOUND);
                assert_str_equal(b.value, cases[i][1]);
        }
        assert_false(table_list_is_empty(list));
        bench_done(&b);
}

static void an_empty_list_finds_nothing(void **state)
{
        struct bench b;
        bench_init(&b);
        static const char *const texts[] = {"", " , \n"};
        for (size_t i = 0; i < 2; i++) {
                struct table_list *list = must_open(&b, texts[i]);
                struct table_address address = address_of("u", "d.example", true, "+");
                assert_true(table_list_is_empty(list));
                assert_int_equal(await_table_list_find(list, STR("a"), &b.arena, &b.value, &b.why),
                                 TABLE_NOT_FOUND);
                assert_string_equal(find_address(&b, list, &address), "-");
                assert_int_equal(await_table_list_find_transport(list, &address, true, &b.arena,
                                                                 &b.value, &b.why),
                                 TABLE_NOT_FOUND);
        }
        bench_done(&b);
}

static void errors_name_the_place(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "bad", "\n\n/(/ x\n");
        assert_null(table_list_open(b.set, STR("hash:missing, pcre:bad, hsah:x, static:ok"),
                                    bench_at, &b.findings));
        assert_int_equal(b.findings.count[SEVERITY_ERROR], 3);
        bench_expect(&b, "table-missing", 12, "/missing does not exist");
        bench_expect(&b, "table-pattern", 3, "the pattern is wrong");
        bench_expect(&b, "table-type-unknown", 12, "\"hsah\"");
        assert_str_equal(bench_finding(&b, "table-missing")->file, "main.cf");
        assert_str_equal(bench_finding(&b, "table-type-unknown")->cure, "did you mean hash:?");
        bench_done(&b);
}

/*
 * Takes away the key that answered, until none is left: the answers come in the documented order.
 */
static void check_order(const struct table_address *address, const char *const keys[], size_t count)
{
        for (size_t from = 0; from <= count; from++) {
                struct bench b;
                bench_init(&b);
                FILE *f = fopen(bench_path(&b, "t"), "w");
                for (size_t i = count; i-- > from;)
                        fprintf(f, "%s\tkey:%s\n", keys[i], keys[i]);
                /* these are never asked */
                fprintf(f,
                        "example wrong\ncom wrong\n@com wrong\n+ext wrong\n.example.com wrong\n");
                fclose(f);
                struct table_list *list = must_open(&b, "hash:t");
                const char *said = find_address(&b, list, address);
                if (from == count) {
                        assert_string_equal(said, "-");
                } else if (strncmp(said, "key:", 4) != 0 ||
                           strncmp(said + 4, keys[from], strlen(keys[from])) != 0) {
                        fail_msg("%s instead of %s", said, keys[from]);
                }
                bench_done(&b);
        }
}

static void addresses_in_the_documented_order(void **state)
{
        static const char *const all[] = {"user+ext@example.com", "user@example.com", "user+ext",
                                          "user", "@example.com"};
        static const char *const remote[] = {"user+ext@example.com", "user@example.com",
                                             "@example.com"};
        static const char *const no_delimiter[] = {"user+ext@example.com", "user+ext",
                                                   "@example.com"};
        static const char *const quoted[] = {"\"a b+ext\"@example.com", "\"a b\"@example.com",
                                             "\"a b+ext\"", "\"a b\"", "@example.com"};
        struct table_address address = address_of("User+Ext", "Example.COM", true, "+");
        check_order(&address, all, 5);
        address.is_local = false;
        check_order(&address, remote, 3);
        address = address_of("user+ext", "example.com", true, "");
        check_order(&address, no_delimiter, 3);
        address = address_of("a b+ext", "example.com", true, "+");
        check_order(&address, quoted, 5);
}

static void the_extension_that_was_left_out(void **state)
{
        static const struct {
                const char *local;
                const char *delimiters;
                const char *said;
        } cases[] = {
                {"user+ext", "+", "whole"},
                {"user+other", "+", "bare|+other"},
                {"user+", "+", "bare|+"},
                {"user-x+y", "+-", "bare|-x+y"},
                {"user", "+", "bare"},
                {"+user", "+", "domain"},
                {"user+x", "", "domain"},
                {"USER+Other", "+", "bare|+Other"},
                {"owner-user", "-", "domain"},
                {"owner-user", "+", "domain"},
                {"owner-x-request", "-", "domain"},
                {"mailer-daemon", "-", "domain"},
                {"list-x", "-", "list|-x"},
        };
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t",
                    "user+ext@d.example whole\nuser@d.example bare\nowner@d.example wrong\n"
                    "mailer@d.example wrong\nlist@d.example list\n@d.example domain\n");
        struct table_list *list = must_open(&b, "hash:t");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct table_address address =
                        address_of(cases[i].local, "d.example", false, cases[i].delimiters);
                assert_string_equal(find_address(&b, list, &address), cases[i].said);
                assert_int_equal(await_table_list_find_address(list, &address, &b.arena, &b.value,
                                                               NULL, &b.why),
                                 TABLE_FOUND);
        }
        bench_done(&b);
}

/* Each key goes to all tables before the next key is tried. */
static void a_better_key_in_a_later_table_counts(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "one", "@d.example one\n");
        bench_write(&b, "two", "u@d.example two\n");
        struct table_list *list = must_open(&b, "hash:one hash:two");
        struct table_address address = address_of("u", "d.example", false, "+");
        assert_string_equal(find_address(&b, list, &address), "two");
        bench_done(&b);
}

static void patterns_see_the_whole_address_alone(void **state)
{
        struct bench b;
        bench_init(&b);
        struct table_list *list =
                must_open(&b, "pcre:{ {/^u@d\\.example$/ bare}, {/^@/ domain}, {/^u$/ user}, "
                              "{/^d\\.example$/ d}, {/^\\*$/ star} }");
        struct table_address address = address_of("u+x", "d.example", true, "+");
        assert_string_equal(find_address(&b, list, &address), "-");
        assert_int_equal(
                await_table_list_find_transport(list, &address, true, &b.arena, &b.value, &b.why),
                TABLE_NOT_FOUND);
        address = address_of("u", "d.example", true, "+");
        assert_string_equal(find_address(&b, list, &address), "bare");
        bench_done(&b);
}

static void odd_addresses(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t",
                    "\"a b\"@d quoted\n\"e\\\"f\"@d escaped\n"
                    "\"\"@d empty\npostmaster bare\n.x@d dot\n\"x.\"@d enddot\n");
        struct table_list *list = must_open(&b, "hash:t");
        static const char *const cases[][3] = {
                {"a b", "d", "quoted"},     {"e\"f", "d", "escaped"}, {"", "d", "empty"},
                {"postmaster", "", "bare"}, {".x", "d", "dot"},       {"x.", "d", "enddot"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct table_address address = address_of(cases[i][0], cases[i][1], false, "+");
                assert_string_equal(find_address(&b, list, &address), cases[i][2]);
        }
        /* longer than any mail address, with every byte escaped */
        char *local = malloc(5001);
        memset(local, '"', 5000);
        local[5000] = '\0';
        struct table_address address = address_of(local, "d", true, "+");
        assert_string_equal(find_address(&b, list, &address), "-");
        struct table_list *patterns = must_open(&b, "pcre:{ {/^\"{5000}@d/ raw} }");
        assert_string_equal(find_address(&b, patterns, &address), "raw");
        free(local);
        bench_done(&b);
}

static void an_error_is_not_no(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "evil", "/^(a+)+$/ x\n");
        bench_write(&b, "good", "x@d y\n");
        struct table_list *list = must_open(&b, "pcre:evil hash:good");
        struct table_address address =
                address_of("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "d", false, "+");
        assert_string_equal(find_address(&b, list, &address), "!");
        bench_why_has(&b, "pcre:evil: line 1");
        assert_int_equal(
                await_table_list_find_transport(list, &address, true, &b.arena, &b.value, &b.why),
                TABLE_ERROR);
        bench_done(&b);
}

/* ---- transports ---- */
static const char *find_transport(struct bench *b, struct table_list *list, const char *local,
                                  const char *domain, bool parent_matches)
{
        struct table_address address = address_of(local, domain, true, "+");
        enum table_result result = await_table_list_find_transport(list, &address, parent_matches,
                                                                   &b->arena, &b->value, &b->why);
        return result == TABLE_FOUND ? b->value.ptr : result == TABLE_ERROR ? "!" : "-";
}

static void transports_in_the_documented_order(void **state)
{
        static const char *const dotted[] = {"u+x@a.b.example", "u@a.b.example", "a.b.example",
                                             ".b.example",      ".example",      "*"};
        static const char *const parents[] = {"u+x@a.b.example", "u@a.b.example", "a.b.example",
                                              "b.example",       "example",       "*"};
        for (int parent_matches = 0; parent_matches < 2; parent_matches++) {
                const char *const *keys = parent_matches ? parents : dotted;
                const char *const *others = parent_matches ? dotted : parents;
                for (size_t from = 0; from <= 6; from++) {
                        struct bench b;
                        bench_init(&b);
                        FILE *f = fopen(bench_path(&b, "t"), "w");
                        for (size_t i = 6; i-- > from;)
                                fprintf(f, "%s %s\n", keys[i], keys[i]);
                        fprintf(f, "%s no\n%s no\nu no\n@a.b.example no\n", others[3], others[4]);
                        fclose(f);
                        assert_string_equal(find_transport(&b, must_open(&b, "hash:t"), "u+x",
                                                           "a.b.example", parent_matches),
                                            from < 6 ? keys[from] : "-");
                        bench_done(&b);
                }
        }
}

static void transports_take_nothing_from_the_address(void **state)
{
        struct bench b;
        bench_init(&b);
        struct table_list *list =
                must_open(&b, "pcre:{ {/^(.*)@d/ relay:$1}, {/^u@d/ relay:fixed}, {/./ $$} }");
        assert_string_equal(find_transport(&b, list, "u", "d", true), "relay:fixed");
        assert_string_equal(find_transport(&b, list, "v", "d", true), "$");
        bench_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tables_are_asked_in_order),
                cmocka_unit_test(an_empty_list_finds_nothing),
                cmocka_unit_test(errors_name_the_place),
                cmocka_unit_test(addresses_in_the_documented_order),
                cmocka_unit_test(the_extension_that_was_left_out),
                cmocka_unit_test(a_better_key_in_a_later_table_counts),
                cmocka_unit_test(patterns_see_the_whole_address_alone),
                cmocka_unit_test(odd_addresses),
                cmocka_unit_test(an_error_is_not_no),
                cmocka_unit_test(transports_in_the_documented_order),
                cmocka_unit_test(transports_take_nothing_from_the_address),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
