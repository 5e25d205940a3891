/*
 * address_list.h - the addresses in a header field (RFC 5322 3.4), found where they stand
 *
 * For who rewrites them: each address is a span of the field's text; what stands around it (display
 * names, comments, groups, folds) is never touched. Pure; takes whatever it is given, since headers
 * in the wild are not what the RFC says: what cannot be an address is passed over.
 */
#ifndef MESSAGE_ADDRESS_LIST_H
#define MESSAGE_ADDRESS_LIST_H

#include "smtp/command.h"

struct address_span {
        size_t from, to;             /* of the text: "a@b", "<" and ">" not among them */
        struct smtp_address address; /* without route, comments and quotes; domain may be empty */
};

/*
 * The next address at or behind *at, which moves behind it; views are in `arena`. False: there is
 * none any more. The null address <> is passed over.
 */
bool address_list_next(struct str text, size_t *at, struct arena *arena, struct address_span *out);

#endif
