/* pace_test.c - time that is spent, and bought back */
#include "wire/pace.h"

#include "base/unit.h"

static void test_spends(void **state)
{
        struct pace p;
        pace_begin(&p, 1000, 0);
        pace_note(&p, 400, 1 << 20);
        assert_int_equal(p.left_ms, 600);
        pace_note(&p, 700, 0);
        assert_int_equal(p.left_ms, -100);
}

static void test_never_over_the_limit(void **state)
{
        struct pace p;
        pace_begin(&p, 1000, 500);
        pace_note(&p, 0, 100000);
        assert_int_equal(p.left_ms, 1000);
        pace_note(&p, 900, 250);
        assert_int_equal(p.left_ms, 600);
}

/* Whoever sends at the rate stays where he is, however small the pieces; who is slower runs out. */
static void test_small_pieces(void **state)
{
        struct pace p;
        pace_begin(&p, 1000, 3000);
        pace_note(&p, 500, 0);
        for (int i = 0; i < 3000; i++)
                pace_note(&p, 0, 1);
        assert_int_equal(p.left_ms, 1000);

        int seconds = 0;
        pace_begin(&p, 10000, 3000);
        for (; p.left_ms > 0; seconds++)
                pace_note(&p, 1000, 1500);
        assert_int_equal(seconds, 20);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_spends),
                cmocka_unit_test(test_never_over_the_limit),
                cmocka_unit_test(test_small_pieces),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
