/* spool_test.c - a message's life: committed, handed out, tried, delivered; and what a restart keeps of it */
#include "spool/spool.h"

#include "base/clock.h"
#include "base/unit.h"
#include "spool/segment.h"
#include "spool/spool_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct kit kit;
static struct buf content;
static struct buf seen;

static int setup(void **state)
{
        buf_init(&content, 64 << 20);
        buf_init(&seen, 64 << 20);
        kit_init(&kit, NULL);
        return 0;
}

static int teardown(void **state)
{
        kit_done(&kit);
        buf_done(&content);
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

static struct spool_counts counts(struct kit *k)
{
        struct spool_counts c;
        spool_count(k->spool, &c);
        return c;
}

static size_t files_in(const char *part)
{
        char path[300];
        snprintf(path, sizeof(path), "ls %s/%s | wc -l", kit.path, part);
        FILE *f = popen(path, "r");
        int n = -1;
        assert_int_equal(fscanf(f, "%d", &n), 1);
        pclose(f);
        return (size_t)n;
}

/* ---- one message, straight through ---- */

static void straight(struct kit *k)
{
        char id[QUEUE_ID_BYTES_MAX];
        struct why why;
        assert_int_equal(await_kit_commit(k, kit_content(&content, 4096, 1), 2, 0, id, &why), 0);
        struct spool_message *m = await_kit_due(k, 60000);
        assert_non_null(m);
        assert_string_equal(spool_message_id(m), id);
        assert_int_equal(spool_message_bytes(m), 4096);
        assert_int_equal(spool_message_attempts(m), 0);
        assert_true(llabs(clock_wall_us() - spool_message_arrival_us(m)) < 60000000);
        assert_int_equal(counts(k).active, 1);
        assert_int_equal(counts(k).deferred, 0);
        assert_true(spool_find(k->spool, k->loop, str_from(id)) == m);
        assert_null(spool_find(k->spool, k->loop, STR("none")));

        struct arena arena;
        arena_init(&arena, 0);
        struct envelope e;
        spool_message_envelope(m, &arena, &e);
        assert_str_equal(e.sender, "a@example");
        assert_int_equal(e.recipient_count, 2);
        assert_str_equal(e.recipients[1].address, "b1@example");
        arena_done(&arena);

        for (int i = 0; i < 3; i++) { /* from memory, then from disk */
                assert_int_equal(await_kit_read(m, &seen), 0);
                assert_true(str_eq(buf_str(&seen), buf_str(&content)));
        }
        struct spool_result r = {.recipient = 0, .state = SPOOL_DELIVERED, .reason = STR("250 ok")};
        spool_message_record(m, &r, 1);
        assert_int_equal(spool_message_state(m, 0), SPOOL_DELIVERED);
        assert_int_equal(spool_message_state(m, 1), SPOOL_WAITING);
        assert_str_equal(spool_message_reason(m, 0), "250 ok");
        assert_str_equal(spool_message_reason(m, 1), "");
        r.recipient = 1;
        spool_message_record(m, &r, 1);
        spool_message_settle(&m, 0);
        assert_null(m);
        assert_int_equal(counts(k).active, 0);
        assert_null(spool_find(k->spool, k->loop, str_from(id)));
        assert_int_equal(counts(k).commits, 1);
        assert_true(counts(k).syncs >= 1);
}

static void nothing_is_left(struct kit *k)
{
        assert_null(await_kit_due(k, 50));
        assert_int_equal(counts(k).damaged, 0);
}

static void test_straight(void **state)
{
        run(straight);
        run(nothing_is_left);
        assert_int_equal(files_in("journal"), 0);
}

/* ---- what a restart keeps ---- */

static char kept_id[QUEUE_ID_BYTES_MAX];
static int64_t next_us;

static void try_once(struct kit *k)
{
        struct why why;
        assert_int_equal(await_kit_commit(k, kit_content(&content, 5000, 2), 3, 0, kept_id, &why),
                         0);
        struct spool_message *m = await_kit_due(k, 60000);
        struct spool_result r[] = {
                {.recipient = 0, .state = SPOOL_DELIVERED, .reason = STR("250 fine")},
                {.recipient = 2, .state = SPOOL_WAITING, .reason = STR("451 later")},
        };
        spool_message_record(m, r, 2);
        assert_false(spool_message_is_delay_told(m));
        spool_message_set_delay_told(m);
        assert_false(spool_message_is_reported(m));
        spool_message_set_reported(m);
        next_us = clock_wall_us() + 3600 * (int64_t)1000000;
        spool_message_settle(&m, next_us);
        assert_null(await_kit_due(k, 50));
        assert_int_equal(counts(k).deferred, 1);
}

static void check_kept(struct kit *k)
{
        assert_null(await_kit_due(k, 50));
        struct spool_message *m = spool_find(k->spool, k->loop, str_from(kept_id));
        assert_non_null(m);
        assert_int_equal(spool_message_attempts(m), 1);
        assert_int_equal(spool_message_state(m, 0), SPOOL_DELIVERED);
        assert_int_equal(spool_message_state(m, 1), SPOOL_WAITING);
        assert_int_equal(spool_message_state(m, 2), SPOOL_WAITING);
        assert_str_equal(spool_message_reason(m, 0), "250 fine");
        assert_str_equal(spool_message_reason(m, 2), "451 later");
        assert_true(spool_message_is_delay_told(m));
        assert_true(spool_message_is_reported(m));
        assert_int_equal(spool_flush(k->spool, k->loop, m), 1);
        assert_true(await_kit_due(k, 60000) == m);
        assert_int_equal(spool_flush(k->spool, k->loop, m), 0); /* active already */
        assert_int_equal(await_kit_read(m, &seen), 0);
        assert_true(str_eq(buf_str(&seen), kit_content(&content, 5000, 2)));
        kit_settle(m, SPOOL_WAITING, "451 still later", next_us);
}

static void look_at_kept(void *context, const struct spool_info *info)
{
        ++*(int *)context;
        assert_string_equal(info->id, kept_id);
        assert_int_equal(info->queue, SPOOL_QUEUE_DEFERRED);
        assert_int_equal(info->attempts, 2);
        assert_int_equal(info->bytes, 5000);
        assert_true(llabs(info->next_attempt_us - next_us) < 5000000);
        assert_int_equal(info->envelope.recipient_count, 3);
        assert_str_equal(spool_message_reason(info->message, 1), "451 still later");
}

static void is_in_use(struct kit *k)
{
        struct why why;
        int calls = 0;
        assert_int_equal(spool_peek(k->options.directory, look_at_kept, &calls, &why),
                         -EWOULDBLOCK);
        char pid[32];
        snprintf(pid, sizeof(pid), "process %d", (int)getpid());
        assert_non_null(strstr(why.text, pid));
        struct spool *second;
        assert_int_equal(spool_open(&k->options, &second, &why), -EWOULDBLOCK);
        assert_null(second);
        assert_non_null(strstr(why.text, pid));
}

static void test_restart(void **state)
{
        struct why why;
        int calls = 0;
        run(try_once);
        run(check_kept);
        assert_int_equal(spool_peek(kit.options.directory, look_at_kept, &calls, &why), 0);
        assert_int_equal(calls, 1);
        run(is_in_use);
        assert_int_equal(spool_peek(STR("/nonexistent"), look_at_kept, &calls, &why), -ENOENT);
}

/* ---- large content ---- */

enum { LARGE = 5 << 20 };

static void commit_large(struct kit *k)
{
        struct why why;
        assert_int_equal(await_kit_commit(k, kit_content(&content, LARGE, 3), 1, 0, kept_id, &why),
                         0);
        assert_int_equal(files_in("large"), 1);
        struct spool_draft *d = spool_draft_new(k->spool);
        for (int i = 0; i < 20; i++) {
                assert_int_equal(buf_append_str(spool_draft_buf(d), str_make(content.ptr, 100000)),
                                 0);
                assert_int_equal(await_spool_draft_settle(d, &why), 0);
                assert_true(spool_draft_buf(d)->room <= 256 << 10);
                assert_int_equal(spool_draft_bytes(d), (i + 1) * 100000);
        }
        assert_int_equal(files_in("large"), 2);
        spool_draft_free(&d);
        assert_null(d);
        while (files_in("large") > 1)
                await_sleep(10);
}

static void deliver_large(struct kit *k)
{
        struct spool_message *m = await_kit_due(k, 60000);
        assert_string_equal(spool_message_id(m), kept_id);
        assert_int_equal(spool_message_bytes(m), LARGE);
        assert_int_equal(await_kit_read(m, &seen), 0);
        assert_true(str_eq(buf_str(&seen), kit_content(&content, LARGE, 3)));
        kit_settle(m, SPOOL_DELIVERED, "", 0);
}

static void test_large(void **state)
{
        char path[300];
        run(commit_large);
        snprintf(path, sizeof(path), "%s/large/draft", kit.path);
        int fd = open(path, O_CREAT | O_WRONLY, 0600); /* what a draft leaves behind in a crash */
        assert_true(fd >= 0);
        close(fd);
        run(deliver_large);
        assert_int_equal(files_in("large"), 0);
        assert_int_equal(files_in("corrupt"), 0);
        run(nothing_is_left);
}

static void large_is_missing(struct kit *k)
{
        assert_null(await_kit_due(k, 50));
        assert_int_equal(counts(k).damaged, 1);
}

static void test_large_lost(void **state)
{
        char path[300];
        run(commit_large);
        snprintf(path, sizeof(path), "%s/large/%s", kit.path, kept_id);
        assert_int_equal(unlink(path), 0);
        run(large_is_missing);
}

/* ---- hold, release, delete ---- */

static void hold(struct kit *k)
{
        char other[QUEUE_ID_BYTES_MAX];
        struct why why;
        assert_int_equal(await_kit_commit(k, STR("held\r\n"), 1, SPOOL_HOLD, kept_id, &why), 0);
        assert_null(await_kit_due(k, 50));
        assert_int_equal(counts(k).held, 1);
        struct spool_message *m = spool_find(k->spool, k->loop, str_from(kept_id));
        assert_int_equal(spool_flush(k->spool, k->loop, m), 0);
        assert_null(await_kit_due(k, 50));

        /* one that is held while it is active, and one that is deleted so */
        assert_int_equal(await_kit_commit(k, STR("x\r\n"), 1, 0, other, &why), 0);
        m = await_kit_due(k, 60000);
        spool_hold(m);
        kit_settle(m, SPOOL_WAITING, "later", 0);
        assert_int_equal(counts(k).held, 2);
        spool_delete(m);
        assert_int_equal(counts(k).held, 1);
        assert_null(spool_find(k->spool, k->loop, str_from(other)));
        assert_int_equal(await_kit_commit(k, STR("x\r\n"), 1, 0, other, &why), 0);
        m = await_kit_due(k, 60000);
        spool_delete(m);
        assert_int_equal(counts(k).active, 1);
        kit_settle(m, SPOOL_WAITING, "later", clock_wall_us());
        assert_int_equal(counts(k).active, 0);
        assert_int_equal(counts(k).deferred, 0);
}

static void release(struct kit *k)
{
        assert_null(await_kit_due(k, 50));
        assert_int_equal(counts(k).held, 1);
        struct spool_message *m = spool_find(k->spool, k->loop, str_from(kept_id));
        spool_release(m);
        assert_true(await_kit_due(k, 60000) == m);
        spool_hold(m);
        spool_release(m);
        kit_settle(m, SPOOL_WAITING, "later", clock_wall_us() + 60000000);
}

static void still_released(struct kit *k)
{
        assert_null(await_kit_due(k, 50));
        assert_int_equal(counts(k).deferred, 1);
        struct spool_message *m = spool_find(k->spool, k->loop, str_from(kept_id));
        spool_hold(m);
        spool_delete(m);
        assert_int_equal(counts(k).held, 0);
}

static void test_hold(void **state)
{
        run(hold);
        run(release);
        run(still_released);
        run(nothing_is_left);
}

/* ---- lists ---- */

enum { LISTED = 1000 };
static bool listed[LISTED];

static void list_one(void *context, const struct spool_info *info)
{
        int64_t n = 0;
        assert_int_equal(str_to_int64(spool_message_reason(info->message, 0), 0, LISTED - 1, &n),
                         0);
        assert_false(listed[n]);
        listed[n] = true;
        ++*(size_t *)context;
}

static void list_all(struct kit *k)
{
        struct why why;
        for (int i = 0; i < LISTED; i++) {
                assert_int_equal(await_kit_commit(k, STR("x\r\n"), 1, 0, NULL, &why), 0);
                struct spool_message *m = await_kit_due(k, 60000);
                char text[16];
                snprintf(text, sizeof(text), "%d", i);
                kit_settle(m, SPOOL_WAITING, text, clock_wall_us() + 60000000);
        }
        uint64_t cursor = 0;
        size_t total = 0;
        size_t before = 0;
        while (spool_list(k->spool, k->loop, &cursor, 10, list_one, &total)) {
                assert_true(total - before < 40);
                before = total;
        }
        assert_int_equal(total, LISTED);
}

static void ignore_new(void *context, const struct spool_info *info)
{
        if (info->queue != SPOOL_QUEUE_HOLD)
                list_one(context, info);
}

static void list_while_growing(struct kit *k)
{
        struct why why;
        memset(listed, 0, sizeof(listed));
        uint64_t cursor = 0;
        size_t total = 0;
        int calls = 0;
        while (spool_list(k->spool, k->loop, &cursor, 10, ignore_new, &total))
                if (++calls % 3 == 0 && calls < 40)
                        for (int i = 0; i < 200; i++)
                                assert_int_equal(await_kit_commit(k, STR("x\r\n"), 1, SPOOL_HOLD,
                                                                  NULL, &why),
                                                 0);
        assert_int_equal(total, LISTED);
}

static void test_list(void **state)
{
        run(list_all);
        run(list_while_growing);
}

/* ---- limits ---- */

static void go_over(struct kit *k)
{
        struct why why;
        /* more than one piece without a settle does not fit */
        struct spool_draft *d = spool_draft_new(k->spool);
        kit_content(&content, 1 << 20, 1);
        size_t room = (size_t)k->options.large_bytes + SPOOL_PIECE_BYTES_MAX;
        assert_int_equal(buf_append(spool_draft_buf(d), content.ptr, room), 0);
        assert_int_equal(buf_append(spool_draft_buf(d), "x", 1), -ENOBUFS);
        assert_int_equal(await_spool_draft_settle(d, &why), 0);
        assert_int_equal(spool_draft_buf(d)->len, 0);
        /* an envelope that is too large is refused, and the draft is the caller's */
        static struct recipient many[3000];
        static char address[4000];
        memset(address, 'a', sizeof(address));
        for (size_t i = 0; i < 3000; i++)
                many[i].address = str_make(address, sizeof(address));
        struct envelope e = {.recipients = many, .recipient_count = 3000};
        assert_int_equal(await_spool_commit(&d, &e, 0, &why), -E2BIG);
        assert_non_null(d);
        e.recipient_count = 1;
        assert_int_equal(await_spool_commit(&d, &e, 0, &why), 0);
        assert_null(d);
        struct spool_message *m = await_kit_due(k, 60000);
        assert_int_equal(spool_message_bytes(m), room);
        static char reason[2000];
        memset(reason, 'r', sizeof(reason) - 1);
        struct spool_result r = {.recipient = 0, .reason = str_from(reason)};
        spool_message_record(m, &r, 1);
        assert_int_equal(spool_message_reason(m, 0).len, 500);
        spool_message_settle(&m, clock_wall_us() + 60000000);
        assert_int_equal(spool_check_room(k->spool, 1000), 0);
        assert_int_equal(spool_check_room(k->spool, INT64_MAX / 4), -ENOSPC);
        assert_int_equal(spool_check_room(k->spool, INT64_MAX), -ENOSPC);
}

static void test_limits(void **state)
{
        run(go_over);
}

/* ---- a reader that is not the delivery's ---- */

/* Reads what it can while the message is deleted: before the first piece, after it. */
static void read_pinned(struct kit *k, bool reads_first, size_t len)
{
        char id[QUEUE_ID_BYTES_MAX];
        struct why why;
        struct str piece;
        assert_int_equal(
                await_kit_commit(k, kit_content(&content, len, 9), 1, SPOOL_HOLD, id, &why), 0);
        struct spool_message *m = spool_message_pin(spool_find(k->spool, k->loop, str_from(id)));
        struct spool_reader r;
        spool_reader_init(&r, m);
        if (reads_first) {
                assert_int_equal(await_spool_reader_next(&r, &piece, &why), 0);
                assert_true(piece.len > 0);
        }
        spool_delete(m);
        assert_null(spool_find(k->spool, k->loop, str_from(id)));
        assert_int_equal(counts(k).held, 0);
        int rc = await_spool_reader_next(&r, &piece, &why);
        if (!reads_first) {
                assert_int_equal(rc, -ENOENT);
                assert_non_null(strstr(why.text, "no longer in the queue"));
        } else {
                assert_int_equal(rc, 0); /* the file was open, or it was in memory */
        }
        spool_reader_done(&r);
        spool_message_unpin(&m);
        assert_null(m);
}

static void pin(struct kit *k)
{
        read_pinned(k, true, 1 << 20);
        read_pinned(k, true, 4096);
        read_pinned(k, false, 4096);
}

static void test_pin(void **state)
{
        run(pin);
}

/* ---- a newer format ---- */

static void test_newer(void **state)
{
        char path[300];
        struct why why;
        run(try_once);
        snprintf(path, sizeof(path), "%s/journal/0000000000000001", kit.path);
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        struct segment_header h = {.version = SEGMENT_VERSION + 1, .number = 1};
        unsigned char bytes[4096];
        segment_header_encode(&h, bytes);
        assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
        close(fd);
        assert_int_equal(kit_open(&kit, &why), -EPROTONOSUPPORT);
        assert_non_null(strstr(why.text, "journal/0000000000000001: its format version is 3"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_straight, setup, teardown),
                cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
                cmocka_unit_test_setup_teardown(test_large, setup, teardown),
                cmocka_unit_test_setup_teardown(test_large_lost, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hold, setup, teardown),
                cmocka_unit_test_setup_teardown(test_list, setup, teardown),
                cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_pin, setup, teardown),
                cmocka_unit_test_setup_teardown(test_newer, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
