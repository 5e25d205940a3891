/*
 * clock_test.c - the wall clock jumps, hours forth and back, while messages wait and while nobody runs
 *
 * Waiting is a matter of the monotonic clock; what stands on disk is wall clock, and a span is kept when the clock has
 * gone back.
 */
#include "base/clock.h"
#include "base/unit.h"
#include "spool/spool_kit.h"
#include "spool/spool_private.h"

enum { HOUR_S = 3600 };
#define US INT64_C(1000000)

static struct kit kit;
static int64_t jump_us; /* how far the wall clock is off */
static char ids[2][QUEUE_ID_BYTES_MAX];

int64_t __real_clock_wall_us(void);
int64_t __wrap_clock_wall_us(void);

int64_t __wrap_clock_wall_us(void)
{
        return __real_clock_wall_us() + jump_us;
}

static int setup(void **state)
{
        jump_us = 0;
        kit_init(&kit, NULL);
        return 0;
}

static int teardown(void **state)
{
        kit_done(&kit);
        return 0;
}

static void run(void (*script)(struct kit *k))
{
        struct why why = {""};
        if (kit_open(&kit, &why) < 0)
                fail_msg("%s", why.text);
        kit_run(&kit, script);
        kit_close(&kit);
}

/* One that comes back in an hour, one in a second. */
static void defer_two(struct kit *k)
{
        struct why why;
        for (int i = 1; i >= 0; i--) {
                assert_int_equal(await_kit_commit(k, STR("text\r\n"), 1, 0, ids[i], &why), 0);
                struct spool_message *m = await_kit_due(k, 60000);
                assert_non_null(m);
                spool_message_settle(&m, clock_wall_us() + (i ? HOUR_S * US : US));
        }
}

static int64_t next_of(struct kit *k, int i)
{
        const struct spool_message *m = spool_find(k->spool, k->loop, str_from(ids[i]));
        assert_non_null(m);
        struct arena arena;
        struct spool_info info;
        arena_init(&arena, 0);
        spool_message_info(m, &arena, &info);
        arena_done(&arena);
        return info.next_attempt_us;
}

/* The first comes in its time, the second not; what is shown follows the new clock. */
static void wait_for_one(struct kit *k)
{
        assert_null(await_kit_due(k, 100));
        struct spool_message *m = await_kit_due(k, 60000);
        assert_non_null(m);
        assert_string_equal(spool_message_id(m), ids[0]);
        assert_null(await_kit_due(k, 100));
        int64_t left_us = next_of(k, 1) - clock_wall_us();
        assert_in_range(left_us, (HOUR_S - 60) * US, HOUR_S * US);
        spool_message_settle(&m, clock_wall_us() + HOUR_S * US);
}

static void jump_while_they_wait(struct kit *k)
{
        static const int64_t jumps[] = {5 * HOUR_S, -5 * HOUR_S, 0, -24 * HOUR_S, 24 * HOUR_S};
        for (size_t i = 0; i < sizeof(jumps) / sizeof(*jumps); i++) {
                defer_two(k);
                jump_us = jumps[i] * US;
                wait_for_one(k);
                /* new mail comes and goes, with an id of its own */
                char id[QUEUE_ID_BYTES_MAX];
                struct why why;
                assert_int_equal(await_kit_commit(k, STR("text\r\n"), 1, 0, id, &why), 0);
                struct spool_message *m = await_kit_due(k, 60000);
                assert_non_null(m);
                assert_string_equal(spool_message_id(m), id);
                kit_settle(m, SPOOL_DELIVERED, "250 ok", 0);
        }
}

static void while_running(void **state)
{
        run(jump_while_they_wait);
}

static void nothing_is_due(struct kit *k)
{
        assert_null(await_kit_due(k, 100));
        assert_in_range(next_of(k, 1) - clock_wall_us(), (HOUR_S - 60) * US, HOUR_S * US);
}

static void both_are_due(struct kit *k)
{
        assert_non_null(await_kit_due(k, 60000));
        assert_non_null(await_kit_due(k, 60000));
}

static void hold_up_an_hour(struct kit *k)
{
        struct why why;
        for (int i = 0; i < 2; i++) {
                assert_int_equal(await_kit_commit(k, STR("text\r\n"), 1, 0, ids[i], &why), 0);
                struct spool_message *m = await_kit_due(k, 60000);
                assert_non_null(m);
                spool_message_settle(&m, clock_wall_us() + HOUR_S * US);
        }
}

static void over_a_restart(void **state)
{
        run(hold_up_an_hour);
        jump_us = -5 * HOUR_S * US; /* back: the span stays, nothing waits for six hours */
        run(nothing_is_due);
        run(nothing_is_due);
        jump_us = 5 * HOUR_S * US; /* forth: their time is over */
        run(both_are_due);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(while_running, setup, teardown),
                cmocka_unit_test_setup_teardown(over_a_restart, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
