/* spare_test.c - blocks come back, are zeroed where that was asked, and end with their thread */
#include "base/spare.h"

#include "base/unit.h"

#include <pthread.h>
#include <string.h>

enum { BYTES = 3000 };

static __thread struct spares some = {.bytes = BYTES, .count_max = 2};

static void blocks_are_used_again(void **state)
{
        void *a = spare_take(&some);
        void *b = spare_take(&some);
        void *c = spare_take(&some);
        memset(a, 'a', BYTES);
        memset(c, 'c', BYTES);
        spare_give(&some, a);
        spare_give(&some, b);
        spare_give(&some, c); /* one too many: freed */
        spare_give(&some, NULL);
        assert_true(some.count <= 2);
        for (int i = 0; i < 3; i++) {
                static const char zeros[BYTES];
                void *block = spare_take_zeroed(&some);
                assert_memory_equal(block, zeros, BYTES);
                memset(block, 'x', BYTES);
                spare_give(&some, block);
        }
}

static void *use_elsewhere(void *arg)
{
        spare_give(&some, arg); /* made by another thread */
        void *a = spare_take_zeroed(&some);
        void *b = spare_take_zeroed(&some);
        spare_give(&some, a);
        spare_give(&some, b);
        return NULL;
}

/* valgrind and LeakSanitizer see what is left. */
static void threads_leave_nothing(void **state)
{
        for (int i = 0; i < 3; i++) {
                pthread_t thread;
                assert_int_equal(pthread_create(&thread, NULL, use_elsewhere, spare_take(&some)),
                                 0);
                assert_int_equal(pthread_join(thread, NULL), 0);
        }
        assert_true(some.count <= 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(blocks_are_used_again),
                cmocka_unit_test(threads_leave_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
