/*
 * buf.h - growable bytes with a ceiling
 *
 * The ceiling is given at birth: what comes from outside can fill a buf, never the machine.
 * A buf that owns nothing (after init, or after done) may be dropped without buf_done().
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

struct buf {
        char *ptr;
        size_t len;
        size_t room;      /* bytes allocated */
        size_t bytes_max; /* the ceiling for len */
};

void buf_init(struct buf *b, size_t bytes_max);
/* Its first memory, of a size that fits what is kept by the thousand; by default it begins with 256 bytes. */
void buf_start(struct buf *b, size_t bytes);
void buf_done(struct buf *b);
/* Empties; keeps the memory for use again. */
void buf_clear(struct buf *b);

/*
 * All of these add at the end and return 0, or -ENOBUFS with the buf unchanged when the result
 * would go over the ceiling.
 */
int buf_append(struct buf *b, const void *bytes, size_t len);
int buf_append_str(struct buf *b, struct str s);
int buf_append_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Room for at least `len` more bytes at the end, to be written by the caller and then counted in
 * with buf_grow(). NULL when that would go over the ceiling.
 */
char *buf_reserve(struct buf *b, size_t len);
void buf_grow(struct buf *b, size_t len);

/* Drops the first `len` bytes. */
void buf_consume(struct buf *b, size_t len);

static inline struct str buf_str(const struct buf *b)
{
        return str_make(b->ptr ? b->ptr : "", b->len);
}

#endif
