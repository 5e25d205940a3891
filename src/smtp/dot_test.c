/* dot_test.c - against a reference that sees the whole text at once, at every split */
#include "base/unit.h"

#include "base/rand.h"
#include "smtp/dot.h"

#include <errno.h>

enum { TEXT_BYTES_MAX = 4096 };

/* ---- the reference: what the text means, said as plainly as possible ---- */

struct meaning {
        char text[TEXT_BYTES_MAX];
        size_t len;
        bool is_done;
        size_t end; /* where what follows the end begins */
        bool has_bare_lf, has_bare_cr;
};

static void meaning_add(struct meaning *m, char c)
{
        assert_true(m->len < sizeof(m->text));
        m->text[m->len++] = c;
}

/* One line, without its line end: a dot in front goes, unless it is all there is; CR is a blank. */
static void meaning_add_line(struct meaning *m, struct str line, bool is_whole)
{
        bool is_lone_dot = is_whole && str_eq(line, STR("."));
        for (size_t i = str_starts(line, STR(".")) && !is_lone_dot; i < line.len; i++) {
                m->has_bare_cr = m->has_bare_cr || line.ptr[i] == '\r';
                meaning_add(m, line.ptr[i] == '\r' ? ' ' : line.ptr[i]);
        }
}

/* `has_dots` false: BDAT, where a dot is a dot. */
static void meaning_of(struct str text, struct meaning *m)
{
        *m = (struct meaning){.end = text.len};
        for (size_t i = 0; i + 3 <= text.len && !m->is_done; i++) {
                bool at_start = i == 0 || (i >= 2 && memcmp(text.ptr + i - 2, "\r\n", 2) == 0);
                if (at_start && memcmp(text.ptr + i, ".\r\n", 3) == 0) {
                        m->is_done = true;
                        m->end = i + 3;
                        text.len = i;
                }
        }
        while (str_find(text, '\n') >= 0) {
                struct str line = str_cut(&text, '\n');
                if (str_ends(line, STR("\r")))
                        line.len--;
                else
                        m->has_bare_lf = true;
                meaning_add_line(m, line, true);
                meaning_add(m, '\r');
                meaning_add(m, '\n');
        }
        meaning_add_line(m, text, false);
}

/* ---- the decoder, fed in two pieces, into a buf that is emptied when it is full ---- */

static void decode_pieces(struct str text, size_t split, size_t ceiling, struct dot_decoder *d,
                          struct buf *all, size_t *taken)
{
        struct buf out;
        struct str pieces[2] = {str_part(text, 0, split), str_tail(text, split)};
        buf_init(&out, ceiling);
        dot_decoder_init(d);
        *taken = 0;
        for (int i = 0; i < 2; i++) {
                int code;
                size_t bytes = pieces[i].len;
                do {
                        code = dot_decode(d, &pieces[i], &out);
                        assert_true(code == 0 || (code == -ENOBUFS && out.len > 0));
                        assert_int_equal(buf_append_str(all, buf_str(&out)), 0);
                        buf_clear(&out);
                } while (code);
                assert_true(d->is_done || pieces[i].len == 0);
                *taken += bytes - pieces[i].len;
        }
        buf_done(&out);
}

static void check_decode(struct str text, size_t split, size_t ceiling)
{
        static struct meaning want;
        struct dot_decoder d;
        struct buf got;
        size_t taken;
        meaning_of(text, &want);
        buf_init(&got, TEXT_BYTES_MAX);
        decode_pieces(text, split, ceiling, &d, &got, &taken);
        assert_int_equal(d.is_done, want.is_done);
        assert_int_equal(taken, want.end);
        if (d.is_done || d.state == DOT_LINE_START || d.state == DOT_TEXT) {
                assert_int_equal(got.len, want.len);
                assert_int_equal(d.has_bare_lf, want.has_bare_lf);
                assert_int_equal(d.has_bare_cr, want.has_bare_cr);
        } else {
                /* a CR that waits is a blank in the reference, a dot that waits is gone there */
                assert_int_equal(want.len - got.len, d.state != DOT_DOT);
        }
        if (got.len)
                assert_memory_equal(got.ptr, want.text, got.len);
        buf_done(&got);
}

