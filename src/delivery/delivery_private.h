/*
 * delivery_private.h - private to delivery/: attempts, destinations and workers, and how they hold on to
 * each other
 *
 *      delivery ── due messages (FIFO) ── router tasks
 *        ├─ attempts: one for each message that is being tried
 *        │    └─ jobs: its recipients with one next hop
 *        ├─ destinations: one for each transport and next hop
 *        │    ├─ queued jobs
 *        │    └─ workers: tasks, each with at most one job and one connection
 *        └─ lanes: one for each transport: how many workers it has
 *
 * A job is in one destination's queue, by sender (turns.c), or with one worker. An attempt ends with its last job; a destination
 * is forgotten when it has neither jobs nor workers and does not rest.
 */
#ifndef DELIVERY_DELIVERY_PRIVATE_H
#define DELIVERY_DELIVERY_PRIVATE_H

#include "base/map.h"
#include "delivery/client.h"
#include "delivery/delivery.h"
#include "delivery/transport.h"
#include "message/dsn.h"

enum { DSN_BYTES = SMTP_ENHANCED_BYTES };

/* ---- delivery.c: one loop's part ---- */

struct due_queue {
        struct spool_message **items; /* a ring */
        size_t room;                  /* a power of two, or 0 */
        size_t head;
        size_t count;
};

enum { DESTINATION_KEY_BYTES_MAX = 64 * 1024 };

struct delivery {
        struct loop *loop;
        struct spool *spool;
        struct routes *routes;
        size_t loop_count;

        struct due_queue due;
        struct list idle_routers;
        size_t router_count;

        struct list attempts;
        struct list spare_attempts;
        size_t spare_attempt_count;
        size_t attempt_count;
        size_t recipient_count; /* of all attempts */
        size_t closer_count;    /* tasks that write bounces */
        size_t probe_count;     /* tasks that make probes */
        struct verify *verify;  /* who asks for them; NULL: nobody */
        struct cleanup_rules *cleanup;

        struct map destinations; /* by transport and next hop */
        struct buf key;          /* of the one that is looked for */
        struct map lanes;        /* by transport name; never more than there are transports */
        struct list workers;
        struct timer sweep; /* forgets destinations that have rested */

        bool is_stopping;
        struct list tasks; /* every router and closer, to be told to stop */
        struct task *stopper;
        struct delivery_counts counts; /* the first four */
};

/* An address as a log line shows it (info_log_address_format); where that differs, in the attempt's arena. */
struct delivery_attempt;
struct str attempt_log_address(struct delivery_attempt *a, struct str address);

/* Something came to its end: more may begin, or the stopper may go on. */
void delivery_look_again(struct delivery *d);

/* A task that await_delivery_stop() can cancel; lives on that task's stack. */
struct delivery_task {
        struct list link;
        struct task *task;
};
void delivery_task_begin(struct delivery *d, struct delivery_task *t);
void delivery_task_end(struct delivery_task *t);

/* ---- attempt.c: one message, tried once ---- */

struct recipient_state {
        bool has_result;
        enum delivery_status status;
        char dsn[DSN_BYTES];
        bool is_reply;
        bool is_relayed;
        bool has_dsn;
        struct str text;
        struct str public;
        struct str remote_mta;
        struct str relay; /* for a report; empty: not shown */
};

struct delivery_attempt {
        struct list link;
        struct delivery *delivery;
        struct spool_message *message;
        struct routes *routes;
        struct arena arena;
        struct envelope envelope;
        struct recipient_state *states; /* one for each recipient of the envelope */
        size_t jobs_left;
        int64_t begun_wall_us;
        int64_t begun_us; /* monotonic */
        bool is_interrupted;
        bool is_parked; /* a job of it found no room */
};

/* Decodes, routes, and hands the jobs out. */
void await_attempt_begin(struct delivery *d, struct spool_message *m);
/* This job is over: with a result for each recipient, or interrupted. The job is gone after it. */
void attempt_job_done(struct delivery_job *job);
/* The job goes nowhere now; its message stays as it is. */
void attempt_job_drop(struct delivery_job *job);
/* The job finds no room: its message waits in the spool until it is called (revival.c), a while at most. */
void attempt_job_park(struct delivery_job *job);
/* Changes *r as the transport's filter says; `dsn` is room for its code. */
void await_status_filter(const struct delivery_job *job, struct delivery_result *r,
                         char dsn[DSN_BYTES]);
