/*
 * dns.h - names, addresses and what else the DNS says, validated, without a local resolver
 *
 * One struct dns is made from a configuration's dns_* parameters and shared by all loops; behind it each
 * loop has a libunbound context of its own on its own epoll, with one cache among them. Or it answers from
 * a text that was given to it (explain, tests): then nothing leaves the machine.
 *
 * Whoever asks keeps a struct dns_questions: a session, an SPF evaluation in a tool, a delivery. Nothing
 * in it is asked twice. dns_ask() starts a question and does not wait; await_dns() waits for its answer,
 * and asks first when nobody did. So ten lists cost one wait.
 *
 * An answer is trusted as far as it says: a bogus signature, SERVFAIL, a dead server and a deadline that
 * came are all DNS_FAILED, a temporary failure; never "no such name".
 *
 * Limits: a name 253 bytes in presentation form (a record that names a longer one is left out); 100 records in an
 * answer (the rest is left out), one packet of 64 KiB in all; 200 questions in one struct dns_questions (more are
 * DNS_FAILED).
 *
 * Threads: a struct dns_questions belongs to the loop that made it. A struct dns is for all.
 * Waits:   only await_* suspends; dns_ask() may be called without a task.
 */
#ifndef DNS_DNS_H
#define DNS_DNS_H

#include "base/str.h"
#include "base/why.h"

#include <stdint.h>

struct dns;

/* RFC 1035 3.2.2 and others; the numbers on the wire */
enum dns_type {
        DNS_A = 1,
        DNS_NS = 2,
        DNS_CNAME = 5,
        DNS_SOA = 6,
        DNS_PTR = 12,
        DNS_MX = 15,
        DNS_TXT = 16,
        DNS_AAAA = 28,
        DNS_SRV = 33,
        DNS_TLSA = 52,
};

enum dns_result {
        DNS_FOUND,   /* at least one record of the type */
        DNS_NO_DATA, /* the name exists, without such records */
        DNS_NO_NAME, /* NXDOMAIN */
        DNS_FAILED,  /* not to be known now */
};

struct dns_record {
        uint16_t preference;   /* of MX; of SRV (RFC 2782) its priority */
        uint16_t weight, port; /* of SRV */
        struct str
                name; /* of NS, CNAME, PTR, MX, SRV: presentation form, no final dot, lower case; "." is empty */
        struct str
                text; /* of TXT: its strings joined (RFC 7208 3.3); of A, AAAA: the address printed */
        struct str data;           /* the rdata as it came, names in it expanded only in `name` */
        unsigned char address[16]; /* of A (as ::ffff:a.b.c.d) and AAAA */
        struct {
                uint8_t usage, selector, matching;
                struct str association;
        } tlsa;
};

struct dns_answer {
        enum dns_result result;
        bool is_secure; /* DNSSEC proved it, its absence included */
        bool is_bogus;  /* with DNS_FAILED: a signature was wrong; why says which */
        bool was_cached;
        bool is_dropped; /* with DNS_NO_DATA: there were records, and a filter took them (policy/dns_filter.h) */
        int64_t ttl_ms;   /* of what was found or not found; 0 with DNS_FAILED */
        int64_t took_us;  /* from the question to the answer */
        struct str owner; /* the name that has the records: the end of the CNAMEs */
        const struct dns_record *records;
        size_t count;
        const char *why; /* with DNS_FAILED, for a person; else NULL */
};

/*
 * A record of MX says that the domain takes no mail (RFC 7505), also one among others: then these do not count (RFC 7505 3 wants
 * it alone, and does not say what is meant else; Postfix: the same).
 */
bool dns_is_null_mx(const struct dns_answer *mx);

/* ---- the resolver ---- */

/* All text as in main.cf. Empty: not given. */
struct dns_settings {
        struct str forward;           /* dns_forward: "192.0.2.1, 192.0.2.2@5353" */
        struct str stub;              /* dns_stub: "example.com 192.0.2.1@5353, ..." */
        bool wants_validation;        /* dns_validation */
        struct str trust_anchor_file; /* dns_trust_anchor_file; empty: the root's, built in */
        struct str insecure_zones;    /* dns_insecure_zones: not validated, whatever stands above */
        int64_t timeout_ms;           /* dns_timeout: the longest that one question may take */
        int64_t cache_bytes_max;      /* dns_cache_size_limit, of all loops together */
};

