/*
 * worker.c - a task that delivers one job after the other to one destination
 *
 * Between jobs it keeps its connection; with nothing to do it parks for smtp_connection_cache_time_limit, then
 * says QUIT and ends. Postfix's connection cache is a server of its own; here the connection waits in the
 * task that made it.
 */
#include "base/check.h"
#include "base/clock.h"
#include "delivery/delivery_private.h"

#include <errno.h>

enum { IDLE_MS_WITHOUT_CLIENT = 100 };

void worker_close_client(struct worker *w)
{
        client_close(&w->client);
        routes_unref(&w->client_routes);
}

static void run_job(struct worker *w)
{
        struct delivery_job *job = w->job;
        job->worker = w;
        job->begun_us = job->ready_us = clock_mono_us();
        delivery_agent *await_deliver = agent_find(job->route->transport->command);
        await_deliver(job);
        if (await_deliver != await_smtp_deliver) /* which tells it by itself */
                destination_succeeded(w->destination);
        w->job = NULL;
        destination_job_ended(w->destination);
        attempt_job_done(job);
}

static int64_t idle_ms(const struct worker *w)
{
        const struct destination *dest = w->destination;
        if (dest->delivery->is_stopping || !list_is_empty(&dest->lane->starved))
                return 0;
        return w->client ? dest->transport->params->smtp_connection_cache_time_limit
                         : IDLE_MS_WITHOUT_CLIENT;
}

/* Until there is a job; false when it is time to end. */
static bool await_job(struct worker *w)
{
        struct destination *dest = w->destination;
        int64_t wait_ms = idle_ms(w);
        if (wait_ms == 0)
                return false;
        int64_t deadline_ms = loop_now_ms() + wait_ms;
        list_add_first(&dest->idle, &w->idle);
        list_add_last(&dest->lane->idle, &w->lane_idle);
        int rc = 0;
        while (!w->job && !w->is_to_end && rc == 0)
                rc = await_wake("idle, connected to", dest->key, deadline_ms);
        list_remove(&w->idle);
        list_remove(&w->lane_idle);
        return w->job != NULL;
}

static void give_place(struct worker *w)
{
        struct destination *dest = w->destination;
        struct lane *lane = dest->lane;
        list_remove(&w->link);
        dest->worker_count--;
        lane->worker_count--;
        destination_let_go(dest);
        lane_serve_starved(lane);
}

static void worker_main(void *arg)
{
        struct worker *w = arg;
        struct delivery *d = w->destination->delivery;
        do {
                run_job(w);
                if (!w->is_to_end && !task_is_canceled(w->task))
                        w->job = destination_take(w->destination);
        } while (w->job || (!w->is_to_end && await_job(w)));
        worker_close_client(w);
        give_place(w);
        free(w);
        delivery_look_again(d);
}

static void view(const struct worker *w, struct delivery_view *v)
{
        const struct delivery_job *job = w->job;
        struct str nexthop = w->destination->key; /* "transport nexthop" */
        str_cut(&nexthop, ' ');
        *v = (struct delivery_view){.transport = w->destination->transport->name,
                                    .nexthop = nexthop,
                                    .waits_ms = task_waits_ms(w->task)};
        if (job) {
                v->nexthop = job->route->nexthop;
                v->queue_id = job->message ? spool_message_id(job->message) : NULL;
                v->is_probe = job->is_probe;
                v->recipients = job->recipient_count;
                v->age_us = job->begun_us ? clock_mono_us() - job->begun_us : 0;
        }
        task_describe(w->task, v->waits_for, sizeof(v->waits_for));
}

size_t delivery_each(const struct delivery *d, size_t count,
                     void (*show)(void *context, const struct delivery_view *view), void *context)
{
        size_t seen = 0;
        list_each (link, (struct list *)(uintptr_t)&d->workers) {
                struct delivery_view v;
                if (seen++ < count) {
                        view(list_of(link, struct worker, link), &v);
                        show(context, &v);
                }
        }
        return seen;
}

void worker_start(struct destination *dest, struct delivery_job *job)
{
        struct delivery *d = dest->delivery;
        struct worker *w = calloc(1, sizeof(*w));
        check(w);
        w->destination = dest;
        w->job = job;
        list_init(&w->idle);
        list_init(&w->lane_idle);
        list_add_last(&d->workers, &w->link);
        dest->worker_count++;
        dest->lane->worker_count++;
        w->task = task_start(d->loop, worker_main, w);
}

void worker_resume(struct worker *w, struct delivery_job *job)
{
        list_remove(&w->idle);
        list_remove(&w->lane_idle);
        w->job = job;
        w->is_to_end = !job;
        task_wake(w->task);
}
