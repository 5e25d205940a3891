/*
 * delivery_test.c - queues, windows, connections, bounces: messages from the spool to a scripted peer
 */
#include "delivery/rig.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

#define EHLO                                                                                     \
        ">220 peer.test\n<EHLO\n>250-peer.test\n>250-PIPELINING\n>250-8BITMIME\n>250-SMTPUTF8\n" \
        ">250 ENHANCEDSTATUSCODES\n"
#define ONE_MESSAGE "<MAIL\n>250 ok\n<RCPT\n>250 ok\n<DATA\n>354 go\n@data\n>250 2.0.0 Ok\n"

static struct rig r;
static bool is_disk_full;  /* for our own messages */
static int own_until_full; /* so many of them are taken before it is; 0: it never is */

int __real_await_spool_commit(struct spool_draft **d, const struct envelope *e, unsigned flags,
                              struct why *why);
int __wrap_await_spool_commit(struct spool_draft **d, const struct envelope *e, unsigned flags,
                              struct why *why);

int __wrap_await_spool_commit(struct spool_draft **d, const struct envelope *e, unsigned flags,
                              struct why *why)
{
        if (is_disk_full && e->sender.len == 0)
                return why_set(why, -ENOSPC, "No space left on device");
        if (own_until_full && e->sender.len == 0)
                is_disk_full = --own_until_full == 0;
        return __real_await_spool_commit(d, e, flags, why);
}

static int setup(void **state)
{
        r = (struct rig){0};
        is_disk_full = false;
        own_until_full = 0;
        return 0;
}

static int teardown(void **state)
{
        rig_done(&r);
        return 0;
}

static void log_must_have(const char *text)
{
        if (rig_log_has(&r, text))
                return;
        fwrite(r.log.ptr, 1, r.log.len, stderr);
        fail_msg("the log lacks \"%s\"", text);
}

static void heard_must_be(const char *text)
{
        struct str heard = buf_str(&r.peer.heard);
        if (!str_eq(heard, str_from(text)))
                fail_msg("heard:\n%.*s", STR_ARG(heard));
}

/* ---- connections ---- */

static void await_ten(struct rig *rig)
{
        for (int i = 0; i < 10; i++) {
                char to[40];
                snprintf(to, sizeof(to), "u%d@dest.test", i);
                await_rig_mail(rig, "from@sender.test", to);
        }
        await_rig_quiet(rig);
        assert_int_equal(rig->peer.message_count, 10);
        assert_int_equal(rig->peer.connection_count, 1);
        struct delivery_counts counts;
        delivery_count(rig->delivery, &counts);
        assert_int_equal(counts.sent, 10);
        assert_int_equal(counts.connections, 1);
        assert_int_equal(counts.destinations, 1);
        /* idle for longer than smtp_connection_cache_time_limit: QUIT, and all is forgotten */
        for (int i = 0; i < 1000 && counts.connections; i++) {
                assert_int_equal(await_sleep(50), 0);
                delivery_count(rig->delivery, &counts);
        }
        assert_int_equal(await_sleep(50), 0);
        assert_int_equal(counts.connections, 0);
        assert_int_equal(counts.destinations, 0);
        assert_true(str_ends(buf_str(&rig->peer.heard), STR("\nQUIT\n")));
}

static void one_connection_for_many(void **state)
{
        const char *scripts[] = {"@serve"};
        rig_run(&r, "smtp_destination_concurrency_limit = 1\n", scripts, 1, await_ten);
        assert_int_equal(rig_log_count(&r, "status=sent"), 10);
        assert_int_equal(rig_log_count(&r, ": removed"), 10);
        /* in order */
        struct str rest = buf_str(&r.log);
        for (int i = 0; i < 10; i++) {
                char to[40];
                snprintf(to, sizeof(to), "to=<u%d@dest.test>", i);
                ptrdiff_t at = str_find_str(rest, str_from(to));
                assert_true(at >= 0);
                rest = str_tail(rest, (size_t)at);
        }
}

static void await_reuse_limit(struct rig *rig)
{
        for (int i = 0; i < 10; i++)
                await_rig_mail(rig, "from@sender.test", "u@dest.test");
        await_rig_quiet(rig);
        assert_int_equal(rig->peer.connection_count, 4); /* 3 + 3 + 3 + 1 */
}

static void a_connection_is_used_three_times(void **state)
{
        const char *scripts[] = {"@serve"};
        rig_run(&r,
                "smtp_destination_concurrency_limit = 1\nsmtp_connection_reuse_count_limit = 3\n",
                scripts, 1, await_reuse_limit);
        assert_int_equal(rig_log_count(&r, "status=sent"), 10);
}

static void await_three(struct rig *rig)
{
        for (int i = 0; i < 3; i++)
                await_rig_mail(rig, "from@sender.test", "u@dest.test");
        await_rig_quiet(rig);
}

