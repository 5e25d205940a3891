/* screen_cache.c - who has passed which test of postscreen, and until when */
#include "session/screen_cache.h"

#include "base/check.h"
#include "session/address_table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct known_client {
        struct screen_passes passes;
        uint32_t forgotten_s; /* when nothing of it needs to be known any more */
};

struct screen_cache {
        pthread_mutex_t lock;
        struct address_table table;
};

struct screen_cache *screen_cache_new(size_t clients_max)
{
        struct screen_cache *c = calloc(1, sizeof(*c));
        check(c);
        pthread_mutex_init(&c->lock, NULL);
        address_table_init(&c->table, sizeof(struct known_client), clients_max);
        return c;
}

void screen_cache_free(struct screen_cache **cp)
{
        struct screen_cache *c = *cp;
        *cp = NULL;
        if (!c)
                return;
        address_table_done(&c->table);
        pthread_mutex_destroy(&c->lock);
        free(c);
}

static struct address_key key_of(const unsigned char address[16])
{
        struct address_key key = {.kind = 0};
        memcpy(key.bytes, address, 16);
        return key;
}

static bool is_lapsed(const void *value, int64_t now_s)
{
        return ((const struct known_client *)value)->forgotten_s <= now_s;
}

bool screen_cache_find(struct screen_cache *c, const unsigned char address[16],
                       struct screen_passes *out)
{
        struct address_key key = key_of(address);
        pthread_mutex_lock(&c->lock);
        const struct known_client *k = address_table_find(&c->table, &key);
        if (k)
                *out = k->passes;
        pthread_mutex_unlock(&c->lock);
        return k != NULL;
}

void screen_cache_put(struct screen_cache *c, const unsigned char address[16],
                      const struct screen_passes *passes, int64_t now_s, int64_t retention_s)
{
        struct address_key key = key_of(address);
        pthread_mutex_lock(&c->lock);
        struct known_client *k = address_table_find(&c->table, &key);
        if (!k)
                k = address_table_add(&c->table, &key, is_lapsed, now_s);
        for (int i = 0; k && i < SCREEN_TESTS; i++) {
                uint32_t until_s = passes->until_s[i];
                int64_t forgotten_s = until_s + retention_s;
                if (until_s > k->passes.until_s[i])
                        k->passes.until_s[i] = until_s;
                if (until_s && forgotten_s > k->forgotten_s)
                        k->forgotten_s =
                                forgotten_s < UINT32_MAX ? (uint32_t)forgotten_s : UINT32_MAX;
        }
        pthread_mutex_unlock(&c->lock);
}

struct slice {
        screen_visit *visit;
        void *context;
};

static void visit_one(void *context, const struct address_key *key, const void *value)
{
        const struct slice *s = context;
        const struct known_client *k = value;
        s->visit(s->context, key->bytes, &k->passes, k->forgotten_s);
}

bool screen_cache_slice(struct screen_cache *c, uint32_t *at, uint32_t steps, screen_visit *visit,
                        void *context)
{
        struct slice s = {visit, context};
        pthread_mutex_lock(&c->lock);
        bool has_more = address_table_slice(&c->table, at, steps, visit_one, &s);
        pthread_mutex_unlock(&c->lock);
        return has_more;
}

void screen_cache_restore(struct screen_cache *c, const unsigned char address[16],
                          const struct screen_passes *passes, uint32_t forgotten_s, int64_t now_s)
{
        struct address_key key = key_of(address);
        if (forgotten_s <= now_s)
                return;
        pthread_mutex_lock(&c->lock);
        struct known_client *k = address_table_find(&c->table, &key);
        if (!k && (k = address_table_add(&c->table, &key, is_lapsed, now_s)))
                *k = (struct known_client){*passes, forgotten_s};
        pthread_mutex_unlock(&c->lock);
}

size_t screen_cache_count(struct screen_cache *c)
{
        pthread_mutex_lock(&c->lock);
        size_t count = c->table.count;
        pthread_mutex_unlock(&c->lock);
        return count;
}

size_t screen_cache_bytes(struct screen_cache *c)
{
        pthread_mutex_lock(&c->lock);
        size_t bytes = address_table_bytes(&c->table);
        pthread_mutex_unlock(&c->lock);
        return bytes;
}

size_t screen_cache_bytes_max(const struct screen_cache *c)
{
        return address_table_bytes_max(&c->table);
}
