/*
 * dead_lists.h - block lists that ended, and names that must not be shown
 *
 * The catalogue is dated: what it says was so on DEAD_LISTS_AS_OF. `forepost check` reports a dead list as a
 * finding; the server never asks one (dnsbl_alive names exceptions).
 */
#ifndef CONFIG_DEAD_LISTS_H
#define CONFIG_DEAD_LISTS_H

#include "base/arena.h"

#define DEAD_LISTS_AS_OF "2026-11"

struct dead_list {
        const char *domain; /* it and all below it */
        const char *ended;  /* "May 2008" */
        const char
                *reason; /* what one finds there now, or where it went; NULL: it answers nothing */
};

/* The entry that `domain` (any case, a final dot is fine) falls under; NULL: none. */
const struct dead_list *dead_list_find(struct str domain);
/* All of them, in order; NULL past the last. */
const struct dead_list *dead_list_at(size_t i);

/*
 * The name of a list as anybody may see it. Some operators give each customer a key as a part of the name
 * (KEY.zen.dq.spamhaus.net): a first label is left out, another becomes "*". A filter and weight behind the name
 * stay. The text is in `arena`, or is `domain` itself.
 */
struct str list_domain_shown(struct str domain, struct arena *arena);
/* The key in there; empty: none. */
struct str list_domain_key(struct str domain);

#endif
