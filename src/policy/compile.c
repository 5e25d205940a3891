/*
 * compile.c - from the text of a restriction list to steps
 *
 *      list        = [ item ] *( separator item )        separator: comma, white space
 *      item        = restriction [ argument ] / type:table / class / "{" item "}"
 *
 * A bare type:table is the list's own access check. Compiled once at load; restriction lists that
 * stand in an access table as its action are compiled when they are met, and cannot open tables
 * then.
 */
#include "config/dead_lists.h"
#include "policy/policy_private.h"
#include "policy/service.h"

#include <errno.h>
#include <stdarg.h>

struct compiler {
        struct policy *p;
        struct arena *arena;
        struct findings *findings; /* NULL: an access table's action */
        const char *parameter;     /* that holds the list, or the class's name */
        /* what a bare type:table stands for; NULL: nothing */
        const struct restriction *bare_table;
        struct str source; /* of an access table's action */
        bool is_warning;   /* the next step comes after warn_if_reject */
        struct step_list *out;
        struct why *why; /* the first error */
};

static const struct {
        enum list_index index;
        const char *parameter;
        const char *bare_table; /* NULL: Postfix wants to be told which */
} lists[LIST_COUNT] = {
        {LIST_CLIENT, "smtpd_client_restrictions", "check_client_access"},
        {LIST_HELO, "smtpd_helo_restrictions", "check_helo_access"},
        {LIST_SENDER, "smtpd_sender_restrictions", "check_sender_access"},
        {LIST_RELAY, "smtpd_relay_restrictions", "check_recipient_access"},
        {LIST_RECIPIENT, "smtpd_recipient_restrictions", "check_recipient_access"},
        {LIST_DATA, "smtpd_data_restrictions", NULL},
        {LIST_END_OF_DATA, "smtpd_end_of_data_restrictions", NULL},
        {LIST_ETRN, "smtpd_etrn_restrictions", "check_etrn_access"},
};

static struct str list_text(const struct params *params, enum list_index index)
{
        switch (index) {
        case LIST_CLIENT:
                return params->smtpd_client_restrictions;
        case LIST_HELO:
                return params->smtpd_helo_restrictions;
        case LIST_SENDER:
                return params->smtpd_sender_restrictions;
        case LIST_RELAY:
                return params->smtpd_relay_restrictions;
        case LIST_RECIPIENT:
                return params->smtpd_recipient_restrictions;
        case LIST_DATA:
                return params->smtpd_data_restrictions;
        case LIST_END_OF_DATA:
                return params->smtpd_end_of_data_restrictions;
        case LIST_ETRN:
                return params->smtpd_etrn_restrictions;
        case LIST_COUNT:
                break;
        }
        return (struct str){0};
}

/* ---- items ---- */

static bool is_separator(char c)
{
        return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',';
}

bool policy_item_next(struct str *rest, struct str *item)
{
        size_t start = 0;
        while (start < rest->len && is_separator(rest->ptr[start]))
                start++;
        size_t end = start;
        int depth = 0;
        for (; end < rest->len; end++) {
                char c = rest->ptr[end];
                if (c == '{')
                        depth++;
                else if (c == '}' && depth > 0)
                        depth--;
                else if (depth == 0 && is_separator(c))
                        break;
        }
        *item = str_part(*rest, start, end - start);
        *rest = str_tail(*rest, end);
        return item->len > 0;
}

/* ---- what is wrong ---- */

static struct place item_place(const struct compiler *c, struct str item)
{
        return c->out->at.line ? policy_place(c->p, c->parameter, item) : c->out->at;
}

