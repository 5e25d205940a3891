/*
 * dnsbl.h - lists in the DNS: block lists, allow lists, lists of names; and how far each is believed
 *
 * A list is a server of somebody else. It may be gone, refuse our questions, or list the whole world, and then
 * no mail may suffer. So each list that is used has one record in this process, for all configurations
 * and loops: what it was asked, what it said, and whether it is well. A list that is not well is switched
 * off: it is not asked for any client, and says so in the log and in `forepost dnsbl`, until a test finds it well.
 *
 *      refuses       it answered 127.255.255.0/24: our question was refused (a public resolver, too many)
 *      lists all     it listed what no list may list: 127.0.0.1, or INVALID (RFC 5782 section 5)
 *      out of range  it answered with an address outside 127.0.0.0/8, or 127.0.0.1: a domain for sale
 *      unreachable   it did not answer, several times in a row
 *      over budget   it was asked dnsbl_query_budget times today
 *      dead          the catalogue of dead lists has it (config/dead_lists.h)
 *
 * "silent" is not off: its test point is not listed, so it is empty, or does not follow RFC 5782; it can do
 * no harm and may yet do good.
 *
 * The test: 127.0.0.2 (TEST) is listed; 127.0.0.1 (INVALID) and a random address of 127.0.0.0/8 (name below
 * invalid.) are not. The random one is in no cache: a list that has begun to list all is found out although the
 * fixed points are remembered. A list is tested before its first word counts, then every dnsbl_test_interval;
 * and once it has listed somebody, a test vouches for 30 seconds: a later listing waits for the next.
 *
 * Threads: any; the records have one lock. A struct dnsbl_visit belongs to a session.
 * Waits:   only await_*.
 */
#ifndef POLICY_DNSBL_H
#define POLICY_DNSBL_H

#include "base/arena.h"
#include "base/why.h"
#include "dns/dns.h"

/* ---- as configured: domain[=filter][*weight] (postscreen_dnsbl_sites) ---- */

/* d.d.d.d, each a number or [a;b..c]: which replies count. */
struct dnsbl_filter {
        bool is_set; /* else all count */
        uint32_t sets[4][8];
};

struct dnsbl_site {
        struct str domain; /* a view; no final dot */
        struct dnsbl_filter filter;
        int weight; /* 1 when none is given */
};

enum {
        DNSBL_WEIGHT_MAX = 1000000,
        DNSBL_DOMAIN_BYTES_MAX = 190, /* so that the nibbles of an IPv6 address fit in front */
};

/* 0, or -EINVAL with *why. Without `takes_weight` a "*" is an error. */
int dnsbl_site_parse(struct str text, bool takes_weight, struct dnsbl_site *out, struct why *why);
bool dnsbl_filter_matches(const struct dnsbl_filter *f, const unsigned char reply[4]);

/* ---- answers ---- */

enum dnsbl_answer {
        DNSBL_NOT_LISTED,
        DNSBL_LISTED,
        DNSBL_REFUSED,      /* 127.255.255.0/24 */
        DNSBL_OUT_OF_RANGE, /* no reply of a list at all */
        DNSBL_FAILED,
};

enum dnsbl_kind { DNSBL_OF_ADDRESSES, DNSBL_OF_NAMES };

/*
 * What an A answer of a list means. One bad record spoils all. 127.0.1.255 of a list of names says that an
 * address was asked for: not listed.
 */
enum dnsbl_answer dnsbl_answer_read(const struct dns_answer *answer, enum dnsbl_kind kind);

/* ---- lists ---- */

struct dnsbl_list;

enum dnsbl_state {
        DNSBL_UNTESTED,
        DNSBL_WELL,
        DNSBL_SILENT,
        /* switched off: */
        DNSBL_OFF_REFUSES,
        DNSBL_OFF_LISTS_ALL,
        DNSBL_OFF_OUT_OF_RANGE,
        DNSBL_OFF_UNREACHABLE,
        DNSBL_OFF_DEAD,
};
const char *dnsbl_state_name(enum dnsbl_state state);

/* How lists are governed: the parameters of main.cf. */
struct dnsbl_rules {
        int64_t test_ms;   /* dnsbl_test_interval */
        int64_t retry_ms;  /* dnsbl_retry_interval */
        struct str alive;  /* dnsbl_alive */
        struct str budget; /* dnsbl_query_budget */
};

enum { DNSBL_LISTS_MAX = 1000 };

/*
 * The record of a list, counted; the same domain and kind is the same record. NULL when DNSBL_LISTS_MAX are
 * there. The newest rules count for all who use it.
 */
struct dnsbl_list *dnsbl_list_get(struct str domain, enum dnsbl_kind kind,
                                  const struct dnsbl_rules *rules);
void dnsbl_list_put(struct dnsbl_list **list);
/* For a list that an access table names: it is kept for good, and need not be given back. */
struct dnsbl_list *dnsbl_list_pin(struct str domain, enum dnsbl_kind kind,
                                  const struct dnsbl_rules *rules);
/* Wrong budget text ("domain=number, number"): -EINVAL with *why. */
int dnsbl_budget_parse(struct str text, struct str domain, int64_t *questions, struct why *why);

struct str dnsbl_list_domain(const struct dnsbl_list *list);
/* The same without a key: for logs, replies, status. */
struct str dnsbl_list_shown(const struct dnsbl_list *list);
enum dnsbl_kind dnsbl_list_kind(const struct dnsbl_list *list);
/* Puts stars over the list's key where it stands in `text`. */
void dnsbl_list_hide_key(const struct dnsbl_list *list, char *text, size_t len);
/* May it be asked for a client now? */
bool dnsbl_list_is_used(struct dnsbl_list *list, int64_t now_ms);
/* No test has come back yet: what it lists is not believed. */
bool dnsbl_list_is_untested(struct dnsbl_list *list);
/* Should it be tested before it is believed? */
bool dnsbl_list_wants_test(struct dnsbl_list *list, int64_t now_ms);

