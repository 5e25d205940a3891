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

#include "cleanup/cleanup.h"
#include "delivery/route.h"
#include "spool/spool.h"
#include "state/verify.h"

struct delivery; /* one loop's part */

/*
 * Takes messages from the spool from now on; NULL: there are none, only probes. The routes are counted. `loop_count` is how
 * many loops deliver: limits of the configuration are for all of them together.
 */
struct delivery *delivery_start(struct loop *l, struct spool *s, struct routes *routes,
                                size_t loop_count);
/* After a reload: attempts that begin from now on use these. */
void delivery_set_routes(struct delivery *d, struct routes *routes);
/*
 * Starts nothing new; what is under way may finish until deadline_ms, then it is told to stop. Suspends the
 * calling task until all is still. Messages without a final result stay in the spool as they are.
 */
void await_delivery_stop(struct delivery **d, int64_t deadline_ms);

/* Somebody asked for an attempt: destinations that rest are tried again at once. */
void delivery_end_rests(struct delivery *d);
/*
 * Has a recipient of this message that still waits its route to this next hop ("[core1]:25", as transport_maps and
 * relayhost write it)? Asks tables, so it may suspend: pin the message before. A table that cannot be asked: no.
 */
bool await_delivery_goes_to(struct delivery *d, const struct spool_message *m, struct str nexthop);

/* ---- what a transport's agent is given: some recipients of one message, with one next hop ---- */

struct delivery_attempt;
struct worker;

struct delivery_job {
        struct list link;
        struct delivery *delivery;
        struct spool_message *message;   /* NULL: a probe */
        const struct envelope *envelope; /* all recipients of the message */
        size_t *recipients;              /* indices of those that are this job's */
        size_t recipient_count;
        const struct route *route;
        struct arena *arena; /* lives until the attempt is over */
        bool is_probe;       /* nothing is sent: would the recipient be taken? */
        struct probe *probe; /* who asks that without a message; else NULL */
        /* the rest is private to delivery/ */
        struct routes *routes;
        struct delivery_attempt *attempt;
        struct worker *worker;
        int64_t begun_us; /* monotonic: given to the agent */
        int64_t ready_us; /* monotonic: connected, if it had to; else begun_us */
};

enum delivery_status { DELIVERY_SENT, DELIVERY_DEFERRED, DELIVERY_BOUNCED, DELIVERY_DISCARDED };

/* One recipient's result. Texts are copied. */
struct delivery_result {
        enum delivery_status status;
        const char *dsn;       /* "2.0.0" */
        struct str relay;      /* "name[address]:port", "none", "virtual" */
        struct str text;       /* for our own log, in parentheses, and for queue list */
        struct str public;     /* what a bounce may show; empty: `text` */
        bool is_reply;         /* `public` is the peer's own SMTP reply */
        struct str remote_mta; /* the peer's name, when a bounce may show it */
        bool is_relayed;       /* sent on to another server, not into a mailbox */
        bool has_dsn;          /* that server offers DSN: it will tell the sender of success */
};

/* An agent's result, after smtp_delivery_status_filter or its kin had a look at it. */
void await_delivery_job_result(struct delivery_job *job, size_t recipient,
                               const struct delivery_result *result);
/*
 * Writes Postfix's line (to=<>, orig_to=<>, relay=, delay=, delays=, dsn=, status= (text)) and records
 * the result in the spool; a failure is recorded when its bounce is safe. Once for each recipient.
 */
void delivery_job_result(struct delivery_job *job, size_t recipient,
                         const struct delivery_result *result);

/*
 * An agent delivers one job from its own task and gives every recipient of it a result before it returns,
 * unless its task was cancelled: those without one are tried again after the restart.
 * Rooms above register theirs before the loops start: core/ brings "virtual".
 */
typedef void delivery_agent(struct delivery_job *job);
void delivery_agent_register(const char *command, delivery_agent *await_deliver);

/* ---- probes (state/verify.h) ---- */

/*
 * Those that are asked for on this loop are made from now on: their addresses become what a message's recipients would, and
 * go the way that the address_verify_ parameters say, in the queues and over the connections of their next hops. The rules are
 * counted; call it again after a reload, with others.
 */
void delivery_serve_probes(struct delivery *d, struct verify *v, struct cleanup_rules *rules);

/* ---- what is under way, for who wants to see it ---- */

enum { DELIVERY_WAIT_BYTES_MAX = 160 };

/* A connection to a next hop, or an agent at work; views are valid during the call. */
struct delivery_view {
        struct str transport, nexthop;
        const char *queue_id; /* NULL: it is idle, or a probe */
        bool is_probe;
        size_t recipients; /* of this delivery; 0: it is idle */
        int64_t age_us;    /* since this delivery began */
        char waits_for[DELIVERY_WAIT_BYTES_MAX];
        int64_t waits_ms;
};
/* Shows `count` of them at most, on the delivery's loop; returns how many there are. */
size_t delivery_each(const struct delivery *d, size_t count,
                     void (*show)(void *context, const struct delivery_view *view), void *context);

/* ---- figures for `status` ---- */
struct delivery_counts {
        uint64_t sent; /* recipients, since the start */
        uint64_t deferred;
        uint64_t bounced;
        uint64_t discarded;
        size_t destinations;
        size_t connections;
        size_t messages; /* being tried now */
        size_t waiting;  /* due, and not begun: over qmgr_message_recipient_limit */
};
void delivery_count(const struct delivery *d, struct delivery_counts *out);

#endif
