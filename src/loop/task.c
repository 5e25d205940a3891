/*
 * task.c - a coroutine: straight code that can wait
 *
 * A task lives in a mapping of its own: guard page, and 64 KiB of stack with the struct in its top page, so that one
 * that never went deep has one page. Ended tasks leave their mapping to the next one of the same loop. Resuming
 * is a plain function call to stack_switch(); a round trip costs some 30 ns.
 *
 * What a task has touched below the point where it waits is of no use: after REST_MS of one wait these pages are given
 * back, so that thousands of idle sessions cost what they need and not what they once needed. Each round of the rest
 * timer marks those who wait; who is found waiting still, in the round after, rests. There is a timer only while
 * somebody may come to rest.
 *
 * A task that waits with a deadline has a timer. Most waits end long before, and each has a later deadline
 * than the one before; so the timer is left where it is when it would only move back, and looks again
 * when it fires early.
 *
 * AddressSanitizer and ThreadSanitizer follow each switch (fiber calls); valgrind knows each stack. The
 * functions around the switch are not instrumented: their entry and exit happen on different stacks.
 */
#include "loop/task.h"

#include "base/check.h"
#include "loop/loop_private.h"
#include "loop/stack_switch.h"

#include <errno.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TASK_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define TASK_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define TASK_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define TASK_TSAN 1
#endif
#ifndef TASK_ASAN
#define TASK_ASAN 0
#endif
#ifndef TASK_TSAN
#define TASK_TSAN 0
#endif
#if TASK_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if TASK_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#ifdef FOREPOST_VALGRIND
#include <valgrind/valgrind.h>
#endif

#if TASK_TSAN && defined(__clang__)
#define NOT_INSTRUMENTED __attribute__((disable_sanitizer_instrumentation, noinline))
#elif TASK_TSAN
#define NOT_INSTRUMENTED __attribute__((no_sanitize_thread, noinline))
#else
#define NOT_INSTRUMENTED __attribute__((noinline))
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Instrumented code needs several times the stack. */
enum {
        PAGE_BYTES = 4096,
        GUARD_BYTES = PAGE_BYTES,
        /* an odd number of pages, or the top pages of all tasks would meet in few places of the TLB */
        MAP_BYTES = GUARD_BYTES + (TASK_ASAN || TASK_TSAN ? 256 : 64) * 1024,
        SPARE_MAX = 256,
        CANARY = 0x7a5c,
        REST_MS = 2000,
        RESTS_MAX = 1000,
        /* ucontext parks by a struct somewhat above the stack pointer */
        BELOW_PARKED_BYTES = STACK_SWITCH_ASSEMBLY ? 0 : PAGE_BYTES,
};

/* In its present wait. */
enum rest { REST_NOT, REST_SEEN, REST_DONE };

struct task {
        struct list link;  /* in room.all or room.spare */
        struct list ready; /* in room.ready while it is to be resumed */
        struct loop *loop;
        void (*fn)(void *arg);
        void *arg;
        void *parked; /* its stack pointer while it does not run */
        char *map;    /* guard page and stack */
        const char *doing;
        struct str what;
        int64_t deadline_ms;
        int64_t since_ms; /* its present wait, or its present run */
        struct timer timer;
        bool is_waiting;
        bool is_woken; /* a wake that nobody has waited for yet */
        bool is_canceled;
        bool is_deaf; /* in await_wake_always() */
        bool has_timed_out;
        bool has_ended;
        enum rest rest;
        unsigned canary;
        void *fake_stack; /* ASan's */
        void *fiber;      /* TSan's */
        unsigned valgrind_id;
};

/* Between the guard page and the struct. */
enum {
        TASK_BYTES = (sizeof(struct task) + 15) / 16 * 16,
        STACK_BYTES = MAP_BYTES - GUARD_BYTES - TASK_BYTES,
};

static __thread struct task *running;
/* The loop's own stack, parked while a task runs. */
static __thread struct {
        void *parked;
        void *fake_stack;
        const void *bottom;
        size_t bytes;
} home;

/* ---- the switch, and what the tools are told about it ---- */

NOT_INSTRUMENTED static void before_switch(const struct task *to, void **fake_stack, void *fiber)
{
#if TASK_ASAN
        if (to)
                __sanitizer_start_switch_fiber(fake_stack, to->map + GUARD_BYTES, STACK_BYTES);
        else
                __sanitizer_start_switch_fiber(fake_stack, home.bottom, home.bytes);
#endif
#if TASK_TSAN
        __tsan_switch_to_fiber(fiber, 0);
#endif
}

