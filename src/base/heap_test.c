/* heap_test.c */
#include "base/heap.h"
#include "base/rand.h"
#include "base/unit.h"

enum { ITEMS = 300 };

static void gives_the_smallest_first(void **state)
{
        struct heap h;
        heap_init(&h);
        struct heap_item items[ITEMS] = {0};
        for (int i = 0; i < ITEMS; i++)
                heap_set(&h, &items[i], (int64_t)rand_below(1000));
        for (int round = 0; round < 2000; round++) {
                struct heap_item *it = &items[rand_below(ITEMS)];
                if (rand_below(3))
                        heap_set(&h, it, (int64_t)rand_below(1000));
                else
                        heap_remove(&h, it);
        }
        size_t in = 0;
        for (int i = 0; i < ITEMS; i++)
                in += items[i].at != 0;
        assert_int_equal(h.count, in);
        int64_t last = -1;
        for (struct heap_item *it; (it = heap_first(&h));) {
                assert_true(it->key >= last);
                last = it->key;
                heap_remove(&h, it);
                heap_remove(&h, it);
        }
        assert_int_equal(h.count, 0);
        heap_done(&h);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(gives_the_smallest_first)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
