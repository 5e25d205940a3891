/*
 * format.h - printf for log lines, replies and explanations: the C library's results, at a third of its cost
 *
 * A session that is refused has a dozen texts put together, and vsnprintf(), which makes a stream for each, was a
 * third of what the process itself did for it. What is plain (%s, %.*s, %c, %d, %u, %x with l, ll, z and a width, %%) is
 * done here; a format with anything else is given to vsnprintf() as a whole.
 */
#ifndef BASE_FORMAT_H
#define BASE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* As snprintf(): at most room - 1 bytes and a NUL (nothing when room is 0); returns the length of the whole text. */
int format_print(char *out, size_t room, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* As vsnprintf(). */
int format_vprint(char *out, size_t room, const char *format, va_list args)
        __attribute__((format(printf, 3, 0)));

#endif
