/* parallel_test.c - two loops commit and deliver at once, while others look; for TSan above all */
#include "base/check.h"
#include "base/unit.h"
#include "loop/pool.h"
#include "spool/spool_kit.h"
#include "spool/spool_private.h"

#include <unistd.h>

enum { LOOPS = 2, TASKS = 8, EACH = 25, ALL = LOOPS * TASKS * EACH };

static struct kit kit;
static struct loop *loops[LOOPS];
static struct spool *spool;
static atomic_int left;
static atomic_int seen_twice;
static atomic_int deferred;
static atomic_bool seen[ALL];

static void finish_one(void)
{
        if (atomic_fetch_sub(&left, 1) == 1)
                for (int i = 0; i < LOOPS; i++)
                        loop_stop(loops[i]);
}

static int number_of(struct spool_message *m)
{
        struct arena arena;
        struct envelope e;
        int64_t n = -1;
        arena_init(&arena, 0);
        spool_message_envelope(m, &arena, &e);
        check(str_to_int64(e.envid, 0, ALL - 1, &n) == 0);
        arena_done(&arena);
        return (int)n;
}

static void deliver(void *arg)
{
        struct spool_message *m = arg;
        struct buf content;
        buf_init(&content, 1 << 20);
        check(await_kit_read(m, &content) == 0);
        check((int64_t)content.len == spool_message_bytes(m));
        buf_done(&content);
        int n = number_of(m);
        if (atomic_exchange(&seen[n], true))
                atomic_fetch_add(&seen_twice, 1);
        if (n % 5 == 0)
                atomic_fetch_add(&deferred, 1);
        kit_settle(m, n % 5 ? SPOOL_DELIVERED : SPOOL_WAITING, "for a reason",
                   clock_wall_us() + 3600 * (int64_t)1000000);
        finish_one();
}

static void take_due(void *context, struct spool_message *m)
{
        task_start(loop_self(), deliver, m);
}

static void send(void *arg)
{
        int first = (int)(intptr_t)arg;
        struct why why = {""};
        struct recipient to = {.address = STR("b@example")};
        struct buf text;
        buf_init(&text, 1 << 20);
        for (int n = first; n < first + EACH; n++) {
                char number[16];
                snprintf(number, sizeof(number), "%d", n);
                struct envelope e = {
                        .recipients = &to, .recipient_count = 1, .envid = str_from(number)};
                struct spool_draft *d = spool_draft_new(spool);
                size_t len = n % 40 == 3 ? 80000 : 1000 + (size_t)n;
                check(buf_append_str(spool_draft_buf(d), kit_content(&text, len, (unsigned)n)) ==
                      0);
                check(await_spool_draft_settle(d, &why) == 0);
                check(await_spool_commit(&d, &e, 0, &why) == 0);
                spool_check_room(spool, 1000);
        }
        buf_done(&text);
}

static void start(void *arg)
{
        int l = (int)(intptr_t)arg;
        spool_serve(spool, loops[l], take_due, NULL);
        for (int t = 0; t < TASKS; t++)
                task_start(loops[l], send, (void *)(intptr_t)((l * TASKS + t) * EACH));
}

static void *run_loop(void *arg)
{
        int l = (int)(intptr_t)arg;
        task_start(loops[l], start, arg);
        loop_run(loops[l]);
        return NULL;
}

static void open_all(void)
{
        struct why why = {""};
        for (int i = 0; i < LOOPS; i++)
                assert_non_null(loops[i] = loop_new(&why));
        assert_int_equal(pool_start(2, &why), 0);
        kit.options.loops = loops;
        kit.options.loop_count = LOOPS;
        if (spool_open(&kit.options, &spool, &why) < 0)
                fail_msg("%s", why.text);
        spool->journal.look_ms = 1;
        spool->journal.straggler_ms = 0;
}

static void close_all(void)
{
        spool_close(&spool);
        pool_stop();
        for (int i = 0; i < LOOPS; i++)
                loop_free(&loops[i]);
}

static void test_parallel(void **state)
{
        pthread_t threads[LOOPS];
        struct spool_counts c;
        kit_init(&kit, NULL);
        kit.options.segment_bytes = 256 << 10;
        atomic_store(&left, ALL);
        open_all();
        for (intptr_t l = 0; l < LOOPS; l++)
                assert_int_equal(pthread_create(&threads[l], NULL, run_loop, (void *)l), 0);
        while (atomic_load(&left) > 0) {
                spool_count(spool, &c);
                usleep(1000);
        }
        for (int l = 0; l < LOOPS; l++)
                pthread_join(threads[l], NULL);
        spool_count(spool, &c);
        assert_int_equal(c.commits, ALL);
        assert_int_equal(c.deferred, atomic_load(&deferred));
        assert_int_equal(atomic_load(&seen_twice), 0);
        close_all();
        open_all();
        spool_count(spool, &c);
        assert_int_equal(c.deferred, atomic_load(&deferred));
        assert_int_equal(c.damaged, 0);
        close_all();
        kit_done(&kit);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_parallel)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
