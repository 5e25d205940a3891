/*
 * build.h - making the files that cdb: and lmdb: map, from their text: what postmap and postalias do
 *
 * The new file is written beside the old one and renamed into its place when it is whole and on
 * disk: whoever reads sees the old one or the new one. It has the text's owner and permissions.
 *
 * Waits: blocks; not for the thread of a loop.     Memory: the text and about 30 bytes an entry.
 */
#ifndef TABLE_BUILD_H
#define TABLE_BUILD_H

#include "base/why.h"
#include "config/findings.h"

enum table_text_format {
        TABLE_TEXT_MAP,     /* postmap(1): "key value" */
        TABLE_TEXT_ALIASES, /* postalias(1): "name: value" */
};

/*
 * Builds FILE.cdb or FILE.lmdb from the text FILE; `spec` is "cdb:FILE" or "lmdb:FILE", relative to
 * `dir`. For hash:, btree: and texthash: there is nothing to make: the text is read, and what is
 * wrong with it is told. *entries: how many it has. 0, or a negative errno value with *why; doubts
 * (duplicate keys, lines without a value) go to *findings, which may be NULL.
 */
int table_build(struct str spec, const char *dir, enum table_text_format format,
                struct findings *findings, size_t *entries, struct why *why);

/* Is there something to make for tables of this type, as "cdb" or "hash"? */
bool table_build_has_type(struct str type);

#endif
