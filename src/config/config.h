/*
 * config.h - main.cf and master.cf, read, checked and typed
 *
 * A configuration is immutable once loaded and counted: a session keeps the one that it began with
 * while a reload puts a new one in its place.
 *
 * Every parameter is declared once, in params.def, and is a field of struct params under its own
 * name, with $name references expanded. Times are milliseconds, sizes are bytes, lists are still text
 * (config_list_next takes them apart), so that tables and restriction lists can tell where they stand.
 *
 * Not here: what a value means. The rooms above compile tables, restrictions and routes from it.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "config/findings.h"

/* One field for each parameter that Forepost honours, in the order of params.def. */
struct params {
#define PARAM_STR(name, ...)  struct str name;
#define PARAM_INT(name, ...)  int64_t name;
#define PARAM_TIME(name, ...) int64_t name; /* ms */
#define PARAM_SIZE(name, ...) int64_t name; /* bytes */
#define PARAM_BOOL(name, ...) bool name;
#define PARAM_ENUM(name, ...) int name; /* the index of its word in the words of params.def */
#include "config/params.def"
#undef PARAM_STR
#undef PARAM_INT
#undef PARAM_TIME
#undef PARAM_SIZE
#undef PARAM_BOOL
#undef PARAM_ENUM
};

/* A master.cf line that Forepost runs: an inet smtpd, or a unix smtp/relay/lmtp client. */
struct service {
        struct str name;      /* first column: "smtp", "127.0.0.1:2525", "relay" */
        bool is_inet;         /* listens; else a delivery transport of this name */
        struct str host;      /* of an inet service: address or name; empty: inet_interfaces */
        struct str port;      /* of an inet service: number or service name */
        struct str command;   /* "smtpd", "smtp", "lmtp", "virtual", "error", "discard" */
        int process_limit;    /* the maxproc column; 0: none; -1: default_process_limit ("-") */
        struct params params; /* with this service's -o overrides */
        struct place at;
};

struct config {
        struct str dir;
        struct params params;
        struct service *services;
        size_t service_count;
        struct config_private *private;
};

struct config_override {
        const char *name_value; /* "name=value", from the command line */
        struct config_override *next;
};

/*
 * Reads DIR/main.cf (must exist) and DIR/master.cf (a missing one means Postfix's stock inet smtp
 * service) and adds everything found to *findings. Overrides win over main.cf. Returns a
 * configuration with one reference, also when there are errors, for tools that print what can be
 * printed; NULL only when main.cf cannot be read at all.
 */
struct config *config_load(const char *dir, const struct config_override *overrides,
                           struct findings *findings);
struct config *config_ref(struct config *c);
void config_unref(struct config **c);

/* Where a parameter was set: main.cf:12; file empty when it has its default. */
struct place config_place(const struct config *c, const char *parameter);
bool config_is_set(const struct config *c, const char *parameter);

/*
 * The value of any parameter, known or made up by the user ($name), as text. `expand`: with $name
 * replaced. Returns false for a name that is neither set nor known. The text is in `arena`.
 */
enum config_value { CONFIG_EFFECTIVE_RAW, CONFIG_DEFAULT, CONFIG_EFFECTIVE_EXPANDED };
bool config_text(const struct config *c, struct str name, enum config_value which,
                 struct arena *arena, struct str *value);

/* Calls `each` for every known parameter, and with `is_set_only` for those that main.cf sets, sorted. */
void config_each(const struct config *c, bool is_set_only,
                 void (*each)(void *context, struct str name), void *context);

/*
 * The next item of a list: separated by comma and white space; `{ ... }` is one item, given without
 * its outer braces. Returns false at the end. An unbalanced brace gives the rest as one item.
 */
bool config_list_next(struct str *rest, struct str *item);

/* "5s" "1h" "2d" with `unit` for a bare number; result in ms. 0, -EINVAL or -ERANGE. */
int config_parse_time(struct str text, char unit, int64_t *ms);

/*
 * What the configuration alone can tell: contradictions, dead block lists, doubtful codes, old names,
 * an open relay... Adds to *findings. The checks that need tables are made by the rooms above.
 */
void config_lint(const struct config *c, struct findings *findings);

#endif
