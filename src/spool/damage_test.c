/*
 * damage_test.c - a journal that was cut anywhere, or of which any byte has changed; and a disk that is full, or
 * broken, for a while
 */
#include "base/log.h"
#include "base/unit.h"
#include "loop/pool.h"
#include "spool/spool_disk.h"
#include "spool/spool_io.h"
#include "spool/spool_kit.h"
#include "spool/spool_private.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MESSAGES = 4 };

static struct kit kit;
static struct buf scratch;
static char ids[MESSAGES][QUEUE_ID_BYTES_MAX];
static size_t ends[MESSAGES + 1]; /* of each message's record; [0]: of the header */
static unsigned seen;
static struct spool_counts last;

static void run(void (*script)(struct kit *k))
{
        struct why why = {""};
        if (kit_open(&kit, &why) < 0)
                fail_msg("%s", why.text);
        kit_run(&kit, script);
        kit_close(&kit);
}

static void commit_all(struct kit *k)
{
        struct why why;
        ends[0] = SEGMENT_HEADER_BYTES;
        for (unsigned i = 0; i < MESSAGES; i++) {
                assert_int_equal(await_kit_commit(k, kit_content(&scratch, 100 + i * 50, i), 2,
                                                  SPOOL_HOLD, ids[i], &why),
                                 0);
                const struct spool_message *m = spool_find(k->spool, k->loop, str_from(ids[i]));
                ends[i + 1] = ends[i] + m->record_bytes;
        }
}

static void see(void *context, const struct spool_info *info)
{
        for (unsigned i = 0; i < MESSAGES; i++) {
                if (strcmp(ids[i], info->id) != 0)
                        continue;
                assert_false(seen & 1u << i);
                seen |= 1u << i;
                assert_int_equal(info->bytes, 100 + i * 50);
                assert_int_equal(info->envelope.recipient_count, 2);
                assert_str_equal(info->envelope.sender, "a@example");
                return;
        }
        fail_msg("a message that nobody sent: %s", info->id);
}

static void peek(void)
{
        struct why why = {""};
        seen = 0;
        if (spool_peek(kit.options.directory, see, NULL, &why) < 0)
                fail_msg("%s", why.text);
}

static int open_segment(void)
{
        char path[300];
        snprintf(path, sizeof(path), "%s/journal/0000000000000001", kit.path);
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        return fd;
}

/* Whatever stood there, it is another byte now. */
static void damage(int fd, size_t at)
{
        unsigned char byte;
        assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
        byte ^= 0x20;
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

static void test_cut_anywhere(void **state)
{
        run(commit_all);
        int fd = open_segment();
        for (size_t len = ends[MESSAGES]; len-- > 0;) {
                assert_int_equal(ftruncate(fd, (off_t)len), 0);
                peek();
                unsigned want = 0;
                for (unsigned i = 0; i < MESSAGES; i++)
                        if (ends[i + 1] <= len)
                                want |= 1u << i;
                assert_int_equal(seen, want);
        }
        close(fd);
}

static void test_any_byte(void **state)
{
        run(commit_all);
        int fd = open_segment();
        struct stat st;
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, ends[MESSAGES]); /* nothing behind the last record */
        for (size_t at = 0; at < ends[MESSAGES]; at++) {
                unsigned hit = 0;
                while (at >= ends[hit])
                        hit++;
                damage(fd, at);
                peek();
                damage(fd, at); /* twice is not at all */
                unsigned all = (1u << MESSAGES) - 1;
                if (hit == 0) /* the header is there twice */
                        assert_int_equal(seen, all);
                else if (seen != all) /* padding is not checked: it says nothing */
                        assert_int_equal(seen, all & ~(1u << (hit - 1)));
        }
        close(fd);
}

static void check_aside(struct kit *k)
{
        spool_count(k->spool, &last);
        assert_int_equal(last.held, MESSAGES - 1);
        assert_null(spool_find(k->spool, k->loop, str_from(ids[1])));
}

static void test_set_aside(void **state)
{
        char path[300];
        run(commit_all);
        int fd = open_segment();
        damage(fd, ends[1] + 20);
        close(fd);
        run(check_aside);
        assert_int_equal(last.damaged, 1);
        snprintf(path, sizeof(path), "%s/corrupt/0000000000000001-%zu", kit.path, ends[1]);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, ends[2] - ends[1]);
}

