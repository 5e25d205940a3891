/* spec.c - smtpd_milters: which filters, each with its own time-outs and default action */
#include "milter/milter_private.h"

#include "base/check.h"
#include "base/log.h"
#include "config/receive_override.h"

#include <errno.h>
#include <stdlib.h>

static int bad(struct str item, const char *cure, struct why *why)
{
        return why_set(why, -EINVAL, "\"%.*s\": %s", (int)(item.len > 100 ? 100 : item.len),
                       item.ptr, cure);
}

static bool find_action(struct str word, enum milter_default *out)
{
        static const char *const words[] = {
                [MILTER_DEFAULT_ACCEPT] = "accept",     [MILTER_DEFAULT_REJECT] = "reject",
                [MILTER_DEFAULT_TEMPFAIL] = "tempfail", [MILTER_DEFAULT_QUARANTINE] = "quarantine",
                [MILTER_DEFAULT_SHUTDOWN] = "shutdown",
        };
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (str_eq_nocase(word, str_from(words[i]))) {
                        *out = (enum milter_default)i;
                        return true;
                }
        return false;
}

static int parse_option(struct str item, struct milter_spec *out, struct why *why)
{
        struct str value = item;
        struct str name = str_trim(str_cut(&value, '='));
        value = str_trim(value);
        int64_t *time = str_eq(name, STR("connect_timeout"))   ? &out->connect_ms
                        : str_eq(name, STR("command_timeout")) ? &out->command_ms
                        : str_eq(name, STR("content_timeout")) ? &out->content_ms
                                                               : NULL;
        if (time)
                return config_parse_time(value, 's', time) == 0 && *time > 0
                               ? 0
                               : bad(item, "a time is wanted, as 10s", why);
        if (!str_eq(name, STR("default_action")))
                return bad(item,
                           "options are connect_timeout, command_timeout, content_timeout and "
                           "default_action",
                           why);
        return find_action(value, &out->default_action)
                       ? 0
                       : bad(item, "write accept, reject, tempfail, quarantine or shutdown", why);
}

static int parse_one(struct str item, const struct params *params, struct arena *arena,
                     struct milter_spec *out, struct why *why)
{
        *out = (struct milter_spec){
                .connect_ms = params->milter_connect_timeout,
                .command_ms = params->milter_command_timeout,
                .content_ms = params->milter_content_timeout,
        };
        if (!find_action(params->milter_default_action, &out->default_action))
                return bad(params->milter_default_action,
                           "milter_default_action is accept, reject, tempfail, quarantine or "
                           "shutdown",
                           why);
        struct str server;
        if (!config_list_next(&item, &server))
                return bad(item, "write inet:host:port or unix:path", why);
        int rc = endpoint_parse(server, params->queue_directory, arena, &out->endpoint, why);
        struct str option;
        while (!rc && config_list_next(&item, &option))
                rc = parse_option(option, out, why);
        return rc;
}

int milter_specs_parse(struct str text, const struct params *params, struct arena *arena,
                       struct milter_specs *out, struct why *why)
{
        struct str item;
        size_t count = 0;
        for (struct str rest = text; config_list_next(&rest, &item);)
                count++;
        *out = (struct milter_specs){.specs = arena_array(arena, struct milter_spec, count + 1)};
        while (config_list_next(&text, &item)) {
                int rc = parse_one(item, params, arena, &out->specs[out->count++], why);
                if (rc)
                        return rc;
        }
        return 0;
}

/* ---- the set ---- */

struct milter_set *milter_set_new(struct config *c, const struct params *params, bool is_smtp,
                                  struct table_set *tables, struct findings *findings)
{
        struct milter_set *s = calloc(1, sizeof(*s));
        check(s);
        s->refs = 1;
        arena_init(&s->arena, 0);
        s->config = config_ref(c);
        s->params = params;
        s->tables = table_set_ref(tables);
        struct why why;
        const char *parameter = is_smtp ? "smtpd_milters" : "non_smtpd_milters";
        s->parameter = parameter;
        struct str list = is_smtp ? params->smtpd_milters : params->non_smtpd_milters;
        struct str maps = is_smtp ? params->smtpd_milter_maps : STR("");
        if (receive_overrides(params->receive_override_options, NULL) & RECEIVE_NO_MILTERS)
                list = maps = STR("");
        if (milter_specs_parse(list, params, &s->arena, &s->specs, &why))
                findings_add(findings, SEVERITY_ERROR, "bad-milter", config_place(c, parameter),
                             NULL, "%s: %s", parameter, why.text);
        s->maps = table_list_open(tables, maps, config_place(c, "smtpd_milter_maps"), findings);
        return s;
}

struct milter_set *milter_set_ref(struct milter_set *s)
{
        check(__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED) > 0);
        return s;
}

void milter_set_unref(struct milter_set **sp)
{
        struct milter_set *s = *sp;
        *sp = NULL;
        if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        table_set_free(&s->tables);
        config_unref(&s->config);
        arena_done(&s->arena);
        free(s);
}

bool milter_set_is_empty(const struct milter_set *s)
{
        return s->specs.count == 0 && (!s->maps || table_list_is_empty(s->maps));
}
