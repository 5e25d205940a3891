/* verify_line_fuzz.c - a line of the file of verified addresses: what is read is within its limits, and is written as it was read */
#include "fuzz.h"

#include "state/verify_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str line = fuzz_str(data, size);
        struct verify_line first;
        struct verify_line second;
        if (!verify_line_read(line, &first))
                return 0;
        check(first.address.len && first.address.len <= SMTP_PATH_BYTES_MAX);
        check(first.text.len <= VERIFY_TEXT_BYTES_MAX && first.updated_s >= 0);
        struct verify_entry entry = {
                .status = first.status,
                .updated_s = first.updated_s,
                .address = first.address,
                .text = first.text,
        };
        struct buf out;
        buf_init(&out, VERIFY_LINE_BYTES_MAX);
        check(verify_line_put(&out, &entry));
        struct str written = buf_str(&out);
        check(str_ends(written, STR("\n")));
        check(verify_line_read(str_part(written, 0, written.len - 1), &second));
        check(second.status == first.status && second.updated_s == first.updated_s);
        check(str_eq(second.address, first.address) && str_eq(second.text, first.text));
        buf_done(&out);
        return 0;
}
