/*
 * delivery.h - messages on their way out
 *
 * Each loop delivers the messages that it owns: it asks where each recipient goes (route.h), gathers
 * those with one next hop, and hands them to that destination's queue. A destination has as many
 * deliveries under way as its window allows; each is a task that keeps its connection for the next message.
 * Results go to the spool; what failed for good becomes a bounce (bounce.c), what failed for now waits, longer
 * each time.
 *
 * Threads: delivery_start() once for each loop, on its thread; all calls are made on the loop they are about.
 * Not here: what is on disk (spool/); who may send (policy/).
 */
#ifndef DELIVERY_DELIVERY_H
#define DELIVERY_DELIVERY_H

#include "delivery/route.h"
#include "spool/spool.h"

struct delivery; /* one loop's part */

/* Takes messages from the spool from now on. The routes are counted. */
struct delivery *delivery_start(struct loop *l, struct spool *s, struct routes *routes);
/* After a reload: attempts that begin from now on use these. */
void delivery_set_routes(struct delivery *d, struct routes *routes);
/*
 * Starts nothing new; what is under way may finish until deadline_ms, then it is told to stop. Suspends the
 * calling task until all is still.
 */
void await_delivery_stop(struct delivery **d, int64_t deadline_ms);

/* ---- what a transport's agent is given: some recipients of one message, with one next hop ---- */

struct delivery_job {
        struct list link;
        struct delivery *delivery;
        struct spool_message *message;
        const struct envelope *envelope; /* all recipients of the message */
        size_t *recipients;              /* indices of those that are this job's */
        size_t recipient_count;
        const struct route *route;
        /* the rest is private to delivery/ */
        struct delivery_attempt *attempt;
        int64_t queued_ms;
};

enum delivery_status { DELIVERY_SENT, DELIVERY_DEFERRED, DELIVERY_BOUNCED, DELIVERY_DISCARDED };

/*
 * One recipient's result. `dsn` "2.0.0"; `text` goes into the log in parentheses and into queue list;
 * `relay` is "name[address]:port" or "none" or "virtual"; `diagnostic` is the peer's own reply, for the
 * bounce, or empty. Writes Postfix's line: to=<>, orig_to=<>, relay=, delay=, delays=, dsn=, status= (text).
 */
void delivery_job_result(struct delivery_job *job, size_t recipient, enum delivery_status status,
                         const char *dsn, struct str relay, struct str text, struct str diagnostic);

/*
 * An agent delivers one job from its own task and gives every recipient of it a result before it returns.
 * Rooms above register theirs before the loops start: core/ brings "virtual".
 */
typedef void delivery_agent(struct delivery_job *job);
void delivery_agent_register(const char *command, delivery_agent *await_deliver);

/* ---- figures and lists for `status` and `queue list` ---- */
struct delivery_counts {
        uint64_t sent;
        uint64_t deferred;
        uint64_t bounced;
        size_t destinations;
        size_t connections;
};
void delivery_count(const struct delivery *d, struct delivery_counts *out);

#endif
