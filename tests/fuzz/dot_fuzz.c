/*
 * dot_fuzz.c - two bytes choose where the input is cut and how much room there is; then a message
 * on the wire
 *
 * The pieces mean what the whole means, and what is sent on has one end and no bare CR or LF.
 */
#include "fuzz.h"

#include "smtp/dot.h"

#include <errno.h>

enum { BYTES_MAX = 1 << 20 };

/* Through a small buf, emptied when it is full. Returns how much of the input was taken. */
static size_t decode(struct dot_decoder *d, struct str in, size_t ceiling, struct buf *all)
{
        struct buf out;
        size_t bytes = in.len;
        int code;
        buf_init(&out, ceiling);
        do {
                code = dot_decode(d, &in, &out);
                check(code == 0 || (code == -ENOBUFS && out.len));
                check(buf_append_str(all, buf_str(&out)) == 0);
                buf_clear(&out);
        } while (code);
        check(d->is_done || in.len == 0);
        buf_done(&out);
        return bytes - in.len;
}

static void check_wire(struct str text, size_t cut)
{
        struct buf wire;
        bool at_line_start = true;
        buf_init(&wire, 2 * BYTES_MAX);
        check(buf_append(&wire, "\r\n", 2) == 0);
        check(dot_encode(&at_line_start, str_part(text, 0, cut), &wire) == 0);
        check(dot_encode(&at_line_start, str_tail(text, cut), &wire) == 0);
        check(buf_append_str(&wire, dot_end(at_line_start)) == 0);
        check(str_find_str(buf_str(&wire), STR("\r\n.\r\n")) == (ptrdiff_t)wire.len - 5);
        for (size_t i = 0; i < wire.len; i++) {
                check(wire.ptr[i] != '\n' || (i && wire.ptr[i - 1] == '\r'));
                check(wire.ptr[i] != '\r' || (i + 1 < wire.len && wire.ptr[i + 1] == '\n'));
        }
        buf_done(&wire);
}

static void check_clean(struct str in, size_t cut, size_t ceiling)
{
        struct crlf_cleaner c;
        struct buf out, all;
        struct str pieces[2] = {str_part(in, 0, cut), str_tail(in, cut)};
        int code;
        buf_init(&out, ceiling);
        buf_init(&all, 2 * BYTES_MAX);
        crlf_cleaner_init(&c);
        for (int i = 0; i < 2; i++)
                do {
                        code = crlf_clean(&c, &pieces[i], &out);
                        check(code == 0 || out.len);
                        check(buf_append_str(&all, buf_str(&out)) == 0);
                        buf_clear(&out);
                } while (code);
        check(crlf_clean_end(&c, &all) == 0);
        check_wire(buf_str(&all), all.len / 2);
        buf_done(&out);
        buf_done(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        struct dot_decoder whole, pieces;
        struct buf a, b;
        if (size > BYTES_MAX)
                return 0;
        size_t cut = fuzz_byte(&in);
        size_t ceiling = 3 + fuzz_byte(&in);
        cut = in.len ? cut % (in.len + 1) : 0;
        buf_init(&a, 2 * BYTES_MAX);
        buf_init(&b, 2 * BYTES_MAX);
        dot_decoder_init(&whole);
        dot_decoder_init(&pieces);

        size_t taken = decode(&whole, in, 2 * BYTES_MAX, &a);
        size_t taken_in_pieces = decode(&pieces, str_part(in, 0, cut), ceiling, &b);
        if (!pieces.is_done)
                taken_in_pieces += decode(&pieces, str_tail(in, cut), ceiling, &b);
        check(taken == taken_in_pieces && str_eq(buf_str(&a), buf_str(&b)));
        check(whole.state == pieces.state && whole.is_done == pieces.is_done);
        check(whole.has_bare_lf == pieces.has_bare_lf && whole.has_bare_cr == pieces.has_bare_cr);

        /* the end is where CR LF . CR LF is first, and nowhere else */
        bool starts_with_end = str_starts(in, STR(".\r\n"));
        ptrdiff_t at = str_find_str(in, STR("\r\n.\r\n"));
        check(whole.is_done == (starts_with_end || at >= 0));
        if (whole.is_done) {
                check(taken == (starts_with_end ? 3 : (size_t)at + 5));
                check_wire(buf_str(&a), cut % (a.len + 1));
        }
        check_clean(in, cut, ceiling);
        buf_done(&a);
        buf_done(&b);
        return 0;
}
