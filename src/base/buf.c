/* buf.c - growable bytes with a ceiling */
#include "base/buf.h"

#include "base/check.h"
#include "base/format.h"

#include <errno.h>
#include <stdarg.h>

/* An SMTP reply, a line: most need no more. */
enum { BYTES_MIN = 256 };

void buf_init(struct buf *b, size_t bytes_max)
{
        *b = (struct buf){.bytes_max = bytes_max};
}

void buf_start(struct buf *b, size_t bytes)
{
        check(!b->ptr && bytes && bytes <= b->bytes_max);
        b->ptr = malloc(bytes);
        check(b->ptr);
        b->room = bytes;
}

void buf_done(struct buf *b)
{
        free(b->ptr);
        *b = (struct buf){.bytes_max = b->bytes_max};
}

void buf_clear(struct buf *b)
{
        b->len = 0;
}

char *buf_reserve(struct buf *b, size_t len)
{
        if (len > b->bytes_max - b->len)
                return NULL;
        if (b->room - b->len < len || !b->ptr) {
                size_t room = b->room ? b->room : BYTES_MIN;
                while (room < b->len + len)
                        room *= 2;
                if (room > b->bytes_max)
                        room = b->bytes_max ? b->bytes_max : 1;
                char *ptr = realloc(b->ptr, room);
                if (!ptr)
                        return NULL;
                b->ptr = ptr;
                b->room = room;
        }
        return b->ptr + b->len;
}

void buf_grow(struct buf *b, size_t len)
{
        check(len <= b->room - b->len);
        b->len += len;
}

int buf_append(struct buf *b, const void *bytes, size_t len)
{
        if (len == 0)
                return 0;
        char *at = buf_reserve(b, len);
        if (!at)
                return -ENOBUFS;
        memcpy(at, bytes, len);
        b->len += len;
        return 0;
}

int buf_append_str(struct buf *b, struct str s)
{
        return buf_append(b, s.ptr, s.len);
}

int buf_append_char(struct buf *b, char c)
{
        return buf_append(b, &c, 1);
}

int buf_printf(struct buf *b, const char *format, ...)
{
        char small[512];
        va_list args;
        va_start(args, format);
        int len = format_vprint(small, sizeof(small), format, args);
        va_end(args);
        check(len >= 0);
        if ((size_t)len < sizeof(small))
                return buf_append(b, small, (size_t)len);
        char *at = buf_reserve(b, (size_t)len + 1);
        if (!at)
                return -ENOBUFS;
        va_start(args, format);
        format_vprint(at, (size_t)len + 1, format, args);
        va_end(args);
        b->len += (size_t)len;
        return 0;
}

void buf_consume(struct buf *b, size_t len)
{
        check(len <= b->len);
        b->len -= len;
        if (b->len && len)
                memmove(b->ptr, b->ptr + len, b->len);
}
