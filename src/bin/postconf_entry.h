/*
 * postconf_entry.h - one line of master.cf as postconf(1) shows and writes it
 *
 * Behind the command stand options, each as "-v" or as "-o" and "name=value"; from the first word that is none, or "--", all
 * are plain words: those of pipe(8), where an -o is another's. Braces are taken off, and put on again around what has blanks.
 */
#ifndef BIN_POSTCONF_ENTRY_H
#define BIN_POSTCONF_ENTRY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/why.h"
#include "config/config.h"

enum { ENTRY_ARGUMENTS_MAX = 1000, ENTRY_COMMAND = MASTER_COLUMNS - 1 };

struct entry {
        struct str columns[MASTER_COLUMNS];
        struct str arguments[ENTRY_ARGUMENTS_MAX];
        size_t count;
        size_t option_count; /* of the arguments, the first that are options, and their values */
};

/* The names of the columns in postconf -F. */
extern const char *const entry_column_names[MASTER_COLUMNS];

/* Takes a logical line of master.cf apart; views, or copies in `arena`. -EINVAL with *why: it has too few columns, or too much. */
int entry_parse(struct entry *e, struct arena *arena, struct str text, struct why *why);
/* The same for columns that are known, and for the text behind the command alone. */
int entry_parse_arguments(struct entry *e, struct arena *arena, struct str text, struct why *why);

/* May this stand in column `i` (master(5))? */
bool entry_column_is_good(size_t i, struct str value);

/* One line, and with `folds` several: an option on each, and none longer than 79 columns where a blank allows it. */
void entry_print(const struct entry *e, bool folds, struct buf *out);
/* The command and what stands behind it. */
void entry_print_command(const struct entry *e, struct buf *out);

/* The next option "name=value" from *at on; false at the end. Its index in `arguments`. */
bool entry_next_setting(const struct entry *e, size_t *at, size_t *index, struct str *name,
                        struct str *value);
/* Sets name=value in the place of the first of this name, or behind all options. False: there is no room. */
bool entry_set(struct entry *e, struct arena *arena, struct str name, struct str value);
/* Takes every -o of this name away. */
void entry_unset(struct entry *e, struct str name);

#endif
