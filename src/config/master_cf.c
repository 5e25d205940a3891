/*
 * master_cf.c - the services (master(5))
 *
 * Postfix starts a process for each line; Forepost has one program, and reads from here where it
 * listens and which delivery transports there are. A line of another kind is not an error: Postfix
 * needs it, and the file may be shared with it.
 */
#include "config/config_private.h"

#include <errno.h>

enum { COLUMNS = MASTER_COLUMNS - 1 }; /* before the command */

enum role {
        ROLE_LISTENS,
        ROLE_DELIVERS,
        ROLE_SUBMITS,  /* takes mail of this machine's users */
        ROLE_INTERNAL, /* part of Postfix itself */
        ROLE_FOREIGN,  /* starts another program */
        ROLE_ABSENT,   /* a server that Forepost does not have */
        ROLE_UNKNOWN,
};

static const struct {
        const char *command;
        enum role inet, unix_domain;
} commands[] = {
        {"smtpd", ROLE_LISTENS, ROLE_INTERNAL},
        {"postscreen", ROLE_LISTENS, ROLE_INTERNAL},
        {"smtp", ROLE_UNKNOWN, ROLE_DELIVERS},
        {"lmtp", ROLE_UNKNOWN, ROLE_DELIVERS},
        {"virtual", ROLE_UNKNOWN, ROLE_DELIVERS},
        {"error", ROLE_UNKNOWN, ROLE_DELIVERS},
        {"discard", ROLE_UNKNOWN, ROLE_DELIVERS},
        {"local", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"pipe", ROLE_UNKNOWN, ROLE_FOREIGN},
        {"spawn", ROLE_FOREIGN, ROLE_FOREIGN},
        {"qmqpd", ROLE_ABSENT, ROLE_ABSENT},
        {"anvil", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"bounce", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"cleanup", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"dnsblog", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"flush", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"nqmgr", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"oqmgr", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"pickup", ROLE_UNKNOWN, ROLE_SUBMITS},
        {"postlogd", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"proxymap", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"qmgr", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"scache", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"showq", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"tlsmgr", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"tlsproxy", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"trivial-rewrite", ROLE_UNKNOWN, ROLE_INTERNAL},
        {"verify", ROLE_UNKNOWN, ROLE_INTERNAL},
};

struct row {
        struct str columns[COLUMNS]; /* name type private unpriv chroot wakeup maxproc */
        struct str command;
        struct str arguments;
        struct place at;
};

/* The next argument: a word, or { text } with its braces. */
static struct str next_argument(struct str *rest)
{
        *rest = str_trim(*rest);
        size_t depth = 0, i = 0;
        bool is_braced = rest->len && rest->ptr[0] == '{';
        for (; i < rest->len; i++) {
                char c = rest->ptr[i];
                if (!depth && (c == ' ' || c == '\t'))
                        break;
                depth += c == '{' && is_braced;
                if (c == '}' && is_braced && --depth == 0) {
                        i++;
                        break;
                }
        }
        struct str argument = str_part(*rest, 0, i);
        *rest = str_tail(*rest, i);
        return argument;
}

bool config_master_argument(struct str *rest, struct str *argument)
{
        *argument = next_argument(rest);
        return !str_is_empty(*argument);
}

const struct master_entry *config_master(const struct config *c)
{
        return c->private->entries;
}

static bool is_in_braces(struct str s)
{
        return s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}';
}

/* Without the braces, if it has them. */
static struct str unbrace(struct str argument)
{
        return is_in_braces(argument) ? str_trim(str_part(argument, 1, argument.len - 2))
                                      : argument;
}

int config_master_override(struct str argument, struct str *name, struct str *value,
                           struct why *why)
{
        size_t value_at;
        const char *cure;
        return setting_split(unbrace(argument), name, value, &value_at, why, &cure);
}

