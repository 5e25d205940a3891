/*
 * role_addresses.c - domains that nobody could complain to: no postmaster@, no abuse@ (RFC 2142)
 *
 * For the domains that relay_domains, virtual_alias_domains and virtual_mailbox_domains name, in
 * main.cf or in a table that can be listed. postmaster@ is accepted for all of them whatever the
 * maps say (RFC 5321 4.5.1); it is pointed out because then it must also be read somewhere.
 */
#include "policy/policy_private.h"

enum { DOMAINS_MAX = 1000 }; /* asked for at a start; beyond it, advice is a flood */

/* One parameter with domains, and the maps that know their users. */
struct roles {
        struct policy *p;
        struct findings *findings;
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

static void lint_domain(struct roles *r, struct str domain)
{
        if (!smtp_domain_is_fqdn(domain) || r->domains >= DOMAINS_MAX)
                return;
        r->domains++;
        lint_role(r, "no-postmaster", STR("postmaster"), domain,
                  "it is accepted all the same (RFC 5321 4.5.1), but who reads it?");
        lint_role(r, "no-abuse", STR("abuse"), domain, "nobody can report abuse (RFC 2142)");
        arena_clear(&r->arena);
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

static void lint_parameter(struct policy *p, struct findings *findings, const char *parameter,
                           struct str domains, const char *maps_name, struct table_list *maps)
{
        struct roles r = {.p = p, .findings = findings, .maps_name = maps_name, .maps = maps};
        arena_init(&r.arena, 0);
        struct str item;
        while (config_list_next(&domains, &item)) {
                r.at = policy_place(p, parameter, item);
                lint_item(&r, item);
        }
        arena_done(&r.arena);
}

void policy_lint_role_addresses(struct policy *p, struct findings *findings)
{
        const struct params *params = p->params;
        /* without maps everybody is accepted */
        if (!p->relay_recipient_maps || !table_list_is_empty(p->relay_recipient_maps))
                lint_parameter(p, findings, "relay_domains", params->relay_domains,
                               "relay_recipient_maps", p->relay_recipient_maps);
        lint_parameter(p, findings, "virtual_alias_domains", params->virtual_alias_domains,
                       "virtual_alias_maps", p->virtual_alias_maps);
        if (!p->virtual_mailbox_maps || !table_list_is_empty(p->virtual_mailbox_maps))
                lint_parameter(p, findings, "virtual_mailbox_domains",
                               params->virtual_mailbox_domains, "virtual_mailbox_maps",
                               p->virtual_mailbox_maps);
}
