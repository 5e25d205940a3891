/* rand.h - chance: for jitter, choices and seeds. Each thread has its own, seeded by the kernel. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

uint64_t rand_u64(void);
/* 0 .. limit-1; limit > 0 */
uint64_t rand_below(uint64_t limit);
/* straight from the kernel; fit for secrets */
void rand_bytes(void *out, size_t len);

#endif
