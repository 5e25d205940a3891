/*
 * host.h - a next hop's addresses, in the order in which they are to be tried
 *
 * "[literal]" is taken as it is, "[host]" has its addresses looked up, "host" its MX hosts (RFC 5321 5.1).
 * Look-ups run in the pool by the C library; a small cache for each loop keeps answers for a minute at
 * most, and tasks that ask for the same name wait for one look-up.
 *
 * The room dns/ will take this over behind the same face.
 */
#ifndef DELIVERY_HOST_H
#define DELIVERY_HOST_H

#include "delivery/route.h"

#include <netinet/in.h>
#include <sys/un.h>

enum { HOST_TEXT_BYTES = 112 };

struct host_address {
        struct str name; /* of the host, as it was asked for; of a literal: the literal */
        char text[HOST_TEXT_BYTES]; /* "192.0.2.1", "2001:db8::1", the path of a socket */
        union {
                struct sockaddr any;
                struct sockaddr_in v4;
                struct sockaddr_in6 v6;
                struct sockaddr_un un;
        } to;
        socklen_t to_len;
        int preference; /* of the MX record; else 0 */
};

/* Why there are none: for the log, and for bounces. */
struct host_failure {
        bool is_permanent;
        const char *dsn; /* "5.4.4"; lives for ever */
        struct why why;
};

struct host_cache;
struct host_cache *host_cache_new(void);
/* When no task waits in await_hosts_find() any more. */
void host_cache_free(struct host_cache **c);

/*
 * 0 with at least one address in `arena`, or a negative errno value with *failure: -EAGAIN (temporary),
 * -ENOENT (no such host), -ELOOP (the mail is for us), -EDESTADDRREQ (null MX: takes no mail),
 * -ECANCELED. Of `params`: inet_protocols, myhostname, smtp_address_preference, smtp_randomize_addresses.
 */
int await_hosts_find(struct host_cache *cache, const struct nexthop *hop,
                     const struct params *params, struct arena *arena, struct host_address **out,
                     size_t *count, struct host_failure *failure);

/* ---- MX records: pure, for tests ---- */

enum { MX_HOSTS_MAX = 100, MX_NAME_BYTES_MAX = 256 };

struct mx_host {
        int preference;
        char name[MX_NAME_BYTES_MAX]; /* without the final dot */
};

struct mx_set {
        struct mx_host *hosts;
        size_t count;
        bool is_null;   /* RFC 7505: takes no mail */
        int64_t ttl_ms; /* the least of them */
};

/*
 * Reads the answer section of a DNS message. Hosts in `arena`, at most MX_HOSTS_MAX. 0 (count may be 0), or
 * -EBADMSG.
 */
int mx_parse(const unsigned char *packet, size_t bytes, struct arena *arena, struct mx_set *out);
/*
 * Lowest preference first; equals in random order when `is_random`. Our own name cuts itself and all that is
 * no better. -ELOOP when nothing is left, else 0.
 */
int mx_order(struct mx_set *set, struct str own_name, bool is_random);

#endif
