/*
 * move_test.c - a spool goes to another host: whole, or not at all; whatever is cut short is done again, and no message
 * is lost or there twice
 */
#include "base/clock.h"
#include "base/unit.h"
#include "loop/pool.h"
#include "spool/move.h"
#include "spool/spool_disk.h"
#include "spool/spool_kit.h"
#include "spool/spool_private.h"
#include "spool/stream.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGES = 12 };

static struct kit old;
static struct kit new;
static struct buf scratch;
static struct buf seen;
static struct buf stream;
static char ids[MESSAGES][QUEUE_ID_BYTES_MAX];
static struct spool_moved moved;
static struct why why;

static size_t size_of(unsigned i)
{
        return i == 5 ? 200000 : i == 7 ? 0 : 300 + i * 40;
}

static void commit_all(struct kit *k)
{
        for (unsigned i = 0; i < MESSAGES; i++)
                assert_int_equal(await_kit_commit(k, kit_content(&scratch, size_of(i), i), 2,
                                                  i == 3 ? SPOOL_HOLD : 0, ids[i], &why),
                                 0);
        struct spool_message *m;
        for (unsigned i = 0; i + 1 < MESSAGES; i++) { /* all but the held one are tried once */
                m = await_kit_due(k, 60000);
                assert_non_null(m);
                struct spool_result r = {
                        .recipient = 1, .state = SPOOL_DELIVERED, .reason = STR("250 ok")};
                struct spool_result later = {.state = SPOOL_WAITING, .reason = STR("451 later")};
                spool_message_record(m, &r, 1);
                spool_message_record(m, &later, 1);
                spool_message_settle(&m, clock_wall_us() + 3600 * INT64_C(1000000));
        }
}

static void run(struct kit *k, void (*script)(struct kit *k))
{
        if (kit_open(k, &why) < 0)
                fail_msg("%s", why.text);
        kit_run(k, script);
        kit_close(k);
}

static int setup(void **state)
{
        why = (struct why){""};
        buf_init(&scratch, 1 << 20);
        buf_init(&seen, 1 << 20);
        buf_init(&stream, 4 << 20);
        kit_init(&old, NULL);
        kit_init(&new, NULL);
        run(&old, commit_all);
        return 0;
}

static int teardown(void **state)
{
        pool_stop();
        kit_done(&old);
        kit_done(&new);
        buf_done(&scratch);
        buf_done(&seen);
        buf_done(&stream);
        return 0;
}

static int export_to_buf(void)
{
        char path[] = "/tmp/spool-stream-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        int rc = spool_export(str_from(old.path), fd, &moved, &why);
        off_t len = lseek(fd, 0, SEEK_END);
        buf_clear(&stream);
        assert_non_null(buf_reserve(&stream, (size_t)len));
        assert_int_equal(pread(fd, stream.ptr, (size_t)len, 0), len);
        buf_grow(&stream, (size_t)len);
        close(fd);
        unlink(path);
        return rc;
}

static int import_bytes(struct str bytes, struct spool_moved *out)
{
        char path[] = "/tmp/spool-stream-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0 && unlink(path) == 0);
        assert_int_equal(write(fd, bytes.ptr, bytes.len), bytes.len);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        int rc = spool_import(&new.options, fd, out, &why);
        close(fd);
        return rc;
}

/* ---- what must be there ---- */

static size_t due_seen;
static size_t held_seen;
static bool content_matters = true;

static unsigned number_of(const char *id)
{
        for (unsigned i = 0; i < MESSAGES; i++)
                if (strcmp(ids[i], id) == 0)
                        return i;
        fail_msg("a message that nobody sent: %s", id);
        return 0;
}

static struct spool_message *all[2 * MESSAGES];
static size_t all_count;

static void gather(void *context, const struct spool_info *info)
{
        assert_true(all_count < MESSAGES);
        all[all_count++] = info->message;
}

