/* verify_test.c - what is remembered of addresses, who waits for what, the file, and the sender of probes */
#include "state/verify_private.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/unit.h"
#include "loop/task.h"

#include <stdlib.h>
#include <unistd.h>

enum { STARTED_MAX = 100, DAY_S = 86400 };

static struct {
        struct params params;
        struct verify *verify;
        struct loop *loop;
        struct arena arena;
        struct verify_probe *started[STARTED_MAX]; /* probes that have no answer yet */
        size_t started_count;
        void (*await_test)(void);
        size_t asking; /* tasks */
        struct verify_answer heard[4];
} t;

static void start(void *context, struct verify_probe *p)
{
        assert_true(t.started_count < STARTED_MAX);
        t.started[t.started_count++] = p;
}

static int setup(void **state)
{
        struct why why;
        memset(&t, 0, sizeof(t));
        t.params.address_verify_negative_cache = true;
        t.params.address_verify_positive_expire_time = 31 * DAY_S * 1000LL;
        t.params.address_verify_positive_refresh_time = 7 * DAY_S * 1000LL;
        t.params.address_verify_negative_expire_time = 3 * DAY_S * 1000LL;
        t.params.address_verify_negative_refresh_time = 3 * 3600 * 1000LL;
        t.params.address_verify_tempfail_expire_time = 60 * 1000LL;
        t.params.address_verify_pending_request_limit = 10;
        t.params.address_verify_cache_entry_limit = 1000;
        t.params.address_verify_sender = STR("double-bounce");
        t.params.myorigin = STR("relay.test");
        arena_init(&t.arena, 0);
        t.loop = loop_new(&why);
        assert_non_null(t.loop);
        t.verify = verify_new(&t.params);
        return 0;
}

static int teardown(void **state)
{
        loop_free(&t.loop);
        verify_free(&t.verify);
        arena_done(&t.arena);
        return 0;
}

static void run_main(void *arg)
{
        verify_serve(t.verify, t.loop, start, NULL);
        t.await_test();
        while (t.asking)
                assert_int_equal(await_turn(), 0);
        while (t.started_count)
                verify_probe_done(t.started[--t.started_count], VERIFY_PENDING, STR(""));
        loop_stop(t.loop);
}

static void run(void (*await_test)(void))
{
        t.await_test = await_test;
        task_start(t.loop, run_main, NULL);
        loop_run(t.loop);
}

static struct verify_answer await_ask(const char *address, int64_t wait_ms)
{
        struct verify_answer a;
        await_verify_ask(t.verify, str_from(address), wait_ms, &t.arena, &a);
        return a;
}

/* Answers the oldest probe. */
static void answer(enum verify_status status, const char *text)
{
        assert_true(t.started_count > 0);
        struct verify_probe *p = t.started[0];
        memmove(t.started, t.started + 1, --t.started_count * sizeof(*t.started));
        verify_probe_done(p, status, str_from(text));
}

static void must_be(struct verify_answer a, enum verify_status status, const char *text)
{
        assert_str_equal(a.text, text);
        assert_int_equal(a.status, status);
}

/* Something that was found out `age_s` ago. */
static void given(const char *address, enum verify_status status, int64_t age_s)
{
        char path[] = "/tmp/verify-test-XXXXXX";
        static const char *const words[] = {"", "ok", "refused", "deferred"};
        struct why why;
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        dprintf(fd, "%s\t%lld\t%s\twas %s\n", words[status],
                (long long)(clock_wall_us() / 1000000 - age_s), address, words[status]);
        close(fd);
        assert_int_equal(verify_open(t.verify, path, &why), 0);
        unlink(path);
}

/* ---- questions ---- */

static void await_no_waiting(void)
{
        must_be(await_ask("a@b.test", 0), VERIFY_PENDING, "Address verification in progress");
        assert_int_equal(t.started_count, 1);
        assert_str_equal(verify_probe_address(t.started[0]), "a@b.test");
        must_be(await_ask("a@b.test", 0), VERIFY_PENDING, "Address verification in progress");
        assert_int_equal(t.started_count, 1); /* one probe for all */
        answer(VERIFY_DELIVERABLE, "250 ok");
        struct verify_answer a = await_ask("a@B.TEST", 0); /* domains without case */
        must_be(a, VERIFY_DELIVERABLE, "250 ok");
        assert_true(a.was_cached);
        must_be(await_ask("A@b.test", 0), VERIFY_PENDING, "Address verification in progress");
        assert_int_equal(t.started_count, 1); /* mailboxes with it */
}

