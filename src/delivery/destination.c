/*
 * destination.c - a queue and a window for each transport and next hop
 *
 * The window is Postfix's (qmgr(8), SCHEDULER_README): it begins at initial_destination_concurrency, grows by the
 * positive feedback of each success up to the limit, but never far beyond what is really under way, and
 * shrinks by the negative feedback of each failure. When the failures of a row add up to
 * failed_cohort_limit windows, the destination rests: what is queued, and what comes meanwhile, is deferred at
 * once. After the rest one job tries it alone.
 *
 * A failure is a session that could not be held, not a refusal: whoever talks is alive.
 *
 * A job goes to the worker that was used last, so that surplus connections run out of time. When a transport
 * has no worker to spare (its lane is full) the destination waits in line for one.
 */
#include "base/check.h"
#include "base/clock.h"
#include "delivery/delivery_private.h"

enum {
        LANE_WORKERS_MAX = 1000, /* of a transport without a maxproc of its own, for each loop */
        SWEEP_MS = 30 * 1000,
        REASON_BYTES_MAX = 8192,
        JOBS_LEAST_MAX = 100, /* what every destination may queue, whatever the limits are */
        EARLY_MS = 5000,
};

static double share(const struct delivery *d, int64_t limit)
{
        int64_t part = limit / (int64_t)d->loop_count;
        return (double)(part > 1 ? part : 1);
}

/* Between deliveries to this destination, or over its transport, there is a pause. */
static bool has_pauses(const struct destination *dest)
{
        return dest->transport->destination_pause_ms > 0 || dest->transport->transport_pause_ms > 0;
}

static double window_max(const struct destination *dest)
{
        if (has_pauses(dest))
                return 1;
        int64_t limit = dest->transport->concurrency_limit;
        return limit ? share(dest->delivery, limit) : LANE_WORKERS_MAX;
}

static double window_initial(const struct destination *dest)
{
        double initial = share(dest->delivery, dest->transport->concurrency_initial);
        double max = window_max(dest);
        return initial < max ? initial : max;
}

static void pause_is_over(struct timer *t);
static size_t jobs_max(const struct destination *dest);

/* ---- birth and death ---- */

static struct lane *lane_find(struct delivery *d, const struct transport *t)
{
        struct lane *lane = map_find(&d->lanes, t->name);
        if (!lane) {
                lane = calloc(1, sizeof(*lane));
                check(lane);
                list_init(&lane->starved);
                list_init(&lane->idle);
                map_put(&d->lanes, t->name, lane);
        }
        lane->worker_max = t->process_limit ? (size_t)share(d, t->process_limit) : LANE_WORKERS_MAX;
        return lane;
}

static void use_routes(struct destination *dest, struct routes *routes, const struct transport *t)
{
        struct routes *old = dest->routes;
        dest->routes = routes_ref(routes);
        dest->transport = t;
        dest->lane = lane_find(dest->delivery, t);
        if (dest->window > window_max(dest))
                dest->window = window_max(dest);
        routes_unref(&old);
}

static struct destination *destination_new(struct delivery *d, struct str key)
{
        struct destination *dest = calloc(1, sizeof(*dest));
        char *copy = malloc(key.len);
        check(dest && copy);
        memcpy(copy, key.ptr, key.len);
        dest->key = str_make(copy, key.len);
        dest->delivery = d;
        turns_init(&dest->jobs);
        dest->pause.due = pause_is_over;
        list_init(&dest->idle);
        list_init(&dest->starved);
        buf_init(&dest->text, REASON_BYTES_MAX);
        buf_init(&dest->public, REASON_BYTES_MAX);
        revival_init(dest);
        map_put(&d->destinations, dest->key, dest);
        return dest;
}

struct destination *destination_find(struct delivery *d, struct routes *routes,
                                     const struct route *route)
{
        struct buf *key = &d->key;
        buf_clear(key);
        buf_append_str(key, route->transport->name);
        buf_append_char(key, ' ');
        buf_append_str(key, str_part(route->nexthop, 0, DESTINATION_KEY_BYTES_MAX / 2));
        struct destination *dest = map_find(&d->destinations, buf_str(key));
        bool is_new = !dest;
        if (is_new)
                dest = destination_new(d, buf_str(key));
        if (dest->routes != routes)
                use_routes(dest, routes, route->transport);
        if (is_new)
                dest->window = window_initial(dest);
        return dest;
}

static void destination_free(struct destination *dest)
{
        map_remove(&dest->delivery->destinations, dest->key);
        list_remove(&dest->starved);
        revival_free(dest);
        loop_timer_cancel(dest->delivery->loop, &dest->pause);
        turns_done(&dest->jobs);
        routes_unref(&dest->routes);
        buf_done(&dest->text);
        buf_done(&dest->public);
        free((char *)(uintptr_t)dest->key.ptr);
        free(dest);
}

void destination_let_go(struct destination *dest)
{
        if (dest->jobs.count || dest->worker_count || dest->rest_ms)
                return;
        if (revival_has_parked(dest) && !dest->delivery->is_stopping) {
                revival_unpark(dest, jobs_max(dest) / 4 + 1);
                return;
        }
        if (dest->probe.item.at && !dest->delivery->is_stopping)
                return;
        destination_free(dest);
}

