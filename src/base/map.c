/*
 * map.c - from a name to a pointer
 *
 * Open addressing, linear probing, at most three quarters full; removal shifts followers back, so
 * there are no tombstones.
 */
#include "base/map.h"

#include "base/check.h"
#include "base/rand.h"

#include <pthread.h>

static uint64_t seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_make(void)
{
        rand_bytes(seed, sizeof(seed));
}

static inline uint64_t rotate(uint64_t x, int bits)
{
        return (x << bits) | (x >> (64 - bits));
}

static inline void sip_round(uint64_t v[4])
{
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
}

uint64_t hash_bytes(const void *bytes, size_t len)
{
        pthread_once(&seed_once, seed_make);
        uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
                         seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
        const unsigned char *p = bytes;
        size_t left = len;
        for (; left >= 8; left -= 8, p += 8) {
                uint64_t word;
                memcpy(&word, p, 8);
                v[3] ^= word;
                sip_round(v);
                v[0] ^= word;
        }
        uint64_t last = (uint64_t)len << 56;
        for (size_t i = 0; i < left; i++)
                last |= (uint64_t)p[i] << (8 * i);
        v[3] ^= last;
        sip_round(v);
        v[0] ^= last;
        v[2] ^= 0xff;
        sip_round(v);
        sip_round(v);
        sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m)
{
        *m = (struct map){0};
}

void map_done(struct map *m)
{
        for (size_t i = 0; i < m->room; i++)
                free(m->slots[i].key);
        free(m->slots);
        map_init(m);
}

/* The slot that holds the key, or the free one where it would go. */
static size_t find_slot(const struct map *m, struct str key, uint64_t hash)
{
        size_t i = hash & (m->room - 1);
        while (m->slots[i].key) {
                const struct map_slot *s = &m->slots[i];
                if (s->hash == hash && str_eq(str_make(s->key, s->key_len), key))
                        break;
                i = (i + 1) & (m->room - 1);
        }
        return i;
}

void *map_find(const struct map *m, struct str key)
{
        if (m->count == 0)
                return NULL;
        const struct map_slot *s = &m->slots[find_slot(m, key, hash_bytes(key.ptr, key.len))];
        return s->key ? s->value : NULL;
}

static void grow(struct map *m)
{
        struct map old = *m;
        m->room = old.room ? old.room * 2 : 16;
        m->slots = calloc(m->room, sizeof(*m->slots));
        check(m->slots);
        for (size_t i = 0; i < old.room; i++) {
                struct map_slot *s = &old.slots[i];
                if (s->key)
                        m->slots[find_slot(m, str_make(s->key, s->key_len), s->hash)] = *s;
        }
        free(old.slots);
}

void *map_put(struct map *m, struct str key, void *value)
{
        check(value);
        if ((m->count + 1) * 4 > m->room * 3)
                grow(m);
        uint64_t hash = hash_bytes(key.ptr, key.len);
        struct map_slot *s = &m->slots[find_slot(m, key, hash)];
        if (s->key) {
                void *before = s->value;
                s->value = value;
                return before;
        }
        char *copy = malloc(key.len + 1);
        check(copy);
        if (key.len)
                memcpy(copy, key.ptr, key.len);
        copy[key.len] = 0;
        *s = (struct map_slot){.key = copy, .key_len = key.len, .hash = hash, .value = value};
        m->count++;
        return NULL;
}

void *map_remove(struct map *m, struct str key)
{
        if (m->count == 0)
                return NULL;
        size_t hole = find_slot(m, key, hash_bytes(key.ptr, key.len));
        if (!m->slots[hole].key)
                return NULL;
        void *value = m->slots[hole].value;
        free(m->slots[hole].key);
        m->slots[hole].key = NULL;
        m->count--;
        size_t mask = m->room - 1;
        for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
                /* a follower may move into the hole if that is not before its own first slot */
                size_t home = m->slots[i].hash & mask;
                if (((i - home) & mask) < ((i - hole) & mask))
                        continue;
                m->slots[hole] = m->slots[i];
                m->slots[i].key = NULL;
                hole = i;
        }
        return value;
}

const struct map_slot *map_next(const struct map *m, size_t *at)
{
        while (*at < m->room) {
                const struct map_slot *s = &m->slots[(*at)++];
                if (s->key)
                        return s;
        }
        return NULL;
}
