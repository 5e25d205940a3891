/*
 * sasl.h - signing in at a next hop (SMTP AUTH, RFC 4954; SASL_README, "Enabling SASL authentication in the Postfix
 * SMTP/LMTP client")
 *
 * Who we are there is said by smtp_sasl_password_maps ("user:password"), by the sender
 * (smtp_sender_dependent_authentication), by the host, or by the next hop as it is written: "[mx.example]:587". A server
 * for which there is no entry, and one that offers no AUTH, gets the mail without, as in Postfix.
 *
 * Passwords are shown nowhere: no log line, no trouble has them.
 */
#ifndef DELIVERY_SASL_H
#define DELIVERY_SASL_H

#include "delivery/route.h"

/* Best first. */
enum sasl_mechanism {
        SASL_SCRAM_SHA_256, /* RFC 7677 */
        SASL_SCRAM_SHA_1,   /* RFC 5802 */
        SASL_CRAM_MD5,      /* RFC 2195 */
        SASL_PLAIN,         /* RFC 4616 */
        SASL_LOGIN,
        SASL_MECHANISMS
};
const char *sasl_name(enum sasl_mechanism m);

/* The mechanisms of "PLAIN LOGIN" that we know: 1 << enum sasl_mechanism. */
unsigned sasl_offered(struct str words);

/* What an observer of the connection could do, and so which mechanisms do. */
enum sasl_cover { SASL_IN_CLEAR, SASL_UNDER_TLS, SASL_UNDER_VERIFIED_TLS };

struct sasl_login {
        struct str user; /* empty: there is no entry */
        struct str password;
};

/*
 * Who we are towards `host`, reached as `nexthop`, for mail of `sender` (empty: the null sender). 0 with *out, in `arena`;
 * -EAGAIN with *why: a table cannot be asked, or an entry is no "user:password".
 */
int await_sasl_login(const struct transport *t, struct str sender, struct str host,
                     struct str nexthop, struct arena *arena, struct sasl_login *out,
                     struct why *why);

/*
 * The best of `offered` that smtp_sasl_security_options (and its kin for TLS) and smtp_sasl_mechanism_filter let us use. 0,
 * -ENOENT (none), -EAGAIN with *why.
 */
int await_sasl_choose(const struct transport *t, unsigned offered, enum sasl_cover cover,
                      struct arena *arena, enum sasl_mechanism *out, struct why *why);

/*
 * smtp_sasl_auth_cache_name: a server that has refused us (535) is not asked again with the same password until
 * smtp_sasl_auth_cache_time is over: it might lock the account. Kept in memory, for all loops and connections together, the
 * SASL_REFUSALS_MAX latest.
 */
enum { SASL_REFUSALS_MAX = 10000 };
struct sasl_refusal {
        char dsn[12];
        struct str text; /* "535 5.7.8 no"; what is longer than 512 bytes is cut */
};
/* Server and user are known by `host` and login->user; the password is kept as a digest. `now_us` is wall clock. Any thread. */
void sasl_refusal_note(const struct params *p, struct str host, const struct sasl_login *login,
                       const struct sasl_refusal *refusal, int64_t now_us);
/* The refusal that counts now, its text in `arena`; false: ask. */
bool sasl_refusal_find(const struct params *p, struct str host, const struct sasl_login *login,
                       int64_t now_us, struct arena *arena, struct sasl_refusal *out);

/*
 * Opens the tables of a transport, and tells what is wrong in its smtp_sasl_ parameters: of smtp_sasl_password_maps at
 * `maps_at`, of others at `at`.
 */
void sasl_read(struct transport *t, struct table_set *tables, struct place maps_at, struct place at,
               struct findings *findings);

/* ---- one exchange (libgsasl) ---- */

struct sasl_exchange;
/* NULL with *why. `login` stays as long. */
struct sasl_exchange *sasl_exchange_new(enum sasl_mechanism m, const struct sasl_login *login,
                                        struct why *why);
void sasl_exchange_free(struct sasl_exchange **x);
/*
 * The answer to a challenge, both in base64; the first challenge is empty, and an empty answer to it means that the server
 * speaks first. 0 with *answer (of the exchange, until the next step), or -EPROTO with *why: the challenge makes no
 * sense, or asks for too much work.
 */
int sasl_exchange_step(struct sasl_exchange *x, struct str challenge, struct str *answer,
                       struct why *why);

#endif