/* One result for all recipients of the job. */
void attempt_job_result_all(struct delivery_job *job, const struct delivery_result *result);
void attempt_free(struct delivery_attempt **a);
/* An administrator has given the message up (postsuper -e): nothing is tried, and who waits has failed. */
void attempt_expire(struct delivery_attempt *a);
/* What mail for a transport among defer_transports gets that nobody has flushed. */
extern const struct delivery_result attempt_waits_for_flush;
/* sendmail -bv: nothing is delivered, results are for the report alone. */
bool attempt_is_probe(const struct delivery_attempt *a);
/* Is a report wanted that has not been made? */
bool attempt_wants_report(const struct delivery_attempt *a);

/* Of a message with VERP: who it comes from, for this recipient. In the attempt's arena. */
struct str attempt_verp_sender(struct delivery_attempt *a, size_t recipient);

/* ---- probe.c: no message, only a question ---- */

void probe_job_result(struct delivery_job *job, const struct delivery_result *r);
/* With a result, or without one: somebody has stopped it. */
void probe_job_done(struct delivery_job *job);
/* No more begin. */
void probes_stop(struct delivery *d);

/* ---- bounce.c: what the sender is told ---- */

/* The recipient wants to be told of this (RFC 3461 4.1)? */
bool bounce_is_wanted(const struct recipient *r, enum dsn_action action);
/* confirm_delay_cleared: this recipient's sender was told of a delay, and hears of its end. */
bool bounce_confirms(const struct delivery_attempt *a, size_t i);
/* Bounces nobody answers: the null sender, and double_bounce_sender. */
bool bounce_has_reader(const struct delivery_attempt *a);
/* Does each recipient that fails get a bounce of its own, to its own sender (disable_verp_bounces)? */
bool bounce_is_verp(const struct delivery_attempt *a);
/*
 * Tells the sender about the recipients at `which` (indices into the envelope; all with one action; one alone when it is
 * DSN_FAILED and bounce_is_verp()). 0 when the notification is in the spool, or when nobody is to be told; else a negative
 * errno value with *why.
 */
int await_bounce_send(struct delivery_attempt *a, enum dsn_action action, const size_t *which,
                      size_t count, struct why *why);

/* The report that the envelope asks for, about all that have a result. The same values. */
int await_report_send(struct delivery_attempt *a, struct why *why);

/* ---- closing.c: the end of an attempt ---- */

/* Bounces, delay notices, the next attempt's time; then the attempt is gone. May start a task for it. */
void attempt_close(struct delivery_attempt *a);

/* ---- turns.c: the queue of a destination, in which senders take turns ---- */

struct turns {
        struct list circle; /* of senders, whose turn is next first */
        struct map senders;
        struct list probes; /* every other turn is theirs: a client waits for each */
        bool was_probe;     /* the last turn */
        size_t count;       /* jobs, probes as well */
};

void turns_init(struct turns *t);
void turns_done(struct turns *t);
void turns_add(struct turns *t, struct delivery_job *job);
/* The next; there is one. */
struct delivery_job *turns_take(struct turns *t);
/* May this job be queued, or does its sender have his part of about `jobs_max` already? */
bool turns_has_room(const struct turns *t, const struct delivery_job *job, size_t jobs_max);

/* ---- pause.c: pauses between deliveries, over all loops ---- */

/* Books the next beginning under this name: when, not before now_ms; monotonic. */
int64_t pause_book(struct str name, int64_t pause_ms, int64_t now_ms);
/* One has ended: the next begins a pause later at the earliest. */
void pause_ended(struct str name, int64_t pause_ms, int64_t now_ms);

/* ---- destination.c: a queue and a window ---- */

struct lane {
        size_t worker_count;
        size_t worker_max;   /* for this loop; 0: no limit */
        struct list starved; /* destinations that wait for a worker */
        struct list idle;    /* workers, the longest idle first */
};

struct destination {
        struct str key; /* in delivery->destinations: "transport nexthop" */
        struct delivery *delivery;
        struct routes *routes; /* keeps the transport */
        const struct transport *transport;
        struct lane *lane;
        struct turns jobs;
        struct list idle; /* workers, the last used first */
        struct list starved;
        size_t worker_count;
        size_t busy_count;

