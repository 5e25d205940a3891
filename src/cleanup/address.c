/*
 * address.c - what becomes of one address: completed, mapped, masqueraded (ADDRESS_REWRITING_README)
 *
 * In this order, as in Postfix: what is missing is put on (user@myorigin, user%domain, site!user);
 * sender_canonical_maps or recipient_canonical_maps; canonical_maps; masquerade_domains. Each only
 * for the uses that its classes name.
 */
#include "cleanup/cleanup_private.h"

#include <errno.h>

enum { MAP_DEPTH_MAX = 10 }; /* a result is asked again, as in Postfix */

/* ---- maps ---- */

/* What a table's value makes of `from`: "@domain" keeps the user; a bare user is at myorigin. */
static int read_value(const struct address_maps *m, const struct smtp_address *from,
                      struct str value, struct str extension, struct arena *arena,
                      struct smtp_address *out, struct why *why)
{
        struct smtp_address a;
        struct str local = from->local;
        value = str_trim(value);
        if (value.len > 1 && value.ptr[0] == '@') {
                if (extension.len && str_ends(local, extension))
                        local = str_part(local, 0, local.len - extension.len);
                a = smtp_address_make(local, str_tail(value, 1), arena);
        } else if (smtp_address_parse(value, arena, &a) || str_is_empty(a.text)) {
                return why_set(why, -EAGAIN, "%s: \"%.*s\" for <%.*s> is no address", m->name,
                               STR_ARG(str_part(value, 0, 200)), STR_ARG(from->text));
        }
        a = policy_complete(m->params, m->params->myorigin, m->params->mydomain, &a, arena);
        if (extension.len && m->propagates_extensions)
                a = smtp_address_make(
                        arena_printf(arena, "%.*s%.*s", STR_ARG(a.local), STR_ARG(extension)),
                        a.domain, arena);
        if (a.text.len > SMTP_PATH_BYTES_MAX)
                return why_set(why, -EAGAIN, "%s: <%.*s> grows to %zu bytes", m->name,
                               STR_ARG(from->text), a.text.len);
        *out = a;
        return 0;
}

int await_address_key(struct policy *policy, const struct params *params,
                      const struct smtp_address *address, struct arena *arena,
                      struct table_address *key, struct why *why)
{
        enum address_class class;
        int rc = await_policy_class(policy, address->domain, arena, &class, why);
        *key = (struct table_address){
                .local = address->local,
                .domain = address->domain,
                .is_local =
                        class == CLASS_LOCAL || str_eq_nocase(address->domain, params->myorigin),
                .delimiters = params->recipient_delimiter,
        };
        return rc;
}

enum table_result await_address_map(const struct address_maps *m,
                                    const struct smtp_address *address, struct arena *arena,
                                    struct smtp_address *out, struct why *why)
{
        struct table_address key;
        struct str value;
        struct str extension;
        if (!m->tables) {
                why_set(why, -EAGAIN, "%s could not be opened", m->name);
                return TABLE_ERROR;
        }
        if (table_list_is_empty(m->tables))
                return TABLE_NOT_FOUND;
        if (await_address_key(m->policy, m->params, address, arena, &key, why))
                return TABLE_ERROR;
        enum table_result result =
                await_table_list_find_address(m->tables, &key, arena, &value, &extension, why);
        if (result == TABLE_ERROR)
                why_prefix(why, -EAGAIN, "%s", m->name);
        if (result == TABLE_FOUND && read_value(m, address, value, extension, arena, out, why))
                return TABLE_ERROR;
        return result;
}

/* Asks again for what was found. */
static int await_map(struct cleanup *c, struct table_list *tables, const char *name,
                     struct smtp_address *address, struct why *why)
{
        const struct address_maps maps = {
                .name = name,
                .tables = tables,
                .policy = c->rules->policy,
                .params = c->params,
                .propagates_extensions = c->rules->propagates_extensions,
        };
        for (int depth = 0; depth < MAP_DEPTH_MAX; depth++) {
                struct smtp_address mapped;
                switch (await_address_map(&maps, address, c->arena, &mapped, why)) {
                case TABLE_NOT_FOUND:
                        return 0;
                case TABLE_ERROR:
                        return -EAGAIN;
                case TABLE_FOUND:
                        break;
                }
                bool is_same = str_eq_nocase(mapped.text, address->text);
                *address = mapped;
                if (is_same)
                        return 0;
        }
        return why_set(why, -EAGAIN, "%s: <%.*s> nests deeper than %d", name,
                       STR_ARG(address->text), (int)MAP_DEPTH_MAX);
}

