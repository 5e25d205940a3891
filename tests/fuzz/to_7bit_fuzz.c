/* to_7bit_fuzz.c - eight bits in seven: the same in pieces of any size, and nothing lost */
#include "fuzz.h"

#include "message/to_7bit.h"

static void convert(struct str in, size_t step, struct buf *out)
{
        struct to_7bit t;
        to_7bit_init(&t);
        while (in.len) {
                struct str piece = str_part(in, 0, step);
                in = str_tail(in, piece.len);
                check(to_7bit_feed(&t, piece, false, out) == 0);
        }
        check(to_7bit_feed(&t, STR(""), true, out) == 0);
        to_7bit_done(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        size_t step = fuzz_byte(&in) + 1;
        struct buf whole, pieces;
        if (in.len > 60000)
                return 0;
        buf_init(&whole, 4 * in.len + TO_7BIT_SPARE_BYTES);
        buf_init(&pieces, 4 * in.len + TO_7BIT_SPARE_BYTES);
        convert(in, in.len ? in.len : 1, &whole);
        convert(in, step, &pieces);
        check(str_eq(buf_str(&whole), buf_str(&pieces)));
        buf_done(&whole);
        buf_done(&pieces);
        return 0;
}
