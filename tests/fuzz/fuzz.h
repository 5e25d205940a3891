/*
 * fuzz.h - what every fuzz target includes
 *
 * A target is tests/fuzz/NAME_fuzz.c with one function; its seeds are in tests/fuzz/corpus/NAME/,
 * words that help in tests/fuzz/NAME.dict. It does more than run the code: with check() it states
 * what must hold for any input.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/check.h"
#include "base/str.h"

/* libFuzzer calls this for every input; it returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct str fuzz_str(const uint8_t *data, size_t size)
{
        return str_make((const char *)data, size);
}

/* Takes one byte off the front, for choices; 0 when nothing is left. */
static inline unsigned fuzz_byte(struct str *in)
{
        unsigned byte = in->len ? (unsigned char)in->ptr[0] : 0;
        *in = str_tail(*in, 1);
        return byte;
}

static inline bool fuzz_has_control(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
                        return true;
        return false;
}

#endif
