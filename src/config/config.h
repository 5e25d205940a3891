/*
 * config.h - main.cf and master.cf, read, checked and typed
 *
 * A configuration is immutable once loaded and counted: a session keeps the one that it began with
 * while a reload puts a new one in its place.
 *
 * Every parameter is declared once, in params.def, and is a field of struct params under its own
 * name (PARAM_STR_AS: another), with $name references expanded. Times are milliseconds, sizes are
 * bytes, lists are still text (config_list_next takes them apart), so that tables and restriction lists can tell where they stand.
 *
 * Not here: what a value means. The rooms above compile tables, restrictions and routes from it.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/why.h"
#include "config/findings.h"

/* tools/parameter-use has the compiler tell who reads which field. */
#ifdef FOREPOST_TRACE_PARAMS
#define PARAM_READ __attribute__((deprecated))
#else
#define PARAM_READ
#endif

/* One field for each parameter that Forepost honours, in the order of params.def. */
struct params {
#define PARAM_STR(name, ...)     struct str name PARAM_READ;
#define PARAM_STR_AS(field, ...) struct str field PARAM_READ;
#define PARAM_RAW(name, ...)     struct str name PARAM_READ; /* $names left in */
#define PARAM_INT(name, ...)     int64_t name PARAM_READ;
#define PARAM_TIME(name, ...)    int64_t name PARAM_READ; /* ms */
#define PARAM_SIZE(name, ...)    int64_t name PARAM_READ; /* bytes */
#define PARAM_BOOL(name, ...)    bool name PARAM_READ;
#define PARAM_ENUM(name, ...)    int name PARAM_READ; /* the index of its word in params.def */
#include "config/params.def"
};

/* The fields of PARAM_ENUM whose words have a meaning outside of one room. */
enum log_format_word { LOG_FORMAT_POSTFIX, LOG_FORMAT_JSON };
enum tls_level { /* smtpd_tls_security_level has the first four, smtp_tls_security_level all */
                 TLS_LEVEL_UNSET,
                 TLS_LEVEL_NONE,
                 TLS_LEVEL_MAY,
                 TLS_LEVEL_ENCRYPT,
                 TLS_LEVEL_DANE,
                 TLS_LEVEL_DANE_ONLY,
                 TLS_LEVEL_FINGERPRINT,
                 TLS_LEVEL_VERIFY,
                 TLS_LEVEL_SECURE,
};
enum tls_grade {
        TLS_GRADE_EXPORT,
        TLS_GRADE_LOW,
        TLS_GRADE_MEDIUM,
        TLS_GRADE_HIGH,
        TLS_GRADE_NULL
};
enum eecdh_grade { EECDH_NONE, EECDH_STRONG, EECDH_ULTRA, EECDH_AUTO }; /* smtpd_tls_eecdh_grade */
enum address_preference { ADDRESS_ANY, ADDRESS_IPV4, ADDRESS_IPV6 };
enum dns_support {
        DNS_SUPPORT_UNSET,
        DNS_SUPPORT_DISABLED,
        DNS_SUPPORT_ENABLED,
        DNS_SUPPORT_DNSSEC
};
enum spf_header_type { SPF_HEADER_NONE, SPF_HEADER_RECEIVED, SPF_HEADER_AUTHRES, SPF_HEADER_BOTH };
enum bare_newline { /* smtpd_forbid_bare_newline */
                    BARE_NEWLINE_NO,
                    BARE_NEWLINE_YES,
                    BARE_NEWLINE_NORMALIZE,
                    BARE_NEWLINE_REJECT,
                    BARE_NEWLINE_NOTE,
};

/*
 * A master.cf line that Forepost runs: an inet smtpd, or a unix smtp/relay/lmtp client. The unix
 * services smtp, relay, lmtp, virtual, error, retry, discard and pickup are there also when master.cf does
 * not name them; their place is then empty. Inet services come first. pickup takes what users of this machine
 * submit: its params are those of a session without restrictions.
 *
 * In a delivery service's params, default_destination_concurrency_limit and its kin (qmgr(8)) have
 * the value of NAME_destination_concurrency_limit where main.cf sets that. A service whose
 * command is lmtp has its lmtp_* values in the smtp_* fields too, so that the client reads only
 * those.
 */
