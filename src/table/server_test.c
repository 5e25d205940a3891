/* server_test.c - a table that a server keeps: what is believed, what is asked, what is said when it is down */
#include "table/server.h"

#include "base/clock.h"
#include "loop/pool.h"
#include "loop/task.h"
#include "table/answer_cache.h"
#include "table/table_unit.h"

#include <stdatomic.h>

enum { TTL_MS = 1500, OLD_US = (TTL_MS + 20) * 1000 };

/* A server that is in this process. */
struct fake {
        atomic_int asked;
        _Atomic enum server_outcome outcome;
        atomic_int delay_ms;
        bool is_freed;
};

static struct fake fake;

static void fake_ask(void *backend, struct str key, int64_t deadline_ms, struct server_reply *reply)
{
        struct fake *f = backend;
        atomic_fetch_add(&f->asked, 1);
        if (f->delay_ms)
                usleep((unsigned)f->delay_ms * 1000);
        reply->outcome = f->outcome;
        reply->is_found = f->outcome == SERVER_ANSWERED && !str_starts(key, STR("no"));
        if (reply->is_found)
                buf_printf(&reply->value, "<%.*s>", STR_ARG(key));
        why_set(&reply->why, 0, "it is down");
}

static bool fake_wants(const void *backend, struct str key)
{
        return !str_starts(key, STR("odd"));
}

static void fake_free(void *backend)
{
        struct fake *f = backend;
        f->is_freed = true;
}

static const struct server_kind kind = {
        .is_blocking = true, .await_wants = fake_wants, .ask = fake_ask, .free = fake_free};

struct rig {
        struct bench b;
        struct config *config;
        void *contents;
};

static void rig_init(struct rig *r)
{
        fake = (struct fake){.outcome = SERVER_ANSWERED};
        bench_init(&r->b);
        bench_write(&r->b, "main.cf", "compatibility_level = 3.6\n");
        r->config = config_load(r->b.dir, NULL, &r->b.findings);
        assert_non_null(r->config);
        r->config->params.table_timeout = 300;
        r->config->params.table_cache_ttl = TTL_MS;
        r->config->params.table_cache_negative_ttl = TTL_MS;
        r->config->params.table_cache_stale_time = 100000;
        table_set_use_config(r->b.set, r->config);
        struct table_text text = {
                .set = r->b.set, .type = &table_type_socketmap, .name = STR("fake")};
        r->contents = server_new(&text, &kind, &fake, STR("definition"));
}

static void rig_done(struct rig *r)
{
        server_free(r->contents);
        assert_true(fake.is_freed);
        config_unref(&r->config);
        bench_done(&r->b);
}

/* "!": cannot be asked, "-": none */
static const char *find(struct rig *r, const char *key)
{
        struct str value = STR("");
        struct table_query query = {
                .key = str_from(key), .arena = &r->b.arena, .value = &value, .why = &r->b.why};
        switch (await_server_find(r->contents, &query)) {
        case TABLE_FOUND:
                return arena_str(&r->b.arena, value).ptr;
        case TABLE_NOT_FOUND:
                return "-";
        default:
                return "!";
        }
}

static void answers_are_believed_for_a_while(void **state)
{
        struct rig r;
        rig_init(&r);
        assert_string_equal(find(&r, "a"), "<a>");
        assert_string_equal(find(&r, "none"), "-");
        assert_string_equal(find(&r, "a"), "<a>");
        assert_string_equal(find(&r, "none"), "-");
        assert_int_equal(fake.asked, 2);
        usleep(OLD_US);
        assert_string_equal(find(&r, "a"), "<a>");
        assert_string_equal(find(&r, "none"), "-");
        assert_int_equal(fake.asked, 4);
        assert_string_equal(find(&r, "odd"), "-");
        assert_string_equal(find(&r, ""), "-");
        char large[1200];
        memset(large, 'x', sizeof(large));
        large[sizeof(large) - 1] = '\0';
        assert_string_equal(find(&r, large), "-");
        assert_int_equal(fake.asked, 4);
        rig_done(&r);
}

