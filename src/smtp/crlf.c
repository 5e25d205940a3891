/*
 * crlf.c - line ends made whole in text that comes without dots (BDAT, RFC 3030)
 *
 * CR LF stays, a bare LF becomes CR LF, a bare CR becomes a blank. Text that is clean passes in
 * spans as long as the input: two memchr a line, one copy a call.
 */
#include "smtp/dot.h"

#include <errno.h>

void crlf_cleaner_init(struct crlf_cleaner *c)
{
        *c = (struct crlf_cleaner){0};
}

/* How many bytes from `p` on are clean: whole lines, and text up to the first CR or LF in doubt. */
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
        }
}

int crlf_clean(struct crlf_cleaner *c, struct str *in, struct buf *out)
{
        while (in->len) {
                char first = in->ptr[0];
                if (c->is_after_cr && first != '\n') {
                        if (buf_append_char(out, ' '))
                                return -ENOBUFS;
                        c->is_after_cr = false;
                        c->has_bare_cr = true;
                } else if (first == '\n') {
                        if (buf_append(out, "\r\n", 2))
                                return -ENOBUFS;
                        c->has_bare_lf = c->has_bare_lf || !c->is_after_cr;
                        c->is_after_cr = false;
                        *in = str_tail(*in, 1);
                } else if (first == '\r' && (in->len == 1 || in->ptr[1] != '\n')) {
                        c->is_after_cr = true;
                        *in = str_tail(*in, 1);
                } else {
                        size_t room = out->bytes_max - out->len;
                        size_t span = clean_bytes(in->ptr, in->len < room ? in->len : room);
                        if (span == 0 || buf_append(out, in->ptr, span))
                                return -ENOBUFS;
                        *in = str_tail(*in, span);
                }
        }
        return 0;
}

int crlf_clean_end(struct crlf_cleaner *c, struct buf *out)
{
        if (c->is_after_cr) {
                if (buf_append_char(out, ' '))
                        return -ENOBUFS;
                c->is_after_cr = false;
                c->has_bare_cr = true;
        }
        return 0;
}
