/*
 * text_map.c - a compact map for millions of text keys
 *
 * All records stand in one block, "key NUL value NUL": never more bytes than the line that they
 * came from, so the block is the file's own text, overwritten from the front. The index is an
 * open-addressed array of 8 bytes a slot, at most two thirds full, with 32 bits of the key's hash
 * beside the offset: a key that is not there is, as a rule, refused without touching the block.
 *
 * The place of a hash is hash * slot_count / 2^32, which needs no power of two; so a million
 * entries of 25 bytes take 25 MB + 12 MB.
 */
#include "base/check.h"
#include "base/map.h"
#include "table/table_private.h"

enum { SLOT_FREE_BYTE = 0xff };
static const uint32_t SLOT_FREE = UINT32_MAX;

static uint32_t slots_for(size_t entries)
{
        size_t slots = entries + entries / 2 + 8;
        return slots > UINT32_MAX ? UINT32_MAX : (uint32_t)slots;
}

static struct text_slot *slots_new(uint32_t count)
{
        struct text_slot *slots = malloc(sizeof(*slots) * count);
        check(slots);
        memset(slots, SLOT_FREE_BYTE, sizeof(*slots) * count);
        return slots;
}

void text_map_init(struct text_map *m, char *block, size_t entries)
{
        *m = (struct text_map){.block = block, .slot_count = slots_for(entries)};
        m->slots = slots_new(m->slot_count);
}

void text_map_done(struct text_map *m)
{
        free(m->block);
        free(m->slots);
        *m = (struct text_map){0};
}

static uint32_t key_hash(const char *key, size_t len)
{
        return (uint32_t)hash_bytes(key, len);
}

static uint32_t slot_of(uint32_t hash, uint32_t slot_count)
{
        return (uint32_t)((uint64_t)hash * slot_count >> 32);
}

/* The slot that has the key, or the free one where it belongs. */
static struct text_slot *slot_find(const struct text_map *m, const char *key, size_t len,
                                   uint32_t hash)
{
        for (uint32_t i = slot_of(hash, m->slot_count);; i = i + 1 == m->slot_count ? 0 : i + 1) {
                struct text_slot *slot = &m->slots[i];
                if (slot->offset == SLOT_FREE)
                        return slot;
                const char *there = m->block + slot->offset;
                if (slot->hash == hash && strncmp(there, key, len) == 0 && there[len] == '\0')
                        return slot;
        }
}

uint32_t text_map_put(struct text_map *m, uint32_t offset, size_t key_len)
{
        const char *key = m->block + offset;
        uint32_t hash = key_hash(key, key_len);
        struct text_slot *slot = slot_find(m, key, key_len, hash);
        if (slot->offset != SLOT_FREE)
                return slot->offset;
        check(m->count + 1 < m->slot_count);
        *slot = (struct text_slot){hash, offset};
        m->count++;
        return offset;
}

void text_map_shrink(struct text_map *m, size_t block_len)
{
        m->block_len = block_len;
        char *smaller = realloc(m->block, block_len ? block_len : 1);
        if (smaller)
                m->block = smaller;
        uint32_t wanted = slots_for(m->count);
        if (wanted > m->slot_count / 4 * 3)
                return;
        struct text_slot *old = m->slots;
        struct text_slot *slots = slots_new(wanted);
        for (uint32_t i = 0; i < m->slot_count; i++) {
                if (old[i].offset == SLOT_FREE)
                        continue;
                uint32_t to = slot_of(old[i].hash, wanted);
                while (slots[to].offset != SLOT_FREE)
                        to = to + 1 == wanted ? 0 : to + 1;
                slots[to] = old[i];
        }
        m->slots = slots;
        m->slot_count = wanted;
        free(old);
}

bool text_map_find(const struct text_map *m, struct str key, struct str *value)
{
        /* A NUL would end the comparison early; no key in the map has one. */
        if (key.len && memchr(key.ptr, '\0', key.len))
                return false;
        const struct text_slot *slot = slot_find(m, key.ptr, key.len, key_hash(key.ptr, key.len));
        if (slot->offset == SLOT_FREE)
                return false;
        *value = str_from(m->block + slot->offset + key.len + 1);
        return true;
}

enum table_result text_map_query(const void *contents, const struct table_query *query)
{
        struct str value;
        if (!text_map_find(contents, query->key, &value))
                return TABLE_NOT_FOUND;
        *query->value = arena_str(query->arena, value);
        return TABLE_FOUND;
}

void text_map_free(void *contents)
{
        text_map_done(contents);
        free(contents);
}

size_t text_map_count(const void *contents)
{
        const struct text_map *m = contents;
        return m->count;
}

void text_map_each(const void *contents, table_visit *each, void *context)
{
        const struct text_map *m = contents;
        bool wants_more = true;
        for (size_t at = 0; wants_more && at < m->block_len;) {
                struct str key = str_from(&m->block[at]);
                struct str value = str_from(&m->block[at + key.len + 1]);
                at += key.len + value.len + 2;
                wants_more = each(context, key, value);
        }
}
