/* arena_test.c */
#include "base/arena.h"
#include "base/unit.h"

static void hands_out_zeroed_aligned_memory(void **state)
{
        struct arena a;
        arena_init(&a, 0);
        for (size_t n = 1; n < 9000; n += 501) {
                char *p = arena_alloc(&a, n);
                assert_int_equal((uintptr_t)p % 16, 0);
                for (size_t i = 0; i < n; i++)
                        assert_int_equal(p[i], 0);
                memset(p, 0xee, n);
        }
        assert_false(arena_is_over(&a));
        arena_clear(&a);
        assert_int_equal(a.used, 0);
        char *again = arena_alloc(&a, 64);
        for (int i = 0; i < 64; i++)
                assert_int_equal(again[i], 0);
        arena_done(&a);
}

static void says_when_it_is_over(void **state)
{
        struct arena a;
        arena_init(&a, 1000);
        arena_alloc(&a, 990);
        assert_false(arena_is_over(&a));
        assert_non_null(arena_alloc(&a, 20));
        assert_true(arena_is_over(&a));
        arena_clear(&a);
        assert_false(arena_is_over(&a));
        arena_done(&a);
}

static void copies_text(void **state)
{
        struct arena a;
        arena_init(&a, 0);
        struct str s = arena_str(&a, str_make("ab\0c", 4));
        assert_int_equal(s.len, 4);
        assert_memory_equal(s.ptr, "ab\0c", 5);
        assert_str_equal(arena_str_lower(&a, STR("Ab@C.De")), "ab@c.de");
        assert_str_equal(arena_printf(&a, "%05d-%s", 42, "x"), "00042-x");
        arena_done(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hands_out_zeroed_aligned_memory),
                cmocka_unit_test(says_when_it_is_over),
                cmocka_unit_test(copies_text),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
