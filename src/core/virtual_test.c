/*
 * virtual_test.c - the agent "virtual" with real mailboxes, and a spool and a delivery made of paper
 *
 * The few functions of those rooms that the agent calls are defined here; the linker takes these.
 */
#include "core/core_private.h"

#include "core/core_unit.h"
#include "delivery/delivery.h"
#include "loop/pool.h"
#include "loop/task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

enum { RESULTS_MAX = 8, PLAYS_MAX = 8 };

static delivery_agent *agent;
static struct {
        size_t recipient;
        enum delivery_status status;
        char dsn[16];
        char text[300];
} results[RESULTS_MAX];
static size_t result_count;

/* The message: pieces that the reader gives one after the other; NULL: an error. */
static const char *const *pieces;
static int64_t message_bytes;

void delivery_agent_register(const char *command, delivery_agent *await_deliver)
{
        assert_string_equal(command, "virtual");
        agent = await_deliver;
}

void await_delivery_job_result(struct delivery_job *job, size_t recipient,
                               const struct delivery_result *result)
{
        assert_true(result_count < RESULTS_MAX);
        assert_str_equal(result->relay, "virtual");
        assert_false(result->is_relayed);
        results[result_count].recipient = recipient;
        results[result_count].status = result->status;
        snprintf(results[result_count].dsn, sizeof(results[0].dsn), "%s", result->dsn);
        snprintf(results[result_count].text, sizeof(results[0].text), "%.*s",
                 STR_ARG(result->text));
        result_count++;
}

int64_t spool_message_bytes(const struct spool_message *m)
{
        return message_bytes;
}

void spool_reader_init(struct spool_reader *r, struct spool_message *m)
{
        *r = (struct spool_reader){.message = m};
}

void spool_reader_done(struct spool_reader *r)
{
        r->message = NULL;
}

int await_spool_reader_next(struct spool_reader *r, struct str *piece, struct why *why)
{
        int rc = await_turn();
        if (rc < 0)
                return rc;
        const char *text = pieces[r->offset];
        if (!text)
                return why_set(why, -EIO, "cannot read the content");
        *piece = str_from(text);
        r->offset++;
        return 0;
}

/* ---- the stage ---- */

static struct core_unit unit;
static struct loop *loop;
static struct loop *loops[PLAYS_MAX]; /* the pool may still ring at one that has ended */
static size_t loop_count;
static bool is_cancelled; /* the task is told to stop before it begins */
static struct recipient recipients[RESULTS_MAX];
static struct envelope envelope = {.sender = STR_INIT("from@client.test"),
                                   .recipients = recipients};

static int setup(void **state)
{
        struct why why;
        core_unit_begin(&unit);
        core_unit_load(&unit,
                       "virtual_mailbox_domains = core.test\nvirtual_mailbox_base = mail\n"
                       "virtual_mailbox_maps = hash:boxes\nvirtual_mailbox_limit = 5000\n"
                       "recipient_delimiter = +\n",
                       NULL);
        core_unit_write(&unit, "boxes",
                        "editor@core.test core.test/editor/\n"
                        "bob@core.test core.test/bob/\n"
                        "mbox@core.test core.test/mbox\n"
                        "out@core.test ../out/\n"
                        "link@core.test core.test/link/\n");
        unit.tables = table_set_new(unit.dir);
        /* the base is relative: the test runs in its own directory */
        assert_int_equal(chdir(unit.dir), 0);
        is_cancelled = false;
        struct core_mailboxes *m = core_mailboxes_new(unit.config, unit.tables, &unit.findings);
        core_mailboxes_use(m);
        core_mailboxes_unref(&m);
        core_register();
        result_count = 0;
        return pool_start(2, &why);
}

static int teardown(void **state)
{
        pool_stop();
        while (loop_count)
                loop_free(&loops[--loop_count]);
        core_mailboxes_use(NULL);
        table_set_free(&unit.tables);
        assert_int_equal(chdir("/"), 0);
        core_unit_end(&unit);
        return 0;
}

static size_t job_recipients[RESULTS_MAX];

static void play(void *arg)
{
        const struct transport transport = {.name = STR("virtual"), .command = STR("virtual")};
        const struct route route = {.transport = &transport};
        struct delivery_job job = {.envelope = &envelope,
                                   .recipients = job_recipients,
                                   .recipient_count = envelope.recipient_count,
                                   .route = &route};
        if (is_cancelled)
                task_cancel(task_self());
        agent(&job);
        loop_stop(loop);
}

