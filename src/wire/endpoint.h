/*
 * endpoint.h - where a service of our own network listens: inet:host:port or unix:path
 *
 * For filters and policy services, which main.cf names so. A name is asked of the C library in the pool, as these
 * hosts may stand in /etc/hosts alone.
 */
#ifndef WIRE_ENDPOINT_H
#define WIRE_ENDPOINT_H

#include "base/arena.h"
#include "wire/wire.h"

struct endpoint {
        struct str text; /* as written, for people; and the key under which connections are kept */
        struct str host; /* empty: a path */
        struct str port; /* number or service name */
        struct str path;
};

/*
 * "inet:host:port", "inet:[2001:db8::1]:port", "host:port", "unix:path", a path that does not begin with "/" being under
 * `dir`. What it keeps is in the arena. 0, or -EINVAL with *why.
 */
int endpoint_parse(struct str text, struct str dir, struct arena *arena, struct endpoint *out,
                   struct why *why);

/* To the first of its addresses that answers, with TCP_NODELAY. 0 with *out, or a negative errno value with *why. */
int await_endpoint_connect(const struct endpoint *e, int64_t deadline_ms, struct wire **out,
                           struct why *why);

#endif
