/* task_test.c - tasks switch, wait, wake, time out, are told to stop, and stay inside their stacks */
#include "loop/task.h"

#include "base/unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct loop *loop;
static char order[128];
static int left; /* tasks that have not ended; the last stops the loop */

static void note(char c)
{
        size_t n = strlen(order);
        assert_true(n + 1 < sizeof(order));
        order[n] = c;
        order[n + 1] = 0;
}

static void end_one(void)
{
        if (--left == 0)
                loop_stop(loop);
}

static int make_loop(void **state)
{
        struct why why;
        loop = loop_new(&why);
        order[0] = 0;
        return loop ? 0 : -1;
}

static int free_loop(void **state)
{
        loop_free(&loop);
        return 0;
}

static void take_turns(void *arg)
{
        char name = *(char *)arg;
        for (int i = 0; i < 3; i++) {
                note(name);
                assert_int_equal(await_turn(), 0);
        }
        end_one();
}

static void tasks_take_turns(void **state)
{
        char a = 'a';
        char b = 'b';
        left = 2;
        task_start(loop, take_turns, &a);
        task_start(loop, take_turns, &b);
        assert_int_equal(task_count(loop), 2);
        loop_run(loop);
        assert_string_equal(order, "ababab");
        assert_int_equal(task_count(loop), 0);
        assert_null(task_self());
}

static struct task *sleeper;

static void wait_for_wakes(void *arg)
{
        /* the wake came before the wait */
        assert_int_equal(await_wake("waiting", STR("early"), CLOCK_NEVER), 0);
        note('1');
        assert_int_equal(await_wake("waiting", STR("late"), loop_now_ms() + 10000), 0);
        note('2');
        assert_int_equal(await_wake("waiting", STR(""), loop_now_ms() + 5), -ETIMEDOUT);
        note('3');
        /* a later deadline than the timer that is still set, and an earlier one */
        assert_int_equal(await_wake("waiting", STR(""), loop_now_ms() + 3), -ETIMEDOUT);
        note('4');
        assert_int_equal(await_wake("waiting", STR("for ever"), CLOCK_NEVER), -ECANCELED);
        note('5');
        assert_true(task_is_canceled(task_self()));
        assert_int_equal(await_wake("waiting", STR(""), CLOCK_NEVER), -ECANCELED);
        assert_int_equal(await_sleep(1), -ECANCELED);
        assert_int_equal(await_turn(), -ECANCELED);
        assert_int_equal(await_wake_always("deaf", STR(""), loop_now_ms() + 3), -ETIMEDOUT);
        note('6');
        end_one();
}

static void wake_it(void *arg)
{
        assert_int_equal(await_turn(), 0);
        char text[64];
        task_describe(sleeper, text, sizeof(text));
        assert_string_equal(text, "waiting: late");
        task_wake(sleeper);
        task_wake(sleeper);
        for (int i = 0; i < 5000 && strcmp(text, "waiting: for ever") != 0; i++) {
                assert_int_equal(await_sleep(2), 0);
                task_describe(sleeper, text, sizeof(text));
        }
        assert_string_equal(text, "waiting: for ever");
        task_cancel(sleeper);
        end_one();
}

static void waits_end_as_they_should(void **state)
{
        left = 2;
        sleeper = task_start(loop, wait_for_wakes, NULL);
        task_wake(sleeper);
        task_start(loop, wake_it, NULL);
        loop_run(loop);
        assert_string_equal(order, "123456");
}

/* The stack is aligned for vector code and survives deep calls; floating point state is kept. */
static double deep(int n, double x)
{
        volatile double room[64];
        char text[64];
        for (int i = 0; i < 64; i++)
                room[i] = x + i;
        snprintf(text, sizeof(text), "%.3f", room[n]);
        if (n == 0) {
                await_turn();
                return room[0];
        }
        return deep(n - 1, x) + room[n] - room[n];
}

static void go_deep(void *arg)
{
        double *x = arg;
        for (int i = 0; i < 5; i++) {
                double got = deep(30, *x);
                assert_true(got == *x);
        }
        end_one();
}

static void stacks_are_their_own(void **state)
{
        static double x[500];
        left = 500;
        for (int i = 0; i < 500; i++) {
                x[i] = i * 1.25;
                task_start(loop, go_deep, &x[i]);
        }
        loop_run(loop);
        assert_int_equal(task_count(loop), 0);
        size_t high = task_stack_high_water(loop);
        assert_true(high < 256 * 1024);
}

enum { IDLERS = 200 };

static struct task *idlers[IDLERS];

static void go_deep_and_wait(void *arg)
{
        double *x = arg;
        assert_true(deep(30, *x) == *x);
        double kept[64];
        for (int i = 0; i < 64; i++)
                kept[i] = *x + i;
        assert_int_equal(await_wake("idling", STR(""), CLOCK_NEVER), 0);
        for (int i = 0; i < 64; i++)
                assert_true(kept[i] == *x + i);
        assert_true(deep(30, *x) == *x);
        end_one();
}

