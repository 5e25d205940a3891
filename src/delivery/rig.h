/*
 * rig.h - for tests: delivery with a real spool, a configuration from text and a scripted peer, on one loop
 *
 * Mail for dest.test, relay.test and hidden next hops goes to the peer (RIG_MAIN_CF); mail for sender.test,
 * where bounces go, is caught.
 */
#ifndef DELIVERY_RIG_H
#define DELIVERY_RIG_H

#include "base/unit.h"
#include "delivery/delivery_private.h"
#include "delivery/peer.h"
#include "spool/spool_kit.h"
#include "wire/tls_fixture.h"

struct rig {
        struct kit kit;
        char dir[64];
        struct findings findings;
        struct config *config;
        struct table_set *tables;
        struct policy *policy;
        struct routes *routes;
        struct delivery *delivery;
        struct peer peer;
        struct tls_fixture files;
        struct buf caught; /* messages for sender.test: "<recipient>\n" and the content */
        size_t caught_count;
        struct buf log; /* all that was logged, after the run */
        int timeout_ms; /* of all the client's waits */
        size_t loop_count;
        uint16_t outer_port; /* a server elsewhere on this machine; 0: the peer */

        /* for rig_run() */
        const char *settings;
        const char *master;
        const char *const *scripts;
        size_t script_count;
        void (*test)(struct rig *r);
};

/* The file `name` in r->dir. */
void rig_write(struct rig *r, const char *name, const char *text);
/*
 * Loads the configuration `settings` (after the rig's own lines; PEER and OTHER in it become the peer's two addresses) and runs
 * `await_test` in a task; then everything is stopped, and the log is in r->log.
 */
void rig_run(struct rig *r, const char *settings, const char *const *scripts, size_t script_count,
             void (*await_test)(struct rig *r));
void rig_done(struct rig *r);

/* Commits a message; its id into `id` when that is not NULL. */
void await_rig_send(struct rig *r, const struct envelope *e, struct str content,
                    char id[QUEUE_ID_BYTES_MAX]);
/* The same with an ordinary message. `to` has blanks between recipients. */
void await_rig_mail(struct rig *r, const char *from, const char *to);
/* Until nothing is tried any more. */
void await_rig_quiet(struct rig *r);

bool rig_log_has(const struct rig *r, const char *text);
bool rig_caught_has(const struct rig *r, const char *text);
size_t rig_log_count(const struct rig *r, const char *text);

#endif