/* The second message finds the connection closed, or 421: another one, and no failure. */
static void kept_connections_that_end(void **state)
{
        static const char *const ends[] = {
                EHLO ONE_MESSAGE,
                EHLO ONE_MESSAGE "<MAIL\n>421 4.4.2 idle for too long\n",
                EHLO ONE_MESSAGE "<MAIL\n@reset",
                EHLO ONE_MESSAGE ">421 4.4.2 good bye\n",
        };
        for (size_t i = 0; i < COUNT(ends); i++) {
                const char *scripts[] = {ends[i], "@serve"};
                r = (struct rig){0};
                rig_run(&r, "smtp_destination_concurrency_limit = 1\n", scripts, 2, await_three);
                if (rig_log_count(&r, "status=sent") != 3 || rig_log_has(&r, "status=deferred"))
                        fail_msg("%zu:\n%.*s", i, STR_ARG(buf_str(&r.log)));
                if (i + 1 < COUNT(ends))
                        rig_done(&r);
        }
}

static void a_transaction_that_came_to_nothing(void **state)
{
        const char *scripts[] = {
                EHLO "<MAIL\n>250 ok\n<RCPT\n>550 no\n<DATA\n>554 none\n"
                     "<RSET\n>250 ok\n<MAIL\n>250 ok\n<RCPT\n>450 no\n<DATA\n>554 none\n"
                     "<RSET\n>250 ok\n" ONE_MESSAGE "<QUIT\n>221 bye"};
        rig_run(&r, "smtp_destination_concurrency_limit = 1\n", scripts, 1, await_three);
        assert_int_equal(rig_log_count(&r, "status=sent (250"), 1);
        assert_int_equal(rig_log_count(&r, "status=deferred"), 1);
        assert_int_equal(rig_log_count(&r, "status=bounced"), 1);
}

static void await_421_in_the_middle(struct rig *rig)
{
        await_rig_mail(rig, "from@sender.test", "a@dest.test b@dest.test");
        await_rig_quiet(rig);
}

/* A used connection that says 421 in the middle of a message: the rest is deferred. */
static void goes_away_in_the_middle(void **state)
{
        const char *scripts[] = {EHLO
                                 "<MAIL\n>250 ok\n<RCPT\n>550 5.1.1 no\n<RCPT\n>421 4.3.2 bye"};
        rig_run(&r, "", scripts, 1, await_421_in_the_middle);
        log_must_have("to=<a@dest.test>");
        log_must_have("status=bounced (host 127.0.0.1[127.0.0.1] said: 550 5.1.1 no");
        log_must_have("status=deferred (host 127.0.0.1[127.0.0.1] said: 421 4.3.2 bye");
}

/* ---- windows ---- */

static void await_many(struct rig *rig)
{
        size_t most = 0;
        rig->peer.is_held = true; /* until all is there: the disk may be slower than the peer */
        for (int i = 0; i < 40; i++)
                await_rig_mail(rig, "from@sender.test", "u@dest.test");
        rig->peer.is_held = false;
        struct delivery_counts counts;
        int64_t until_ms = loop_now_ms() + 100000;
        do {
                assert_int_equal(await_sleep(1), 0);
                delivery_count(rig->delivery, &counts);
                if (counts.connections > most)
                        most = counts.connections;
        } while (counts.sent < 40 && loop_now_ms() < until_ms);
        await_rig_quiet(rig);
        rig->caught_count = most; /* for the caller */
}

static const char slow[] = "@serve 15";

static void the_window(void **state)
{
        static const struct {
                const char *settings;
                size_t loop_count;
                size_t low, high;
        } cases[] = {
                {"smtp_destination_concurrency_limit = 1\n", 1, 1, 1},
                {"smtp_destination_concurrency_limit = 4\n", 2, 2, 2},
                {"smtp_destination_concurrency_limit = 12\n", 1, 6, 12},
                {"smtp_destination_concurrency_limit = 12\nsmtp_initial_destination_concurrency = 1\n",
                 1, 2, 12},
        };
        for (size_t i = 0; i < COUNT(cases); i++) {
                const char *scripts[] = {slow};
                r = (struct rig){.loop_count = cases[i].loop_count};
                rig_run(&r, cases[i].settings, scripts, 1, await_many);
                assert_int_equal(rig_log_count(&r, "status=sent"), 40);
                assert_in_range(r.caught_count, cases[i].low, cases[i].high);
                if (i + 1 < COUNT(cases))
                        rig_done(&r);
        }
}

static void maxproc(void **state)
{
        const char *scripts[] = {slow};
        r.master = "smtp inet n - n - - smtpd\nsmtp unix - - n - 3 smtp\n";
        rig_run(&r, "smtp_destination_concurrency_limit = 20\n", scripts, 1, await_many);
        assert_int_equal(rig_log_count(&r, "status=sent"), 40);
        assert_in_range(r.caught_count, 2, 3);
}

static void await_five_recipients(struct rig *rig)
{
        await_rig_mail(rig, "from@sender.test",
                       "a@dest.test b@dest.test c@relay.test d@dest.test e@dest.test f@dest.test");
        await_rig_quiet(rig);
        assert_int_equal(rig->peer.message_count, 4);
}

