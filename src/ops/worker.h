/*
 * worker.h - the process that serves: loops, spool, sessions, deliveries
 *
 * The supervisor forks it; the sockets and the configuration come with the memory. It gives up its
 * privileges first. Its main thread runs the *office*: a loop of its own for signals, the control socket, the
 * refreshing of tables and reloads; all that concerns mail is done by the other loops.
 */
#ifndef OPS_WORKER_H
#define OPS_WORKER_H

#include "ops/identity.h"
#include "ops/listen.h"

enum worker_exit {
        WORKER_DONE = 0,    /* it was told to stop, and did */
        WORKER_FAILED = 1,  /* something outside; it has been said what */
        WORKER_REFUSED = 9, /* the configuration has errors; they have been printed */
};

struct worker_options {
        struct config *config;
        struct findings *findings; /* of main.cf and the sockets; the rest is added */
        bool prints_all;           /* notes and warnings too: at the first start */
        struct listen_set *listen;
        const struct identity *identity;
        const char *dir; /* to load the configuration from at a reload */
        const struct config_override *overrides;
        int channel; /* to the supervisor */
};

/* Runs until it is told to stop. An enum worker_exit. */
int worker_run(const struct worker_options *options);

/* worker_threads, or the processors that we may use. */
size_t worker_loop_count(const struct params *params);

/* Errors, or all findings, one a line, on standard error. */
void worker_print_findings(const struct findings *findings, bool prints_all);

#endif
