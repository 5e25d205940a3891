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
 * A next hop that is written down for a domain of ours is hidden: it is how a relay reaches its core, and the
 * core's name must not leave the network.
 */
#include "delivery/route.h"

#include "base/check.h"
#include "delivery/transport.h"

#include <errno.h>

/* "relay:[core.example]:2600", taken apart at load */
struct way {
        const struct transport *transport;
        struct str nexthop; /* may be empty */
};

struct routes {
        unsigned references;
        struct arena arena;
        struct config *config;
        struct policy *policy;
        struct table_set *tables;
        struct table_list *maps;
        bool parent_matches_subdomains;
        struct transport_set transports;
        struct way local, virtual, relay, standard;
        const struct transport *error;
        struct str relayhost;
        struct str delimiters;
};

/* ---- load ---- */

static void refuse_command(const struct transport *t, struct place at, const char *parameter,
                           struct findings *findings)
{
        const char *reason;
        if (transport_command_is_here(t->command, &reason))
                return;
        bool is_local = str_eq(t->command, STR("local"));
        findings_add(findings, is_local ? SEVERITY_WARNING : SEVERITY_ERROR, "transport-not-yet",
                     at,
                     is_local ? "empty mydestination, or set local_transport = error: ..." : NULL,
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

static void check_relayhost(const struct routes *r, struct findings *findings)
{
        struct way w = {transport_find(&r->transports, STR("smtp")), r->relayhost};
        check_nexthops(r, "relayhost", &w, findings);
        struct str list = r->relayhost;
        struct str text;
        struct nexthop hop;
        while (nexthop_next(&list, &text))
                if (nexthop_parse(text, 25, &hop) == 0 && hop.port == 25 &&
                    str_eq_nocase(hop.host, r->config->params.myhostname))
                        findings_add(findings, SEVERITY_ERROR, "relayhost-is-self",
                                     config_place(r->config, "relayhost"),
                                     "name another server, or leave relayhost empty",
                                     "relayhost \"%.*s\" is this machine: mail would loop",
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
        transport_set_init(&r->transports, c, &r->arena, findings);
        r->error = transport_find(&r->transports, STR("error"));
        r->maps = table_list_open(tables, p->transport_maps, config_place(c, "transport_maps"),
                                  findings);
        r->parent_matches_subdomains =
                list_has(p->parent_domain_matches_subdomains, STR("transport_maps"));
        r->relayhost = str_trim(p->relayhost);
        r->delimiters = p->recipient_delimiter;
        way_read(&r->local, r, "local_transport", p->local_transport,
                 str_trim(p->mydestination).len > 0, findings);
        way_read(&r->virtual, r, "virtual_transport", p->virtual_transport,
                 str_trim(p->virtual_mailbox_domains).len > 0, findings);
        way_read(&r->relay, r, "relay_transport", p->relay_transport, true, findings);
        way_read(&r->standard, r, "default_transport", p->default_transport, true, findings);
        check_nexthops(r, "relay_transport", &r->relay, findings);
        check_nexthops(r, "default_transport", &r->standard, findings);
        check_relayhost(r, findings);
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

/* ---- one recipient ---- */

/* What the class says. An empty next hop means the recipient's domain. */
static void way_of_class(const struct routes *r, enum address_class class, struct way *out)
{
        switch (class) {
        case CLASS_LOCAL:
                *out = r->local;
                return;
        case CLASS_VIRTUAL_ALIAS:
                *out = (struct way){r->error, STR("5.1.1 User unknown in virtual alias table")};
                return;
        case CLASS_VIRTUAL_MAILBOX:
                *out = r->virtual;
                return;
        case CLASS_RELAY:
                *out = r->relay;
                break;
        case CLASS_DEFAULT:
                *out = r->standard;
                break;
        }
        if (out->nexthop.len == 0)
                out->nexthop = r->relayhost;
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

static int await_look_up(const struct routes *r, const struct smtp_address *recipient,
                         enum address_class class, struct arena *arena, struct str *value,
                         bool *is_found, struct why *why)
{
        struct table_address key = {
                .local = recipient->local,
                .domain = recipient->domain,
                .is_local = class == CLASS_LOCAL,
                .delimiters = r->delimiters,
        };
        *is_found = false;
        if (!r->maps || table_list_is_empty(r->maps))
                return 0;
        enum table_result result = await_table_list_find_transport(
                r->maps, &key, r->parent_matches_subdomains, arena, value, why);
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

int await_route_find(struct routes *r, const struct smtp_address *recipient, struct arena *arena,
                     struct route *out, struct why *why)
{
        struct smtp_address address = *recipient;
        if (address.domain.len == 0)
                address.domain = r->config->params.myorigin;
        enum address_class class;
        int rc = await_policy_class(r->policy, address.domain, arena, &class, why);
        if (rc < 0)
                return rc;
        struct way w = {0};
        way_of_class(r, class, &w);
        struct str value;
        bool is_mapped;
        rc = await_look_up(r, &address, class, arena, &value, &is_mapped, why);
        if (rc == 0 && is_mapped)
                rc = way_override(r, value, &w, why);
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
