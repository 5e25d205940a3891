/*
 * queue_select.h - which messages of the queue a command is about
 *
 * What is empty or 0 asks for nothing; all that is asked for must hold. Recipients that have their result do
 * not count. Pure.
 */
#ifndef OPS_QUEUE_SELECT_H
#define OPS_QUEUE_SELECT_H

#include "spool/spool.h"

struct queue_select {
        struct str sender;    /* an address, "@domain", or "<>": the null sender; any case */
        struct str recipient; /* the same of one who waits, as it is now or as the client said it */
        struct str destination; /* the domain of one who waits; or a next hop: see below */
        struct str reason;      /* words in the reason of one who waits; any case */
        struct str queue;       /* "active", "deferred" or "hold" */
        int64_t older_s;        /* it came so many seconds ago, or earlier */
};

bool queue_select_is_empty(const struct queue_select *s);

/*
 * "[core1]:25", "[192.0.2.1]" and "core1:25" are next hops: where a message goes is known to the routes alone,
 * so whoever asks queue_select_matches() asks delivery/ for these himself.
 */
bool queue_select_is_nexthop(const struct queue_select *s);

/* All but a destination that is a next hop. */
bool queue_select_matches(const struct queue_select *s, const struct spool_info *info,
                          int64_t now_us);

/* 0, or -EINVAL with *why: a queue that there is not, a control character, an age that is none. */
int queue_select_check(const struct queue_select *s, struct why *why);

#endif
