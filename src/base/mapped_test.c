/* mapped_test.c - a file becomes shorter while somebody looks into it */
#include "base/mapped.h"

#include "base/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES = 64 * 4096, THREADS = 3, ROUNDS = 200 };

static int fd = -1;
static const volatile char *map;

static int setup(void **state)
{
        FILE *f = tmpfile();
        assert_non_null(f);
        fd = dup(fileno(f));
        assert_int_equal(fclose(f), 0);
        assert_int_equal(ftruncate(fd, BYTES), 0);
        void *all = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
        assert_ptr_not_equal(all, MAP_FAILED);
        map = all;
        return 0;
}

static int teardown(void **state)
{
        munmap((void *)(uintptr_t)map, BYTES);
        close(fd);
        return 0;
}

struct sum {
        size_t from;
        size_t pages;
        bool is_whole;
};

static void add_up(void *context)
{
        struct sum *s = context;
        for (size_t at = s->from; at < BYTES; at += 4096)
                s->pages += map[at] == 0;
        s->is_whole = true;
}

static void what_is_gone_is_told(void **state)
{
        mapped_take_signal(); /* cmocka has taken it for this test */
        struct sum all = {0};
        assert_true(mapped_look(add_up, &all));
        assert_true(all.is_whole);
        assert_int_equal(all.pages, 64);
        assert_int_equal(ftruncate(fd, 10 * 4096), 0);
        for (int i = 0; i < 3; i++) { /* and again: the signal is not left blocked */
                struct sum part = {0};
                assert_false(mapped_look(add_up, &part));
                assert_false(part.is_whole);
        }
        struct sum none = {.from = BYTES};
        assert_true(mapped_look(add_up, &none));
        assert_int_equal(ftruncate(fd, BYTES), 0);
        assert_true(mapped_look(add_up, &all));
}

static void look_inside_a_look(void *context)
{
        struct sum *s = context;
        assert_false(mapped_look(add_up, &(struct sum){0}));
        add_up(s); /* this one's own guard is there again */
}

static void looks_may_be_nested(void **state)
{
        mapped_take_signal(); /* cmocka has taken it for this test */
        assert_int_equal(ftruncate(fd, 4096), 0);
        struct sum s = {0};
        assert_false(mapped_look(look_inside_a_look, &s));
        struct sum none = {.from = BYTES};
        assert_true(mapped_look(look_inside_a_look, &none));
}

static atomic_bool is_over;
static atomic_int looked, whole;

static void *look_all_the_time(void *none)
{
        while (!atomic_load(&is_over)) {
                struct sum s = {0};
                bool is_whole = mapped_look(add_up, &s);
                if (is_whole != s.is_whole || (is_whole && s.pages != 64))
                        abort();
                atomic_fetch_add(&looked, 1);
                atomic_fetch_add(&whole, is_whole);
        }
        return NULL;
}

/* Each thread has its own guard. */
static void many_look_while_it_changes(void **state)
{
        mapped_take_signal(); /* cmocka has taken it for this test */
        pthread_t threads[THREADS];
        atomic_store(&is_over, false);
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, look_all_the_time, NULL), 0);
        for (int i = 0; i < ROUNDS; i++) {
                int before = atomic_load(&looked);
                assert_int_equal(ftruncate(fd, i % 2 ? BYTES : i % 63 * 4096), 0);
                while (atomic_load(&looked) < before + 2)
                        sched_yield();
        }
        atomic_store(&is_over, true);
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_in_range(atomic_load(&whole), 1, atomic_load(&looked) - 1);
}

static void end_with_7(int signal)
{
        _exit(7);
}

/* The exit status of a child that has set a handler of its own, and then has a SIGBUS that is not ours. */
static int status_of_child(bool is_sent)
{
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                signal(SIGBUS, end_with_7);
                mapped_take_signal();
                mapped_take_signal();
                struct sum none = {.from = BYTES};
                if (!mapped_look(add_up, &none))
                        _exit(1);
                if (is_sent)
                        raise(SIGBUS);
                else
                        add_up(&(struct sum){0});
                _exit(2);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void other_bus_errors_are_not_hidden(void **state)
{
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(status_of_child(true), 7);
        assert_int_equal(status_of_child(false), 7);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(what_is_gone_is_told, setup, teardown),
                cmocka_unit_test_setup_teardown(looks_may_be_nested, setup, teardown),
                cmocka_unit_test_setup_teardown(many_look_while_it_changes, setup, teardown),
                cmocka_unit_test_setup_teardown(other_bus_errors_are_not_hidden, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
