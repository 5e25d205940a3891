/*
 * address_class.c - whose is this domain? (ADDRESS_CLASS_README)
 *
 * The order is Postfix's: mydestination and our own addresses, virtual_alias_domains,
 * virtual_mailbox_domains, relay_domains; the first that has the domain decides.
 */
#include "policy/policy_private.h"

#include <errno.h>

static bool is_own_literal(const struct policy *p, struct str domain)
{
        unsigned char bits[16];
        if (domain.len < 3 || domain.ptr[0] != '[' || !network_address_parse(domain, bits))
                return false;
        for (size_t i = 0; i < p->own.count; i++)
                if (network_has(&p->own.items[i].network, bits))
                        return true;
        return false;
}

static int set_class(enum address_class *out, enum address_class class)
{
        *out = class;
        return 0;
}

int await_policy_class(struct policy *p, struct str domain, struct arena *arena,
                       enum address_class *out, struct why *why)
{
        if (str_is_empty(domain))
                domain = p->params->myorigin;
        if (is_own_literal(p, domain))
                return set_class(out, CLASS_LOCAL);
        const struct {
                struct match_list *list;
                enum address_class class;
                const char *name;
        } lists[] = {
                {p->mydestination, CLASS_LOCAL, "mydestination"},
                {p->virtual_alias_domains, CLASS_VIRTUAL_ALIAS, "virtual_alias_domains"},
                {p->virtual_mailbox_domains, CLASS_VIRTUAL_MAILBOX, "virtual_mailbox_domains"},
                {p->relay_domains, CLASS_RELAY, "relay_domains"},
        };
        for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
                if (!lists[i].list)
                        return why_set(why, -EAGAIN, "%s could not be opened", lists[i].name);
                switch (await_match_list_find(lists[i].list, domain, arena, NULL, why)) {
                case TABLE_FOUND:
                        return set_class(out, lists[i].class);
                case TABLE_NOT_FOUND:
                        break;
                case TABLE_ERROR:
                        return why_prefix(why, -EAGAIN, "%s", lists[i].name);
                }
        }
        return set_class(out, CLASS_DEFAULT);
}

struct str policy_domain(const struct policy *p, const struct smtp_address *address)
{
        return str_is_empty(address->domain) ? p->params->myorigin : address->domain;
}
