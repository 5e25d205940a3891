/*
 * spare.h - connections to a server that nobody uses now; the next question takes the latest
 *
 * Private to this room. Threads: any.
 */
#ifndef TABLE_SPARE_H
#define TABLE_SPARE_H

#include "base/list.h"

#include <pthread.h>
#include <stdint.h>

struct spares {
        pthread_mutex_t lock;
        struct list list; /* the longest unused first */
        void (*close)(void *connection);
};

void spares_init(struct spares *s, void (*close)(void *connection));
/* Closes all. */
void spares_done(struct spares *s);
/* NULL: there is none. */
void *spares_take(struct spares *s);
void spares_put(struct spares *s, void *connection);
/* Closes those that were put before this time (of clock_mono_ms). */
void spares_close(struct spares *s, int64_t before_ms);

#endif
