/*
 * cache.c - answers that all loops share
 *
 * Sixteen parts, each with its lock, its map and its order of use; a part that is full forgets what was not used
 * for longest. What failed is not kept here: libunbound remembers that for a few seconds, for each loop.
 */
#include "dns/dns_private.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>

enum {
        PARTS = 16,
        TTL_MS_MAX = 24 * 3600 * 1000,
        /* of one entry beside its answer: the map's slot and key, this struct */
        ENTRY_BYTES = 256,
};

struct entry {
        struct list link; /* in order of use, the latest first */
        struct box *box;
        size_t bytes;
        size_t key_len;
        char key[]; /* the type's two bytes, and the name */
};

struct part {
        pthread_mutex_t lock;
        struct map entries;
        struct list used;
        size_t bytes;
};

struct cache {
        size_t part_bytes_max;
        struct part parts[PARTS];
};

struct cache *cache_new(int64_t bytes_max)
{
        struct cache *c = calloc(1, sizeof(*c));
        check(c);
        c->part_bytes_max = (size_t)bytes_max / PARTS;
        for (size_t i = 0; i < PARTS; i++) {
                pthread_mutex_init(&c->parts[i].lock, NULL);
                map_init(&c->parts[i].entries);
                list_init(&c->parts[i].used);
        }
        return c;
}

static void entry_forget(struct part *p, struct entry *e)
{
        map_remove(&p->entries, str_make(e->key, e->key_len));
        list_remove(&e->link);
        p->bytes -= e->bytes;
        box_unref(&e->box);
        free(e);
}

void cache_free(struct cache **cp)
{
        struct cache *c = *cp;
        *cp = NULL;
        if (!c)
                return;
        for (size_t i = 0; i < PARTS; i++) {
                struct part *p = &c->parts[i];
                list_each (link, &p->used) {
                        entry_forget(p, list_of(link, struct entry, link));
                }
                map_done(&p->entries);
                pthread_mutex_destroy(&p->lock);
        }
        free(c);
}

static struct str key_of(struct str name, enum dns_type type, char out[DNS_NAME_BYTES_MAX + 2])
{
        out[0] = (char)(type >> 8);
        out[1] = (char)type;
        memcpy(out + 2, name.ptr, name.len);
        return str_make(out, name.len + 2);
}

static struct part *part_of(struct cache *c, struct str key)
{
        return &c->parts[hash_bytes(key.ptr, key.len) % PARTS];
}

struct box *cache_find(struct cache *c, struct str name, enum dns_type type)
{
        char bytes[DNS_NAME_BYTES_MAX + 2];
        struct str key = key_of(name, type, bytes);
        struct part *p = part_of(c, key);
        struct box *found = NULL;
        pthread_mutex_lock(&p->lock);
        struct entry *e = map_find(&p->entries, key);
        if (e && e->box->until_ms <= loop_now_ms()) {
                entry_forget(p, e);
        } else if (e) {
                found = box_ref(e->box);
                list_remove(&e->link);
                list_add_first(&p->used, &e->link);
        }
        pthread_mutex_unlock(&p->lock);
        return found;
}

void cache_put(struct cache *c, struct str name, enum dns_type type, struct box *b)
{
        int64_t ttl_ms = b->answer.ttl_ms < TTL_MS_MAX ? b->answer.ttl_ms : TTL_MS_MAX;
        size_t bytes = ENTRY_BYTES + name.len + b->bytes;
        if (b->answer.result == DNS_FAILED || ttl_ms <= 0 || bytes > c->part_bytes_max)
                return;
        b->until_ms = clock_mono_ms() + ttl_ms;
        char key_bytes[DNS_NAME_BYTES_MAX + 2];
        struct str key = key_of(name, type, key_bytes);
        struct entry *e = malloc(sizeof(*e) + key.len);
        check(e);
        memcpy(e->key, key.ptr, key.len);
        e->key_len = key.len;
        key.ptr = e->key;
        e->bytes = bytes;
        e->box = box_ref(b);
        struct part *p = part_of(c, key);
        pthread_mutex_lock(&p->lock);
        struct entry *before = map_find(&p->entries, key);
        if (before)
                entry_forget(p, before);
        while (p->bytes + bytes > c->part_bytes_max)
                entry_forget(p, list_of(p->used.prev, struct entry, link));
        map_put(&p->entries, key, e);
        list_add_first(&p->used, &e->link);
        p->bytes += bytes;
        pthread_mutex_unlock(&p->lock);
}
