/* pool_test.c - blocking work is done elsewhere, in order, and its results come home */
#include "loop/pool.h"

#include "base/unit.h"
#include "loop/task.h"

#include <errno.h>
#include <unistd.h>

static struct loop *loop;
static int left;

static int square(void *arg)
{
        int n = *(int *)arg;
        usleep(100);
        return n * n;
}

static void ask(void *arg)
{
        int n = *(int *)arg;
        for (int i = 0; i < 20; i++)
                assert_int_equal(await_pool_run("squaring", STR(""), square, &n), n * n);
        if (--left == 0)
                loop_stop(loop);
}

static void results_come_home(void **state)
{
        static int numbers[50];
        left = 50;
        for (int i = 0; i < 50; i++) {
                numbers[i] = i;
                task_start(loop, ask, &numbers[i]);
        }
        loop_run(loop);
        assert_int_equal(left, 0);
}

static void be_canceled(void *arg)
{
        int n = 3;
        task_cancel(task_self());
        /* work is never cut short, so its argument may be on this stack */
        assert_int_equal(await_pool_run("squaring", STR(""), square, &n), 9);
        assert_int_equal(await_sleep(1), -ECANCELED);
        loop_stop(loop);
}

static void cancel_does_not_cut_work_short(void **state)
{
        task_start(loop, be_canceled, NULL);
        loop_run(loop);
}

/* A resolver that answers nobody: all that ask it hang until a file has been written. */
static int hang(void *arg)
{
        bool *is_over = arg;
        while (!__atomic_load_n(is_over, __ATOMIC_ACQUIRE))
                usleep(100);
        return 0;
}

static int finish(void *arg)
{
        __atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
        return 0;
}

static void end_one(void)
{
        if (--left == 0)
                loop_stop(loop);
}

static void ask_remote(void *arg)
{
        await_pool_run_remote("asking", STR("nobody"), hang, arg);
        end_one();
}

static void write_file(void *arg)
{
        await_pool_run("writing", STR(""), finish, arg);
        end_one();
}

static void remote_work_keeps_no_file_waiting(void **state)
{
        static bool is_over;
        is_over = false;
        left = 100;
        for (int i = 0; i < 99; i++)
                task_start(loop, ask_remote, &is_over);
        task_start(loop, write_file, &is_over);
        loop_run(loop);
        assert_int_equal(left, 0);
}

enum { ASKERS = 100, REMOTE_AT_ONCE = 2 };
static struct task *askers[ASKERS];
static int given_up;

static void ask_while_wanted(void *arg)
{
        int rc = await_pool_run_if_wanted("asking", STR("nobody"), hang, arg);
        given_up += rc == -ECANCELED;
        if (rc != -ECANCELED)
                assert_int_equal(rc, 0);
        left--;
}

static void cancel_askers(void *arg)
{
        for (int i = 0; i < ASKERS; i++)
                task_cancel(askers[i]);
        /* those that no thread has begun end though nobody is answered */
        while (given_up < ASKERS - REMOTE_AT_ONCE)
                await_sleep(1);
        finish(arg);
        while (left)
                await_sleep(1);
        loop_stop(loop);
}

static void work_that_is_not_begun_is_given_up(void **state)
{
        static bool is_over;
        is_over = false;
        left = ASKERS;
        given_up = 0;
        for (int i = 0; i < ASKERS; i++)
                askers[i] = task_start(loop, ask_while_wanted, &is_over);
        task_start(loop, cancel_askers, &is_over);
        loop_run(loop);
        assert_true(given_up <= ASKERS);
        /* and what was given up left nothing behind in the queue */
        is_over = true;
        left = 1;
        task_start(loop, ask_remote, &is_over);
        loop_run(loop);
        assert_int_equal(left, 0);
}

static void keep_wake(void *arg)
{
        int n = 4;
        task_wake(task_self());
        assert_int_equal(await_pool_run("squaring", STR(""), square, &n), 16);
        assert_int_equal(await_wake("waiting", STR(""), loop_now_ms() + 5000), 0);
        loop_stop(loop);
}

static void foreign_wakes_are_kept(void **state)
{
        task_start(loop, keep_wake, NULL);
        loop_run(loop);
}

static int setup(void **state)
{
        struct why why;
        loop = loop_new(&why);
        return loop && pool_start(4, &why) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
        pool_stop();
        loop_free(&loop);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(results_come_home, setup, teardown),
                cmocka_unit_test_setup_teardown(work_that_is_not_begun_is_given_up, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(cancel_does_not_cut_work_short, setup, teardown),
                cmocka_unit_test_setup_teardown(foreign_wakes_are_kept, setup, teardown),
                cmocka_unit_test_setup_teardown(remote_work_keeps_no_file_waiting, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
