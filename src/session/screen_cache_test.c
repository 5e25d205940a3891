/* screen_cache_test.c - passes are remembered until they lapse, and a while longer as old ones */
#include "session/screen_cache.h"

#include "base/unit.h"

#include <string.h>

static const unsigned char one[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};

static void passes_are_found_and_never_shortened(void **state)
{
        struct screen_cache *c = screen_cache_new(100);
        struct screen_passes p = {{0}};
        assert_false(screen_cache_find(c, one, &p));
        p.until_s[SCREEN_PREGREET] = 1000;
        screen_cache_put(c, one, &p, 10, 100);
        p = (struct screen_passes){{0}};
        p.until_s[SCREEN_DNSBL] = 500;
        p.until_s[SCREEN_PREGREET] = 900;
        screen_cache_put(c, one, &p, 20, 100);
        assert_true(screen_cache_find(c, one, &p));
        assert_int_equal(p.until_s[SCREEN_PREGREET], 1000);
        assert_int_equal(p.until_s[SCREEN_DNSBL], 500);
        assert_int_equal(p.until_s[SCREEN_PIPELINING], 0);
        assert_int_equal(screen_cache_count(c), 1);
        screen_cache_free(&c);
        assert_null(c);
        screen_cache_free(&c);
}

static void the_cache_has_a_ceiling_and_forgets(void **state)
{
        struct screen_cache *c = screen_cache_new(100);
        struct screen_passes p = {{1000}};
        unsigned char a[16] = {0};
        for (int i = 0; i < 300; i++) {
                memcpy(a, &i, sizeof(i));
                screen_cache_put(c, a, &p, 10, 100);
        }
        assert_int_equal(screen_cache_count(c), 100);
        /* lapsed at 1000, forgotten at 1100 */
        for (int i = 300; i < 400; i++) {
                memcpy(a, &i, sizeof(i));
                screen_cache_put(c, a, &p, 1099, 100);
        }
        assert_false(screen_cache_find(c, a, &p));
        p = (struct screen_passes){{3000}};
        for (int i = 400; i < 500; i++) {
                memcpy(a, &i, sizeof(i));
                screen_cache_put(c, a, &p, 1100, 100);
        }
        assert_true(screen_cache_find(c, a, &p));
        assert_int_equal(screen_cache_count(c), 100);
        screen_cache_free(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(passes_are_found_and_never_shortened),
                cmocka_unit_test(the_cache_has_a_ceiling_and_forgets),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