struct service {
        struct str name;      /* first column: "smtp", "127.0.0.1:2525", "relay" */
        bool is_inet;         /* listens; else a delivery transport of this name */
        struct str host;      /* of an inet service: address or name; empty: inet_interfaces */
        struct str port;      /* of an inet service: number or service name */
        struct str command;   /* "smtpd", "smtp", "lmtp", "virtual", "error", "discard" */
        int process_limit;    /* the maxproc column; 0: none; -1: default_process_limit ("-") */
        struct params params; /* with this service's -o overrides */
        struct place at;
        /* of an inet service: itself with $stress = yes (STRESS_README); NULL when -o or main.cf sets stress */
        const struct service *stressed;
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
 * Where a part of a value was written, to the line, also when it came through a $name. `part` must
 * point into a text field of a struct params of `c` (config_list_next gives such parts); for any
 * other the place is empty.
 */
struct place config_place_of(const struct config *c, struct str part);
/* The same, or `at` where that is empty. */
struct place config_place_or(const struct config *c, struct str part, struct place at);

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
 * The same for names of some classes, each once, sorted: those of the tables; NAME_destination_... of the
 * services in master.cf; those made up in main.cf that something refers to. `is_set_only`: of these, what
 * main.cf or -o sets.
 */
enum config_class { CONFIG_BUILTIN = 1, CONFIG_OF_SERVICE = 2, CONFIG_OF_USER = 4 };
void config_each_of(const struct config *c, unsigned classes, bool is_set_only,
                    void (*each)(void *context, struct str name), void *context);

/* A line of master.cf as it stands there, also one of a service that does not run here. */
enum { MASTER_COLUMNS = 8 };
struct master_entry {
        struct str columns
                [MASTER_COLUMNS]; /* name type private unpriv chroot wakeup maxproc command */
        struct str arguments;
        struct place at;
        struct master_entry *next;
};
/* The first, by the order in the file; NULL: none. They live as long as the configuration. */
const struct master_entry *config_master(const struct config *c);
/* The next argument: a word, or { text } with its braces. False at the end. */
bool config_master_argument(struct str *rest, struct str *argument);
/*
 * "{ name = value }" or "name=value", as behind -o, taken apart; views. 0 or -EINVAL with *why.
 */
int config_master_override(struct str argument, struct str *name, struct str *value,
                           struct why *why);

/* What becomes of a parameter of Postfix. */
enum config_fate {
        CONFIG_HONOURED, /* has a field in struct params */
        CONFIG_HARMLESS, /* cannot matter here: accepted, with a note when it is set */
        CONFIG_LATER,    /* accepted with a warning that says what is missing */
        CONFIG_REFUSED,  /* mail would pass that must not: an error */
};

struct config_description {
        const char *name;
        enum config_fate fate;
        const char *type;    /* "text", "number", "time", "bytes", "yes or no", "word" */
        const char *initial; /* with $names; "(machine)": found out */
        const char *help;    /* when not honoured: why */
        const char *room;    /* who uses it; "" when not honoured */
        const char *title;   /* the heading of its section; "" when not honoured */
        char range[256];     /* what is allowed; may be empty */
};

/* The declaration of a parameter, for config --doc. False for a name that is not declared. */
bool config_describe(struct str name, struct config_description *out);
/*
 * The declarations one after the other as the tables have them, by sections: those that are honoured, then the
 * others by reason. `i` counts from 0; false past the last.
 */
bool config_describe_next(size_t i, struct config_description *out);
/* The name that a mistyped one probably means; NULL when none is near. */
const char *config_nearest(struct str name);

/*
 * The next item of a list: separated by comma and white space; `{ ... }` is one item, given without
 * its outer braces. Returns false at the end. An unbalanced brace gives the rest as one item.
 */
bool config_list_next(struct str *rest, struct str *item);

/* "5s" "1h" "2d" with `unit` for a bare number; result in ms. 0, -EINVAL or -ERANGE. */
int config_parse_time(struct str text, char unit, int64_t *ms);

/*
 * The settings of tables of type pgsql, mysql, sqlite and ldap, in alphabetical order; NULL past the last. For a
 * table TYPE:NAME whose name begins with neither / nor . they are parameters: NAME_setting.
 */
const char *config_table_setting(struct str type, size_t i);
bool config_is_table_setting(struct str type, struct str name);

/*
 * The OpenSSL list that a grade stands for (tls_high_cipherlist and its kin). export and low are what
 * medium is, as in Postfix since 3.8.
 */
struct str config_cipher_list(const struct params *params, enum tls_grade grade);
/* tls_eecdh_auto_curves and tls_ffdhe_auto_groups; empty: OpenSSL's. */
struct str config_tls_groups(const struct params *params, struct arena *arena);

/*
 * What the configuration alone can tell: contradictions, dead block lists, doubtful codes, old names,
 * missing directories... Adds to *findings. What needs tables, and whether strangers can relay, is
 * found by the rooms above.
 */
void config_lint(const struct config *c, struct findings *findings);

#endif
