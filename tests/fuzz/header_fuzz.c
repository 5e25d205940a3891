/* header_fuzz.c - a message, or the beginning of one: fields, folds, and its header's end found in pieces */
#include "fuzz.h"

#include "message/header.h"

static void check_end(struct str in, size_t step)
{
        size_t end = 0, end_in_pieces = 0, from = 0;
        bool is_found = header_find_end(in, &from, false, &end);
        bool is_found_in_pieces = false;
        from = 0;
        for (size_t n = step; n < in.len && !is_found_in_pieces; n += step)
                is_found_in_pieces =
                        header_find_end(str_part(in, 0, n), &from, false, &end_in_pieces);
        if (!is_found_in_pieces)
                is_found_in_pieces = header_find_end(in, &from, false, &end_in_pieces);
        check(is_found == is_found_in_pieces);
        check(!is_found || (end == end_in_pieces && end <= in.len));
        from = 0;
        check(header_find_end(in, &from, true, &end_in_pieces) && end_in_pieces <= in.len);
        check(!is_found || end == end_in_pieces);
        /* all before the end is fields, and all fields are before the end */
        struct str header = str_part(in, 0, end_in_pieces);
        struct header_field field;
        while (header_next(&header, &field))
                ;
        check(header.len == 0 || str_eq(header, STR("\r\n")) || str_eq(header, STR("\n")) ||
              str_eq(header, STR("\r")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        size_t step = 1 + fuzz_byte(&in);
        struct header_field field;
        struct arena arena;
        struct str value;
        arena_init(&arena, 0);
        check_end(in, step);
        struct str rest = in;
        while (header_next(&rest, &field)) {
                check(field.name.len > 0 && field.name.len + field.value.len < field.raw.len);
                check(field.raw.len <= in.len);
                check(header_find(in, field.name, &arena, &value));
                struct str flat = header_unfold(field.value, &arena);
                check(str_find(flat, '\r') < 0 && str_find(flat, '\n') < 0);
                check(str_find(header_for_checks(field.raw, &arena), '\r') < 0);
                arena_clear(&arena);
        }
        check(header_count_hops(in) <= in.len / 9);
        arena_done(&arena);
        return 0;
}
