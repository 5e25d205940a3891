/*
 * record.c - an SPF record taken apart (RFC 7208 4.5, 4.6.1, 5, 6, 12)
 *
 *      record           = version terms *SP
 *      version          = "v=spf1"
 *      terms            = *( 1*SP ( directive / modifier ) )
 *      directive        = [ qualifier ] mechanism
 *      qualifier        = "+" / "-" / "?" / "~"
 *      all              = "all"
 *      include          = "include" ":" domain-spec
 *      a                = "a"       [ ":" domain-spec ] [ dual-cidr-length ]
 *      mx               = "mx"      [ ":" domain-spec ] [ dual-cidr-length ]
 *      ptr              = "ptr"     [ ":" domain-spec ]
 *      ip4              = "ip4" ":" ip4-network [ ip4-cidr-length ]
 *      ip6              = "ip6" ":" ip6-network [ ip6-cidr-length ]
 *      exists           = "exists"  ":" domain-spec
 *      dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]
 *      modifier         = "redirect=" domain-spec / "exp=" domain-spec / name "=" macro-string
 *      name             = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
 *
 * A syntax error anywhere makes the whole record one (4.6), so it is read whole before it is asked.
 */
#include "policy/spf/spf_private.h"

#include "table/table.h"

#include <errno.h>

static const struct str version = STR_INIT("v=spf1");

bool spf_is_record(struct str text)
{
        return str_starts_nocase(text, version) &&
               (text.len == version.len || text.ptr[version.len] == ' ');
}

enum spf_argument { NO_ARGUMENT, MAY_HAVE_DOMAIN, MUST_HAVE_DOMAIN, MUST_HAVE_NETWORK };

static const struct {
        struct str name;
        enum spf_kind kind;
        enum spf_argument argument;
        bool may_have_cidr;
} mechanisms[] = {
        {STR_INIT("all"), SPF_ALL, NO_ARGUMENT, false},
        {STR_INIT("include"), SPF_INCLUDE, MUST_HAVE_DOMAIN, false},
        {STR_INIT("a"), SPF_A, MAY_HAVE_DOMAIN, true},
        {STR_INIT("mx"), SPF_MX, MAY_HAVE_DOMAIN, true},
        {STR_INIT("ptr"), SPF_PTR, MAY_HAVE_DOMAIN, false},
        {STR_INIT("ip4"), SPF_IP4, MUST_HAVE_NETWORK, true},
        {STR_INIT("ip6"), SPF_IP6, MUST_HAVE_NETWORK, true},
        {STR_INIT("exists"), SPF_EXISTS, MUST_HAVE_DOMAIN, false},
};

/* ---- prefix lengths ---- */

/* "0", or a number without a zero in front */
static bool parse_bits(struct str text, int bits_max, int *bits)
{
        int64_t value;
        if (text.len == 0 || !char_is_digit(text.ptr[0]) || (text.ptr[0] == '0' && text.len > 1) ||
            str_to_int64(text, 0, bits_max, &value))
                return false;
        *bits = (int)value;
        return true;
}

/* Where the digits at the end begin, when `slashes` stand in front of them; -1: they do not. */
static ptrdiff_t find_bits(struct str text, struct str slashes)
{
        size_t at = text.len;
        while (at && char_is_digit(text.ptr[at - 1]))
                at--;
        return str_ends(str_part(text, 0, at), slashes) ? (ptrdiff_t)at : -1;
}

/* Takes a dual-cidr-length off the end of *text; false when it is wrong. */
static bool take_dual_bits(struct str *text, struct spf_term *term)
{
        ptrdiff_t at = find_bits(*text, STR("//"));
        if (at >= 0) {
                if (!parse_bits(str_tail(*text, (size_t)at), 128, &term->bits6))
                        return false;
                text->len = (size_t)at - 2;
        }
        at = find_bits(*text, STR("/"));
        if (at >= 0) {
                if (!parse_bits(str_tail(*text, (size_t)at), 32, &term->bits4))
                        return false;
                text->len = (size_t)at - 1;
        }
        return true;
}

static bool parse_network(struct str text, struct spf_term *term)
{
        bool is_ipv4 = term->kind == SPF_IP4;
        ptrdiff_t slash = str_find(text, '/');
        struct str address = slash < 0 ? text : str_part(text, 0, (size_t)slash);
        if (slash >= 0 && !parse_bits(str_tail(text, (size_t)slash + 1), is_ipv4 ? 32 : 128,
                                      is_ipv4 ? &term->bits4 : &term->bits6))
                return false;
        /* what network_address_parse() takes besides: brackets, and "IPv6:" */
        if (address.len == 0 || address.ptr[0] == '[' || char_lower(address.ptr[0]) == 'i' ||
            (str_find(address, ':') >= 0) == is_ipv4)
                return false;
        return network_address_parse(address, term->address);
}