static void an_answer_comes_later(void **state)
{
        run(await_no_waiting);
}

static void ask_main(void *arg)
{
        struct verify_answer *out = arg;
        *out = await_ask("a@b.test", 60000);
        t.asking--;
}

static void await_three(void)
{
        for (int i = 0; i < 3; i++) {
                t.asking++;
                task_start(t.loop, ask_main, &t.heard[i]);
        }
        await_turn();
        await_turn();
        assert_int_equal(t.started_count, 1);
        assert_int_equal(t.asking, 3);
        answer(VERIFY_UNDELIVERABLE, "550 no such user");
        while (t.asking)
                await_turn();
        for (int i = 0; i < 3; i++) {
                must_be(t.heard[i], VERIFY_UNDELIVERABLE, "550 no such user");
                assert_false(t.heard[i].was_cached);
        }
}

static void all_who_wait_are_woken(void **state)
{
        run(await_three);
}

static void await_too_long(void)
{
        must_be(await_ask("a@b.test", 20), VERIFY_PENDING, "Address verification in progress");
        answer(VERIFY_DELIVERABLE, "250 ok"); /* nobody waits any more */
        must_be(await_ask("a@b.test", 20), VERIFY_DELIVERABLE, "250 ok");
}

static void who_waits_too_long_comes_again(void **state)
{
        run(await_too_long);
}

static void await_stopped(void)
{
        t.asking++;
        task_start(t.loop, ask_main, &t.heard[0]);
        await_turn();
        await_turn();
        answer(VERIFY_PENDING, "");
        while (t.asking)
                await_turn();
        must_be(t.heard[0], VERIFY_PENDING, "Address verification in progress");
        must_be(await_ask("a@b.test", 0), VERIFY_PENDING, "Address verification in progress");
        assert_int_equal(t.started_count, 1);
}

static void a_probe_that_was_stopped_is_not_remembered(void **state)
{
        run(await_stopped);
}

static void await_limit(void)
{
        char address[32];
        for (int i = 0; i < 15; i++) {
                snprintf(address, sizeof(address), "u%d@b.test", i);
                must_be(await_ask(address, 0), VERIFY_PENDING, "Address verification in progress");
        }
        assert_int_equal(t.started_count, 10);
        must_be(await_ask("u14@b.test", 60000), VERIFY_PENDING, /* at once */
                "Address verification in progress");
        answer(VERIFY_DELIVERABLE, "ok");
        await_ask("u14@b.test", 0);
        assert_int_equal(t.started_count, 10);
}

static void probes_have_a_limit(void **state)
{
        run(await_limit);
}

static void await_long(void)
{
        static char address[SMTP_PATH_BYTES_MAX + 20];
        memset(address, 'x', sizeof(address) - 1);
        memcpy(address + sizeof(address) - 10, "@b.test..", 10);
        must_be(await_ask(address, 0), VERIFY_DEFERRED, "the address is too long to be verified");
        assert_int_equal(t.started_count, 0);
        /* a server's words are cut */
        static char words[2 * VERIFY_TEXT_BYTES_MAX];
        memset(words, 'w', sizeof(words) - 1);
        await_ask("a@b.test", 0);
        answer(VERIFY_UNDELIVERABLE, words);
        assert_int_equal(await_ask("a@b.test", 0).text.len, VERIFY_TEXT_BYTES_MAX);
}

static void addresses_and_texts_have_a_limit(void **state)
{
        run(await_long);
}

static void nobody_makes_probes(void)
{
        verify_serve(t.verify, t.loop, NULL, NULL);
        must_be(await_ask("a@b.test", 60000), VERIFY_PENDING, "Address verification in progress");
}

static void without_a_server_nobody_waits(void **state)
{
        run(nobody_makes_probes);
}

/* ---- what is remembered, and how long ---- */

