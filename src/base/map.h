/*
 * map.h - from a name to a pointer
 *
 * Keys are copied; values are the caller's. The hash is seeded at random for each process, so that
 * names chosen by strangers do not collide on purpose.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_slot {
        char *key;
        size_t key_len;
        uint64_t hash;
        void *value;
};

struct map {
        struct map_slot *slots;
        size_t room;  /* a power of two, or 0 */
        size_t count; /* keys in use */
};

void map_init(struct map *m);
void map_done(struct map *m);

/* NULL when it is not there. */
void *map_find(const struct map *m, struct str key);
/* Sets, and returns the value that stood there before (NULL: none). `value` is not NULL. */
void *map_put(struct map *m, struct str key, void *value);
/* Removes, and returns what stood there (NULL: nothing). */
void *map_remove(struct map *m, struct str key);

/* for (size_t i = 0; (slot = map_next(m, &i));) visits all; the map is not changed meanwhile. */
const struct map_slot *map_next(const struct map *m, size_t *at);

/* SipHash-1-3 with the process's seed. */
uint64_t hash_bytes(const void *bytes, size_t len);

#endif
