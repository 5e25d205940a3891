/*
 * macro.c - macro strings (RFC 7208 7)
 *
 *      domain-spec      = macro-string domain-end
 *      domain-end       = ( "." toplabel [ "." ] ) / macro-expand
 *      toplabel         = ( *alphanum ALPHA *alphanum ) /
 *                         ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
 *      explain-string   = *( macro-string / SP )
 *      macro-string     = *( macro-expand / macro-literal )
 *      macro-expand     = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
 *      macro-literal    = %x21-24 / %x26-7E
 *      macro-letter     = "s" / "l" / "o" / "d" / "i" / "p" / "h" / "c" / "r" / "t" / "v"
 *      transformers     = *DIGIT [ "r" ]
 *      delimiter        = "." / "-" / "+" / "," / "/" / "_" / "="
 *
 * One reader of macro-expand serves both the check of a record and the expansion.
 */
#include "policy/spf/spf_private.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <errno.h>

struct macro {
        char letter; /* lower case; '%', '_' and '-' for those alone */
        bool wants_url;
        bool is_reversed;
        size_t keep; /* parts from the right; 0: all */
        struct str delimiters;
};

enum { KEEP_MAX = 1000 }; /* more parts than any value has */

static const char delimiter_set[] = ".-+,/_=";

/* Takes a macro-expand off the front of *text, which begins with '%'. False: it is none. */
static bool take_macro(struct str *text, struct macro *m)
{
        *m = (struct macro){.delimiters = STR(".")};
        if (text->len < 2)
                return false;
        m->letter = text->ptr[1];
        if (m->letter == '%' || m->letter == '_' || m->letter == '-') {
                *text = str_tail(*text, 2);
                return true;
        }
        ptrdiff_t end = str_find(*text, '}');
        if (m->letter != '{' || end < 3)
                return false;
        struct str in = str_part(*text, 2, (size_t)end - 2);
        *text = str_tail(*text, (size_t)end + 1);
        m->letter = char_lower(in.ptr[0]);
        m->wants_url = m->letter != in.ptr[0];
        if (m->letter == '\0' || !strchr("slodiphcrtv", m->letter))
                return false;
        in = str_tail(in, 1);
        bool has_digits = in.len && char_is_digit(in.ptr[0]);
        for (; in.len && char_is_digit(in.ptr[0]); in = str_tail(in, 1))
                if (m->keep < KEEP_MAX)
                        m->keep = m->keep * 10 + (size_t)(in.ptr[0] - '0');
        if (has_digits && m->keep == 0)
                return false; /* 7.3: it MUST be nonzero */
        if (in.len && char_lower(in.ptr[0]) == 'r') {
                m->is_reversed = true;
                in = str_tail(in, 1);
        }
        for (size_t i = 0; i < in.len; i++)
                if (in.ptr[i] == '\0' || !strchr(delimiter_set, in.ptr[i]))
                        return false;
        if (in.len)
                m->delimiters = in;
        return true;
}

static bool is_literal(char c, enum spf_macro_place place)
{
        return (c > ' ' && c <= '~') || (c == ' ' && place == SPF_IN_EXPLANATION);
}

bool spf_macro_string_is_valid(struct str text, enum spf_macro_place place)
{
        while (text.len) {
                struct macro m;
                if (text.ptr[0] != '%') {
                        if (!is_literal(text.ptr[0], place))
                                return false;
                        text = str_tail(text, 1);
                } else if (!take_macro(&text, &m)) {
                        return false;
                } else if (place == SPF_IN_NAME && strchr("crt", m.letter)) {
                        return false;
                }
        }
        return true;
}

