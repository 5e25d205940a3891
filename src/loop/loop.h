/*
 * loop.h - one thread's turn: what is ready, what is due, what other threads sent
 *
 * Each loop is run by one thread, for ever the same. Everything that a loop owns (watches, timers,
 * tasks, connections) is touched by that thread alone; other threads send it letters.
 *
 * A turn: ready tasks run, chores run, the log is written, epoll is asked, then watches, timers and
 * letters are called. All callbacks run on the loop's own stack and never wait.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/heap.h"
#include "base/list.h"
#include "base/why.h"

#include <stdint.h>

struct loop;

struct loop *loop_new(struct why *why);
/* After loop_run() has returned. What was still waiting is the owners' to free. */
void loop_free(struct loop **l);

/*
 * Runs on the calling thread until loop_stop(); may be called again then. Letters posted before the stop are still
 * opened.
 */
void loop_run(struct loop *l);
/* From any thread. */
void loop_stop(struct loop *l);

/* The loop that this thread runs, or NULL. */
struct loop *loop_self(void);
/* The monotonic clock as read at the start of this turn; the clock itself outside a loop. */
int64_t loop_now_ms(void);

/* ---- descriptors ---- */
struct watch {
        int fd;
        void (*ready)(struct watch *w, uint32_t epoll_events);
};

/* Edge-triggered when `epoll_events` has EPOLLET. 0 or a negative errno value. */
int loop_watch_add(struct loop *l, struct watch *w, uint32_t epoll_events);
/* Other events from now on. What is ready already makes a new edge. */
int loop_watch_change(struct loop *l, struct watch *w, uint32_t epoll_events);
/* At once: no call comes after it, not even one that this turn's epoll had ready. Before close(). */
void loop_watch_remove(struct loop *l, struct watch *w);
/*
 * The same without asking the kernel, which forgets what is closed: the caller closes the descriptor before anything
 * waits, and nobody has a copy of it (after dup or fork).
 */
void loop_watch_forget(struct loop *l, struct watch *w);

/* ---- timers ---- */
struct timer {
        struct heap_item item;
        void (*due)(struct timer *t);
};

/* `at_ms` on the monotonic clock; sets anew when it is set already. */
void loop_timer_set(struct loop *l, struct timer *t, int64_t at_ms);
void loop_timer_cancel(struct loop *l, struct timer *t);

/* ---- chores: to be run on the loop's own stack before it sleeps; asked for by a task ---- */
struct chore {
        struct list link; /* list_init() first */
        void (*run)(struct chore *c);
};

/* Nothing when it is asked for already. list_remove(&c->link) takes it back. */
void loop_chore_add(struct loop *l, struct chore *c);

/* ---- letters: from any thread to a loop ---- */
struct letter {
        struct letter *next;
        void (*open)(
                struct letter *letter); /* called on the loop's thread; owns the letter's memory */
};

/* In order from each sender. The letter must stay where it is until it is opened. */
void loop_post(struct loop *l, struct letter *letter);

#endif
