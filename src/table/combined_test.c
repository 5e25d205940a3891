/* combined_test.c - unionmap:, pipemap:, randmap:, environ:, fail:, proxy: */
#include "table/table_unit.h"

struct look {
        const char *spec;
        const char *key;
        const char *value; /* "-": not found, "!": cannot be asked */
};

static void they_say_what_postfix_says(void **state)
{
        static const struct look looks[] = {
                {"unionmap:{inline:{a=1},static:{x y},inline:{a=2}}", "A", "1,x y,2"},
                {"unionmap:{inline:{a=1}, inline:{b=2}}", "b", "2"},
                {"unionmap:{inline:{a=1}, inline:{b=2}}", "c", "-"},
                {"unionmap:{inline:{a=1}, fail:x}", "a", "!"},
                {"unionmap:{unionmap:{inline:{a=1},inline:{a=2}},inline:{a=3}}", "a", "1,2,3"},
                {"pipemap:{inline:{a=B},inline:{b=c}}", "A", "c"},
                {"pipemap:{inline:{a=b},inline:{x=c}}", "a", "-"},
                {"pipemap:{inline:{a=b},fail:}", "a", "!"},
                {"pipemap:{inline:{a=b},fail:}", "x", "-"},
                {"pipemap:{pcre:{{/^(.*)@d$/ $1}},inline:{u=found}}", "u@d", "found"},
                {"randmap:{one}", "anything", "one"},
                {"environ:whatever", "FOREPOST_NO_SUCH", "-"},
                {"environ:", "forepost_table_test", "here"},
                {"environ:", "Forepost_Table_Test", "here"},
                {"fail:any", "x", "!"},
                {"proxy:unionmap:{proxy:inline:{a=1}}", "a", "1"},
                {"static:text", "any", "text"},
                {"static:{ text with blanks }", "any", "text with blanks"},
                {"static:", "any", ""},
                {"inline:{a=1,{ b = 2 3 }, c=4}", "b", "2 3"},
        };
        struct bench b;
        bench_init(&b);
        setenv("forepost_table_test", "here", 1);
        for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++) {
                struct table *t = bench_must_open(&b, looks[i].spec);
                const char *said = bench_find(&b, t, looks[i].key);
                if (strcmp(said, looks[i].value) != 0)
                        fail_msg("%s %s: %s", looks[i].spec, looks[i].key, said);
        }
        unsetenv("forepost_table_test");
        bench_done(&b);
}

static void what_is_wrong_is_told(void **state)
{
        static const char *const wrong[][2] = {
                {"unionmap:{}", "between { and }"},
                {"unionmap:inline:{a=b}", "between { and }"},
                {"unionmap:{hash:/does/not/exist}", "does not exist"},
                {"unionmap:{nosuch:x}", "no type of table"},
                {"pipemap:{static:{x}", "between { and }"},
                {"pipemap:{static:{x}, {y}}", "names no table"},
                {"randmap:{}", "between { and }"},
                {"randmap:{,}", "without a result"},
                {"nis:passwd.byname", "not here, because"},
                {"dbm:/x", "not here, because"},
                {"memcache:/x", "not here, because"},
        };
        struct bench b;
        bench_init(&b);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                assert_null(bench_open(&b, wrong[i][0]));
                bench_why_has(&b, wrong[i][1]);
        }
        char deep[400] = "";
        size_t used = 0;
        for (int i = 0; i < 20; i++)
                used += (size_t)snprintf(deep + used, sizeof(deep) - used, "unionmap:{");
        used += (size_t)snprintf(deep + used, sizeof(deep) - used, "static:x");
        for (int i = 0; i < 20; i++)
                used += (size_t)snprintf(deep + used, sizeof(deep) - used, "}");
        assert_null(bench_open(&b, deep));
        bench_why_has(&b, "deep");
        bench_done(&b);
}

/* ("name" and not "domain" or "user": such tables are asked whole addresses alone) */
static void parts_are_not_asked(void **state)
{
        struct bench b;
        bench_init(&b);
        struct table_list *list = table_list_open(b.set, STR("unionmap:{inline:{@d=x,d=y,a=z}}"),
                                                  bench_at, &b.findings);
        assert_non_null(list);
        struct table_address address = {.local = STR("a"), .domain = STR("d"), .is_local = true};
        assert_int_equal(
                await_table_list_find_address(list, &address, &b.arena, &b.value, NULL, &b.why),
                TABLE_NOT_FOUND);
        assert_int_equal(
                await_table_list_find_transport(list, &address, true, &b.arena, &b.value, &b.why),
                TABLE_NOT_FOUND);
        bench_done(&b);
}

static void all_results_come_up(void **state)
{
        struct bench b;
        bench_init(&b);
        struct table *t = bench_must_open(&b, "randmap:{a, b, {c d}}");
        bool seen[3] = {false};
        for (int i = 0; i < 1000; i++) {
                const char *value = bench_find(&b, t, "x");
                if (strcmp(value, "{c d}") == 0)
                        seen[2] = true;
                else
                        seen[value[0] - 'a'] = true;
        }
        assert_true(seen[0] && seen[1] && seen[2]);
        bench_done(&b);
}

static void a_file_inside_is_watched(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "a one\n");
        struct table *t = bench_must_open(&b, "unionmap:{hash:t,static:x}");
        assert_string_equal(bench_find(&b, t, "a"), "one,x");
        bench_write(&b, "t", "a two\n");
        table_set_refresh(b.set);
        assert_string_equal(bench_find(&b, t, "a"), "two,x");
        bench_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(they_say_what_postfix_says),
                cmocka_unit_test(what_is_wrong_is_told),
                cmocka_unit_test(parts_are_not_asked),
                cmocka_unit_test(all_results_come_up),
                cmocka_unit_test(a_file_inside_is_watched),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