/* One that failed is remembered for as long again as it rested. */
void destination_sweep(struct delivery *d)
{
        struct arena arena;
        arena_init(&arena, 0);
        struct destination **old = arena_array(&arena, struct destination *, d->destinations.count);
        size_t count = 0;
        size_t resting = 0;
        int64_t now_ms = loop_now_ms();
        const struct map_slot *slot;
        for (size_t i = 0; (slot = map_next(&d->destinations, &i));) {
                struct destination *dest = slot->value;
                if (revival_has_parked(dest) && !dest->jobs.count && !dest->worker_count) {
                        revival_unpark(dest, jobs_max(dest) / 4 + 1);
                        resting++;
                }
                if (!dest->rest_ms || dest->jobs.count || dest->worker_count || dest->probe.item.at)
                        continue;
                if (now_ms >= dest->rests_until_ms + dest->rest_ms)
                        old[count++] = dest;
                else
                        resting++;
        }
        for (size_t i = 0; i < count; i++)
                destination_free(old[i]);
        arena_done(&arena);
        if (resting && !d->is_stopping)
                loop_timer_set(d->loop, &d->sweep, now_ms + SWEEP_MS);
}

/* ---- the queue ---- */

/* How many jobs may be queued: a quarter of what may be under way, for all who have a queue together. */
static size_t jobs_max(const struct destination *dest)
{
        const struct delivery *d = dest->delivery;
        size_t all =
                (size_t)share(d, routes_config(dest->routes)->params.qmgr_message_active_limit);
        size_t queues = d->destinations.count ? d->destinations.count : 1;
        size_t part = all / 4 / queues;
        size_t least = 2 * (size_t)window_max(dest);
        if (least > JOBS_LEAST_MAX)
                least = JOBS_LEAST_MAX;
        return part > least ? part : least;
}

static bool has_room(const struct destination *dest)
{
        return (double)dest->busy_count + 1 <= dest->window ||
               (dest->busy_count == 0 && dest->window > 0);
}

/* ---- pauses ---- */

static int64_t book(const struct destination *dest, int64_t now_ms)
{
        const struct transport *t = dest->transport;
        int64_t first = now_ms;
        int64_t second = now_ms;
        if (t->destination_pause_ms > 0)
                first = pause_book(dest->key, t->destination_pause_ms, now_ms);
        if (t->transport_pause_ms > 0)
                second = pause_book(t->name, t->transport_pause_ms, now_ms);
        return first > second ? first : second;
}

/* May the next delivery begin? Else it is called when it may. */
static bool pause_allows(struct destination *dest)
{
        if (!has_pauses(dest))
                return true;
        int64_t now_ms = clock_mono_ms();
        if (!dest->may_begin_ms)
                dest->may_begin_ms = book(dest, now_ms);
        if (dest->may_begin_ms <= now_ms)
                return true;
        loop_timer_set(dest->delivery->loop, &dest->pause, dest->may_begin_ms);
        return false;
}

static struct delivery_job *take(struct destination *dest)
{
        struct delivery_job *job = turns_take(&dest->jobs);
        dest->may_begin_ms = 0;
        if (revival_has_parked(dest) && dest->jobs.count < jobs_max(dest) / 2)
                revival_unpark(dest, jobs_max(dest) / 4 + 1);
        return job;
}

void destination_job_ended(struct destination *dest)
{
        const struct transport *t = dest->transport;
        int64_t now_ms = clock_mono_ms();
        dest->busy_count--;
        if (t->destination_pause_ms > 0)
                pause_ended(dest->key, t->destination_pause_ms, now_ms);
        if (t->transport_pause_ms > 0)
                pause_ended(t->name, t->transport_pause_ms, now_ms);
}

/* True when a worker may be started; else the destination stands in line for one. */
static bool lane_has_room(struct destination *dest)
{
        struct lane *lane = dest->lane;
        if (lane->worker_count < lane->worker_max)
                return true;
        if (list_is_empty(&dest->starved))
                list_add_last(&lane->starved, &dest->starved);
        if (!list_is_empty(&lane->idle)) /* somebody keeps a connection that nobody uses */
                worker_resume(list_of(lane->idle.next, struct worker, lane_idle), NULL);
        return false;
}

static void kick(struct destination *dest)
{
        while (dest->jobs.count && has_room(dest) && pause_allows(dest)) {
                if (!list_is_empty(&dest->idle)) {
                        struct worker *w = list_of(dest->idle.next, struct worker, idle);
                        dest->busy_count++;
                        worker_resume(w, take(dest));
                } else if (lane_has_room(dest)) {
                        dest->busy_count++;
                        worker_start(dest, take(dest));
                } else {
                        return;
                }
        }
}

static void pause_is_over(struct timer *t)
{
        kick(heap_of(t, struct destination, pause));
}

