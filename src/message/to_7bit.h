/*
 * to_7bit.h - a message for a server without 8BITMIME (RFC 6152 3): parts that say 8bit or binary become quoted-printable
 * (RFC 2045 6.7)
 *
 * A pure machine, fed pieces of any size. Only what is said to have eight bits is changed: the header of such a part, and its
 * body; a multipart or message around it then says 7bit. All else passes as it is. Text is cleaned: lines end in CR LF.
 */
#ifndef MESSAGE_TO_7BIT_H
#define MESSAGE_TO_7BIT_H

#include "message/mime.h"

struct to_7bit {
        struct mime mime;
        struct buf waiting;  /* what does not make a unit yet */
        size_t column;       /* of the line that is being written */
        bool has_8bit_field; /* the header that is being read says 8bit; the field is left out */
        bool is_encoding;    /* the body that is being read */
        bool drops_rest;     /* of that field, when it is very long */
};

void to_7bit_init(struct to_7bit *t);
void to_7bit_done(struct to_7bit *t);
/*
 * Appends to `out` what this piece makes; with `is_all` it is the last (it may be empty). 0, or -ENOBUFS when `out` has no
 * room: give it four times the piece and TO_7BIT_SPARE_BYTES.
 */
enum { TO_7BIT_SPARE_BYTES = 512 << 10 };
int to_7bit_feed(struct to_7bit *t, struct str piece, bool is_all, struct buf *out);

#endif
