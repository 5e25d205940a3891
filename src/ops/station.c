/*
 * station.c - the loops that do the work, each with its listeners and its part of the delivery
 *
 * Start, change and stop are errands: a task on each loop, all at the same time, while the office waits.
 */
#include "ops/ops_private.h"

#include "base/check.h"
#include "base/log.h"
#include "ops/errand.h"
#include "policy/service.h"
#include "table/table.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a station's errand is told. */
struct order {
        struct station *station;
        struct site *site;
        struct listen_set *listen;
        int64_t deadline_ms;
};

/* ---- listeners that end ---- */

struct retirement {
        struct station *station;
        struct listener *listener;
        int64_t deadline_ms;
};

static void await_retire(void *arg)
{
        struct retirement *r = arg;
        struct station *s = r->station;
        await_listener_stop(&r->listener, r->deadline_ms);
        free(r);
        if (--s->retiring == 0 && s->retiring_waiter)
                task_wake(s->retiring_waiter);
}

static void retire(struct station *s, struct post *post, int64_t deadline_ms)
{
        struct retirement *r = malloc(sizeof(*r));
        check(r);
        *r = (struct retirement){
                .station = s, .listener = post->listener, .deadline_ms = deadline_ms};
        post->listener = NULL;
        listener_close(r->listener);
        s->retiring++;
        task_start(s->loop, await_retire, r);
}

static void await_retirements(struct station *s)
{
        s->retiring_waiter = task_self();
        while (s->retiring)
                await_wake_always("waiting for", STR("sessions to end"), CLOCK_NEVER);
        s->retiring_waiter = NULL;
}

/* ---- listeners that begin, or go on ---- */

static struct post *find_post(struct station *s, const char *text)
{
        for (size_t i = 0; i < s->post_count; i++)
                if (s->posts[i].listener && strcmp(s->posts[i].text, text) == 0)
                        return &s->posts[i];
        return NULL;
}

/* After this the station listens where order->listen says, with the services of `site`. */
static void set_posts(struct station *s, const struct order *order)
{
        const struct listen_set *wanted = order->listen;
        struct post *posts = calloc(wanted->count + 1, sizeof(*posts));
        check(posts);
        for (size_t i = 0; i < wanted->count; i++) {
                struct listen_address *a = &wanted->list[i];
                struct session_service *service = order->site->services[a->service].session;
                struct post *before = find_post(s, a->text);
                memcpy(posts[i].text, a->text, sizeof(posts[i].text));
                if (before) {
                        posts[i].listener = before->listener;
                        before->listener = NULL;
                        listener_set_service(posts[i].listener, service);
                } else if (a->fds[s->index] >= 0) {
                        if (listen(a->fds[s->index], LISTEN_BACKLOG) < 0)
                                log_error("master", "cannot listen on %s: %s", a->text,
                                          why_errno(errno));
                        posts[i].listener =
                                listener_start(s->loop, a->fds[s->index], service, s->worker->door);
                        a->fds[s->index] = -1; /* the listener's now */
                }
        }
        for (size_t i = 0; i < s->post_count; i++)
                if (s->posts[i].listener)
                        retire(s, &s->posts[i], order->deadline_ms);
        free(s->posts);
        s->posts = posts;
        s->post_count = wanted->count;
}

/* ---- the errands ---- */

static void station_start(void *arg)
{
        const struct order *order = arg;
        struct station *s = order->station;
        s->delivery = delivery_start(s->loop, s->worker->spool, order->site->routes,
                                     s->worker->station_count);
        delivery_serve_probes(s->delivery, s->worker->verify, order->site->cleanup);
        set_posts(s, order);
        s->local.listener =
                listener_start(s->loop, -1, site_submission(order->site), s->worker->door);
}

static void station_change(void *arg)
{
        const struct order *order = arg;
        delivery_set_routes(order->station->delivery, order->site->routes);
        delivery_serve_probes(order->station->delivery, order->station->worker->verify,
                              order->site->cleanup);
        set_posts(order->station, order);
        listener_set_service(order->station->local.listener, site_submission(order->site));
}

static void station_stop(void *arg)
{
        const struct order *order = arg;
        struct station *s = order->station;
        for (size_t i = 0; i < s->post_count; i++)
                if (s->posts[i].listener)
                        retire(s, &s->posts[i], order->deadline_ms);
        retire(s, &s->local, order->deadline_ms);
        /* both at once: deliveries are not to begin anew while sessions come to their end, and have the same time */
        await_delivery_stop(&s->delivery, order->deadline_ms);
        await_retirements(s);
        dns_leave_loop();
        policy_leave_loop();
        free(s->posts);
        s->posts = NULL;
        s->post_count = 0;
}

struct adoption {
        struct station *station;
        int fd;
        unsigned uid;
};

static void adopt(void *arg)
{
        struct adoption *a = arg;
        if (a->station->local.listener)
                listener_adopt(a->station->local.listener, a->fd, a->uid);
        else
                close(a->fd); /* the station is closing */
}

void await_station_adopt(struct station *s, int fd, unsigned uid)
{
        struct adoption a = {.station = s, .fd = fd, .uid = uid};
        await_errand(s->loop, adopt, &a, "handing over to");
}

static void await_all(struct worker *w, void (*run)(void *), const struct order *order,
                      const char *doing)
{
        struct order *orders = calloc(w->station_count, sizeof(*orders));
        struct errand *errands = calloc(w->station_count, sizeof(*errands));
        check(orders && errands);
        for (size_t i = 0; i < w->station_count; i++) {
                orders[i] = *order;
                orders[i].station = &w->stations[i];
                errand_send(&errands[i], w->stations[i].loop, run, &orders[i]);
        }
        await_errands(errands, w->station_count, doing);
        free(errands);
        free(orders);
}

/* How long sessions of a service that a reload has removed may go on. */
enum { RETIRE_MS = 10 * 1000 };

void await_stations_start(struct worker *w)
{
        const struct order order = {.site = w->site, .listen = &w->listen};
        await_all(w, station_start, &order, "starting on");
}

void await_stations_change(struct worker *w, struct site *site, struct listen_set *listen)
{
        const struct order order = {
                .site = site, .listen = listen, .deadline_ms = loop_now_ms() + RETIRE_MS};
        await_all(w, station_change, &order, "changing");
}

void await_stations_stop(struct worker *w, int64_t deadline_ms)
{
        const struct order order = {.deadline_ms = deadline_ms};
        await_all(w, station_stop, &order, "stopping");
}
