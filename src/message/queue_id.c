/* queue_id.c - the name of a message in the queue */
#include "message/queue_id.h"

#include "base/check.h"

#include <errno.h>

enum { TIME_BASE = 52, NUMBER_BASE = 51, SECONDS_DIGITS_MIN = 6, MICROSECONDS_DIGITS = 4 };
enum { US_PER_SECOND = 1000000 };

static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

/* Appends at *at, with zeros in front up to `width`. */
static void put_number(char *out, size_t *at, uint64_t value, unsigned base, size_t width)
{
        char reversed[16];
        size_t len = 0;
        do {
                reversed[len++] = digits[value % base];
                value /= base;
        } while (value || len < width);
        while (len)
                out[(*at)++] = reversed[--len];
}

void queue_id_format(int64_t wall_us, uint64_t number, char out[QUEUE_ID_BYTES_MAX])
{
        check(wall_us >= 0);
        size_t at = 0;
        put_number(out, &at, (uint64_t)wall_us / US_PER_SECOND, TIME_BASE, SECONDS_DIGITS_MIN);
        put_number(out, &at, (uint64_t)wall_us % US_PER_SECOND, TIME_BASE, MICROSECONDS_DIGITS);
        out[at++] = 'z';
        put_number(out, &at, number, NUMBER_BASE, 1);
        out[at] = '\0';
}

static int read_number(struct str text, unsigned base, uint64_t *out)
{
        uint64_t n = 0;
        for (size_t i = 0; i < text.len; i++) {
                const char *digit = text.ptr[i] ? strchr(digits, text.ptr[i]) : NULL;
                if (!digit || digit - digits >= (ptrdiff_t)base ||
                    __builtin_mul_overflow(n, base, &n) ||
                    __builtin_add_overflow(n, (uint64_t)(digit - digits), &n))
                        return -EINVAL;
        }
        *out = n;
        return 0;
}

int queue_id_parse(struct str id, int64_t *wall_us, uint64_t *number)
{
        uint64_t seconds, microseconds, n;
        char again[QUEUE_ID_BYTES_MAX];
        /* the time may hold a "z" of its own, the number does not */
        ptrdiff_t z = str_find_last(id, 'z');
        if (z < SECONDS_DIGITS_MIN + MICROSECONDS_DIGITS || id.len >= sizeof(again))
                return -EINVAL;
        size_t seconds_digits = (size_t)z - MICROSECONDS_DIGITS;
        if (read_number(str_part(id, 0, seconds_digits), TIME_BASE, &seconds) ||
            read_number(str_part(id, seconds_digits, MICROSECONDS_DIGITS), TIME_BASE,
                        &microseconds) ||
            read_number(str_tail(id, (size_t)z + 1), NUMBER_BASE, &n))
                return -EINVAL;
        int64_t us;
        if (microseconds >= US_PER_SECOND || __builtin_mul_overflow(seconds, US_PER_SECOND, &us) ||
            __builtin_add_overflow(us, (int64_t)microseconds, &us))
                return -EINVAL;
        queue_id_format(us, n, again);
        if (!str_eq(id, str_from(again)))
                return -EINVAL;
        *wall_us = us;
        *number = n;
        return 0;
}
