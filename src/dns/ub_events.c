/*
 * ub_events.c - libunbound's idea of an event base, on a loop of ours
 *
 * An event is one descriptor, one timer, or both. When one that does not persist fires, it is taken off before its
 * callback is called, which may free it.
 */
#include "dns/ub_events.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unbound-event.h>
#include <unbound.h>

struct base {
        struct ub_event_base super; /* first */
        struct loop *loop;
};

struct event {
        struct ub_event super; /* first */
        struct base *base;
        struct watch watch;
        struct timer timer;
        short bits;
        void (*callback)(int fd, short bits, void *arg);
        void *arg;
        bool is_watched;
};

static struct event *of_ub(struct ub_event *e)
{
        return (struct event *)(void *)e;
}

static void unwatch(struct event *e)
{
        if (e->is_watched)
                loop_watch_remove(e->base->loop, &e->watch);
        e->is_watched = false;
}

static void take_off(struct event *e)
{
        unwatch(e);
        loop_timer_cancel(e->base->loop, &e->timer);
}

static void fire(struct event *e, short bits)
{
        if (!(e->bits & UB_EV_PERSIST))
                take_off(e);
        e->callback(e->watch.fd, bits, e->arg);
}

static void is_ready(struct watch *w, uint32_t epoll_events)
{
        struct event *e = list_of(w, struct event, watch);
        short bits = 0;
        if (epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                bits |= UB_EV_READ;
        if (epoll_events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
                bits |= UB_EV_WRITE;
        bits = (short)(bits & e->bits);
        if (bits)
                fire(e, bits);
}

static void is_due(struct timer *t)
{
        fire(list_of(t, struct event, timer), UB_EV_TIMEOUT);
}

static void set_timer(struct event *e, const struct timeval *after)
{
        int64_t ms = (int64_t)after->tv_sec * 1000 + (after->tv_usec + 999) / 1000;
        loop_timer_set(e->base->loop, &e->timer, clock_mono_ms() + ms);
}

/* ---- what libunbound calls ---- */

static int event_add(struct ub_event *ub, struct timeval *after)
{
        struct event *e = of_ub(ub);
        unwatch(e);
        uint32_t wanted = 0;
        if (e->bits & UB_EV_READ)
                wanted |= EPOLLIN;
        if (e->bits & UB_EV_WRITE)
                wanted |= EPOLLOUT;
        if (e->watch.fd >= 0 && wanted) {
                if (loop_watch_add(e->base->loop, &e->watch, wanted) < 0)
                        return -1;
                e->is_watched = true;
        }
        if ((e->bits & UB_EV_TIMEOUT) && after)
                set_timer(e, after);
        return 0;
}

static int event_del(struct ub_event *ub)
{
        take_off(of_ub(ub));
        return 0;
}

static void event_free(struct ub_event *ub)
{
        struct event *e = of_ub(ub);
        take_off(e);
        free(e);
}

static void add_bits(struct ub_event *ub, short bits)
{
        take_off(of_ub(ub));
        of_ub(ub)->bits = (short)(of_ub(ub)->bits | bits);
}

static void del_bits(struct ub_event *ub, short bits)
{
        take_off(of_ub(ub));
        of_ub(ub)->bits = (short)(of_ub(ub)->bits & ~bits);
}

static void set_fd(struct ub_event *ub, int fd)
{
        take_off(of_ub(ub));
        of_ub(ub)->watch.fd = fd;
}

static int add_timer(struct ub_event *ub, struct ub_event_base *base,
                     void (*callback)(int, short, void *), void *arg, struct timeval *after)
{
        struct event *e = of_ub(ub);
        e->callback = callback;
        e->arg = arg;
        e->bits |= UB_EV_TIMEOUT;
        set_timer(e, after);
        return 0;
}

static int del_timer(struct ub_event *ub)
{
        loop_timer_cancel(of_ub(ub)->base->loop, &of_ub(ub)->timer);
        return 0;
}

static int add_signal(struct ub_event *ub, struct timeval *after)
{
        return -1; /* signals are the worker's */
}

static int del_signal(struct ub_event *ub)
{
        return -1;
}

static struct ub_event_vmt event_calls = {
        .add_bits = add_bits,
        .del_bits = del_bits,
        .set_fd = set_fd,
        .free = event_free,
        .add = event_add,
        .del = event_del,
        .add_timer = add_timer,
        .del_timer = del_timer,
        .add_signal = add_signal,
        .del_signal = del_signal,
};

static struct ub_event *event_new(struct ub_event_base *base, int fd, short bits,
                                  void (*callback)(int, short, void *), void *arg)
{
        struct event *e = calloc(1, sizeof(*e));
        check(e);
        e->super.magic = UB_EVENT_MAGIC;
        e->super.vmt = &event_calls;
        e->base = (struct base *)(void *)base;
        e->watch = (struct watch){.fd = fd, .ready = is_ready};
        e->timer.due = is_due;
        e->bits = bits;
        e->callback = callback;
        e->arg = arg;
        return &e->super;
}

/* The base is ours: libunbound neither runs nor frees it. */
static struct ub_event_base_vmt base_calls = {.new_event = event_new};

struct ub_event_base *ub_events_new(struct loop *l)
{
        struct base *b = calloc(1, sizeof(*b));
        check(b);
        b->super.magic = UB_EVENT_MAGIC;
        b->super.vmt = &base_calls;
        b->loop = l;
        return &b->super;
}

void ub_events_free(struct ub_event_base **base)
{
        free(*base);
        *base = NULL;
}