/* five for dest.test in jobs of two, one for relay.test */
static void recipients_in_jobs(void **state)
{
        const char *scripts[] = {"@serve"};
        rig_run(&r, "smtp_destination_recipient_limit = 2\n", scripts, 1, await_five_recipients);
        assert_int_equal(rig_log_count(&r, "status=sent"), 6);
        assert_int_equal(rig_log_count(&r, ": removed"), 1);
        assert_int_equal(rig_log_count(&r, "forepost/smtp["), 6);
}

/* ---- dead destinations ---- */

static void await_dead(struct rig *rig)
{
        struct delivery_counts counts;
        for (int i = 0; i < 20; i++)
                await_rig_mail(rig, "from@sender.test", "u@nowhere.test");
        await_rig_quiet(rig);
        await_rig_mail(rig, "from@sender.test", "v@nowhere.test");
        await_rig_quiet(rig);
        delivery_count(rig->delivery, &counts);
        assert_int_equal(counts.deferred, 21);
        assert_int_equal(counts.destinations, 1); /* remembered */
}

static void a_dead_destination_rests(void **state)
{
        const char *scripts[] = {"@hang"};
        rig_run(&r, "smtp_destination_concurrency_limit = 1\n", scripts, 1, await_dead);
        assert_int_equal(
                rig_log_count(&r, "(connect to 127.0.0.1[127.0.0.1]:1: Connection refused)"), 1);
        log_must_have("to=<v@nowhere.test>, relay=none, delay=0");
        log_must_have("dsn=4.4.1, status=deferred (delivery temporarily suspended: connect to "
                      "127.0.0.1[127.0.0.1]:1: Connection refused)");
}

static void await_revival(struct rig *rig)
{
        await_rig_mail(rig, "from@sender.test", "u@dest.test");
        await_rig_quiet(rig);
        await_rig_mail(rig, "from@sender.test", "v@dest.test");
        await_rig_quiet(rig);
        for (int i = 0; i < 20000 && rig->peer.message_count < 2; i++) /* minimal_backoff_time */
                assert_int_equal(await_sleep(50), 0);
        await_rig_quiet(rig);
        assert_int_equal(rig->peer.message_count, 2);
}

static void it_comes_back(void **state)
{
        const char *scripts[] = {">421 4.3.2 no", "@serve"};
        rig_run(&r,
                "minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nqueue_run_delay = 1s\n"
                "smtp_initial_destination_concurrency = 1\n",
                scripts, 2, await_revival);
        log_must_have(
                "delivery temporarily suspended: host 127.0.0.1[127.0.0.1] refused to talk to me");
        assert_int_equal(rig_log_count(&r, "status=sent"), 2);
        assert_int_equal(rig_log_count(&r, "status=deferred"), 2);
}

static void await_word_of_life(struct rig *rig)
{
        for (int i = 0; i < 3; i++) {
                await_rig_mail(rig, "from@sender.test", "u@dest.test");
                await_rig_quiet(rig);
        }
        assert_int_equal(rig->peer.message_count, 0);
        await_rig_mail(rig, "from@sender.test", "v@dest.test");
        for (int i = 0; i < 20000 && rig->peer.message_count < 4; i++)
                assert_int_equal(await_sleep(10), 0);
        await_rig_quiet(rig);
        assert_int_equal(rig->peer.message_count, 4);
}

/* Three would be tried again in an hour; one more gets through, and they go with it. */
static void its_life_is_told_to_those_who_wait(void **state)
{
        const char *scripts[] = {">421 4.3.2 no", ">421 4.3.2 no", ">421 4.3.2 no", "@serve"};
        rig_run(&r, "minimal_backoff_time = 1h\n", scripts, 4, await_word_of_life);
        assert_int_equal(rig_log_count(&r, "status=deferred"), 3);
        assert_int_equal(rig_log_count(&r, "status=sent"), 4);
}

static void await_one_that_goes_ahead(struct rig *rig)
{
        for (int i = 0; i < 3; i++) {
                await_rig_mail(rig, "from@sender.test", "u@dest.test");
                await_rig_quiet(rig);
        }
        /* 3 s, which is less than any message's own time */
        for (int i = 0; i < 20000 && rig->peer.message_count < 3; i++)
                assert_int_equal(await_sleep(10), 0);
        await_rig_quiet(rig);
        assert_int_equal(rig->peer.message_count, 3);
}

static void one_of_those_who_wait_goes_ahead(void **state)
{
        const char *scripts[] = {">421 4.3.2 no", ">421 4.3.2 no", ">421 4.3.2 no", "@serve"};
        rig_run(&r, "minimal_backoff_time = 4s\nmaximal_backoff_time = 1h\n", scripts, 4,
                await_one_that_goes_ahead);
        assert_int_equal(rig_log_count(&r, "status=deferred"), 3);
        assert_int_equal(rig_log_count(&r, "status=sent"), 3);
}

/* ---- bounces and notices ---- */

static struct envelope one(struct recipient *to, const char *address)
{
        *to = (struct recipient){.address = str_from(address), .original = str_from(address)};
        return (struct envelope){.sender = STR("from@sender.test"),
                                 .recipients = to,
                                 .recipient_count = 1,
                                 .arrival_us = clock_wall_us()};
}

