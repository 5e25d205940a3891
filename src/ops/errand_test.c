/* errand_test.c - work on another loop, while a task here waits */
#include "ops/errand.h"

#include "base/unit.h"

#include <pthread.h>

enum { LOOPS = 4, ROUNDS = 200 };

static struct loop *office;
static struct loop *loops[LOOPS];

struct work {
        struct loop *expected;
        int runs;
        bool waits;
};

static void do_work(void *arg)
{
        struct work *w = arg;
        assert_ptr_equal(loop_self(), w->expected);
        assert_non_null(task_self());
        if (w->waits)
                await_sleep(1 + w->runs % 3);
        w->runs++;
}

static void *run(void *arg)
{
        loop_run(arg);
        return NULL;
}

static struct work works[LOOPS];

static void play(void *arg)
{
        struct errand errands[LOOPS];
        for (int round = 0; round < ROUNDS; round++) {
                for (size_t i = 0; i < LOOPS; i++) {
                        works[i].expected = loops[i];
                        works[i].waits = (round + (int)i) % 7 == 0;
                        errand_send(&errands[i], loops[i], do_work, &works[i]);
                }
                await_errands(errands, LOOPS, "working on");
                for (size_t i = 0; i < LOOPS; i++)
                        assert_int_equal(works[i].runs, round + 1);
        }
        /* cancel does not cut it short: the work is on this stack */
        task_cancel(task_self());
        struct work last = {.expected = loops[0], .waits = true};
        await_errand(loops[0], do_work, &last, "working on");
        assert_int_equal(last.runs, 1);
        loop_stop(office);
}

static void test_errands(void **state)
{
        struct why why;
        pthread_t threads[LOOPS];
        office = loop_new(&why);
        for (size_t i = 0; i < LOOPS; i++) {
                loops[i] = loop_new(&why);
                assert_int_equal(pthread_create(&threads[i], NULL, run, loops[i]), 0);
        }
        task_start(office, play, NULL);
        loop_run(office);
        for (size_t i = 0; i < LOOPS; i++) {
                loop_stop(loops[i]);
                pthread_join(threads[i], NULL);
                loop_free(&loops[i]);
        }
        loop_free(&office);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_errands)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
