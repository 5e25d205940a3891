/*
 * xtext.c - the armour of DSN parameters (RFC 3461 4)
 *
 *      xtext   = *( xchar / hexchar )
 *      xchar   = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="
 *      hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits
 *
 * Lower case digits are taken, never written. In parameters a "=" is taken as it stands, as Postfix
 * does: programs forget to armour it in addresses like "list-a=b.example@c.example". It is armoured
 * from there on.
 */
#include "smtp/grammar.h"

static const char upper_digits[] = "0123456789ABCDEF";

static int hex_value(char c)
{
        if (char_is_digit(c))
                return c - '0';
        char l = char_lower(c);
        return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

static bool is_xchar(char c)
{
        return c > ' ' && c <= '~' && c != '+' && c != '=';
}

/* The byte that "+XX" at `at` means, or -1. */
static int hexchar_value(struct str text, size_t at)
{
        if (text.len < 3 || at > text.len - 3 || text.ptr[at] != '+')
                return -1;
        int high = hex_value(text.ptr[at + 1]);
        int low = hex_value(text.ptr[at + 2]);
        return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool smtp_xtext_is_valid(struct str text)
{
        for (size_t i = 0; i < text.len; i++) {
                if (is_xchar(text.ptr[i]))
                        continue;
                if (hexchar_value(text, i) < 0)
                        return false;
                i += 2;
        }
        return true;
}

bool smtp_xtext_is_printable(struct str text, size_t bytes_max)
{
        if (text.len == 0 || text.len > bytes_max)
                return false;
        for (size_t i = 0; i < text.len; i++) {
                if (is_xchar(text.ptr[i]) || text.ptr[i] == '=')
                        continue;
                int c = hexchar_value(text, i);
                if (c < ' ' || c > '~')
                        return false;
                i += 2;
        }
        return true;
}

struct str smtp_xtext_keep(struct str text, struct arena *arena)
{
        if (str_find(text, '=') < 0 && str_find(text, '+') < 0)
                return arena_str(arena, text);
        char *out = arena_alloc(arena, 3 * text.len + 1);
        size_t len = 0;
        for (size_t i = 0; i < text.len; i++) {
                int c = hexchar_value(text, i);
                if (text.ptr[i] == '=')
                        c = '=';
                if (c < 0) {
                        out[len++] = text.ptr[i];
                        continue;
                }
                i += text.ptr[i] == '+' ? 2 : 0;
                out[len++] = '+';
                out[len++] = upper_digits[c >> 4];
                out[len++] = upper_digits[c & 15];
        }
        return str_make(out, len);
}

struct str smtp_xtext_decode(struct str text, struct arena *arena)
{
        char *out = arena_alloc(arena, text.len + 1);
        size_t len = 0;
        for (size_t i = 0; i < text.len; i++) {
                int c = hexchar_value(text, i);
                out[len++] = c >= 0 ? (char)c : text.ptr[i];
                i += c >= 0 ? 2 : 0;
        }
        return str_make(out, len);
}

struct str smtp_xtext_encode(struct str text, struct arena *arena)
{
        char *out = arena_alloc(arena, 3 * text.len + 1);
        size_t len = 0;
        for (size_t i = 0; i < text.len; i++) {
                unsigned char c = (unsigned char)text.ptr[i];
                if (is_xchar((char)c)) {
                        out[len++] = (char)c;
                } else {
                        out[len++] = '+';
                        out[len++] = upper_digits[c >> 4];
                        out[len++] = upper_digits[c & 15];
                }
        }
        return str_make(out, len);
}