NOT_INSTRUMENTED static void after_switch(void *fake_stack, bool is_in_task)
{
#if TASK_ASAN
        const void *bottom;
        size_t bytes;
        __sanitizer_finish_switch_fiber(fake_stack, &bottom, &bytes);
        if (is_in_task) {
                home.bottom = bottom;
                home.bytes = bytes;
        }
#endif
}

NOT_INSTRUMENTED static void resume(struct task *t)
{
        check(!running && t->canary == CANARY);
        running = t;
        before_switch(t, &home.fake_stack, t->fiber);
        stack_switch(&home.parked, t->parked);
        after_switch(home.fake_stack, false);
        running = NULL;
}

NOT_INSTRUMENTED static void park(struct task *t)
{
        before_switch(NULL, &t->fake_stack, t->loop->tasks.loop_fiber);
        stack_switch(&t->parked, home.parked);
        after_switch(t->fake_stack, true);
}

NOT_INSTRUMENTED static void task_entry(void *arg)
{
        struct task *t = arg;
        after_switch(NULL, true);
        t->fn(t->arg);
        t->has_ended = true;
        before_switch(NULL, NULL,
                      t->loop->tasks.loop_fiber); /* NULL: this stack is finished with */
        stack_switch(&t->parked, home.parked);
        abort();
}

/* ---- stacks ---- */

static void guard(char *page)
{
        static bool has_no_guard_advice;
        if (!__atomic_load_n(&has_no_guard_advice, __ATOMIC_RELAXED)) {
                if (madvise(page, GUARD_BYTES, MADV_GUARD_INSTALL) == 0)
                        return;
                __atomic_store_n(&has_no_guard_advice, true, __ATOMIC_RELAXED);
        }
        check(mprotect(page, GUARD_BYTES, PROT_NONE) == 0);
}

static struct task *task_map(void)
{
        char *map = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        check(map != MAP_FAILED);
        guard(map);
        struct task *t = (struct task *)(void *)(map + MAP_BYTES - TASK_BYTES);
        t->map = map;
#ifdef FOREPOST_VALGRIND
        t->valgrind_id =
                VALGRIND_STACK_REGISTER(map + GUARD_BYTES, map + GUARD_BYTES + STACK_BYTES);
#endif
        return t;
}

static void task_unmap(struct task *t)
{
#ifdef FOREPOST_VALGRIND
        VALGRIND_STACK_DEREGISTER(t->valgrind_id);
#endif
#if TASK_ASAN
        __asan_unpoison_memory_region(t->map, MAP_BYTES);
#endif
        munmap(t->map, MAP_BYTES);
}

static size_t stack_used(const struct task *t)
{
#if TASK_ASAN
        return 0; /* the stack is poisoned here and there */
#else
        /* pages come zeroed: the deepest touched byte is the first that is not zero */
        const uint64_t *word = (const uint64_t *)(const void *)(t->map + GUARD_BYTES);
        size_t words = STACK_BYTES / sizeof(*word);
        unsigned char resident[(MAP_BYTES - GUARD_BYTES) / PAGE_BYTES];
        size_t from = 0;
        if (mincore(t->map + GUARD_BYTES, MAP_BYTES - GUARD_BYTES, resident) == 0)
                while (from < sizeof(resident) && !(resident[from] & 1))
                        from++;
        size_t i = from * (PAGE_BYTES / sizeof(*word));
#ifdef FOREPOST_VALGRIND
        VALGRIND_DISABLE_ERROR_REPORTING; /* what lies below a stack pointer is not to be read, it says */
#endif
        while (i < words && word[i] == 0)
                i++;
#ifdef FOREPOST_VALGRIND
        VALGRIND_ENABLE_ERROR_REPORTING;
#endif
        return (words - i) * sizeof(*word);
#endif
}

/* ---- rest ---- */

static void take_rest(struct task *t)
{
        char *bottom = t->map + GUARD_BYTES;
        uintptr_t parked = (uintptr_t)t->parked - BELOW_PARKED_BYTES;
        char *top = bottom + (parked - (uintptr_t)bottom) / PAGE_BYTES * PAGE_BYTES;
        size_t used = stack_used(t);
        if (used > t->loop->tasks.high_water)
                t->loop->tasks.high_water = used;
        if (parked > (uintptr_t)bottom && top > bottom)
                madvise(bottom, (size_t)(top - bottom), MADV_DONTNEED);
        t->rest = REST_DONE;
}