/* A bad header costs the segment, not the start. */
static void no_header(struct kit *k)
{
        struct why why;
        spool_count(k->spool, &last);
        assert_int_equal(last.damaged, 1);
        assert_int_equal(last.held, 0);
        assert_int_equal(await_kit_commit(k, STR("x\r\n"), 1, SPOOL_HOLD, NULL, &why), 0);
}

static void test_no_header(void **state)
{
        char path[300];
        struct stat st;
        run(commit_all);
        int fd = open_segment();
        damage(fd, 20);
        damage(fd, 2048 + 20);
        close(fd);
        run(no_header);
        snprintf(path, sizeof(path), "%s/corrupt/0000000000000001", kit.path);
        assert_int_equal(stat(path, &st), 0);
}

/* ---- a disk that is full, or broken, for a while ---- */

static int broken_error;
static char refused_id[QUEUE_ID_BYTES_MAX];

static void break_and_mend(struct kit *k)
{
        struct why why = {""};
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(
                        await_kit_commit(k, kit_content(&scratch, 5000, i), 2, 0, ids[i], &why), 0);
        struct spool_message *m[3];
        for (unsigned i = 0; i < 3; i++)
                assert_non_null(m[i] = await_kit_due(k, 60000));
        disk_break(broken_error);
        for (int n = 0; n < 3; n++) {
                int rc =
                        await_kit_commit(k, kit_content(&scratch, 5000, 9), 2, 0, refused_id, &why);
                assert_int_equal(rc, -broken_error);
                assert_non_null(strstr(why.text, refused_id));
        }
        assert_int_equal(spool_check_room(k->spool, 100),
                         broken_error == ENOSPC || broken_error == EDQUOT ? -ENOSPC : -EIO);
        int rc = await_kit_commit(k, kit_content(&scratch, 200000, 9), 2, 0, NULL, &why);
        assert_int_equal(rc, -broken_error); /* large content meets it in its own file */
        /* what is on its way goes on; its results wait for the disk */
        assert_int_equal(await_kit_read(m[0], &scratch), 0);
        kit_settle(m[0], SPOOL_DELIVERED, "", 0);
        kit_settle(m[1], SPOOL_WAITING, "451 once", clock_wall_us() + 3600 * (int64_t)1000000);
        await_sleep(20);
        disk_mend();
        int64_t until = loop_now_ms() + 60000;
        while ((rc = await_kit_commit(k, kit_content(&scratch, 5000, 3), 2, 0, ids[3], &why)) < 0 &&
               loop_now_ms() < until)
                await_sleep(10);
        assert_int_equal(rc, 0);
        assert_int_equal(spool_check_room(k->spool, 100), 0);
        spool_message_settle(&m[2], clock_wall_us() + 3600 * (int64_t)1000000);
}

static void check_mended(struct kit *k)
{
        struct why why;
        spool_count(k->spool, &last);
        assert_int_equal(last.damaged, 0);
        assert_null(spool_find(k->spool, k->loop, str_from(refused_id)));
        assert_null(spool_find(k->spool, k->loop, str_from(ids[0])));
        struct spool_message *m = spool_find(k->spool, k->loop, str_from(ids[1]));
        assert_str_equal(spool_message_reason(m, 0), "451 once");
        assert_non_null(spool_find(k->spool, k->loop, str_from(ids[2])));
        assert_non_null(spool_find(k->spool, k->loop, str_from(ids[3])));
        assert_int_equal(last.active + last.deferred + last.held, 3);
        assert_int_equal(await_kit_commit(k, STR("x\r\n"), 1, 0, NULL, &why), 0);
}

static void test_broken(void **state)
{
        static const int errors[] = {ENOSPC, EIO, EROFS, EMFILE, EDQUOT};
        for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
                kit_done(&kit);
                kit_init(&kit, NULL);
                disk_start(&(struct disk_plan){.fault = DISK_SOUND}, kit.path);
                broken_error = errors[i];
                run(break_and_mend);
                disk_stop();
                run(check_mended);
        }
}

