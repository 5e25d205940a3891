/*
 * origin.h - where a table's contents come from: a text in main.cf, a file that is read, a file that is mapped
 *
 * Reading makes new contents; who asked puts them into use. When a file has changed (file.c tells how it is known):
 *   - put in place by rename: another inode, complete as a rule: read at once;
 *   - written in place: the writer may be in the middle, and half of a list of recipients would
 *     refuse the other half for good. So it is read when it has been quiet for a second, or after WAIT_MS_MAX;
 *   - changed while it was read: what was read is dropped, and it is read at the next refresh;
 *   - wrong or gone: the old contents stay, one warning, and it is tried again when it changes.
 * A file that was read when young is read once more when it no longer is: a second change within
 * the same tick of the file system's clock does not show.
 */
#ifndef TABLE_ORIGIN_H
#define TABLE_ORIGIN_H

#include "table/table_private.h"

struct origin {
        struct table_set *set;
        const struct table_type *type;
        struct place at; /* where the table is named */
        int depth;       /* of tables that name tables */
        char *path;      /* NULL: not from a file */

        struct file_stamp stamp; /* of what was read last */
        struct file_stamp bad;   /* of a file that was wrong, or all 0 */
        uint64_t text_hash;      /* of the text that was read last; 0: not from one */
        size_t text_len;
        int bad_error;            /* why it could not be looked at: ENOENT; 0: it could */
        bool reads_again;         /* it was read from a young file */
        int64_t waiting_since_ms; /* for a writer to be quiet; 0: not waiting */
};

/* Is that a name for a table of this type? A negative errno with the fault when it is not. */
int origin_name_examine(const struct table_type *type, struct str name, struct table_fault *fault);
/* Does the name name a file? */
bool origin_name_is_path(const struct table_type *type, struct str name);

/*
 * Reads what `name` is: relative ones in `dir`. `set`, `type`, `at` and `depth` have been filled in, the rest is 0. 0 and *contents,
 * which become the caller's; or a negative errno and the fault. origin_done() is due in any case.
 */
int origin_open(struct origin *o, const char *dir, struct str name, struct findings *findings,
                struct table_fault *fault, void **contents);
void origin_done(struct origin *o);

/*
 * Looks at the file, and reads it when it has to be read again; warns, as of `shown`, when that cannot be. True: *contents are
 * new and the caller's; *is_changed, unless the file is the one that was read when it was young.
 */
bool origin_refresh(struct origin *o, struct str shown, void **contents, bool *is_changed);
/* The old contents are in use, as the file is gone or wrong. */
bool origin_is_bad(const struct origin *o);

#endif
