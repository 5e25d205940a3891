/*
 * config_private.h - what the files of config/ share
 *
 * The way of a value: lines.c joins physical lines to logical ones, main_cf.c and master_cf.c make
 * settings of them, expand.c replaces $names in the scope of one service, value.c gives the text
 * its type, and config.c puts it into struct params.
 */
#ifndef CONFIG_CONFIG_PRIVATE_H
#define CONFIG_CONFIG_PRIVATE_H

#include "base/buf.h"
#include "base/map.h"
#include "base/why.h"
#include "config/config.h"

enum {
        FILE_BYTES_MAX = 16 << 20,
        LINE_BYTES_MAX = 1 << 20,
        VALUE_BYTES_MAX = 1 << 20,
        CONFIG_BYTES_MAX = 256 << 20, /* all values of a configuration together */
        SERVICES_MAX = 256,
        NESTING_MAX = 100,
};

/* ---- lines ---- */

/* From `offset` of a text on, it comes from this line. */
struct mark {
        size_t offset;
        struct place at;
};

struct marks {
        struct mark *list;
        size_t count;
        size_t room;
};

void marks_add(struct marks *m, size_t offset, struct place at);
void marks_done(struct marks *m);
/* How many marks are not behind `offset`. */
size_t marks_after(const struct marks *m, size_t offset);
/* The place of a byte; `other` when there are no marks. */
struct place marks_find(const struct marks *m, size_t offset, struct place other);

struct line_reader {
        struct str rest;
        struct place next; /* the line that `rest` begins with */
        /* the logical line that was read last, valid until the next call */
        struct buf text;
        struct marks marks;
        struct place at; /* where it begins */
        struct findings *findings;
};

/* `text` is the whole file; it stays the caller's. */
void line_reader_init(struct line_reader *r, struct str text, struct str file,
                      struct findings *findings);
void line_reader_done(struct line_reader *r);
/*
 * The next logical line, without comments, blank lines and line ends. False at the end. Lines that
 * are too long or begin with a blank where nothing can be continued are findings, and are skipped.
 */
bool line_reader_next(struct line_reader *r);

/* ---- settings ---- */

struct setting {
        struct str name;
        struct str raw;
        struct place at;
        struct marks marks; /* of raw; `list` in the arena */
        struct setting *next;
};

/* Names to settings; `first` has them in the order of the file. */
struct settings {
        struct map by_name;
        struct setting *first;
        struct setting **last;
};

void settings_init(struct settings *s);
void settings_done(struct settings *s);
struct setting *settings_find(const struct settings *s, struct str name);
/* False when it is not there, or `settings` is NULL. */
bool settings_copy(const struct settings *settings, struct str name, struct setting *out);
/* Adds, or replaces: with a warning when that came from a file. Keeps copies. */
void settings_put(struct settings *s, struct arena *arena, struct str name, struct str raw,
                  struct place at, const struct marks *marks, size_t marks_from,
                  struct findings *findings);

/* Splits "name = value"; *value_at is the offset of the value. -EINVAL with the reason and cure. */
int setting_split(struct str text, struct str *name, struct str *value, size_t *value_at,
                  struct why *why, const char **cure);

/* Reads all of main.cf. */
void main_cf_read(struct settings *settings, struct arena *arena, struct str text, struct str file,
                  struct findings *findings);

/* ---- declarations ---- */

enum param_kind {
        KIND_STR,
        KIND_RAW,
        KIND_INT,
        KIND_TIME,
        KIND_SIZE,
        KIND_BOOL,
        KIND_ENUM,
        KIND_SECTION, /* not a parameter: a title in the table */
};

struct declaration {
        const char *name;
        const char *initial;
        const char *help;
        const char *words; /* KIND_ENUM */
        int64_t min, max;  /* KIND_TIME: seconds */
        size_t offset;     /* in struct params; not for noted ones */
        enum param_kind kind;
        enum config_fate fate;
        char unit; /* KIND_TIME */
};

const struct declaration *declaration_find(struct str name);
/* In the order of their names. NULL past the last. */
const struct declaration *declaration_at(size_t i);
/* As in the tables. NULL past the last. */
const struct declaration *declaration_row(size_t i);
/* The heading under which it stands in its table: name is the room, help the title. */
const struct declaration *declaration_section(const struct declaration *d);
/*
 * The declaration that stands behind NAME_suffix, where NAME is a service in master.cf:
 * relay_destination_concurrency_limit is default_destination_concurrency_limit.
 */
const struct declaration *declaration_find_service(struct str name, struct str service);
/* Its text: "$default_destination_concurrency_limit". */
const char *service_reference(struct str name, struct str service);
/* The i-th suffix of such names, with what it stands for; NULL past the last. */
const char *service_suffix(size_t i);
/* How main.cf names `d` for one service. False when it has no such name. */
bool declaration_service_name(const struct declaration *d, struct str service, char *out,
                              size_t room);
/* The known name that is nearest to it; NULL when none is near. */
const char *declaration_nearest(struct str name);
/* How many insertions, deletions, changes and swaps of neighbours; at most `max` + 1. */
unsigned text_distance(struct str a, struct str b, unsigned max);

/* ---- expansion ---- */

/* Where a name is looked up: a service, or (all empty) main.cf alone. */
struct scope {
        const struct config_private *private;
        const struct settings *overrides; /* of a service; NULL: none */
        struct str service;               /* its name, for NAME_destination_...; empty: none */
        bool is_stressed;                 /* $stress is "yes", unless somebody sets it */
};

/* What a name stands for. False when it is unknown. `marks` and `at` may be empty. */
bool scope_find(const struct scope *scope, struct str name, struct setting *found);
/* The same for what main.cf sets for this service alone: NAME_destination_... */
bool scope_find_own(const struct scope *scope, struct str name, struct setting *found);