static void add_override(struct config_private *p, struct service_source *s,
                         const struct line_reader *r, struct str argument,
                         struct findings *findings)
{
        argument = unbrace(argument);
        size_t from = (size_t)(argument.ptr - r->text.ptr);
        struct place at = marks_find(&r->marks, from, r->at);
        struct str name, value;
        size_t value_at;
        struct why why;
        const char *cure;
        if (setting_split(argument, &name, &value, &value_at, &why, &cure)) {
                findings_add(findings, SEVERITY_ERROR, "syntax", at,
                             "write -o name=value without blanks, or -o { name = value }",
                             "after -o: %s", why.text);
                return;
        }
        settings_put(&s->overrides, &p->arena, name, value, at, &r->marks, from + value_at,
                     findings);
}

static void read_arguments(struct config_private *p, struct service_source *s,
                           const struct line_reader *r, struct str rest, struct findings *findings)
{
        while (!str_is_empty(rest = str_trim(rest))) {
                struct str argument;
                if (str_starts(rest, STR("-o"))) {
                        rest = str_tail(rest, 2);
                        argument = next_argument(&rest);
                        if (str_is_empty(argument))
                                findings_add(findings, SEVERITY_ERROR, "syntax", r->at,
                                             "write -o name=value", "nothing follows -o");
                        else
                                add_override(p, s, r, argument, findings);
                        continue;
                }
                argument = next_argument(&rest);
                if (str_eq(argument, STR("-v")) || str_eq(argument, STR("-D")))
                        findings_add(findings, SEVERITY_NOTE, "service-argument", r->at, NULL,
                                     "the argument %.*s of service %.*s has no effect",
                                     STR_ARG(argument), STR_ARG(s->service.name));
                else
                        findings_add(
                                findings, SEVERITY_ERROR, "service-argument",
                                marks_find(&r->marks, (size_t)(argument.ptr - r->text.ptr), r->at),
                                "for a value with blanks write -o { name = value }",
                                "service %.*s: \"%.*s\" does not belong to any -o",
                                STR_ARG(s->service.name), STR_ARG(argument));
        }
}

/* "host:port", "[address]:port" or "port". */
static int split_address(struct service *s, struct why *why)
{
        struct str name = s->name;
        if (name.len && name.ptr[0] == '[') {
                ptrdiff_t end = str_find(name, ']');
                if (end < 0 || !str_starts(str_tail(name, (size_t)end), STR("]:")))
                        return why_set(why, -EINVAL, "wanted is [address]:port");
                s->host = str_part(name, 1, (size_t)end - 1);
                s->port = str_tail(name, (size_t)end + 2);
        } else {
                ptrdiff_t colon = str_find_last(name, ':');
                s->host = str_part(name, 0, colon < 0 ? 0 : (size_t)colon);
                s->port = str_tail(name, (size_t)(colon + 1));
                if (str_find(s->host, ':') >= 0)
                        return why_set(why, -EINVAL,
                                       "an IPv6 address stands in brackets: [%.*s]:%.*s",
                                       STR_ARG(s->host), STR_ARG(s->port));
        }
        int64_t number;
        int code = str_to_int64(s->port, 1, 65535, &number);
        if (code == -ERANGE || (s->port.len && code && char_is_digit(s->port.ptr[0])))
                return why_set(why, -ERANGE, "ports go from 1 to 65535");
        if (str_is_empty(s->port))
                return why_set(why, -EINVAL, "the port is missing");
        return 0;
}

static bool is_yes_no_or_dash(struct str s)
{
        return str_eq(s, STR("y")) || str_eq(s, STR("n")) || str_eq(s, STR("-"));
}

