/* fair_test.c - senders take turns, floods are parked, pauses are kept: messages from the spool to a scripted peer */
#include "delivery/rig.h"

#include "base/clock.h"

static struct rig r;

static int setup(void **state)
{
        r = (struct rig){0};
        return 0;
}

static int teardown(void **state)
{
        rig_done(&r);
        return 0;
}

static void await_sent(struct rig *rig, size_t count, int64_t within_ms)
{
        struct delivery_counts counts;
        int64_t until_ms = clock_mono_ms() + within_ms;
        do {
                assert_int_equal(await_sleep(2), 0);
                delivery_count(rig->delivery, &counts);
        } while (counts.sent < count && clock_mono_ms() < until_ms);
        assert_true(counts.sent >= count);
}

/* How many messages were sent before the one to `to`. */
static size_t sent_before(const char *to)
{
        char text[80];
        snprintf(text, sizeof(text), "to=<%s>", to);
        struct str rest = buf_str(&r.log);
        ptrdiff_t at = str_find_str(rest, str_from(text));
        assert_true(at >= 0);
        rest.len = (size_t)at;
        size_t count = 0;
        while ((at = str_find_str(rest, STR("status=sent"))) >= 0) {
                rest = str_tail(rest, (size_t)at + 1);
                count++;
        }
        return count;
}

/* ---- turns ---- */

static struct delivery_job job_of(const struct envelope *e)
{
        return (struct delivery_job){.envelope = e};
}

static void circle(void **state)
{
        static const struct envelope a = {.sender = STR_INIT("a@x")};
        static const struct envelope b = {.sender = STR_INIT("b@x")};
        static const struct envelope null = {.sender = STR_INIT("")};
        struct delivery_job jobs[7] = {job_of(&a), job_of(&a),    job_of(&a), job_of(&b),
                                       job_of(&b), job_of(&null), job_of(&a)};
        static const size_t order[] = {0, 3, 5, 1, 4, 2, 6};
        struct turns t;
        turns_init(&t);
        for (size_t i = 0; i < 7; i++) {
                list_init(&jobs[i].link);
                turns_add(&t, &jobs[i]);
        }
        assert_int_equal(t.count, 7);
        /* four, two and one: who has more than his part is sent away, who has none is let in */
        assert_true(turns_has_room(&t, &jobs[0], 8));
        assert_false(turns_has_room(&t, &jobs[0], 7));
        assert_true(turns_has_room(&t, &jobs[5], 7));
        static const struct envelope new = {.sender = STR_INIT("new@x")};
        struct delivery_job one_more = job_of(&new);
        assert_true(turns_has_room(&t, &one_more, 4));
        assert_false(turns_has_room(&t, &one_more, 3)); /* twice as many is the end */
        for (size_t i = 0; i < 7; i++)
                assert_true(turns_take(&t) == &jobs[order[i]]);
        turns_done(&t);
}

static void await_flood(struct rig *rig)
{
        for (int i = 0; i < 300; i++)
                await_rig_mail(rig, "bulk@sender.test", "u@dest.test");
        await_rig_mail(rig, "friend@sender.test", "friend@dest.test");
        await_sent(rig, 301, 100000);
        await_rig_quiet(rig);
        struct spool_counts left;
        spool_count(rig->kit.spool, &left);
        assert_int_equal(left.active + left.deferred, 0);
}

/* The flood is longer than the queue: most of it waits in the spool, and comes when there is room. */
static void a_flood_delays_nobody_else(void **state)
{
        const char *scripts[] = {"@serve 2"};
        rig_run(&r, "smtp_destination_concurrency_limit = 1\nqmgr_message_active_limit = 40\n",
                scripts, 1, await_flood);
        assert_int_equal(rig_log_count(&r, "status=sent"), 301);
        assert_int_equal(rig_log_count(&r, "status=deferred"), 0);
        size_t all = 0;
        struct str log = buf_str(&r.log);
        /* what was sent when the friend's message was taken, and two more at most */
        ptrdiff_t taken = str_find_str(log, STR("from=<friend@sender.test>"));
        assert_true(taken >= 0);
        struct str rest = str_part(log, 0, (size_t)taken);
        for (ptrdiff_t at; (at = str_find_str(rest, STR("status=sent"))) >= 0; all++)
                rest = str_tail(rest, (size_t)at + 1);
        assert_in_range(sent_before("friend@dest.test"), all, all + 2);
}

static void await_other(struct rig *rig)
{
        for (int i = 0; i < 200; i++)
                await_rig_mail(rig, "bulk@sender.test", "u@dest.test");
        await_rig_mail(rig, "bulk@sender.test", "v@relay.test");
        await_sent(rig, 1, 30000); /* before the one that hangs is given up */
        /* the one that hangs has to be told */
        await_delivery_stop(&rig->delivery, loop_now_ms() + 20);
}

/* The first next hop hangs with five times as much mail as may be under way. */
static void a_flood_fills_no_other_queue(void **state)
{
        const char *scripts[] = {"@hang", "@serve"};
        rig_run(&r,
                "smtp_destination_concurrency_limit = 1\nsmtp_initial_destination_concurrency = 1\n"
                "qmgr_message_active_limit = 40\nqmgr_message_recipient_limit = 40\n",
                scripts, 2, await_other);
        assert_int_equal(rig_log_count(&r, "to=<v@relay.test>"), 1);
}