/* What left is safe: no bare CR or LF, and one end, at its end. */
static void check_encode(struct str text, size_t split)
{
        struct dot_decoder d;
        struct buf decoded, wire;
        size_t taken;
        bool at_line_start = true;
        buf_init(&decoded, TEXT_BYTES_MAX);
        buf_init(&wire, 2 * TEXT_BYTES_MAX);
        decode_pieces(text, split, TEXT_BYTES_MAX, &d, &decoded, &taken);
        if (d.is_done) {
                /* the line end of the DATA command stands in front */
                buf_append(&wire, "\r\n", 2);
                size_t half = decoded.len / 2;
                assert_int_equal(
                        dot_encode(&at_line_start, str_part(buf_str(&decoded), 0, half), &wire), 0);
                assert_int_equal(
                        dot_encode(&at_line_start, str_tail(buf_str(&decoded), half), &wire), 0);
                assert_int_equal(buf_append_str(&wire, dot_end(at_line_start)), 0);
                assert_int_equal(str_find_str(buf_str(&wire), STR("\r\n.\r\n")), wire.len - 5);
                for (size_t i = 0; i < wire.len; i++) {
                        if (wire.ptr[i] == '\n')
                                assert_true(i > 0 && wire.ptr[i - 1] == '\r');
                        if (wire.ptr[i] == '\r')
                                assert_true(i + 1 < wire.len && wire.ptr[i + 1] == '\n');
                }
                /* and the next server reads what we read */
                struct dot_decoder again;
                struct buf back;
                struct str in = str_tail(buf_str(&wire), 2);
                buf_init(&back, TEXT_BYTES_MAX);
                dot_decoder_init(&again);
                assert_int_equal(dot_decode(&again, &in, &back), 0);
                assert_true(again.is_done && in.len == 0);
                struct str same = str_part(buf_str(&back), 0, decoded.len);
                assert_true(str_eq(same, buf_str(&decoded)));
                /* a last line without an end gets one */
                assert_true(back.len == decoded.len || back.len == decoded.len + 2);
                buf_done(&back);
        }
        buf_done(&decoded);
        buf_done(&wire);
}

static const struct str tricky[] = {
        STR_INIT(".\r\n"),
        STR_INIT("a\r\n.\r\nrest"),
        STR_INIT("..\r\n...\r\n.a\r\n.\r\n"),
        STR_INIT("a\n.\nb\r\n.\r\n"),
        STR_INIT("a\n.\r\nb\r\n.\r\n"),
        STR_INIT("a\r\n.\nb\r\n.\r\n"),
        STR_INIT("a\r\n.\rb\r\n.\r\n"),
        STR_INIT("a\r\n.\r\r\nb\r\n.\r\n"),
        STR_INIT("a\r.\r\nb\r\n.\r\n"),
        STR_INIT("a\r\r\n.\r\nb"),
        STR_INIT("a\n\r.\r\n\n\r\n.\r\n"),
        STR_INIT("a\r\n\0.\r\nb\r\n.\0\r\nc\r\n\0.\r\n.\r\n"),
        STR_INIT("a\r\n.\r\0\nb\r\n.\r\n"),
        STR_INIT("a\n..\nb\n.c\n.\n\r\n.\r\n"),
        STR_INIT("a\n.\r\n.\r\nb"),
        STR_INIT("a\n.\n.\r\n.\r\nb"),
        STR_INIT("\n.\r\n\n.\n.\r\n"),
        STR_INIT("\r\n.\r\n"),
        STR_INIT("\r.\r\n\r\r\r\n\n\n.\r\r\n.\r\n"),
        STR_INIT("no end\r\n.\r"),
        STR_INIT("no end\r\n."),
        STR_INIT("no end\r"),
        STR_INIT("a\r\n. \r\n.\t\r\n.\r\n"),
        STR_INIT("a\r\n.\r\nMAIL FROM:<b>\r\n.\r\n"),
};

static void decodes_at_every_split(void **state)
{
        for (size_t i = 0; i < sizeof(tricky) / sizeof(tricky[0]); i++)
                for (size_t split = 0; split <= tricky[i].len; split++)
                        for (size_t ceiling = 3; ceiling < 9; ceiling++) {
                                check_decode(tricky[i], split, ceiling);
                                check_encode(tricky[i], split);
                        }
}

static void decodes_byte_by_byte(void **state)
{
        for (size_t i = 0; i < sizeof(tricky) / sizeof(tricky[0]); i++) {
                static struct meaning want;
                struct dot_decoder d;
                struct buf out;
                meaning_of(tricky[i], &want);
                buf_init(&out, TEXT_BYTES_MAX);
                dot_decoder_init(&d);
                for (size_t at = 0; at < tricky[i].len && !d.is_done; at++) {
                        struct str one = str_part(tricky[i], at, 1);
                        assert_int_equal(dot_decode(&d, &one, &out), 0);
                        assert_int_equal(one.len, 0);
                }
                assert_int_equal(d.is_done, want.is_done);
                assert_true(out.len <= want.len &&
                            memcmp(out.ptr ? out.ptr : "", want.text, out.len) == 0);
                buf_done(&out);
        }
}

static size_t random_text(char *text, size_t bytes_max)
{
        static const char alphabet[] = {'\r', '\n', '.', 'a', '\0', '\r', '\n', '.'};
        size_t len = rand_below(bytes_max);
        for (size_t i = 0; i < len; i++)
                text[i] = alphabet[rand_below(sizeof(alphabet))];
        return len;
}

static void decodes_random_text(void **state)
{
        for (int round = 0; round < 60000; round++) {
                char text[64];
                size_t len = random_text(text, sizeof(text) - 5);
                memcpy(text + len, "\r\n.\r\n", 5);
                struct str all = str_make(text, len + (rand_below(8) ? 5 : 0));
                size_t split = rand_below(all.len + 1);
                check_decode(all, split, 3 + rand_below(32));
                check_encode(all, split);
        }
}

