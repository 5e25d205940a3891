/*
 * verifier.h - what is known of addresses, with its file in the queue's directory
 *
 * Threads: verifier_new() before there are threads that ask; verifier_write() blocks, from one thread at a time.
 */
#ifndef OPS_VERIFIER_H
#define OPS_VERIFIER_H

#include "ops/ops_private.h"
#include "state/verify.h"

/* Reads what was kept. What cannot be read is a warning in the log, and then nothing is kept. */
struct verify *verifier_new(const struct config *c);
/* Writes what is new; a failure is told in the log, now and then. */
void verifier_write(struct verify *v);
/* A task of the office that does so every second (arg: the worker). */
void await_keep_verified(void *arg);

#endif
