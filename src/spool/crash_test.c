/*
 * crash_test.c - the process is killed, or the power lost, at each call that changes the disk
 *
 * A script runs in a child, on a disk that stops at the N-th call: a dozen tasks commit messages small and
 * large, deliver some, defer some, hold some, in segments so small that they are filled, copied forward and
 * removed. Before it does anything to a message the child writes a line into a pipe. The parent then recovers and
 * compares: what was accepted and not given up is there, byte by byte; what is there was sent; and a second
 * recovery finds the same.
 */
#include "base/clock.h"
#include "base/unit.h"
#include "loop/pool.h"
#include "spool/spool_disk.h"
#include "spool/spool_kit.h"
#include "spool/spool_private.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A fork under a sanitizer takes ten times as long; the builds without stop at every call. */
enum { STEP = IS_SANITIZED ? 3 : 1 };

enum { MESSAGES = 60, TASKS = 6, DEFERRED_US = 1800 * 1000 * 1000 };

/* What the child said of each message. */
enum fate {
        BEGUN = 1,    /* it may be there */
        REFUSED = 2,  /* it should not be, after an orderly end */
        ACCEPTED = 4, /* it must be there */
        GIVEN_UP = 8, /* delivered or deleted: it may be there */
        DEFERRED = 16 /* its first recipient was delivered; after an orderly end that is known */
};

static struct kit kit;
static struct buf scratch;
static struct buf seen;
static int pipe_fds[2];
static int fates[MESSAGES];
static size_t tasks_left;
static int next_message;
static bool lets_refuse;

static size_t size_of(int i)
{
        return i % 13 == 5 ? 150000 : i % 7 == 3 ? 20000 : 500 + (size_t)i * 37;
}

static void say(int message, enum fate fate)
{
        unsigned char line[2] = {(unsigned char)message, (unsigned char)fate};
        check(write(pipe_fds[1], line, 2) == 2);
}

/* ---- the child ---- */

static void commit_one(struct kit *k, int i)
{
        struct why why;
        struct buf content;
        char number[16];
        buf_init(&content, 1 << 20);
        struct str text = kit_content(&content, size_of(i), (unsigned)i);
        snprintf(number, sizeof(number), "%d", i);
        struct recipient to[2] = {{.address = STR("b@example")}, {.address = STR("c@example")}};
        struct envelope e = {.sender = STR("a@example"),
                             .recipients = to,
                             .recipient_count = 2,
                             .envid = str_from(number)};
        say(i, BEGUN);
        struct spool_draft *d = spool_draft_new(k->spool);
        int rc = 0;
        while (rc == 0 && text.len) {
                struct str piece = str_part(text, 0, 30000);
                check(buf_append_str(spool_draft_buf(d), piece) == 0);
                text = str_tail(text, piece.len);
                rc = await_spool_draft_settle(d, &why);
        }
        if (rc == 0)
                rc = await_spool_commit(&d, &e, i % 9 == 2 ? SPOOL_HOLD : 0, &why);
        check(rc == 0 || lets_refuse);
        say(i, rc == 0 ? ACCEPTED : REFUSED);
        spool_draft_free(&d);
        buf_done(&content);
}

static int number_of(const struct spool_message *m)
{
        struct arena arena;
        struct envelope e;
        int64_t n = -1;
        arena_init(&arena, 0);
        spool_message_envelope(m, &arena, &e);
        check(str_to_int64(e.envid, 0, MESSAGES - 1, &n) == 0);
        arena_done(&arena);
        return (int)n;
}

static void be_sender(void *arg)
{
        struct kit *k = arg;
        while (next_message < MESSAGES)
                commit_one(k, next_message++);
        tasks_left--;
}

static void deliver_one(struct spool_message *m)
{
        int i = number_of(m);
        if (i % 4 == 1) {
                struct spool_result r = {.state = SPOOL_DELIVERED, .reason = STR("250 ok")};
                say(i, DEFERRED);
                spool_message_record(m, &r, 1);
                spool_message_settle(&m, clock_wall_us() + DEFERRED_US);
        } else {
                say(i, GIVEN_UP);
                kit_settle(m, SPOOL_DELIVERED, "250 ok", 0);
        }
}

