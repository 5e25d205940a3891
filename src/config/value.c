/* value.c - from the text of a value to its type, and lists */
#include "config/config_private.h"

#include <errno.h>

enum { SHOWN_BYTES_MAX = 80 };

static const struct {
        char letter;
        int64_t seconds;
} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};

int config_parse_time(struct str text, char unit, int64_t *ms)
{
        char last = text.len ? text.ptr[text.len - 1] : 0;
        if (!char_is_digit(last)) {
                unit = last;
                text = str_part(text, 0, text.len ? text.len - 1 : 0);
        }
        int64_t n, seconds = 0;
        int code = str_to_int64(text, 0, INT64_MAX, &n);
        if (code)
                return code;
        if (text.ptr[0] == '+')
                return -EINVAL;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
                if (units[i].letter == unit)
                        seconds = units[i].seconds;
        if (!seconds)
                return -EINVAL;
        int64_t result;
        if (__builtin_mul_overflow(n, seconds * 1000, &result))
                return -ERANGE;
        *ms = result;
        return 0;
}

static bool is_separator(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',';
}

bool config_list_next(struct str *rest, struct str *item)
{
        size_t i = 0;
        while (i < rest->len && is_separator(rest->ptr[i]))
                i++;
        size_t start = i, depth = 0;
        bool is_braced = i < rest->len && rest->ptr[i] == '{';
        for (; i < rest->len; i++) {
                char c = rest->ptr[i];
                if (depth == 0 && is_separator(c))
                        break;
                if (c == '{')
                        depth++;
                else if (c == '}' && depth && --depth == 0 && is_braced)
                        break;
        }
        *item = str_part(*rest, start, i - start);
        bool is_closed = is_braced && i < rest->len;
        *rest = str_tail(*rest, is_closed ? i + 1 : i);
        if (is_closed)
                *item = str_trim(str_tail(*item, 1));
        return is_closed || item->len > 0;
}

/* The index of a word in "a|b|c", or -1; letters are folded. */
static int find_word(const char *words, struct str text)
{
        struct str rest = str_from(words);
        for (int i = 0; rest.ptr <= words + strlen(words); i++) {
                bool is_last = str_find(rest, '|') < 0;
                if (str_eq_nocase(str_cut(&rest, '|'), text))
                        return i;
                if (is_last)
                        break;
        }
        return -1;
}

static void print_words(const char *words, char *out, size_t room)
{
        size_t at = 0;
        struct str rest = str_from(words), word;
        out[0] = 0;
        while (str_next_word(&rest, "|", &word) && at < room) {
                const char *glue = at == 0 ? "" : str_is_empty(rest) ? " or " : ", ";
                at += (size_t)snprintf(out + at, room - at, "%s%.*s", glue, STR_ARG(word));
        }
}

/* Seconds with the largest unit that fits. */
static void print_time(int64_t seconds, char *out, size_t room)
{
        size_t i = sizeof(units) / sizeof(units[0]) - 1;
        while (i > 0 && (seconds == 0 || seconds % units[i].seconds))
                i--;
        snprintf(out, room, "%lld%c", (long long)(seconds / units[i].seconds), units[i].letter);
}

void value_range(const struct declaration *d, char *out, size_t room)
{
        char low[24], high[24];
        out[0] = 0;
        switch (d->kind) {
        case KIND_BOOL:
                snprintf(out, room, "yes or no");
                break;
        case KIND_ENUM:
                print_words(d->words, out, room);
                break;
        case KIND_TIME:
                print_time(d->min, low, sizeof(low));
                print_time(d->max, high, sizeof(high));
                snprintf(out, room, "from %s to %s", low, high);
                break;
        case KIND_INT:
        case KIND_SIZE:
                if (d->max == INT64_MAX)
                        snprintf(out, room, "%lld or more", (long long)d->min);
                else
                        snprintf(out, room, "from %lld to %lld", (long long)d->min,
                                 (long long)d->max);
                break;
        case KIND_STR:
        case KIND_RAW:
        case KIND_SECTION:
                break;
        }
}

static int refuse(const struct declaration *d, struct str text, int code, struct why *why)
{
        static const char *const wanted[] = {
                [KIND_INT] = "a number",
                [KIND_TIME] = "a time like 30s, 5m, 2h or 1d,",
                [KIND_SIZE] = "a number of bytes",
                [KIND_BOOL] = "",
                [KIND_ENUM] = "",
        };
        char range[256];
        value_range(d, range, sizeof(range));
        return why_set(why, code, "%s = %.*s: allowed is %s%s%s", d->name,
                       STR_ARG(str_part(text, 0, SHOWN_BYTES_MAX)), wanted[d->kind],
                       *wanted[d->kind] ? " " : "", range);
}

static void *field(const struct declaration *d, struct params *params)
{
        return (char *)params + d->offset;
}

static int store_number(const struct declaration *d, struct str text, int64_t *out)
{
        if (text.len && text.ptr[0] == '+')
                return -EINVAL;
        return str_to_int64(text, d->min, d->max, out);
}

/* Postfix reads one letter behind the number, and no more: "5days" are five days to it, "5mh" five minutes. */
static struct str part_that_is_read(struct str time)
{
        size_t digits = 0;
        while (digits < time.len && char_is_digit(time.ptr[digits]))
                digits++;
        return digits ? str_part(time, 0, digits + 1) : time;
}

/* 1: taken, but *why tells what of it was not read. */
static int store_time(const struct declaration *d, struct str text, int64_t *out, struct why *why)
{
        int64_t ms = 0;
        struct str read = part_that_is_read(text);
        int code = config_parse_time(read, d->unit, &ms);
        if (code == 0 && (ms < d->min * 1000 || ms > d->max * 1000))
                code = -ERANGE;
        if (code)
                return code;
        *out = ms;
        return read.len == text.len
                       ? 0
                       : why_set(why, 1, "%s = %.*s is read as %.*s, as in Postfix", d->name,
                                 STR_ARG(str_part(text, 0, SHOWN_BYTES_MAX)), STR_ARG(read));
}

int value_store(const struct declaration *d, struct str text, struct params *params,
                struct why *why)
{
        int code = 0, word;
        struct str trimmed = str_trim(text);
        switch (d->kind) {
        case KIND_STR:
        case KIND_RAW:
                *(struct str *)field(d, params) = text;
                break;
        case KIND_INT:
        case KIND_SIZE:
                code = store_number(d, trimmed, field(d, params));
                break;
        case KIND_TIME:
                code = store_time(d, trimmed, field(d, params), why);
                break;
        case KIND_BOOL:
                word = find_word("no|yes", trimmed);
                if (word < 0)
                        code = -EINVAL;
                else
                        *(bool *)field(d, params) = word;
                break;
        case KIND_ENUM:
                word = find_word(d->words, trimmed);
                if (word < 0)
                        code = -EINVAL;
                else
                        *(int *)field(d, params) = word;
                break;
        case KIND_SECTION:
                break;
        }
        return code < 0 ? refuse(d, trimmed, code, why) : code;
}
