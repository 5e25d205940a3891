/*
 * settings.h - how a table on a server is reached: "setting = value" in a file of its own, or in main.cf
 *
 * Private to this room. Values are taken as they stand ($ is no sign of anything in a file, as in
 * Postfix). A setting that the type does not know is a finding.
 */
#ifndef TABLE_SETTINGS_H
#define TABLE_SETTINGS_H

#include "base/buf.h"
#include "base/map.h"
#include "table/table_private.h"

enum { SETTINGS_BYTES_MAX = 1 << 20 };

struct table_settings {
        const struct table_text *text;
        struct arena arena;
        struct map values;     /* to struct setting_value */
        struct buf definition; /* all of them as one text, in their order */
};

/* 0, or a negative errno with text->fault set. table_settings_done() in any case. */
int table_settings_read(struct table_settings *s, const struct table_text *text);
void table_settings_done(struct table_settings *s);

/* Empty values count as not set, as in Postfix. Views end with the settings. */
/* Is it there, with or without a value? */
bool table_settings_is_given(const struct table_settings *s, const char *name);
bool table_settings_has(const struct table_settings *s, const char *name);
struct str table_settings_get(const struct table_settings *s, const char *name,
                              const char *initial);
/* 0, or -EINVAL with the fault, which names the line. */
int table_settings_number(const struct table_settings *s, const char *name, int64_t initial,
                          int64_t min, int64_t max, int64_t *out);
int table_settings_bool(const struct table_settings *s, const char *name, bool initial, bool *out);
/* The index of one of the words (NULL ends them). */
int table_settings_word(const struct table_settings *s, const char *name, const char *const *words,
                        int initial, int *out);
/* An error at the line of a setting. Returns -EINVAL. */
int table_settings_fault(const struct table_settings *s, const char *name, const char *cure,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A finding when the file, in which there is a password, may be read by everybody. */
void table_settings_check_secret(const struct table_settings *s);

#endif