/* ---- fsync fails once: that is final for the segment ---- */

static int fails_left;

static int fdatasync_once(int fd)
{
        if (fails_left-- > 0) {
                errno = EIO;
                return -1;
        }
        return spool_io_real.fdatasync(fd);
}

static void fail_once(struct kit *k)
{
        struct why why = {""};
        assert_int_equal(
                await_kit_commit(k, kit_content(&scratch, 500, 0), 1, SPOOL_HOLD, ids[0], &why), 0);
        const struct segment *first = spool_find(k->spool, k->loop, str_from(ids[0]))->segment;
        fails_left = 1;
        assert_int_equal(
                await_kit_commit(k, kit_content(&scratch, 500, 1), 1, SPOOL_HOLD, refused_id, &why),
                -EIO);
        int64_t until = loop_now_ms() + 60000;
        int rc;
        while ((rc = await_kit_commit(k, kit_content(&scratch, 500, 2), 1, SPOOL_HOLD, ids[1],
                                      &why)) < 0 &&
               loop_now_ms() < until)
                await_sleep(10);
        assert_int_equal(rc, 0);
        const struct segment *second = spool_find(k->spool, k->loop, str_from(ids[1]))->segment;
        assert_true(second->number > first->number);
        assert_int_equal(first->fd, -1); /* nothing is written to it any more */
        assert_null(spool_find(k->spool, k->loop, str_from(refused_id)));
}

static void check_failed_once(struct kit *k)
{
        spool_count(k->spool, &last);
        assert_int_equal(last.damaged, 0);
        assert_int_equal(last.held, 2);
        assert_non_null(spool_find(k->spool, k->loop, str_from(ids[0])));
        assert_non_null(spool_find(k->spool, k->loop, str_from(ids[1])));
        assert_null(spool_find(k->spool, k->loop, str_from(refused_id)));
}

static void test_sync_fails_once(void **state)
{
        fails_left = 0;
        spool_io.fdatasync = fdatasync_once;
        run(fail_once);
        spool_io.fdatasync = spool_io_real.fdatasync;
        run(check_failed_once);
}

/* ---- damage is told once ---- */

static void count_damage(struct kit *k)
{
        spool_count(k->spool, &last);
        assert_int_equal(last.damaged, 1);
}

static size_t lines_with(const char *path, const char *text)
{
        struct buf all;
        size_t count = 0;
        buf_init(&all, 1 << 20);
        assert_int_equal(spool_file_read(AT_FDCWD, path, 1 << 20, &all), 0);
        struct str rest = buf_str(&all);
        for (ptrdiff_t at; (at = str_find_str(rest, str_from(text))) >= 0; count++)
                rest = str_tail(rest, (size_t)at + 1);
        buf_done(&all);
        return count;
}

static void test_told_once(void **state)
{
        struct why why;
        char path[300];
        run(commit_all);
        int fd = open_segment();
        damage(fd, ends[1] + 60);
        close(fd);
        snprintf(path, sizeof(path), "%s/log", kit.path);
        struct log_options to = {.target = LOG_TO_FILE, .path = path, .name = "test"};
        assert_int_equal(log_open(&to, &why), 0);
        for (int start = 0; start < 3; start++)
                run(count_damage);
        log_flush();
        assert_int_equal(lines_with(path, "a copy is in corrupt/"), 1);
        assert_int_equal(lines_with(path, "told of before"), 2);
}

static int setup(void **state)
{
        struct why why;
        struct log_options quiet = {.target = LOG_TO_FILE, .path = "/dev/null", .name = "test"};
        buf_init(&scratch, 1 << 20);
        kit_init(&kit, NULL);
        return log_open(&quiet, &why);
}

static int teardown(void **state)
{
        kit_done(&kit);
        buf_done(&scratch);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_cut_anywhere, setup, teardown),
                cmocka_unit_test_setup_teardown(test_any_byte, setup, teardown),
                cmocka_unit_test_setup_teardown(test_set_aside, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_header, setup, teardown),
                cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sync_fails_once, setup, teardown),
                cmocka_unit_test_setup_teardown(test_told_once, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
