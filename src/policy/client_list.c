/*
 * client_list.c - clients by name or address: smtpd_authorized_xclient_hosts and its kin
 *
 * The first item that fits decides; "!" in front of it makes that a no. A name is the client's verified one: whoever
 * owns an address's reverse zone can call it anything, but not make the name point back. A table is asked for the
 * name and its parents, and for the address; a /file has addresses and networks alone.
 */
#include "policy/policy_private.h"

#include <arpa/inet.h>

enum { CLIENTS_MAX = 10000 };

static void bad_item(struct str item, const struct why *why, struct place at,
                     struct findings *findings)
{
        findings_add(findings, SEVERITY_ERROR, "bad-network", at,
                     "write 192.0.2.0/24, host.example.com or .example.com", "\"%.*s\": %s",
                     STR_ARG(str_part(item, 0, 200)), why->text);
}

static bool is_name(struct str item)
{
        unsigned char bits[16];
        if (str_starts(item, STR(".")))
                item = str_tail(item, 1);
        return smtp_domain_is_valid(item) && !network_address_parse(item, bits);
}

static void compile_item(struct client_item *to, struct str item, bool parents_match,
                         struct place at, struct table_set *tables, struct findings *findings)
{
        struct why why;
        to->is_negated = str_starts(item, STR("!"));
        if (to->is_negated)
                item = str_tail(item, 1);
        if (networks_item_needs_table(item)) {
                to->addresses = match_list_open(tables, item, MATCH_ADDRESS, false, at, findings);
                if (!str_starts(item, STR("/")))
                        to->names = match_list_open(tables, item, MATCH_DOMAIN, parents_match, at,
                                                    findings);
        } else if (is_name(item)) {
                to->name = item;
        } else if (network_parse(item, &to->network, &why) < 0) {
                bad_item(item, &why, at, findings);
                to->name = STR("."); /* fits nobody */
        }
}

void client_list_compile(struct client_list *l, struct str text, bool parents_match,
                         struct place at, struct table_set *tables, struct arena *arena,
                         struct findings *findings)
{
        size_t count = 0;
        struct str rest = text;
        struct str item;
        while (count < CLIENTS_MAX && config_list_next(&rest, &item))
                count++;
        if (config_list_next(&rest, &item))
                findings_add(findings, SEVERITY_ERROR, "too-many-networks", at,
                             "put them into a table", "more than %d clients", (int)CLIENTS_MAX);
        *l = (struct client_list){.items = arena_array(arena, struct client_item, count + 1),
                                  .parents_match = parents_match};
        while (l->count < count && config_list_next(&text, &item))
                compile_item(&l->items[l->count++], item, parents_match, at, tables, findings);
}

/* ---- a client ---- */

struct client_key {
        const unsigned char *bits;
        struct str address;
        struct str name; /* empty: there is no verified one */
};

static bool fits_name(struct str item, struct str name, bool parents_match)
{
        if (str_eq_nocase(item, name))
                return true;
        if (name.len <= item.len || !str_ends_nocase(name, item))
                return false;
        if (parents_match)
                return name.ptr[name.len - item.len - 1] == '.';
        return str_starts(item, STR("."));
}

static enum table_result await_fits(const struct client_item *i, bool parents_match,
                                    const struct client_key *key, struct arena *arena,
                                    struct why *why)
{
        enum table_result result = TABLE_NOT_FOUND;
        if (i->name.len)
                return fits_name(i->name, key->name, parents_match) ? TABLE_FOUND : TABLE_NOT_FOUND;
        if (!i->addresses)
                return network_has(&i->network, key->bits) ? TABLE_FOUND : TABLE_NOT_FOUND;
        if (i->names && key->name.len)
                result = await_match_list_find(i->names, key->name, arena, NULL, why);
        if (result == TABLE_NOT_FOUND)
                result = await_match_list_find(i->addresses, key->address, arena, NULL, why);
        return result;
}

enum table_result await_client_list_find(const struct client_list *l, const unsigned char bits[16],
                                         struct str name, struct arena *arena, struct why *why)
{
        char text[INET6_ADDRSTRLEN];
        struct client_key key = {.bits = bits, .name = name};
        key.address = network_address_text(bits, text);
        for (size_t i = 0; i < l->count; i++) {
                enum table_result result =
                        await_fits(&l->items[i], l->parents_match, &key, arena, why);
                if (result == TABLE_FOUND && l->items[i].is_negated)
                        return TABLE_NOT_FOUND;
                if (result != TABLE_NOT_FOUND)
                        return result;
        }
        return TABLE_NOT_FOUND;
}
