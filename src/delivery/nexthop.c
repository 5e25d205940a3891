/*
 * nexthop.c - a next hop's text taken apart (transport(5), "[host]:port")
 *
 * Pure, but for names of ports, which the C library looks up in /etc/services; numbers do not go there.
 */
#include "delivery/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>

enum { HOST_BYTES_MAX = 255, PORT_NAME_BYTES_MAX = 32 };

int nexthop_port_parse(struct str text, uint16_t *port)
{
        int64_t number;
        if (str_to_int64(text, 1, 65535, &number) == 0) {
                *port = (uint16_t)number;
                return 0;
        }
        /* the ports of mail: asked for each message, and a small system has no /etc/services */
        static const struct {
                struct str name;
                uint16_t port;
        } known[] = {
                {STR_INIT("smtp"), 25},         {STR_INIT("submission"), 587},
                {STR_INIT("submissions"), 465}, {STR_INIT("smtps"), 465},
                {STR_INIT("lmtp"), 24},
        };
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
                if (str_eq(text, known[i].name)) {
                        *port = known[i].port;
                        return 0;
                }
        }
        char name[PORT_NAME_BYTES_MAX];
        char scratch[1024];
        struct servent entry;
        struct servent *found = NULL;
        if (text.len == 0 || text.len >= sizeof(name) || char_is_digit(text.ptr[0]))
                return -EINVAL;
        snprintf(name, sizeof(name), "%.*s", STR_ARG(text));
        if (getservbyname_r(name, "tcp", &entry, scratch, sizeof(scratch), &found) != 0 || !found)
                return -EINVAL;
        *port = ntohs((uint16_t)entry.s_port);
        return 0;
}

/* Printable, no blanks, nothing that a log line or a command could trip over. */
static bool is_host(struct str host)
{
        if (host.len == 0 || host.len > HOST_BYTES_MAX)
                return false;
        for (size_t i = 0; i < host.len; i++) {
                unsigned char c = (unsigned char)host.ptr[i];
                if (c <= ' ' || c == 0x7f || strchr("[]<>(),;\"\\", c))
                        return false;
        }
        return true;
}

static bool is_ipv6(struct str text)
{
        char address[64];
        struct in6_addr bits;
        if (text.len >= sizeof(address))
                return false;
        snprintf(address, sizeof(address), "%.*s", STR_ARG(text));
        return inet_pton(AF_INET6, address, &bits) == 1;
}

/* Takes "[host]" off the front; what follows is empty or ":port". */
static int bracket_parse(struct str *rest, struct nexthop *out)
{
        ptrdiff_t end = str_find(*rest, ']');
        if (end < 0)
                return -EINVAL;
        out->host = str_part(*rest, 1, (size_t)end - 1);
        *rest = str_tail(*rest, (size_t)end + 1);
        bool is_marked = str_starts_nocase(out->host, STR("ipv6:"));
        if (is_marked)
                out->host = str_tail(out->host, 5);
        bool has_colon = str_find(out->host, ':') >= 0;
        return (is_marked || has_colon) && !is_ipv6(out->host) ? -EINVAL : 0;
}

int nexthop_parse(struct str text, uint16_t default_port, struct nexthop *out)
{
        struct str rest = str_trim(text);
        *out = (struct nexthop){.port = default_port, .wants_mx = true, .wants_srv = true};
        if (rest.len && rest.ptr[0] == '[') {
                out->wants_mx = out->wants_srv = false;
                if (bracket_parse(&rest, out) < 0)
                        return -EINVAL;
        } else {
                ptrdiff_t colon = str_find(rest, ':');
                size_t len = colon < 0 ? rest.len : (size_t)colon;
                out->host = str_part(rest, 0, len);
                rest = str_tail(rest, len);
        }
        if (!is_host(out->host))
                return -EINVAL;
        if (rest.len == 0)
                return 0;
        out->service = str_tail(rest, 1);
        return rest.ptr[0] == ':' ? nexthop_port_parse(out->service, &out->port) : -EINVAL;
}

bool nexthop_next(struct str *list, struct str *text)
{
        return str_next_word(list, ", \t\r\n", text);
}
