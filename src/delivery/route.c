/*
 * route.c - where does this recipient go?
 *
 * The address class gives a first answer (ADDRESS_CLASS_README), transport_maps may change it in part or
 * whole (transport(5)):
 *
 *      local            local_transport            its next hop, or the domain
 *      virtual mailbox  virtual_transport          its next hop, or the domain
 *      relay            relay_transport            its next hop, relayhost, or the domain
 *      virtual alias    error                      the address should have expanded
 *      default          default_transport          its next hop, relayhost, or the domain
 *
 * sender_dependent_relayhost_maps take the place of relayhost, sender_dependent_default_transport_maps that of
 * default_transport. Who has moved (relocated_maps) gets no mail. A filter takes the place of all of it: what
 * comes back from there has no filter, and finds its own way.
 *
 * Who comes to local(8) goes on to where its own parameters send him (policy/local.c).
 *
 * A next hop that is written down for a domain of ours is hidden: it is how a relay reaches its core, and the
 * core's name must not leave the network.
 */
#include "delivery/route.h"

#include "base/check.h"
#include "delivery/bounce_template.h"
#include "delivery/transport.h"

#include <errno.h>

/* "relay:[core.example]:2600", taken apart at load */
struct way {
        const struct transport *transport;
        struct str nexthop; /* may be empty */
};

/* What the parameters say of mail, and again what the address_verify_ ones say of probes. */
struct plan {
        struct table_list *maps, *sender_relayhosts, *sender_transports;
        struct way local, virtual, relay, standard;
        struct str relayhost;
};

struct routes {
        unsigned references;
        struct arena arena;
        struct config *config;
        struct policy *policy;
        struct table_set *tables;
        struct table_list *relocated;
        bool parent_matches_subdomains;
        struct transport_set transports;
        struct plan mail, probes;
        const struct transport *error, *discard;
        struct str delimiters;
        struct bounce_templates templates;
        struct cleanup_rules *own_mail, *own_checked; /* own_checked: NULL when no class is */
};

const struct bounce_templates *routes_bounce_templates(const struct routes *r)
{
        return &r->templates;
}

/* ---- load ---- */

static void refuse_command(const struct transport *t, struct place at, const char *parameter,
                           struct findings *findings)
{
        const char *reason;
        if (transport_command_is_here(t->command, &reason))
                return;
        bool is_local = str_eq(t->command, STR("local"));
        if (is_local && !str_is_empty(t->params->mailbox_transport))
                return; /* it takes everybody */
        if (is_local && policy_local_sends_on(t->params))
                findings_add(findings, SEVERITY_WARNING, "no-system-mailboxes", at,
                             "name these users in mailbox_transport_maps, or set mailbox_transport",
                             "%s: mail for this machine's own users waits: there is no delivery to "
                             "their mailboxes",
                             parameter);
        else
                findings_add(
                        findings, is_local ? SEVERITY_WARNING : SEVERITY_ERROR, "transport-not-yet",
                        at,
                        is_local
                                ? "set mailbox_transport, empty mydestination, or set local_transport = error: ..."
                                : NULL,
                        "%s: mail by transport \"%.*s\" would wait for ever: %s", parameter,
                        STR_ARG(t->name), reason);
}

/* An empty value or an unknown name leaves the transport NULL: its mail waits. */
static void way_read(struct way *w, const struct routes *r, const char *parameter, struct str text,
                     bool is_used, struct findings *findings)
{
        struct place at = config_place(r->config, parameter);
        struct str rest = str_trim(text);
        struct str name = str_trim(str_cut(&rest, ':'));
        w->nexthop = str_trim(rest);
        w->transport = transport_find(&r->transports, name);
        if (!is_used)
                return;
        if (w->transport)
                refuse_command(w->transport, at, parameter, findings);
        else
                findings_add(findings, SEVERITY_ERROR, "unknown-transport", at,
                             "name a unix service of master.cf: smtp, relay, virtual, error...",
                             "%s: there is no transport \"%.*s\"", parameter, STR_ARG(name));
}

