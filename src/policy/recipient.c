/*
 * recipient.c - is this recipient one that its domain knows?
 *
 * Who is named in canonical maps or in virtual_alias_maps is known, whatever his domain. Otherwise the maps of the
 * domain's class decide; a class whose map parameter is empty knows everybody, as in Postfix. The
 * postmaster of a domain of ours is always known (RFC 5321 4.5.1); in Postfix only a bare
 * <postmaster> is. Tables are asked in lower case, as by Postfix's smtpd: also tables of patterns.
 */
#include "policy/policy_private.h"

#include <errno.h>

bool extension_split(struct str local, struct str delimiters, struct str *bare)
{
        /* these are never taken apart (Postfix: split_addr()) */
        if (str_eq_nocase(local, STR("postmaster")) || str_eq_nocase(local, STR("mailer-daemon")) ||
            str_eq_nocase(local, STR("double-bounce")))
                return false;
        bool is_list_address =
                str_starts_nocase(local, STR("owner-")) || str_ends_nocase(local, STR("-request"));
        if (is_list_address && str_find(delimiters, '-') >= 0)
                return false;
        for (size_t i = 1; i < local.len; i++) {
                if (str_find(delimiters, local.ptr[i]) < 0)
                        continue;
                *bare = str_part(local, 0, i);
                return true;
        }
        return false;
}

static enum table_result await_find(struct policy *p, struct table_list *list, const char *name,
                                    const struct smtp_address *recipient, enum address_class class,
                                    struct arena *arena, struct why *why)
{
        if (!list) {
                why_set(why, -EAGAIN, "%s could not be opened", name);
                return TABLE_ERROR;
        }
        struct str domain = arena_str_lower(arena, policy_domain(p, recipient));
        struct table_address address = {
                .local = arena_str_lower(arena, recipient->local),
                .domain = domain,
                .is_local = class == CLASS_LOCAL || str_eq_nocase(domain, p->params->myorigin),
                .delimiters = p->params->recipient_delimiter,
        };
        struct str value;
        enum table_result result =
                await_table_list_find_address(list, &address, arena, &value, NULL, why);
        if (result == TABLE_ERROR)
                why_prefix(why, -EAGAIN, "%s", name);
        return result;
}

/* The maps that change an address: who is named there is known. */
static enum table_result await_find_changed(struct policy *p, const struct smtp_address *address,
                                            enum listed_as as, enum address_class class,
                                            struct arena *arena, struct why *why)
{
        const struct {
                struct table_list *list;
                const char *name;
        } maps[] = {
                as == LISTED_SENDER
                        ? (typeof(maps[0])){p->sender_canonical_maps, "sender_canonical_maps"}
                        : (typeof(maps[0])){p->recipient_canonical_maps,
                                            "recipient_canonical_maps"},
                {p->canonical_maps, "canonical_maps"},
                {p->virtual_alias_maps, "virtual_alias_maps"},
        };
        enum table_result found = TABLE_NOT_FOUND;
        for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]) && found == TABLE_NOT_FOUND; i++)
                if (!maps[i].list || !table_list_is_empty(maps[i].list))
                        found = await_find(p, maps[i].list, maps[i].name, address, class, arena,
                                           why);
        return found;
}

int await_policy_listed(struct policy *p, const struct smtp_address *recipient, enum listed_as as,
                        enum address_class class, struct arena *arena, bool *is_listed,
                        struct why *why)
{
        *is_listed = true;
        if (str_eq_nocase(recipient->local, STR("postmaster")) &&
            (class != CLASS_DEFAULT || str_is_empty(recipient->domain)))
                return 0;
        struct table_list *list = NULL;
        struct str text = {0};
        const char *name = "";
        switch (class) {
        case CLASS_DEFAULT:
                return 0;
        case CLASS_LOCAL:
                /* made and taken in by the mail system itself */
                if (str_eq_nocase(recipient->local, STR("mailer-daemon")) ||
                    str_eq_nocase(recipient->local, p->params->double_bounce_sender))
                        return 0;
                list = p->local_recipient_maps;
                text = p->params->local_recipient_maps;
                name = "local_recipient_maps";
                break;
        case CLASS_VIRTUAL_ALIAS: /* the aliases are all that it has */
                break;
        case CLASS_VIRTUAL_MAILBOX:
                list = p->virtual_mailbox_maps;
                text = p->params->virtual_mailbox_maps;
                name = "virtual_mailbox_maps";
                break;
        case CLASS_RELAY:
                list = p->relay_recipient_maps;
                text = p->params->relay_recipient_maps;
                name = "relay_recipient_maps";
                break;
        }
        if (class != CLASS_VIRTUAL_ALIAS && str_is_empty(str_trim(text)))
                return 0;

        enum table_result found = await_find_changed(p, recipient, as, class, arena, why);
        if (found == TABLE_NOT_FOUND && class != CLASS_VIRTUAL_ALIAS)
                found = await_find(p, list, name, recipient, class, arena, why);
        if (found == TABLE_ERROR)
                return -EAGAIN;
        *is_listed = found == TABLE_FOUND;
        return 0;
}

int await_policy_recipient(struct policy *p, const struct smtp_address *recipient,
                           struct arena *arena, bool *is_listed, struct why *why)
{
        enum address_class class;
        int rc = await_policy_class(p, recipient->domain, arena, &class, why);
        return rc ? rc
                  : await_policy_listed(p, recipient, LISTED_RECIPIENT, class, arena, is_listed,
                                        why);
}
