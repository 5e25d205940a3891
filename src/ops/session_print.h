/*
 * session_print.h - sessions as people and scripts see them
 *
 * Text: two lines a session, and one with their number at the end. JSON: one object a line. What a stranger said is cut at
 * 500 bytes, and in text its control characters are "?".
 */
#ifndef OPS_SESSION_PRINT_H
#define OPS_SESSION_PRINT_H

#include "base/buf.h"
#include "session/roll.h"

struct session_print {
        bool as_json;
        int64_t now_us; /* wall clock */
        size_t loop;    /* whose sessions these are */
        struct buf *out;
        size_t count;
};

void session_print_one(struct session_print *p, const struct session_view *view);
/* Behind the last. */
void session_print_end(struct session_print *p);

#endif
