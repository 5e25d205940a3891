/*
 * session.h - the inbound SMTP session (RFC 5321)
 *
 * A listener accepts connections on one loop; each becomes a task that greets, reads commands, judges
 * them by the policy of its service and takes messages into the spool. One file a verb: session_rcpt.c reads
 * like section 4.1.1.3. The front door (front_door.h) counts clients over all loops and turns away those who
 * are too many.
 *
 * Threads: a listener and its sessions belong to one loop; all calls are made there.
 * Not here: what may be (policy/), what is kept (spool/), where it goes (delivery/).
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "cleanup/cleanup.h"
#include "delivery/delivery.h"
#include "milter/milter.h"
#include "policy/policy.h"
#include "spool/spool.h"
#include "wire/tls.h"

/* What one inet service of master.cf is made of. Immutable, counted; sessions keep theirs over a reload. */
struct session_service;

/*
 * Has what waits for the domain (a name, or a literal) tried soon. Called on any loop, and does not wait; false: too much is
 * asked already.
 */
typedef bool session_flush(void *context, struct str domain);

/* What was said to a client, and how it came to that. Views are valid during the call. */
struct session_judged {
        const char *verb; /* "CONNECT", "EHLO", "RCPT"... */
        const struct policy_facts *facts;
        const struct policy_trace *trace;
        const struct smtp_reply *reply;
        struct str code;   /* of a refusal; else empty */
        struct str source; /* of a refusal: which rule, as far as one is known */
};
/* Called on the session's loop; does not wait. */
typedef void session_hear(void *context, const struct session_judged *judged);

struct session_service_parts {
        struct config *config;
        const struct service *service; /* of that config; its params rule the session */
        struct policy *policy;
        struct policy *stressed_policy; /* for service->stressed; NULL without */
        struct cleanup_rules *cleanup;
        struct milter_set *milters;
        struct routes *routes;
        struct tls_context *tls; /* NULL: no STARTTLS */
        struct spool *spool;
        struct dns *dns;
        struct verify *verify; /* outlives all services; NULL: no address can be verified */
        session_flush *flush;  /* for ETRN; NULL: there is none */
        void *flush_context;
        session_hear
                *hear; /* each refusal with a code, with `hears_all` each reply; NULL: nobody */
        void *hear_context;
        bool hears_all;
        bool is_rehearsal; /* the PROXY header and the missing pauses are the rehearsal's own: no steps of the trace */
        bool is_offline; /* policy_facts.is_offline */
        /* Each session's record (record.c) when it is over; suspends. NULL: none are made. */
        void (*await_record)(void *context, struct str record);
        void *record_context;
};

/* Takes references of its own. Makes the TLS context's absence or presence what EHLO offers. */
struct session_service *session_service_new(const struct session_service_parts *parts);
struct session_service *session_service_ref(struct session_service *s);
void session_service_unref(struct session_service **s);

/* smtpd_proxy_filter and smtpd_proxy_options of a service: what is wrong with them goes to *findings. */
void session_proxy_check(const struct config *c, const struct params *params,
                         struct findings *findings);

/* Server TLS for a service from smtpd_tls_*; NULL without an error when the level is none. */
int session_tls_new(const struct params *params, struct tls_context **out, struct why *why);

/* Clients of all loops together: connections at once and per minute, by address. */
struct front_door;
struct front_door *front_door_new(void);
void front_door_free(struct front_door **d);

/*
 * Clients that have passed postscreen's tests: into a file, and back. Block. 0 or a negative errno value with *why; -ENOENT: there is
 * none to read.
 */
int front_door_save_known(struct front_door *d, const char *path, struct why *why);
int front_door_load_known(struct front_door *d, const char *path, struct why *why);

struct listener;

/* Takes over the listening, non-blocking descriptor. */
struct listener *listener_start(struct loop *l, int fd, struct session_service *service,
                                struct front_door *door);
/*
 * A connection of a user of this machine, accepted elsewhere: a session begins with it, which says what Postfix says
 * of mail that its sendmail takes. The listener may have no socket of its own (`fd` -1 at its start).
 */
void listener_adopt(struct listener *li, int fd, unsigned uid);
/* After a reload: connections from now on use this. */
void listener_set_service(struct listener *li, struct session_service *service);
/* Accepts no more, and closes the descriptor; its sessions go on. */
void listener_close(struct listener *li);
/*
 * Sessions that wait for a command get 421 and end now; those inside a message may finish it until
 * deadline_ms. Suspends until none is left, then frees the listener.
 */
void await_listener_stop(struct listener **li, int64_t deadline_ms);

struct session_counts {
        uint64_t connections; /* since the start, of this listener */
        uint64_t messages;
        uint64_t refused; /* commands that got 4xx or 5xx by policy */
        size_t open;
};
void listener_count(const struct listener *li, struct session_counts *out);

#endif
