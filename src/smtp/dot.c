/*
 * dot.c - dots taken away and added (RFC 5321 4.5.2)
 *
 * The decoder is a machine of five states that looks at single bytes only around line starts and
 * CR; between them clean lines pass in one copy (two memchr a line).
 *
 * What a line start with a dot means:
 *
 *      bytes                     after CR LF, or first          after a bare LF
 *      "." CR LF                 the end                        a line "."
 *      "." LF                    a line "."                     a line "."
 *      "." anything else         dot removed                    dot removed
 *
 * The dot is removed after a bare LF as well, as Postfix does: who sends bare LF wrote the whole
 * text that way, and doubled its dots at what it takes for line starts. The lines in the table that
 * are "." alone and not the end are those with which a second message is smuggled past a server
 * that reads ends differently. They stay text: "." comes out, and dot_encode() makes it "..", which
 * no server takes for an end.
 *
 * Not done: refusing such mail. Whether bare line ends are refused is policy's choice
 * (has_bare_lf).
 */
#include "smtp/dot.h"

#include <errno.h>

void dot_decoder_init(struct dot_decoder *d)
{
        *d = (struct dot_decoder){.state = DOT_LINE_START, .is_after_crlf = true};
}

/*
 * How many bytes from `p` on come out as they are: whole lines up to one that starts with a dot,
 * and text up to the first CR or LF in doubt. `p` itself is no dot at a line's start.
 */
static size_t clean_bytes(const char *p, size_t len)
{
        const char *start = p, *end = p + len;
        for (;;) {
                const char *lf = memchr(p, '\n', (size_t)(end - p));
                const char *stop = lf ? lf : end;
                const char *cr = memchr(p, '\r', (size_t)(stop - p));
                if (!lf || !cr || cr + 1 != lf)
                        return (size_t)((cr ? cr : stop) - start);
                p = lf + 1;
                if (p == end || *p == '.')
                        return (size_t)(p - start);
        }
}

static int line_end(struct dot_decoder *d, struct buf *out, struct str text, bool is_crlf)
{
        if (buf_append_str(out, text))
                return -ENOBUFS;
        d->state = DOT_LINE_START;
        d->is_after_crlf = is_crlf;
        d->has_bare_lf = d->has_bare_lf || !is_crlf;
        return 0;
}

/* A CR that no LF follows: the byte behind it is looked at again, as text. */
static int bare_cr(struct dot_decoder *d, struct buf *out)
{
        if (buf_append_char(out, ' '))
                return -ENOBUFS;
        d->state = DOT_TEXT;
        d->has_bare_cr = true;
        return 0;
}

static int text_span(struct dot_decoder *d, struct str *in, struct buf *out)
{
        size_t room = out->bytes_max - out->len;
        size_t span = clean_bytes(in->ptr, in->len < room ? in->len : room);
        if (span == 0 || buf_append(out, in->ptr, span))
                return -ENOBUFS;
        bool at_line_start = in->ptr[span - 1] == '\n';
        d->state = at_line_start ? DOT_LINE_START : DOT_TEXT;
        d->is_after_crlf = at_line_start;
        *in = str_tail(*in, span);
        return 0;
}

/* What the byte in front means. Takes it, or changes the state; -ENOBUFS: neither. */
static int decode_step(struct dot_decoder *d, struct str *in, struct buf *out)
{
        char c = in->ptr[0];
        int code = 0;
        switch (d->state) {
        case DOT_LINE_START:
                if (c == '.') {
                        d->state = DOT_DOT;
                        break;
                }
                __attribute__((fallthrough));
        case DOT_TEXT:
                if (c == '\n')
                        code = line_end(d, out, STR("\r\n"), false);
                else if (c == '\r' && (in->len == 1 || in->ptr[1] != '\n'))
                        d->state = DOT_CR;
                else
                        return text_span(d, in, out);
                break;
        case DOT_CR:
                if (c != '\n')
                        return bare_cr(d, out);
                code = line_end(d, out, STR("\r\n"), true);
                break;
        case DOT_DOT:
                if (c == '\r') {
                        d->state = DOT_DOT_CR;
                } else if (c == '\n') {
                        code = line_end(d, out, STR(".\r\n"), false);
                } else {
                        d->state = DOT_TEXT;
                        return 0;
                }
                break;
        case DOT_DOT_CR:
                if (c != '\n')
                        return bare_cr(d, out);
                if (d->is_after_crlf)
                        d->is_done = true;
                else
                        code = line_end(d, out, STR(".\r\n"), true);
                break;
        }
        if (code == 0)
                *in = str_tail(*in, 1);
        return code;
}

int dot_decode(struct dot_decoder *d, struct str *in, struct buf *out)
{
        while (in->len && !d->is_done) {
                int code = decode_step(d, in, out);
                if (code)
                        return code;
        }
        return 0;
}

/* Looks for dots, not for lines: there are fewer of them (none at all in base64). */
int dot_encode(bool *at_line_start, struct str in, struct buf *out)
{
        size_t bytes_before = out->len;
        size_t done = 0;
        if (in.len == 0)
                return 0;
        const char *end = in.ptr + in.len;
        for (const char *p = in.ptr; (p = memchr(p, '.', (size_t)(end - p))) != NULL; p++) {
                bool starts_line = p == in.ptr ? *at_line_start : p[-1] == '\n';
                size_t at = (size_t)(p - in.ptr);
                if (!starts_line)
                        continue;
                /* up to and with this dot, which the next span then begins with again */
                if (buf_append(out, in.ptr + done, at + 1 - done)) {
                        out->len = bytes_before;
                        return -ENOBUFS;
                }
                done = at;
        }
        if (buf_append(out, in.ptr + done, in.len - done)) {
                out->len = bytes_before;
                return -ENOBUFS;
        }
        *at_line_start = in.ptr[in.len - 1] == '\n';
        return 0;
}

struct str dot_end(bool at_line_start)
{
        return at_line_start ? STR(".\r\n") : STR("\r\n.\r\n");
}