static long resident_pages(void)
{
        FILE *f = fopen("/proc/self/statm", "r");
        long all;
        long resident;
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%ld %ld", &all, &resident), 2);
        fclose(f);
        return resident;
}

static void wait_for_rest(void *arg)
{
        long most = resident_pages();
        int64_t until = loop_now_ms() + 20000;
        /* each gives back more than one page */
        while (resident_pages() > most - IDLERS && loop_now_ms() < until)
                assert_int_equal(await_sleep(50), 0);
        assert_true(loop_now_ms() < until);
        for (int i = 0; i < IDLERS; i++)
                task_wake(idlers[i]);
        end_one();
}

static void who_waits_long_gives_back_its_stack(void **state)
{
        static double x[IDLERS];
        left = IDLERS + 1;
        for (int i = 0; i < IDLERS; i++) {
                x[i] = i * 0.5;
                idlers[i] = task_start(loop, go_deep_and_wait, &x[i]);
        }
        task_start(loop, wait_for_rest, NULL);
        loop_run(loop);
        assert_int_equal(task_count(loop), 0);
}

static volatile int sink;

__attribute__((noinline, no_sanitize("address"))) static int overflow(int n)
{
        volatile char room[1024];
        memset((char *)(uintptr_t)room, n, sizeof(room));
        sink = room[n % 1024];
        return n < 1000000 ? overflow(n + 1) + sink : 0;
}

static void run_over(void *arg)
{
        sink = overflow(0);
}

static void overflow_hits_the_guard(void **state)
{
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                signal(SIGSEGV, SIG_DFL);
                close(2);
                task_start(loop, run_over, NULL);
                loop_run(loop);
                _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        /* a sanitizer turns the signal into an exit */
        assert_true(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) != 0));
}

static void start_more(void *arg)
{
        int *depth = arg;
        if (--*depth > 0) {
                left++;
                task_start(loop, start_more, depth);
        }
        end_one();
}

static void tasks_start_tasks(void **state)
{
        int depth = 3000; /* more than the spare stacks that are kept */
        left = 1;
        task_start(loop, start_more, &depth);
        loop_run(loop);
        assert_int_equal(depth, 0);
}

static void wait_for_ever(void *arg)
{
        await_wake("waiting", STR("the end"), CLOCK_NEVER);
}

static void stop_soon(void *arg)
{
        await_sleep(2);
        loop_stop(loop);
}

static void unfinished_tasks_are_freed_with_their_loop(void **state)
{
        task_start(loop, wait_for_ever, NULL);
        task_start(loop, stop_soon, NULL);
        loop_run(loop);
        assert_int_equal(task_count(loop), 1);
}

/* Two threads, each with its loop and tasks, that send a ball to and fro by letters. */
struct player {
        struct loop *loop;
        struct task *task;
        struct player *other;
        struct letter ball;
        int throws_left;
        bool has_ball;
};

static void catch_ball(struct letter *letter)
{
        struct player *p = heap_of(letter, struct player, ball);
        p->other->has_ball = true;
        if (p->other->task) /* the last throw finds nobody */
                task_wake(p->other->task);
}

static void play(void *arg)
{
        struct player *p = arg;
        p->task = task_self();
        while (p->throws_left > 0) {
                while (!p->has_ball)
                        assert_int_equal(await_wake("waiting for", STR("the ball"), CLOCK_NEVER),
                                         0);
                p->has_ball = false;
                p->throws_left--;
                loop_post(p->other->loop, &p->ball);
        }
        p->task = NULL;
        loop_stop(p->loop);
}

static void *run_loop(void *arg)
{
        loop_run(arg);
        return NULL;
}

static void loops_play_ball(void **state)
{
        struct why why;
        struct player p[2] = {{.throws_left = 3000, .has_ball = true}, {.throws_left = 3000}};
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) {
                p[i].loop = loop_new(&why);
                p[i].other = &p[1 - i];
                p[i].ball.open = catch_ball;
        }
        /* player 1 waits before player 0 may throw */
        p[1].task = task_start(p[1].loop, play, &p[1]);
        p[0].task = task_start(p[0].loop, play, &p[0]);
        for (int i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, run_loop, p[i].loop), 0);
        for (int i = 0; i < 2; i++)
                pthread_join(threads[i], NULL);
        for (int i = 0; i < 2; i++)
                loop_free(&p[i].loop);
        assert_int_equal(p[0].throws_left + p[1].throws_left, 0);
}

int main(void)
{
#define WITH_LOOP(f) cmocka_unit_test_setup_teardown(f, make_loop, free_loop)
        const struct CMUnitTest tests[] = {
                WITH_LOOP(tasks_take_turns),
                WITH_LOOP(waits_end_as_they_should),
                WITH_LOOP(stacks_are_their_own),
                WITH_LOOP(who_waits_long_gives_back_its_stack),
                WITH_LOOP(overflow_hits_the_guard),
                WITH_LOOP(tasks_start_tasks),
                WITH_LOOP(unfinished_tasks_are_freed_with_their_loop),
                cmocka_unit_test(loops_play_ball),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
