/*
 * verify.h - does this address take mail? (verify(8), ADDRESS_VERIFICATION_README)
 *
 * Whoever wants to know asks await_verify_ask(). What is remembered is answered at once; else a probe is made, one for all who ask
 * meanwhile on any loop, and they wait for it, no longer than they want to. How a probe is made is not known here: each
 * loop has somebody who does it (verify_serve).
 *
 * What was found out is kept in memory, bounded, and in a file: a good address for address_verify_positive_expire_time, a
 * refused one for address_verify_negative_expire_time. Which forgets what, and why a probe that failed takes nobody's good
 * name: doc/decisions/0062-verified-addresses.md.
 *
 * Threads: ask and answer from any loop. Waits: only await_verify_ask() suspends; verify_open() and verify_write() block.
 * Memory:  keeps copies; texts of answers are in the arena given.
 * Not here: what is refused (policy/step_verify.c), how it is found out (delivery/probe.c).
 */
#ifndef STATE_VERIFY_H
#define STATE_VERIFY_H

#include "base/arena.h"
#include "base/why.h"
#include "config/config.h"
#include "loop/loop.h"
#include "smtp/command.h"

struct verify;

/* The address_verify_ parameters are those of `p`, which need not live on. */
struct verify *verify_new(const struct params *p);
/* After a reload. */
void verify_set_params(struct verify *v, const struct params *p);
/* When nobody asks and no probe is under way any more. Takes NULL, sets NULL. */
void verify_free(struct verify **v);

enum verify_status {
        VERIFY_PENDING,       /* not known yet: the text says so */
        VERIFY_DELIVERABLE,   /* somebody would take it */
        VERIFY_UNDELIVERABLE, /* refused for good */
        VERIFY_DEFERRED,      /* nobody could be asked, or he would not say now */
};
/* "deliverable", for people */
const char *verify_status_words(enum verify_status status);

enum { VERIFY_TEXT_BYTES_MAX = 500 };

struct verify_answer {
        enum verify_status status;
        struct str text; /* fit to be shown to a stranger; at most VERIFY_TEXT_BYTES_MAX */
        bool was_cached;
};
/*
 * `address` as it is sent: "user@domain". Waits at most `wait_ms` for a probe; 0: does not wait, but one is made. Over
 * address_verify_pending_request_limit none is made, and the answer is VERIFY_PENDING.
 */
void await_verify_ask(struct verify *v, struct str address, int64_t wait_ms, struct arena *arena,
                      struct verify_answer *out);

/* ---- those who make probes ---- */

struct verify_probe;
struct str verify_probe_address(const struct verify_probe *p);
/*
 * Who makes the probes that are asked for on this loop. `start` is called there, does not wait, and takes the probe over: it
 * ends with verify_probe_done(), once, on any thread. NULL: nobody any more.
 */
typedef void verify_start(void *context, struct verify_probe *p);
void verify_serve(struct verify *v, struct loop *l, verify_start *start, void *context);
/*
 * What was found out; VERIFY_PENDING: nothing, and nothing is remembered (we are about to stop). The probe is gone.
 */
void verify_probe_done(struct verify_probe *p, enum verify_status status, struct str text);

/* ---- the file ---- */

/*
 * Reads what was kept, and keeps it there from now on. Lines that cannot be read are left out. 0, or a negative errno value
 * with *why: then nothing is kept.
 */
int verify_open(struct verify *v, const char *path, struct why *why);
/* Adds what is new; makes the file anew when it is time to. From one thread at a time. 0 or a negative errno value. */
int verify_write(struct verify *v, struct why *why);

struct verify_counts {
        size_t entries;
        size_t probes; /* under way */
};
void verify_count(struct verify *v, struct verify_counts *out);

/* ---- the sender of probes ---- */

/* By address_verify_sender and its _ttl; empty: the null sender. */
struct str verify_sender(const struct params *p, int64_t now_s, struct arena *arena);
/*
 * Is it the sender of our own probes (with a _ttl: one of now, or the one before or after)? It is always a recipient, or two
 * servers that probe each other's senders would refuse each other for ever.
 */
bool verify_sender_is(const struct params *p, int64_t now_s, const struct smtp_address *address);

#endif
