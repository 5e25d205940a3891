/* map_test.c - the map against a plain array of what should be in it */
#include "base/map.h"
#include "base/rand.h"
#include "base/unit.h"

enum { KEYS = 500, STEPS = 20000 };

static void agrees_with_an_array(void **state)
{
        struct map m;
        map_init(&m);
        char *expected[KEYS] = {0};
        static char values[STEPS];
        for (int step = 0; step < STEPS; step++) {
                int k = (int)rand_below(KEYS);
                char name[16];
                struct str key = str_make(name, (size_t)snprintf(name, sizeof(name), "key%d", k));
                assert_ptr_equal(map_find(&m, key), expected[k]);
                if (rand_below(2)) {
                        assert_ptr_equal(map_put(&m, key, &values[step]), expected[k]);
                        expected[k] = &values[step];
                } else {
                        assert_ptr_equal(map_remove(&m, key), expected[k]);
                        expected[k] = NULL;
                }
        }
        size_t count = 0;
        for (int k = 0; k < KEYS; k++)
                count += expected[k] != NULL;
        assert_int_equal(m.count, count);
        size_t at = 0;
        size_t seen = 0;
        while (map_next(&m, &at))
                seen++;
        assert_int_equal(seen, count);
        map_done(&m);
}

static void takes_any_bytes(void **state)
{
        struct map m;
        map_init(&m);
        int a;
        int b;
        assert_null(map_find(&m, STR("")));
        assert_null(map_remove(&m, STR("x")));
        map_put(&m, STR(""), &a);
        map_put(&m, str_make("\0x", 2), &b);
        assert_ptr_equal(map_find(&m, STR("")), &a);
        assert_ptr_equal(map_find(&m, str_make("\0x", 2)), &b);
        assert_null(map_find(&m, str_make("\0y", 2)));
        map_done(&m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(agrees_with_an_array),
                cmocka_unit_test(takes_any_bytes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
