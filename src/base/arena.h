/*
 * arena.h - memory for things that end together: a transaction, a configuration, a message
 *
 * Allocation never fails. What the arena holds is counted: once it is over the ceiling given at
 * birth, arena_is_over() says so, and the owner refuses the work (452) at the one place where it
 * looks, instead of at each allocation.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena_block;

struct arena {
        struct arena_block *blocks;
        size_t used;      /* bytes handed out */
        size_t bytes_max; /* the ceiling; 0: none */
};

void arena_init(struct arena *a, size_t bytes_max);
void arena_done(struct arena *a);
/* Forgets everything; keeps one block for use again. */
void arena_clear(struct arena *a);

static inline bool arena_is_over(const struct arena *a)
{
        return a->bytes_max && a->used > a->bytes_max;
}

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *a, size_t bytes);
/* A copy, with a NUL behind it that is not counted in its len. */
struct str arena_str(struct arena *a, struct str s);
struct str arena_str_lower(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

#define arena_new(a, type)          ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_alloc((a), sizeof(type) * (count)))

#endif