static void await_expiry(void)
{
        static const struct {
                enum verify_status status;
                int64_t age_s;
                enum verify_status then;
                size_t probes;
        } cases[] = {
                {VERIFY_DELIVERABLE, 6 * DAY_S, VERIFY_DELIVERABLE, 0},
                {VERIFY_DELIVERABLE, 8 * DAY_S, VERIFY_DELIVERABLE, 1},
                {VERIFY_DELIVERABLE, 32 * DAY_S, VERIFY_PENDING, 1},
                {VERIFY_UNDELIVERABLE, 2 * 3600, VERIFY_UNDELIVERABLE, 0},
                {VERIFY_UNDELIVERABLE, 4 * 3600, VERIFY_UNDELIVERABLE, 1},
                {VERIFY_UNDELIVERABLE, 4 * DAY_S, VERIFY_PENDING, 1},
                {VERIFY_DEFERRED, 30, VERIFY_DEFERRED, 0},
                {VERIFY_DEFERRED, 70, VERIFY_PENDING, 1},
                {VERIFY_DELIVERABLE, -1000, VERIFY_PENDING, 1}, /* the clock was set back */
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                char address[32];
                snprintf(address, sizeof(address), "u%zu@b.test", i);
                given(address, cases[i].status, cases[i].age_s);
                assert_int_equal(await_ask(address, 0).status, cases[i].then);
                assert_int_equal(t.started_count, cases[i].probes);
                /* not twice: it is under way, or was tried a while ago */
                await_ask(address, 0);
                assert_int_equal(t.started_count, cases[i].probes);
                if (t.started_count)
                        answer(VERIFY_PENDING, "");
                if (cases[i].then != VERIFY_PENDING)
                        await_ask(address, 0);
                assert_int_equal(t.started_count, 0);
        }
}

static void each_kind_has_its_time(void **state)
{
        run(await_expiry);
}

static void await_good_name(void)
{
        static const struct {
                enum verify_status was, found, is;
        } cases[] = {
                {VERIFY_DELIVERABLE, VERIFY_UNDELIVERABLE, VERIFY_DELIVERABLE},
                {VERIFY_DELIVERABLE, VERIFY_DEFERRED, VERIFY_DELIVERABLE},
                {VERIFY_UNDELIVERABLE, VERIFY_DELIVERABLE, VERIFY_DELIVERABLE},
                {VERIFY_UNDELIVERABLE, VERIFY_DEFERRED, VERIFY_UNDELIVERABLE},
                {VERIFY_UNDELIVERABLE, VERIFY_UNDELIVERABLE, VERIFY_UNDELIVERABLE},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                char address[32];
                snprintf(address, sizeof(address), "u%zu@b.test", i);
                given(address, cases[i].was,
                      cases[i].was == VERIFY_DELIVERABLE ? 8 * DAY_S : 4 * 3600);
                await_ask(address, 0);
                answer(cases[i].found, "found");
                assert_int_equal(await_ask(address, 0).status, cases[i].is);
                while (t.started_count)
                        answer(VERIFY_PENDING, "");
        }
        /* what has expired is no name */
        given("old@b.test", VERIFY_DELIVERABLE, 40 * DAY_S);
        await_ask("old@b.test", 0);
        answer(VERIFY_UNDELIVERABLE, "550 gone");
        must_be(await_ask("old@b.test", 0), VERIFY_UNDELIVERABLE, "550 gone");
}

static void a_failure_takes_no_good_name(void **state)
{
        run(await_good_name);
}

static void await_negative(void)
{
        t.params.address_verify_negative_cache = false;
        verify_set_params(t.verify, &t.params);
        t.asking++;
        task_start(t.loop, ask_main, &t.heard[0]);
        await_turn();
        await_turn();
        answer(VERIFY_UNDELIVERABLE, "550 no");
        while (t.asking)
                await_turn();
        must_be(t.heard[0], VERIFY_UNDELIVERABLE, "550 no"); /* who waited hears of it */
        must_be(await_ask("a@b.test", 0), VERIFY_PENDING, "Address verification in progress");
        struct verify_counts counts;
        verify_count(t.verify, &counts);
        assert_int_equal(counts.entries, 0);
        assert_int_equal(counts.probes, 1);
}

static void without_a_negative_cache_refusals_are_asked_again(void **state)
{
        run(await_negative);
}

/* ---- the ceiling ---- */

