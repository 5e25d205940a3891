/*
 * command.h - what a command of the program is, and the exit codes that all share
 */
#ifndef BIN_COMMAND_H
#define BIN_COMMAND_H

#include "bin/args.h"

enum exit_code {
        EXIT_DONE = 0,
        EXIT_FAILED = 1,     /* it did not work, or the answer is no */
        EXIT_USAGE = 2,      /* not understood: see --help */
        EXIT_NOT_RUNNING = 3 /* the server does not run */
};

struct command {
        const char *group;    /* "queue" of "queue list", or NULL */
        const char *name;     /* "list" */
        const char *operands; /* "[NAME...]", or "" */
        const char *summary;  /* one line */
        const char *help;     /* more of them, or "" */
        const struct args_flag *flags;
        size_t words_min; /* behind the command's own */
        size_t words_max;
        int (*run)(const struct args *args); /* args->words without the command's own; exit code */
};

extern const struct command command_serve;
extern const struct command command_check;
extern const struct command command_config;
extern const struct command command_map_query;
extern const struct command command_map_list;
extern const struct command command_map_build;
extern const struct command command_map_import;
extern const struct command command_spf;
extern const struct command command_dns;
extern const struct command command_explain;
extern const struct command command_replay;
extern const struct command command_queue_list;
extern const struct command command_queue_show;
extern const struct command command_queue_count;
extern const struct command command_queue_flush;
extern const struct command command_queue_delete;
extern const struct command command_queue_hold;
extern const struct command command_queue_release;
extern const struct command command_queue_requeue;
extern const struct command command_queue_expire;
extern const struct command command_queue_drain;
extern const struct command command_queue_accept;
extern const struct command command_queue_verify;
extern const struct command command_queue_export;
extern const struct command command_queue_import;
extern const struct command command_reload;
extern const struct command command_stop;
extern const struct command command_status;
extern const struct command command_dnsbl;
extern const struct command command_sessions;

extern const struct command command_manual;
/* All of them, in the order of the overview, those of a group together; NULL past the last. */
const struct command *command_at(size_t i);

/* For commands without options of their own. */
extern const struct args_flag command_no_flags[];

/*
 * Reads the configuration that the options name, for a command that needs values alone: errors that are
 * not its business are for `forepost check`. NULL when main.cf cannot be read; it has been said why.
 */
struct config *command_config_load(const struct args *args);

/* "forepost: ..." on standard error. */
void command_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