/* Rests are so few a round that they delay nobody. */
static void rest_due(struct timer *timer)
{
        struct task_room *room = heap_of(timer, struct task_room, rest);
        int rests = 0;
        bool may_rest = false;
        list_each (link, &room->all) {
                struct task *t = list_of(link, struct task, link);
                if (t->rest == REST_NOT)
                        t->rest = REST_SEEN;
                else if (t->rest == REST_SEEN && t->is_waiting && rests++ < RESTS_MAX)
                        take_rest(t);
                may_rest |= t->rest != REST_DONE;
        }
        if (may_rest)
                loop_timer_set(loop_self(), &room->rest, loop_now_ms() + REST_MS);
}

static void deadline_due(struct timer *timer)
{
        struct task *t = heap_of(timer, struct task, timer);
        if (!t->is_waiting || t->deadline_ms == CLOCK_NEVER)
                return;
        if (t->deadline_ms > t->loop->now_ms) {
                loop_timer_set(t->loop, timer, t->deadline_ms);
                return;
        }
        t->has_timed_out = true;
        if (list_is_empty(&t->ready))
                list_add_last(&t->loop->tasks.ready, &t->ready);
}

static struct task *task_take(struct loop *l)
{
        struct task_room *room = &l->tasks;
        struct task *t;
        if (list_is_empty(&room->spare)) {
                t = task_map();
        } else {
                t = list_of(room->spare.next, struct task, link);
                list_remove(&t->link);
                room->spare_count--;
        }
        char *map = t->map;
        unsigned valgrind_id = t->valgrind_id;
        *t = (struct task){.map = map,
                           .valgrind_id = valgrind_id,
                           .loop = l,
                           .canary = CANARY,
                           .timer.due = deadline_due};
        return t;
}

static void task_end(struct task *t)
{
        struct task_room *room = &t->loop->tasks;
        loop_timer_cancel(t->loop, &t->timer);
        list_remove(&t->ready);
        list_remove(&t->link);
        room->count--;
#if TASK_TSAN
        __tsan_destroy_fiber(t->fiber);
#endif
#if TASK_ASAN
        __asan_unpoison_memory_region(t->map + GUARD_BYTES, STACK_BYTES);
#endif
        t->canary = 0;
        if (room->spare_count >= SPARE_MAX) {
                task_unmap(t);
                return;
        }
        list_add_first(&room->spare, &t->link);
        room->spare_count++;
}

void task_room_init(struct task_room *room)
{
        list_init(&room->all);
        list_init(&room->ready);
        list_init(&room->spare);
        room->rest.due = rest_due;
}

void task_room_done(struct task_room *room)
{
        /* tasks that still wait here lose their stacks: their owners were to end them before */
        while (!list_is_empty(&room->all)) {
                struct task *t = list_of(room->all.next, struct task, link);
                loop_timer_cancel(t->loop, &t->timer);
                list_remove(&t->ready);
                list_remove(&t->link);
#if TASK_TSAN
                __tsan_destroy_fiber(t->fiber);
#endif
                task_unmap(t);
        }
        while (!list_is_empty(&room->spare)) {
                struct task *t = list_of(room->spare.next, struct task, link);
                list_remove(&t->link);
                task_unmap(t);
        }
}

/* ---- the face ---- */

struct task *task_start(struct loop *l, void (*fn)(void *arg), void *arg)
{
        struct task *t = task_take(l);
        t->fn = fn;
        t->arg = arg;
        t->doing = "starting";
        t->since_ms = l->now_ms;
        t->parked = stack_prepare(t->map + GUARD_BYTES, STACK_BYTES, task_entry, t);
#if TASK_TSAN
        t->fiber = __tsan_create_fiber(0);
#endif
        list_init(&t->ready);
        list_add_last(&l->tasks.all, &t->link);
        list_add_last(&l->tasks.ready, &t->ready);
        l->tasks.count++;
        return t;
}

