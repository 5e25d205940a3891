/* endpoint.c - where a service of our own network listens, and the way there */
#include "wire/endpoint.h"

#include "loop/pool.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/un.h>

enum { HOST_BYTES_MAX = 255, PORT_BYTES_MAX = 31, ADDRESSES_MAX = 8 };

static int bad(struct str text, const char *cure, struct why *why)
{
        return why_set(why, -EINVAL, "\"%.*s\" is no address of a service: %s",
                       (int)(text.len > 200 ? 200 : text.len), text.ptr, cure);
}

static int parse_path(struct str text, struct str path, struct str dir, struct arena *arena,
                      struct endpoint *out, struct why *why)
{
        if (path.len == 0)
                return bad(text, "write unix:path", why);
        out->path = path.ptr[0] == '/'
                            ? arena_str(arena, path)
                            : arena_printf(arena, "%.*s/%.*s", STR_ARG(dir), STR_ARG(path));
        if (out->path.len >= sizeof(((struct sockaddr_un *)0)->sun_path))
                return bad(text, "the path of a socket has at most 107 bytes", why);
        return 0;
}

int endpoint_parse(struct str text, struct str dir, struct arena *arena, struct endpoint *out,
                   struct why *why)
{
        *out = (struct endpoint){.text = arena_str(arena, text)};
        struct str rest = text;
        if (str_starts_nocase(rest, STR("unix:")))
                return parse_path(text, str_tail(rest, 5), dir, arena, out, why);
        if (str_starts_nocase(rest, STR("inet:")))
                rest = str_tail(rest, 5);
        ptrdiff_t colon = str_find_last(rest, ':');
        if (colon < 0)
                return bad(text, "write inet:host:port or unix:path", why);
        struct str host = str_part(rest, 0, (size_t)colon);
        struct str port = str_tail(rest, (size_t)colon + 1);
        if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
                host = str_part(host, 1, host.len - 2);
        else if (str_find(host, ':') >= 0)
                return bad(text, "an IPv6 address stands in brackets: inet:[::1]:port", why);
        if (host.len == 0 || host.len > HOST_BYTES_MAX || port.len == 0 ||
            port.len > PORT_BYTES_MAX)
                return bad(text, "write inet:host:port", why);
        out->host = arena_str(arena, host);
        out->port = arena_str(arena, port);
        return 0;
}

/* ---- connecting ---- */

struct lookup {
        char host[HOST_BYTES_MAX + 1];
        char port[PORT_BYTES_MAX + 1];
        int flags;
        struct addrinfo *found;
};

static int look_up(void *arg)
{
        struct lookup *l = arg;
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = l->flags};
        return getaddrinfo(l->host, l->port, &hints, &l->found);
}

/* An address with a number needs nobody's help. */
static int await_look_up(struct lookup *l, struct str text)
{
        l->flags = AI_NUMERICHOST | AI_NUMERICSERV;
        if (look_up(l) == 0)
                return 0;
        l->flags = 0;
        return await_pool_run_if_wanted("looking up", text, look_up, l);
}

static int await_connect_inet(const struct endpoint *e, int64_t deadline_ms, struct wire **out,
                              struct why *why)
{
        struct lookup l = {.found = NULL};
        snprintf(l.host, sizeof(l.host), "%.*s", STR_ARG(e->host));
        snprintf(l.port, sizeof(l.port), "%.*s", STR_ARG(e->port));
        int rc = await_look_up(&l, e->text);
        if (rc)
                return why_set(why, -EHOSTUNREACH, "%.*s: %s", STR_ARG(e->text), gai_strerror(rc));
        rc = -EHOSTUNREACH;
        int count = 0;
        for (struct addrinfo *a = l.found; a && rc && count < ADDRESSES_MAX;
             a = a->ai_next, count++)
                rc = await_wire_connect(a->ai_addr, a->ai_addrlen, NULL, deadline_ms, out, why);
        freeaddrinfo(l.found);
        return rc ? why_prefix(why, rc, "%.*s", STR_ARG(e->text)) : 0;
}

int await_endpoint_connect(const struct endpoint *e, int64_t deadline_ms, struct wire **out,
                           struct why *why)
{
        *out = NULL;
        if (e->host.len)
                return await_connect_inet(e, deadline_ms, out, why);
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        memcpy(to.sun_path, e->path.ptr, e->path.len);
        int rc = await_wire_connect((const struct sockaddr *)&to, sizeof(to), NULL, deadline_ms,
                                    out, why);
        return rc ? why_prefix(why, rc, "%.*s", STR_ARG(e->text)) : 0;
}
