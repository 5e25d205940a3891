/*
 * local.c - what local(8) would do with a user of mydestination, once his aliases are followed
 *
 * Nothing here delivers to users of this machine, but local(8) also sends users on, in this order:
 *
 *      mailbox_transport_maps, mailbox_transport       everybody
 *      a mailbox of the system                         who is in passwd: not here, their mail waits
 *      fallback_transport_maps, fallback_transport     everybody else
 *      luser_relay                                     an address instead
 *
 * Maps are asked the user's name alone, in lower case and without its extension. In Postfix, mail for a
 * postmaster whom none of these names is thrown away; here it waits, as for a user of the system.
 */
#include "policy/policy_private.h"

#include "policy/template.h"

#include <errno.h>

bool policy_local_sends_on(const struct params *params)
{
        return !str_is_empty(params->mailbox_transport) ||
               !str_is_empty(params->mailbox_transport_maps) ||
               !str_is_empty(params->fallback_transport) ||
               !str_is_empty(params->fallback_transport_maps) || !str_is_empty(params->luser_relay);
}

struct user {
        const struct smtp_address *address;
        const struct params *params;
        struct str name, extension;
        struct str whole; /* the address without quotes */
        struct arena *arena;
};

/* A map's word on this user, else the parameter's. 1: there is one, 0 or -EAGAIN. */
static int await_transport(const struct user *u, struct table_list *maps, const char *maps_name,
                           struct str text, const char *name, struct policy_local *out,
                           struct why *why)
{
        if (!maps)
                return why_set(why, -EAGAIN, "%s could not be opened", maps_name);
        *out = (struct policy_local){LOCAL_BY_TRANSPORT, maps_name, {"", 0}};
        switch (await_table_list_find_plain(maps, u->name, u->arena, &out->value, why)) {
        case TABLE_FOUND:
                return 1;
        case TABLE_ERROR:
                return why_prefix(why, -EAGAIN, "%s", maps_name);
        case TABLE_NOT_FOUND:
                break;
        }
        out->parameter = name;
        out->value = str_trim(text);
        return out->value.len > 0;
}

/* The names of luser_relay (postconf(5)); who is unknown has no home and no shell. */
static struct str value_of(void *context, struct str name)
{
        const struct user *u = context;
        const struct {
                const char *name;
                struct str value;
        } values[] = {
                {"user", u->name},
                {"local", u->address->local},
                {"extension", u->extension},
                {"domain", u->address->domain},
                {"recipient", u->whole},
                {"recipient_delimiter",
                 u->extension.len ? str_part(u->params->recipient_delimiter, 0, 1) : STR("")},
        };
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
                if (str_eq(name, str_from(values[i].name)))
                        return values[i].value;
        return STR("");
}

/*
 * The address that luser_relay means for this user. Names of strangers come in unquoted, and may have blanks, commas and quotes: what
 * they make is one address all the same, never two.
 */
static struct str luser_address(struct user *u)
{
        struct str text = u->params->luser_relay;
        if (str_find(text, '$') < 0)
                return text;
        struct str value = template_expand(text, value_of, u, u->arena);
        ptrdiff_t at = str_find_last(value, '@');
        struct str domain = at < 0 ? STR("") : str_tail(value, (size_t)at + 1);
        if (!smtp_domain_is_valid(domain) && !smtp_domain_is_literal(domain))
                return smtp_address_make(value, STR(""), u->arena).text;
        if (at == 0) /* a domain for everybody */
                return value;
        return smtp_address_make(str_part(value, 0, (size_t)at), domain, u->arena).text;
}

static bool is_required(struct str name)
{
        return str_eq(name, STR("postmaster")) || str_eq(name, STR("mailer-daemon"));
}

int await_policy_local(struct policy *p, const struct smtp_address *recipient, struct arena *arena,
                       struct policy_local *out, struct why *why)
{
        const struct params *params = p->params;
        struct str value;
        struct user u = {.address = recipient,
                         .params = params,
                         .name = arena_str_lower(arena, recipient->local),
                         .whole = arena_printf(arena, "%.*s@%.*s", STR_ARG(recipient->local),
                                               STR_ARG(recipient->domain)),
                         .arena = arena};
        *out = (struct policy_local){LOCAL_MAILBOX, "", {"", 0}};
        if (!policy_local_sends_on(params))
                return 0;
        struct str bare;
        if (extension_split(u.name, params->recipient_delimiter, &bare)) {
                u.extension = str_tail(recipient->local, bare.len + 1);
                u.name = bare;
        }
        int rc = await_transport(&u, p->mailbox_transport_maps, "mailbox_transport_maps",
                                 params->mailbox_transport, "mailbox_transport", out, why);
        if (rc)
                return rc < 0 ? rc : 0;
        *out = (struct policy_local){LOCAL_MAILBOX, "", {"", 0}};
        if (!p->system_users)
                return why_set(why, -EAGAIN, "the system's users cannot be asked");
        switch (await_table_list_find(p->system_users, u.name, arena, &value, why)) {
        case TABLE_FOUND:
                return 0;
        case TABLE_ERROR:
                return -EAGAIN;
        case TABLE_NOT_FOUND:
                break;
        }
        rc = await_transport(&u, p->fallback_transport_maps, "fallback_transport_maps",
                             params->fallback_transport, "fallback_transport", out, why);
        if (rc)
                return rc < 0 ? rc : 0;
        *out = (struct policy_local){
                is_required(u.name) ? LOCAL_MAILBOX : LOCAL_UNKNOWN, "", {"", 0}};
        if (!str_is_empty(params->luser_relay) && out->end == LOCAL_UNKNOWN)
                *out = (struct policy_local){LOCAL_BY_ADDRESS, "luser_relay", luser_address(&u)};
        return 0;
}