static void look(struct kit *k)
{
        uint64_t cursor = 0;
        bool there[MESSAGES] = {false};
        all_count = held_seen = due_seen = 0;
        while (spool_list(k->spool, k->loop, &cursor, 100, gather, NULL))
                ;
        for (size_t n = 0; n < all_count; n++) {
                struct spool_message *m = all[n];
                unsigned i = number_of(spool_message_id(m));
                assert_false(there[i]);
                there[i] = true;
                if (content_matters) {
                        assert_int_equal(await_kit_read(m, &seen), 0);
                        assert_true(str_eq(buf_str(&seen), kit_content(&scratch, size_of(i), i)));
                }
                assert_int_equal(spool_message_attempts(m), i == 3 ? 0 : 1);
                assert_int_equal(spool_message_state(m, 1),
                                 i == 3 ? SPOOL_WAITING : SPOOL_DELIVERED);
                assert_str_equal(spool_message_reason(m, 0), i == 3 ? "" : "451 later");
                struct spool_info info;
                struct arena arena;
                arena_init(&arena, 0);
                spool_message_info(m, &arena, &info);
                held_seen += info.queue == SPOOL_QUEUE_HOLD;
                arena_done(&arena);
        }
        while (await_kit_due(k, 1))
                due_seen++;
}

static void must_be_whole(struct kit *k)
{
        run(k, look);
        assert_int_equal(all_count, MESSAGES);
        assert_int_equal(held_seen, 1);
}

/* ---- tests ---- */

static void there(void **state)
{
        assert_int_equal(export_to_buf(), 0);
        assert_int_equal(moved.messages, MESSAGES);
        char receipt[48];
        snprintf(receipt, sizeof(receipt), "%s", moved.receipt);
        assert_int_equal(import_bytes(buf_str(&stream), &moved), 0);
        assert_int_equal(moved.messages, MESSAGES);
        assert_int_equal(moved.known, 0);
        assert_string_equal(moved.receipt, receipt);
        must_be_whole(&new);
        assert_int_equal(spool_verify(str_from(new.path), &moved, &why), 0);
        assert_string_equal(moved.receipt, receipt);

        /* the old one is not served any more */
        assert_int_equal(kit_open(&old, &why), -EPERM);
        assert_non_null(strstr(why.text, "was exported"));
        assert_int_equal(export_to_buf(), 0); /* but may be exported again */
        assert_string_equal(moved.receipt, receipt);
        assert_int_equal(spool_export_finish(str_from(old.path), STR("11-0000000000000000"), &why),
                         -EINVAL);
        assert_int_equal(spool_export_finish(str_from(old.path), str_from(receipt), &why), 0);
        run(&old, look);
        assert_int_equal(all_count, 0);
        assert_int_equal(spool_export_finish(str_from(old.path), str_from(receipt), &why), -ENOENT);
}

static void deliver_all(struct kit *k)
{
        look(k);
        for (size_t i = 0; i < all_count; i++)
                spool_delete(all[i]);
}

static void twice(void **state)
{
        assert_int_equal(export_to_buf(), 0);
        assert_int_equal(import_bytes(buf_str(&stream), &moved), 0);
        assert_int_equal(import_bytes(buf_str(&stream), &moved), 0);
        assert_int_equal(moved.known, MESSAGES);
        must_be_whole(&new);
        /* also when they have gone on their way meanwhile */
        run(&new, deliver_all);
        assert_int_equal(import_bytes(buf_str(&stream), &moved), 0);
        assert_int_equal(moved.known, MESSAGES);
        run(&new, look);
        assert_int_equal(all_count, 0);
}

static void taken_back(void **state)
{
        assert_int_equal(spool_export_undo(str_from(old.path), &why), -ENOENT);
        assert_int_equal(export_to_buf(), 0);
        assert_int_equal(spool_export_undo(str_from(old.path), &why), 0);
        must_be_whole(&old);
        /* a stream that nobody takes exports nothing */
        int fds[2];
        signal(SIGPIPE, SIG_IGN);
        assert_int_equal(pipe(fds), 0);
        close(fds[0]);
        assert_int_equal(spool_export(str_from(old.path), fds[1], &moved, &why), -EPIPE);
        close(fds[1]);
        must_be_whole(&old);
}

