/*
 * task.h - a coroutine: straight code that can wait
 *
 * A session, a delivery, a dialogue is one task: a stack of its own (64 KiB of address space; only
 * touched pages cost memory) that the loop's thread switches to and back. A task belongs to the loop that
 * started it, never moves, and ends by returning from its function.
 *
 * One door for waiting: everything that suspends goes through await_wake() and is named await_*. Across
 * an await hold values and ids, not pointers into what others may change. Nobody frees a task from
 * outside: task_cancel() tells it, its awaits return -ECANCELED, and it unwinds on its own stack.
 *
 * How the switch works, on which machines, and what the sanitizers are told: task.c.
 */
#ifndef LOOP_TASK_H
#define LOOP_TASK_H

#include "base/clock.h"
#include "base/str.h"
#include "loop/loop.h"

struct task;

/* `fn` starts before the loop sleeps again. Call on the loop's thread. */
struct task *task_start(struct loop *l, void (*fn)(void *arg), void *arg);

/* The task that runs now, or NULL on the loop's own stack. */
struct task *task_self(void);

/*
 * Suspends until task_wake(). `doing` and `what` say for whom and for what ("waiting for", "a command");
 * both must stay valid while it waits. Returns 0 (woken), -ETIMEDOUT (deadline_ms on the monotonic clock
 * has come; CLOCK_NEVER: no deadline) or -ECANCELED (at once, and for ever after task_cancel()).
 * A wake that came before the wait makes it return at once, so wakes are never lost but can be
 * stale: look at your condition again, in a loop.
 */
int await_wake(const char *doing, struct str what, int64_t deadline_ms);

/* The same, deaf to task_cancel(): for work that others do on this task's memory. */
int await_wake_always(const char *doing, struct str what, int64_t deadline_ms);

/* Both from the loop's own thread only; a wake of a task that is not waiting is kept. */
void task_wake(struct task *t);
void task_cancel(struct task *t);
bool task_is_canceled(const struct task *t);

/* Lets others run; comes back in the next turn. For long work. 0 or -ECANCELED. */
int await_turn(void);
/* 0 after `ms` milliseconds, or -ECANCELED. */
int await_sleep(int64_t ms);

/* What it waits for, for time-outs, crash reports: "waiting for: a command". */
void task_describe(const struct task *t, char *out, size_t room);
/* For how long it has waited for that. */
int64_t task_waits_ms(const struct task *t);
/* Calls `each` for all tasks of the loop; on its thread. */
void task_each(struct loop *l, void (*each)(void *context, struct task *t), void *context);
size_t task_count(const struct loop *l);

/* The most stack that ended tasks have used, of those whose stacks are kept, in bytes; for tests and `status`. */
size_t task_stack_high_water(const struct loop *l);

#endif
