/*
 * delivery.c - one loop's part: due messages wait in line, a few tasks route them, all of it can be stopped
 *
 * The spool hands out at most qmgr_message_active_limit messages at once, and as many again that are new. One
 * that is due costs a pointer in a ring here; it is read and routed when fewer than its share of
 * qmgr_message_recipient_limit recipients are being tried.
 *
 * Routers are tasks because tables may have to be waited for; with tables in memory one of them does all.
 */
#include "base/check.h"
#include "delivery/delivery_private.h"

#include <errno.h>

enum {
        ROUTERS_MAX = 8,
        ROUTED_PER_TURN = 32,
        ROUTER_IDLE_MS = 10 * 1000,
        DUE_ROOM_MIN = 64,
};

struct router {
        struct list link; /* in idle_routers while it has nothing to do */
        struct task *task;
};

/* ---- the line ---- */

static void due_add(struct due_queue *q, struct spool_message *m)
{
        if (q->count == q->room) {
                size_t room = q->room ? q->room * 2 : DUE_ROOM_MIN;
                struct spool_message **items = calloc(room, sizeof(struct spool_message *));
                check(items);
                for (size_t i = 0; i < q->count; i++)
                        items[i] = q->items[(q->head + i) & (q->room - 1)];
                free(q->items);
                q->items = items;
                q->room = room;
                q->head = 0;
        }
        q->items[(q->head + q->count++) & (q->room - 1)] = m;
}

static struct spool_message *due_take(struct due_queue *q)
{
        struct spool_message *m = q->items[q->head];
        q->head = (q->head + 1) & (q->room - 1);
        if (--q->count == 0 && q->room > 1024) { /* the flood is over */
                free(q->items);
                *q = (struct due_queue){0};
        }
        return m;
}

static size_t share(const struct delivery *d, int64_t limit)
{
        size_t part = (size_t)limit / d->loop_count;
        return part ? part : 1;
}

static bool may_begin(const struct delivery *d)
{
        const struct params *p = &routes_config(d->routes)->params;
        return d->due.count > 0 && !d->is_stopping &&
               d->recipient_count < share(d, p->qmgr_message_recipient_limit);
}

/* ---- routers ---- */

void delivery_task_begin(struct delivery *d, struct delivery_task *t)
{
        t->task = task_self();
        list_add_last(&d->tasks, &t->link);
}

void delivery_task_end(struct delivery_task *t)
{
        list_remove(&t->link);
}

static void await_route_all(struct delivery *d)
{
        for (unsigned n = 1; may_begin(d); n++) {
                await_attempt_begin(d, due_take(&d->due));
                if (n % ROUTED_PER_TURN == 0 && await_turn() < 0)
                        return;
        }
}

/* True when there is something to do again. */
static bool await_due(struct delivery *d)
{
        struct router r = {.task = task_self()};
        int64_t deadline_ms = loop_now_ms() + ROUTER_IDLE_MS;
        int rc = 0;
        list_init(&r.link);
        while (!may_begin(d) && !d->is_stopping && rc == 0) {
                /* who wakes it takes it out, and another may have been faster with the work */
                if (list_is_empty(&r.link))
                        list_add_first(&d->idle_routers, &r.link);
                rc = await_wake("waiting for", STR("mail to route"), deadline_ms);
        }
        list_remove(&r.link);
        return may_begin(d);
}

static void router_main(void *arg)
{
        struct delivery *d = arg;
        struct delivery_task me;
        delivery_task_begin(d, &me);
        do
                await_route_all(d);
        while (!task_is_canceled(me.task) && await_due(d));
        d->router_count--;
        delivery_task_end(&me);
        delivery_look_again(d);
}

void delivery_look_again(struct delivery *d)
{
        if (d->is_stopping) {
                if (d->stopper)
                        task_wake(d->stopper);
                return;
        }
        if (!may_begin(d))
                return;
        if (!list_is_empty(&d->idle_routers)) {
                struct router *r = list_of(d->idle_routers.next, struct router, link);
                list_remove(&r->link);
                task_wake(r->task);
        } else if (d->router_count < ROUTERS_MAX) {
                d->router_count++;
                task_start(d->loop, router_main, d);
        }
}

static void message_due(void *context, struct spool_message *m)
{
        struct delivery *d = context;
        due_add(&d->due, m);
        delivery_look_again(d);
}

/* ---- start and stop ---- */

static void sweep_due(struct timer *t)
{
        destination_sweep(heap_of(t, struct delivery, sweep));
}

struct delivery *delivery_start(struct loop *l, struct spool *s, struct routes *routes,
                                size_t loop_count)
{
        struct delivery *d = calloc(1, sizeof(*d));
        check(d && loop_count > 0);
        d->loop = l;
        d->spool = s;
        d->routes = routes_ref(routes);
        d->loop_count = loop_count;
        d->sweep.due = sweep_due;
        list_init(&d->idle_routers);
        list_init(&d->attempts);
        list_init(&d->spare_attempts);
        list_init(&d->workers);
        list_init(&d->tasks);
        map_init(&d->destinations);
        buf_init(&d->key, DESTINATION_KEY_BYTES_MAX);
        map_init(&d->lanes);
        if (s)
                spool_serve(s, l, message_due, d);
        return d;
}

