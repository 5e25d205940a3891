/*
 * mailbox_line.h - a mailbox's "From " lines in front of a header (RFC 4155), which are none of its fields
 *
 * As Postfix keeps them: in fields of their own, X-Mailbox-Line, so that they do not end the header. Any number of ">" may
 * stand in front of "From ". Pure.
 */
#ifndef MESSAGE_MAILBOX_LINE_H
#define MESSAGE_MAILBOX_LINE_H

#include "base/buf.h"
#include "base/str.h"

enum {
        MAILBOX_LINES_MAX = 16,        /* those behind them stay as they are */
        MAILBOX_LINE_BYTES_MAX = 4096, /* of a line whose end has not come: it is waited for */
};

/* Begins as {0}; `at` may begin behind lines of our own. */
struct mailbox_lines {
        size_t at; /* where the client's next line begins */
        size_t count;
        bool is_past; /* all that may be such lines have been seen */
};

/* Makes fields of such lines in `text`. Is what stands there to go on? False: more of a line is needed, unless `is_all`. */
bool mailbox_lines_keep(struct mailbox_lines *m, struct buf *text, bool is_all);

#endif
