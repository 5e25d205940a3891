/*
 * tls_rule.h - what TLS has to be towards one next hop (TLS_README; postconf(5), smtp_tls_policy_maps)
 *
 * smtp_tls_security_level and its kin say it for a transport; smtp_tls_policy_maps for a next hop: "secure
 * match=mx.example:.example protocols=TLSv1.3". A rule that cannot be read, or a table that cannot be asked, makes the
 * mail wait: it never goes with less than was meant.
 *
 * Not here: levels dane and dane-only.
 */
#ifndef DELIVERY_TLS_RULE_H
#define DELIVERY_TLS_RULE_H

#include "delivery/route.h"

struct tls_rule {
        int level;            /* TLS_LEVEL_NONE and up, never unset */
        struct str protocols; /* for the handshake, as struct tls_options has them */
        struct str ciphers;
        struct str excluded;
        struct str servername; /* smtp_tls_servername: a name, "hostname", "nexthop", or empty */
        struct str
                matches; /* verify, secure: names; fingerprint: fingerprints; with blanks, commas or "|" between */
        struct str
                anchor_files; /* tafile=, with blanks between: certificates that end a chain; empty: the transport's */
        struct str nexthop_name; /* what "nexthop" means in both */
};

/* 0 with views in `arena` or of the transport; -EAGAIN with *why. `nexthop` as routed: "[mx.example]:25". */
int await_tls_rule(const struct transport *t, struct str nexthop, struct arena *arena,
                   struct tls_rule *out, struct why *why);

/* Pure: what one entry of smtp_tls_policy_maps makes of the transport's own rule. 0, or -EINVAL with *why. */
int tls_rule_apply(struct tls_rule *rule, const struct params *p, struct str entry,
                   struct arena *arena, struct why *why);
/* The transport's own rule for this next hop. */
void tls_rule_init(struct tls_rule *rule, const struct params *p, struct str nexthop,
                   struct arena *arena);

static inline bool tls_rule_needs_tls(const struct tls_rule *r)
{
        return r->level >= TLS_LEVEL_ENCRYPT;
}

/* The i-th of `matches` with its word replaced; false at the end. "dot-nexthop" is ".example.com". */
bool tls_rule_next_match(const struct tls_rule *r, struct str *rest, struct str host,
                         struct arena *arena, struct str *out);

#endif