void delivery_set_routes(struct delivery *d, struct routes *routes)
{
        struct routes *old = d->routes;
        d->routes = routes_ref(routes);
        routes_unref(&old);
        delivery_look_again(d); /* limits may be higher now */
}

static bool is_still(const struct delivery *d)
{
        return list_is_empty(&d->workers) && d->router_count == 0 && d->closer_count == 0 &&
               d->probe_count == 0;
}

static void stop_starting(struct delivery *d)
{
        struct arena arena;
        arena_init(&arena, 0);
        struct destination **all = arena_array(&arena, struct destination *, d->destinations.count);
        size_t count = 0;
        const struct map_slot *slot;
        for (size_t i = 0; (slot = map_next(&d->destinations, &i));)
                all[count++] = slot->value;
        for (size_t i = 0; i < count; i++)
                destination_drain(all[i]);
        arena_done(&arena);
        list_each (link, &d->workers) {
                struct worker *w = list_of(link, struct worker, link);
                if (!list_is_empty(&w->idle))
                        worker_resume(w, NULL);
        }
        while (!list_is_empty(&d->idle_routers)) {
                struct router *r = list_of(d->idle_routers.next, struct router, link);
                list_remove(&r->link);
                task_wake(r->task);
        }
}

static void tell_all_to_stop(struct delivery *d)
{
        list_each (link, &d->workers) {
                task_cancel(list_of(link, struct worker, link)->task);
        }
        list_each (link, &d->tasks) {
                task_cancel(list_of(link, struct delivery_task, link)->task);
        }
}

static void delivery_free(struct delivery *d)
{
        const struct map_slot *slot;
        for (size_t i = 0; (slot = map_next(&d->destinations, &i)); i = 0) {
                struct destination *dest = slot->value;
                dest->rest_ms = 0;
                destination_let_go(dest);
        }
        for (size_t i = 0; (slot = map_next(&d->lanes, &i));)
                free(slot->value);
        map_done(&d->destinations);
        buf_done(&d->key);
        map_done(&d->lanes);
        while (!list_is_empty(&d->spare_attempts)) {
                struct delivery_attempt *a =
                        list_of(d->spare_attempts.next, struct delivery_attempt, link);
                list_remove(&a->link);
                arena_done(&a->arena);
                free(a);
        }
        loop_timer_cancel(d->loop, &d->sweep);
        routes_unref(&d->routes);
        if (d->cleanup)
                cleanup_rules_unref(&d->cleanup);
        free(d->due.items);
        free(d);
}

void await_delivery_stop(struct delivery **dp, int64_t deadline_ms)
{
        struct delivery *d = *dp;
        *dp = NULL;
        if (d->spool)
                spool_serve(d->spool, d->loop, NULL, NULL);
        probes_stop(d);
        d->is_stopping = true;
        d->stopper = task_self();
        stop_starting(d);
        bool is_told = false;
        while (!is_still(d)) {
                int rc = await_wake_always("waiting for deliveries to end", STR(""),
                                           is_told ? CLOCK_NEVER : deadline_ms);
                if (rc == -ETIMEDOUT && !is_told) {
                        is_told = true;
                        tell_all_to_stop(d);
                }
        }
        check(list_is_empty(&d->attempts));
        delivery_free(d);
}

void delivery_end_rests(struct delivery *d)
{
        const struct map_slot *slot;
        for (size_t i = 0; (slot = map_next(&d->destinations, &i));) {
                struct destination *dest = slot->value;
                dest->rests_until_ms = 0;
        }
}

bool await_delivery_goes_to(struct delivery *d, const struct spool_message *m, struct str nexthop)
{
        struct arena arena;
        struct envelope e;
        struct why why;
        arena_init(&arena, 0);
        spool_message_envelope(m, &arena, &e);
        struct routes *routes = routes_ref(d->routes);
        bool goes = false;
        for (size_t i = 0; i < e.recipient_count && !goes; i++) {
                struct smtp_address address;
                struct route route;
                struct route_query query = {
                        .recipient = &address, .sender = e.sender, .filter = e.filter};
                if (spool_message_state(m, i) == SPOOL_WAITING &&
                    smtp_address_parse(e.recipients[i].address, &arena, &address) == 0 &&
                    await_route_find(routes, &query, &arena, &route, &why) == 0)
                        goes = str_eq_nocase(route.nexthop, nexthop);
        }
        routes_unref(&routes);
        arena_done(&arena);
        return goes;
}

void delivery_count(const struct delivery *d, struct delivery_counts *out)
{
        *out = d->counts;
        out->destinations = d->destinations.count;
        out->messages = d->attempt_count;
        out->waiting = d->due.count;
        list_each (link, (struct list *)(uintptr_t)&d->workers) {
                out->connections += list_of(link, struct worker, link)->client != NULL;
        }
}