static void run_play(void)
{
        struct why why;
        assert_true(loop_count < PLAYS_MAX);
        loop = loops[loop_count++] = loop_new(&why);
        assert_non_null(loop);
        task_start(loop, play, NULL);
        loop_run(loop);
}

static void deliver(const char *const *content, const char *const *addresses)
{
        pieces = content;
        message_bytes = 0;
        for (size_t i = 0; content[i]; i++)
                message_bytes += (int64_t)strlen(content[i]);
        envelope.recipient_count = 0;
        for (; *addresses; addresses++) {
                job_recipients[envelope.recipient_count] = envelope.recipient_count;
                recipients[envelope.recipient_count++] =
                        (struct recipient){.address = str_from(*addresses)};
        }
        run_play();
}

/* The files in mail/`dir`; the last one's text in *text. */
static int count_files(const char *dir, char text[8192])
{
        char path[700];
        snprintf(path, sizeof(path), "%s/mail/%s", unit.dir, dir);
        DIR *d = opendir(path);
        int count = 0;
        for (struct dirent *e; d && (e = readdir(d));) {
                if (e->d_name[0] == '.')
                        continue;
                count++;
                snprintf(path, sizeof(path), "%s/mail/%s/%s", unit.dir, dir, e->d_name);
                int fd = open(path, O_RDONLY);
                assert_true(fd >= 0);
                ssize_t n = read(fd, text, 8191);
                text[n > 0 ? n : 0] = 0;
                close(fd);
        }
        if (d)
                closedir(d);
        return count;
}

static void assert_result(size_t i, enum delivery_status status, const char *dsn, const char *text)
{
        assert_true(i < result_count);
        assert_int_equal(results[i].recipient, i);
        assert_int_equal(results[i].status, status);
        assert_string_equal(results[i].dsn, dsn);
        if (!strstr(results[i].text, text))
                fail_msg("\"%s\" is not in \"%s\"", text, results[i].text);
}

/* ---- the tests ---- */

static const char *const hello[] = {"Subject: x\r\n\r\nhello\r\n", NULL};

static void test_delivered(void **state)
{
        static const char *const to[] = {"editor@core.test", "bob+news@core.test", NULL};
        char text[8192];
        recipients[0].original = STR("");
        deliver(hello, to);
        assert_int_equal(result_count, 2);
        assert_result(0, DELIVERY_SENT, "2.0.0", "delivered to maildir");
        assert_result(1, DELIVERY_SENT, "2.0.0", "delivered to maildir");
        assert_int_equal(count_files("core.test/editor/new", text), 1);
        assert_string_equal(text, "Return-Path: <from@client.test>\n"
                                  "Delivered-To: editor@core.test\n"
                                  "Subject: x\n\nhello\n");
        assert_int_equal(count_files("core.test/bob/new", text), 1);
        assert_non_null(strstr(text, "Delivered-To: bob+news@core.test\n"));
}

static void test_refused(void **state)
{
        static const char *const to[] = {"nobody@core.test", "mbox@core.test", "out@core.test",
                                         "not an address", NULL};
        char text[8192];
        deliver(hello, to);
        assert_int_equal(result_count, 4);
        assert_result(0, DELIVERY_BOUNCED, "5.1.1", "unknown user: \"nobody@core.test\"");
        assert_result(1, DELIVERY_DEFERRED, "4.3.5", "not a Maildir");
        assert_result(2, DELIVERY_DEFERRED, "4.3.5", "leads out of the base");
        assert_result(3, DELIVERY_BOUNCED, "5.1.3", "syntax");
        assert_int_equal(count_files("", text), 0);
}

static void test_comes_round(void **state)
{
        static const char *const content[] = {
                "Received: x\r\nDelivered-To: EDITOR@core.test\r\n\r\nhello\r\n", NULL};
        static const char *const to[] = {"editor@core.test", "bob@core.test", NULL};
        deliver(content, to);
        assert_result(0, DELIVERY_BOUNCED, "5.4.6", "loop for editor@core.test");
        assert_result(1, DELIVERY_SENT, "2.0.0", "");
        /* in the body it is just text */
        static const char *const body[] = {"A: b\r\n\r\nDelivered-To: editor@core.test\r\n", NULL};
        static const char *const one[] = {"editor@core.test", NULL};
        result_count = 0;
        deliver(body, one);
        assert_result(0, DELIVERY_SENT, "2.0.0", "");
}