static void in_use(void **state)
{
        assert_int_equal(kit_open(&old, &why), 0);
        assert_int_equal(spool_verify(str_from(old.path), &moved, &why), -EWOULDBLOCK);
        assert_int_equal(export_to_buf(), -EWOULDBLOCK);
        assert_non_null(strstr(why.text, "in use by process"));
        kit_close(&old);
        assert_int_equal(spool_verify(str_from("/nowhere/at/all"), &moved, &why), -ENOENT);
}

/* Cut anywhere, with any byte changed: nothing is delivered; then the whole stream, and all is there once. */
static void broken_streams(void **state)
{
        content_matters = false;
        assert_int_equal(export_to_buf(), 0);
        for (size_t at = 0; at < stream.len; at += stream.len / 60) {
                assert_int_equal(import_bytes(str_part(buf_str(&stream), 0, at), &moved), -EBADMSG);
                stream.ptr[at] ^= 4;
                assert_int_equal(import_bytes(buf_str(&stream), &moved), -EBADMSG);
                stream.ptr[at] ^= 4;
                run(&new, look);
                assert_int_equal(due_seen, 0);
                assert_int_equal(held_seen, all_count);
        }
        assert_int_equal(spool_verify(str_from(new.path), &moved, &why), 0);
        assert_true(moved.staged > 0 && moved.staged == moved.messages);
        assert_int_equal(import_bytes(buf_str(&stream), &moved), 0);
        assert_true(moved.known > 0);
        content_matters = true;
        must_be_whole(&new);
}

static void aborted(void **state)
{
        assert_int_equal(export_to_buf(), 0);
        assert_int_equal(import_bytes(str_part(buf_str(&stream), 0,
                                               stream.len - STREAM_FRAME_BYTES - STREAM_END_BYTES),
                                      &moved),
                         -EBADMSG);
        assert_int_equal(spool_import_abort(&new.options, &moved, &why), 0);
        assert_int_equal(moved.messages,
                         MESSAGES - 1); /* the last is committed when the next frame has come */
        run(&new, look);
        assert_int_equal(all_count, 0);
        assert_int_equal(import_bytes(buf_str(&stream), &moved), 0);
        must_be_whole(&new);
}

/* An id that belongs to another message here. */
static void commit_other(struct kit *k)
{
        struct record_message from = {
                .id = str_from(ids[0]), .content_bytes = 3, .recipient_count = 1, .arrival_us = 1};
        struct recipient to = {.address = STR("x@y")};
        struct envelope e = {
                .sender = STR("other@example"), .recipients = &to, .recipient_count = 1};
        struct buf bytes;
        buf_init(&bytes, 1000);
        assert_int_equal(envelope_encode(&e, &bytes), 0);
        from.envelope = buf_str(&bytes);
        from.content_crc = 0;
        struct spool_draft *d = draft_adopt(k->spool, &from, ids[0]);
        buf_append_str(spool_draft_buf(d), STR("abc"));
        assert_int_equal(await_draft_adopt_commit(&d, &why), -EBADMSG); /* not what was accepted */
        spool_draft_free(&d);
        from.content_crc = 0x364b3fb7; /* of "abc" */
        d = draft_adopt(k->spool, &from, ids[0]);
        buf_append_str(spool_draft_buf(d), STR("abc"));
        assert_int_equal(await_draft_adopt_commit(&d, &why), 0);
        buf_done(&bytes);
}

static size_t with_z;

static void count_z(void *context, const struct spool_info *info)
{
        all_count++;
        size_t len = strlen(ids[0]);
        with_z += strncmp(info->id, ids[0], len) == 0 && strcmp(info->id + len, "z") == 0;
}

static void look_for_z(struct kit *k)
{
        uint64_t cursor = 0;
        all_count = with_z = 0;
        while (spool_list(k->spool, k->loop, &cursor, 100, count_z, NULL))
                ;
}

static void the_same_id(void **state)
{
        run(&new, commit_other);
        assert_int_equal(export_to_buf(), 0);
        for (int round = 0; round < 2; round++) {
                assert_int_equal(import_bytes(buf_str(&stream), &moved), 0);
                assert_int_equal(moved.known, round ? MESSAGES : 0);
                run(&new, look_for_z);
                assert_int_equal(all_count, MESSAGES + 1);
                assert_int_equal(with_z, 1);
        }
}

