/*
 * fold.h - lines that are too long for SMTP (RFC 5321 4.5.3.1.6; Postfix: smtp_line_length_limit)
 *
 * They are broken by LINE_FOLD, which a header unfolds again and which does the least damage in a body. Text given is clean
 * (CR LF only), in pieces of any size. Pure.
 */
#ifndef SMTP_FOLD_H
#define SMTP_FOLD_H

#include "base/str.h"

#define LINE_FOLD "\r\n "

struct line_fold {
        size_t bytes_max; /* of a line without CR LF; 0: no limit; 1 counts as 2 */
        size_t column;    /* bytes of the line that is being written */
};

/* How many bytes from the front of `in` may go out now. When that is not all, LINE_FOLD comes next, then the rest is given. */
size_t line_fold_fits(struct line_fold *f, struct str in);

#endif
