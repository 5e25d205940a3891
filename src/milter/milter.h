/*
 * milter.h - mail filters by the milter protocol, version 6 (MILTER_README)
 *
 * A session asks its filters at each stage, one after the other; the first that refuses decides. At the end of a message each
 * filter reads all of it and may change it, once its turn is over; the next one sees what the one before has made. A
 * filter that fails has changed nothing, and stands
 * for its default action from then on. With a trace (policy_facts.trace) each question is a step of it; with
 * policy_facts.is_offline no filter is asked, and the trace says so.
 *
 * Large content streams: header fields are in memory, a body is not.
 *
 * Limits: a packet MILTER_PACKET_BYTES_MAX; a header MILTER_HEADER_BYTES_MAX and MILTER_FIELDS_MAX fields;
 * MILTER_EDITS_MAX changes by one filter; its time-outs.
 *
 * Threads: a struct milters belongs to its session's loop; sets are immutable and counted.
 * Waits:   only await_*.
 * Not here: where content lies, and how envelopes change (session/): struct milter_doors.
 */
#ifndef MILTER_MILTER_H
#define MILTER_MILTER_H

#include "base/buf.h"
#include "policy/policy.h"

enum {
        MILTER_PACKET_BYTES_MAX = 1024 * 1024 + 16,
        MILTER_HEADER_BYTES_MAX = 8 * 1024 * 1024,
        MILTER_FIELDS_MAX = 50000,
        MILTER_EDITS_MAX = 10000, /* by one filter, and MILTER_HEADER_BYTES_MAX of text in them */
};

/* ---- the filters of a service ---- */

struct milter_set;

/*
 * smtpd_milters and smtpd_milter_maps of these parameters, or, for mail that does not come by SMTP, non_smtpd_milters, with
 * all that belongs to them. What is wrong goes to *findings; there is always a set. Keeps a reference of the configuration
 * and of the tables.
 */
struct milter_set *milter_set_new(struct config *c, const struct params *params, bool is_smtp,
                                  struct table_set *tables, struct findings *findings);
struct milter_set *milter_set_ref(struct milter_set *s);
void milter_set_unref(struct milter_set **s);
/* Nobody will ever be asked. */
bool milter_set_is_empty(const struct milter_set *s);

/* ---- of one session ---- */

struct milters;

/* What filters are told beside the facts; views valid during the call. */
struct milter_args {
        struct str parameters;   /* of MAIL and RCPT, as written: "SIZE=3 BODY=8BITMIME" */
        struct str mailer, host; /* where the sender or the recipient would go */
        const struct smtp_reply
                *rejected; /* of a recipient that our rules have refused; else NULL */
};

/* NULL when none is to be asked, by smtpd_milter_maps as well. `facts` outlive it. A table that fails is a refusal. */
struct milters *await_milters_new(struct milter_set *set, const struct policy_facts *facts,
                                  struct arena *arena, struct smtp_reply *refusal);
/* Says goodbye, and waits for nothing. NULL is fine. */
void milters_free(struct milters **m);

/*
 * The stages. True: refused, with what to say (text in `arena`); 421 closes. All take NULL: nobody is asked.
 * What a filter wants besides goes to *effects: discard.
 */
bool await_milters_connect(struct milters *m, struct arena *arena, struct smtp_reply *refusal);
bool await_milters_helo(struct milters *m, struct arena *arena, struct smtp_reply *refusal);
bool await_milters_mail(struct milters *m, const struct milter_args *args,
                        struct policy_effects *effects, struct arena *arena,
                        struct smtp_reply *refusal);
bool await_milters_rcpt(struct milters *m, const struct milter_args *args,
                        struct policy_effects *effects, struct arena *arena,
                        struct smtp_reply *refusal);
/*
 * A recipient that our rules have refused (args->rejected): told to those filters that want to hear of such. What they
 * answer changes nothing.
 */
void await_milters_rejected(struct milters *m, const struct milter_args *args, struct arena *arena);
bool await_milters_data(struct milters *m, struct policy_effects *effects, struct arena *arena,
                        struct smtp_reply *refusal);
bool await_milters_unknown(struct milters *m, struct str command, struct arena *arena,
                           struct smtp_reply *refusal);
/* Which filter has refused: "main.cf:9 smtpd_milters inet:127.0.0.1:10025". For the stage that has just been. */
struct str milters_refuser(const struct milters *m, struct arena *arena);
/* The transaction is over without a message, or with one. */
void milters_end_message(struct milters *m);

/* ---- the message ---- */

/* A field that a filter makes, raw with its folds and without its last CR LF. */
struct milter_made {
        struct str before; /* a field in front of it; empty: none */
        struct str field;  /* empty: it is dropped, or one is taken out */
};

/* What the session does for the filters. All but await_field return 0 or a negative errno value with *why. */
struct milter_doors {
        void *context;
        /* The body as it is now, from `offset` on; *got 0 at its end. */
        int (*await_read)(void *context, int64_t offset, char *out, size_t room, size_t *got,
                          struct why *why);
        /* A new body begins; its bytes. */
        int (*body_begin)(void *context, struct why *why);
        int (*await_body_add)(void *context, struct str bytes, struct why *why);
        /* In its place from now on, also for await_read. */
        int (*await_body_end)(void *context, struct why *why);
        int (*await_sender)(void *context, struct str address, struct str parameters,
                            struct why *why);
        int (*await_recipient_add)(void *context, struct str address, struct str parameters,
                                   struct why *why);
        int (*recipient_remove)(void *context, struct str address, struct why *why);
        /* milter_header_checks. False: they refuse the message, with *refusal. */
        bool (*await_field)(void *context, struct milter_made *made, struct smtp_reply *refusal);
};

/* The header as fields, each raw with its folds and without its last CR LF. */
struct milter_header {
        struct arena *arena;
        struct milter_field {
                struct str raw;
                bool is_hidden; /* our own Received: filters know nothing of it */
        } * fields;
        size_t count, room;
        bool is_changed;
};

/*
 * Takes a header apart (up to and with its blank line, if it has one); Received within its first `ours_bytes` is ours.
 * -E2BIG when it is too much.
 */
int milter_header_init(struct milter_header *h, struct str text, size_t ours_bytes,
                       struct arena *arena);
/* The same fields in an array of its own. 0 or -E2BIG. */
int milter_header_copy(const struct milter_header *h, struct milter_header *out);
/* All fields again, without the blank line. 0 or -ENOBUFS. */
int milter_header_put(const struct milter_header *h, struct buf *out);

/*
 * All filters, one after the other. True: refused. Else *header, and by the doors the body and the envelope, are what they
 * made of them; effects: hold, discard.
 */
bool await_milters_message(struct milters *m, struct milter_header *header,
                           const struct milter_doors *doors, struct policy_effects *effects,
                           struct arena *arena, struct smtp_reply *refusal);

#endif
