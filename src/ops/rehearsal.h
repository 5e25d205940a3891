/*
 * rehearsal.h - a made-up session through the real code: what would be answered, and why (forepost explain, replay)
 *
 * The site of a configuration is made as for the server, but with a spool in a directory that is thrown away, the DNS asked or
 * given, no limits of rate, no pauses, and no delivery. A session is then held with it over loopback; the client's address goes
 * ahead of it as a balancer would tell it. The policy services and milters that the configuration names
 * are asked, or, offline, are not; the trace then says so.
 *
 * Threads: one loop, on the calling thread; one rehearsal at a time in a process.
 */
#ifndef OPS_REHEARSAL_H
#define OPS_REHEARSAL_H

#include "dns/dns.h"
#include "ops/explanation.h"
#include "ops/site.h"

struct rehearsal;

struct rehearsal_client {
        struct str address; /* of the client */
        uint16_t port;      /* 0: any */
        struct str helo;
        struct str sender; /* empty: the null sender */
        bool has_sender;   /* else the session ends after the HELO */
        const struct str *recipients;
        size_t recipient_count;
        struct str message; /* empty: ends before DATA. Lines end in LF or CR LF */
        bool has_message;
        bool wants_tls;
};

/* Each reply, as explanation.h writes it. Views are valid during the call. */
typedef void rehearsal_hear(void *context, struct str record);

struct rehearsal_options {
        const char *dir; /* of the configuration */
        const struct config_override *overrides;
        struct str service; /* the name in the first column of master.cf; empty: the first smtpd */
        struct dns *dns;    /* NULL: as configured */
        bool is_offline;    /* policy services and milters are not asked, no probes made */
};
/* Findings are those of the site; with errors among them, and with others, NULL and *why. */
struct rehearsal *rehearsal_new(const struct rehearsal_options *options, struct findings *findings,
                                struct why *why);
/* Holds one session. 0, or an error with *why: the session did not come to its end. */
int rehearsal_hold(struct rehearsal *r, const struct rehearsal_client *client, rehearsal_hear *hear,
                   void *context, struct why *why);
void rehearsal_free(struct rehearsal **r);

#endif
