/* full_name.c - From: with a person's name: quoted (RFC 5322 3.2.4), as a comment (3.2.2), or in encoded words (RFC 2047) */
#include "bin/full_name.h"

enum { WORD_BYTES_MAX = 75 /* RFC 2047 2 */, CHARSET_BYTES_MAX = 40 };

static bool is_control(char c)
{
        return (unsigned char)c < ' ' || c == 127;
}

static bool is_ascii(struct str text)
{
        for (size_t i = 0; i < text.len; i++)
                if ((unsigned char)text.ptr[i] & 0x80)
                        return false;
        return true;
}

/* The name, with a backslash before each of `special`. */
static void put_escaped(struct str name, const char *special, struct buf *out)
{
        for (size_t i = 0; i < name.len; i++) {
                char c = name.ptr[i];
                if (is_control(c))
                        continue;
                if (strchr(special, c))
                        buf_append_char(out, '\\');
                buf_append_char(out, c);
        }
}

static void put_phrase(struct str name, struct buf *out)
{
        static const char specials[] = "()<>[]:;@\\,.\"!%";
        bool is_plain = true;
        for (size_t i = 0; i < name.len; i++)
                if (strchr(specials, name.ptr[i]))
                        is_plain = false;
        if (!is_plain)
                buf_append_char(out, '"');
        put_escaped(name, is_plain ? "" : "\"\\", out);
        if (!is_plain)
                buf_append_char(out, '"');
}

/* ---- RFC 2047 ---- */

/* Bytes that must stay in one word: a character of UTF-8, in another charset one byte. */
static size_t unit_bytes(struct str text, bool is_utf8)
{
        size_t bytes = 1;
        while (is_utf8 && bytes < 4 && bytes < text.len &&
               ((unsigned char)text.ptr[bytes] & 0xc0) == 0x80)
                bytes++;
        return bytes;
}

/* A unit as the encoding "Q" has it in phrases and comments (RFC 2047 5). */
static void put_unit(struct str unit, struct buf *out)
{
        for (size_t i = 0; i < unit.len; i++) {
                char c = unit.ptr[i];
                if (c == ' ')
                        buf_append_char(out, '_');
                else if (char_is_alnum(c) || (c && strchr("!*+-/", c)))
                        buf_append_char(out, c);
                else
                        buf_printf(out, "=%02X", (unsigned char)c);
        }
}

static void put_encoded(struct str name, struct str charset, struct buf *out)
{
        bool is_utf8 = str_eq_nocase(charset, STR("utf-8"));
        struct buf word;
        buf_init(&word, 4096);
        for (bool is_first = true; name.len; is_first = false) {
                buf_clear(&word);
                buf_printf(&word, "=?%.*s?Q?", STR_ARG(charset));
                size_t head = word.len;
                while (name.len) {
                        size_t before = word.len;
                        struct str unit = str_part(name, 0, unit_bytes(name, is_utf8));
                        if (!is_control(unit.ptr[0]))
                                put_unit(unit, &word);
                        if (word.len > WORD_BYTES_MAX - 2 && before > head) {
                                word.len = before; /* the next one's */
                                break;
                        }
                        name = str_tail(name, unit.len);
                }
                buf_printf(out, "%s%.*s?=", is_first ? "" : "\n ", STR_ARG(buf_str(&word)));
        }
        buf_done(&word);
}

void full_name_put_from(const struct full_name_rules *rules, struct str name, struct str address,
                        struct buf *out)
{
        struct str charset = rules->charset;
        bool is_encoded = charset.len && charset.len <= CHARSET_BYTES_MAX && !is_ascii(name);
        buf_append_str(out, STR("From: "));
        if (name.len == 0) {
                buf_printf(out, "%.*s\n", STR_ARG(address));
                return;
        }
        if (rules->is_obsolete)
                buf_printf(out, "%.*s (", STR_ARG(address));
        if (is_encoded)
                put_encoded(name, charset, out);
        else if (rules->is_obsolete)
                put_escaped(name, "()\\", out);
        else
                put_phrase(name, out);
        if (rules->is_obsolete)
                buf_append_str(out, STR(")\n"));
        else
                buf_printf(out, " <%.*s>\n", STR_ARG(address));
}
