/*
 * route.h - where does this recipient go? (transport(5), ADDRESS_CLASS_README)
 *
 * Made from one configuration, immutable and counted.
 */
#ifndef DELIVERY_ROUTE_H
#define DELIVERY_ROUTE_H

#include "cleanup/cleanup.h"
#include "config/internal_mail.h"
#include "policy/dns_filter.h"
#include "policy/policy.h"
#include "wire/tls.h"

struct outgoing_rules; /* cleanup/outgoing.h */
struct routes;

/*
 * transport_maps, relocated_maps, relayhost, sender_dependent_*, the *_transport parameters, the unix services of master.cf with their
 * overrides, TLS for clients. Takes references of its own to the configuration, the tables and the policy.
 * Findings: an unknown transport, one that is not there (local, pipe), a relayhost that is ourselves, missing
 * maps, TLS policies that make no sense. Returns routes also when there are
 * errors, for tools.
 */
struct routes *routes_new(struct config *c, struct table_set *tables, struct policy *policy,
                          struct findings *findings);
struct routes *routes_ref(struct routes *r);
void routes_unref(struct routes **r);

struct config *routes_config(const struct routes *r);
struct policy *routes_policy(const struct routes *r);
/* What messages of our own of this kind go through. */
struct cleanup_rules *routes_own_mail(const struct routes *r, enum internal_mail class);

/* How a destination's concurrency moves: "1", "0.5", "1/concurrency", "1/sqrt_concurrency". */
struct feedback {
        enum { FEEDBACK_PLAIN, FEEDBACK_BY_CONCURRENCY, FEEDBACK_BY_SQRT } kind;
        double value;
};

/* A way out: a unix service of master.cf, or a stock one. Lives as long as the routes. */
struct transport {
        struct str name;             /* the first column of master.cf */
        struct str command;          /* what runs: "smtp", "virtual", "error", "retry", "discard" */
        struct str log_name;         /* "smtp", "relay/smtp": who speaks in the log */
        const struct params *params; /* with its overrides */
        struct tls_context
                *tls; /* of a client; NULL: never STARTTLS. What it has to be: tls_rule.h */
        struct table_list *tls_policies;    /* smtp_tls_policy_maps */
        struct table_list *sasl_passwords;  /* smtp_sasl_password_maps; NULL: we sign in nowhere */
        struct match_list *sasl_mechanisms; /* smtp_sasl_mechanism_filter; NULL: all */
        struct table_list *reply_filter;    /* smtp_reply_filter; NULL: none */
        struct table_list *discard_maps;    /* smtp_discard_ehlo_keyword_address_maps; NULL: none */
        struct table_list *pix_maps;        /* smtp_pix_workaround_maps; NULL: none */
        struct table_list *status_filter; /* smtp_delivery_status_filter and its kin; NULL: none */
        struct dns_filter *dns_filter;    /* smtp_dns_reply_filter; NULL: none */
        struct outgoing_rules
                *outgoing; /* smtp_generic_maps, smtp_header_checks and its kin; NULL: none */

        /* TRANSPORT_destination_..., else default_destination_...; 0: no limit */
        int64_t concurrency_initial;
        int64_t concurrency_limit;
        int64_t recipient_limit;
        int64_t failed_cohort_limit;
        int64_t destination_pause_ms; /* TRANSPORT_destination_rate_delay; 0: none */
        int64_t transport_pause_ms;   /* TRANSPORT_transport_rate_delay */
        struct feedback positive;
        struct feedback negative;
        bool waits_for_flush; /* defer_transports */
        int process_limit;    /* connections at the same time, all loops together; 0: no limit */
};

struct route {
        const struct transport *transport;
        struct str
                nexthop; /* "[core.example]:2600", "example.com", text of error:; may be a list */
        bool is_hidden;  /* no bounce may show the next hop's name, address or words about itself */
};

/* What a route depends on. */
struct route_query {
        const struct smtp_address *recipient;
        struct str sender; /* sender_dependent_*: as in the envelope; empty: the null sender */
        struct str
                filter; /* FILTER, content_filter: "transport:nexthop" that all goes through; or empty */
        bool is_probe; /* the way of a probe: the address_verify_ parameters count */
};
/* 0 with views in `arena`, or -EAGAIN with *why (a table cannot be asked, a transport that does not exist). */
int await_route_find(struct routes *r, const struct route_query *query, struct arena *arena,
                     struct route *out, struct why *why);

/*
 * A next hop taken apart: "host", "host:port", "[host]", "[host]:port", "[192.0.2.1]:port",
 * "[IPv6:2001:db8::1]:port", "[2001:db8::1]". Ports are numbers or names of /etc/services.
 * 0 or -EINVAL.
 */
struct nexthop {
        struct str host; /* without brackets and without "IPv6:" */
        uint16_t port;
        bool wants_mx;      /* no brackets */
        bool wants_srv;     /* the same, also for LMTP, which has no MX */
        struct str service; /* the port as it was written, or empty */
};
int nexthop_parse(struct str text, uint16_t default_port, struct nexthop *out);
/* The next of several, separated by comma or blanks; false at the end. */
bool nexthop_next(struct str *list, struct str *text);
/* "25", "smtp": 0 or -EINVAL. */
int nexthop_port_parse(struct str text, uint16_t *port);

#endif
