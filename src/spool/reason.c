/*
 * reason.c - texts that many recipients share: "connect to mx[192.0.2.1]:25: Connection timed out"
 *
 * When a destination is down, ten thousand messages wait for the same reason. Each text is kept once a loop.
 */
#include "base/map.h"
#include "spool/spool_private.h"

static void grow(struct reason_table *t)
{
        size_t room = t->room ? t->room * 2 : 64;
        struct reason **buckets = calloc(room, sizeof(*buckets));
        check(buckets);
        for (size_t i = 0; i < t->room; i++)
                for (struct reason *r = t->buckets[i], *next; r; r = next) {
                        next = r->next;
                        struct reason **bucket = &buckets[r->hash & (room - 1)];
                        r->next = *bucket;
                        *bucket = r;
                }
        free(t->buckets);
        t->buckets = buckets;
        t->room = room;
}

struct reason *reason_take(struct reason_table *t, struct str text)
{
        if (text.len == 0)
                return NULL;
        if (text.len > RECORD_REASON_BYTES_MAX)
                text.len = RECORD_REASON_BYTES_MAX;
        if (t->count >= t->room)
                grow(t);
        uint64_t hash = hash_bytes(text.ptr, text.len);
        struct reason **bucket = &t->buckets[hash & (t->room - 1)];
        for (struct reason *r = *bucket; r; r = r->next)
                if (r->hash == hash && str_eq(str_make(r->text, r->bytes), text)) {
                        r->uses++;
                        return r;
                }
        struct reason *r = malloc(sizeof(*r) + text.len);
        check(r);
        *r = (struct reason){.next = *bucket, .hash = hash, .uses = 1, .bytes = (uint32_t)text.len};
        memcpy(r->text, text.ptr, text.len);
        *bucket = r;
        t->count++;
        return r;
}

void reason_drop(struct reason_table *t, struct reason *r)
{
        if (!r || --r->uses)
                return;
        struct reason **at = &t->buckets[r->hash & (t->room - 1)];
        while (*at != r)
                at = &(*at)->next;
        *at = r->next;
        t->count--;
        free(r);
}

void reason_table_done(struct reason_table *t)
{
        check(t->count == 0);
        free(t->buckets);
        *t = (struct reason_table){0};
}
