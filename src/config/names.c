/*
 * names.c - which names may be set
 *
 * Known: those of the two tables; NAME_destination_... of a service. Accepted, as in Postfix: a name
 * that a user made up, when something that counts refers to it by $name, a restriction class, and the
 * settings of a table on a server (pgsql:name: name_hosts...). NAME_destination_... of a transport that is not there
 * is let by with a warning. All else is a mistake, most often of spelling.
 */
#include "config/config_private.h"

#include "base/check.h"

enum { SUGGESTIONS_MAX = 50, SHOWN_BYTES_MAX = 120 };

void names_add(struct names *n, struct str name)
{
        if (n->count == n->room) {
                n->room = n->room ? n->room * 2 : 32;
                n->list = realloc(n->list, n->room * sizeof(*n->list));
                check(n->list);
        }
        n->list[n->count++] = name;
}

void names_done(struct names *n)
{
        free(n->list);
        *n = (struct names){0};
}

const char *names_service_reference(const struct config_private *p, struct str name)
{
        for (size_t i = 0; i < p->service_names.count; i++) {
                const char *reference = service_reference(name, p->service_names.list[i]);
                if (reference)
                        return reference;
        }
        return NULL;
}

/* The declaration of a name, or the one that stands behind NAME_destination_... of a service. */
static const struct declaration *find_declaration(const struct config_private *p, struct str name)
{
        const struct declaration *d = declaration_find(name);
        for (size_t i = 0; !d && i < p->service_names.count; i++)
                d = declaration_find_service(name, p->service_names.list[i]);
        return d;
}

static bool is_known(const struct config_private *p, struct str name)
{
        return declaration_find(name) || names_service_reference(p, name);
}

/* The walk along references, from what is known to what is made up. */
struct walk {
        struct config_private *private;
        struct findings *findings;
        struct map seen;
        struct names waiting;
        const struct setting *from; /* whose text is looked at */
        const struct settings *overrides;
        bool is_late; /* its names are for a later time */
};

static const char *closest(const char *nearest, char *out, size_t room)
{
        if (!nearest)
                return NULL;
        snprintf(out, room, "did you mean %s?", nearest);
        return out;
}

static void meet_name(void *context, struct str name)
{
        struct walk *w = context;
        struct scope scope = {.private = w->private, .overrides = w->overrides};
        struct setting found;
        static const struct str service_name = STR_INIT("service_name");
        w->private->is_service_name_used |= str_eq(name, service_name);
        if (!w->is_late && !scope_find(&scope, name, &found)) {
                char cure[128];
                size_t offset = (size_t)(name.ptr - w->from->raw.ptr);
                findings_add(w->findings, SEVERITY_WARNING, "undefined-name",
                             marks_find(&w->from->marks, offset, w->from->at),
                             w->seen.count < SUGGESTIONS_MAX
                                     ? closest(declaration_nearest(name), cure, sizeof(cure))
                                     : NULL,
                             "$%.*s is not set anywhere, and stands for nothing", STR_ARG(name));
        }
        if (map_find(&w->seen, name))
                return;
        map_put(&w->seen, name, w);
        names_add(&w->waiting, name);
}

/* A table on a server, named without a path: its settings are parameters. */
static void meet_tables(struct walk *w, struct str text)
{
        struct str type, name;
        while (table_settings_next(&text, &type, &name)) {
                const char *setting;
                for (size_t i = 0; (setting = config_table_setting(type, i)); i++) {
                        struct str parameter =
                                arena_printf(&w->private->arena, "%.*s_%s", STR_ARG(name), setting);
                        if (!map_put(&w->seen, parameter, w))
                                names_add(&w->waiting, parameter);
                }
        }
}

static void look_at(struct walk *w, const struct setting *setting, const struct settings *overrides)
{
        const struct declaration *d = declaration_find(setting->name);
        w->from = setting;
        w->overrides = overrides;
        w->is_late = d && d->kind == KIND_RAW;
        expand_names(setting->raw, meet_name, w);
        meet_tables(w, setting->raw);
}

static void start_from(struct walk *w, const struct settings *settings,
                       const struct settings *overrides)
{
        for (const struct setting *s = settings->first; s; s = s->next)
                if (is_known(w->private, s->name))
                        look_at(w, s, overrides);
}

static void follow(struct walk *w, const struct settings *settings, struct str name,
                   const struct settings *overrides)
{
        const struct setting *s = settings_find(settings, name);
        if (s && !is_known(w->private, name))
                look_at(w, s, overrides);
}

/* Names of restriction classes are used without a dollar sign. */
static void add_classes(struct walk *w)
{
        struct scope scope = {.private = w->private};
        struct setting found;
        struct buf text;
        struct place at;
        struct why why;
        buf_init(&text, VALUE_BYTES_MAX);
        if (scope_find(&scope, STR("smtpd_restriction_classes"), &found) &&
            expand(&scope, &found, &text, NULL, &at, &why) == 0) {
                struct str rest = buf_str(&text), item;
                while (config_list_next(&rest, &item)) {
                        struct str name = arena_str(&w->private->arena, item);
                        if (!map_put(&w->seen, name, w))
                                names_add(&w->waiting, name);
                }
        }
        buf_done(&text);
}

static void note_made_up(struct walk *w, const struct settings *settings)
{
        for (const struct setting *s = settings->first; s; s = s->next)
                if (!is_known(w->private, s->name) && map_find(&w->seen, s->name))
                        names_add(&w->private->user_names, s->name);
}