/* ---- masquerading ---- */

static bool is_below(struct str domain, struct str parent)
{
        return domain.len > parent.len && str_ends_nocase(domain, parent) &&
               domain.ptr[domain.len - parent.len - 1] == '.';
}

static int await_masquerade(struct cleanup *c, struct smtp_address *address, struct why *why)
{
        struct str rest = c->params->masquerade_domains;
        struct str word;
        if (str_is_empty(address->domain))
                return 0;
        while (config_list_next(&rest, &word)) {
                bool is_exempt = word.len && word.ptr[0] == '!';
                struct str parent = str_tail(word, is_exempt);
                bool is_equal = str_eq_nocase(address->domain, parent);
                if (!is_equal && !is_below(address->domain, parent))
                        continue;
                if (is_exempt || is_equal)
                        return 0;
                if (!c->rules->masquerade_exceptions)
                        return why_set(why, -EAGAIN, "masquerade_exceptions could not be opened");
                switch (await_match_list_find(c->rules->masquerade_exceptions, address->local,
                                              c->arena, NULL, why)) {
                case TABLE_FOUND:
                        return 0;
                case TABLE_ERROR:
                        return why_prefix(why, -EAGAIN, "masquerade_exceptions");
                case TABLE_NOT_FOUND:
                        break;
                }
                *address = smtp_address_make(address->local, parent, c->arena);
                return 0;
        }
        return 0;
}

/* ---- all of it ---- */

int await_clean_address(struct cleanup *c, enum address_use use, const struct smtp_address *address,
                        struct smtp_address *out, struct why *why)
{
        const struct cleanup_rules *r = c->rules;
        bool is_sender = use & (USE_ENVELOPE_SENDER | USE_HEADER_SENDER);
        struct smtp_address a = *address;
        int rc = 0;
        *out = a;
        if (str_is_empty(a.text))
                return 0;
        if (is_sender && (r->sender_canonical_uses & use))
                rc = await_map(c, r->sender_canonical_maps, "sender_canonical_maps", &a, why);
        if (!is_sender && (r->recipient_canonical_uses & use))
                rc = await_map(c, r->recipient_canonical_maps, "recipient_canonical_maps", &a, why);
        if (rc == 0 && (r->canonical_uses & use))
                rc = await_map(c, r->canonical_maps, "canonical_maps", &a, why);
        if (rc == 0 && (r->masquerade_uses & use))
                rc = await_masquerade(c, &a, why);
        if (rc == 0)
                *out = a;
        return rc;
}

static enum rewrite_context await_find_context(struct cleanup *c)
{
        const struct cleanup_rules *r = c->rules;
        const struct policy_facts *facts = c->work.facts;
        bool is_local =
                r->rewrites_all || str_is_empty(facts->client_address) ||
                (r->rewrites_own && policy_is_own(r->policy, facts->client_bits)) ||
                (r->rewrites_mynetworks && policy_is_mynetwork(r->policy, facts->client_bits));
        struct str value;
        struct why why;
        if (!is_local && r->rewrite_tables && !table_list_is_empty(r->rewrite_tables))
                switch (await_table_list_find(r->rewrite_tables, facts->client_address, c->arena,
                                              &value, &why)) {
                case TABLE_FOUND:
                        is_local = true;
                        break;
                case TABLE_NOT_FOUND:
                        break;
                case TABLE_ERROR:
                        cleanup_refuse(c, 451, "4.3.0", STR("Temporary lookup failure"));
                        break;
                }
        if (is_local)
                return REWRITE_LOCAL;
        return str_is_empty(c->params->remote_header_rewrite_domain) ? REWRITE_NONE
                                                                     : REWRITE_REMOTE;
}

enum rewrite_context await_rewrite_context(struct cleanup *c)
{
        if (c->context == REWRITE_UNKNOWN)
                c->context = await_find_context(c);
        return c->context;
}

bool await_cleanup_is_local(struct cleanup *c)
{
        return await_rewrite_context(c) == REWRITE_LOCAL;
}
