/*
 * heap.h - the earliest of many things
 *
 * Things carry a struct heap_item; the heap orders them by `key`, smallest first. A thing is in at
 * most one heap; `at` is 0 while it is in none.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap_item {
        int64_t key;
        size_t at; /* its place, counted from 1 */
};

struct heap {
        struct heap_item **items; /* items[0] is not used */
        size_t count;
        size_t room;
};

void heap_init(struct heap *h);
void heap_done(struct heap *h);

/* Adds, or moves to its new key. */
void heap_set(struct heap *h, struct heap_item *item, int64_t key);
/* Removes; nothing when it is not in. */
void heap_remove(struct heap *h, struct heap_item *item);
/* The smallest, or NULL. */
static inline struct heap_item *heap_first(const struct heap *h)
{
        return h->count ? h->items[1] : NULL;
}

#define heap_of(item, type, member) ((type *)(void *)((char *)(item)-offsetof(type, member)))

#endif