static void script(struct kit *k)
{
        k->spool->journal.straggler_ms = 0;
        k->spool->journal.look_ms = 1;
        next_message = 0;
        tasks_left = TASKS;
        for (int i = 0; i < TASKS; i++)
                task_start(k->loop, be_sender, k);
        struct spool_message *m;
        while (tasks_left || k->due_count)
                if ((m = await_kit_due(k, 2)))
                        deliver_one(m);
        while ((m = await_kit_due(k, 5)))
                deliver_one(m);
        /* stragglers are copied forward, and the ends of messages are synced */
        await_sleep(15);
}

/* Returns what the child ended with. Its words are in fates[]. */
static int run_child(const struct disk_plan *plan)
{
        check(pipe(pipe_fds) == 0);
        fflush(NULL);
        pid_t pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                struct why why = {""};
                /* its complaints about the disk are no news */
                if (!getenv("SPOOL_CRASH_TALKS"))
                        check(dup2(open("/dev/null", O_WRONLY), 2) >= 0);
                close(pipe_fds[0]);
                disk_start(plan, kit.path);
                if (kit_open(&kit, &why) < 0)
                        _exit(lets_refuse ? 3 : 4);
                kit_run(&kit, script);
                kit_close(&kit);
                long calls = disk_calls();
                disk_stop();
                check(write(pipe_fds[1], &calls, sizeof(calls)) == sizeof(calls));
                _exit(0);
        }
        close(pipe_fds[1]);
        return (int)pid;
}

static long calls_of_child; /* of one that ended in order */

static int reap_child(int pid)
{
        static unsigned char words[1 << 16];
        size_t len = 0;
        ssize_t n;
        while ((n = read(pipe_fds[0], words + len, sizeof(words) - len)) > 0)
                len += (size_t)n;
        close(pipe_fds[0]);
        int status;
        check(waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status))
                fail_msg("the child died of signal %d", WTERMSIG(status));
        int code = WEXITSTATUS(status);
        if (code == 0) {
                len -= sizeof(calls_of_child);
                memcpy(&calls_of_child, words + len, sizeof(calls_of_child));
        }
        memset(fates, 0, sizeof(fates));
        for (size_t i = 0; i + 1 < len; i += 2)
                fates[words[i]] |= words[i + 1];
        return code;
}

/* ---- the parent ---- */

static bool is_there[MESSAGES];
static bool was_orderly;

static struct spool_message *all[MESSAGES];
static size_t all_count;

static void gather(void *context, const struct spool_info *info)
{
        check(all_count < MESSAGES);
        all[all_count++] = info->message;
}

static void look(struct kit *k)
{
        uint64_t cursor = 0;
        all_count = 0;
        while (spool_list(k->spool, k->loop, &cursor, 100, gather, NULL))
                ;
        memset(is_there, 0, sizeof(is_there));
        for (size_t n = 0; n < all_count; n++) {
                struct spool_message *m = all[n];
                int i = number_of(m);
                assert_false(is_there[i]);
                is_there[i] = true;
                assert_true(fates[i] & BEGUN);
                assert_int_equal(await_kit_read(m, &seen), 0);
                assert_true(str_eq(buf_str(&seen), kit_content(&scratch, size_of(i), (unsigned)i)));
                if (was_orderly) {
                        assert_false(fates[i] & (REFUSED | GIVEN_UP));
                        if (fates[i] & DEFERRED)
                                assert_int_equal(spool_message_state(m, 0), SPOOL_DELIVERED);
                }
                assert_int_equal(spool_message_state(m, 1), SPOOL_WAITING);
        }
        for (int i = 0; i < MESSAGES; i++)
                if (fates[i] & ACCEPTED && !(fates[i] & GIVEN_UP))
                        assert_true(is_there[i]);
}