bool task_room_run(struct loop *l)
{
        struct task_room *room = &l->tasks;
        if (list_is_empty(&room->ready))
                return false;
#if TASK_TSAN
        room->loop_fiber = __tsan_get_current_fiber();
#endif
        /* those that become ready meanwhile come after this mark, in the next turn */
        struct list mark;
        list_add_last(&room->ready, &mark);
        while (room->ready.next != &mark) {
                struct task *t = list_of(room->ready.next, struct task, ready);
                list_remove(&t->ready);
                resume(t);
                if (t->has_ended)
                        task_end(t);
        }
        list_remove(&mark);
        return true;
}

struct task *task_self(void)
{
        return running;
}

static void set_deadline(struct task *t, int64_t deadline_ms)
{
        t->deadline_ms = deadline_ms;
        if (deadline_ms != CLOCK_NEVER && (!t->timer.item.at || t->timer.item.key > deadline_ms))
                loop_timer_set(t->loop, &t->timer, deadline_ms);
}

static int wait_here(struct task *t, const char *doing, struct str what, int64_t deadline_ms)
{
        if (t->is_woken) {
                t->is_woken = false;
                return 0;
        }
        t->doing = doing;
        t->what = what;
        t->has_timed_out = false;
        t->is_waiting = true;
        t->since_ms = t->loop->now_ms;
        t->rest = REST_NOT;
        if (!t->loop->tasks.rest.item.at)
                loop_timer_set(t->loop, &t->loop->tasks.rest, t->loop->now_ms + REST_MS);
        set_deadline(t, deadline_ms);
        park(t);
        t->is_waiting = false;
        t->since_ms = t->loop->now_ms;
        t->doing = "running";
        t->what = STR("");
        bool is_woken = t->is_woken;
        t->is_woken = false;
        if (!is_woken && t->is_canceled && !t->is_deaf)
                return -ECANCELED;
        return !is_woken && t->has_timed_out ? -ETIMEDOUT : 0;
}

int await_wake(const char *doing, struct str what, int64_t deadline_ms)
{
        struct task *t = running;
        check(t);
        if (t->is_canceled)
                return -ECANCELED;
        return wait_here(t, doing, what, deadline_ms);
}

int await_wake_always(const char *doing, struct str what, int64_t deadline_ms)
{
        struct task *t = running;
        check(t);
        t->is_deaf = true;
        int rc = wait_here(t, doing, what, deadline_ms);
        t->is_deaf = false;
        return rc;
}

static void make_ready(struct task *t)
{
        if (t->is_waiting && list_is_empty(&t->ready))
                list_add_last(&t->loop->tasks.ready, &t->ready);
}

void task_wake(struct task *t)
{
        check(t->canary == CANARY);
        t->is_woken = true;
        make_ready(t);
}

void task_cancel(struct task *t)
{
        check(t->canary == CANARY);
        t->is_canceled = true;
        if (!t->is_deaf)
                make_ready(t);
}

bool task_is_canceled(const struct task *t)
{
        return t->is_canceled;
}

int await_turn(void)
{
        struct task *t = running;
        check(t);
        if (t->is_canceled)
                return -ECANCELED;
        bool was_woken = t->is_woken;
        list_add_last(&t->loop->tasks.ready, &t->ready);
        park(t);
        t->is_woken = t->is_woken || was_woken;
        return t->is_canceled ? -ECANCELED : 0;
}

int await_sleep(int64_t ms)
{
        int64_t until = loop_now_ms() + ms;
        for (;;) {
                int rc = await_wake("sleeping", STR(""), until);
                if (rc == -ETIMEDOUT)
                        return 0;
                if (rc < 0)
                        return rc;
        }
}

void task_describe(const struct task *t, char *out, size_t room)
{
        snprintf(out, room, "%s%s%.*s", t->doing, t->what.len ? ": " : "", STR_ARG(t->what));
}

int64_t task_waits_ms(const struct task *t)
{
        int64_t ms = t->loop->now_ms - t->since_ms;
        return ms > 0 ? ms : 0;
}

void task_each(struct loop *l, void (*each)(void *context, struct task *t), void *context)
{
        list_each (link, &l->tasks.all) {
                each(context, list_of(link, struct task, link));
        }
}

size_t task_count(const struct loop *l)
{
        return l->tasks.count;
}

size_t task_stack_high_water(const struct loop *l)
{
        size_t most = l->tasks.high_water;
        list_each (link, (struct list *)(uintptr_t)&l->tasks.spare) {
                size_t used = stack_used(list_of(link, struct task, link));
                if (used > most)
                        most = used;
        }
        return most;
}
