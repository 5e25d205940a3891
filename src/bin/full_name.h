/*
 * full_name.h - the From: field that sendmail(1) adds, with the user's full name (header_from_format, full_name_encoding_charset)
 */
#ifndef BIN_FULL_NAME_H
#define BIN_FULL_NAME_H

#include "base/buf.h"

struct full_name_rules {
        bool is_obsolete; /* "address (name)", else "name <address>" */
        struct str
                charset; /* what `name` is in, when it is beyond ASCII (RFC 2047); empty: it goes as it is */
};

/* Appends "From: ...\n"; an empty name is left out. Control characters of the name are. */
void full_name_put_from(const struct full_name_rules *rules, struct str name, struct str address,
                        struct buf *out);

#endif
