/*
 * crash.h - last words: what the task was doing when the process died
 *
 * For a failed check they go to the log; for SIGSEGV and its kin to standard error and, over the channel,
 * to the supervisor, who logs them. With sanitizers the latter is theirs.
 */
#ifndef OPS_CRASH_H
#define OPS_CRASH_H

/* Once in the worker. */
void crash_install(int channel);
/* In each thread that runs tasks: their own stack may be what is broken. */
void crash_use_own_stack(void);

#endif