/* ---- terms ---- */

static bool parse_directive(struct str text, struct spf_term *term)
{
        static const struct {
                char c;
                enum spf_result on_match;
        } qualifiers[] = {
                {'+', SPF_PASS}, {'-', SPF_FAIL}, {'~', SPF_SOFTFAIL}, {'?', SPF_NEUTRAL}};
        *term = (struct spf_term){.text = text, .on_match = SPF_PASS, .bits4 = 32, .bits6 = 128};
        for (size_t i = 0; i < sizeof(qualifiers) / sizeof(qualifiers[0]); i++)
                if (text.ptr[0] == qualifiers[i].c) {
                        term->on_match = qualifiers[i].on_match;
                        text = str_tail(text, 1);
                        break;
                }
        size_t len = 0;
        while (len < text.len && text.ptr[len] != ':' && text.ptr[len] != '/')
                len++;
        struct str name = str_part(text, 0, len);
        struct str rest = str_tail(text, len);
        size_t i = 0;
        while (!str_eq_nocase(name, mechanisms[i].name))
                if (++i == sizeof(mechanisms) / sizeof(mechanisms[0]))
                        return false;
        term->kind = mechanisms[i].kind;
        if (mechanisms[i].argument == MUST_HAVE_NETWORK)
                return rest.len && rest.ptr[0] == ':' && parse_network(str_tail(rest, 1), term);
        if (mechanisms[i].may_have_cidr && !take_dual_bits(&rest, term))
                return false;
        if (rest.len == 0)
                return mechanisms[i].argument != MUST_HAVE_DOMAIN;
        term->domain = str_tail(rest, 1);
        return rest.ptr[0] == ':' && mechanisms[i].argument != NO_ARGUMENT &&
               spf_domain_spec_is_valid(term->domain);
}

/* The length of the name in front of "="; 0: it is no modifier. */
static size_t modifier_name_length(struct str text)
{
        size_t len = 0;
        if (!char_is_alnum(text.ptr[0]) || char_is_digit(text.ptr[0]))
                return 0;
        while (len < text.len && (char_is_alnum(text.ptr[len]) || strchr("-_.", text.ptr[len])) &&
               text.ptr[len])
                len++;
        return len < text.len && text.ptr[len] == '=' ? len : 0;
}

/* redirect and exp: once each (6) */
static bool take_once(struct str *where, struct str value)
{
        bool is_first = where->ptr == NULL;
        *where = value;
        return is_first && spf_domain_spec_is_valid(value);
}

static bool parse_modifier(struct str text, size_t name_len, struct spf_record *out)
{
        struct str name = str_part(text, 0, name_len);
        struct str value = str_tail(text, name_len + 1);
        if (str_eq_nocase(name, STR("redirect"))) {
                out->redirect_text = text;
                return take_once(&out->redirect, value);
        }
        if (str_eq_nocase(name, STR("exp")))
                return take_once(&out->exp, value);
        return spf_macro_string_is_valid(value, SPF_IN_MODIFIER);
}

static bool parse_term(struct str text, struct spf_record *out)
{
        size_t name_len = modifier_name_length(text);
        if (name_len)
                return parse_modifier(text, name_len, out);
        return parse_directive(text, &out->terms[out->count++]);
}

static struct str printable(struct str text, struct arena *arena)
{
        text = arena_str(arena, str_part(text, 0, 100));
        char *copy = arena_array(arena, char, text.len + 1);
        for (size_t i = 0; i < text.len; i++)
                copy[i] = text.ptr[i] >= ' ' && text.ptr[i] <= '~' ? text.ptr[i] : '?';
        return str_make(copy, text.len);
}

int spf_record_parse(struct str text, struct arena *arena, struct spf_record *out,
                     struct str *problem)
{
        struct str rest = str_tail(text, version.len);
        struct str term;
        size_t count = 0;
        for (struct str count_in = rest; str_next_word(&count_in, " ", &term);)
                count++;
        *out = (struct spf_record){.terms = arena_array(arena, struct spf_term, count + 1)};
        while (str_next_word(&rest, " ", &term)) {
                if (parse_term(term, out))
                        continue;
                *problem = arena_printf(arena, "syntax error in \"%.*s\"",
                                        STR_ARG(printable(term, arena)));
                return -EBADMSG;
        }
        return 0;
}