struct notice_case {
        const char *to;
        const char *sender; /* NULL: from@sender.test */
        unsigned notify;
        enum smtp_ret ret;
        int64_t age_s;
        const char *settings;
        const char *has[3]; /* none: no notice */
        const char *has_not;
        const char *log;
};

static const struct notice_case *notice;

static void await_notice(struct rig *rig)
{
        struct recipient to;
        struct envelope e = one(&to, notice->to);
        if (notice->sender)
                e.sender = str_from(notice->sender);
        to.notify = notice->notify;
        e.ret = notice->ret;
        e.arrival_us -= notice->age_s * 1000000;
        await_rig_send(rig, &e, STR("Subject: s\r\n\r\nthe body\r\n"), NULL);
        await_rig_quiet(rig);
}

static void notices(void **state)
{
        static const struct notice_case cases[] = {
                {.to = "u@gone.test", .has = {"Action: failed", "the body"}},
                {.to = "u@gone.test", .sender = "", .log = "status=bounced"},
                {.to = "u@gone.test", .sender = "double-bounce@me.test", .log = "removed"},
                {.to = "u@gone.test", .notify = SMTP_NOTIFY_NEVER, .log = "removed"},
                {.to = "u@gone.test", .notify = SMTP_NOTIFY_SUCCESS, .log = "removed"},
                {.to = "u@gone.test",
                 .notify = SMTP_NOTIFY_FAILURE,
                 .ret = SMTP_RET_HDRS,
                 .has = {"Action: failed", "Subject: s"},
                 .has_not = "the body"},
                {.to = "u@gone.test",
                 .settings = "bounce_size_limit = 10\n",
                 .has = {"Subject: s"},
                 .has_not = "the body"},
                /* success */
                {.to = "u@dest.test",
                 .notify = SMTP_NOTIFY_SUCCESS,
                 .has = {"Action: relayed", "Status: 2.0.0", "Subject: s"},
                 .has_not = "the body"},
                {.to = "u@dest.test", .notify = SMTP_NOTIFY_FAILURE, .log = "status=sent"},
                /* time */
                {.to = "u@later.test",
                 .age_s = 6 * 86400,
                 .has = {"Action: failed", "Status: 4.4.7", "not today"},
                 .log = "from=<from@sender.test>, status=expired, returned to sender"},
                {.to = "u@later.test", .age_s = 6 * 86400, .sender = "", .log = "status=expired"},
                {.to = "u@later.test", .age_s = 4 * 86400, .log = "status=deferred"},
                {.to = "u@later.test",
                 .settings = "maximal_queue_lifetime = 0\n",
                 .has = {"Status: 4.4.7"},
                 .log = "status=expired"},
                {.to = "u@hidden.test",
                 .settings = "maximal_queue_lifetime = 0\n",
                 .has = {"Status: 4.4.7", "cannot be reached"},
                 .has_not = "127.0.0.1",
                 .log = "status=deferred (connect to 127.0.0.1[127.0.0.1]:1: Connection refused)"},
                {.to = "u@later.test",
                 .age_s = 7200,
                 .settings = "delay_warning_time = 1h\n",
                 .has = {"Action: delayed", "Will-Retry-Until", "Subject: s"},
                 .has_not = "the body",
                 .log = "sender delay notification: "},
                {.to = "u@later.test",
                 .age_s = 1800,
                 .settings = "delay_warning_time = 1h\n",
                 .log = "status=deferred"},
                {.to = "u@later.test",
                 .age_s = 7200,
                 .notify = SMTP_NOTIFY_FAILURE,
                 .settings = "delay_warning_time = 1h\n",
                 .log = "status=deferred"},
        };
        for (size_t i = 0; i < COUNT(cases); i++) {
                const char *scripts[] = {EHLO ONE_MESSAGE "@hang"}; /* without DSN */
                notice = &cases[i];
                r = (struct rig){0};
                rig_run(&r, notice->settings ? notice->settings : "", scripts, 1, await_notice);
                if (r.caught_count != (notice->has[0] != NULL))
                        fail_msg("%zu: %zu notices", i, r.caught_count);
                for (size_t k = 0; k < 3 && notice->has[k]; k++)
                        if (!rig_caught_has(&r, notice->has[k]))
                                fail_msg("%zu: no \"%s\" in:\n%.*s", i, notice->has[k],
                                         STR_ARG(buf_str(&r.caught)));
                if (notice->has_not && rig_caught_has(&r, notice->has_not))
                        fail_msg("%zu: \"%s\" is in:\n%.*s", i, notice->has_not,
                                 STR_ARG(buf_str(&r.caught)));
                if (notice->log)
                        log_must_have(notice->log);
                if (i + 1 < COUNT(cases))
                        rig_done(&r);
        }
}

static void flush_it(void *context, const struct spool_info *info)
{
        const struct rig *rig = context;
        assert_int_equal(spool_flush(rig->kit.spool, rig->kit.loop, info->message), 1);
}

