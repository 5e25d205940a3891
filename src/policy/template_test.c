/* template_test.c - replies with $names: every form, and limits */
#include "policy/template.h"

#include "base/unit.h"

static struct str value_of(void *context, struct str name)
{
        if (str_eq(name, STR("full")))
                return STR("F $full");
        if (str_eq(name, STR("long")))
                return str_make(context, 1500);
        return STR("");
}

static void assert_expands(const char *text, const char *expected)
{
        static char many[1500];
        struct arena arena;
        memset(many, 'm', sizeof(many));
        arena_init(&arena, 0);
        struct str out = template_expand(str_from(text), value_of, many, &arena);
        char printed[TEMPLATE_BYTES_MAX + 1];
        snprintf(printed, sizeof(printed), "%.*s", STR_ARG(out));
        assert_string_equal(printed, expected);
        arena_done(&arena);
}

static void names_become_values_once(void **state)
{
        assert_expands("", "");
        assert_expands("plain", "plain");
        assert_expands("a $full b", "a F $full b");
        assert_expands("${full}${none}$(full)x", "F $fullF $fullx");
        assert_expands("$unknown.", ".");
        assert_expands("$$full $$", "$full $");
        assert_expands("$", "");
}

static void texts_depend_on_values(void **state)
{
        assert_expands("${full?yes}${full:no}", "yes");
        assert_expands("${none?yes}${none:no}", "no");
        assert_expands("${full?; $full}${none?; $none}", "; F $full");
        assert_expands("${full?{a}:{b}}${none?{a}:{b}}", "ab");
        assert_expands("${full ? {a} : {b}} ${none ? {a} : {b}}", "a b");
        assert_expands("${none:{c}}${full:{c}}", "c");
        assert_expands("${full?${none:inner}}", "inner");
        assert_expands("${full!x}", "");
}

static void broken_ones_end_somewhere(void **state)
{
        assert_expands("a ${full", "a F $full");
        assert_expands("${full?{a", "a");
        assert_expands("${", "");
        assert_expands("${}", "");
        assert_expands("$()", "");
}

static void what_is_over_the_ceiling_is_cut(void **state)
{
        struct arena arena;
        static char many[1500];
        memset(many, 'm', sizeof(many));
        arena_init(&arena, 0);
        struct str out = template_expand(STR("$long$long$long"), value_of, many, &arena);
        assert_int_equal(out.len, TEMPLATE_BYTES_MAX);
        /* deeper than TEMPLATE_DEPTH_MAX: nothing, and no crash */
        char deep[400];
        size_t len = 0;
        for (int i = 0; i < 30; i++)
                len += (size_t)snprintf(deep + len, sizeof(deep) - len, "${full?");
        snprintf(deep + len, sizeof(deep) - len, "x}");
        out = template_expand(str_from(deep), value_of, many, &arena);
        assert_int_equal(out.len, 0);
        arena_done(&arena);
}

static void filters_let_pass_what_they_name(void **state)
{
        struct template_filter f;
        struct arena arena;
        arena_init(&arena, 0);
        template_filter_parse(STR("ab\\40\\t\\\\\\n\\r"), &f);
        assert_true(f.allows['a'] && f.allows[' '] && f.allows['\t'] && f.allows['\\']);
        assert_false(f.allows['n'] || f.allows['\n'] || f.allows['\r'] || f.allows[0]);
        struct str out = template_filter_apply(&f, STR("a b\nc\x80"), &arena);
        assert_true(str_eq(out, STR("a b___")));
        out = template_filter_apply(&f, STR("ab"), &arena);
        assert_true(str_eq(out, STR("ab")));
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_become_values_once),
                cmocka_unit_test(texts_depend_on_values),
                cmocka_unit_test(broken_ones_end_somewhere),
                cmocka_unit_test(what_is_over_the_ceiling_is_cut),
                cmocka_unit_test(filters_let_pass_what_they_name),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