static void says_what_it_means(void **state)
{
        static const struct {
                struct str in;
                const char *out, *rest;
                bool has_bare_lf, has_bare_cr;
        } cases[] = {
                {STR_INIT("a\r\n..b\r\n.\r\nQUIT"), "a\r\n.b\r\n", "QUIT", false, false},
                {STR_INIT("a\n.\r\nb\r\n.\r\n"), "a\r\n.\r\nb\r\n", "", true, false},
                {STR_INIT("a\r\n.\nb\r\n.\r\n"), "a\r\n.\r\nb\r\n", "", true, false},
                {STR_INIT("a\n.b\n..\n.\r\r\n.\r\n"), "a\r\nb\r\n.\r\n \r\n", "", true, true},
                {STR_INIT("a\rb\r\n.\r\n"), "a b\r\n", "", false, true},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct dot_decoder d;
                struct buf out;
                struct str in = cases[i].in;
                buf_init(&out, TEXT_BYTES_MAX);
                dot_decoder_init(&d);
                assert_int_equal(dot_decode(&d, &in, &out), 0);
                assert_true(d.is_done);
                assert_str_equal(buf_str(&out), cases[i].out);
                assert_str_equal(in, cases[i].rest);
                assert_int_equal(d.has_bare_lf, cases[i].has_bare_lf);
                assert_int_equal(d.has_bare_cr, cases[i].has_bare_cr);
                /* what follows the end is not ours */
                assert_int_equal(dot_decode(&d, &in, &out), 0);
                assert_str_equal(in, cases[i].rest);
                buf_done(&out);
        }
}

static void encode_is_all_or_nothing(void **state)
{
        struct buf out;
        bool at_line_start = true;
        buf_init(&out, 8);
        assert_int_equal(dot_encode(&at_line_start, STR(".a\r\n.b\r"), &out), -ENOBUFS);
        assert_int_equal(out.len, 0);
        assert_true(at_line_start);
        assert_int_equal(dot_encode(&at_line_start, STR(".a"), &out), 0);
        assert_false(at_line_start);
        assert_int_equal(dot_encode(&at_line_start, STR(""), &out), 0);
        assert_int_equal(dot_encode(&at_line_start, STR(".\r\n"), &out), 0);
        assert_true(at_line_start);
        assert_str_equal(buf_str(&out), "..a.\r\n");
        buf_done(&out);
}

static void clean_reference(struct str text, struct meaning *m)
{
        *m = (struct meaning){0};
        for (size_t i = 0; i < text.len; i++) {
                bool has_lf = i + 1 < text.len && text.ptr[i + 1] == '\n';
                if (text.ptr[i] == '\r' && !has_lf) {
                        meaning_add(m, ' ');
                        m->has_bare_cr = true;
                } else if (text.ptr[i] == '\n') {
                        m->has_bare_lf = m->has_bare_lf || i == 0 || text.ptr[i - 1] != '\r';
                        meaning_add(m, '\r');
                        meaning_add(m, '\n');
                } else if (text.ptr[i] != '\r') {
                        meaning_add(m, text.ptr[i]);
                }
        }
}

static void check_clean(struct str text, size_t split, size_t ceiling)
{
        static struct meaning want;
        struct crlf_cleaner c;
        struct buf out, all;
        struct str pieces[2] = {str_part(text, 0, split), str_tail(text, split)};
        buf_init(&out, ceiling);
        buf_init(&all, TEXT_BYTES_MAX);
        crlf_cleaner_init(&c);
        clean_reference(text, &want);
        for (int i = 0; i < 2; i++) {
                int code;
                do {
                        code = crlf_clean(&c, &pieces[i], &out);
                        buf_append_str(&all, buf_str(&out));
                        buf_clear(&out);
                } while (code);
                assert_int_equal(pieces[i].len, 0);
        }
        assert_int_equal(crlf_clean_end(&c, &out), 0);
        buf_append_str(&all, buf_str(&out));
        assert_int_equal(all.len, want.len);
        assert_true(all.len == 0 || memcmp(all.ptr, want.text, all.len) == 0);
        assert_int_equal(c.has_bare_lf, want.has_bare_lf);
        assert_int_equal(c.has_bare_cr, want.has_bare_cr);
        buf_done(&out);
        buf_done(&all);
}

static void cleans_at_every_split(void **state)
{
        for (size_t i = 0; i < sizeof(tricky) / sizeof(tricky[0]); i++)
                for (size_t split = 0; split <= tricky[i].len; split++)
                        for (size_t ceiling = 2; ceiling < 6; ceiling++)
                                check_clean(tricky[i], split, ceiling);
        for (int round = 0; round < 20000; round++) {
                char text[64];
                size_t len = random_text(text, sizeof(text));
                check_clean(str_make(text, len), rand_below(len + 1), 2 + rand_below(64));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(says_what_it_means),
                cmocka_unit_test(decodes_at_every_split),
                cmocka_unit_test(decodes_byte_by_byte),
                cmocka_unit_test(decodes_random_text),
                cmocka_unit_test(encode_is_all_or_nothing),
                cmocka_unit_test(cleans_at_every_split),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