static void test_over_the_limit(void **state)
{
        static char large[5002];
        memset(large, 'x', sizeof(large) - 1);
        const char *const content[] = {large, NULL};
        static const char *const to[] = {"editor@core.test", NULL};
        char text[8192];
        deliver(content, to);
        assert_result(0, DELIVERY_BOUNCED, "5.2.2", "over the mailbox's limit of 5000");
        assert_int_equal(count_files("core.test/editor/new", text), 0);
        result_count = 0;
        large[5000] = 0; /* just the limit */
        deliver(content, to);
        assert_result(0, DELIVERY_SENT, "2.0.0", "");
}

static void test_pieces(void **state)
{
        static const char *const content[] = {"Subject: x\r", "\n\r\nhel", "lo\r\n", NULL};
        static const char *const to[] = {"editor@core.test", "bob@core.test", NULL};
        char text[8192];
        deliver(content, to);
        assert_result(0, DELIVERY_SENT, "2.0.0", "");
        assert_result(1, DELIVERY_SENT, "2.0.0", "");
        assert_int_equal(count_files("core.test/bob/new", text), 1);
        assert_non_null(strstr(text, "\nSubject: x\n\nhello\n"));
}

/* The content cannot be read on: nothing of it is in the mailbox, and it is tried again. */
static void test_unreadable(void **state)
{
        static const char *const content[] = {"Subject: x\r\n\r\n", "more\r\n", NULL};
        static const char *const broken[] = {"Subject: x\r\n\r\n", NULL, NULL};
        static const char *const nothing[] = {NULL, NULL};
        static const char *const to[] = {"editor@core.test", NULL};
        char text[8192];
        deliver(content, to);
        result_count = 0;
        assert_int_equal(count_files("core.test/editor/new", text), 1);

        const char *const *cases[] = {broken, nothing};
        for (size_t i = 0; i < 2; i++) {
                pieces = cases[i];
                envelope.recipient_count = 1;
                result_count = 0;
                message_bytes = 100;
                run_play();
                assert_int_equal(result_count, 1);
                assert_result(0, DELIVERY_DEFERRED, "4.3.0", "cannot read the content");
                assert_int_equal(count_files("core.test/editor/new", text), 1);
                assert_int_equal(count_files("core.test/editor/tmp", text), 0);
        }
}

static void test_trouble_with_files(void **state)
{
        static const char *const to[] = {"link@core.test", "bob@core.test", NULL};
        assert_int_equal(mkdir("mail", 0700), 0);
        assert_int_equal(mkdir("mail/core.test", 0700), 0);
        assert_int_equal(symlink("/tmp", "mail/core.test/link"), 0);
        deliver(hello, to);
        assert_result(0, DELIVERY_DEFERRED, "4.2.0", "symbolic links are not followed");
        assert_result(1, DELIVERY_SENT, "2.0.0", "");
}

static void test_stopping(void **state)
{
        static const char *const to[] = {"editor@core.test", NULL};
        char text[8192];
        is_cancelled = true;
        deliver(hello, to);
        is_cancelled = false;
        assert_int_equal(result_count, 0);
        assert_int_equal(count_files("core.test/editor/new", text), 0);
}

static void test_without_mailboxes(void **state)
{
        static const char *const to[] = {"editor@core.test", NULL};
        core_mailboxes_use(NULL);
        deliver(hello, to);
        assert_result(0, DELIVERY_DEFERRED, "4.3.5", "no mailboxes are configured");
}

int main(void)
{
#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        const struct CMUnitTest tests[] = {
                ON_STAGE(test_delivered),
                ON_STAGE(test_refused),
                ON_STAGE(test_comes_round),
                ON_STAGE(test_over_the_limit),
                ON_STAGE(test_pieces),
                ON_STAGE(test_unreadable),
                ON_STAGE(test_trouble_with_files),
                ON_STAGE(test_stopping),
                ON_STAGE(test_without_mailboxes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
