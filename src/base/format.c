/* format.c - printf for log lines, replies and explanations */
#include "base/format.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS_MAX = 20, NUMBER_MAX = 1000 };

/* What is written ends at `room`; `len` goes on counting. */
struct text {
        char *out;
        size_t room; /* without the NUL */
        size_t len;
};

struct directive {
        bool has_zeros;
        bool has_precision;
        bool has_star; /* the precision is an argument */
        int width;
        int precision;
        int longs;
        char conversion;
};

/* A va_list that can be handed on: some are arrays. */
struct arguments {
        va_list list;
};

static void add(struct text *t, const char *bytes, size_t len)
{
        if (t->len < t->room) {
                size_t left = t->room - t->len;
                memcpy(t->out + t->len, bytes, left < len ? left : len);
        }
        t->len += len;
}

static int number_read(const char **at)
{
        int value = 0;
        while (**at >= '0' && **at <= '9' && value < NUMBER_MAX)
                value = 10 * value + (*(*at)++ - '0');
        return value;
}

/* From behind the '%' to behind the directive. What is none of ours shows in its conversion. */
static struct directive directive_read(const char **at)
{
        struct directive d = {0};
        const char *p = *at;
        if (*p == '0') {
                d.has_zeros = true;
                p++;
        }
        d.width = number_read(&p);
        if (*p == '.') {
                d.has_precision = true;
                p++;
                d.has_star = *p == '*';
                if (d.has_star)
                        p++;
                else
                        d.precision = number_read(&p);
        }
        for (; *p == 'l' && d.longs < 2; p++)
                d.longs++;
        if (*p == 'z' && d.longs == 0) {
                d.longs = 1; /* as wide as a long */
                p++;
        }
        d.conversion = *p;
        *at = *p ? p + 1 : p;
        return d;
}

static bool add_string(struct text *t, const struct directive *d, struct arguments *a)
{
        int precision = d->has_star ? va_arg(a->list, int) : d->precision;
        const char *s = va_arg(a->list, const char *);
        bool is_empty = d->has_precision && precision == 0; /* whatever s is */
        if (d->width || d->longs || precision < 0 || (!s && !is_empty))
                return false;
        if (!is_empty)
                add(t, s, d->has_precision ? strnlen(s, (size_t)precision) : strlen(s));
        return true;
}

static void add_padded(struct text *t, const struct directive *d, bool is_negative,
                       const char *digits, int count)
{
        int padding = d->width - count - is_negative;
        if (is_negative && d->has_zeros)
                add(t, "-", 1);
        for (; padding > 0; padding--)
                add(t, d->has_zeros ? "0" : " ", 1);
        if (is_negative && !d->has_zeros)
                add(t, "-", 1);
        add(t, digits, (size_t)count);
}

static void add_unsigned(struct text *t, const struct directive *d, bool is_negative,
                         unsigned long long value, int base)
{
        char digits[DIGITS_MAX];
        int at = DIGITS_MAX;
        if (base == 16) {
                do
                        digits[--at] = "0123456789abcdef"[value & 15];
                while (value >>= 4);
        } else {
                do
                        digits[--at] = (char)('0' + value % 10);
                while (value /= 10);
        }
        add_padded(t, d, is_negative, digits + at, DIGITS_MAX - at);
}

static bool add_number(struct text *t, const struct directive *d, struct arguments *a)
{
        if (d->has_precision)
                return false;
        if (d->conversion == 'd') {
                long long value = d->longs == 0   ? va_arg(a->list, int)
                                  : d->longs == 1 ? va_arg(a->list, long)
                                                  : va_arg(a->list, long long);
                unsigned long long magnitude = (unsigned long long)value;
                add_unsigned(t, d, value < 0, value < 0 ? 0 - magnitude : magnitude, 10);
                return true;
        }
        unsigned long long value = d->longs == 0   ? va_arg(a->list, unsigned)
                                   : d->longs == 1 ? va_arg(a->list, unsigned long)
                                                   : va_arg(a->list, unsigned long long);
        add_unsigned(t, d, false, value, d->conversion == 'x' ? 16 : 10);
        return true;
}

/* False: not one of ours. */
static bool add_directive(struct text *t, const struct directive *d, struct arguments *a)
{
        switch (d->conversion) {
        case 's':
                return !d->has_zeros && add_string(t, d, a);
        case 'd':
        case 'u':
        case 'x':
                return add_number(t, d, a);
        case 'c': {
                if (d->has_zeros || d->width || d->has_precision || d->longs)
                        return false;
                char c = (char)va_arg(a->list, int);
                add(t, &c, 1);
                return true;
        }
        case '%':
                add(t, "%", 1);
                return !d->has_zeros && !d->width && !d->has_precision && !d->longs;
        default:
                return false;
        }
}

static bool add_all(struct text *t, const char *format, struct arguments *a)
{
        for (const char *at = format; *at;) {
                size_t plain = (size_t)(strchrnul(at, '%') - at);
                add(t, at, plain);
                at += plain;
                if (!*at)
                        break;
                at++;
                struct directive d = directive_read(&at);
                if (!add_directive(t, &d, a))
                        return false;
        }
        return true;
}

int format_vprint(char *out, size_t room, const char *format, va_list args)
{
        struct text t = {.out = out, .room = room ? room - 1 : 0};
        struct arguments a;
        va_copy(a.list, args);
        bool is_ours = add_all(&t, format, &a);
        va_end(a.list);
        if (!is_ours)
                return vsnprintf(out, room, format, args);
        if (room)
                out[t.len < t.room ? t.len : t.room] = 0;
        return (int)t.len;
}

int format_print(char *out, size_t room, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        int len = format_vprint(out, room, format, args);
        va_end(args);
        return len;
}