/* The names to be asked (A) for a test; valid until the next test is noted. */
enum { DNSBL_POINT_LISTED, DNSBL_POINT_UNLISTED, DNSBL_POINT_RANDOM, DNSBL_POINTS };
struct dnsbl_test {
        char names[DNSBL_POINTS][DNS_NAME_BYTES_MAX];
        unsigned questions; /* of these, that no cache answered: counted when they are */
};
void dnsbl_list_test(struct dnsbl_list *list, struct dnsbl_test *out);
/* Asks, and counts in *test what no cache answered. */
void await_dnsbl_points(struct dns_questions *questions, const struct dnsbl_list *list,
                        struct dnsbl_test *test, int64_t deadline_ms,
                        enum dnsbl_answer answers[DNSBL_POINTS]);
void dnsbl_list_note_test(struct dnsbl_list *list, const struct dnsbl_test *test,
                          const enum dnsbl_answer answers[DNSBL_POINTS], int64_t now_ms);

/* An answer about a client. */
struct dnsbl_note {
        enum dnsbl_answer answer;
        bool was_cached;
        int64_t took_us;
};
void dnsbl_list_note(struct dnsbl_list *list, const struct dnsbl_note *note, int64_t now_ms);
/* What came of a listing. */
enum dnsbl_effect {
        DNSBL_FILTERED,     /* listed, but the filter does not want this reply */
        DNSBL_WOULD_REFUSE, /* (or permit) the filter wants it */
        DNSBL_REFUSED_MAIL, /* and the client was refused by it */
};
void dnsbl_list_note_effect(struct dnsbl_list *list, enum dnsbl_effect effect);

struct dnsbl_figures {
        struct str domain; /* as shown; valid during the call */
        enum dnsbl_kind kind;
        enum dnsbl_state state;
        bool is_over_budget;
        bool is_used;
        const char *reason; /* why it is not well; "" when it is */
        int64_t since_s;    /* since when it is in this state, of 1970 */
        int64_t tested_s;   /* the last test; 0: none */
        uint64_t asked;     /* for clients */
        uint64_t cached;    /* of these, answered by the cache */
        uint64_t listed, not_listed, filtered, would_refuse, refused_mail;
        uint64_t refused, out_of_range, failed;
        uint64_t tests;
        int64_t latency_us, latency_max_us; /* mean and longest of what was not cached */
        int64_t budget, spent;              /* questions of today; budget 0: none */
};
typedef void dnsbl_visitor(void *context, const struct dnsbl_figures *figures);
/* By domain. The lock is held: no waiting inside. */
void dnsbl_each(dnsbl_visitor *visit, void *context, int64_t now_ms);

/*
 * Tests those that are due, all at once. For the office, every few seconds; `now_ms` is the loop's clock.
 * Returns how many were tested.
 */
size_t await_dnsbl_test_due(struct dns *dns, int64_t deadline_ms);

/* ---- what the lists say about one client ---- */

struct dnsbl_visit;

/*
 * For a session: its questions, and what its lists may cost it together. One listing counts once in the
 * figures however often it is asked. `questions` must outlive it.
 */
struct dnsbl_visit *dnsbl_visit_new(struct dns_questions *questions, int64_t wait_ms_max);
void dnsbl_visit_free(struct dnsbl_visit **v);

enum { DNSBL_VISIT_QUESTIONS_MAX = 100, DNSBL_REPLIES_MAX = 16 };

struct dnsbl_finding {
        enum dnsbl_answer answer; /* DNSBL_FAILED also when the list is switched off */
        bool is_off;              /* it was not asked, or is not believed */
        unsigned char replies[DNSBL_REPLIES_MAX][4];
        size_t reply_count;
        int64_t ttl_ms;
};

/* The name to ask a list of addresses for a client; empty when it is too long. */
struct str dnsbl_address_name(const struct dnsbl_list *list, const unsigned char bits[16],
                              char out[DNS_NAME_BYTES_MAX]);
/* ...a list of names for a domain. Empty for addresses in brackets, and what is no name. */
struct str dnsbl_domain_name(const struct dnsbl_list *list, struct str domain,
                             char out[DNS_NAME_BYTES_MAX]);

/* Starts the question, and the test's when one is due. Does not wait. */
void dnsbl_visit_ask(struct dnsbl_visit *v, struct dnsbl_list *list, struct str name);
/*
 * The answer. A listing is believed only when the list's test is not due, or just made: the test waits within
 * what the session has left.
 */
void await_dnsbl_visit(struct dnsbl_visit *v, struct dnsbl_list *list, struct str name,
                       struct dnsbl_finding *out);
/* The TXT records of a listing, " / " between them, printable ASCII, at most 500 bytes, without a key; may be empty. */
struct str await_dnsbl_reason(struct dnsbl_visit *v, struct dnsbl_list *list, struct str name,
                              struct arena *arena);
/* Counts the effect once for this list, name and effect. */
void dnsbl_visit_note_effect(struct dnsbl_visit *v, struct dnsbl_list *list, struct str name,
                             enum dnsbl_effect effect);
bool dnsbl_visit_had_effect(struct dnsbl_visit *v, struct dnsbl_list *list, struct str name,
                            enum dnsbl_effect effect);

#endif