static void check_nexthops(const struct routes *r, const char *parameter, const struct way *w,
                           struct findings *findings)
{
        struct str list = w->nexthop;
        struct str text;
        struct nexthop hop;
        if (!w->transport || !str_eq(w->transport->command, STR("smtp")))
                return;
        while (nexthop_next(&list, &text))
                if (nexthop_parse(text, 25, &hop) < 0)
                        findings_add(findings, SEVERITY_ERROR, "bad-nexthop",
                                     config_place(r->config, parameter),
                                     "write host, [host] or [host]:port",
                                     "%s: \"%.*s\" is no next hop", parameter, STR_ARG(text));
}

static void check_relayhost(const struct routes *r, const char *parameter, struct str relayhost,
                            struct findings *findings)
{
        struct way w = {transport_find(&r->transports, STR("smtp")), relayhost};
        check_nexthops(r, parameter, &w, findings);
        struct str list = relayhost;
        struct str text;
        struct nexthop hop;
        while (nexthop_next(&list, &text))
                if (nexthop_parse(text, 25, &hop) == 0 && hop.port == 25 &&
                    str_eq_nocase(hop.host, r->config->params.myhostname))
                        findings_add(findings, SEVERITY_ERROR, "relayhost-is-self",
                                     config_place(r->config, parameter),
                                     "name another server, or leave it empty",
                                     "%s \"%.*s\" is this machine: mail would loop", parameter,
                                     STR_ARG(text));
}

/* Is `word` among the items of parent_domain_matches_subdomains? */
static bool list_has(struct str list, struct str word)
{
        struct str item;
        while (config_list_next(&list, &item))
                if (str_eq(item, word))
                        return true;
        return false;
}

/* One of the address_verify_ parameters says the same as the one that it is named after, mostly. */
static void probe_way(struct way *w, const struct routes *r, const char *parameter, struct str text,
                      struct str of_mail, const struct way *way_of_mail, bool is_used,
                      struct findings *findings)
{
        *w = *way_of_mail;
        if (!str_eq(text, of_mail)) {
                way_read(w, r, parameter, text, is_used, findings);
                check_nexthops(r, parameter, w, findings);
        }
}

static struct table_list *probe_maps(const struct routes *r, const char *parameter, struct str text,
                                     struct str of_mail, struct table_list *maps_of_mail,
                                     struct findings *findings)
{
        if (str_eq(text, of_mail))
                return maps_of_mail;
        return table_list_open(r->tables, text, config_place(r->config, parameter), findings);
}

/* mailbox_transport and fallback_transport are read when they are needed: here only what is wrong with them. */
static void check_local(struct routes *r, struct findings *findings)
{
        const struct params *p = &r->config->params;
        const struct {
                const char *name;
                struct str text;
        } ways[] = {{"mailbox_transport", p->mailbox_transport},
                    {"fallback_transport", p->fallback_transport}};
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                struct way w;
                if (str_is_empty(ways[i].text))
                        continue;
                way_read(&w, r, ways[i].name, ways[i].text, true, findings);
                check_nexthops(r, ways[i].name, &w, findings);
        }
}

