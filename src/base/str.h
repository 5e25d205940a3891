/*
 * str.h - a view of bytes, by value
 *
 * A struct str owns nothing: it is valid as long as the memory it points into. It may hold any
 * byte, NUL included, and is not terminated.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
        const char *ptr;
        size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* for constant tables, where a compound literal is not allowed */
#define STR_INIT(literal)                       \
        {                                       \
                "" literal, sizeof(literal) - 1 \
        }
/* printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)(s).len, (s).ptr

static inline struct str str_make(const char *ptr, size_t len)
{
        return (struct str){ptr, len};
}

static inline struct str str_from(const char *z)
{
        return (struct str){z ? z : "", z ? strlen(z) : 0};
}

static inline bool str_is_empty(struct str s)
{
        return s.len == 0;
}

static inline bool str_eq(struct str a, struct str b)
{
        return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII letters only, as SMTP keywords and domains compare */
bool str_eq_nocase(struct str a, struct str b);
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_ends_nocase(struct str s, struct str suffix);

/* Offset of the first (last) `c`, or -1. */
ptrdiff_t str_find(struct str s, char c);
ptrdiff_t str_find_last(struct str s, char c);
ptrdiff_t str_find_str(struct str s, struct str needle);

/* The part from `from` (to its end / `len` bytes); both are clipped to what is there. */
static inline struct str str_tail(struct str s, size_t from)
{
        if (from > s.len)
                from = s.len;
        /* a zeroed view has no address to add to */
        return from ? str_make(s.ptr + from, s.len - from) : s;
}

static inline struct str str_part(struct str s, size_t from, size_t len)
{
        s = str_tail(s, from);
        return str_make(s.ptr, len < s.len ? len : s.len);
}

/* Without space, tab, CR and LF at both ends. */
struct str str_trim(struct str s);

/*
 * Takes the next word off the front of *s: skips characters of `separators`, then returns up to
 * the next of them. Returns false, and an empty word, when nothing is left.
 */
bool str_next_word(struct str *s, const char *separators, struct str *word);

/* Takes the part before `c` off the front of *s, and `c` with it; all of it when there is no `c`. */
struct str str_cut(struct str *s, char c);

/*
 * Decimal (a sign is allowed, blanks are not), the whole of `s`. Returns 0, -EINVAL (not a
 * number) or -ERANGE (outside `min`..`max`).
 */
int str_to_int64(struct str s, int64_t min, int64_t max, int64_t *out);

static inline char char_lower(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool char_is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static inline bool char_is_alnum(char c)
{
        char l = char_lower(c);
        return (l >= 'a' && l <= 'z') || char_is_digit(c);
}

#endif
