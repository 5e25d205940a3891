/*
 * address_table.h - something about each of very many addresses, in little memory
 *
 * Values of one size, by a key of 16 bytes and a kind. They stay where they are until they are removed, so
 * pointers to them may be kept. Memory is taken in blocks as the table grows and never exceeds
 * address_table_bytes_max(); nothing is ever moved or sorted, so no call takes long, however many there are.
 *
 * What has lapsed is removed a few at a time, by whoever adds (a hand that goes round); over the ceiling nobody is
 * added.
 *
 * Threads: the owner's lock.
 */
#ifndef SESSION_ADDRESS_TABLE_H
#define SESSION_ADDRESS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ADDRESS_BLOCK_ENTRIES = 4096 };

struct address_key {
        unsigned char bytes[16];
        uint32_t kind; /* not UINT32_MAX */
};

struct address_table {
        size_t value_bytes;
        size_t entry_bytes;
        uint32_t count_max;
        uint32_t count;
        uint32_t used;     /* entries that were ever used */
        uint32_t hand;     /* where the next look for lapsed ones begins */
        uint32_t free;     /* a chain of entries; their number + 1 */
        uint32_t *buckets; /* chains of entries; their number + 1 */
        uint32_t bucket_mask;
        char **blocks;
};

/* `count_max` at most 16 million. */
void address_table_init(struct address_table *t, size_t value_bytes, size_t count_max);
void address_table_done(struct address_table *t);

/* NULL: it is not there. */
void *address_table_find(const struct address_table *t, const struct address_key *key);
/* Has this value lapsed, so that it may be removed? */
typedef bool address_is_lapsed(const void *value, int64_t now);
/* A new value, all zero; the key is not in there. NULL: the table is full. */
void *address_table_add(struct address_table *t, const struct address_key *key,
                        address_is_lapsed *is_lapsed, int64_t now);
/* Visits all. */
void address_table_each(const struct address_table *t,
                        void (*visit)(void *context, const struct address_key *key,
                                      const void *value),
                        void *context);

/* Visits some: those among `steps` entries from *at on (0 at first), which goes on. False: these were the last. */
bool address_table_slice(const struct address_table *t, uint32_t *at, uint32_t steps,
                         void (*visit)(void *context, const struct address_key *key,
                                       const void *value),
                         void *context);

/* What it has taken from the machine, and what it could take when it is full. */
size_t address_table_bytes(const struct address_table *t);
size_t address_table_bytes_max(const struct address_table *t);

#endif