static void recover(size_t damaged_max)
{
        struct why why = {""};
        bool first[MESSAGES];
        for (int round = 0; round < 2; round++) {
                if (kit_open(&kit, &why) < 0)
                        fail_msg("%s", why.text);
                struct spool_counts c;
                spool_count(kit.spool, &c);
                assert_true(c.damaged <= damaged_max);
                damaged_max =
                        c.damaged; /* it is told at each start while its segment lasts, never more */
                kit_run(&kit, look);
                kit_close(&kit);
                if (round)
                        assert_memory_equal(first, is_there, sizeof(first));
                memcpy(first, is_there, sizeof(first));
        }
}

static void start_afresh(void)
{
        kit_done(&kit);
        kit_init(&kit, NULL);
        kit.options.segment_bytes = 64 << 10;
        kit.options.large_bytes = 64 << 10;
        kit.options.hot_bytes_max = 100 << 10;
}

static int setup(void **state)
{
        buf_init(&scratch, 1 << 20);
        buf_init(&seen, 1 << 20);
        kit_init(&kit, NULL);
        return 0;
}

static int teardown(void **state)
{
        pool_stop(); /* when the test has failed in between */
        kit_done(&kit);
        buf_done(&scratch);
        buf_done(&seen);
        return 0;
}

static void test_orderly(void **state)
{
        lets_refuse = false;
        start_afresh();
        assert_int_equal(reap_child(run_child(&(struct disk_plan){.fault = DISK_SOUND})), 0);
        was_orderly = true;
        for (int i = 0; i < MESSAGES; i++)
                assert_true(fates[i] & ACCEPTED);
        recover(0);
        assert_true(calls_of_child > 100);
}

/* `step`: how many calls to go on each time. */
static void crash_everywhere(enum disk_fault fault, int step, size_t damaged_max)
{
        lets_refuse = false;
        for (long at = 1;; at += step) {
                start_afresh();
                struct disk_plan plan = {.fault = fault, .at = at, .seed = (unsigned)at};
                int code = reap_child(run_child(&plan));
                was_orderly = code == 0;
                if (code != 0)
                        assert_int_equal(code, DISK_EXIT_CODE);
                recover(damaged_max);
                if (code == 0)
                        return;
        }
}

static void test_killed(void **state)
{
        crash_everywhere(DISK_KILLED, STEP, 0);
}

static void test_half_killed(void **state)
{
        crash_everywhere(DISK_HALF_KILLED, STEP, 0);
}

static void test_power_lost(void **state)
{
        crash_everywhere(DISK_POWER_LOST, STEP, 0);
}

/* Of a group that was not synced some blocks may be there, and others behind them not. */
static void test_power_torn(void **state)
{
        crash_everywhere(DISK_POWER_TORN, STEP, 100);
}

/* One call fails, the process lives on: whoever got an answer got a true one. */
static void fail_everywhere(int error, enum disk_fault fault, int step)
{
        lets_refuse = true;
        for (long at = 1;; at += step) {
                start_afresh();
                struct disk_plan plan = {.fault = fault, .at = at, .error = error};
                if (getenv("SPOOL_CRASH_TALKS"))
                        fprintf(stderr, "---- call %ld\n", at);
                int code = reap_child(run_child(&plan));
                was_orderly = code == 0;
                assert_true(code == 0 || code == 3); /* 3: it could not be opened */
                recover(0);
                if (code == 0 && calls_of_child < at)
                        return;
        }
}

static void test_io_errors(void **state)
{
        fail_everywhere(EIO, DISK_FAILS_ONCE, STEP);
}

static void test_no_room(void **state)
{
        fail_everywhere(ENOSPC, DISK_FAILS_ONCE, STEP);
}

static void test_no_files(void **state)
{
        fail_everywhere(EMFILE, DISK_FAILS_ONCE, STEP);
}

static void test_short_writes(void **state)
{
        fail_everywhere(ENOSPC, DISK_SHORT, STEP);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_orderly, setup, teardown),
                cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_half_killed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_power_lost, setup, teardown),
                cmocka_unit_test_setup_teardown(test_power_torn, setup, teardown),
                cmocka_unit_test_setup_teardown(test_io_errors, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_files, setup, teardown),
                cmocka_unit_test_setup_teardown(test_short_writes, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
