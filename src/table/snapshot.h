/*
 * snapshot.h - what a table says, swapped while threads look at it
 *
 * What was read at one time is a snapshot: immutable, counted, freed by the last who looks at it. Taking the newest and
 * its count happens under a lock that is held for two instructions. So that threads which look at one table do not pass
 * a lock and a counter from processor to processor, each has a lane of its own: a lock, a pointer, and a share of the
 * snapshot with its own count. The snapshot counts its shares that are in use, and ends with the last.
 */
#ifndef TABLE_SNAPSHOT_H
#define TABLE_SNAPSHOT_H

#include "table/table_private.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
        SNAPSHOT_LANES = 16, /* threads beyond these share them */
        SNAPSHOT_CACHE_LINE = 64,
};

struct snapshot_lane {
        _Alignas(SNAPSHOT_CACHE_LINE) pthread_mutex_t lock;
        struct table_snapshot *now;
        atomic_ullong looks, errors; /* by the threads of this lane */
};

/* The newest, and how often it was asked; wants memory aligned to SNAPSHOT_CACHE_LINE. */
struct snapshots {
        const struct table_type *type;
        struct snapshot_lane lanes[SNAPSHOT_LANES];
};
void snapshots_init(struct snapshots *s, const struct table_type *type);
/* Nobody may hold() any more; who still looks keeps what it has. */
void snapshots_done(struct snapshots *s);

/* Puts new contents, which become the snapshot's, in the place of the old ones. */
void snapshots_put(struct snapshots *s, void *contents);
/* The newest; there must have been one. Ends with table_snapshot_release(). */
struct table_snapshot *snapshots_hold(struct snapshots *s);

/* Counts a look-up. */
void snapshots_count(struct snapshots *s, bool has_failed);
/* Adds up what was counted. */
void snapshots_figures(struct snapshots *s, struct table_figures *f);

#endif