/*
 * NULL with *why. Sends nothing yet. With the same settings as one that is alive it is that one, so that a reload
 * keeps what is known.
 */
struct dns *dns_new(const struct dns_settings *settings, struct why *why);
/*
 * Answers from `text` alone, one record a line as in a zone: "name [ttl] [IN] TYPE data", `;` comments. "name
 * SERVFAIL", "name TIMEOUT", "name BOGUS" make all its types so, "name SECURE" says that DNSSEC proved what it has;
 * "*.zone" stands for every name below. What is not there is DNS_NO_NAME (DNS_NO_DATA when the name or one below
 * it has other records). NULL with *why, which has the line.
 */
struct dns *dns_new_given(struct str text, struct why *why);
/* Other answers for a struct dns made by dns_new_given(), while nobody asks it. 0 or -EINVAL: it keeps the old ones. */
int dns_give(struct dns *d, struct str text, struct why *why);
struct dns *dns_ref(struct dns *d);
void dns_unref(struct dns **d);
/*
 * This thread's loop ends, and asks no more: frees what all resolvers have on it. On the loop's own thread, before it
 * stops; all dns_questions of this loop are freed then.
 */
void dns_leave_loop(void);

/* ---- questions ---- */

struct dns_questions;

struct dns_questions *dns_questions_new(struct dns *d);
/* Cancels what is under way; all answers end with it. No task may wait in it. */
void dns_questions_free(struct dns_questions **q);

/*
 * Starts it, unless it was asked in here before. `name` in presentation form, with or without a final dot; UTF-8
 * labels become A-labels (RFC 5891). What is no name (too long, an empty label) is DNS_NO_NAME at once.
 */
void dns_ask(struct dns_questions *q, struct str name, enum dns_type type);
/*
 * The answer; never NULL, valid until dns_questions_free(). With `deadline_ms` (monotonic clock; CLOCK_NEVER: only
 * dns_timeout counts) in the past or the task cancelled it is a DNS_FAILED that says so, and an answer that comes
 * later is had by asking again.
 */
const struct dns_answer *await_dns(struct dns_questions *q, struct str name, enum dns_type type,
                                   int64_t deadline_ms);
/* The same without waiting: NULL while it is not known. */
const struct dns_answer *dns_peek(struct dns_questions *q, struct str name, enum dns_type type);
/* In the order in which they were asked, answered or not (answer NULL): for `explain` and records. */
typedef void dns_visit(void *context, struct str name, enum dns_type type,
                       const struct dns_answer *answer);
void dns_questions_each(const struct dns_questions *q, dns_visit *visit, void *context);

/* ---- names ---- */

enum { DNS_NAME_BYTES_MAX = 254 };
/* Can a name without escapes be asked for (RFC 1035)? Labels of 1 to 63 bytes, 253 in all; no final dot. */
bool dns_name_is_valid(struct str name);
/* "1.2.0.192" or the 32 nibbles, with `zone` behind: of an address as in client_bits, for PTR and block lists. */
struct str dns_reverse(const unsigned char address[16], struct str zone,
                       char out[DNS_NAME_BYTES_MAX]);
const char *dns_type_name(enum dns_type type);
const char *
dns_result_name(enum dns_result result); /* "found", "no data", "no such name", "failed" */

/* ---- figures: since start, of all loops ---- */
struct dns_figures {
        uint64_t asked, cached, found, no_data, no_name, failed, bogus, timed_out;
};
void dns_figures(const struct dns *d, struct dns_figures *out);
/* By zone, and by forwarder or stub where there are some; at most 1000 lines, then "other". */
typedef void dns_figures_visit(void *context, struct str zone_or_server,
                               const struct dns_figures *figures);
void dns_figures_each(const struct dns *d, dns_figures_visit *visit, void *context);

#endif
