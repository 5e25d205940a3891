/*
 * hide.c - names and addresses of a hidden next hop taken out of its words
 *
 * Word by word: what looks like a host name or an address is compared, all else is copied. Rather one word
 * too many hidden than a core shown: a neighbour's name leads to it as well.
 */
#include "delivery/hide.h"

#include "base/buf.h"

#include <arpa/inet.h>

static bool is_host_char(char c)
{
        return char_is_alnum(c) || c == '.' || c == '-' || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_hex_char(char c)
{
        return char_is_digit(c) || (char_lower(c) >= 'a' && char_lower(c) <= 'f');
}

static bool is_address(struct str s, int family)
{
        char z[64];
        unsigned char bits[16];
        if (s.len == 0 || s.len >= sizeof(z))
                return false;
        snprintf(z, sizeof(z), "%.*s", STR_ARG(s));
        return inet_pton(family, z, bits) == 1;
}

/* How many bytes of an IPv6 address stand in front; 0: none. */
static size_t ipv6_bytes(struct str s)
{
        size_t len = 0;
        size_t colons = 0;
        while (len < s.len && (is_hex_char(s.ptr[len]) || s.ptr[len] == ':' || s.ptr[len] == '.'))
                colons += s.ptr[len++] == ':';
        if (colons < 2)
                return 0;
        /* it may end before the last character: "2001:db8::1:", "2001:db8::1.", "::core" */
        for (; len >= 2; len--) {
                bool splits_word = len < s.len && is_host_char(s.ptr[len]) && s.ptr[len] != '.' &&
                                   s.ptr[len - 1] != ':';
                if (!splits_word && is_address(str_part(s, 0, len), AF_INET6))
                        return len;
        }
        return 0;
}

static size_t word_bytes(struct str s)
{
        size_t len = 0;
        while (len < s.len && is_host_char(s.ptr[len]))
                len++;
        return len;
}

static bool is_below(struct str word, struct str domain)
{
        return domain.len && word.len > domain.len && str_ends_nocase(word, domain) &&
               word.ptr[word.len - domain.len - 1] == '.';
}

static bool looks_like_machine(struct str label)
{
        bool has_sign = str_find(label, '-') >= 0;
        for (size_t i = 0; i < label.len; i++)
                has_sign = has_sign || char_is_digit(label.ptr[i]);
        return has_sign && label.len >= 3;
}

static bool is_related(struct str word, struct str name)
{
        if (name.len == 0)
                return false;
        if (str_eq_nocase(word, name) || is_below(word, name))
                return true;
        if (is_address(name, AF_INET) || is_address(name, AF_INET6))
                return false;
        struct str parent = name;
        struct str label = str_cut(&parent, '.');
        if (str_find(parent, '.') > 0 && (is_below(word, parent) || str_eq_nocase(word, parent)))
                return true;
        return parent.len && looks_like_machine(label) && str_eq_nocase(word, label);
}

static bool is_secret(struct str word, const struct hide *h)
{
        while (word.len && word.ptr[word.len - 1] == '.')
                word.len--;
        if (word.len == 0)
                return false;
        if (is_address(word, AF_INET))
                return true;
        for (size_t i = 0; i < h->kept_count; i++)
                if (str_eq_nocase(word, h->kept[i]))
                        return false;
        for (size_t i = 0; i < h->name_count; i++)
                if (is_related(word, h->names[i]))
                        return true;
        return false;
}

struct str hide_names(struct str text, const struct hide *h, struct arena *arena)
{
        struct buf out;
        struct str rest = text;
        bool is_changed = false;
        buf_init(&out, SIZE_MAX / 2);
        while (rest.len) {
                size_t len = ipv6_bytes(rest);
                bool is_hidden = len > 0;
                if (!len) {
                        len = word_bytes(rest);
                        is_hidden = is_secret(str_part(rest, 0, len), h);
                        /* the full stop behind a name ends the sentence */
                        while (is_hidden && rest.ptr[len - 1] == '.')
                                len--;
                }
                if (is_hidden)
                        buf_append_str(&out, STR("(hidden)"));
                else
                        buf_append_str(&out, str_part(rest, 0, len ? len : 1));
                is_changed = is_changed || is_hidden;
                rest = str_tail(rest, len ? len : 1);
        }
        struct str result = is_changed ? arena_str(arena, buf_str(&out)) : text;
        buf_done(&out);
        return result;
}