static void await_full_disk(struct rig *rig)
{
        uint64_t cursor = 0;
        struct delivery_counts counts;
        is_disk_full = true;
        await_rig_mail(rig, "from@sender.test", "u@gone.test");
        await_rig_quiet(rig);
        assert_int_equal(rig->caught_count, 0);
        is_disk_full = false;
        /* it still waits */
        assert_false(spool_list(rig->kit.spool, rig->kit.loop, &cursor, 100, flush_it, rig));
        await_rig_quiet(rig);
        assert_int_equal(rig->caught_count, 1);
        delivery_count(rig->delivery, &counts);
        assert_int_equal(counts.bounced, 2);
}

static void no_bounce_no_result(void **state)
{
        const char *scripts[] = {"@hang"};
        rig_run(&r, "", scripts, 1, await_full_disk);
        log_must_have("cannot tell the sender: No space left on device");
        assert_int_equal(rig_log_count(&r, ": removed"), 2);
}

/* ---- VERP ---- */

static struct envelope verp_mail(struct recipient to[3], const char *domain)
{
        static const char *const users[] = {"a", "b", "c"};
        static char addresses[3][64];
        struct envelope e;
        for (size_t i = 0; i < 3; i++) {
                snprintf(addresses[i], sizeof(addresses[i]), "%s@%s", users[i], domain);
                e = one(&to[i], addresses[i]);
        }
        e.recipients = to;
        e.recipient_count = 3;
        e.verp = STR("+=");
        return e;
}

static void await_verp(struct rig *rig)
{
        struct recipient to[3];
        struct envelope e = verp_mail(to, "dest.test");
        await_rig_send(rig, &e, STR("Subject: s\r\n\r\nbody\r\n"), NULL);
        await_rig_quiet(rig);
        heard_must_be("EHLO me.test\n"
                      "MAIL FROM:<from+a=dest.test@sender.test>\n"
                      "RCPT TO:<a@dest.test>\nDATA\n"
                      "MAIL FROM:<from+b=dest.test@sender.test>\n"
                      "RCPT TO:<b@dest.test>\nDATA\n"
                      "MAIL FROM:<from+c=dest.test@sender.test>\n"
                      "RCPT TO:<c@dest.test>\nDATA\n");
}

static void a_sender_for_each(void **state)
{
        const char *scripts[] = {EHLO ONE_MESSAGE ONE_MESSAGE ONE_MESSAGE "@hang"};
        rig_run(&r, "smtp_destination_concurrency_limit = 1\n", scripts, 1, await_verp);
        assert_int_equal(rig_log_count(&r, "from=<from@sender.test>"), 1);
        assert_int_equal(rig_log_count(&r, "status=sent"), 3);
}

/* Each bounce is recorded when it is in the spool, and not told twice when the next finds no room. */
static void await_verp_full_disk(struct rig *rig)
{
        uint64_t cursor = 0;
        struct recipient to[3];
        struct envelope e = verp_mail(to, "gone.test");
        own_until_full = 2;
        await_rig_send(rig, &e, STR("Subject: s\r\n\r\nthe body\r\n"), NULL);
        await_rig_quiet(rig);
        assert_int_equal(rig->caught_count, 2);
        is_disk_full = false;
        assert_false(spool_list(rig->kit.spool, rig->kit.loop, &cursor, 100, flush_it, rig));
        await_rig_quiet(rig);
        assert_int_equal(rig->caught_count, 3);
        assert_true(rig_caught_has(rig, "<from+a=gone.test@sender.test>\n"));
        assert_true(rig_caught_has(rig, "<from+b=gone.test@sender.test>\n"));
        assert_true(rig_caught_has(rig, "<from+c=gone.test@sender.test>\n"));
        assert_true(rig_caught_has(rig, "To: from+c=gone.test@sender.test\r\n") ||
                    rig_caught_has(rig, "To: <from+c=gone.test@sender.test>\r\n"));
}

static void a_bounce_for_each(void **state)
{
        const char *scripts[] = {"@hang"};
        rig_run(&r, "", scripts, 1, await_verp_full_disk);
        log_must_have("cannot tell the sender: No space left on device");
        assert_int_equal(rig_log_count(&r, "to=<a@gone.test>"), 1);
        assert_int_equal(rig_log_count(&r, "to=<c@gone.test>"), 2);
}

static void await_verp_expires(struct rig *rig)
{
        struct recipient to[3];
        struct envelope e = verp_mail(to, "later.test");
        e.arrival_us -= 6 * 86400 * INT64_C(1000000);
        await_rig_send(rig, &e, STR("Subject: s\r\n\r\nthe body\r\n"), NULL);
        await_rig_quiet(rig);
}

static void who_has_expired_too(void **state)
{
        const char *scripts[] = {"@hang"};
        rig_run(&r, "", scripts, 1, await_verp_expires);
        assert_int_equal(r.caught_count, 3);
        assert_true(rig_caught_has(&r, "<from+b=later.test@sender.test>\n"));
        rig_done(&r);
        r = (struct rig){0};
        rig_run(&r, "disable_verp_bounces = yes\n", scripts, 1, await_verp_expires);
        assert_int_equal(r.caught_count, 1);
        assert_true(rig_caught_has(&r, "<from@sender.test>\n"));
}