/* NAME_destination_... that a transport left behind when it went from master.cf: it says nothing about anybody's mail. */
static bool is_of_some_transport(struct str name)
{
        static const char *const marks[] = {"_destination_", "_transport_rate_delay",
                                            "_time_limit"};
        const char *suffix;
        for (size_t i = 0; (suffix = service_suffix(i)); i++)
                for (size_t k = 0; k < sizeof(marks) / sizeof(marks[0]); k++)
                        if (strstr(suffix, marks[k]) && str_ends(name, str_from(suffix)))
                                return true;
        return false;
}

static void complain(struct walk *w, const struct settings *settings)
{
        unsigned count = 0;
        for (const struct setting *s = settings->first; s; s = s->next) {
                if (is_known(w->private, s->name) || map_find(&w->seen, s->name))
                        continue;
                char cure[128];
                const char *nearest =
                        count++ < SUGGESTIONS_MAX ? declaration_nearest(s->name) : NULL;
                const char *text = closest(nearest, cure, sizeof(cure));
                struct str shown = str_part(s->name, 0, SHOWN_BYTES_MAX);
                if (!nearest && is_of_some_transport(s->name))
                        findings_add(w->findings, SEVERITY_WARNING, "unknown-transport", s->at,
                                     "remove the line, or have the transport in master.cf",
                                     "%.*s: there is no such transport", STR_ARG(shown));
                else
                        findings_add(w->findings, SEVERITY_ERROR, "unknown-parameter", s->at,
                                     text ? text : "remove the line", "unknown parameter %.*s",
                                     STR_ARG(shown));
        }
}

void names_check(struct config_private *p, struct findings *findings)
{
        struct walk w = {.private = p, .findings = findings};
        map_init(&w.seen);
        start_from(&w, &p->main, NULL);
        start_from(&w, &p->commands, NULL);
        for (const struct service_source *s = p->services; s; s = s->next)
                start_from(&w, &s->overrides, &s->overrides);
        add_classes(&w);
        while (w.waiting.count) {
                struct str name = w.waiting.list[--w.waiting.count];
                follow(&w, &p->main, name, NULL);
                follow(&w, &p->commands, name, NULL);
                for (const struct service_source *s = p->services; s; s = s->next)
                        follow(&w, &s->overrides, name, &s->overrides);
        }
        note_made_up(&w, &p->main);
        note_made_up(&w, &p->commands);
        complain(&w, &p->main);
        complain(&w, &p->commands);
        for (const struct service_source *s = p->services; s; s = s->next)
                complain(&w, &s->overrides);
        map_done(&w.seen);
        names_done(&w.waiting);
}

/* "60" is "60s" */
static bool is_same_time(struct str set, struct str initial)
{
        return initial.len == set.len + 1 && set.len && str_starts(initial, set) &&
               char_is_digit(set.ptr[set.len - 1]) && !char_is_digit(initial.ptr[set.len]);
}

/* Set to what it is anyway: nothing to say. */
static bool is_as_default(const struct scope *scope, const struct setting *set,
                          const struct declaration *d)
{
        struct setting initial = {.raw = str_from(d->initial)};
        struct buf one, two;
        struct place at;
        struct why why;
        buf_init(&one, VALUE_BYTES_MAX);
        buf_init(&two, VALUE_BYTES_MAX);
        bool is_same = expand(scope, set, &one, NULL, &at, &why) == 0 &&
                       expand(scope, &initial, &two, NULL, &at, &why) == 0 &&
                       (str_eq_nocase(str_trim(buf_str(&one)), str_trim(buf_str(&two))) ||
                        is_same_time(str_trim(buf_str(&one)), str_trim(buf_str(&two))));
        buf_done(&one);
        buf_done(&two);
        return is_same;
}

static void check_noted(const struct config_private *p, const struct settings *settings,
                        const struct settings *overrides, struct findings *findings)
{
        struct scope scope = {.private = p, .overrides = overrides};
        for (const struct setting *s = settings->first; s; s = s->next) {
                const struct declaration *d = find_declaration(p, s->name);
                if (!d || d->fate == CONFIG_HONOURED || is_as_default(&scope, s, d))
                        continue;
                if (d->fate == CONFIG_REFUSED && str_is_empty(str_trim(s->raw)))
                        continue; /* nothing is asked for */
                switch (d->fate) {
                case CONFIG_REFUSED:
                        findings_add(findings, SEVERITY_ERROR, "parameter-refused", s->at,
                                     "remove the line if mail may pass without it", "%.*s: %s",
                                     STR_ARG(s->name), d->help);
                        break;
                case CONFIG_LATER:
                        findings_add(findings, SEVERITY_WARNING, "parameter-without-effect", s->at,
                                     NULL, "%.*s has no effect yet: %s", STR_ARG(s->name), d->help);
                        break;
                case CONFIG_HARMLESS:
                case CONFIG_HONOURED:
                        findings_add(findings, SEVERITY_NOTE, "parameter-not-needed", s->at, NULL,
                                     "%.*s changes nothing here: %s", STR_ARG(s->name), d->help);
                        break;
                }
        }
}

void names_check_noted(const struct config_private *p, struct findings *findings)
{
        check_noted(p, &p->main, NULL, findings);
        check_noted(p, &p->commands, NULL, findings);
        for (const struct service_source *s = p->services; s; s = s->next)
                check_noted(p, &s->overrides, &s->overrides, findings);
}
