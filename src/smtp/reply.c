/*
 * reply.c - our replies as bytes
 *
 *      Reply-line = *( Reply-code "-" [ textstring ] CRLF )           (RFC 5321 4.2)
 *                   Reply-code [ SP textstring ] CRLF
 *      textstring = 1*(%d09 / %d32-126)        ; and UTF-8 (RFC 6531 3.7.4.2)
 *
 * The enhanced code stands on every line (RFC 2034 4).
 */
#include "smtp/grammar.h"

#include "base/check.h"
#include "base/format.h"

static bool is_utf8_tail(char c)
{
        return ((unsigned char)c & 0xc0) == 0x80;
}

/* How much of `part` goes on a line with room for `bytes_max`: to a blank, if one is there. */
static size_t line_bytes(struct str part, size_t bytes_max)
{
        if (part.len <= bytes_max)
                return part.len;
        ptrdiff_t blank = str_find_last(str_part(part, 0, bytes_max + 1), ' ');
        if (blank > 0)
                return (size_t)blank;
        size_t bytes = bytes_max;
        for (int i = 0; i < 3 && is_utf8_tail(part.ptr[bytes]); i++)
                bytes--;
        return bytes;
}

/* Copies what may stand in a reply; '?' for the rest. */
static void copy_clean(char *to, struct str from)
{
        bool is_text = smtp_utf8_is_valid(from) && !smtp_text_has_control(from);
        for (size_t i = 0; i < from.len; i++) {
                char c = from.ptr[i];
                bool passes = (unsigned char)c & 0x80 ? is_text : !char_is_control(c) || c == '\t';
                to[i] = passes ? c : '?';
        }
}

static int line_append(struct buf *out, struct str prefix, struct str text)
{
        char *at = buf_reserve(out, prefix.len + text.len + 2);
        if (!at)
                return -ENOBUFS;
        memcpy(at, prefix.ptr, prefix.len);
        copy_clean(at + prefix.len, text);
        memcpy(at + prefix.len + text.len, "\r\n", 2);
        buf_grow(out, prefix.len + text.len + 2);
        return 0;
}

/* "550-5.1.1 ": returns its length */
static size_t prefix_make(const struct smtp_reply *r, char out[static 32])
{
        int len = format_print(out, 32, r->enhanced ? "%03d-%s " : "%03d-", r->code, r->enhanced);
        check(len > 0 && len < 32);
        return (size_t)len;
}

int smtp_reply_format(const struct smtp_reply *r, struct buf *out)
{
        check(r->code >= 200 && r->code <= 599);
        char prefix[32];
        size_t prefix_bytes = prefix_make(r, prefix);
        size_t text_bytes_max = SMTP_REPLY_LINE_BYTES_MAX - 2 - prefix_bytes;
        size_t bytes_before = out->len;
        struct str text = r->text;
        while (str_ends(text, STR("\n")) || str_ends(text, STR("\r")))
                text.len--;

        bool is_last = false;
        while (!is_last) {
                ptrdiff_t line_end = str_find(text, '\n');
                struct str part = line_end < 0 ? text : str_part(text, 0, (size_t)line_end);
                size_t bytes = line_bytes(part, text_bytes_max);
                struct str line = str_part(part, 0, bytes);
                bool is_cut = bytes < part.len;
                if (!is_cut && str_ends(line, STR("\r")))
                        line.len--;
                is_last = !is_cut && line_end < 0;
                /* past the line, and past the blank or line feed that ended it */
                text = str_tail(text, bytes + (is_cut ? part.ptr[bytes] == ' ' : !is_last));
                prefix[3] = is_last ? ' ' : '-';
                struct str head = str_make(prefix, prefix_bytes);
                if (line.len == 0 && is_last)
                        head.len--;
                if (line_append(out, head, line)) {
                        out->len = bytes_before;
                        return -ENOBUFS;
                }
        }
        return 0;
}

/* One to three digits; false when there are none, or more. */
static bool skip_number(struct str text, size_t *at)
{
        size_t from = *at;
        while (*at < text.len && char_is_digit(text.ptr[*at]))
                (*at)++;
        return *at > from && *at - from <= 3;
}

bool smtp_enhanced_take(struct str *text, char out[SMTP_ENHANCED_BYTES])
{
        struct str rest = *text;
        struct str word;
        size_t at = 1;
        if (!str_next_word(&rest, " \t", &word) || word.len >= SMTP_ENHANCED_BYTES ||
            (word.ptr[0] != '2' && word.ptr[0] != '4' && word.ptr[0] != '5'))
                return false;
        for (int i = 0; i < 2; i++)
                if (at >= word.len || word.ptr[at++] != '.' || !skip_number(word, &at))
                        return false;
        if (at != word.len)
                return false;
        snprintf(out, SMTP_ENHANCED_BYTES, "%.*s", STR_ARG(word));
        *text = str_trim(rest);
        return true;
}
