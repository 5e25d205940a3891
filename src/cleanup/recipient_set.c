/*
 * recipient_set.c - which recipients a message has already, without walking over them
 *
 * A hash table with open addresses, at most half full, of places in the envelope. The hash has the process's seed
 * (base/map.h), so that nobody can choose addresses that collide. Removing is not known: who removes makes the set anew.
 */
#include "base/map.h"
#include "cleanup/cleanup_private.h"

/* Of the text with its letters folded. */
static uint64_t hash_folded(struct str text, uint64_t hash)
{
        char part[256];
        while (text.len) {
                size_t len = text.len < sizeof(part) ? text.len : sizeof(part);
                for (size_t i = 0; i < len; i++)
                        part[i] = char_lower(text.ptr[i]);
                hash = hash * 31 + hash_bytes(part, len);
                text = str_tail(text, len);
        }
        return hash;
}

static uint64_t hash_of(struct str address, struct str original, bool by_original)
{
        uint64_t hash = hash_folded(address, 0);
        return by_original ? hash_folded(original, hash) : hash;
}

static bool is_same(const struct recipient *r, struct str address, struct str original,
                    bool by_original)
{
        return str_eq_nocase(r->address, address) &&
               (!by_original || str_eq_nocase(r->original, original));
}

bool recipient_set_has(const struct recipient_set *set, const struct recipient *recipients,
                       struct str address, struct str original, bool by_original)
{
        if (set->count == 0)
                return false;
        size_t mask = set->room - 1;
        for (size_t i = hash_of(address, original, by_original) & mask; set->slots[i];
             i = (i + 1) & mask)
                if (is_same(&recipients[set->slots[i] - 1], address, original, by_original))
                        return true;
        return false;
}

static void put(struct recipient_set *set, const struct recipient *recipients, uint32_t slot,
                bool by_original)
{
        const struct recipient *r = &recipients[slot - 1];
        size_t mask = set->room - 1;
        size_t i = hash_of(r->address, r->original, by_original) & mask;
        while (set->slots[i])
                i = (i + 1) & mask;
        set->slots[i] = slot;
}

void recipient_set_add(struct recipient_set *set, const struct recipient *recipients, size_t at,
                       bool by_original, struct arena *arena)
{
        if (set->count * 2 >= set->room) {
                struct recipient_set before = *set;
                set->room = before.room ? before.room * 2 : 16;
                set->slots = arena_array(arena, uint32_t, set->room);
                memset(set->slots, 0, set->room * sizeof(*set->slots));
                for (size_t i = 0; i < before.room; i++)
                        if (before.slots[i])
                                put(set, recipients, before.slots[i], by_original);
        }
        put(set, recipients, (uint32_t)at + 1, by_original);
        set->count++;
}
