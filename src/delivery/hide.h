/*
 * hide.h - words about a hidden next hop, made fit to leave the network
 */
#ifndef DELIVERY_HIDE_H
#define DELIVERY_HIDE_H

#include "base/arena.h"

struct hide {
        const struct str
                *names; /* of the next hop: configured, looked up, its own word for itself */
        size_t name_count;
        const struct str *kept; /* domains that the sender wrote: theirs to see */
        size_t kept_count;
};

/*
 * `text` with "(hidden)" in place of: each of the names, names below or beside them ("mx2.core.example" beside
 * "mx1.core.example"), their first labels when those look like a machine's ("core1"), and every IP address.
 * The result is `text` itself when nothing is to be hidden.
 */
struct str hide_names(struct str text, const struct hide *h, struct arena *arena);

#endif