/* A delay is told once, to the sender as it came. */
static void await_verp_delay(struct rig *rig)
{
        struct recipient to[3];
        struct envelope e = verp_mail(to, "later.test");
        e.arrival_us -= 7200 * INT64_C(1000000);
        await_rig_send(rig, &e, STR("Subject: s\r\n\r\nthe body\r\n"), NULL);
        await_rig_quiet(rig);
}

static void a_delay_is_told_once(void **state)
{
        const char *scripts[] = {"@hang"};
        rig_run(&r, "delay_warning_time = 1h\n", scripts, 1, await_verp_delay);
        assert_int_equal(r.caught_count, 1);
        assert_true(rig_caught_has(&r, "<from@sender.test>\n"));
        assert_true(rig_caught_has(&r, "Action: delayed"));
}

/* ---- what goes over the wire ---- */

static void await_dsn_parameters(struct rig *rig)
{
        struct recipient to[3];
        struct envelope e = one(&to[0], "a@dest.test");
        one(&to[1], "b@dest.test");
        one(&to[2], "c@dest.test");
        to[0].notify = SMTP_NOTIFY_NEVER;
        to[1].notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY;
        to[1].orcpt = STR("rfc822;x+2By@z");
        to[2].notify = SMTP_NOTIFY_FAILURE;
        to[2].original = STR("c+d@alias.test");
        e.recipient_count = 3;
        e.body = SMTP_BODY_8BITMIME;
        e.ret = SMTP_RET_HDRS;
        e.envid = STR("id+3D1");
        await_rig_send(rig, &e, STR("Subject: s\r\n\r\nbody\r\n"), NULL);
        await_rig_quiet(rig);
        assert_int_equal(rig->caught_count, 0); /* the peer tells of success */
        heard_must_be("EHLO me.test\n"
                      "MAIL FROM:<from@sender.test> SIZE=20 BODY=8BITMIME RET=HDRS ENVID=id+3D1\n"
                      "RCPT TO:<a@dest.test> NOTIFY=NEVER ORCPT=rfc822;a@dest.test\n"
                      "RCPT TO:<b@dest.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@z\n"
                      "RCPT TO:<c@dest.test> NOTIFY=FAILURE ORCPT=rfc822;c+2Bd@alias.test\n"
                      "DATA\n");
}

static void dsn_parameters(void **state)
{
        const char *scripts[] = {"@serve"};
        rig_run(&r, "", scripts, 1, await_dsn_parameters);
        log_must_have("to=<c@dest.test>, orig_to=<c+d@alias.test>, relay=127.0.0.1[127.0.0.1]:");
}

struct content_case {
        const char *content;
        const char *to;
        enum smtp_body body;
        bool smtputf8;
        const char *mail; /* the MAIL that the peer hears; NULL: it is not sent */
        const char *log;
};

static const struct content_case *content;

static void await_content_case(struct rig *rig)
{
        struct recipient to;
        struct envelope e = one(&to, content->to);
        e.body = content->body;
        e.smtputf8 = content->smtputf8;
        await_rig_send(rig, &e, str_from(content->content), NULL);
        await_rig_quiet(rig);
}

#define UMLAUT "\xc3\xbc"

static void servers_that_lack_something(void **state)
{
        static const char bare[] = ">220 x\n<EHLO\n>250 x\n<MAIL FROM:<from@sender.test>\n>250 ok\n"
                                   "<RCPT\n>250 ok\n<DATA\n>354 go\n@data\n>250 Ok\n@hang";
        static const struct content_case cases[] = {
                {"Subject: s\r\n\r\nplain\r\n", "u@dest.test", SMTP_BODY_8BITMIME, true, "MAIL",
                 "status=sent"},
                {"Subject: s\r\n\r\n" UMLAUT "\r\n", "u@dest.test", SMTP_BODY_8BITMIME, false,
                 "MAIL", "status=sent"},
                {"Subject: s\r\n\r\n" UMLAUT "\r\n", "u@dest.test", SMTP_BODY_7BIT, false, "MAIL",
                 "status=sent"},
                {"Subject: " UMLAUT "\r\n\r\nplain\r\n", "u@dest.test", SMTP_BODY_7BIT, true, NULL,
                 "dsn=5.6.7, status=bounced (SMTPUTF8 is required, but was not offered"},
                {"Subject: s\r\n\r\nplain\r\n", UMLAUT "@dest.test", SMTP_BODY_7BIT, true, NULL,
                 "dsn=5.6.7, status=bounced (SMTPUTF8 is required"},
                {"Subject: " UMLAUT "\r\n\r\nplain\r\n", "u@dest.test", SMTP_BODY_7BIT, false,
                 "MAIL", "status=sent"},
        };
        for (size_t i = 0; i < COUNT(cases); i++) {
                const char *scripts[] = {bare};
                content = &cases[i];
                r = (struct rig){0};
                rig_run(&r, "", scripts, 1, await_content_case);
                log_must_have(content->log);
                if (i + 1 < COUNT(cases))
                        rig_done(&r);
        }
}