static size_t parked_count(const struct destination *dest)
{
        size_t count = 0;
        for (size_t at = dest->parked_at; at < dest->parked.len; at += QUEUE_ID_BYTES_MAX)
                count += dest->parked.ptr[at] != 0;
        return count;
}

/* Messages that nobody calls come back by themselves, and are parked again: each once. */
static void await_parked_twice(struct rig *rig)
{
        struct destination dest = {.delivery = rig->delivery};
        char ids[3][QUEUE_ID_BYTES_MAX];
        struct spool_message *m[3];
        revival_init(&dest);
        for (int i = 0; i < 3; i++) {
                struct recipient to = {.address = STR("u@later.test")};
                struct envelope e = {
                        .sender = STR("from@sender.test"), .recipients = &to, .recipient_count = 1};
                await_rig_send(rig, &e, STR("text\r\n"), ids[i]);
                await_rig_quiet(rig);
                m[i] = spool_find(rig->kit.spool, rig->kit.loop, str_from(ids[i]));
                assert_non_null(m[i]);
        }
        for (int round = 0; round < 4; round++)
                for (int i = 0; i < 3; i++)
                        assert_true(revival_park(&dest, m[i]));
        assert_int_equal(parked_count(&dest), 3);
        /* out of order, as they may come when some were called */
        assert_true(revival_park(&dest, m[1]));
        assert_int_equal(parked_count(&dest), 3);
        assert_true(revival_park(&dest, m[0]));
        assert_int_equal(parked_count(&dest), 3);
        revival_unpark(&dest, SIZE_MAX); /* all are tried now */
        assert_false(revival_has_parked(&dest));
        await_rig_quiet(rig);
        for (int i = 0; i < 3; i++)
                assert_int_equal(spool_message_attempts(m[i]), 2);
        revival_free(&dest);
}

static void each_is_parked_once(void **state)
{
        const char *scripts[] = {"@serve"};
        rig_run(&r, "", scripts, 1, await_parked_twice);
}

/* ---- pauses ---- */

static int64_t took_ms;

static void await_three_and_one(struct rig *rig)
{
        int64_t begin_ms = clock_mono_ms();
        for (int i = 0; i < 3; i++)
                await_rig_mail(rig, "from@sender.test", "u@dest.test");
        await_rig_mail(rig, "from@sender.test", "v@relay.test");
        await_sent(rig, 4, 60000);
        took_ms = clock_mono_ms() - begin_ms;
        await_rig_quiet(rig);
}

static void a_pause_after_each(void **state)
{
        static const struct {
                const char *settings;
                int64_t min_ms;
                size_t before; /* of those for dest.test, the one for relay.test */
        } cases[] = {
                /* the other destination is of another transport */
                {"smtp_destination_rate_delay = 1s\n", 2000, 1},
                {"default_destination_rate_delay = 1s\n", 2000, 1},
                {"smtp_transport_rate_delay = 1s\nrelay_transport_rate_delay = 0s\n", 2000, 1},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                const char *scripts[] = {"@serve"};
                r = (struct rig){0};
                rig_run(&r, cases[i].settings, scripts, 1, await_three_and_one);
                assert_true(took_ms >= cases[i].min_ms);
                assert_in_range(sent_before("v@relay.test"), 0, cases[i].before);
                if (i + 1 < sizeof(cases) / sizeof(*cases))
                        rig_done(&r);
        }
}

/* Several loops, and destinations that come and go, keep to one time-table. */
static void bookings(void **state)
{
        int64_t now_ms = 1000000;
        assert_int_equal(pause_book(STR("one"), 500, now_ms), now_ms);
        assert_int_equal(pause_book(STR("one"), 500, now_ms + 10), now_ms + 500);
        assert_int_equal(pause_book(STR("two"), 500, now_ms + 10), now_ms + 10);
        pause_ended(STR("one"), 500, now_ms + 900);
        assert_int_equal(pause_book(STR("one"), 500, now_ms + 910), now_ms + 1400);
        assert_int_equal(pause_book(STR("one"), 500, now_ms + 9000), now_ms + 9000);
        assert_int_equal(pause_book(STR("far"), 1000000, now_ms), now_ms);
        for (int i = 0; i < 5000; i++) { /* those that are over are forgotten */
                char name[16];
                snprintf(name, sizeof(name), "%d", i);
                assert_int_equal(pause_book(str_from(name), 1, now_ms + 10 * i), now_ms + 10 * i);
        }
        assert_int_equal(pause_book(STR("far"), 1, now_ms), now_ms + 1000000);
}

#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(circle),
                cmocka_unit_test(bookings),
                RIG_TEST(a_flood_delays_nobody_else),
                RIG_TEST(a_flood_fills_no_other_queue),
                RIG_TEST(each_is_parked_once),
                RIG_TEST(a_pause_after_each),
        };
        if (getenv("TEST"))
                cmocka_set_test_filter(getenv("TEST"));
        return cmocka_run_group_tests(tests, NULL, NULL);
}
