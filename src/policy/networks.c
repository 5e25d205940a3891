/*
 * networks.c - sets of networks: mynetworks, core_relays, our own addresses
 *
 * A session asks these for every client, so plain networks are kept as bits and compared in place.
 * The first item that matches decides; "!" in front of it makes that a no. A parameter that names a
 * table or a file is left to match_list as a whole, because the order of its items counts.
 */
#include "policy/policy_private.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>

enum { NETWORKS_MAX = 10000 };

bool networks_item_needs_table(struct str item)
{
        if (str_starts(item, STR("!")))
                item = str_tail(item, 1);
        if (str_starts(item, STR("/")))
                return true;
        /* a bracket before the first colon: an IPv6 address */
        ptrdiff_t colon = str_find(item, ':');
        ptrdiff_t bracket = str_find(item, '[');
        return colon > 0 && (bracket < 0 || bracket > colon);
}

static bool text_needs_table(struct str text)
{
        struct str item;
        while (config_list_next(&text, &item))
                if (networks_item_needs_table(item))
                        return true;
        return false;
}

void networks_compile(struct networks *n, struct str text, struct place at,
                      struct table_set *tables, struct arena *arena, struct findings *findings)
{
        *n = (struct networks){0};
        if (text_needs_table(text)) {
                n->others = match_list_open(tables, text, MATCH_ADDRESS, false, at, findings);
                return;
        }
        size_t count = 0;
        struct str rest = text;
        struct str item;
        while (config_list_next(&rest, &item) && count < NETWORKS_MAX)
                count++;
        n->items = arena_array(arena, struct network_item, count + 1);
        rest = text;
        while (n->count < count && config_list_next(&rest, &item)) {
                struct network_item *to = &n->items[n->count];
                struct why why;
                to->is_negated = str_starts(item, STR("!"));
                if (to->is_negated)
                        item = str_tail(item, 1);
                if (network_parse(item, &to->network, &why) == 0)
                        n->count++;
                else
                        findings_add(findings, SEVERITY_ERROR, "bad-network", at,
                                     "write 192.0.2.0/24 or [2001:db8::]/32", "%s", why.text);
        }
        if (config_list_next(&rest, &item))
                findings_add(findings, SEVERITY_ERROR, "too-many-networks", at,
                             "put them into a cidr: table", "more than %d networks",
                             (int)NETWORKS_MAX);
}

struct str network_address_text(const unsigned char bits[16], char out[INET6_ADDRSTRLEN])
{
        static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
        bool is_ipv4 = memcmp(bits, mapped, sizeof(mapped)) == 0;
        inet_ntop(is_ipv4 ? AF_INET : AF_INET6, is_ipv4 ? bits + 12 : bits, out, INET6_ADDRSTRLEN);
        return str_from(out);
}

enum table_result await_networks_find(const struct networks *n, const unsigned char bits[16],
                                      struct arena *arena, struct why *why)
{
        for (size_t i = 0; i < n->count; i++)
                if (network_has(&n->items[i].network, bits))
                        return n->items[i].is_negated ? TABLE_NOT_FOUND : TABLE_FOUND;
        if (!n->others)
                return TABLE_NOT_FOUND;
        char text[INET6_ADDRSTRLEN];
        return await_match_list_find(n->others, network_address_text(bits, text), arena, NULL, why);
}

/* ---- our own addresses ---- */

static void add_address(struct networks *n, const struct sockaddr *sa, struct arena *arena)
{
        struct network own = {.prefix_bits = 128};
        if (sa && sa->sa_family == AF_INET) {
                own.address[10] = own.address[11] = 0xff;
                memcpy(own.address + 12, &((const struct sockaddr_in *)(const void *)sa)->sin_addr,
                       4);
        } else if (sa && sa->sa_family == AF_INET6) {
                memcpy(own.address, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr,
                       16);
        } else {
                return;
        }
        for (size_t i = 0; i < n->count; i++)
                if (network_has(&n->items[i].network, own.address))
                        return;
        if (n->count == NETWORKS_MAX)
                return;
        /* room for a power of two; the old array stays in the arena until the policy ends */
        if ((n->count & (n->count - 1)) == 0) {
                struct network_item *items =
                        arena_array(arena, struct network_item, n->count ? n->count * 2 : 1);
                if (n->count)
                        memcpy(items, n->items, n->count * sizeof(*items));
                n->items = items;
        }
        n->items[n->count++].network = own;
}

static bool sockaddr_is_loopback(const struct sockaddr *sa)
{
        if (sa->sa_family == AF_INET) {
                const struct sockaddr_in *in = (const void *)sa;
                return ntohl(in->sin_addr.s_addr) >> 24 == 127;
        }
        const struct sockaddr_in6 *in6 = (const void *)sa;
        return sa->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static void add_interfaces(struct networks *n, bool is_loopback_only, struct arena *arena)
{
        struct ifaddrs *all;
        if (getifaddrs(&all))
                return;
        for (const struct ifaddrs *i = all; i; i = i->ifa_next)
                if (i->ifa_addr && (!is_loopback_only || sockaddr_is_loopback(i->ifa_addr)))
                        add_address(n, i->ifa_addr, arena);
        freeifaddrs(all);
}

/* An address, or the name of a host, which is looked up: at load only. */
static void add_host(struct networks *n, struct str host, struct arena *arena)
{
        if (host.len > 2 && host.ptr[0] == '[' && str_ends(host, STR("]")))
                host = str_part(host, 1, host.len - 2);
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
        struct addrinfo *found;
        if (getaddrinfo(arena_str(arena, host).ptr, NULL, &hints, &found))
                return; /* whoever listens there says so */
        for (const struct addrinfo *i = found; i; i = i->ai_next)
                add_address(n, i->ai_addr, arena);
        freeaddrinfo(found);
}

void networks_own(struct networks *n, struct str inet_interfaces, struct str proxy_interfaces,
                  struct arena *arena)
{
        *n = (struct networks){0};
        struct str item;
        while (config_list_next(&inet_interfaces, &item)) {
                if (str_eq_nocase(item, STR("all")))
                        add_interfaces(n, false, arena);
                else if (str_eq_nocase(item, STR("loopback-only")))
                        add_interfaces(n, true, arena);
                else
                        add_host(n, item, arena);
        }
        while (config_list_next(&proxy_interfaces, &item))
                add_host(n, item, arena);
}