static void fail(struct compiler *c, const char *code, struct str item, const char *cure,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static void fail(struct compiler *c, const char *code, struct str item, const char *cure,
                 const char *format, ...)
{
        char text[400];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (c->findings)
                findings_add(c->findings, SEVERITY_ERROR, code, item_place(c, item), cure, "%s: %s",
                             c->parameter, text);
        if (c->why && !c->out->is_broken)
                why_set(c->why, -EINVAL, "%s", text);
        c->out->is_broken = true;
}

static void tell(struct compiler *c, enum severity severity, const char *code, struct str item,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static void tell(struct compiler *c, enum severity severity, const char *code, struct str item,
                 const char *format, ...)
{
        struct place at = item_place(c, item);
        /* nobody wants to be told what a default contains */
        if (!c->findings || (severity == SEVERITY_NOTE && !at.line))
                return;
        char text[400];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        findings_add(c->findings, severity, code, at, NULL, "%s: %s", c->parameter, text);
}

/* ---- steps ---- */

/* "main.cf:21 check_client_access hash:/etc/access"; without the directory of main.cf */
static struct str step_source(const struct compiler *c, struct str item, struct str name,
                              struct str argument)
{
        /* a list's name may have a key in it, which no log shows */
        argument = list_domain_shown(argument, c->arena);
        const char *blank = argument.len ? " " : "";
        if (!c->findings)
                return arena_printf(c->arena, "%.*s: %.*s%s%.*s", STR_ARG(c->source), STR_ARG(name),
                                    blank, STR_ARG(argument));
        struct place at = item_place(c, item);
        if (!at.line)
                return arena_printf(c->arena, "%s %.*s%s%.*s", c->parameter, STR_ARG(name), blank,
                                    STR_ARG(argument));
        struct str words =
                arena_printf(c->arena, "%.*s%s%.*s", STR_ARG(name), blank, STR_ARG(argument));
        return policy_rule_name(at, words, c->arena);
}

static struct dnsbl_list *find_list(struct compiler *c, const struct restriction *restriction,
                                    struct str item, struct str argument,
                                    const struct dnsbl_site **site)
{
        struct dnsbl_site *parsed = arena_new(c->arena, struct dnsbl_site);
        struct why why;
        if (dnsbl_site_parse(argument, false, parsed, &why) < 0) {
                fail(c, "bad-dnsbl", item,
                     "write a list's domain, as in list.example=127.0.0.[2..11]", "%s: %s",
                     restriction->name, why.text);
                return NULL;
        }
        enum dnsbl_kind kind = restriction->list_subject == LIST_OF_ADDRESSES ? DNSBL_OF_ADDRESSES
                                                                              : DNSBL_OF_NAMES;
        struct dnsbl_list *list =
                c->findings ? policy_dnsbl(c->p, parsed->domain, kind)
                            : dnsbl_list_pin(parsed->domain, kind, &c->p->dnsbl_rules);
        if (!list)
                fail(c, "too-many-dnsbl", item, NULL, "more than %d lists in the DNS",
                     (int)DNSBL_LISTS_MAX);
        *site = parsed;
        return list;
}

static struct step *add_step(struct compiler *c, const struct restriction *restriction,
                             struct str item, struct str argument)
{
        struct step *step = &c->out->steps[c->out->count++];
        bool is_class = restriction == &restriction_of_class;
        struct str name = is_class ? item : str_from(restriction->name);
        *step = (struct step){.restriction = restriction,
                              .argument = argument,
                              .is_warning = c->is_warning,
                              .at = item_place(c, item),
                              .source = step_source(c, item, name, argument)};
        c->is_warning = false;
        return step;
}

static struct table *open_table(struct compiler *c, const struct restriction *restriction,
                                struct str spec)
{
        struct why why;
        if (!c->findings) {
                fail(c, "", spec, NULL,
                     "%s: an access table cannot name a table that main.cf does "
                     "not; make a restriction class of it",
                     restriction->name);
                return NULL;
        }
        struct table *table =
                table_open(c->p->tables, spec, item_place(c, spec), c->findings, &why);
        if (!table)
                fail(c, "bad-table", spec, NULL, "%s: %s", restriction->name, why.text);
        return table;
}

static struct table *open_certificate_table(struct compiler *c,
                                            const struct restriction *restriction,
                                            struct str argument, struct certificate_search *search)
{
        struct why why;
        if (certificate_search_parse(argument, search, &why) == 0)
                return open_table(c, restriction, search->table);
        fail(c, "bad-argument", argument,
             "write { type:table, { search_order = cert_fingerprint } }", "%s: %s",
             restriction->name, why.text);
        return NULL;
}

/* Takes the argument off the front of *rest. False when it is missing or wrong. */
static bool take_argument(struct compiler *c, const struct restriction *restriction,
                          struct str name, struct str *rest, struct str *argument, int64_t *time_ms)
{
        *argument = (struct str){"", 0};
        if (restriction->argument == ARGUMENT_NONE)
                return true;
        struct str before = *rest;
        bool has_one = policy_item_next(rest, argument);
        switch (restriction->argument) {
        case ARGUMENT_NONE:
                break;
        case ARGUMENT_TABLE:
                if (has_one && str_find(*argument, ':') > 0)
                        return true;
                *rest = before;
                fail(c, "missing-argument", name, "write it as type:table, as in hash:/etc/access",
                     "%s needs a table after it%s%.*s", restriction->name, has_one ? ", not " : "",
                     STR_ARG(*argument));
                return false;
        case ARGUMENT_CERTIFICATE_TABLE:
                if (has_one && (argument->ptr[0] == '{' || str_find(*argument, ':') > 0))
                        return true;
                *rest = before;
                fail(c, "missing-argument", name,
                     "write it as type:table, or as { type:table, { search_order = ... } }",
                     "%s needs a table after it", restriction->name);
                return false;
        case ARGUMENT_WORD:
        case ARGUMENT_LIST:
                if (has_one)
                        return true;
                fail(c, "missing-argument", name, NULL, "%s needs a word after it",
                     restriction->name);
                return false;
        case ARGUMENT_SERVICE:
                if (has_one)
                        return true;
                fail(c, "missing-argument", name, "write inet:host:port or unix:path",
                     "%s needs a policy server after it", restriction->name);
                return false;
        case ARGUMENT_TIME:
                if (has_one && config_parse_time(*argument, 's', time_ms) == 0 && *time_ms >= 0)
                        return true;
                fail(c, "missing-argument", name, "write seconds, as in sleep 1",
                     "%s needs a time after it", restriction->name);
                return false;
        }
        return true;
}

/* Is it a socket of Postfix's, behind which spawn(8) would start the server? */
static bool is_spawned(const struct compiler *c, struct str path)
{
        struct str queue = c->p->params->queue_directory;
        struct str name = str_starts(path, queue) ? str_tail(path, queue.len) : STR("");
        if (str_starts(name, STR("/private/")))
                name = str_tail(name, 9);
        else if (str_starts(name, STR("/public/")))
                name = str_tail(name, 8);
        else
                return false;
        for (const struct master_entry *e = config_master(c->p->config); e; e = e->next)
                if (str_eq(e->columns[0], name) && str_eq(e->columns[1], STR("unix")) &&
                    str_eq(e->columns[MASTER_COLUMNS - 1], STR("spawn")))
                        return true;
        return false;
}

static const struct policy_service *parse_service(struct compiler *c, struct str argument)
{
        struct policy_service *service = arena_new(c->arena, struct policy_service);
        struct why why;
        if (policy_service_parse(argument, c->p->params, c->arena, service, &why) < 0) {
                fail(c, "bad-policy-service", argument, NULL, "%s", why.text);
                return NULL;
        }
        if (is_spawned(c, service->endpoint.path)) {
                fail(c, "policy-service-spawned", argument,
                     "for SPF write reject_spf_fail; else run it by itself, and name its socket",
                     "%.*s is started by spawn(8), which is not here: all mail would wait for it",
                     STR_ARG(service->endpoint.text));
                return NULL;
        }
        return service;
}

static void compile_restriction(struct compiler *c, const struct restriction *restriction,
                                struct str name, struct str *rest)
{
        struct str argument;
        int64_t time_ms = 0;
        if (!take_argument(c, restriction, name, rest, &argument, &time_ms))
                return;
        struct table *table = NULL;
        const struct dnsbl_site *site = NULL;
        struct dnsbl_list *dnsbl = NULL;
        if (restriction->argument == ARGUMENT_TABLE &&
            !(table = open_table(c, restriction, argument)))
                return;
        struct certificate_search search;
        if (restriction->argument == ARGUMENT_CERTIFICATE_TABLE &&
            !(table = open_certificate_table(c, restriction, argument, &search)))
                return;
        if (restriction->argument == ARGUMENT_LIST &&
            !(dnsbl = find_list(c, restriction, name, argument, &site)))
                return;
        const struct policy_service *service = NULL;
        if (restriction->argument == ARGUMENT_SERVICE && !(service = parse_service(c, argument)))
                return;
        switch (restriction->kind) {
        case KIND_READY: {
                struct step *step = add_step(c, restriction, name, argument);
                step->table = table;
                if (restriction->argument == ARGUMENT_CERTIFICATE_TABLE)
                        step->certificate_search = search;
                step->site = site;
                step->dnsbl = dnsbl;
                step->time_ms = time_ms;
                step->service = service;
                return;
        }
        case KIND_WARN:
                c->is_warning = true;
                return;
        case KIND_INERT:
                tell(c, SEVERITY_NOTE, "inert-restriction", name, "%s has no effect: %s",
                     restriction->name, restriction->missed);
                break;
        case KIND_NOT_YET:
                fail(c, "restriction-not-yet", name, NULL, "%s is not available: %s",
                     restriction->name, restriction->missed);
                break;
        }
        c->is_warning = false;
}

static void compile_item(struct compiler *c, struct str item, struct str *rest)
{
        if (c->out->count >= LIST_STEPS_MAX) {
                fail(c, "too-many-restrictions", item, NULL, "more than %d restrictions",
                     (int)LIST_STEPS_MAX);
                *rest = (struct str){"", 0};
                return;
        }
        struct step_list *class = map_find(&c->p->classes, item);
        if (class) {
                add_step(c, &restriction_of_class, item, (struct str){"", 0})->list = class;
                return;
        }
        bool is_old = false;
        const struct restriction *restriction = NULL;
        if (str_find(item, ':') >= 0) {
                if (!c->bare_table) {
                        fail(c, "which-access", item, NULL,
                             "write check_client_access, check_helo_access, check_sender_access or "
                             "check_recipient_access before %.*s",
                             STR_ARG(item));
                        return;
                }
                struct str again = item;
                compile_restriction(c, c->bare_table, item, &again);
                return;
        }
        restriction = restriction_find(item, &is_old);
        if (!restriction) {
                struct str nearest = restriction_nearest(item, &c->p->classes);
                fail(c, "unknown-restriction", item, NULL, "unknown restriction \"%.*s\"%s%.*s%s",
                     STR_ARG(item), nearest.len ? "; did you mean " : "", STR_ARG(nearest),
                     nearest.len ? "?" : "");
                return;
        }
        struct place at = item_place(c, item);
        if (is_old && c->findings &&
            at.line) { /* nobody wants to be told what a default contains */
                char cure[100];
                snprintf(cure, sizeof(cure), "write %s", restriction->name);
                findings_add(c->findings, SEVERITY_NOTE, "old-restriction-name", at, cure,
                             "%s: %.*s is now called %s", c->parameter, STR_ARG(item),
                             restriction->name);
        }
        compile_restriction(c, restriction, item, rest);
}

/* "{ restriction argument }", one of them, is as good as without braces. */
static void compile_braced(struct compiler *c, struct str item)
{
        struct str inner =
                str_trim(str_part(item, 1, item.len - (str_ends(item, STR("}")) ? 2 : 1)));
        struct str first;
        size_t before = c->out->count;
        if (policy_item_next(&inner, &first) && first.ptr[0] != '{')
                compile_item(c, first, &inner);
        struct str more;
        if (policy_item_next(&inner, &more) && !c->out->is_broken) {
                c->out->count = before;
                fail(c, "braces-not-yet", item, "write one restriction, without braces",
                     "{ ... } with attributes is not available");
        }
}

static size_t count_items(struct str text)
{
        size_t count = 0;
        struct str item;
        while (policy_item_next(&text, &item))
                count++;
        return count;
}

static void compile_list(struct compiler *c, struct str text)
{
        size_t room = count_items(text);
        if (room > LIST_STEPS_MAX)
                room = LIST_STEPS_MAX;
        c->out->steps = arena_array(c->arena, struct step, room + 1);
        struct str item;
        while (policy_item_next(&text, &item)) {
                if (item.ptr[0] == '{')
                        compile_braced(c, item);
                else
                        compile_item(c, item, &text);
        }
        if (c->is_warning)
                tell(c, SEVERITY_WARNING, "idle-warn-if-reject", item,
                     "warn_if_reject at the end has nothing to warn of");
}

/* ---- classes ---- */

enum { MARK_NEW, MARK_ACTIVE, MARK_DONE };

static bool class_has_loop(struct step_list *class)
{
        if (class->mark == MARK_ACTIVE)
                return true;
        if (class->mark == MARK_DONE)
                return false;
        class->mark = MARK_ACTIVE;
        for (size_t i = 0; i < class->count; i++) {
                const struct step *step = &class->steps[i];
                if (step->list && class_has_loop(step->list))
                        return true;
        }
        class->mark = MARK_DONE;
        return false;
}

static void declare_classes(struct policy *p, struct findings *findings)
{
        struct str rest = p->params->smtpd_restriction_classes;
        struct str item;
        p->class_list = arena_array(&p->arena, struct step_list *, count_items(rest) + 1);
        while (policy_item_next(&rest, &item)) {
                bool is_old;
                struct place at = policy_place(p, "smtpd_restriction_classes", item);
                if (restriction_find(item, &is_old)) {
                        findings_add(findings, SEVERITY_ERROR, "bad-class", at,
                                     "give the class another name",
                                     "smtpd_restriction_classes: %.*s is a restriction already",
                                     STR_ARG(item));
                        continue;
                }
                if (map_find(&p->classes, item))
                        continue;
                struct step_list *class = arena_new(&p->arena, struct step_list);
                class->name = arena_str(&p->arena, item);
                class->at = config_place(p->config, class->name.ptr);
                map_put(&p->classes, class->name, class);
                p->class_list[p->class_count++] = class;
        }
}

static void compile_class(struct policy *p, struct step_list *class, struct findings *findings)
{
        struct str text;
        if (!config_text(p->config, class->name, CONFIG_EFFECTIVE_EXPANDED, &p->arena, &text)) {
                findings_add(findings, SEVERITY_ERROR, "bad-class",
                             policy_place(p, "smtpd_restriction_classes", class->name),
                             "set it in main.cf, as NAME = restrictions",
                             "smtpd_restriction_classes names %.*s, which is not set",
                             STR_ARG(class->name));
                return;
        }
        struct compiler c = {.p = p,
                             .arena = &p->arena,
                             .findings = findings,
                             .parameter = class->name.ptr,
                             .bare_table = &restriction_of_table,
                             .out = class};
        compile_list(&c, text);
}

static void compile_classes(struct policy *p, struct findings *findings)
{
        for (size_t i = 0; i < p->class_count; i++)
                compile_class(p, p->class_list[i], findings);
        for (size_t i = 0; i < p->class_count; i++) {
                struct step_list *class = p->class_list[i];
                for (size_t k = 0; k < p->class_count; k++)
                        p->class_list[k]->mark = MARK_NEW;
                if (!class_has_loop(class))
                        continue;
                findings_add(findings, SEVERITY_ERROR, "class-loop", class->at, NULL,
                             "the restriction class %.*s contains itself", STR_ARG(class->name));
                class->count = 0;
        }
}

void policy_compile(struct policy *p, struct findings *findings)
{
        declare_classes(p, findings);
        compile_classes(p, findings);
        for (size_t i = 0; i < LIST_COUNT; i++) {
                struct step_list *list = &p->lists[i];
                struct str text = list_text(p->params, lists[i].index);
                list->name = str_from(lists[i].parameter);
                list->at = policy_place(p, lists[i].parameter, text);
                const struct restriction *bare_table = NULL;
                bool is_old;
                if (lists[i].bare_table)
                        bare_table = restriction_find(str_from(lists[i].bare_table), &is_old);
                struct compiler c = {.p = p,
                                     .arena = &p->arena,
                                     .findings = findings,
                                     .parameter = lists[i].parameter,
                                     .bare_table = bare_table,
                                     .out = list};
                compile_list(&c, text);
        }
}

int policy_compile_action(struct policy *p, struct str text, struct str source, struct arena *arena,
                          struct step_list *out, struct why *why)
{
        *out = (struct step_list){.name = source};
        struct compiler c = {.p = p,
                             .arena = arena,
                             .parameter = "",
                             .bare_table = &restriction_of_table,
                             .source = source,
                             .out = out,
                             .why = why};
        compile_list(&c, text);
        return out->is_broken ? -EINVAL : 0;
}
