/*
 * dns_filter.h - smtpd_dns_reply_filter, smtp_dns_reply_filter: records of the DNS that are to be overlooked (postconf(5))
 *
 * A null MX (RFC 7505) is none of them, as in Postfix: it says that there is no server. A table is asked for each record as a text, "name ttl IN type value" or for MX "name ttl IN MX preference value", names with a
 * dot at their end: "example.com. 3600 IN AAAA 2001:db8::1". It can say IGNORE. The ttl is the shortest of the answer.
 */
#ifndef POLICY_DNS_FILTER_H
#define POLICY_DNS_FILTER_H

#include "config/config.h"
#include "dns/dns.h"
#include "table/table.h"

struct dns_filter;

/* In `arena`. NULL: `text` names no table, or one that could not be opened, which *findings tells. */
struct dns_filter *dns_filter_open(const struct config *c, const char *parameter, struct str text,
                                   struct table_set *tables, struct arena *arena,
                                   struct findings *findings);

/*
 * What is left of the answer to a question for `type`: `a` itself when nothing goes (without a filter, too), else a copy in
 * `arena`. With nothing left it is DNS_NO_DATA, and is_dropped; with a table that cannot be asked, or says what it may not,
 * DNS_FAILED.
 */
const struct dns_answer *await_dns_filter(const struct dns_filter *f, const struct dns_answer *a,
                                          enum dns_type type, struct arena *arena);

#endif