static int check_columns(const struct row *row, int *process_limit, struct why *why)
{
        static const char *const types[] = {"inet", "unix", "unix-dgram", "fifo", "pass"};
        static const char *const titles[] = {"private", "unpriv", "chroot"};
        bool is_type = false;
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
                is_type = is_type || str_eq(row->columns[1], str_from(types[i]));
        if (!is_type)
                return why_set(why, -EINVAL, "the type %.*s is none of inet, unix, fifo, pass",
                               STR_ARG(row->columns[1]));
        for (int i = 0; i < 3; i++)
                if (!is_yes_no_or_dash(row->columns[2 + i]))
                        return why_set(why, -EINVAL, "column %s is %.*s: allowed is y, n or -",
                                       titles[i], STR_ARG(row->columns[2 + i]));
        struct str wakeup = row->columns[5], limit = row->columns[6];
        if (str_ends(wakeup, STR("?")))
                wakeup.len--;
        int64_t n = -1;
        if (!str_eq(wakeup, STR("-")) && str_to_int64(wakeup, 0, INT32_MAX, &n))
                return why_set(why, -EINVAL, "column wakeup is %.*s: allowed is a number or -",
                               STR_ARG(row->columns[5]));
        n = -1;
        if (!str_eq(limit, STR("-")) && str_to_int64(limit, 0, INT32_MAX, &n))
                return why_set(why, -EINVAL, "column maxproc is %.*s: allowed is a number or -",
                               STR_ARG(limit));
        *process_limit = (int)n;
        return 0;
}

static enum role find_role(const struct row *row)
{
        bool is_inet = str_eq(row->columns[1], STR("inet"));
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
                if (str_eq(row->command, str_from(commands[i].command)))
                        return is_inet ? commands[i].inet : commands[i].unix_domain;
        return ROLE_UNKNOWN;
}

static struct service_source *find_service(const struct config_private *p, struct str name,
                                           bool is_inet)
{
        for (struct service_source *s = p->services; s; s = s->next)
                if (s->service.is_inet == is_inet && str_eq(s->service.name, name))
                        return s;
        return NULL;
}

static struct service_source *add_service(struct config_private *p)
{
        struct service_source **last = &p->services;
        while (*last)
                last = &(*last)->next;
        struct service_source *s = arena_new(&p->arena, struct service_source);
        settings_init(&s->overrides);
        *last = s;
        p->service_count++;
        return s;
}

/* Field by field: a whole struct service is too large for the stack. */
static void set_service(struct service_source *s, struct str name, bool is_inet, struct str command)
{
        memset(&s->service, 0, sizeof(s->service));
        s->service.name = name;
        s->service.is_inet = is_inet;
        s->service.command = command;
        s->service.process_limit = -1;
}

/*
 * Who submits on this machine is asked nothing, as with Postfix's sendmail: it is authorized_submit_users that
 * may. What master.cf says of pickup comes on top.
 */
static void put_submission_defaults(struct config_private *p, struct service_source *s)
{
        static const char *const values[][2] = {
                {"core_relays", ""},
                {"mynetworks", "127.0.0.1"},
                {"smtpd_client_connection_count_limit", "0"},
                {"smtpd_client_connection_rate_limit", "0"},
                {"smtpd_client_message_rate_limit", "0"},
                {"smtpd_client_recipient_rate_limit", "0"},
                {"smtpd_client_restrictions", ""},
                {"smtpd_command_filter", ""},
                {"smtpd_data_restrictions", ""},
                {"smtpd_delay_reject", "yes"},
                {"smtpd_end_of_data_restrictions", ""},
                {"smtpd_error_sleep_time", "0"},
                {"smtpd_forbid_unauth_pipelining", "no"},
                {"smtpd_forbidden_commands", ""},
                {"smtpd_hard_error_limit", "100000"},
                {"smtpd_helo_required", "no"},
                {"smtpd_helo_restrictions", ""},
                {"smtpd_recipient_limit", "100000"},
                {"smtpd_recipient_restrictions", ""},
                {"smtpd_reject_footer", ""},
                {"smtpd_reject_unlisted_recipient", "no"},
                {"smtpd_reject_unlisted_sender", "no"},
                {"smtpd_relay_restrictions", "permit_mynetworks, reject_unauth_destination"},
                {"smtpd_sender_restrictions", ""},
                {"smtpd_tls_security_level", "none"},
                {"smtpd_tls_wrappermode", "no"},
                {"smtpd_upstream_proxy_protocol", ""},
                {"strict_rfc821_envelopes", "no"},
        };
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
                settings_put(&s->overrides, &p->arena, str_from(values[i][0]),
                             str_from(values[i][1]), (struct place){0}, NULL, 0, NULL);
}

