/*
 * import.h - lists of domains and users become the text of a table
 *
 * What is in the text already stays as it is, comments and all; only what is missing is added, so that
 * importing twice changes nothing. The new text takes the old one's place at once, when it is on disk.
 *
 * Waits: blocks; not for the thread of a loop.
 */
#ifndef TABLE_IMPORT_H
#define TABLE_IMPORT_H

#include "config/findings.h"

/* One entry a domain, with the value OK or a next hop; or, with `users`, one for each user in each. */
struct table_import {
        const char *domains; /* a file with a domain on each line */
        const char *users;   /* a file with a user (or user@domain) on each line; NULL: none */
        const char *value;   /* of each entry: "OK", "relay:[core.example]" */
        const char *target;  /* the text; made when it is not there */
        size_t users_count;  /* out: of the lists, without what stands there twice */
        size_t domains_count;
        size_t added; /* out: entries that were added */
        size_t found; /* out: that stood there already */
};

/*
 * 0, or -EINVAL with every line that is wrong in *findings: a name that is none, an entry that is
 * there with another value. Then nothing is changed. Other negative errno values have a finding too.
 */
int table_import(struct table_import *import, struct findings *findings);

#endif
