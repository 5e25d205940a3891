/*
 * pause.c - pauses between deliveries: TRANSPORT_destination_rate_delay and TRANSPORT_transport_rate_delay
 *
 * What a pause is about (a destination, or a whole transport) is known by its name, for all loops together: each
 * loop books the instant at which its next delivery may begin. A delivery may begin when the pause since the
 * beginning, and since the end, of the one before it is over.
 *
 * Threads: any.
 */
#include "base/check.h"
#include "delivery/delivery_private.h"

#include <pthread.h>

struct pause {
        int64_t free_ms; /* from here on nothing is booked */
};

enum { SWEEP_COUNT = 1000 };

static struct {
        pthread_mutex_t lock;
        struct map pauses;
        size_t sweep_at;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Names that have been free for a while are forgotten. */
static void sweep(int64_t now_ms)
{
        struct arena arena;
        arena_init(&arena, 0);
        struct str *gone = arena_array(&arena, struct str, all.pauses.count);
        size_t count = 0;
        const struct map_slot *slot;
        for (size_t i = 0; (slot = map_next(&all.pauses, &i));) {
                const struct pause *p = slot->value;
                if (p->free_ms <= now_ms)
                        gone[count++] = str_make(slot->key, slot->key_len);
        }
        for (size_t i = 0; i < count; i++)
                free(map_remove(&all.pauses, arena_str(&arena, gone[i])));
        arena_done(&arena);
        all.sweep_at = 2 * all.pauses.count + SWEEP_COUNT;
}

static struct pause *find(struct str name, int64_t now_ms)
{
        struct pause *p = map_find(&all.pauses, name);
        if (p)
                return p;
        if (all.pauses.count >= all.sweep_at)
                sweep(now_ms);
        p = calloc(1, sizeof(*p));
        check(p);
        map_put(&all.pauses, name, p);
        return p;
}

int64_t pause_book(struct str name, int64_t pause_ms, int64_t now_ms)
{
        pthread_mutex_lock(&all.lock);
        struct pause *p = find(name, now_ms);
        int64_t at_ms = p->free_ms > now_ms ? p->free_ms : now_ms;
        p->free_ms = at_ms + pause_ms;
        pthread_mutex_unlock(&all.lock);
        return at_ms;
}

void pause_ended(struct str name, int64_t pause_ms, int64_t now_ms)
{
        pthread_mutex_lock(&all.lock);
        struct pause *p = find(name, now_ms);
        if (p->free_ms < now_ms + pause_ms)
                p->free_ms = now_ms + pause_ms;
        pthread_mutex_unlock(&all.lock);
}