static void when_it_is_down_only_what_was_found_counts(void **state)
{
        struct rig r;
        rig_init(&r);
        assert_string_equal(find(&r, "a"), "<a>");
        assert_string_equal(find(&r, "none"), "-");
        usleep(OLD_US);
        fake.outcome = SERVER_DOWN;
        assert_string_equal(find(&r, "a"), "<a>");
        assert_int_equal(fake.asked, 3);
        /* that there is none is not said of old */
        assert_string_equal(find(&r, "none"), "!");
        assert_string_equal(find(&r, "other"), "!");
        assert_int_equal(fake.asked, 3); /* the pause has begun */
        assert_string_equal(find(&r, "a"), "<a>");
        fake.outcome = SERVER_ANSWERED;
        assert_string_equal(find(&r, "other"), "!");
        usleep(1100000);
        assert_string_equal(find(&r, "other"), "<other>");
        assert_string_equal(find(&r, "none"), "-");
        assert_int_equal(fake.asked, 5);
        rig_done(&r);
}

static void a_refusal_stops_nothing(void **state)
{
        struct rig r;
        rig_init(&r);
        fake.outcome = SERVER_REFUSED;
        for (int i = 0; i < 10; i++)
                assert_string_equal(find(&r, "a"), "!");
        assert_int_equal(fake.asked, 10);
        bench_why_has(&r.b, "it is down");
        usleep(2000);
        /* nobody has been answered since it was asked: it is not this question alone */
        fake.outcome = SERVER_FAILED;
        for (int i = 0; i < 10; i++)
                assert_string_equal(find(&r, "b"), "!");
        assert_int_equal(fake.asked, 11);
        rig_done(&r);
}

static void without_a_cache_all_is_asked(void **state)
{
        struct rig r;
        rig_init(&r);
        server_free(r.contents);
        fake.is_freed = false;
        r.config->params.table_cache_size = 0;
        struct table_text text = {
                .set = r.b.set, .type = &table_type_socketmap, .name = STR("fake")};
        r.contents = server_new(&text, &kind, &fake, STR("definition"));
        for (int i = 0; i < 5; i++)
                assert_string_equal(find(&r, "a"), "<a>");
        assert_int_equal(fake.asked, 5);
        rig_done(&r);
}

/* What a reload does: the new one is opened before the old one is freed. */
static void open_anew(struct rig *r, struct str definition)
{
        struct table_text text = {
                .set = r->b.set, .type = &table_type_socketmap, .name = STR("fake")};
        void *before = r->contents;
        r->contents = server_new(&text, &kind, &fake, definition);
        server_free(before);
        assert_true(fake.is_freed);
        fake.is_freed = false;
}

static void what_was_said_outlives_a_reload(void **state)
{
        struct rig r;
        rig_init(&r);
        r.config->params.table_cache_ttl = 100000;
        open_anew(&r, STR("definition"));
        assert_string_equal(find(&r, "a"), "<a>");
        assert_int_equal(fake.asked, 1);
        open_anew(&r, STR("definition"));
        assert_string_equal(find(&r, "a"), "<a>");
        assert_int_equal(fake.asked, 1);
        /* so does that it is down: nobody asks it anew */
        fake.outcome = SERVER_DOWN;
        assert_string_equal(find(&r, "other"), "!");
        assert_int_equal(fake.asked, 2);
        open_anew(&r, STR("definition"));
        assert_string_equal(find(&r, "other"), "!");
        assert_string_equal(find(&r, "a"), "<a>");
        assert_int_equal(fake.asked, 2);
        struct table_figures figures = {0};
        server_figures(r.contents, &figures);
        assert_true(figures.is_paused);
        rig_done(&r);
}

static void another_definition_knows_nothing(void **state)
{
        struct rig r;
        rig_init(&r);
        r.config->params.table_cache_ttl = 100000;
        open_anew(&r, STR("definition"));
        assert_string_equal(find(&r, "a"), "<a>");
        open_anew(&r, STR("definition of another"));
        assert_string_equal(find(&r, "a"), "<a>");
        assert_int_equal(fake.asked, 2);
        fake.outcome = SERVER_DOWN;
        assert_string_equal(find(&r, "b"), "!");
        open_anew(&r, STR("definition"));
        assert_string_equal(find(&r, "a"), "!"); /* nobody had it open meanwhile */
        r.config->params.table_timeout++;        /* also: other limits */
        fake.outcome = SERVER_ANSWERED;
        open_anew(&r, STR("definition"));
        assert_string_equal(find(&r, "a"), "<a>");
        assert_int_equal(fake.asked, 5);
        rig_done(&r);
}

/* ---- in tasks ---- */
enum { TASKS = 20 };
struct crowd {
        struct rig r;
        struct loop *loop;
        const char *key[TASKS];
        const char *said[TASKS];
        int64_t took_ms[TASKS];
        int started;
        int left;
};

