/* fold.c - where a line that is too long is broken */
#include "smtp/fold.h"

#include <string.h>

size_t line_fold_fits(struct line_fold *f, struct str in)
{
        size_t bytes_max = f->bytes_max == 1 ? 2 : f->bytes_max; /* a fold has a byte of its own */
        if (bytes_max == 0)
                return in.len;
        for (size_t at = 0; at < in.len;) {
                const char *lf = memchr(in.ptr + at, '\n', in.len - at);
                size_t end = lf ? (size_t)(lf - in.ptr) : in.len;
                size_t width = end - at - (end > at && in.ptr[end - 1] == '\r');
                if (f->column + width > bytes_max) {
                        at += bytes_max - f->column;
                        f->column = 1;
                        return at;
                }
                f->column = lf ? 0 : f->column + width;
                at = lf ? end + 1 : end;
        }
        return in.len;
}