static bool is_top_label(struct str label)
{
        bool has_other = false; /* than digits */
        if (label.len == 0 || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
                return false;
        for (size_t i = 0; i < label.len; i++) {
                if (!char_is_alnum(label.ptr[i]) && label.ptr[i] != '-')
                        return false;
                has_other |= !char_is_digit(label.ptr[i]);
        }
        return has_other;
}

bool spf_domain_spec_is_valid(struct str text)
{
        if (text.len == 0 || !spf_macro_string_is_valid(text, SPF_IN_NAME))
                return false;
        struct str end = text; /* what follows the last macro */
        for (struct str rest = text; rest.len;) {
                struct macro m;
                if (rest.ptr[0] != '%') {
                        rest = str_tail(rest, 1);
                        continue;
                }
                take_macro(&rest, &m);
                end = rest;
        }
        if (end.len == 0)
                return true;
        if (end.ptr[end.len - 1] == '.')
                end.len--;
        ptrdiff_t dot = str_find_last(end, '.');
        return dot >= 0 && is_top_label(str_tail(end, (size_t)dot + 1));
}

bool spf_macro_wants_name(struct str text)
{
        while (text.len) {
                struct macro m;
                if (text.ptr[0] != '%' || !take_macro(&text, &m))
                        text = str_tail(text, 1);
                else if (m.letter == 'p')
                        return true;
        }
        return false;
}

/* ---- values ---- */

bool spf_is_ipv4(const unsigned char address[16])
{
        static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        return memcmp(address, mapped, sizeof(mapped)) == 0;
}

static struct str print_address(const unsigned char address[16], struct arena *arena)
{
        char text[INET6_ADDRSTRLEN];
        bool is_ipv4 = spf_is_ipv4(address);
        inet_ntop(is_ipv4 ? AF_INET : AF_INET6, address + (is_ipv4 ? 12 : 0), text, sizeof(text));
        return arena_str(arena, str_from(text));
}

/* Dotted: four numbers, or 32 nibbles. */
static struct str dotted_address(const unsigned char address[16], struct arena *arena)
{
        static const char digits[] = "0123456789ABCDEF"; /* in a name case is all the same */
        if (spf_is_ipv4(address))
                return print_address(address, arena);
        char text[64];
        for (size_t i = 0; i < 16; i++) {
                text[4 * i] = digits[address[i] >> 4];
                text[4 * i + 1] = '.';
                text[4 * i + 2] = digits[address[i] & 15];
                text[4 * i + 3] = '.';
        }
        return arena_str(arena, str_make(text, sizeof(text) - 1));
}

static struct str macro_value(const struct spf_macros *v, char letter, struct arena *arena)
{
        switch (letter) {
        case 's':
                return v->sender;
        case 'l':
                return v->local;
        case 'o':
                return v->sender_domain;
        case 'd':
                return v->domain;
        case 'i':
                return dotted_address(v->address, arena);
        case 'p':
                return v->name;
        case 'h':
                return v->helo;
        case 'c':
                return print_address(v->address, arena);
        case 'r':
                return v->receiver;
        case 't':
                return arena_printf(arena, "%lld", (long long)v->now_s);
        default: /* v */
                return spf_is_ipv4(v->address) ? STR("in-addr") : STR("ip6");
        }
}

/* ---- transformers ---- */

enum { PARTS_MAX = 1100 }; /* a name or address of SMTP_PATH_BYTES_MAX has no more */

/* Cuts at each delimiter; the parts behind PARTS_MAX stay one. */
static size_t split(struct str value, struct str delimiters, struct str *parts)
{
        size_t count = 0;
        size_t start = 0;
        for (size_t i = 0; i < value.len; i++)
                if (str_find(delimiters, value.ptr[i]) >= 0 && count < PARTS_MAX - 1) {
                        parts[count++] = str_part(value, start, i - start);
                        start = i + 1;
                }
        parts[count++] = str_tail(value, start);
        return count;
}

static struct str transform(struct str value, const struct macro *m, struct arena *arena)
{
        if (!m->keep && !m->is_reversed && str_eq(m->delimiters, STR(".")))
                return value;
        struct str *parts = arena_array(arena, struct str, PARTS_MAX);
        size_t count = split(value, m->delimiters, parts);
        char *out = arena_array(arena, char, value.len + 1);
        size_t first = m->keep && m->keep < count ? count - m->keep : 0;
        size_t len = 0;
        for (size_t i = first; i < count; i++) {
                struct str part = parts[m->is_reversed ? count - 1 - i : i];
                if (i > first)
                        out[len++] = '.';
                if (part.len)
                        memcpy(out + len, part.ptr, part.len);
                len += part.len;
        }
        return str_make(out, len);
}

/* RFC 3986 2.3: what is not "unreserved" becomes %XX */
static int put_url(struct buf *out, struct str value)
{
        for (size_t i = 0; i < value.len; i++) {
                char c = value.ptr[i];
                bool is_plain = char_is_alnum(c) || (c && strchr("-._~", c));
                int rc = is_plain ? buf_append_char(out, c)
                                  : buf_printf(out, "%%%02X", (unsigned char)c);
                if (rc)
                        return rc;
        }
        return 0;
}

static int put_macro(struct buf *out, const struct macro *m, const struct spf_macros *macros,
                     struct arena *arena)
{
        if (m->letter == '%')
                return buf_append_char(out, '%');
        if (m->letter == '_')
                return buf_append_char(out, ' ');
        if (m->letter == '-')
                return buf_append_str(out, STR("%20"));
        struct str value = transform(macro_value(macros, m->letter, arena), m, arena);
        return m->wants_url ? put_url(out, value) : buf_append_str(out, value);
}

int spf_macro_expand(struct str text, const struct spf_macros *macros, struct arena *arena,
                     struct str *out)
{
        struct buf b;
        int rc = 0;
        buf_init(&b, SPF_EXPANSION_BYTES_MAX);
        while (text.len && !rc) {
                struct macro m;
                if (text.ptr[0] == '%' && take_macro(&text, &m)) {
                        rc = put_macro(&b, &m, macros, arena);
                } else {
                        rc = buf_append_char(&b, text.ptr[0]);
                        text = str_tail(text, 1);
                }
        }
        *out = rc ? STR("") : arena_str(arena, buf_str(&b));
        buf_done(&b);
        return rc;
}

/* ---- names ---- */

enum { NAME_BYTES_MAX = 253 };

struct str spf_fit_name(struct str name)
{
        if (name.len && name.ptr[name.len - 1] == '.')
                name.len--;
        while (name.len > NAME_BYTES_MAX) {
                ptrdiff_t dot = str_find(name, '.');
                if (dot < 0)
                        break;
                name = str_tail(name, (size_t)dot + 1);
        }
        return name;
}

bool spf_address_matches(const unsigned char address[16], const unsigned char network[16],
                         int bits4, int bits6)
{
        bool is_ipv4 = spf_is_ipv4(address);
        if (is_ipv4 != spf_is_ipv4(network))
                return false;
        int bits = is_ipv4 ? 96 + bits4 : bits6;
        if (memcmp(address, network, (size_t)bits / 8) != 0)
                return false;
        if (bits % 8 == 0)
                return true;
        unsigned mask = 0xffu << (8 - bits % 8);
        return ((address[bits / 8] ^ network[bits / 8]) & mask) == 0;
}
