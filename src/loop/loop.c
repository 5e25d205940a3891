/*
 * loop.c - one thread's turn
 *
 * epoll with a batch of events a turn; a watch that is removed while its event still waits in the batch is
 * taken out of the batch. Letters are a lock-free stack that the receiver takes whole and turns round; the
 * eventfd is edge-triggered, so it is never read.
 */
#include "loop/loop.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/loop_private.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_PER_TURN = 128 };

static __thread struct loop *this_loop;

static void open_letters(struct loop *l)
{
        struct letter *newest = __atomic_exchange_n(&l->letters, NULL, __ATOMIC_ACQ_REL);
        struct letter *in_order = NULL;
        while (newest) {
                struct letter *next = newest->next;
                newest->next = in_order;
                in_order = newest;
                newest = next;
        }
        while (in_order) {
                struct letter *next = in_order->next;
                in_order->open(in_order);
                in_order = next;
        }
}

static void letters_ready(struct watch *w, uint32_t events)
{
        open_letters(this_loop);
}

struct loop *loop_new(struct why *why)
{
        struct loop *l = calloc(1, sizeof(*l));
        struct epoll_event *events = calloc(EVENTS_PER_TURN, sizeof(*events));
        check(l && events);
        l->events = events;
        heap_init(&l->timers);
        list_init(&l->chores);
        task_room_init(&l->tasks);
        l->now_ms = clock_mono_ms();
        l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        l->letters_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (l->epoll_fd < 0 || l->letters_fd < 0) {
                why_set(why, -errno, "cannot make an event loop: %s", why_errno(errno));
                loop_free(&l);
                return NULL;
        }
        l->letters_watch = (struct watch){.fd = l->letters_fd, .ready = letters_ready};
        int rc = loop_watch_add(l, &l->letters_watch, EPOLLIN | EPOLLET);
        if (rc < 0) {
                why_set(why, rc, "cannot make an event loop: %s", why_errno(rc));
                loop_free(&l);
        }
        return l;
}

void loop_free(struct loop **lp)
{
        struct loop *l = *lp;
        if (!l)
                return;
        if (l->epoll_fd >= 0)
                close(l->epoll_fd);
        if (l->letters_fd >= 0)
                close(l->letters_fd);
        task_room_done(&l->tasks);
        heap_done(&l->timers);
        free(l->events);
        free(l);
        *lp = NULL;
}

struct loop *loop_self(void)
{
        return this_loop;
}

int64_t loop_now_ms(void)
{
        return this_loop ? this_loop->now_ms : clock_mono_ms();
}

static int watch(struct loop *l, int operation, struct watch *w, uint32_t epoll_events)
{
        struct epoll_event event = {.events = epoll_events, .data.ptr = w};
        return epoll_ctl(l->epoll_fd, operation, w->fd, &event) < 0 ? -errno : 0;
}

int loop_watch_add(struct loop *l, struct watch *w, uint32_t epoll_events)
{
        return watch(l, EPOLL_CTL_ADD, w, epoll_events);
}

int loop_watch_change(struct loop *l, struct watch *w, uint32_t epoll_events)
{
        return watch(l, EPOLL_CTL_MOD, w, epoll_events);
}

void loop_watch_remove(struct loop *l, struct watch *w)
{
        epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
        loop_watch_forget(l, w);
}

void loop_watch_forget(struct loop *l, struct watch *w)
{
        for (int i = l->event_at; i < l->event_count; i++)
                if (l->events[i].data.ptr == w)
                        l->events[i].data.ptr = NULL;
}

void loop_timer_set(struct loop *l, struct timer *t, int64_t at_ms)
{
        heap_set(&l->timers, &t->item, at_ms);
}

void loop_timer_cancel(struct loop *l, struct timer *t)
{
        heap_remove(&l->timers, &t->item);
}

void loop_chore_add(struct loop *l, struct chore *c)
{
        if (list_is_empty(&c->link))
                list_add_last(&l->chores, &c->link);
}

static bool run_chores(struct loop *l)
{
        bool had_some = false;
        while (!list_is_empty(&l->chores)) {
                struct chore *c = list_of(l->chores.next, struct chore, link);
                list_remove(&c->link);
                c->run(c);
                had_some = true;
        }
        return had_some;
}

static void ring(struct loop *l)
{
        uint64_t one = 1;
        ssize_t n = write(l->letters_fd, &one, sizeof(one));
        (void)n; /* EAGAIN: it is rung already */
}

void loop_post(struct loop *l, struct letter *letter)
{
        struct letter *head = __atomic_load_n(&l->letters, __ATOMIC_RELAXED);
        do {
                letter->next = head;
        } while (!__atomic_compare_exchange_n(&l->letters, &head, letter, true, __ATOMIC_RELEASE,
                                              __ATOMIC_RELAXED));
        if (!head)
                ring(l);
}

void loop_stop(struct loop *l)
{
        __atomic_store_n(&l->is_stopping, true, __ATOMIC_RELEASE);
        ring(l);
}

static void run_due_timers(struct loop *l)
{
        struct heap_item *first;
        while ((first = heap_first(&l->timers)) && first->key <= l->now_ms) {
                struct timer *t = heap_of(first, struct timer, item);
                heap_remove(&l->timers, first);
                t->due(t);
        }
}

static int sleep_ms(const struct loop *l)
{
        if (!list_is_empty(&l->tasks.ready) || !list_is_empty(&l->chores))
                return 0;
        const struct heap_item *first = heap_first(&l->timers);
        if (!first)
                return -1;
        int64_t left = first->key - clock_mono_ms();
        return left < 0 ? 0 : left > 3600 * 1000 ? 3600 * 1000 : (int)left;
}

static void ask_epoll(struct loop *l)
{
        int n = epoll_wait(l->epoll_fd, l->events, EVENTS_PER_TURN, sleep_ms(l));
        check(n >= 0 || errno == EINTR);
        l->now_ms = clock_mono_ms();
        l->event_count = n < 0 ? 0 : n;
        for (l->event_at = 0; l->event_at < l->event_count;) {
                const struct epoll_event event = l->events[l->event_at++];
                struct watch *w = event.data.ptr;
                if (w)
                        w->ready(w, event.events);
        }
        l->event_count = l->event_at = 0;
}

void loop_run(struct loop *l)
{
        check(!this_loop);
        this_loop = l;
        l->now_ms = clock_mono_ms();
        log_collect();
        while (!__atomic_load_n(&l->is_stopping, __ATOMIC_ACQUIRE)) {
                task_room_run(l);
                run_chores(l);
                log_flush();
                ask_epoll(l);
                run_due_timers(l);
        }
        open_letters(l);
        task_room_run(l);
        run_chores(l);
        log_collect_end();
        this_loop = NULL;
        __atomic_store_n(&l->is_stopping, false, __ATOMIC_RELEASE);
}
