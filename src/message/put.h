/*
 * put.h - private to message/: writing text into a buf, with one error at the end
 *
 * After the first -ENOBUFS nothing more is written, and put_end() takes back what was: so a
 * function that writes forty pieces checks once.
 */
#ifndef MESSAGE_PUT_H
#define MESSAGE_PUT_H

#include "base/buf.h"

struct put {
        struct buf *out;
        size_t start;
        int code;
};

static inline struct put put_begin(struct buf *out)
{
        return (struct put){out, out->len, 0};
}

/* 0, or -ENOBUFS with the buf as it was at put_begin(). */
int put_end(struct put *p);

void put_str(struct put *p, struct str text);
void put_char(struct put *p, char c);
void put_date(struct put *p, int64_t wall_us);

enum put_charset { PUT_ASCII, PUT_UTF8 };

/*
 * Text of strangers: control characters (and what `avoid` lists), bytes over 127 for PUT_ASCII, and
 * all that is no UTF-8 come out as '?'. `avoid` may be NULL.
 */
void put_clean(struct put *p, struct str text, enum put_charset charset, const char *avoid);

/*
 * The same, word by word, in lines of about 75 characters, each but the first indented by four
 * blanks: a folded header field, or a paragraph. `column`: how many characters stand on the line
 * already. No line end behind it.
 */
void put_wrapped(struct put *p, struct str text, size_t column, enum put_charset charset);

#endif
