/*
 * host.h - a next hop's addresses, in the order in which they are to be tried
 *
 * "[literal]" is taken as it is, "[host]" has its addresses looked up, "host" its MX hosts (RFC 5321 5.1), or, for services among
 * use_srv_lookup, those of its SRV records with their ports (RFC 2782). Asked is
 * the resolver of the configuration (dns/dns.h), which also remembers; with smtp_host_lookup = native, or
 * disable_dns_lookups or smtp_dns_support_level = disabled, the C library in the pool, which knows /etc/hosts and remembers nothing.
 */
#ifndef DELIVERY_HOST_H
#define DELIVERY_HOST_H

#include "delivery/route.h"

#include <netinet/in.h>
#include <sys/un.h>

enum { HOST_TEXT_BYTES = 112, MX_HOSTS_MAX = 100, MX_NAME_BYTES_MAX = 256 };

struct host_address {
        /* of the host, as it was asked for (smtp_cname_overrides_servername: where its aliases end); of a literal: the literal */
        struct str name;
        char text[HOST_TEXT_BYTES]; /* "192.0.2.1", "2001:db8::1", the path of a socket */
        union {
                struct sockaddr any;
                struct sockaddr_in v4;
                struct sockaddr_in6 v6;
                struct sockaddr_un un;
        } to;
        socklen_t to_len;
        int preference; /* of the MX record, or the SRV record's priority; else 0 */
        bool is_secure; /* DNSSEC proved the name's MX (if it was asked) and this address */
};

/* 0 for a socket of this machine. */
static inline uint16_t host_address_port(const struct host_address *a)
{
        if (a->to.any.sa_family == AF_INET6)
                return ntohs(a->to.v6.sin6_port);
        return a->to.any.sa_family == AF_INET ? ntohs(a->to.v4.sin_port) : 0;
}

/* Why there are none: for the log, and for bounces. */
struct host_failure {
        bool is_permanent;
        const char *dsn; /* "5.4.4"; lives for ever */
        struct why why;
};

/*
 * 0 with at least one address in `arena`, or a negative errno value with *failure: -EAGAIN (temporary: also a wrong
 * signature), -ENOENT (no such host), -ELOOP (the mail is for us), -EDESTADDRREQ (null MX: takes no mail), -ECANCELED.
 * Of `params`: inet_protocols, myhostname, smtp_address_preference, smtp_randomize_addresses, smtp_host_lookup,
 * smtp_dns_support_level, disable_dns_lookups, use_srv_lookup and its kin, ignore_mx_lookup_error, smtp_cname_overrides_servername. Of `policy`: the resolver, and which addresses are our own.
 * `filter` is smtp_dns_reply_filter, or NULL; mail for a host of which it leaves nothing waits.
 */
int await_hosts_find(const struct policy *policy, const struct nexthop *hop,
                     const struct params *params, const struct dns_filter *filter,
                     struct arena *arena, struct host_address **out, size_t *count,
                     struct host_failure *failure);

/* ---- the order of MX hosts: pure, for tests ---- */

struct mx_host {
        int preference;
        unsigned weight; /* of SRV */
        uint16_t port;   /* of SRV; 0: the next hop's */
        struct str name;
};

struct mx_set {
        struct mx_host *hosts;
        size_t count;
};

/*
 * Lowest preference first; equals in random order when `is_random`. Our own name cuts itself and all that is
 * no better. -ELOOP when nothing is left, else 0.
 */
int mx_order(struct mx_set *set, struct str own_name, bool is_random);
/* Lowest priority first; equals by chance, in proportion to their weights, those without weight mostly last (RFC 2782). */
void srv_order(struct mx_set *set);

#endif