static void read_service(struct config_private *p, const struct row *row, bool is_inet,
                         int process_limit, const struct line_reader *r, struct findings *findings)
{
        struct service_source *s = find_service(p, row->columns[0], is_inet);
        if (s) {
                findings_add(findings, SEVERITY_WARNING, "service-twice", row->at,
                             "remove one of the two",
                             "service %.*s is here and in line %d; this one, the last, counts",
                             STR_ARG(s->service.name), s->service.at.line);
                settings_done(&s->overrides);
        } else if (p->service_count == SERVICES_MAX) {
                findings_add(findings, SEVERITY_ERROR, "too-many-services", row->at,
                             "remove services that are not used", "more than %d services",
                             SERVICES_MAX);
                return;
        } else {
                s = add_service(p);
        }
        set_service(s, arena_str(&p->arena, row->columns[0]), is_inet,
                    arena_str(&p->arena, row->command));
        s->service.process_limit = process_limit;
        s->service.at = row->at;
        struct why why;
        if (is_inet && split_address(&s->service, &why))
                findings_add(findings, SEVERITY_ERROR, "service-address", row->at,
                             "write 25, smtp, 192.0.2.1:25 or [2001:db8::1]:25", "service %.*s: %s",
                             STR_ARG(s->service.name), why.text);
        if (str_eq(s->service.command, STR("pickup")))
                put_submission_defaults(p, s);
        read_arguments(p, s, r, row->arguments, findings);
}

/* In Postfix the smtpd to which postscreen passes the clients that it likes. */
static void read_passed(struct config_private *p, const struct row *row,
                        const struct line_reader *r, struct findings *findings)
{
        if (p->passed)
                settings_done(&p->passed->overrides);
        p->passed = arena_new(&p->arena, struct service_source);
        settings_init(&p->passed->overrides);
        set_service(p->passed, arena_str(&p->arena, row->columns[0]), false,
                    arena_str(&p->arena, row->command));
        read_arguments(p, p->passed, r, row->arguments, findings);
}

/* Here the two are one listener: what either line says holds, and postscreen's own comes first. */
static void join_passed(struct config_private *p)
{
        for (struct service_source *s = p->services; s && p->passed; s = s->next) {
                if (!str_eq(s->service.command, STR("postscreen")))
                        continue;
                for (const struct setting *o = p->passed->overrides.first; o; o = o->next)
                        if (!settings_find(&s->overrides, o->name))
                                settings_put(&s->overrides, &p->arena, o->name, o->raw, o->at,
                                             &o->marks, 0, NULL);
        }
}

static void read_row(struct config_private *p, const struct row *row, const struct line_reader *r,
                     struct findings *findings)
{
        int process_limit = -1;
        struct why why;
        if (check_columns(row, &process_limit, &why)) {
                findings_add(findings, SEVERITY_ERROR, "service-column", row->at, NULL,
                             "service %.*s: %s", STR_ARG(row->columns[0]), why.text);
                return;
        }
        names_add(&p->service_names, arena_str(&p->arena, row->columns[0]));
        bool is_inet = str_eq(row->columns[1], STR("inet"));
        switch (find_role(row)) {
        case ROLE_LISTENS:
                if (str_eq(row->command, STR("postscreen"))) {
                        findings_add(
                                findings, SEVERITY_NOTE, "postscreen", row->at, NULL,
                                "service %.*s makes postscreen's tests in the session itself: nobody is "
                                "asked to connect twice",
                                STR_ARG(row->columns[0]));
                        process_limit = -1; /* its 1 is one process for all, not one session */
                }
                read_service(p, row, is_inet, process_limit, r, findings);
                break;
        case ROLE_SUBMITS: /* its 1 is one process for all */
                read_service(p, row, is_inet, -1, r, findings);
                break;
        case ROLE_DELIVERS:
                read_service(p, row, is_inet, process_limit, r, findings);
                break;
        case ROLE_INTERNAL:
                if (str_eq(row->columns[1], STR("pass")) && str_eq(row->command, STR("smtpd")))
                        read_passed(p, row, r, findings);
                break;
        case ROLE_FOREIGN:
                findings_add(findings, SEVERITY_NOTE, "foreign-program", row->at,
                             str_eq(row->command, STR("spawn"))
                                     ? "run it by itself, and name its socket where it is asked"
                                     : "route no mail to it",
                             "service %.*s is not here, because Forepost starts no other programs "
                             "(%.*s)",
                             STR_ARG(row->columns[0]), STR_ARG(row->command));
                break;
        case ROLE_ABSENT:
                findings_add(findings, SEVERITY_WARNING, "absent-server", row->at, NULL,
                             "service %.*s is not here: Forepost has no %.*s",
                             STR_ARG(row->columns[0]), STR_ARG(row->command));
                break;
        case ROLE_UNKNOWN:
                findings_add(findings, SEVERITY_ERROR, "unknown-command", row->at,
                             "inet services run smtpd; unix services smtp, lmtp, virtual, error "
                             "or discard",
                             "service %.*s: there is no %.*s for the type %.*s",
                             STR_ARG(row->columns[0]), STR_ARG(row->command),
                             STR_ARG(row->columns[1]));
                break;
        }
}

