/*
 * dnsbl_site.c - a list as it is configured, and what its answers mean; pure
 *
 *      site      = domain [ "=" filter ] [ "*" weight ]
 *      filter    = part "." part "." part "." part
 *      part      = number / "[" range *( ";" range ) "]"
 *      range     = number [ ".." number ]
 */
#include "policy/dnsbl.h"

#include <errno.h>

static void add_range(uint32_t set[8], int64_t from, int64_t to)
{
        for (int64_t i = from; i <= to; i++)
                set[i / 32] |= 1u << (i % 32);
}

static bool take_number(struct str *rest, int64_t *out)
{
        size_t len = 0;
        while (len < rest->len && char_is_digit(rest->ptr[len]))
                len++;
        if (len == 0 || len > 3 || str_to_int64(str_part(*rest, 0, len), 0, 255, out) < 0)
                return false;
        *rest = str_tail(*rest, len);
        return true;
}

static bool take_char(struct str *rest, char c)
{
        if (rest->len == 0 || rest->ptr[0] != c)
                return false;
        *rest = str_tail(*rest, 1);
        return true;
}

static bool take_part(struct str *rest, uint32_t set[8])
{
        int64_t from, to;
        if (!take_char(rest, '[')) {
                if (!take_number(rest, &from))
                        return false;
                add_range(set, from, from);
                return true;
        }
        do {
                if (!take_number(rest, &from))
                        return false;
                to = from;
                if (str_starts(*rest, STR(".."))) {
                        *rest = str_tail(*rest, 2);
                        if (!take_number(rest, &to) || to < from)
                                return false;
                }
                add_range(set, from, to);
        } while (take_char(rest, ';'));
        return take_char(rest, ']');
}

static int parse_filter(struct str text, struct dnsbl_filter *out, struct why *why)
{
        struct str rest = text;
        out->is_set = true;
        for (int i = 0; i < 4; i++)
                if ((i > 0 && !take_char(&rest, '.')) || !take_part(&rest, out->sets[i]))
                        return why_set(why, -EINVAL,
                                       "\"%.*s\" is no filter: write d.d.d.d, each a number up to "
                                       "255 or [1;3;5..9]",
                                       STR_ARG(str_part(text, 0, 60)));
        if (rest.len)
                return why_set(why, -EINVAL, "\"%.*s\" follows the filter",
                               STR_ARG(str_part(rest, 0, 60)));
        return 0;
}

static bool is_domain(struct str domain)
{
        if (domain.len == 0 || domain.len >= DNSBL_DOMAIN_BYTES_MAX || domain.ptr[0] == '.')
                return false;
        size_t label = 0;
        for (size_t i = 0; i < domain.len; i++) {
                char c = domain.ptr[i];
                if (c == '.') {
                        if (label == 0)
                                return false;
                        label = 0;
                } else if (!char_is_alnum(c) && c != '-' && c != '_') {
                        return false;
                } else if (++label > 63) {
                        return false;
                }
        }
        return label > 0;
}

int dnsbl_site_parse(struct str text, bool takes_weight, struct dnsbl_site *out, struct why *why)
{
        *out = (struct dnsbl_site){.weight = 1};
        struct str rest = text;
        ptrdiff_t star = str_find(text, '*');
        if (star >= 0) {
                int64_t weight;
                rest = str_part(text, 0, (size_t)star);
                if (!takes_weight)
                        return why_set(why, -EINVAL, "a weight (*) has no meaning here");
                if (str_to_int64(str_tail(text, (size_t)star + 1), -DNSBL_WEIGHT_MAX,
                                 DNSBL_WEIGHT_MAX, &weight) < 0)
                        return why_set(why, -EINVAL, "the weight behind * must be a whole number");
                out->weight = (int)weight;
        }
        bool has_filter = str_find(rest, '=') >= 0;
        out->domain = str_cut(&rest, '=');
        if (str_ends(out->domain, STR(".")))
                out->domain.len--;
        if (!is_domain(out->domain))
                return why_set(why, -EINVAL, "there is no list's domain in front of its filter");
        return has_filter ? parse_filter(rest, &out->filter, why) : 0;
}

bool dnsbl_filter_matches(const struct dnsbl_filter *f, const unsigned char reply[4])
{
        if (!f->is_set)
                return true;
        for (int i = 0; i < 4; i++)
                if (!(f->sets[i][reply[i] / 32] >> (reply[i] % 32) & 1))
                        return false;
        return true;
}

/* ---- answers ---- */

enum dnsbl_answer dnsbl_answer_read(const struct dns_answer *answer, enum dnsbl_kind kind)
{
        if (answer->result == DNS_FAILED)
                return DNSBL_FAILED;
        if (answer->result != DNS_FOUND)
                return DNSBL_NOT_LISTED;
        bool is_listed = false;
        bool is_refused = false;
        for (size_t i = 0; i < answer->count; i++) {
                const unsigned char *a = answer->records[i].address + 12;
                if (a[0] != 127 || (a[1] == 0 && a[2] == 0 && a[3] <= 1))
                        return DNSBL_OUT_OF_RANGE;
                if (a[1] == 255 && a[2] == 255)
                        is_refused = true;
                else if (!(kind == DNSBL_OF_NAMES && a[1] == 0 && a[2] == 1 && a[3] == 255))
                        is_listed = true;
        }
        if (is_refused)
                return DNSBL_REFUSED;
        return is_listed ? DNSBL_LISTED : DNSBL_NOT_LISTED;
}

int dnsbl_budget_parse(struct str text, struct str domain, int64_t *questions, struct why *why)
{
        struct str item;
        bool has_own = false;
        *questions = 0;
        while (str_next_word(&text, ", \t\r\n", &item)) {
                struct str rest = item;
                bool is_named = str_find(item, '=') >= 0;
                struct str name = is_named ? str_cut(&rest, '=') : STR("");
                int64_t number;
                if (str_to_int64(rest, 0, INT64_MAX, &number) < 0)
                        return why_set(why, -EINVAL,
                                       "\"%.*s\": write a number of questions a day, or "
                                       "domain=number",
                                       STR_ARG(str_part(rest, 0, 60)));
                if (is_named && str_eq_nocase(name, domain)) {
                        *questions = number;
                        has_own = true;
                } else if (!is_named && !has_own) {
                        *questions = number;
                }
        }
        return 0;
}