void lane_serve_starved(struct lane *lane)
{
        while (lane->worker_count < lane->worker_max && !list_is_empty(&lane->starved)) {
                struct destination *dest = list_of(lane->starved.next, struct destination, starved);
                list_remove(&dest->starved);
                kick(dest);
        }
}

static void defer_at_once(struct destination *dest, struct delivery_job *job)
{
        struct delivery_result result = {
                .status = DELIVERY_DEFERRED,
                .dsn = dest->dsn,
                .relay = STR("none"),
                .text = arena_printf(job->arena, "delivery temporarily suspended: %.*s",
                                     STR_ARG(buf_str(&dest->text))),
                .public = buf_str(&dest->public),
        };
        job->begun_us = job->ready_us = clock_mono_us();
        revival_note(dest, job->message);
        attempt_job_result_all(job, &result);
        attempt_job_done(job);
}

/*
 * While a destination rests, whoever is not known is turned away (450): so a probe may try it every few seconds, long
 * before the rest is over.
 */
static bool may_try_early(const struct destination *dest, const struct delivery_job *job)
{
        return job->probe && dest->busy_count == 0 && loop_now_ms() - dest->rested_ms >= EARLY_MS;
}

void destination_push(struct destination *dest, struct delivery_job *job)
{
        if (dest->delivery->is_stopping) {
                attempt_job_drop(job);
                return;
        }
        if (dest->window == 0) {
                bool is_early = dest->rests_until_ms > loop_now_ms();
                if (is_early && !may_try_early(dest, job)) {
                        defer_at_once(dest, job);
                        return;
                }
                dest->is_tried_early = is_early;
                dest->window = 1; /* let one try */
                dest->success = dest->failure = dest->failed_cohorts = 0;
        }
        if (!job->probe && !turns_has_room(&dest->jobs, job, jobs_max(dest)) &&
            revival_park(dest, job->message)) {
                struct delivery *d = dest->delivery;
                if (!d->sweep.item.at)
                        loop_timer_set(d->loop, &d->sweep, loop_now_ms() + SWEEP_MS);
                attempt_job_park(job);
                return;
        }
        turns_add(&dest->jobs, job);
        kick(dest);
}

struct delivery_job *destination_take(struct destination *dest)
{
        if (!dest->jobs.count || !has_room(dest) || !pause_allows(dest))
                return NULL;
        dest->busy_count++;
        return take(dest);
}

void destination_drain(struct destination *dest)
{
        while (dest->jobs.count)
                attempt_job_drop(turns_take(&dest->jobs));
        list_remove(&dest->starved);
}

/* ---- the window ---- */

void destination_succeeded(struct destination *dest)
{
        dest->rest_ms = 0;
        dest->failed_cohorts = 0;
        revival_tell(dest);
        if (revival_has_parked(dest) && !dest->jobs.count)
                revival_unpark(dest, jobs_max(dest) / 4 + 1);
        double max = window_max(dest);
        double reach = (double)dest->busy_count + window_initial(dest);
        if (dest->window == 0)
                dest->window = 1; /* it rested, and a job from before got through */
        if (dest->window < max && dest->window < reach) {
                dest->success += feedback_amount(&dest->transport->positive, dest->window);
                while (dest->success >= 1 && dest->window < max) {
                        dest->window += 1;
                        dest->success -= 1;
                        dest->failure = 0;
                }
        }
        kick(dest);
}

static void rest(struct destination *dest, const char *dsn, struct str text, struct str public)
{
        struct delivery *d = dest->delivery;
        dest->window = 0;
        if (!dest->is_tried_early || !dest->rest_ms)
                dest->rest_ms = backoff_rest_ms(dest->rest_ms,
                                                dest->transport->params->minimal_backoff_time);
        dest->is_tried_early = false;
        dest->rested_ms = loop_now_ms();
        dest->rests_until_ms = dest->rested_ms + dest->rest_ms;
        snprintf(dest->dsn, sizeof(dest->dsn), "%s", dsn);
        buf_clear(&dest->text);
        buf_append_str(&dest->text, str_part(text, 0, REASON_BYTES_MAX));
        buf_clear(&dest->public);
        buf_append_str(&dest->public, str_part(public, 0, REASON_BYTES_MAX));
        if (!d->sweep.item.at)
                loop_timer_set(d->loop, &d->sweep, loop_now_ms() + SWEEP_MS);
        while (dest->jobs.count)
                defer_at_once(dest, turns_take(&dest->jobs));
        list_remove(&dest->starved);
}

void destination_failed(struct destination *dest, const struct delivery_job *job, const char *dsn,
                        struct str text, struct str public)
{
        revival_note(dest, job->message);
        if (dest->window == 0)
                return; /* others have seen it before */
        double limit = (double)dest->transport->failed_cohort_limit;
        dest->failed_cohorts += 1 / dest->window;
        if (limit > 0 && dest->failed_cohorts >= limit - 1e-9) {
                rest(dest, dsn, text, public);
                return;
        }
        dest->failure += feedback_amount(&dest->transport->negative, dest->window);
        while (dest->failure >= 1) {
                if (dest->window > 1)
                        dest->window -= 1;
                dest->failure -= 1;
                dest->success = 0;
        }
}
