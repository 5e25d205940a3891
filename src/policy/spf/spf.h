/*
 * spf.h - does the domain say that this client sends for it? (RFC 7208)
 *
 * check_host() for one identity: the record is found, read whole, and its terms are asked in order, each
 * with its questions to the DNS. What was done is kept as steps for whoever wants to see them.
 *
 * Limits (4.6.4): 10 terms that ask the DNS, 10 names of an MX or PTR answer, a number of void look-ups, and a time
 * for all. A record is at most as long as a DNS answer; SPF_STEPS_MAX steps are kept.
 *
 * Threads: a check belongs to the loop that made it.  Waits: only await_spf().
 * Memory:  everything lives in the check.
 * Not here: what becomes of a result (policy/step_spf.c), header fields (policy/spf/trace_field.c).
 */
#ifndef POLICY_SPF_SPF_H
#define POLICY_SPF_SPF_H

#include "base/arena.h"
#include "dns/dns.h"

enum spf_result { /* 2.6 */
                  SPF_NONE,
                  SPF_NEUTRAL,
                  SPF_PASS,
                  SPF_FAIL,
                  SPF_SOFTFAIL,
                  SPF_TEMPERROR,
                  SPF_PERMERROR,
};
const char *spf_result_name(enum spf_result result);

enum spf_identity { SPF_MAIL_FROM, SPF_HELO };

enum {
        SPF_TERMS_MAX = 10,
        SPF_NAMES_MAX = 10,
        SPF_STEPS_MAX = 500,
        SPF_EXPLANATION_BYTES_MAX = 500
};

/* What is asked. Views are copied. */
struct spf_query {
        unsigned char address[16]; /* of the client, IPv4 as ::ffff:a.b.c.d */
        struct str helo;
        struct str sender;          /* "local@domain" as in MAIL; empty: the null sender */
        enum spf_identity identity; /* with the null sender both are postmaster@helo (2.4) */
        struct str receiver;        /* %{r}: our name; empty: "unknown" */
        int64_t now_s;              /* %{t} */
        int64_t void_max;           /* more look-ups that find nothing are a permerror; 2 */
        int64_t deadline_ms;        /* then it is a temperror; monotonic clock */
};

/* One thing that was done. */
struct spf_step {
        int depth;         /* 0: the domain's own record; more: in an include, behind a redirect */
        struct str domain; /* whose record */
        struct str term; /* as written: "a:mail.example.com/24"; empty: the record is looked for */
        struct str target;  /* the name that was asked for, macros expanded; may be empty */
        struct str outcome; /* "match", "no match", "pass", "permerror"... */
        struct str detail;  /* the record, what the DNS said, what is wrong; may be empty */
        int64_t took_us;
};

struct spf_outcome {
        enum spf_result result;
        struct str domain;      /* that was asked about */
        struct str sender;      /* %{s} */
        bool is_helo;           /* the HELO identity: asked for, or for want of a sender */
        struct str mechanism;   /* that matched, as written; "default" when none did; else empty */
        struct str explanation; /* with SPF_FAIL: what the domain has to say; else empty */
        struct str problem;     /* with an error, or none: why */
        int term_count;         /* terms that asked the DNS */
        int void_count;         /* of them: those that found nothing */
        const struct spf_step *steps;
        size_t step_count;
        size_t steps_dropped;
};

struct spf_check;

/* Begins: the question for the record is on its way when this returns. Takes a reference of the DNS. */
struct spf_check *spf_check_new(struct dns *dns, const struct spf_query *query);
void spf_check_free(struct spf_check **c);
/* The outcome, worked out at the first call; valid until spf_check_free(). */
const struct spf_outcome *await_spf(struct spf_check *c);

#endif