static void utf8_addresses(void **state)
{
        static const struct content_case c = {"Subject: " UMLAUT "\r\n\r\nx\r\n",
                                              UMLAUT "@dest.test",
                                              SMTP_BODY_8BITMIME,
                                              true,
                                              "",
                                              ""};
        const char *scripts[] = {EHLO
                                 "<MAIL FROM:<from@sender.test> BODY=8BITMIME SMTPUTF8\n>250 ok\n"
                                 "<RCPT TO:<" UMLAUT
                                 "@dest.test>\n>250 ok\n<DATA\n>354 go\n@data\n>250 Ok\n@hang"};
        content = &c;
        rig_run(&r, "", scripts, 1, await_content_case);
        log_must_have("status=sent");
}

static struct buf big;

static void await_big(struct rig *rig)
{
        struct recipient to;
        struct envelope e = one(&to, "u@dest.test");
        await_rig_send(rig, &e, buf_str(&big), NULL);
        await_rig_quiet(rig);
        assert_int_equal(rig->peer.message_count, 1);
        assert_int_equal(rig->peer.contents.len, big.len);
        assert_memory_equal(rig->peer.contents.ptr, big.ptr, big.len);
}

/* Lines with dots at every place, over the borders of pieces. */
static void large_content_is_not_changed(void **state)
{
        const char *scripts[] = {EHLO ONE_MESSAGE "@hang"};
        buf_init(&big, 8 << 20);
        buf_append_str(&big, STR("Subject: big\r\n\r\n"));
        for (unsigned i = 0; big.len < (5 << 20); i++)
                buf_printf(&big, "%s%u%s\r\n", i % 3 ? "" : ".", i * 2654435761U,
                           i % 7 ? "" : "..\r\n..\r\n.\r\n");
        rig_run(&r, "", scripts, 1, await_big);
        buf_done(&big);
}

static void await_early(struct rig *rig)
{
        struct recipient to;
        struct envelope e = one(&to, "u@dest.test");
        await_rig_send(rig, &e, buf_str(&big), NULL);
        await_rig_quiet(rig);
}

static void a_server_that_has_had_enough(void **state)
{
        const char *scripts[] = {EHLO
                                 "<MAIL\n>250 ok\n<RCPT\n>250 ok\n<DATA\n>354 go\n@some 100000\n"
                                 ">552 5.3.4 too much\n@hang"};
        buf_init(&big, 8 << 20);
        while (big.len < (7 << 20))
                buf_append_str(&big,
                               STR("0123456789012345678901234567890123456789012345678901\r\n"));
        rig_run(&r, "", scripts, 1, await_early);
        log_must_have(
                "dsn=5.3.4, status=bounced (host 127.0.0.1[127.0.0.1] said: 552 5.3.4 too much");
        buf_done(&big);
}

static void await_hundred(struct rig *rig)
{
        struct buf to;
        buf_init(&to, 1 << 20);
        for (int i = 0; i < 150; i++)
                buf_printf(&to, "%0200d@dest.test ", i);
        buf_append_char(&to, '\0');
        await_rig_mail(rig, "from@sender.test", to.ptr);
        buf_done(&to);
        await_rig_quiet(rig);
        assert_int_equal(rig->peer.message_count, 1);
}

/* more than is pipelined at once */
static void many_recipients(void **state)
{
        const char *scripts[] = {"@serve"};
        rig_run(&r, "smtp_destination_recipient_limit = 0\n", scripts, 1, await_hundred);
        assert_int_equal(rig_log_count(&r, "status=sent"), 150);
}

/* ---- stop and reload ---- */

static void await_stop(struct rig *rig)
{
        struct spool_counts counts;
        for (int i = 0; i < 10; i++)
                await_rig_mail(rig, "from@sender.test", "u@dest.test v@gone.test");
        assert_int_equal(await_sleep(50), 0);
        int64_t before_ms = loop_now_ms();
        await_delivery_stop(&rig->delivery, loop_now_ms() + 100);
        assert_null(rig->delivery);
        assert_in_range(clock_mono_ms() - before_ms, 100, 20000);
        spool_count(rig->kit.spool, &counts);
        assert_int_equal(counts.active, 10);
        /* one that comes now stays where it is */
        await_rig_mail(rig, "from@sender.test", "w@dest.test");
        assert_int_equal(await_sleep(20), 0);
}

static void stops_in_the_middle(void **state)
{
        const char *scripts[] = {EHLO
                                 "<MAIL\n>250 ok\n<RCPT\n>250 ok\n<DATA\n>354 go\n@data\n@hang"};
        r.timeout_ms = 30000;
        rig_run(&r, "smtp_destination_concurrency_limit = 2\n", scripts, 1, await_stop);
        assert_false(rig_log_has(&r, "status=sent"));
        assert_false(rig_log_has(&r, "status=deferred"));
        assert_false(rig_log_has(&r, "removed"));
}