/*
 * Replaces $names in `source`. *out is cleared first; *marks (NULL: not wanted) tells where each
 * part of it comes from. Names that stand for nothing are empty. 0, or -EINVAL with *why, and in
 * *at where it went wrong.
 */
int expand(const struct scope *scope, const struct setting *source, struct buf *out,
           struct marks *marks, struct place *at, struct why *why);

/* Calls `each` for every name that the text refers to, in conditions and branches too. */
void expand_names(struct str text, void (*each)(void *context, struct str name), void *context);

/* ---- values ---- */

/*
 * Gives `text` its type and stores it in *params. -EINVAL or -ERANGE with *why, which says what is
 * allowed; 1: stored, but *why says what of the text was not read. KIND_STR keeps the view: the caller has put it where it lives.
 */
int value_store(const struct declaration *d, struct str text, struct params *params,
                struct why *why);
/* "from 1 to 100", "yes or no", "postfix or json" */
void value_range(const struct declaration *d, char *out, size_t room);

/* ---- the machine ---- */

struct machine {
        struct str hostname; /* full, as far as it can be found out */
        bool is_fixed;       /* do not look: the tests' machine */
};
/* `may_ask`: the resolver, for the full name. */
void machine_init(struct machine *m, struct arena *arena, bool may_ask);
/* The default of mynetworks (Postfix: mynetworks_style). */
struct str machine_networks(const struct machine *m, struct arena *arena, struct str style,
                            struct str interfaces, struct str protocols);

/* ---- the whole ---- */

/* A view into a parameter's text and where its parts come from. */
struct traced {
        struct str text;
        struct marks marks;
};

struct traced_list {
        struct traced *list; /* in the order of text.ptr */
        size_t count;
        size_t room;
};

struct names {
        struct str *list;
        size_t count;
        size_t room;
};

struct config_private {
        struct arena arena;
        unsigned references; /* atomic */
        struct str main_file;
        struct str master_file;
        struct settings main;     /* main.cf */
        struct settings commands; /* -o of the command line */
        struct settings found;    /* defaults that depend on the machine */
        struct machine machine;
        struct traced_list traced;
        struct service_source *services; /* in the order of the file */
        size_t service_count;
        struct service_source *passed; /* "smtpd pass": what stands behind postscreen; or NULL */
        struct names service_names;    /* all of master.cf, also those that do not run here */
        bool is_service_name_used;     /* some value has $service_name in it */
        struct names user_names;       /* made up, and referred to by what counts */
        struct master_entry *entries;  /* the lines of master.cf */
        struct master_entry *last_entry;
};

/* A service while it is being read. */
struct service_source {
        struct service service;
        struct settings overrides;
        struct service_source *next;
};

/* Reads master.cf into private->services and private->service_names. */
void master_cf_read(struct config_private *p, struct str text, struct findings *findings);
/* Adds the services that are there without being named; without master.cf, the listener too. */
void master_cf_add_stock(struct config_private *p, bool has_master_cf);

/* ---- places ---- */

/* `text` lives as long as the configuration; the marks are copied. `at`: when there are none. */
void trace_add(struct config_private *p, struct str text, const struct marks *marks,
               struct place at);
void trace_settings(struct config_private *p, const struct settings *settings);
/* After the last is added; before config_place_of(). */
void trace_sort(struct config_private *p);

/* ---- from settings to params ---- */

struct reading {
        struct config *config;
        struct findings *findings;
        struct buf text;    /* of the value at hand */
        struct marks marks; /* of text */
};

void reading_store_main(struct reading *r);
void reading_store_services(struct reading *r);
/* The expanded value, where it lives as long as the configuration; on an error *at is where. */
int reading_expand(struct reading *r, const struct scope *scope, const struct setting *s,
                   struct str *text, struct place *at, struct why *why);

/* ---- names ---- */

void names_add(struct names *n, struct str name);
void names_done(struct names *n);
/*
 * Every name that is set must be known, or be referred to by one that counts. Adds what is wrong
 * to *findings, and sets is_service_name_used and user_names.
 */
void names_check(struct config_private *p, struct findings *findings);
/* The service parameter that this name is for one of the services: "relay_destination_..." */
const char *names_service_reference(const struct config_private *p, struct str name);
/* Complains about parameters that are accepted, and not honoured. */
void names_check_noted(const struct config_private *p, struct findings *findings);

/* ---- lint ---- */

struct lint {
        const struct config *config;
        const struct params *params; /* those looked at now: of main.cf or of a service */
        struct findings *findings;
        struct arena arena;
        struct map seen; /* keywords of restrictions, of all lists */
};

/* The restriction lists of l->params; fills l->seen. */
void lint_lists(struct lint *l);
/* postscreen's parameters where no service is called postscreen. */
void lint_screen(struct lint *l);
/* A listening service, with l->params its own. */
void lint_balancers(struct lint *l, const struct service *service);
/* Services whose mail goes to a filter in front of the queue. */
void lint_proxy_filters(struct lint *l);
/* After all lists: what was set for restrictions that are nowhere. */
void lint_codes(struct lint *l);

/* ---- all of it ---- */

/* What config_load() reads; tests and fuzzing come in here. */
struct config_source {
        struct str dir;
        struct str main_text;
        struct str master_text;
        bool has_master;
        bool has_fixed_machine; /* host.example.com without interfaces */
        const struct config_override *overrides;
};
struct config *config_read(const struct config_source *source, struct findings *findings);

/* The next "pgsql:name" and the like in a value, whose settings are parameters name_setting. */
bool table_settings_next(struct str *rest, struct str *type, struct str *name);

#endif
