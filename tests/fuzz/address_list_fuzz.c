/* address_list_fuzz.c - addresses in header fields: spans in order, each an address */
#include "fuzz.h"

#include "message/address_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        struct arena arena;
        struct address_span span;
        size_t at = 0;
        size_t end = 0;
        arena_init(&arena, 0);
        while (address_list_next(in, &at, &arena, &span)) {
                check(span.from >= end && span.from < span.to && span.to <= at && at <= in.len);
                check(span.address.text.len && span.address.text.len <= SMTP_PATH_BYTES_MAX);
                check(str_find(span.address.text, '\r') < 0);
                check(str_find(span.address.text, '\n') < 0);
                end = span.to;
        }
        check(at >= in.len);
        arena_done(&arena);
        return 0;
}
