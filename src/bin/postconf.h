/* postconf.h - postconf(1): listings of main.cf and master.cf, and changes of both */
#ifndef BIN_POSTCONF_H
#define BIN_POSTCONF_H

#include "bin/names.h"

struct postconf {
        const char *directory;
        struct config *config;
        char table;          /* 0: parameters; M P F: master.cf */
        char mode;           /* 0: a listing; e X #: changes; a A b l m t T: a listing of its own */
        const char *about;   /* -T */
        bool is_set_only;    /* -n */
        bool wants_defaults; /* -d */
        bool expands;        /* -x */
        bool folds;          /* -f */
        bool hides_names;    /* -h */
        bool hides_values;   /* -H */
        unsigned classes;    /* -C; enum config_class */
};

/*
 * "name = value" with one blank between words, or as the options want it; one that is too long for 80
 * columns is folded with -f.
 */
void postconf_print(const struct postconf *p, struct str name, struct str value);

/* -M, -P and -F; `patterns` are service/type/rest with * for any. An exit code. */
int postconf_master(const struct postconf *p, char *const *patterns, size_t count);
bool postconf_is_any(struct str pattern);

/* -e, -X and -#: main.cf, or with -M, -P or -F master.cf, written anew, whole or not at all. An exit code. */
int postconf_edit(const struct postconf *p, char *const *words, size_t count);
int postconf_edit_master(const struct postconf *p, char *const *words, size_t count);
/* "name=value"; views. Not 0: that is none, and it has been said. */
int postconf_take_setting(const char *word, struct str *name, struct str *value);

/* -b and -t: the templates of notices, from `file` (empty: our own; NULL: bounce_template_file). An exit code. */
int postconf_templates(const struct postconf *p, const char *file);
/* -a, -A, -l, -m and -T: what is built in. An exit code. */
int postconf_built_in(const struct postconf *p);

#endif
