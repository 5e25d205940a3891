/* encoded_word_fuzz.c - header fields with RFC 2047 words: always UTF-8, never over the ceiling */
#include "fuzz.h"

#include "message/encoded_word.h"
#include "smtp/command.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        struct buf out;
        buf_init(&out, 64 << 10);
        int rc = encoded_words_decode(in, &out);
        check(rc == 0 || rc == -ENOBUFS);
        check(out.len <= out.bytes_max);
        check(smtp_utf8_is_valid(buf_str(&out)));
        buf_done(&out);
        /* with little room it is the beginning, or stops where a word had none */
        buf_init(&out, fuzz_byte(&in) % 32);
        rc = encoded_words_decode(in, &out);
        check(out.len <= out.bytes_max);
        check(smtp_utf8_is_valid(buf_str(&out)));
        buf_done(&out);
        return 0;
}
