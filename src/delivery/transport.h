/*
 * transport.h - private to delivery/: the ways out that one configuration names
 */
#ifndef DELIVERY_TRANSPORT_H
#define DELIVERY_TRANSPORT_H

#include "delivery/route.h"

struct transport_set {
        struct transport *transports;
        size_t count;
};

/* The unix services of the configuration, and "local". All in `arena`; `tables` and `policy` stay as long. */
void transport_set_init(struct transport_set *set, const struct config *c, struct table_set *tables,
                        struct policy *policy, struct arena *arena, struct findings *findings);
/* Gives up what does not live in the arena. */
void transport_set_done(struct transport_set *set);
const struct transport *transport_find(const struct transport_set *set, struct str name);

/* Can this build run the command? Else mail waits, and *reason says why. */
bool transport_command_is_here(struct str command, const char **reason);

/* "1", "0.5", "1/concurrency", "1 / sqrt_concurrency"; 0 or -EINVAL. */
int feedback_parse(struct str text, struct feedback *out);
double feedback_amount(const struct feedback *f, double concurrency);

#endif
