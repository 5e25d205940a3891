/*
 * answer_cache.h - what a server said lately, and for how long that is believed
 *
 * Private to this room. Threads: any; one lock, held for a look-up in memory.
 */
#ifndef TABLE_ANSWER_CACHE_H
#define TABLE_ANSWER_CACHE_H

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"

#include <pthread.h>

struct answer_cache_times {
        int64_t found_ms;     /* how long an entry that was found is believed */
        int64_t not_found_ms; /* how long it is that there was none */
        int64_t stale_ms;     /* how much longer one that was found is kept, in case of need */
};

struct answer_cache {
        pthread_mutex_t lock;
        struct map entries;
        struct list by_use; /* the longest unused is first */
        size_t bytes;
        size_t bytes_max; /* 0: nothing is kept */
        struct answer_cache_times times;
};

void answer_cache_init(struct answer_cache *c, size_t bytes_max, struct answer_cache_times times);
void answer_cache_done(struct answer_cache *c);

enum answer_state {
        ANSWER_UNKNOWN,
        ANSWER_FOUND,
        ANSWER_NOT_FOUND,
        ANSWER_STALE, /* was found, but that is too long ago; only when nobody can be asked */
};
/* *value (of FOUND and STALE) is copied into the arena. */
enum answer_state answer_cache_find(struct answer_cache *c, struct str key, int64_t now_ms,
                                    struct arena *arena, struct str *value);
/* `is_found` false: there is no entry; `value` does not count then. */
void answer_cache_put(struct answer_cache *c, struct str key, bool is_found, struct str value,
                      int64_t now_ms);

#endif
