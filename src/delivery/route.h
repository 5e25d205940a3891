/*
 * route.h - where does this recipient go? (transport(5), ADDRESS_CLASS_README)
 *
 * Made from one configuration, immutable and counted.
 */
#ifndef DELIVERY_ROUTE_H
#define DELIVERY_ROUTE_H

#include "policy/policy.h"
#include "wire/tls.h"

struct routes;

/*
 * transport_maps, relayhost, the *_transport parameters, the unix services of master.cf with their overrides,
 * TLS for clients. Findings: an unknown transport, a relayhost that is ourselves, missing maps.
 */
struct routes *routes_new(const struct config *c, struct table_set *tables, struct policy *policy,
                          struct findings *findings);
struct routes *routes_ref(struct routes *r);
void routes_unref(struct routes **r);

const struct config *routes_config(const struct routes *r);
struct policy *routes_policy(const struct routes *r);

struct route {
        struct str transport; /* "relay": the master.cf name, which the log shows as service */
        struct str command;   /* what runs: "smtp", "virtual", "error", "retry", "discard" */
        struct str nexthop;   /* "[core.example]:2600", "example.com", text of error: */
        const struct params
                *params; /* of that transport, with its overrides; lives as long as the routes */
};

/* 0 with views in `arena`, or -EAGAIN with *why (a table cannot be asked, a transport that does not exist). */
int await_route_find(struct routes *r, const struct smtp_address *recipient, struct arena *arena,
                     struct route *out, struct why *why);

/* A next hop taken apart: "[host]:port", "host:port", "[host]", "host", "[192.0.2.1]", "[IPv6:...]". */
struct nexthop {
        struct str host;
        uint16_t port;
        bool wants_mx; /* no brackets */
};
int nexthop_parse(struct str text, uint16_t default_port, struct nexthop *out);

#endif
