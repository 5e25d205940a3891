/*
 * server.c - asking a table that another program keeps
 *
 * A question on its way is a *flight*: a task of its own asks, so that the session that wants to know
 * can stop waiting at its deadline while a library is still stuck. Flights are a loop's own; others on
 * the loop who ask the same wait for the same flight.
 */
#include "table/server.h"

#include "base/check.h"
#include "base/clock.h"
#include "loop/pool.h"
#include "loop/task.h"
#include "table/server_memory.h"
#include "table/wire_table.h"

#include <errno.h>
#include <stdatomic.h>

enum {
        FLIGHTS_MAX = 500, /* of one loop; more wait in vain for a server that is as slow as that */
        GRACE_MS = 250,    /* for the flight to tell by itself that it was too slow */
        NAME_BYTES = 200,
};

struct server {
        atomic_uint refs;
        const struct server_kind *kind;
        void *backend;
        char name[NAME_BYTES]; /* for the log */
        int64_t timeout_ms;
        struct server_memory *memory;
        struct answer_cache *answers; /* its */
};

/* The contents of a table are const; what they point to is not. */
struct handle {
        struct server *server;
};

/* ---- life ---- */
static void server_unref(struct server *s)
{
        if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
                return;
        s->kind->free(s->backend);
        server_memory_unref(&s->memory);
        free(s);
}

void *server_new(const struct table_text *text, const struct server_kind *kind, void *backend,
                 struct str definition)
{
        struct server_memory_limits limits = {8 << 20, {60000, 10000, 3600000}, 5000};
        const struct config *c = table_set_config(text->set);
        struct handle *h = calloc(1, sizeof(*h));
        struct server *s = calloc(1, sizeof(*s));
        check(h && s);
        h->server = s;
        atomic_init(&s->refs, 1);
        s->kind = kind;
        s->backend = backend;
        if (c)
                limits = (struct server_memory_limits){
                        .cache_bytes_max = (size_t)c->params.table_cache_size,
                        .times = {c->params.table_cache_ttl, c->params.table_cache_negative_ttl,
                                  c->params.table_cache_stale_time},
                        .timeout_ms = c->params.table_timeout};
        s->timeout_ms = limits.timeout_ms;
        snprintf(s->name, sizeof(s->name), "%s:%.*s", text->type->name,
                 (int)(text->name.len > 150 ? 150 : text->name.len), text->name.ptr);
        s->memory = server_memory_get(str_from(s->name), definition, &limits);
        s->answers = server_memory_answers(s->memory);
        return h;
}

void server_free(void *contents)
{
        struct handle *h = contents;
        server_unref(h->server);
        free(h);
}

void server_tend(const void *contents)
{
        const struct handle *h = contents;
        if (h->server->kind->tend)
                h->server->kind->tend(h->server->backend);
}

void server_figures(const void *contents, struct table_figures *out)
{
        const struct handle *h = contents;
        out->has_server = true;
        out->is_paused = server_memory_is_paused(h->server->memory);
}

/* ---- one question ---- */
static void reply_init(struct server_reply *reply)
{
        *reply = (struct server_reply){.outcome = SERVER_FAILED};
        buf_init(&reply->value, SERVER_ANSWER_BYTES_MAX);
        why_set(&reply->why, 0, "no answer");
}

static void ask(struct server *s, struct str key, int64_t deadline_ms, struct server_reply *reply)
{
        if (clock_mono_ms() >= deadline_ms) {
                why_set(&reply->why, 0, "too many questions wait for an answer");
                reply->outcome = SERVER_BUSY;
                return;
        }
        s->kind->ask(s->backend, key, deadline_ms, reply);
}

static void learn(struct server *s, struct str key, int64_t asked_ms,
                  const struct server_reply *reply)
{
        server_memory_learn(s->memory, asked_ms, reply);
        if (reply->outcome == SERVER_ANSWERED)
                answer_cache_put(s->answers, key, reply->is_found, buf_str(&reply->value),
                                 clock_mono_ms());
}

/* ---- flights ---- */
struct flight {
        struct list link; /* in `flights`, while it is under way */
        struct list waiters;
        unsigned refs; /* its task, and who waits: all on one thread */
        bool is_done;
        struct server *server;
        int64_t deadline_ms;
        struct server_reply reply;
        size_t key_len;
        char key[];
};

struct waiter {
        struct list link;
        struct task *task;
};

/* Of this thread's loop. */
static __thread struct list flights;
static __thread size_t flight_count;
static __thread struct task *idle_waiter;

static void flight_unref(struct flight *f)
{
        if (--f->refs)
                return;
        buf_done(&f->reply.value);
        server_unref(f->server);
        free(f);
}

static struct str flight_key(const struct flight *f)
{
        return str_make(f->key, f->key_len);
}

static int ask_for_flight(void *arg)
{
        struct flight *f = arg;
        ask(f->server, flight_key(f), f->deadline_ms, &f->reply);
        return 0;
}

static void await_flight(void *arg)
{
        struct flight *f = arg;
        if (f->server->kind->is_blocking)
                await_pool_run_remote("asking", str_from(f->server->name), ask_for_flight, f);
        else
                ask_for_flight(f);
        learn(f->server, flight_key(f), f->deadline_ms - f->server->timeout_ms, &f->reply);
        f->is_done = true;
        list_remove(&f->link);
        flight_count--;
        list_each (w, &f->waiters)
                task_wake(list_of(w, struct waiter, link)->task);
        flight_unref(f);
        if (flight_count == 0 && idle_waiter)
                task_wake(idle_waiter);
}

