/*
 * spare.h - blocks of memory of one size that a thread keeps for who needs the next one
 *
 * For what is made and ended many thousand times a second: the C library's own cache ends at 1 KiB, and its zeroed
 * memory never comes from there. One struct spares for each size and thread:
 *
 *      static __thread struct spares blocks = {.bytes = 4096, .count_max = 64};
 *
 * What is kept is freed when its thread ends. Under AddressSanitizer nothing is kept, so that it sees each use of what was
 * given back.
 */
#ifndef BASE_SPARE_H
#define BASE_SPARE_H

#include <stdbool.h>
#include <stddef.h>

struct spares {
        size_t bytes;       /* of one; at least a pointer's */
        unsigned count_max; /* that are kept */
        unsigned count;
        void *first;
        struct spares *next; /* of this thread's */
        bool is_known;
};

/* Memory with anything in it, from malloc(); never NULL. */
void *spare_take(struct spares *s);
/* The same, zeroed. */
void *spare_take_zeroed(struct spares *s);
/* Takes it back, or frees it. On any thread. NULL is fine. */
void spare_give(struct spares *s, void *block);

#endif
