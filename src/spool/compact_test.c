/* compact_test.c - segments go when nobody needs them; the few that stay are copied forward, with their state */
#include "base/clock.h"
#include "base/unit.h"
#include "spool/spool_kit.h"
#include "spool/spool_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

static struct kit kit;
static struct buf scratch;
static struct buf seen;

static size_t segments(void)
{
        char path[300];
        snprintf(path, sizeof(path), "%s/journal", kit.path);
        DIR *d = opendir(path);
        assert_non_null(d);
        size_t n = 0;
        struct dirent *e;
        while ((e = readdir(d)))
                n += e->d_name[0] != '.';
        closedir(d);
        return n;
}

static struct spool_counts counts(struct kit *k)
{
        struct spool_counts c;
        spool_count(k->spool, &c);
        return c;
}

static void commit(struct kit *k, size_t bytes, unsigned seed, unsigned flags, char *id)
{
        struct why why = {""};
        if (await_kit_commit(k, kit_content(&scratch, bytes, seed), 2, flags, id, &why) < 0)
                fail_msg("%s", why.text);
}

/* There were so few at some time: their number goes up and down while stragglers are copied. */
static void await_segments(struct kit *k, size_t max)
{
        size_t left = segments();
        for (int i = 0; i < 5000 && left > max; i++) {
                await_sleep(10);
                left = segments();
        }
        if (left > max)
                fail_msg("%zu segments are left instead of %zu", left, max);
}

static void hurry(struct kit *k)
{
        k->spool->journal.straggler_ms = 0;
        k->spool->journal.look_ms = 1;
}

/* ---- all delivered: segments follow each other away ---- */

static void deliver_all(struct kit *k)
{
        for (unsigned i = 0; i < 3000; i++) {
                commit(k, 4000, i, 0, NULL);
                kit_settle(await_kit_due(k, 60000), SPOOL_DELIVERED, "", 0);
        }
        await_segments(k, 3); /* the active one, the next, one that is just going */
        assert_true(counts(k).disk_bytes <= 4 * k->options.segment_bytes);
}

/* ---- a few stay ---- */

enum { STUCK = 10 };
static char stuck[STUCK][QUEUE_ID_BYTES_MAX];
static int64_t next_us;

static void keep_some(struct kit *k)
{
        hurry(k);
        next_us = clock_wall_us() + 3600 * (int64_t)1000000;
        for (unsigned i = 0; i < 400; i++) {
                bool stays = i % 40 == 7;
                commit(k, stays ? 500 : 4000, i, 0, stays ? stuck[i / 40] : NULL);
                struct spool_message *m = await_kit_due(k, 60000);
                struct spool_result r = {.state = SPOOL_DELIVERED, .reason = STR("250 one")};
                if (!stays) {
                        kit_settle(m, SPOOL_DELIVERED, "", 0);
                        continue;
                }
                spool_message_record(m, &r, 1);
                spool_message_settle(&m, next_us);
        }
        await_segments(k, 3);
        assert_int_equal(counts(k).deferred, STUCK);
}

static void check_some(struct kit *k)
{
        assert_int_equal(counts(k).damaged, 0);
        assert_int_equal(counts(k).deferred, STUCK);
        for (unsigned i = 0; i < STUCK; i++) {
                struct spool_message *m = spool_find(k->spool, k->loop, str_from(stuck[i]));
                assert_non_null(m);
                assert_int_equal(spool_message_attempts(m), 1);
                assert_int_equal(spool_message_state(m, 0), SPOOL_DELIVERED);
                assert_str_equal(spool_message_reason(m, 0), "250 one");
                assert_int_equal(spool_message_state(m, 1), SPOOL_WAITING);
                assert_true(llabs(message_next_us(m) - next_us) < 5000000);
                assert_int_equal(await_kit_read(m, &seen), 0);
                assert_true(str_eq(buf_str(&seen), kit_content(&scratch, 500, i * 40 + 7)));
        }
}

/* ---- a backlog of many: the disk stays bounded all the same ---- */

static void keep_many(struct kit *k)
{
        hurry(k);
        for (unsigned i = 0; i < 100; i++)
                commit(k, 4000, i, SPOOL_HOLD, NULL);
        for (unsigned i = 0; i < 1500; i++) {
                commit(k, 4000, i, 0, NULL);
                kit_settle(await_kit_due(k, 60000), SPOOL_DELIVERED, "", 0);
        }
        int64_t backlog = 100 * 4200;
        for (int i = 0; i < 3000; i++) {
                if (counts(k).disk_bytes <= 2 * backlog + 7 * k->options.segment_bytes)
                        break;
                await_sleep(10);
        }
        assert_true(counts(k).disk_bytes <= 2 * backlog + 7 * k->options.segment_bytes);
        assert_int_equal(counts(k).held, 100);
}

