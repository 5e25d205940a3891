/*
 * machine.c - defaults that only the machine can tell: its name, and which networks are its own
 *
 * Nothing here fails: a machine without a name or without interfaces gets cautious defaults. The
 * resolver is asked only for what main.cf leaves open, as it may take its time.
 */
#include "config/config_private.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

/* Our full name by the resolver, when it belongs to `name`. */
static struct str full_name(struct arena *arena, const char *name)
{
        struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM};
        struct addrinfo *list = NULL;
        struct str full = str_from(NULL);
        if (getaddrinfo(name, NULL, &hints, &list))
                return full;
        struct str canonical = str_from(list->ai_canonname);
        ptrdiff_t dot = str_find(canonical, '.');
        if (dot > 0 && str_eq_nocase(str_part(canonical, 0, (size_t)dot), str_from(name)))
                full = arena_str(arena, canonical);
        freeaddrinfo(list);
        return full;
}

void machine_init(struct machine *m, struct arena *arena, bool may_ask)
{
        if (m->is_fixed) {
                m->hostname = STR("host.example.com");
                return;
        }
        char name[256];
        if (gethostname(name, sizeof(name)) || !*name)
                snprintf(name, sizeof(name), "localhost");
        name[sizeof(name) - 1] = 0;
        m->hostname = str_from(NULL);
        if (!strchr(name, '.') && may_ask)
                m->hostname = full_name(arena, name);
        if (str_is_empty(m->hostname))
                m->hostname =
                        arena_printf(arena, "%s%s", name, strchr(name, '.') ? "" : ".localdomain");
}

/* How many leading bits of an interface's address are the network's, by the style. */
static int network_bits(const struct sockaddr *address, const struct sockaddr *mask,
                        struct str style)
{
        bool is_v4 = address->sa_family == AF_INET;
        if (str_eq(style, STR("host")))
                return is_v4 ? 32 : 128;
        if (is_v4 && str_eq(style, STR("class"))) {
                const struct sockaddr_in *in = (const void *)address;
                uint32_t host = ntohl(in->sin_addr.s_addr);
                return IN_CLASSA(host) ? 8 : IN_CLASSB(host) ? 16 : IN_CLASSC(host) ? 24 : 32;
        }
        if (!mask)
                return is_v4 ? 32 : 128;
        const unsigned char *bytes =
                is_v4 ? (const void *)&((const struct sockaddr_in *)(const void *)mask)->sin_addr
                      : (const void *)&((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr;
        int bits = 0;
        while (bits < (is_v4 ? 32 : 128) && (bytes[bits / 8] & (0x80 >> bits % 8)))
                bits++;
        return bits;
}

struct network_list {
        struct buf text;
        struct str style;
        bool wants_v4;
        bool wants_v6;
};

static void add_network(struct network_list *list, const struct sockaddr *address,
                        const struct sockaddr *mask)
{
        bool is_v4 = address->sa_family == AF_INET;
        if (is_v4 ? !list->wants_v4 : address->sa_family != AF_INET6 || !list->wants_v6)
                return;
        unsigned char bytes[16];
        memcpy(bytes,
               is_v4 ? (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr
                     : (const void *)&((const struct sockaddr_in6 *)(const void *)address)
                               ->sin6_addr,
               is_v4 ? 4 : 16);
        int bits = network_bits(address, mask, list->style);
        for (int i = bits; i < (is_v4 ? 32 : 128); i++)
                bytes[i / 8] &= (unsigned char)~(0x80 >> i % 8);
        char printed[INET6_ADDRSTRLEN], item[INET6_ADDRSTRLEN + 16];
        inet_ntop(is_v4 ? AF_INET : AF_INET6, bytes, printed, sizeof(printed));
        snprintf(item, sizeof(item), is_v4 ? "%s/%d" : "[%s]/%d", printed, bits);
        struct str rest = buf_str(&list->text), word;
        while (str_next_word(&rest, " ", &word))
                if (str_eq(word, str_from(item)))
                        return;
        buf_printf(&list->text, "%s%s", list->text.len ? " " : "", item);
}

static bool same_address(const struct sockaddr *a, const struct sockaddr *b)
{
        if (a->sa_family != b->sa_family)
                return false;
        if (a->sa_family == AF_INET)
                return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
                       ((const struct sockaddr_in *)(const void *)b)->sin_addr.s_addr;
        return memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                      &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr, 16) == 0;
}

/* The addresses that one item of inet_interfaces names, with the masks of their interfaces. */
static void add_named(struct network_list *list, const struct ifaddrs *interfaces, struct str item)
{
        char name[256];
        if (item.len >= 2 && item.ptr[0] == '[' && item.ptr[item.len - 1] == ']')
                item = str_part(item, 1, item.len - 2);
        if (item.len >= sizeof(name))
                return;
        snprintf(name, sizeof(name), "%.*s", STR_ARG(item));
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
        struct addrinfo *found = NULL;
        if (getaddrinfo(name, NULL, &hints, &found))
                return;
        for (const struct addrinfo *a = found; a; a = a->ai_next) {
                if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
                        continue;
                const struct ifaddrs *i = interfaces;
                while (i && !(i->ifa_addr && same_address(i->ifa_addr, a->ai_addr)))
                        i = i->ifa_next;
                add_network(list, a->ai_addr, i ? i->ifa_netmask : NULL);
        }
        freeaddrinfo(found);
}

struct str machine_networks(const struct machine *m, struct arena *arena, struct str style,
                            struct str interfaces, struct str protocols)
{
        struct network_list list = {.style = style};
        struct str rest = protocols, item;
        while (config_list_next(&rest, &item)) {
                bool is_all = str_eq_nocase(item, STR("all"));
                list.wants_v4 = list.wants_v4 || is_all || str_eq_nocase(item, STR("ipv4"));
                list.wants_v6 = list.wants_v6 || is_all || str_eq_nocase(item, STR("ipv6"));
        }
        if (m->is_fixed)
                return STR("127.0.0.0/8 [::1]/128");
        struct ifaddrs *all = NULL;
        if (getifaddrs(&all))
                all = NULL;
        buf_init(&list.text, 65536);
        for (rest = interfaces; config_list_next(&rest, &item);) {
                bool is_all = str_eq_nocase(item, STR("all"));
                bool is_loopback = str_eq_nocase(item, STR("loopback-only"));
                if (!is_all && !is_loopback) {
                        add_named(&list, all, item);
                        continue;
                }
                for (const struct ifaddrs *i = all; i; i = i->ifa_next)
                        if (i->ifa_addr && (i->ifa_flags & IFF_UP) &&
                            (is_all || (i->ifa_flags & IFF_LOOPBACK)))
                                add_network(&list, i->ifa_addr, i->ifa_netmask);
        }
        if (all)
                freeifaddrs(all);
        struct str networks = arena_str(arena, buf_str(&list.text));
        buf_done(&list.text);
        return str_is_empty(networks) ? STR("127.0.0.0/8 [::1]/128") : networks;
}