static void await_one(void *arg)
{
        struct crowd *c = arg;
        int i = c->started++;
        int64_t start = clock_mono_ms();
        c->said[i] = find(&c->r, c->key[i]);
        c->took_ms[i] = clock_mono_ms() - start;
        if (--c->left == 0) {
                await_tables_idle();
                loop_stop(c->loop);
        }
}

static void run(struct crowd *c, const char *(*key)(int))
{
        struct why why;
        c->loop = loop_new(&why);
        assert_non_null(c->loop);
        assert_int_equal(pool_start(4, &why), 0);
        c->left = TASKS;
        c->started = 0;
        for (int i = 0; i < TASKS; i++) {
                c->key[i] = key(i);
                task_start(c->loop, await_one, c);
        }
        loop_run(c->loop);
        pool_stop();
        loop_free(&c->loop);
}

static const char *same_key(int i)
{
        return "a";
}

static const char *own_key(int i)
{
        static char keys[TASKS][8];
        snprintf(keys[i], sizeof(keys[i]), "k%d", i);
        return keys[i];
}

static void who_asks_the_same_waits_for_one_answer(void **state)
{
        static struct crowd c;
        rig_init(&c.r);
        fake.delay_ms = 30;
        run(&c, same_key);
        for (int i = 0; i < TASKS; i++)
                assert_string_equal(c.said[i], "<a>");
        assert_int_equal(fake.asked, 1);
        rig_done(&c.r);
}

static void nobody_waits_longer_than_the_time_limit(void **state)
{
        static struct crowd c;
        rig_init(&c.r);
        fake.delay_ms = 3000; /* a library that is stuck */
        run(&c, own_key);
        for (int i = 0; i < TASKS; i++) {
                assert_string_equal(c.said[i], "!");
                assert_in_range(c.took_ms[i], 200, 2900);
        }
        rig_done(&c.r);
}

/* ---- the cache ---- */
static void the_cache_has_a_ceiling(void **state)
{
        struct answer_cache cache;
        struct arena arena;
        struct str value;
        char key[20];
        arena_init(&arena, 0);
        answer_cache_init(&cache, 20000, (struct answer_cache_times){1000, 500, 5000});
        for (int i = 0; i < 10000; i++) {
                snprintf(key, sizeof(key), "key%d", i);
                answer_cache_put(&cache, str_from(key), true, STR("value"), 0);
                assert_true(cache.bytes <= 20000);
                /* what is used stays */
                answer_cache_find(&cache, STR("key0"), 0, &arena, &value);
        }
        assert_int_equal(answer_cache_find(&cache, STR("key9999"), 0, &arena, &value),
                         ANSWER_FOUND);
        assert_int_equal(answer_cache_find(&cache, STR("key0"), 0, &arena, &value), ANSWER_FOUND);
        assert_int_equal(answer_cache_find(&cache, STR("key1"), 0, &arena, &value), ANSWER_UNKNOWN);
        assert_int_equal(answer_cache_find(&cache, STR("key0"), 1000, &arena, &value),
                         ANSWER_STALE);
        assert_int_equal(answer_cache_find(&cache, STR("key0"), 6000, &arena, &value),
                         ANSWER_UNKNOWN);
        char large[6000];
        memset(large, 'v', sizeof(large));
        answer_cache_put(&cache, STR("key0"), true, str_make(large, sizeof(large)), 0);
        assert_int_equal(answer_cache_find(&cache, STR("key0"), 0, &arena, &value), ANSWER_UNKNOWN);
        answer_cache_put(&cache, STR("n"), false, STR(""), 0);
        assert_int_equal(answer_cache_find(&cache, STR("n"), 499, &arena, &value),
                         ANSWER_NOT_FOUND);
        assert_int_equal(answer_cache_find(&cache, STR("n"), 500, &arena, &value), ANSWER_UNKNOWN);
        answer_cache_done(&cache);
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_are_believed_for_a_while),
                cmocka_unit_test(when_it_is_down_only_what_was_found_counts),
                cmocka_unit_test(a_refusal_stops_nothing),
                cmocka_unit_test(without_a_cache_all_is_asked),
                cmocka_unit_test(what_was_said_outlives_a_reload),
                cmocka_unit_test(another_definition_knows_nothing),
                cmocka_unit_test(who_asks_the_same_waits_for_one_answer),
                cmocka_unit_test(nobody_waits_longer_than_the_time_limit),
                cmocka_unit_test(the_cache_has_a_ceiling),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
