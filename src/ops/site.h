/*
 * site.h - everything that is made from one configuration
 *
 * Tables, a policy and a TLS context for each inet service, routes, mailboxes; and, once there is a spool, the
 * services themselves. `forepost check` makes one and throws it away; the server keeps one and, at a
 * reload, makes the next beside it.
 *
 * Threads: made and opened by one thread that may block; counted, so any may hold it.
 */
#ifndef OPS_SITE_H
#define OPS_SITE_H

#include "core/core.h"
#include "delivery/delivery.h"
#include "ops/keys.h"
#include "session/session.h"

struct site_service {
        const struct service *service; /* of the configuration */
        struct policy *policy;
        struct policy *stressed_policy; /* of service->stressed; NULL when there is none */
        struct cleanup_rules *cleanup;
        struct milter_set *milters;
        struct session_service *session; /* NULL until site_open() */
};

struct site {
        int refs;
        struct config *config;
        struct keys keys;
        struct table_set *tables;
        struct dns *dns;       /* NULL when its parameters are wrong: an error in the findings */
        struct policy *policy; /* of main.cf, without a service's overrides */
        struct cleanup_rules *cleanup; /* the same */
        struct routes *routes;
        struct core_mailboxes *mailboxes;
        struct site_service *services; /* by index in config->services; unused for those not inet */
        size_t service_count;
};

/*
 * Makes all of it, as the user who will serve, and adds what is wrong to *findings. Also when there are
 * errors; such a site must not serve. Takes a reference to the configuration, and the keys, which were
 * made from it.
 */
struct site *site_new(struct config *c, struct keys *keys, struct findings *findings);
/* The same with answers from elsewhere; `dns` may be NULL: as configured. */
struct site *site_new_with_dns(struct config *c, struct keys *keys, struct dns *dns,
                               struct findings *findings);
/* What the dns_* parameters ask for; NULL with *why, which begins "dns_parameter: ". */
struct dns *site_dns_new(const struct params *p, struct why *why);
/* Makes the services that sessions are made from; `flush` is what ETRN calls. */
struct site_hearing { /* who hears of refusals, or of all replies (session.h) */
        session_hear *hear;
        void *context;
        bool hears_all;
        bool is_rehearsal, is_offline;                          /* session.h */
        void (*await_record)(void *context, struct str record); /* NULL: no records of sessions */
        void *record_context;
};
void site_open(struct site *s, struct spool *spool, struct verify *verify, session_flush *flush,
               void *flush_context, const struct site_hearing *hearing);

/* The service of those who submit on this machine, after site_open(). */
struct session_service *site_submission(const struct site *s);

struct site *site_ref(struct site *s);
void site_unref(struct site **s);

/* Looks at all files of tables. Blocks. */
void site_refresh(struct site *s);

#endif