static void check_many(struct kit *k)
{
        assert_int_equal(counts(k).held, 100);
        assert_int_equal(counts(k).deferred, 0);
        assert_int_equal(counts(k).damaged, 0);
}

/* ---- messages that end, or change, while they are copied ---- */

static void change_meanwhile(struct kit *k)
{
        hurry(k);
        char id[50][QUEUE_ID_BYTES_MAX];
        for (unsigned round = 0; round < 10; round++) {
                for (unsigned i = 0; i < 50; i++)
                        commit(k, 4000, i, SPOOL_HOLD, id[i]);
                for (unsigned i = 0; i < 50; i++) {
                        struct spool_message *m = spool_find(k->spool, k->loop, str_from(id[i]));
                        if (i % 3 == 0)
                                spool_delete(m);
                        else if (i % 3 == 1)
                                spool_message_set_delay_told(m);
                        if (i % 5 == 0)
                                await_turn();
                }
                for (unsigned i = 0; i < 50; i++) {
                        struct spool_message *m = spool_find(k->spool, k->loop, str_from(id[i]));
                        assert_true(!m == (i % 3 == 0));
                        if (m && round < 9)
                                spool_delete(m);
                }
        }
}

static void check_told(void *context, const struct spool_info *info)
{
        size_t *told = context;
        *told += spool_message_is_delay_told(info->message);
}

static void check_changed(struct kit *k)
{
        uint64_t cursor = 0;
        size_t told = 0;
        assert_int_equal(counts(k).held, 33);
        while (spool_list(k->spool, k->loop, &cursor, 100, check_told, &told))
                ;
        assert_int_equal(told, 17);
}

/* ---- bytes that rotted: what is damaged stays so, and keeps nobody waiting ---- */

static void rot(struct kit *k)
{
        hurry(k);
        commit(k, 4000, 1, SPOOL_HOLD, stuck[0]);
        struct spool_message *m = spool_find(k->spool, k->loop, str_from(stuck[0]));
        char path[400];
        snprintf(path, sizeof(path), "%s/journal/%016llx", kit.path,
                 (unsigned long long)m->segment->number);
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, "\1", 1, (off_t)m->content_at + 100), 1);
        close(fd);
        uint64_t first = m->segment->number;
        for (unsigned i = 0; i < 100; i++) {
                commit(k, 4000, i, 0, NULL);
                kit_settle(await_kit_due(k, 60000), SPOOL_DELIVERED, "", 0);
        }
        for (int i = 0; i < 3000 && m->segment->number == first; i++)
                await_sleep(10);
        assert_true(m->segment->number != first); /* it keeps nobody waiting */
        hot_drop(k->spool, &m->hot);
        assert_int_equal(await_kit_read(m, &seen), -EBADMSG);
        /* at the very end it would look like a write that was not finished */
        commit(k, 4000, 1, 0, NULL);
        kit_settle(await_kit_due(k, 60000), SPOOL_DELIVERED, "", 0);
}

static void check_rotten(struct kit *k)
{
        /* the copy, and the original where its segment had not gone yet */
        assert_in_range(counts(k).damaged, 1, 2);
        assert_int_equal(counts(k).held, 0);
}

static int setup(void **state)
{
        buf_init(&scratch, 1 << 20);
        buf_init(&seen, 1 << 20);
        kit_init(&kit, NULL);
        kit.options.segment_bytes = 64 << 10;
        return 0;
}

static int teardown(void **state)
{
        kit_done(&kit);
        buf_done(&scratch);
        buf_done(&seen);
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

static void test_delivered(void **state)
{
        run(deliver_all);
}

static void test_stragglers(void **state)
{
        run(keep_some);
        run(check_some);
}

static void test_backlog(void **state)
{
        run(keep_many);
        run(check_many);
}

static void test_change_meanwhile(void **state)
{
        run(change_meanwhile);
        run(check_changed);
}

static void test_rot(void **state)
{
        run(rot);
        run(check_rotten);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_delivered, setup, teardown),
                cmocka_unit_test_setup_teardown(test_stragglers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_backlog, setup, teardown),
                cmocka_unit_test_setup_teardown(test_change_meanwhile, setup, teardown),
                cmocka_unit_test_setup_teardown(test_rot, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