static void the_refused_are_forgotten_first(void **state)
{
        struct verify_cache c;
        char address[32];
        verify_cache_init(&c, 100);
        for (int i = 0; i < 60; i++) {
                snprintf(address, sizeof(address), "good%d@b.test", i);
                verify_cache_put(&c, str_from(address), VERIFY_DELIVERABLE, STR("ok"), 1);
        }
        for (int i = 0; i < 100000; i++) {
                snprintf(address, sizeof(address), "bad%d@b.test", i);
                verify_cache_put(&c, str_from(address), VERIFY_UNDELIVERABLE, STR("no"), 1);
                assert_true(c.entries.count <= 100);
        }
        assert_non_null(verify_cache_find(&c, STR("good0@b.test")));
        assert_non_null(verify_cache_find(&c, STR("bad99999@b.test")));
        assert_null(verify_cache_find(&c, STR("bad99959@b.test")));
        /* of the good ones the one that nobody has asked for the longest */
        for (int i = 100; i < 141; i++) {
                snprintf(address, sizeof(address), "good%d@b.test", i);
                verify_cache_put(&c, str_from(address), VERIFY_DELIVERABLE, STR("ok"), 1);
        }
        assert_non_null(verify_cache_find(&c, STR("good0@b.test")));
        assert_null(verify_cache_find(&c, STR("good1@b.test")));
        verify_cache_set_max(&c, 10);
        assert_int_equal(c.entries.count, 10);
        verify_cache_done(&c);
}

static void count_visit(void *context, const struct verify_entry *e)
{
        (*(size_t *)context)++;
}

static void a_round_visits_each_once(void **state)
{
        struct verify_cache c;
        char address[32];
        size_t visited = 0;
        verify_cache_init(&c, 1000);
        for (int i = 0; i < 100; i++) {
                snprintf(address, sizeof(address), "u%d@b.test", i);
                verify_cache_put(&c, str_from(address), VERIFY_DELIVERABLE, STR("ok"), 1);
        }
        verify_cache_begin_round(&c);
        assert_true(verify_cache_each_part(&c, 30, count_visit, &visited));
        verify_cache_put(&c, STR("new@b.test"), VERIFY_DELIVERABLE, STR("ok"), 1);
        verify_cache_remove(&c, verify_cache_find(&c, STR("u90@b.test")));
        verify_cache_remove(&c, verify_cache_find(&c, STR("u10@b.test")));
        while (verify_cache_each_part(&c, 30, count_visit, &visited))
                ;
        assert_int_equal(visited, 99);
        verify_cache_done(&c);
}

/* ---- the file ---- */

static void lines_are_read_as_written(void **state)
{
        struct buf out;
        struct verify_cache c;
        struct verify_line l;
        buf_init(&out, 8192);
        verify_cache_init(&c, 10);
        verify_line_put(&out, verify_cache_put(&c, STR("a b@c.test"), VERIFY_UNDELIVERABLE,
                                               STR("550 a\tb\r\nc"), 1234));
        assert_str_equal(buf_str(&out), "refused\t1234\ta b@c.test\t550 a b  c\n");
        struct str line = buf_str(&out);
        line.len--;
        assert_true(verify_line_read(line, &l));
        assert_int_equal(l.status, VERIFY_UNDELIVERABLE);
        assert_int_equal(l.updated_s, 1234);
        assert_str_equal(l.address, "a b@c.test");
        assert_str_equal(l.text, "550 a b  c");
        /* what would break a line has none */
        buf_clear(&out);
        assert_true(verify_line_put(
                &out, verify_cache_put(&c, STR("a\nb@c.test"), VERIFY_DELIVERABLE, STR(""), 1)));
        assert_int_equal(out.len, 0);
        struct buf small;
        buf_init(&small, 100);
        assert_false(verify_line_put(&small, verify_cache_find(&c, STR("a b@c.test"))));
        buf_done(&small);
        static const char *const bad[] = {"",
                                          "ok",
                                          "ok\t1",
                                          "ok\t1\t",
                                          "\t\t\t",
                                          "ok\tx\ta\tb",
                                          "good\t1\ta\tb",
                                          "ok\t-1\ta\tb",
                                          "ok\t1\t\tb",
                                          "ok\t1\ta\x01\tb"};
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                assert_false(verify_line_read(str_from(bad[i]), &l));
        buf_done(&out);
        verify_cache_done(&c);
}