static struct flight *flight_find(const struct server *s, struct str key)
{
        if (!flights.next)
                list_init(&flights);
        list_each (link, &flights) {
                struct flight *f = list_of(link, struct flight, link);
                if (f->server == s && str_eq(flight_key(f), key))
                        return f;
        }
        return NULL;
}

static struct flight *flight_start(struct server *s, struct str key)
{
        struct flight *f = malloc(sizeof(*f) + key.len);
        check(f);
        *f = (struct flight){.refs = 1,
                             .server = s,
                             .deadline_ms = clock_mono_ms() + s->timeout_ms,
                             .key_len = key.len};
        memcpy(f->key, key.ptr, key.len);
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
        reply_init(&f->reply);
        list_init(&f->waiters);
        list_add_last(&flights, &f->link);
        flight_count++;
        task_start(loop_self(), await_flight, f);
        return f;
}

/* ---- what is said in the end ---- */

/* The server cannot tell: what is left is what it said some time ago. */
static enum table_result without_server(struct server *s, const struct table_query *query,
                                        const char *reason)
{
        switch (answer_cache_find(s->answers, query->key, clock_mono_ms(), query->arena,
                                  query->value)) {
        case ANSWER_FOUND:
        case ANSWER_STALE:
                return TABLE_FOUND;
        case ANSWER_NOT_FOUND:
                return TABLE_NOT_FOUND;
        case ANSWER_UNKNOWN:
                break;
        }
        why_set(query->why, -EIO, "%s", reason);
        return TABLE_ERROR;
}

static enum table_result say(struct server *s, const struct table_query *query,
                             const struct server_reply *reply)
{
        if (reply->outcome != SERVER_ANSWERED)
                return without_server(s, query, reply->why.text);
        if (!reply->is_found)
                return TABLE_NOT_FOUND;
        *query->value = arena_str(query->arena, buf_str(&reply->value));
        return TABLE_FOUND;
}

static enum table_result await_ask(struct server *s, const struct table_query *query)
{
        struct flight *f = flight_find(s, query->key);
        if (!f && flight_count >= FLIGHTS_MAX)
                return without_server(s, query, "too many questions wait for an answer");
        if (!f)
                f = flight_start(s, query->key);
        struct waiter me = {.task = task_self()};
        f->refs++;
        list_add_last(&f->waiters, &me.link);
        int rc = 0;
        bool was_woken = false; /* a wake that was meant for the caller's next wait is passed on */
        while (!f->is_done && rc == 0) {
                rc = await_wake("asking", str_from(s->name), f->deadline_ms + GRACE_MS);
                was_woken = was_woken || (rc == 0 && !f->is_done);
        }
        list_remove(&me.link);
        if (was_woken)
                task_wake(me.task);
        enum table_result result =
                f->is_done ? say(s, query, &f->reply)
                           : without_server(s, query,
                                            rc == -ECANCELED ? "the session has ended"
                                                             : "no answer within table_timeout");
        flight_unref(f);
        return result;
}

/* ---- without a task ---- */
struct lone {
        struct loop *loop;
        struct server *server;
        struct str key;
        struct server_reply *reply;
};

static void await_lone(void *arg)
{
        struct lone *l = arg;
        ask(l->server, l->key, clock_mono_ms() + l->server->timeout_ms, l->reply);
        wire_table_close_idle();
        loop_stop(l->loop);
}

/* A loop for one question. */
static void ask_on_loop(struct server *s, struct str key, struct server_reply *reply)
{
        struct lone l = {.server = s, .key = key, .reply = reply};
        l.loop = loop_new(&reply->why);
        if (!l.loop)
                return;
        task_start(l.loop, await_lone, &l);
        loop_run(l.loop);
        loop_free(&l.loop);
}

static enum table_result ask_here(struct server *s, const struct table_query *query)
{
        struct server_reply reply;
        int64_t asked_ms = clock_mono_ms();
        check(!loop_self()); /* else it must be a task that asks */
        reply_init(&reply);
        if (s->kind->is_blocking)
                ask(s, query->key, clock_mono_ms() + s->timeout_ms, &reply);
        else
                ask_on_loop(s, query->key, &reply);
        learn(s, query->key, asked_ms, &reply);
        enum table_result result = say(s, query, &reply);
        buf_done(&reply.value);
        return result;
}

enum table_result await_server_find(const void *contents, const struct table_query *query)
{
        const struct handle *h = contents;
        struct server *s = h->server;
        if (query->key.len == 0 || query->key.len > TABLE_KEY_BYTES_MAX ||
            memchr(query->key.ptr, '\0', query->key.len) ||
            (s->kind->await_wants && !s->kind->await_wants(s->backend, query->key)))
                return TABLE_NOT_FOUND;
        int64_t now_ms = clock_mono_ms();
        switch (answer_cache_find(s->answers, query->key, now_ms, query->arena, query->value)) {
        case ANSWER_FOUND:
                return TABLE_FOUND;
        case ANSWER_NOT_FOUND:
                return TABLE_NOT_FOUND;
        case ANSWER_STALE:
        case ANSWER_UNKNOWN:
                break;
        }
        if (!server_memory_admits(s->memory, now_ms))
                return without_server(s, query, "it could not be asked a moment ago");
        return task_self() ? await_ask(s, query) : ask_here(s, query);
}

void await_tables_idle(void)
{
        idle_waiter = task_self();
        while (flight_count)
                await_wake_always("waiting for", STR("answers of tables"), CLOCK_NEVER);
        idle_waiter = NULL;
        wire_table_close_idle();
}
