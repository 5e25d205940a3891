/*
 * cache.c - answers that all loops share
 *
 * Sixteen parts, each with its lock, its entries by name and their order of use; a part that is full forgets what was not
 * used for longest. Every client brings two or three answers that nobody else asks for, and may stay for minutes: so an
 * entry is chained by itself and has no key beside it, as base/map.h would have. What failed is not kept here: libunbound remembers that for a few seconds, for each loop.
 */
#include "dns/dns_private.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/map.h" /* hash_bytes() */

#include <pthread.h>
#include <stdlib.h>

enum {
        PARTS = 16,
        TTL_MS_MAX = 24 * 3600 * 1000,
        CHAINS_MIN = 16,
        /* of one entry beside its own and its answer's: the allocator's, of both, and two chains' heads */
        ENTRY_BYTES = 48,
};

struct entry {
        struct list link;   /* in order of use, the latest first */
        struct entry *next; /* of its chain */
        struct box *box;
        uint32_t hash;
        uint16_t key_len;
        char key[]; /* the type's two bytes, and the name */
};

struct part {
        pthread_mutex_t lock;
        struct entry **chains;
        size_t chain_count; /* a power of two, or 0; not below the number of entries */
        size_t count;
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
                list_init(&c->parts[i].used);
        }
        return c;
}

static size_t entry_bytes(size_t key_len, const struct box *b)
{
        return sizeof(struct entry) + key_len + b->bytes + ENTRY_BYTES;
}

/* The part is chosen by the last bits. */
static struct entry **chain_of(const struct part *p, uint32_t hash)
{
        return &p->chains[hash / PARTS & (p->chain_count - 1)];
}

/* Where the pointer to it stands: NULL in there, it is not here. There are chains. */
static struct entry **place_of(const struct part *p, struct str key, uint32_t hash)
{
        struct entry **at = chain_of(p, hash);
        while (*at && !((*at)->hash == hash && str_eq(str_make((*at)->key, (*at)->key_len), key)))
                at = &(*at)->next;
        return at;
}

static void grow(struct part *p)
{
        struct entry **before = p->chains;
        p->chain_count = p->chain_count ? 2 * p->chain_count : CHAINS_MIN;
        p->chains = calloc(p->chain_count, sizeof(struct entry *));
        check(p->chains);
        free(before);
        list_each (link, &p->used) {
                struct entry *e = list_of(link, struct entry, link);
                struct entry **chain = chain_of(p, e->hash);
                e->next = *chain;
                *chain = e;
        }
}

static void entry_forget(struct part *p, struct entry *e)
{
        *place_of(p, str_make(e->key, e->key_len), e->hash) = e->next;
        p->count--;
        list_remove(&e->link);
        p->bytes -= entry_bytes(e->key_len, e->box);
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
                free(p->chains);
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

struct box *cache_find(struct cache *c, struct str name, enum dns_type type)
{
        char bytes[DNS_NAME_BYTES_MAX + 2];
        struct str key = key_of(name, type, bytes);
        uint32_t hash = (uint32_t)hash_bytes(key.ptr, key.len);
        struct part *p = &c->parts[hash % PARTS];
        struct box *found = NULL;
        pthread_mutex_lock(&p->lock);
        struct entry *e = p->chains ? *place_of(p, key, hash) : NULL;
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
        char key_bytes[DNS_NAME_BYTES_MAX + 2];
        struct str key = key_of(name, type, key_bytes);
        size_t bytes = entry_bytes(key.len, b);
        if (b->answer.result == DNS_FAILED || ttl_ms <= 0 || bytes > c->part_bytes_max)
                return;
        b->until_ms = clock_mono_ms() + ttl_ms;
        struct entry *e = malloc(sizeof(*e) + key.len);
        check(e);
        *e = (struct entry){.box = box_ref(b),
                            .hash = (uint32_t)hash_bytes(key.ptr, key.len),
                            .key_len = (uint16_t)key.len};
        memcpy(e->key, key.ptr, key.len);
        struct part *p = &c->parts[e->hash % PARTS];
        pthread_mutex_lock(&p->lock);
        struct entry *before = p->chains ? *place_of(p, key, e->hash) : NULL;
        if (before)
                entry_forget(p, before);
        while (p->bytes + bytes > c->part_bytes_max)
                entry_forget(p, list_of(p->used.prev, struct entry, link));
        if (p->count == p->chain_count)
                grow(p);
        struct entry **chain = chain_of(p, e->hash);
        e->next = *chain;
        *chain = e;
        p->count++;
        list_add_first(&p->used, &e->link);
        p->bytes += bytes;
        pthread_mutex_unlock(&p->lock);
}
