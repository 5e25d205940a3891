/* address_table.c - something about each of very many addresses, in little memory */
#include "session/address_table.h"

#include "base/check.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

enum {
        SWEPT_EACH_TIME = 4, /* so that the hand goes round faster than the table grows */
        SWEPT_WHEN_FULL = 256,
};

struct entry {
        struct address_key key; /* its kind is UNUSED while nobody has it */
        uint32_t next;          /* in its chain, + 1 */
        /* the value follows, aligned */
};

static const uint32_t UNUSED = UINT32_MAX;

enum { VALUE_AT = (sizeof(struct entry) + 7) / 8 * 8 };

static struct entry *entry_at(const struct address_table *t, uint32_t i)
{
        char *block = t->blocks[i / ADDRESS_BLOCK_ENTRIES];
        return (struct entry *)(void *)(block + i % ADDRESS_BLOCK_ENTRIES * t->entry_bytes);
}

static void *value_of(struct entry *e)
{
        return (char *)e + VALUE_AT;
}

static size_t block_count(const struct address_table *t)
{
        return (t->count_max + ADDRESS_BLOCK_ENTRIES - 1) / ADDRESS_BLOCK_ENTRIES;
}

void address_table_init(struct address_table *t, size_t value_bytes, size_t count_max)
{
        check(count_max > 0 && count_max <= 16 * 1024 * 1024);
        *t = (struct address_table){.value_bytes = value_bytes,
                                    .entry_bytes = VALUE_AT + (value_bytes + 7) / 8 * 8,
                                    .count_max = (uint32_t)count_max};
        uint32_t buckets = 1024;
        while (buckets < count_max)
                buckets *= 2;
        t->bucket_mask = buckets - 1;
        /* pages that nobody touches cost nothing */
        t->buckets = calloc(buckets, sizeof(*t->buckets));
        t->blocks = calloc(block_count(t), sizeof(*t->blocks));
        check(t->buckets && t->blocks);
}

void address_table_done(struct address_table *t)
{
        for (size_t i = 0; t->blocks && i < block_count(t); i++)
                free(t->blocks[i]);
        free(t->blocks);
        free(t->buckets);
        *t = (struct address_table){0};
}

static uint32_t *chain_of(const struct address_table *t, const struct address_key *key)
{
        return &t->buckets[hash_bytes(key, sizeof(*key)) & t->bucket_mask];
}

void *address_table_find(const struct address_table *t, const struct address_key *key)
{
        for (uint32_t at = *chain_of(t, key); at;) {
                struct entry *e = entry_at(t, at - 1);
                if (memcmp(&e->key, key, sizeof(*key)) == 0)
                        return value_of(e);
                at = e->next;
        }
        return NULL;
}

static void remove_entry(struct address_table *t, uint32_t i)
{
        struct entry *e = entry_at(t, i);
        uint32_t *link = chain_of(t, &e->key);
        while (*link != i + 1)
                link = &entry_at(t, *link - 1)->next;
        *link = e->next;
        e->key.kind = UNUSED;
        e->next = t->free;
        t->free = i + 1;
        t->count--;
}

static void sweep(struct address_table *t, unsigned steps, address_is_lapsed *is_lapsed,
                  int64_t now)
{
        for (unsigned n = 0; n < steps && n < t->used; n++) {
                t->hand = t->hand + 1 < t->used ? t->hand + 1 : 0;
                struct entry *e = entry_at(t, t->hand);
                if (e->key.kind != UNUSED && is_lapsed(value_of(e), now))
                        remove_entry(t, t->hand);
        }
}

/* The number of an entry that nobody uses; false: there is none. */
static bool take_free(struct address_table *t, uint32_t *out)
{
        if (t->free) {
                *out = t->free - 1;
                t->free = entry_at(t, *out)->next;
                return true;
        }
        if (t->used == t->count_max)
                return false;
        char **block = &t->blocks[t->used / ADDRESS_BLOCK_ENTRIES];
        if (!*block)
                *block = malloc(ADDRESS_BLOCK_ENTRIES * t->entry_bytes);
        check(*block);
        *out = t->used++;
        return true;
}

void *address_table_add(struct address_table *t, const struct address_key *key,
                        address_is_lapsed *is_lapsed, int64_t now)
{
        uint32_t i;
        check(key->kind != UNUSED);
        sweep(t, SWEPT_EACH_TIME, is_lapsed, now);
        if (!t->free && t->used == t->count_max)
                sweep(t, SWEPT_WHEN_FULL, is_lapsed, now);
        if (!take_free(t, &i))
                return NULL;
        struct entry *e = entry_at(t, i);
        uint32_t *chain = chain_of(t, key);
        *e = (struct entry){.key = *key, .next = *chain};
        *chain = i + 1;
        memset(value_of(e), 0, t->value_bytes);
        t->count++;
        return value_of(e);
}

void address_table_each(const struct address_table *t,
                        void (*visit)(void *context, const struct address_key *key,
                                      const void *value),
                        void *context)
{
        uint32_t at = 0;
        address_table_slice(t, &at, t->used, visit, context);
}

bool address_table_slice(const struct address_table *t, uint32_t *at, uint32_t steps,
                         void (*visit)(void *context, const struct address_key *key,
                                       const void *value),
                         void *context)
{
        for (; steps && *at < t->used; steps--, (*at)++) {
                struct entry *e = entry_at(t, *at);
                if (e->key.kind != UNUSED)
                        visit(context, &e->key, value_of(e));
        }
        return *at < t->used;
}

static size_t fixed_bytes(const struct address_table *t)
{
        return ((size_t)t->bucket_mask + 1) * sizeof(*t->buckets) +
               block_count(t) * sizeof(*t->blocks);
}

size_t address_table_bytes(const struct address_table *t)
{
        size_t blocks = (t->used + ADDRESS_BLOCK_ENTRIES - 1) / ADDRESS_BLOCK_ENTRIES;
        return fixed_bytes(t) + blocks * ADDRESS_BLOCK_ENTRIES * t->entry_bytes;
}

size_t address_table_bytes_max(const struct address_table *t)
{
        return fixed_bytes(t) + block_count(t) * ADDRESS_BLOCK_ENTRIES * t->entry_bytes;
}
