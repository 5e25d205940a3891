/*
 * key_watch.h - have certificates and keys changed on disk? (certbot renews them, and tells nobody)
 *
 * The supervisor looks every tls_watch_interval: it may read the directories. A change counts when the files have then
 * stayed the same for one more look, as certificate and key are seldom written in one instant.
 */
#ifndef OPS_KEY_WATCH_H
#define OPS_KEY_WATCH_H

#include "config/config.h"

struct key_watch {
        const struct config *config; /* that `paths` are of */
        char **paths;
        size_t count;
        uint64_t seen;    /* what was there when the server took it */
        uint64_t changed; /* what is there since the last look; 0: the same as `seen` */
        int64_t next_ms;
};

/* `config` is in force now: notes its files as they are. */
void key_watch_begin(struct key_watch *w, const struct config *config, int64_t now_ms);
/* Is it time to take the files anew? Call whenever next_ms has come (CLOCK_NEVER: there is nothing to watch). */
bool key_watch_is_due(struct key_watch *w, int64_t now_ms);
void key_watch_done(struct key_watch *w);

#endif
