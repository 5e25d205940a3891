/* rand.c - chance: xoshiro256** (public domain algorithm by Blackman and Vigna), one a thread */
#include "base/rand.h"

#include "base/check.h"

#include <sys/random.h>

static __thread uint64_t state[4];

void rand_bytes(void *out, size_t len)
{
        char *at = out;
        while (len) {
                ssize_t got = getrandom(at, len, 0);
                check(got > 0);
                at += got;
                len -= (size_t)got;
        }
}

static uint64_t rotate(uint64_t x, int bits)
{
        return (x << bits) | (x >> (64 - bits));
}

uint64_t rand_u64(void)
{
        if (!(state[0] | state[1] | state[2] | state[3]))
                rand_bytes(state, sizeof(state));
        uint64_t result = rotate(state[1] * 5, 7) * 9;
        uint64_t t = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= t;
        state[3] = rotate(state[3], 45);
        return result;
}

uint64_t rand_below(uint64_t limit)
{
        check(limit > 0);
        /* the bias of one multiplication is below 2^-32 for every limit that we use */
        return (uint64_t)(((unsigned __int128)rand_u64() * limit) >> 64);
}
