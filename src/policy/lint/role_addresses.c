/*
 * role_addresses.c - domains that nobody could complain to: no postmaster@, no abuse@ (RFC 2142)
 *
 * For the domains that relay_domains, virtual_alias_domains and virtual_mailbox_domains name, in
 * main.cf or in a table that can be listed. postmaster@ is accepted for all of them whatever the
 * maps say (RFC 5321 4.5.1); it is pointed out because then it must also be read somewhere.
 *
 * A domain that another parameter has claimed before is told too: this one never gets to see it.
 */
#include "policy/policy_private.h"

enum { DOMAINS_MAX = 1000 }; /* asked for at a start; beyond it, advice is a flood */

/* One parameter with domains, and the maps that know their users. */
struct roles {
        struct policy *p;
        struct findings *findings;
        const char *parameter;
        enum address_class class;
        const char *maps_name;
        struct table_list *maps;
        struct place at;
        size_t domains;
        struct arena arena;
};

static bool is_in(struct roles *r, struct table_list *list, struct str local, struct str domain)
{
        struct table_address address = {.local = local, .domain = domain};
        struct str value;
        struct why why;
        /* without a list, it could not be opened: said elsewhere */
        return !list || await_table_list_find_address(list, &address, &r->arena, &value, NULL,
                                                      &why) != TABLE_NOT_FOUND;
}

static void lint_role(struct roles *r, const char *code, struct str local, struct str domain,
                      const char *meaning)
{
        if (is_in(r, r->maps, local, domain) || is_in(r, r->p->virtual_alias_maps, local, domain))
                return;
        char cure[200];
        snprintf(cure, sizeof(cure), "add %.*s@ to %s, and see that it is read", STR_ARG(local),
                 r->maps_name);
        findings_add(r->findings, SEVERITY_WARNING, code, r->at, cure, "%.*s@%.*s is not in %s: %s",
                     STR_ARG(local), STR_ARG(domain), r->maps_name, meaning);
}

static const char *class_parameter(enum address_class class)
{
        switch (class) {
        case CLASS_LOCAL:
                return "mydestination";
        case CLASS_VIRTUAL_ALIAS:
                return "virtual_alias_domains";
        case CLASS_VIRTUAL_MAILBOX:
                return "virtual_mailbox_domains";
        case CLASS_RELAY:
                return "relay_domains";
        case CLASS_DEFAULT:
                break;
        }
        return NULL;
}

/* Is this domain's mail really treated by this parameter? */
static bool is_claimed(struct roles *r, struct str domain)
{
        enum address_class class;
        struct why why;
        if (await_policy_class(r->p, domain, &r->arena, &class, &why) || class == r->class)
                return true;
        const char *other = class_parameter(class);
        if (other && config_is_set(r->p->config, r->parameter))
                findings_add(r->findings, SEVERITY_WARNING, "domain-in-two-lists", r->at,
                             "take it out of one of them",
                             "%.*s is in %s too, which comes first: %s has no effect on it",
                             STR_ARG(domain), other, r->parameter);
        return false;
}

static void lint_domain(struct roles *r, struct str domain)
{
        if (!smtp_domain_is_fqdn(domain) || r->domains >= DOMAINS_MAX)
                return;
        r->domains++;
        arena_clear(&r->arena);
        /* without maps everybody is accepted */
        bool knows_all = r->class != CLASS_VIRTUAL_ALIAS && r->maps && table_list_is_empty(r->maps);
        if (!is_claimed(r, domain) || knows_all)
                return;
        lint_role(r, "no-postmaster", STR("postmaster"), domain,
                  "it is accepted all the same (RFC 5321 4.5.1), but who reads it?");
        lint_role(r, "no-abuse", STR("abuse"), domain, "nobody can report abuse (RFC 2142)");
}

static bool visit_entry(void *context, struct str key, struct str value)
{
        struct roles *r = context;
        lint_domain(r, key);
        return r->domains < DOMAINS_MAX;
}

/* A domain, or a table with domains; what is said about the table was said when it was opened. */
static void lint_item(struct roles *r, struct str item)
{
        struct why why;
        if (str_find(item, ':') < 0) {
                lint_domain(r, item);
                return;
        }
        struct table *table = table_open(r->p->tables, item, r->at, NULL, &why);
        if (table)
                table_each(table, visit_entry, r);
}

static void lint_parameter(struct roles r, struct str domains)
{
        arena_init(&r.arena, 0);
        struct str item;
        while (config_list_next(&domains, &item)) {
                r.at = policy_place(r.p, r.parameter, item);
                lint_item(&r, item);
        }
        arena_done(&r.arena);
}

void policy_lint_role_addresses(struct policy *p, struct findings *findings)
{
        const struct params *params = p->params;
        struct roles r = {.p = p, .findings = findings};

        r.class = CLASS_VIRTUAL_ALIAS;
        r.parameter = class_parameter(r.class);
        r.maps_name = "virtual_alias_maps";
        r.maps = p->virtual_alias_maps;
        lint_parameter(r, params->virtual_alias_domains);

        r.class = CLASS_VIRTUAL_MAILBOX;
        r.parameter = class_parameter(r.class);
        r.maps_name = "virtual_mailbox_maps";
        r.maps = p->virtual_mailbox_maps;
        lint_parameter(r, params->virtual_mailbox_domains);

        r.class = CLASS_RELAY;
        r.parameter = class_parameter(r.class);
        r.maps_name = "relay_recipient_maps";
        r.maps = p->relay_recipient_maps;
        lint_parameter(r, params->relay_domains);
}
