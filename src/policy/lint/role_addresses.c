/*
 * role_addresses.c - domains that nobody could complain to: no postmaster@, no abuse@ (RFC 2142)
 *
 * Only the domains that relay_domains names itself or through a table that can be listed.
 */
#include "policy/policy_private.h"

struct roles {
        struct policy *p;
        struct findings *findings;
        struct place at;
        size_t domains;
        struct arena arena;
};

enum { DOMAINS_MAX = 1000 }; /* asked for at a start; more is not advice but a flood */

static bool is_in(const struct roles *r, struct table_list *list, struct str local,
                  struct str domain, struct arena *arena)
{
        if (!list)
                return true; /* it could not be opened: said elsewhere */
        struct table_address address = {
                .local = local, .domain = domain, .delimiters = r->p->params->recipient_delimiter};
        struct str value;
        struct why why;
        return await_table_list_find_address(list, &address, arena, &value, NULL, &why) !=
               TABLE_NOT_FOUND;
}

static void lint_role(struct roles *r, const char *code, struct str local, struct str domain,
                      const char *meaning)
{
        if (is_in(r, r->p->relay_recipient_maps, local, domain, &r->arena) ||
            is_in(r, r->p->virtual_alias_maps, local, domain, &r->arena))
                return;
        findings_add(r->findings, SEVERITY_WARNING, code, r->at,
                     "add it to relay_recipient_maps, and see that its mail is read",
                     "%.*s@%.*s is in none of relay_recipient_maps%s", STR_ARG(local),
                     STR_ARG(domain), meaning);
}

static void lint_domain(struct roles *r, struct str domain)
{
        if (r->domains++ >= DOMAINS_MAX)
                return;
        lint_role(r, "no-postmaster", STR("postmaster"), domain,
                  "; it is accepted all the same (RFC 5321 4.5.1), so the core must know it");
        lint_role(r, "no-abuse", STR("abuse"), domain, ": nobody can report abuse (RFC 2142)");
        arena_clear(&r->arena);
}

static bool is_domain(struct str item)
{
        return str_find(item, ':') < 0 && str_find(item, '/') < 0 && item.ptr[0] != '!' &&
               item.ptr[0] != '.' && smtp_domain_is_fqdn(item);
}

void policy_lint_role_addresses(struct policy *p, struct findings *findings)
{
        if (str_is_empty(str_trim(p->params->relay_recipient_maps)))
                return; /* everybody is accepted */
        struct roles roles = {.p = p, .findings = findings};
        arena_init(&roles.arena, 0);
        struct str rest = p->params->relay_domains;
        struct str item;
        while (config_list_next(&rest, &item)) {
                roles.at = policy_place(p, "relay_domains", item);
                if (is_domain(item))
                        lint_domain(&roles, item);
        }
        arena_done(&roles.arena);
}