        double window; /* 0: rests */
        double success;
        double failure;
        double failed_cohorts;
        int64_t rests_until_ms;
        int64_t rest_ms;     /* the last rest; 0: none since the last success */
        int64_t rested_ms;   /* when it began */
        bool is_tried_early; /* by a probe: if that fails, the rest grows no longer */
        char dsn[DSN_BYTES]; /* why it rests */
        struct buf text;
        struct buf public;

        struct timer pause;   /* until the next delivery may begin */
        int64_t may_begin_ms; /* booked; 0: nothing is booked */

        struct buf
                parked; /* queue ids of those who found no room in `jobs`; the first byte 0: no more */
        size_t parked_at;    /* what counts of them begins here */
        struct buf stranded; /* queue ids of those who failed with it, QUEUE_ID_BYTES_MAX each */
        struct timer probe;  /* sends one of them ahead */
        int64_t probe_ms;    /* the last wait for that; 0: none since the last success */

        struct delivery_job *filling; /* while an attempt's recipients are gathered; else NULL */
};

struct destination *destination_find(struct delivery *d, struct routes *routes,
                                     const struct route *route);
/* Queues the job, starts or wakes a worker for it; or defers it at once when the destination rests. */
void destination_push(struct destination *dest, struct delivery_job *job);
/* The next job for a worker that has none; NULL when there is none or the window is full. */
struct delivery_job *destination_take(struct destination *dest);
/* What the job showed about the destination. */
void destination_succeeded(struct destination *dest);
void destination_failed(struct destination *dest, const struct delivery_job *job, const char *dsn,
                        struct str text, struct str public);
/* A delivery has come to its end: may another begin now? */
void destination_job_ended(struct destination *dest);
/* Drops what is queued, when the delivery stops. */
void destination_drain(struct destination *dest);
/* A worker has ended: those who stood in line may start one. */
void lane_serve_starved(struct lane *lane);
/* Forgets it when nothing holds it. */
void destination_let_go(struct destination *dest);
void destination_sweep(struct delivery *d);

/* ---- revival.c: who waits for a destination that is gone ---- */

void revival_init(struct destination *dest);
void revival_free(struct destination *dest);
/* This message could not get there; NULL: a probe, that is not remembered. */
void revival_note(struct destination *dest, const struct spool_message *m);
/* This message finds no room in the queue. False: too many are parked already. */
bool revival_park(struct destination *dest, const struct spool_message *m);
bool revival_has_parked(const struct destination *dest);
/* There is room again: some of those who were parked come back. */
void revival_unpark(struct destination *dest, size_t count);
/* The destination lives: those who were noted are tried now. */
void revival_tell(struct destination *dest);

/* ---- worker.c: a task that delivers one job after the other ---- */

struct worker {
        struct list link;      /* in delivery->workers */
        struct list idle;      /* in destination->idle while parked */
        struct list lane_idle; /* in lane->idle while parked */
        struct task *task;
        struct destination *destination;
        struct delivery_job *job;
        struct client *client;        /* kept for the next job; NULL: none */
        struct routes *client_routes; /* keeps the client's transport */
        bool is_to_end;
};

void worker_start(struct destination *dest, struct delivery_job *job);
/* A parked worker goes on with this job, or ends. */
void worker_resume(struct worker *w, struct delivery_job *job);
void worker_close_client(struct worker *w);

/* ---- agents ---- */

/* Never NULL: what cannot run here defers. */
delivery_agent *agent_find(struct str command);
void await_smtp_deliver(struct delivery_job *job);

/* ---- backoff.c: when to try again ---- */

/*
 * When a message that could not be delivered is tried again: as far in the future as it is old, within
 * minimal_backoff_time and maximal_backoff_time (qmgr(8)), a tenth more or less by chance so that what
 * failed together does not come back together; not past `expires_us`, its last chance. All in us, wall clock.
 */
int64_t backoff_next_us(int64_t now_us, int64_t arrival_us, int64_t expires_us, int64_t min_ms,
                        int64_t max_ms);
/*
 * A destination's rest: 10 s, doubling with each failure in a row, up to three quarters of
 * minimal_backoff_time (backoff_ms): a message that failed with it must find it over when it comes back.
 */
int64_t backoff_rest_ms(int64_t last_rest_ms, int64_t backoff_ms);
/* As Postfix writes delays: two digits that count, at most two behind the point, no zeros at the end. */
enum { DELAY_BYTES = 24 };
void delay_format(int64_t us, char out[DELAY_BYTES]);

#endif
