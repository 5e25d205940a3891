/*
 * pool.h - a few threads for what may block: files, fsync, name look-ups by the C library
 *
 * One pool a process. Work of each kind is taken in order; a task waits for its own work and for nothing else.
 */
#ifndef LOOP_POOL_H
#define LOOP_POOL_H

#include "base/str.h"
#include "base/why.h"

/* Starts the threads. Before any await_pool_run(); 0 or a negative errno value. */
int pool_start(int threads, struct why *why);
/* Waits for what is under way. */
void pool_stop(void);
/* Between the two. */
bool pool_is_started(void);

/*
 * Runs work(arg) on a pool thread and suspends the task until it is done; not cut short by cancel or
 * deadline, so `arg` may be on the task's stack. Returns what `work` returned.
 */
int await_pool_run(const char *doing, struct str what, int (*work)(void *arg), void *arg);
/*
 * The same for work that waits for other machines: at most half of the threads do such work at once, so that a
 * resolver which does not answer keeps no file waiting.
 */
int await_pool_run_remote(const char *doing, struct str what, int (*work)(void *arg), void *arg);
/*
 * The same, but work that no thread has begun is given up when the task is cancelled: -ECANCELED. So that a thousand questions to
 * a resolver that answers nobody do not keep a server from ending.
 */
int await_pool_run_if_wanted(const char *doing, struct str what, int (*work)(void *arg), void *arg);

#endif