static void await_stop_with_two(struct rig *rig)
{
        await_rig_mail(rig, "from@sender.test", "u@dest.test v@dest.test");
        assert_int_equal(await_sleep(50), 0);
        await_delivery_stop(&rig->delivery, loop_now_ms() + 20);
}

/* One recipient has its refusal, the other waits for its reply: nothing is known of either. */
static void stops_between_two_replies(void **state)
{
        const char *scripts[] = {EHLO "<MAIL\n>250 ok\n<RCPT\n>550 5.1.1 no\n<RCPT\n@hang"};
        r.timeout_ms = 30000;
        rig_run(&r, "", scripts, 1, await_stop_with_two);
        assert_false(rig_log_has(&r, "status="));
        assert_int_equal(r.caught_count, 0);
}

static void await_gentle_stop(struct rig *rig)
{
        await_rig_mail(rig, "from@sender.test", "u@dest.test");
        while (str_find_str(buf_str(&rig->peer.heard), STR("MAIL")) < 0)
                assert_int_equal(await_sleep(1), 0);
        await_delivery_stop(&rig->delivery, loop_now_ms() + 30000);
        assert_int_equal(rig->peer.message_count, 1);
}

static void what_is_under_way_may_end(void **state)
{
        const char *scripts[] = {EHLO
                                 "<MAIL\n@wait 60\n>250 ok\n<RCPT\n>250 ok\n<DATA\n>354 go\n@data\n"
                                 ">250 Ok\n@hang"};
        rig_run(&r, "", scripts, 1, await_gentle_stop);
        log_must_have("status=sent");
        log_must_have("removed");
}

static void await_reload(struct rig *rig)
{
        await_rig_mail(rig, "from@sender.test", "u@dest.test");
        await_rig_quiet(rig);
        struct routes *routes = routes_new(rig->config, rig->tables, rig->policy, &rig->findings);
        delivery_set_routes(rig->delivery, routes);
        routes_unref(&routes);
        await_rig_mail(rig, "from@sender.test", "u@dest.test");
        await_rig_quiet(rig);
        assert_int_equal(rig->peer.message_count, 2);
        assert_int_equal(rig->peer.connection_count, 2);
}

static void new_routes_new_connections(void **state)
{
        const char *scripts[] = {"@serve"};
        rig_run(&r, "", scripts, 1, await_reload);
        assert_int_equal(rig_log_count(&r, "status=sent"), 2);
}

static void await_recipient_limit(struct rig *rig)
{
        struct delivery_counts counts;
        rig->peer.is_held = true;
        for (int i = 0; i < 20; i++)
                await_rig_mail(rig, "from@sender.test", "u@dest.test");
        rig->peer.is_held = false;
        size_t most = 0;
        do {
                delivery_count(rig->delivery, &counts);
                assert_true(counts.messages <= 4);
                if (counts.messages > most)
                        most = counts.messages;
                assert_int_equal(await_sleep(1), 0);
        } while (counts.sent < 20);
        assert_int_equal(most, 4);
        await_rig_quiet(rig);
        assert_int_equal(rig->peer.message_count, 20);
}

static void few_are_tried_at_once(void **state)
{
        const char *scripts[] = {"@serve 60"};
        rig_run(&r, "qmgr_message_recipient_limit = 4\n", scripts, 1, await_recipient_limit);
        assert_int_equal(rig_log_count(&r, "status=sent"), 20);
}

#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                RIG_TEST(one_connection_for_many),
                RIG_TEST(a_connection_is_used_three_times),
                RIG_TEST(kept_connections_that_end),
                RIG_TEST(a_transaction_that_came_to_nothing),
                RIG_TEST(goes_away_in_the_middle),
                RIG_TEST(the_window),
                RIG_TEST(maxproc),
                RIG_TEST(recipients_in_jobs),
                RIG_TEST(a_dead_destination_rests),
                RIG_TEST(it_comes_back),
                RIG_TEST(its_life_is_told_to_those_who_wait),
                RIG_TEST(one_of_those_who_wait_goes_ahead),
                RIG_TEST(notices),
                RIG_TEST(no_bounce_no_result),
                RIG_TEST(a_sender_for_each),
                RIG_TEST(a_bounce_for_each),
                RIG_TEST(who_has_expired_too),
                RIG_TEST(a_delay_is_told_once),
                RIG_TEST(dsn_parameters),
                RIG_TEST(servers_that_lack_something),
                RIG_TEST(utf8_addresses),
                RIG_TEST(large_content_is_not_changed),
                RIG_TEST(a_server_that_has_had_enough),
                RIG_TEST(many_recipients),
                RIG_TEST(stops_in_the_middle),
                RIG_TEST(stops_between_two_replies),
                RIG_TEST(what_is_under_way_may_end),
                RIG_TEST(new_routes_new_connections),
                RIG_TEST(few_are_tried_at_once),
        };
        if (getenv("TEST"))
                cmocka_set_test_filter(getenv("TEST"));
        return cmocka_run_group_tests(tests, NULL, NULL);
}
