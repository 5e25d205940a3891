/* query_template.c - a query or a result with the parts of an address put in */
#include "table/query_template.h"

#include <errno.h>

enum { NEEDS_LOCAL = 1, NEEDS_DOMAIN = 2 };

int query_template_parse(struct query_template *t, struct str text, bool is_result, struct why *why)
{
        *t = (struct query_template){.text = text, .is_result = is_result};
        for (size_t i = 0; i < text.len; i++) {
                if (text.ptr[i] != '%')
                        continue;
                char c = ++i < text.len ? text.ptr[i] : '\0';
                unsigned *needs =
                        is_result && (c == 'u' || c == 'd') ? &t->result_needs : &t->needs;
                switch (c) {
                case '%':
                case 's':
                case 'S':
                        break;
                case 'u':
                case 'U':
                        *needs |= NEEDS_LOCAL;
                        break;
                case 'd':
                case 'D':
                        *needs |= NEEDS_DOMAIN;
                        break;
                default:
                        if (c >= '1' && c <= '9') {
                                t->needs |= NEEDS_DOMAIN;
                                if (t->labels < (size_t)(c - '0'))
                                        t->labels = (size_t)(c - '0');
                                break;
                        }
                        return why_set(why, -EINVAL,
                                       "a percent sign must have one of s u d S U D 1..9 %% behind "
                                       "it");
                }
        }
        return 0;
}

struct parts {
        struct str whole;
        struct str local; /* all of it when there is no @ */
        struct str domain;
        bool has_at;
};

static struct parts parts_of(struct str address)
{
        struct parts p = {.whole = address, .local = address, .domain = STR("")};
        ptrdiff_t at = str_find_last(address, '@');
        if (at >= 0) {
                p.has_at = true;
                p.local = str_part(address, 0, (size_t)at);
                p.domain = str_tail(address, (size_t)at + 1);
        }
        return p;
}

static bool has_needs(const struct parts *p, unsigned needs)
{
        if ((needs & NEEDS_DOMAIN) && p->domain.len == 0)
                return false;
        return !((needs & NEEDS_LOCAL) && p->has_at && p->local.len == 0);
}

static size_t label_count(struct str domain)
{
        size_t count = domain.len > 0;
        for (size_t i = 0; i < domain.len; i++)
                count += domain.ptr[i] == '.';
        return count;
}

/* From the last: 1 is "com". */
static struct str label_at(struct str domain, size_t n)
{
        for (; n > 1; n--)
                domain = str_part(domain, 0, (size_t)str_find_last(domain, '.'));
        ptrdiff_t dot = str_find_last(domain, '.');
        return dot < 0 ? domain : str_tail(domain, (size_t)dot + 1);
}

static bool fits(const struct query_template *t, const struct parts *key)
{
        return has_needs(key, t->needs) && label_count(key->domain) >= t->labels;
}

bool query_template_fits(const struct query_template *t, struct str key)
{
        struct parts parts = parts_of(key);
        return fits(t, &parts);
}

static struct str part_for(char c, const struct parts *key, const struct parts *own)
{
        switch (c) {
        case '%':
                return STR("%");
        case 's':
                return own->whole;
        case 'u':
                return own->local;
        case 'd':
                return own->domain;
        case 'S':
                return key->whole;
        case 'U':
                return key->local;
        case 'D':
                return key->domain;
        default:
                return label_at(key->domain, (size_t)(c - '0'));
        }
}

int query_template_expand(const struct query_template *t, struct str key, struct str value,
                          query_template_quote *quote, void *context, struct buf *out)
{
        struct parts of_key = parts_of(key);
        struct parts of_value = parts_of(t->is_result ? value : key);
        if (!fits(t, &of_key) || (t->is_result && !has_needs(&of_value, t->result_needs)))
                return -ENOENT;
        struct str text = t->text;
        for (size_t i = 0; i < text.len; i++) {
                int error;
                if (text.ptr[i] != '%') {
                        error = buf_append_char(out, text.ptr[i]);
                } else {
                        struct str part = part_for(text.ptr[++i], &of_key, &of_value);
                        error = quote && text.ptr[i] != '%' ? quote(context, part, out)
                                                            : buf_append_str(out, part);
                }
                if (error)
                        return error;
        }
        return 0;
}