static void await_file(void)
{
        char dir[] = "/tmp/verify-test-XXXXXX";
        char path[64];
        struct why why;
        struct verify_counts counts;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/cache", dir);
        assert_int_equal(verify_open(t.verify, path, &why), 0);
        await_ask("good@b.test", 0);
        answer(VERIFY_DELIVERABLE, "250 ok");
        await_ask("bad@b.test", 0);
        answer(VERIFY_UNDELIVERABLE, "550 no");
        assert_int_equal(verify_write(t.verify, &why), 0);
        await_ask("late@b.test", 0);
        answer(VERIFY_DELIVERABLE, "250 late");
        assert_int_equal(verify_write(t.verify, &why), 0);
        /* a crash in the middle of a line */
        FILE *file = fopen(path, "a");
        fputs("ok\t123456", file);
        fclose(file);

        for (int turn = 0; turn < 2;
             turn++) { /* and once more, from the file that was written anew */
                verify_serve(t.verify, t.loop, NULL, NULL);
                verify_free(&t.verify);
                t.verify = verify_new(&t.params);
                verify_serve(t.verify, t.loop, start, NULL);
                assert_int_equal(verify_open(t.verify, path, &why), 0);
                verify_count(t.verify, &counts);
                assert_int_equal(counts.entries, 3);
                must_be(await_ask("good@b.test", 0), VERIFY_DELIVERABLE, "250 ok");
                must_be(await_ask("bad@b.test", 0), VERIFY_UNDELIVERABLE, "550 no");
                must_be(await_ask("late@b.test", 0), VERIFY_DELIVERABLE, "250 late");
                assert_int_equal(verify_write(t.verify, &why), 0);
        }

        /* a directory that is gone: told, and tried again */
        unlink(path);
        rmdir(dir);
        await_ask("more@b.test", 0);
        answer(VERIFY_DELIVERABLE, "250 more");
        assert_true(verify_write(t.verify, &why) < 0);
        assert_true(str_find_str(str_from(why.text), STR("cannot open")) >= 0);
        assert_true(verify_write(t.verify, &why) < 0);
}

static void what_is_known_outlives_a_restart(void **state)
{
        run(await_file);
}

/* ---- the sender ---- */

static bool is_sender(const char *address, int64_t now_s)
{
        struct smtp_address a;
        assert_int_equal(smtp_address_parse(str_from(address), &t.arena, &a), 0);
        return verify_sender_is(&t.params, now_s, &a);
}

static void the_sender_is_made_of_its_parameters(void **state)
{
        assert_str_equal(verify_sender(&t.params, 1000, &t.arena), "double-bounce@relay.test");
        assert_true(is_sender("Double-Bounce@RELAY.test", 1000));
        assert_false(is_sender("double-bounce1@relay.test", 1000));
        assert_false(is_sender("double-bounce@other.test", 1000));
        assert_false(is_sender("double-bounc@relay.test", 1000));
        assert_false(is_sender("<>", 1000));

        t.params.address_verify_sender = STR("probe@edge.test");
        t.params.address_verify_sender_ttl = 3600 * 1000;
        assert_str_equal(verify_sender(&t.params, 3600 * 30, &t.arena), "probeZ@edge.test");
        assert_str_equal(verify_sender(&t.params, 3600 * 31, &t.arena), "probe10@edge.test");
        assert_false(is_sender("probe@edge.test", 3600 * 31));
        assert_true(is_sender("probe10@edge.test", 3600 * 31));
        assert_true(is_sender("probez@edge.test", 3600 * 31));
        assert_true(is_sender("probe11@edge.test", 3600 * 31));
        assert_false(is_sender("probe12@edge.test", 3600 * 31));
        assert_false(is_sender("probeY@edge.test", 3600 * 31));

        t.params.address_verify_sender = STR("<>");
        assert_str_equal(verify_sender(&t.params, 1000, &t.arena), "");
        assert_false(is_sender("<>", 1000));
        t.params.address_verify_sender = STR("");
        assert_str_equal(verify_sender(&t.params, 1000, &t.arena), "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(an_answer_comes_later),
                TEST(all_who_wait_are_woken),
                TEST(who_waits_too_long_comes_again),
                TEST(a_probe_that_was_stopped_is_not_remembered),
                TEST(probes_have_a_limit),
                TEST(addresses_and_texts_have_a_limit),
                TEST(without_a_server_nobody_waits),
                TEST(each_kind_has_its_time),
                TEST(a_failure_takes_no_good_name),
                TEST(without_a_negative_cache_refusals_are_asked_again),
                TEST(the_refused_are_forgotten_first),
                TEST(a_round_visits_each_once),
                TEST(lines_are_read_as_written),
                TEST(what_is_known_outlives_a_restart),
                TEST(the_sender_is_made_of_its_parameters),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