/* ---- killed, or without power, at each call that changes the disk ---- */

static int in_child(const struct disk_plan *plan, int (*work)(void))
{
        fflush(NULL);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                check(dup2(open("/dev/null", O_WRONLY), 2) >= 0);
                disk_start(plan, new.path);
                int rc = work();
                disk_stop();
                _exit(rc < 0 ? 3 : 0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static int import_here(void)
{
        return import_bytes(buf_str(&stream), &moved);
}

static void stop_import(enum disk_fault fault, int error)
{
        bool was_done = false;
        content_matters = false;
        assert_int_equal(export_to_buf(), 0);
        for (long at = 1; !was_done; at++) {
                struct disk_plan plan = {
                        .fault = fault, .at = at, .seed = (unsigned)at, .error = error};
                kit_done(&new);
                kit_init(&new, NULL);
                int code = in_child(&plan, import_here);
                assert_true(code == 0 || code == DISK_EXIT_CODE || (error && code == 3));
                was_done = code == 0 && (!error || at > 200);
                /* a server that starts now delivers all of it, or nothing */
                run(&new, look);
                assert_true(held_seen == all_count || (all_count == MESSAGES && held_seen == 1));
                assert_true(code != 0 || (all_count == MESSAGES && held_seen == 1));
                if (import_here() < 0)
                        fail_msg("%s", why.text);
                run(&new, look);
                assert_int_equal(all_count, MESSAGES);
                assert_int_equal(held_seen, 1);
        }
        content_matters = true;
}

static void import_killed(void **state)
{
        stop_import(DISK_KILLED, 0);
}

static void import_without_power(void **state)
{
        stop_import(DISK_POWER_LOST, 0);
}

static void import_on_a_bad_disk(void **state)
{
        stop_import(DISK_FAILS_ONCE, EIO);
}

static char receipt_now[48];

static int finish_here(void)
{
        return spool_export_finish(str_from(old.path), str_from(receipt_now), &why);
}

/* Emptying the old one is cut short: it is not served, and can be finished. */
static void finish_killed(void **state)
{
        static const enum disk_fault faults[] = {DISK_KILLED, DISK_POWER_LOST};
        for (size_t f = 0; f < 2; f++) {
                int code = DISK_EXIT_CODE;
                for (long at = 1; code; at++) {
                        kit_done(&old);
                        kit_init(&old, NULL);
                        run(&old, commit_all);
                        assert_int_equal(export_to_buf(), 0);
                        snprintf(receipt_now, sizeof(receipt_now), "%s", moved.receipt);
                        struct disk_plan plan = {.fault = faults[f], .at = at};
                        code = in_child(&plan, finish_here);
                        assert_true(code == 0 || code == DISK_EXIT_CODE);
                        int rc = finish_here();
                        assert_true(rc == 0 || rc == -ENOENT); /* it was finished */
                        run(&old, look);
                        assert_int_equal(all_count, 0);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#ifdef MOVE_TEST_CRASHES /* a fork for each crash: not for valgrind, nor for TSan */
                cmocka_unit_test_setup_teardown(import_killed, setup, teardown),
                cmocka_unit_test_setup_teardown(import_without_power, setup, teardown),
                cmocka_unit_test_setup_teardown(import_on_a_bad_disk, setup, teardown),
                cmocka_unit_test_setup_teardown(finish_killed, setup, teardown),
#else
                cmocka_unit_test_setup_teardown(there, setup, teardown),
                cmocka_unit_test_setup_teardown(twice, setup, teardown),
                cmocka_unit_test_setup_teardown(taken_back, setup, teardown),
                cmocka_unit_test_setup_teardown(in_use, setup, teardown),
                cmocka_unit_test_setup_teardown(broken_streams, setup, teardown),
                cmocka_unit_test_setup_teardown(aborted, setup, teardown),
                cmocka_unit_test_setup_teardown(the_same_id, setup, teardown),
#endif
        };
        if (getenv("TEST"))
                cmocka_set_test_filter(getenv("TEST"));
        return cmocka_run_group_tests(tests, NULL, NULL);
}