/* Kept for those who want to see the file as it is. */
static void keep_entry(struct config_private *p, const struct row *row)
{
        struct master_entry *e = arena_new(&p->arena, struct master_entry);
        for (int i = 0; i < COLUMNS; i++)
                e->columns[i] = arena_str(&p->arena, row->columns[i]);
        e->columns[COLUMNS] = arena_str(&p->arena, row->command);
        e->arguments = arena_str(&p->arena, str_trim(row->arguments));
        e->at = row->at;
        e->next = NULL;
        if (p->last_entry)
                p->last_entry->next = e;
        else
                p->entries = e;
        p->last_entry = e;
}

void master_cf_read(struct config_private *p, struct str text, struct findings *findings)
{
        struct line_reader reader;
        line_reader_init(&reader, text, p->master_file, findings);
        while (line_reader_next(&reader)) {
                struct row row = {.arguments = buf_str(&reader.text), .at = reader.at};
                int n = 0;
                while (n < COLUMNS && str_next_word(&row.arguments, " \t", &row.columns[n]))
                        n++;
                if (n < COLUMNS || !str_next_word(&row.arguments, " \t", &row.command))
                        findings_add(findings, SEVERITY_ERROR, "syntax", reader.at,
                                     "name type private unpriv chroot wakeup maxproc command: "
                                     "write - for what does not matter",
                                     "a service has eight columns");
                else {
                        keep_entry(p, &row);
                        read_row(p, &row, &reader, findings);
                }
        }
        join_passed(p);
        line_reader_done(&reader);
}

void master_cf_add_stock(struct config_private *p, bool has_master_cf)
{
        static const struct {
                const char *name, *command;
        } stock[] = {{"smtp", "smtp"},       {"relay", "smtp"},  {"lmtp", "lmtp"},
                     {"virtual", "virtual"}, {"error", "error"}, {"retry", "error"},
                     {"discard", "discard"}};
        if (!has_master_cf) {
                struct service_source *listener = add_service(p);
                set_service(listener, STR("smtp"), true, STR("smtpd"));
                listener->service.port = STR("smtp");
        }
        for (size_t i = 0; i < sizeof(stock) / sizeof(stock[0]); i++) {
                struct str name = str_from(stock[i].name);
                names_add(&p->service_names, name);
                if (!find_service(p, name, false))
                        set_service(add_service(p), name, false, str_from(stock[i].command));
        }
        for (const struct service_source *s = p->services; s; s = s->next)
                if (str_eq(s->service.command, STR("pickup")))
                        return;
        struct service_source *pickup = add_service(p);
        set_service(pickup, STR("pickup"), false, STR("pickup"));
        put_submission_defaults(p, pickup);
}
