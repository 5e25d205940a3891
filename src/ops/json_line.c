/* json_line.c - one flat JSON object from a line of text */
#include "ops/json_line.h"

#include <errno.h>

struct reader {
        struct str all;
        size_t at;
        struct arena *arena;
        struct why *why;
};

static int wrong(const struct reader *r, const char *what)
{
        return why_set(r->why, -EINVAL, "byte %zu: %s", r->at + 1, what);
}

static char peek(const struct reader *r)
{
        return r->at < r->all.len ? r->all.ptr[r->at] : '\0';
}

static char next(struct reader *r)
{
        while (peek(r) && strchr(" \t\r\n", peek(r)))
                r->at++;
        return peek(r);
}

static bool take(struct reader *r, char c)
{
        if (next(r) != c)
                return false;
        r->at++;
        return true;
}

static bool read_hex(struct reader *r, unsigned *out)
{
        *out = 0;
        for (int i = 0; i < 4; i++, r->at++) {
                char c = char_lower(peek(r));
                if (!char_is_digit(c) && !(c >= 'a' && c <= 'f'))
                        return false;
                *out = *out * 16 + (unsigned)(char_is_digit(c) ? c - '0' : c - 'a' + 10);
        }
        return true;
}

static size_t put_utf8(char *out, unsigned c)
{
        if (c < 0x80) {
                out[0] = (char)c;
                return 1;
        }
        size_t bytes = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (size_t i = bytes - 1; i > 0; i--, c >>= 6)
                out[i] = (char)(0x80 | (c & 0x3f));
        out[0] = (char)((bytes == 2 ? 0xc0 : bytes == 3 ? 0xe0 : 0xf0) | c);
        return bytes;
}

/* Behind "\u": a half that has no other half is an error. */
static int read_unicode(struct reader *r, char *out, size_t *len)
{
        unsigned c;
        unsigned low;
        if (!read_hex(r, &c))
                return wrong(r, "four hexadecimal digits are wanted");
        if (c >= 0xd800 && c < 0xe000) {
                bool has_low = c < 0xdc00 && peek(r) == '\\' && r->at + 1 < r->all.len &&
                               r->all.ptr[r->at + 1] == 'u';
                r->at += has_low ? 2 : 0;
                if (!has_low || !read_hex(r, &low) || low < 0xdc00 || low > 0xdfff)
                        return wrong(r, "half of a surrogate pair");
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
        *len += put_utf8(out + *len, c);
        return 0;
}

static int read_text(struct reader *r, struct str *out)
{
        if (!take(r, '"'))
                return wrong(r, "a text in double quotes is wanted");
        /* no escape is shorter than what it stands for */
        char *text = arena_array(r->arena, char, r->all.len - r->at + 1);
        size_t len = 0;
        for (;;) {
                char c = peek(r);
                if (r->at == r->all.len)
                        return wrong(r, "the text has no end");
                if ((unsigned char)c < ' ')
                        return wrong(r, "a control character");
                r->at++;
                if (c == '"')
                        break;
                if (c != '\\') {
                        text[len++] = c;
                        continue;
                }
                char kind = peek(r);
                const char *from = "\"\\/bfnrt";
                const char *found = kind ? strchr(from, kind) : NULL;
                if (kind != 'u' && !found)
                        return wrong(r, "an escape that there is not");
                r->at++;
                if (found)
                        text[len++] = "\"\\/\b\f\n\r\t"[found - from];
                else if (read_unicode(r, text, &len))
                        return -EINVAL;
        }
        *out = str_make(text, len);
        return 0;
}

/* A number, true, false, null: as written. */
static int read_word(struct reader *r, struct str *out)
{
        size_t start = r->at;
        while (char_is_alnum(peek(r)) || (peek(r) && strchr("+-.", peek(r))))
                r->at++;
        *out = str_part(r->all, start, r->at - start);
        return out->len ? 0 : wrong(r, "a text, a number, true, false or null is wanted");
}

static int read_member(struct reader *r, struct json_line *out)
{
        if (out->count == JSON_MEMBERS_MAX)
                return wrong(r, "too many members");
        struct str key;
        struct str value;
        if (read_text(r, &key))
                return -EINVAL;
        if (!take(r, ':'))
                return wrong(r, "a colon is wanted");
        bool is_text = next(r) == '"';
        if (is_text ? read_text(r, &value) : read_word(r, &value))
                return -EINVAL;
        out->members[out->count].key = key;
        out->members[out->count].value = value;
        out->members[out->count++].is_text = is_text;
        return 0;
}

int json_line_read(struct str line, struct arena *arena, struct json_line *out, struct why *why)
{
        struct reader r = {.all = line, .arena = arena, .why = why};
        out->count = 0;
        if (!take(&r, '{'))
                return wrong(&r, "an object is wanted: {\"name\": \"value\"}");
        if (!take(&r, '}'))
                do {
                        if (read_member(&r, out))
                                return -EINVAL;
                } while (take(&r, ','));
        else
                r.at--;
        if (!take(&r, '}'))
                return wrong(&r, "a comma or } is wanted");
        return next(&r) || r.at < line.len ? wrong(&r, "nothing more is wanted") : 0;
}

bool json_line_text(const struct json_line *line, const char *key, struct str *value)
{
        for (size_t i = line->count; i-- > 0;)
                if (str_eq(line->members[i].key, str_from(key))) {
                        *value = line->members[i].value;
                        return line->members[i].is_text;
                }
        return false;
}
