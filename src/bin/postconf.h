/* postconf.h - postconf(1): listings of main.cf and master.cf, and changes of main.cf */
#ifndef BIN_POSTCONF_H
#define BIN_POSTCONF_H

#include "bin/names.h"

struct postconf {
        const char *directory;
        struct config *config;
        char mode;           /* 0: parameters; M P F: master.cf; m: table types; e X #: changes */
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

/* -e, -X and -#: main.cf written anew, whole or not at all. An exit code. */
int postconf_edit(const struct postconf *p, char *const *words, size_t count);

#endif
