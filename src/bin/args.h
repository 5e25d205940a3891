/*
 * args.h - the command line: options that every command takes, and a command's own
 *
 *      -c DIR         the configuration directory (default /etc/forepost)
 *      -o NAME=VALUE  overrides main.cf; may be given several times
 *      --help, -h
 *
 * They stand before or after the command's words; a command's own that have a value, as --name VALUE or
 * --name=VALUE, behind them. "--" ends the options.
 */
#ifndef BIN_ARGS_H
#define BIN_ARGS_H

#include "base/why.h"
#include "config/config.h"

enum { ARGS_WORDS_MAX = 256, ARGS_OVERRIDES_MAX = 64, ARGS_VALUES_MAX = 16 };

/* An option that one command has. */
struct args_flag {
        const char *name; /* "--json" */
        unsigned bit;     /* set in args.flags */
        const char *help;
        const char *value; /* what it wants behind it: "ADDRESS"; NULL: nothing */
};

struct args_value {
        unsigned bit;
        const char *text;
};

struct args {
        const char *dir;
        struct config_override override[ARGS_OVERRIDES_MAX];
        size_t override_count;
        bool wants_help;
        bool wants_version; /* --version, before any command */
        unsigned flags;
        struct args_value values[ARGS_VALUES_MAX];
        size_t value_count;
        const char *words[ARGS_WORDS_MAX];
        size_t word_count;
};

/*
 * Takes `argv` (without the program's name) apart. `flags` ends with a NULL name; NULL: options that are
 * not known are skipped, to find out which command is meant. 0 or -EINVAL with *why. Views point into argv.
 */
int args_parse(struct args *args, int argc, char *const *argv, const struct args_flag *flags,
               struct why *why);

/* The value of the option with this bit, the last one when it was given several times; NULL: not given. */
const char *args_value(const struct args *args, unsigned bit);

/* The overrides in the order given, or NULL. */
const struct config_override *args_overrides(const struct args *args);

/* The one of `names` (NULL ends them) that `word` was probably meant to be, or NULL. */
const char *args_nearest(const char *word, const char *const *names);

#endif
