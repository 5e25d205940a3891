/* str_test.c */
#include "base/unit.h"

#include <errno.h>

static void compares(void **state)
{
        assert_true(str_eq(STR("a"), STR("a")));
        assert_false(str_eq(STR("a"), STR("A")));
        assert_false(str_eq(STR("a"), STR("ab")));
        assert_true(str_eq_nocase(STR("MaIl"), STR("mAiL")));
        assert_false(str_eq_nocase(STR("["), STR("{")));
        assert_true(str_starts_nocase(STR("RCPT TO:"), STR("rcpt ")));
        assert_true(str_ends_nocase(STR("a.EXAMPLE"), STR(".example")));
        assert_false(str_ends(STR("x"), STR("xx")));
        assert_true(str_cmp(STR("a"), STR("ab")) < 0);
        assert_true(str_cmp(STR("b"), STR("ab")) > 0);
        assert_int_equal(str_cmp(STR(""), STR("")), 0);
}

static void finds_and_cuts(void **state)
{
        struct str s = STR("a@b@c");
        assert_int_equal(str_find(s, '@'), 1);
        assert_int_equal(str_find_last(s, '@'), 3);
        assert_int_equal(str_find(s, 'x'), -1);
        assert_int_equal(str_find_str(s, STR("b@")), 2);
        assert_int_equal(str_find_str(STR("ab"), STR("abc")), -1);
        assert_str_equal(str_tail(s, 9), "");
        assert_str_equal(str_part(s, 2, 99), "b@c");
        assert_int_equal(str_part((struct str){0}, 3, 5).len, 0);
        assert_str_equal(str_trim(STR(" \t x y\r\n")), "x y");
        assert_str_equal(str_cut(&s, '@'), "a");
        assert_str_equal(str_cut(&s, '@'), "b");
        assert_str_equal(str_cut(&s, '@'), "c");
        assert_true(str_is_empty(s));
}

static void words(void **state)
{
        struct str s = STR(" one,two\tthree, ");
        struct str w;
        assert_true(str_next_word(&s, ", \t", &w));
        assert_str_equal(w, "one");
        assert_true(str_next_word(&s, ", \t", &w));
        assert_str_equal(w, "two");
        assert_true(str_next_word(&s, ", \t", &w));
        assert_str_equal(w, "three");
        assert_false(str_next_word(&s, ", \t", &w));
        /* a NUL is a byte like any other, never a separator */
        s = str_make("a\0b", 3);
        assert_true(str_next_word(&s, " ", &w));
        assert_int_equal(w.len, 3);
}

static void numbers(void **state)
{
        int64_t n = 7;
        assert_int_equal(str_to_int64(STR("123"), 0, 1000, &n), 0);
        assert_int_equal(n, 123);
        assert_int_equal(str_to_int64(STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &n), 0);
        assert_true(n == INT64_MIN);
        assert_int_equal(str_to_int64(STR("9223372036854775808"), INT64_MIN, INT64_MAX, &n),
                         -ERANGE);
        assert_int_equal(str_to_int64(STR("99999999999999999999999"), 0, INT64_MAX, &n), -ERANGE);
        assert_int_equal(str_to_int64(STR("1001"), 0, 1000, &n), -ERANGE);
        assert_int_equal(str_to_int64(STR(""), 0, 1, &n), -EINVAL);
        assert_int_equal(str_to_int64(STR("-"), 0, 1, &n), -EINVAL);
        assert_int_equal(str_to_int64(STR("1x"), 0, 1, &n), -EINVAL);
        assert_int_equal(str_to_int64(STR(" 1"), 0, 1, &n), -EINVAL);
        assert_int_equal(str_to_int64(STR("99999999999999999999x"), 0, 1, &n), -EINVAL);
        assert_true(n == INT64_MIN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(compares),
                cmocka_unit_test(finds_and_cuts),
                cmocka_unit_test(words),
                cmocka_unit_test(numbers),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