static void plan_mail(struct routes *r, struct findings *findings)
{
        const struct params *p = &r->config->params;
        struct plan *m = &r->mail;
#define TABLES(field, name) \
        m->field = table_list_open(r->tables, p->name, config_place(r->config, #name), findings)
        TABLES(maps, transport_maps);
        TABLES(sender_relayhosts, sender_dependent_relayhost_maps);
        TABLES(sender_transports, sender_dependent_default_transport_maps);
#undef TABLES
        m->relayhost = str_trim(p->relayhost);
        way_read(&m->local, r, "local_transport", p->local_transport,
                 str_trim(p->mydestination).len > 0, findings);
        way_read(&m->virtual, r, "virtual_transport", p->virtual_transport,
                 str_trim(p->virtual_mailbox_domains).len > 0, findings);
        way_read(&m->relay, r, "relay_transport", p->relay_transport, true, findings);
        way_read(&m->standard, r, "default_transport", p->default_transport, true, findings);
        check_local(r, findings);
        check_nexthops(r, "relay_transport", &m->relay, findings);
        check_nexthops(r, "default_transport", &m->standard, findings);
        check_relayhost(r, "relayhost", m->relayhost, findings);
}

static void plan_probes(struct routes *r, struct findings *findings)
{
        const struct params *p = &r->config->params;
        struct plan *v = &r->probes;
#define WAY(field, name, is_used)                                                           \
        probe_way(&v->field, r, "address_verify_" #name, p->address_verify_##name, p->name, \
                  &r->mail.field, is_used, findings)
#define TABLES(field, name)                                                                  \
        v->field = probe_maps(r, "address_verify_" #name, p->address_verify_##name, p->name, \
                              r->mail.field, findings)
        WAY(local, local_transport, str_trim(p->mydestination).len > 0);
        WAY(virtual, virtual_transport, str_trim(p->virtual_mailbox_domains).len > 0);
        WAY(relay, relay_transport, true);
        WAY(standard, default_transport, true);
        TABLES(maps, transport_maps);
        TABLES(sender_relayhosts, sender_dependent_relayhost_maps);
        TABLES(sender_transports, sender_dependent_default_transport_maps);
#undef WAY
#undef TABLES
        v->relayhost = str_trim(p->address_verify_relayhost);
        if (!str_eq(v->relayhost, r->mail.relayhost))
                check_relayhost(r, "address_verify_relayhost", v->relayhost, findings);
}

struct routes *routes_new(struct config *c, struct table_set *tables, struct policy *policy,
                          struct findings *findings)
{
        const struct params *p = &c->params;
        struct routes *r = calloc(1, sizeof(*r));
        check(r);
        r->references = 1;
        r->config = config_ref(c);
        r->policy = policy_ref(policy);
        r->tables = table_set_ref(tables);
        arena_init(&r->arena, 0);
        transport_set_init(&r->transports, c, tables, r->policy, &r->arena, findings);
        r->error = transport_find(&r->transports, STR("error"));
        r->discard = transport_find(&r->transports, STR("discard"));
        r->relocated = table_list_open(tables, p->relocated_maps, config_place(c, "relocated_maps"),
                                       findings);
        r->parent_matches_subdomains =
                list_has(p->parent_domain_matches_subdomains, STR("transport_maps"));
        r->delimiters = p->recipient_delimiter;
        plan_mail(r, findings);
        plan_probes(r, findings);
        bounce_templates_load(&r->templates, c, &r->arena, findings);
        r->own_mail = cleanup_rules_new_own(c, tables, r->policy, false);
        if (internal_mail_classes(p->internal_mail_filter_classes, NULL))
                r->own_checked = cleanup_rules_new_own(c, tables, r->policy, true);
        return r;
}

struct routes *routes_ref(struct routes *r)
{
        __atomic_add_fetch(&r->references, 1, __ATOMIC_RELAXED);
        return r;
}

void routes_unref(struct routes **rp)
{
        struct routes *r = *rp;
        *rp = NULL;
        if (!r || __atomic_sub_fetch(&r->references, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        cleanup_rules_unref(&r->own_mail);
        cleanup_rules_unref(&r->own_checked);
        transport_set_done(&r->transports);
        arena_done(&r->arena);
        policy_unref(&r->policy);
        table_set_free(&r->tables);
        config_unref(&r->config);
        free(r);
}

struct config *routes_config(const struct routes *r)
{
        return r->config;
}

struct policy *routes_policy(const struct routes *r)
{
        return r->policy;
}

struct cleanup_rules *routes_own_mail(const struct routes *r, enum internal_mail class)
{
        const struct params *p = &r->config->params;
        bool is_checked = internal_mail_classes(p->internal_mail_filter_classes, NULL) & class;
        return is_checked ? r->own_checked : r->own_mail;
}

/* ---- one recipient ---- */

/* What the class says. An empty next hop means relayhost, or the recipient's domain. */
static void way_of_class(const struct routes *r, const struct plan *plan, enum address_class class,
                         struct way *out)
{
        switch (class) {
        case CLASS_LOCAL:
                *out = plan->local;
                return;
        case CLASS_VIRTUAL_ALIAS:
                *out = (struct way){r->error, STR("5.1.1 User unknown in virtual alias table")};
                return;
        case CLASS_VIRTUAL_MAILBOX:
                *out = plan->virtual;
                return;
        case CLASS_RELAY:
                *out = plan->relay;
                return;
        case CLASS_DEFAULT:
                *out = plan->standard;
                return;
        }
}

/* Changes *w by a value of transport_maps: "transport:nexthop", ":nexthop", "transport:", ":". */
static int way_override(const struct routes *r, struct str value, struct way *w, struct why *why)
{
        struct str rest = str_trim(value);
        if (rest.len == 0)
                return why_set(why, -EAGAIN, "transport_maps: an empty value for this recipient");
        struct str name = str_trim(str_cut(&rest, ':'));
        struct str nexthop = str_trim(rest);
        if (name.len == 0) {
                if (nexthop.len)
                        w->nexthop = nexthop;
                return 0;
        }
        w->transport = transport_find(&r->transports, name);
        w->nexthop = nexthop;
        if (!w->transport)
                return why_set(why, -EAGAIN, "transport_maps: there is no transport \"%.*s\"",
                               STR_ARG(name));
        return 0;
}

static int await_look_up(const struct routes *r, const struct plan *plan,
                         const struct smtp_address *recipient, enum address_class class,
                         struct arena *arena, struct str *value, bool *is_found, struct why *why)
{
        struct table_address key = {
                .local = recipient->local,
                .domain = recipient->domain,
                .is_local = class == CLASS_LOCAL,
                .delimiters = r->delimiters,
        };
        *is_found = false;
        if (!plan->maps || table_list_is_empty(plan->maps))
                return 0;
        enum table_result result = await_table_list_find_transport(
                plan->maps, &key, r->parent_matches_subdomains, arena, value, why);
        if (result == TABLE_ERROR)
                return why_prefix(why, -EAGAIN, "transport_maps");
        *is_found = result == TABLE_FOUND;
        return 0;
}

/* Every item of the list in brackets: whoever wrote it named machines, not a domain's public servers. */
static bool is_bracketed(struct str nexthop)
{
        struct str text;
        bool has_some = false;
        while (nexthop_next(&nexthop, &text)) {
                if (text.ptr[0] != '[')
                        return false;
                has_some = true;
        }
        return has_some;
}

/* ---- by sender ---- */

/* What a table says for this sender; *is_found is false too for DUNNO. 0 or -EAGAIN. */
static int await_by_sender(const struct routes *r, struct table_list *maps, const char *name,
                           struct str sender, struct str null_key, struct arena *arena,
                           struct str *value, bool *is_found, struct why *why)
{
        struct smtp_address address;
        enum table_result result;
        *is_found = false;
        if (!maps || table_list_is_empty(maps))
                return maps ? 0 : why_set(why, -EAGAIN, "%s could not be opened", name);
        if (str_is_empty(sender)) {
                result = await_table_list_find(maps, null_key, arena, value, why);
        } else if (smtp_address_parse(sender, arena, &address)) {
                return why_set(why, -EAGAIN, "%s: <%.*s> is no address", name, STR_ARG(sender));
        } else {
                struct table_address key = {.local = address.local,
                                            .domain = address.domain,
                                            .delimiters = r->delimiters};
                result = await_table_list_find_address(maps, &key, arena, value, NULL, why);
        }
        if (result == TABLE_ERROR)
                return why_prefix(why, -EAGAIN, "%s", name);
        if (result == TABLE_FOUND)
                *value = str_trim(*value);
        *is_found = result == TABLE_FOUND && !str_eq_nocase(*value, STR("DUNNO"));
        return 0;
}

/* "transport:nexthop" or "transport", as default_transport has it. */
static int way_read_value(const struct routes *r, const char *name, struct str value,
                          struct way *out, struct why *why)
{
        struct str rest = value;
        struct str transport = str_trim(str_cut(&rest, ':'));
        out->nexthop = str_trim(rest);
        out->transport = transport_find(&r->transports, transport);
        if (!out->transport)
                return why_set(why, -EAGAIN, "%s: there is no transport \"%.*s\"", name,
                               STR_ARG(transport));
        return 0;
}

/* What the class says of this recipient, and then the sender. 0 or -EAGAIN. */
static int await_way_of_class(const struct routes *r, const struct plan *plan,
                              enum address_class class, struct str sender, struct arena *arena,
                              struct way *out, struct why *why)
{
        const struct params *p = &r->config->params;
        struct str value;
        bool is_found = false;
        struct str relayhost = plan->relayhost;
        way_of_class(r, plan, class, out);
        if (class == CLASS_DEFAULT) {
                int rc = await_by_sender(r, plan->sender_transports,
                                         "sender_dependent_default_transport_maps", sender,
                                         p->empty_address_default_transport_maps_lookup_key, arena,
                                         &value, &is_found, why);
                if (rc == 0 && is_found)
                        rc = way_read_value(r, "sender_dependent_default_transport_maps", value,
                                            out, why);
                if (rc)
                        return rc;
        }
        if ((class != CLASS_DEFAULT && class != CLASS_RELAY) || out->nexthop.len)
                return 0;
        int rc = await_by_sender(r, plan->sender_relayhosts, "sender_dependent_relayhost_maps",
                                 sender, p->empty_address_relayhost_maps_lookup_key, arena, &value,
                                 &is_found, why);
        if (rc == 0 && is_found)
                relayhost = value;
        out->nexthop = relayhost;
        return rc;
}

/* ---- those who have moved ---- */

static int await_relocated(const struct routes *r, const struct smtp_address *recipient,
                           enum address_class class, struct arena *arena, struct way *w,
                           struct why *why)
{
        struct str value;
        struct table_address key = {
                .local = recipient->local,
                .domain = recipient->domain,
                .is_local = class == CLASS_LOCAL ||
                            str_eq_nocase(recipient->domain, r->config->params.myorigin),
                .delimiters = r->delimiters,
        };
        if (!r->relocated)
                return why_set(why, -EAGAIN, "relocated_maps could not be opened");
        if (table_list_is_empty(r->relocated))
                return 0;
        switch (await_table_list_find_address(r->relocated, &key, arena, &value, NULL, why)) {
        case TABLE_NOT_FOUND:
                break;
        case TABLE_ERROR:
                return why_prefix(why, -EAGAIN, "relocated_maps");
        case TABLE_FOUND:
                w->transport = r->error;
                w->nexthop = arena_printf(arena, "5.1.6 User has moved to %.*s",
                                          STR_ARG(str_trim(value)));
                break;
        }
        return 0;
}

/* ---- answers to nobody ---- */

/*
 * double_bounce_sender is a recipient of ours because probes come from it (state/verify.h), and nobody reads his mail: a
 * bounce would go to whoever was named as the sender.
 */
static bool is_double_bounce(const struct routes *r, const struct smtp_address *recipient,
                             enum address_class class)
{
        const struct params *p = &r->config->params;
        bool is_here = class == CLASS_LOCAL || str_eq_nocase(recipient->domain, p->myorigin) ||
                       str_eq_nocase(recipient->domain, p->myhostname) ||
                       str_eq_nocase(recipient->domain, p->outside_name);
        return is_here && str_eq_nocase(recipient->local, p->double_bounce_sender);
}

/* ---- filters ---- */

static int route_of_filter(const struct routes *r, struct str filter, struct str domain,
                           struct arena *arena, struct route *out, struct why *why)
{
        struct way w;
        int rc = way_read_value(r, "filter", filter, &w, why);
        if (rc)
                return rc;
        if (w.nexthop.len == 0)
                w.nexthop = str_trim(r->config->params.default_filter_nexthop);
        out->transport = w.transport;
        out->is_hidden = w.nexthop.len > 0;
        out->nexthop = w.nexthop.len ? w.nexthop : arena_str_lower(arena, domain);
        return 0;
}

/* ---- local(8) ---- */

static bool is_local(const struct way *w)
{
        return w->transport && str_eq(w->transport->command, STR("local"));
}

/*
 * Where local(8) would send this user on, with its own next hop where the transport names none. One whom luser_relay was
 * meant for comes here only when it leads to himself.
 */
static int await_local(const struct routes *r, const struct smtp_address *recipient,
                       struct arena *arena, struct way *w, struct why *why)
{
        struct policy_local local;
        struct way on = {0};
        int rc = await_policy_local(r->policy, recipient, arena, &local, why);
        if (rc < 0)
                return rc;
        switch (local.end) {
        case LOCAL_MAILBOX:
                break;
        case LOCAL_BY_TRANSPORT:
                rc = way_read_value(r, local.parameter, local.value, &on, why);
                if (rc < 0)
                        return rc;
                if (on.nexthop.len == 0)
                        on.nexthop = w->nexthop;
                *w = on;
                break;
        case LOCAL_BY_ADDRESS:
        case LOCAL_UNKNOWN:
                w->transport = r->error;
                w->nexthop = arena_printf(arena, "5.1.1 unknown user: \"%.*s\"",
                                          STR_ARG(recipient->local));
                break;
        }
        return 0;
}

int await_route_find(struct routes *r, const struct route_query *query, struct arena *arena,
                     struct route *out, struct why *why)
{
        struct smtp_address address = *query->recipient;
        if (address.domain.len == 0)
                address.domain = r->config->params.myorigin;
        if (query->filter.len)
                return route_of_filter(r, query->filter, address.domain, arena, out, why);
        const struct plan *plan = query->is_probe ? &r->probes : &r->mail;
        enum address_class class;
        int rc = await_policy_class(r->policy, address.domain, arena, &class, why);
        if (rc < 0)
                return rc;
        if (r->discard && is_double_bounce(r, &address, class)) {
                *out = (struct route){
                        .transport = r->discard,
                        .nexthop = STR("2.0.0 undeliverable postmaster notification discarded")};
                return 0;
        }
        struct way w = {0};
        struct str value;
        bool is_mapped = false;
        rc = await_way_of_class(r, plan, class, query->sender, arena, &w, why);
        if (rc == 0)
                rc = await_look_up(r, plan, &address, class, arena, &value, &is_mapped, why);
        if (rc == 0 && is_mapped)
                rc = way_override(r, value, &w, why);
        if (rc == 0)
                rc = await_relocated(r, &address, class, arena, &w, why);
        if (rc == 0 && is_local(&w))
                rc = await_local(r, &address, arena, &w, why);
        if (rc < 0)
                return rc;
        if (!w.transport)
                return why_set(why, -EAGAIN,
                               "the transport that the configuration names for this "
                               "address does not exist");
        bool is_ours = class != CLASS_DEFAULT;
        out->transport = w.transport;
        out->is_hidden = w.nexthop.len > 0 && (is_ours || (is_mapped && is_bracketed(w.nexthop)));
        out->nexthop = w.nexthop.len ? w.nexthop : arena_str_lower(arena, address.domain);
        return 0;
}
