/*
 * verify_cache.c - what is remembered of addresses
 *
 * Two lists by last use: addresses that take mail, and the others. Over the ceiling the others go first: somebody who
 * tries a million names that do not exist must not make us forget those that do.
 */
#include "state/verify_private.h"

#include "base/check.h"

#include <stdlib.h>

void verify_cache_init(struct verify_cache *c, size_t entry_max)
{
        *c = (struct verify_cache){.entry_max = entry_max};
        map_init(&c->entries);
        list_init(&c->known);
        list_init(&c->refused);
        list_init(&c->all);
}

void verify_cache_remove(struct verify_cache *c, struct verify_entry *e)
{
        map_remove(&c->entries, e->address);
        list_remove(&e->use);
        list_remove(&e->order);
        free(e);
}

static void keep_ceiling(struct verify_cache *c, size_t max)
{
        while (c->entries.count > max) {
                struct list *from = list_is_empty(&c->refused) ? &c->known : &c->refused;
                verify_cache_remove(c, list_of(from->next, struct verify_entry, use));
        }
}

void verify_cache_done(struct verify_cache *c)
{
        keep_ceiling(c, 0);
        map_done(&c->entries);
}

void verify_cache_set_max(struct verify_cache *c, size_t entry_max)
{
        c->entry_max = entry_max;
        keep_ceiling(c, entry_max);
}

static void note_use(struct verify_cache *c, struct verify_entry *e)
{
        list_remove(&e->use);
        list_add_last(e->status == VERIFY_DELIVERABLE ? &c->known : &c->refused, &e->use);
}

struct verify_entry *verify_cache_find(struct verify_cache *c, struct str address)
{
        struct verify_entry *e = map_find(&c->entries, address);
        if (e)
                note_use(c, e);
        return e;
}

struct verify_entry *verify_cache_put(struct verify_cache *c, struct str address,
                                      enum verify_status status, struct str text, int64_t updated_s)
{
        struct verify_entry *before = map_find(&c->entries, address);
        text = str_part(text, 0, VERIFY_TEXT_BYTES_MAX);
        struct verify_entry *e = calloc(1, sizeof(*e) + address.len + text.len);
        check(e && address.len);
        char *bytes = (char *)(e + 1);
        memcpy(bytes, address.ptr, address.len);
        if (text.len)
                memcpy(bytes + address.len, text.ptr, text.len);
        e->address = str_make(bytes, address.len);
        e->text = str_make(bytes + address.len, text.len);
        e->status = status;
        e->updated_s = updated_s;
        e->round = c->round;
        if (before)
                verify_cache_remove(c, before);
        else if (c->entry_max)
                keep_ceiling(c, c->entry_max - 1);
        map_put(&c->entries, e->address, e);
        list_init(&e->use);
        note_use(c, e);
        list_add_last(&c->all, &e->order);
        return e;
}

void verify_cache_begin_round(struct verify_cache *c)
{
        c->round++;
}

bool verify_cache_each_part(struct verify_cache *c, size_t count, verify_visit *visit,
                            void *context)
{
        for (; count; count--) {
                struct verify_entry *e = list_of(c->all.next, struct verify_entry, order);
                if (list_is_empty(&c->all) || e->round == c->round)
                        return false;
                e->round = c->round;
                list_remove(&e->order);
                list_add_last(&c->all, &e->order);
                visit(context, e);
        }
        return true;
}
