/*
 * queue.c - the queue as an administrator sees it
 *
 * The cursor of spool_list() counts through the buckets with its bits in reverse order, so that it stays valid
 * when the table doubles between two calls: the buckets that a bucket is split into share its low bits, which
 * are the cursor's high ones.
 */
#include "spool/spool_private.h"

enum { LIST_ARENA_BYTES = 64 << 20 };

enum spool_queue message_queue(const struct spool_message *m)
{
        if (m->flags & MESSAGE_ACTIVE)
                return SPOOL_QUEUE_ACTIVE;
        return m->flags & MESSAGE_KEPT ? SPOOL_QUEUE_HOLD : SPOOL_QUEUE_DEFERRED;
}

void spool_message_info(const struct spool_message *m, struct arena *arena, struct spool_info *out)
{
        *out = (struct spool_info){
                .id = message_id(m),
                .queue = message_queue(m),
                .arrival_us = m->arrival_us,
                .bytes = m->bytes,
                .next_attempt_us = message_next_us(m),
                .attempts = m->attempts,
                .message = (struct spool_message *)(uintptr_t)m,
        };
        spool_message_envelope(m, arena, &out->envelope);
}

static uint64_t reverse_bits(uint64_t v)
{
        v = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
        v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
        v = (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
        return __builtin_bswap64(v);
}

/* The bucket after this one, counting from the high end of `mask`; 0 after the last. */
static uint64_t next_bucket(uint64_t bucket, uint64_t mask)
{
        return reverse_bits(reverse_bits(bucket | ~mask) + 1);
}

bool spool_list(struct spool *s, struct loop *l, uint64_t *cursor, size_t count_max,
                void (*each)(void *context, const struct spool_info *info), void *context)
{
        struct side *side = side_self(s);
        check(side->loop == l);
        if (!side->room)
                return false;
        struct arena arena;
        arena_init(&arena, LIST_ARENA_BYTES);
        uint64_t mask = side->room - 1;
        uint64_t at = *cursor;
        size_t seen = 0;
        size_t buckets = 0;
        do {
                for (const struct spool_message *m = side->buckets[at & mask]; m; m = m->next) {
                        struct spool_info info;
                        spool_message_info(m, &arena, &info);
                        each(context, &info);
                        arena_clear(&arena);
                        seen++;
                }
                at = next_bucket(at, mask);
                buckets++;
        } while (at && seen < count_max && buckets < 16 * count_max);
        arena_done(&arena);
        *cursor = at;
        return at != 0;
}

struct spool_message *spool_find(struct spool *s, struct loop *l, struct str id)
{
        struct side *side = side_self(s);
        check(side->loop == l);
        return side_find(side, id);
}

void spool_count(struct spool *s, struct spool_counts *out)
{
        *out = (struct spool_counts){
                .disk_bytes = atomic_load(&s->journal.disk_bytes),
                .commits = atomic_load(&s->commits),
                .syncs = atomic_load(&s->journal.syncs),
                .damaged = s->damaged,
        };
        for (size_t i = 0; i < s->side_count; i++) {
                out->active += atomic_load(&s->sides[i].active);
                out->deferred += atomic_load(&s->sides[i].deferred);
                out->held += atomic_load(&s->sides[i].held);
        }
}
