/* str.c - a view of bytes, by value */
#include "base/str.h"

#include <errno.h>

bool str_eq_nocase(struct str a, struct str b)
{
        if (a.len != b.len)
                return false;
        for (size_t i = 0; i < a.len; i++)
                if (char_lower(a.ptr[i]) != char_lower(b.ptr[i]))
                        return false;
        return true;
}

int str_cmp(struct str a, struct str b)
{
        size_t n = a.len < b.len ? a.len : b.len;
        int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
        if (c)
                return c;
        return a.len < b.len ? -1 : a.len > b.len;
}

bool str_starts(struct str s, struct str prefix)
{
        return s.len >= prefix.len && str_eq(str_part(s, 0, prefix.len), prefix);
}

bool str_starts_nocase(struct str s, struct str prefix)
{
        return s.len >= prefix.len && str_eq_nocase(str_part(s, 0, prefix.len), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
        return s.len >= suffix.len && str_eq(str_tail(s, s.len - suffix.len), suffix);
}

bool str_ends_nocase(struct str s, struct str suffix)
{
        return s.len >= suffix.len && str_eq_nocase(str_tail(s, s.len - suffix.len), suffix);
}

ptrdiff_t str_find(struct str s, char c)
{
        const char *p = s.len ? memchr(s.ptr, c, s.len) : NULL;
        return p ? p - s.ptr : -1;
}

ptrdiff_t str_find_last(struct str s, char c)
{
        const char *p = s.len ? memrchr(s.ptr, c, s.len) : NULL;
        return p ? p - s.ptr : -1;
}

ptrdiff_t str_find_str(struct str s, struct str needle)
{
        if (needle.len == 0)
                return 0;
        const char *p = s.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
        return p ? p - s.ptr : -1;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
        while (s.len && is_blank(s.ptr[0]))
                s = str_tail(s, 1);
        while (s.len && is_blank(s.ptr[s.len - 1]))
                s.len--;
        return s;
}

static bool is_one_of(char c, const char *set)
{
        return c && strchr(set, c);
}

bool str_next_word(struct str *s, const char *separators, struct str *word)
{
        size_t i = 0;
        while (i < s->len && is_one_of(s->ptr[i], separators))
                i++;
        size_t start = i;
        while (i < s->len && !is_one_of(s->ptr[i], separators))
                i++;
        *word = str_part(*s, start, i - start);
        *s = str_tail(*s, i);
        return word->len > 0;
}

struct str str_cut(struct str *s, char c)
{
        ptrdiff_t at = str_find(*s, c);
        struct str head = at < 0 ? *s : str_part(*s, 0, (size_t)at);
        *s = str_tail(*s, at < 0 ? s->len : (size_t)at + 1);
        return head;
}

int str_to_int64(struct str s, int64_t min, int64_t max, int64_t *out)
{
        bool negative = s.len && s.ptr[0] == '-';
        if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
                s = str_tail(s, 1);
        if (s.len == 0)
                return -EINVAL;
        int64_t n = 0;
        bool over = false;
        for (size_t i = 0; i < s.len; i++) {
                if (!char_is_digit(s.ptr[i]))
                        return -EINVAL;
                int digit = s.ptr[i] - '0';
                over = over || __builtin_mul_overflow(n, 10, &n) ||
                       __builtin_sub_overflow(n, digit, &n);
        }
        /* n counted downward, so that INT64_MIN fits */
        if (!negative && (over || __builtin_sub_overflow((int64_t)0, n, &n)))
                over = true;
        if (over || n < min || n > max)
                return -ERANGE;
        *out = n;
        return 0;
}
