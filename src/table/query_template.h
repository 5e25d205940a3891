/*
 * query_template.h - a query or a result with the parts of an address put in (pgsql_table(5): query,
 * result_format, domain)
 *
 *   %s  the key; in a result what was found          %u %d  its local part, its domain
 *   %S %U %D  the key's, in a result                 %1..%9  labels of the key's domain, from the last
 *   %%  a percent sign
 *
 * Private to this room; pure.
 */
#ifndef TABLE_QUERY_TEMPLATE_H
#define TABLE_QUERY_TEMPLATE_H

#include "base/buf.h"
#include "base/why.h"

struct query_template {
        struct str text;
        bool is_result;
        unsigned needs; /* parts that the key must have */
        unsigned result_needs;
        size_t labels;
};

/* `text` stays the caller's. 0, or -EINVAL with the expansion that there is not. */
int query_template_parse(struct query_template *t, struct str text, bool is_result,
                         struct why *why);

/* Puts `part` into *out so that the server takes it for nothing but text. 0 or negative errno. */
typedef int query_template_quote(void *context, struct str part, struct buf *out);

/* Has this key all parts that the template wants? When not, there is nothing to ask. */
bool query_template_fits(const struct query_template *t, struct str key);
/*
 * Appends the text with its parts put in. 0; -ENOENT when a part is missing (nothing is appended);
 * or what the quote or buf_append returned. `value` is for results. `quote` may be NULL.
 */
int query_template_expand(const struct query_template *t, struct str key, struct str value,
                          query_template_quote *quote, void *context, struct buf *out);

#endif
