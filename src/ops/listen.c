/*
 * listen.c - the sockets that the server listens on
 *
 * With SO_REUSEPORT a second server of the same user could share our address without a word. So each
 * address is first bound without it: that fails when anybody listens there.
 */
#include "ops/listen.h"

#include "base/check.h"
#include "base/why.h"
#include "delivery/route.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

struct plan {
        const struct config *config;
        struct listen_set *set;
        struct findings *findings;
        bool has_ipv4, has_ipv6;
};

/* ---- which addresses ---- */

static void read_protocols(struct plan *p)
{
        struct str rest = p->config->params.inet_protocols;
        struct str word;
        while (config_list_next(&rest, &word)) {
                bool is_all = str_eq_nocase(word, STR("all"));
                bool is_ipv4 = str_eq_nocase(word, STR("ipv4"));
                bool is_ipv6 = str_eq_nocase(word, STR("ipv6"));
                if (!is_all && !is_ipv4 && !is_ipv6)
                        findings_add(p->findings, SEVERITY_ERROR, "bad-protocol",
                                     config_place(p->config, "inet_protocols"),
                                     "ipv4, ipv6, or all", "inet_protocols: \"%.*s\" is none",
                                     STR_ARG(word));
                p->has_ipv4 = p->has_ipv4 || is_all || is_ipv4;
                p->has_ipv6 = p->has_ipv6 || is_all || is_ipv6;
        }
}

static void print_address(struct listen_address *a)
{
        char host[64] = "";
        char port[8] = "";
        getnameinfo((const struct sockaddr *)&a->address, a->address_len, host, sizeof(host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
        const char *format = a->address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(a->text, sizeof(a->text), format, host, port);
#pragma GCC diagnostic pop
}

static void add(struct plan *p, size_t service, const struct addrinfo *info, bool is_optional)
{
        struct listen_address a = {.service = service,
                                   .address_len = info->ai_addrlen,
                                   .at = p->config->services[service].at,
                                   .is_optional = is_optional};
        memcpy(&a.address, info->ai_addr, info->ai_addrlen);
        print_address(&a);
        const struct listen_address *other = listen_find(p->set, a.text);
        if (other && other->service != service)
                findings_add(p->findings, SEVERITY_ERROR, "address-twice", a.at,
                             "give one of them another port", "%s is listened on already (%.*s:%d)",
                             a.text, STR_ARG(other->at.file), other->at.line);
        if (other)
                return;
        a.fds = malloc(p->set->loop_count * sizeof(*a.fds));
        struct listen_address *list =
                realloc(p->set->list, (p->set->count + 1) * sizeof(*p->set->list));
        check(a.fds && list);
        for (size_t i = 0; i < p->set->loop_count; i++)
                a.fds[i] = -1;
        p->set->list = list;
        list[p->set->count++] = a;
}

/* All addresses of `host` (NULL: the wildcards), as far as inet_protocols wants them. */
static void add_host(struct plan *p, size_t service, const char *host, struct place at,
                     bool is_optional)
{
        const struct service *s = &p->config->services[service];
        uint16_t number;
        if (nexthop_port_parse(s->port, &number) < 0) {
                findings_add(p->findings, SEVERITY_ERROR, "unknown-port", s->at,
                             "a number, or a name of /etc/services", "no such port: \"%.*s\"",
                             STR_ARG(s->port));
                return;
        }
        char port[8];
        snprintf(port, sizeof(port), "%u", number);
        const struct addrinfo hints = {.ai_family = p->has_ipv4 && p->has_ipv6 ? AF_UNSPEC
                                                    : p->has_ipv6              ? AF_INET6
                                                                               : AF_INET,
                                       .ai_socktype = SOCK_STREAM,
                                       .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
        struct addrinfo *found = NULL;
        int rc = getaddrinfo(host, port, &hints, &found);
        if (rc != 0 && !is_optional)
                findings_add(p->findings, SEVERITY_ERROR, "unknown-host", at,
                             "an address of this machine, or a name that has one",
                             "cannot listen on \"%s\": %s", host ? host : "all", gai_strerror(rc));
        for (const struct addrinfo *a = found; rc == 0 && a; a = a->ai_next)
                add(p, service, a, is_optional || (found->ai_next && a->ai_family == AF_INET6));
        if (rc == 0)
                freeaddrinfo(found);
}

static void add_interfaces(struct plan *p, size_t service)
{
        struct place at = config_place(p->config, "inet_interfaces");
        struct str rest = p->config->params.inet_interfaces;
        struct str word;
        while (config_list_next(&rest, &word)) {
                char host[256];
                snprintf(host, sizeof(host), "%.*s", STR_ARG(word));
                if (str_eq_nocase(word, STR("all"))) {
                        add_host(p, service, NULL, at, false);
                } else if (str_eq_nocase(word, STR("loopback-only"))) {
                        if (p->has_ipv4)
                                add_host(p, service, "127.0.0.1", at, false);
                        if (p->has_ipv6)
                                add_host(p, service, "::1", at, p->has_ipv4);
                } else {
                        add_host(p, service, host, at, false);
                }
        }
}

void listen_plan(const struct config *c, size_t loop_count, struct listen_set *out,
                 struct findings *findings)
{
        *out = (struct listen_set){.loop_count = loop_count};
        struct plan p = {.config = c, .set = out, .findings = findings};
        read_protocols(&p);
        for (size_t i = 0; i < c->service_count; i++) {
                const struct service *s = &c->services[i];
                if (!s->is_inet)
                        continue;
                size_t before = out->count;
                size_t errors = findings->count[SEVERITY_ERROR];
                char host[256];
                snprintf(host, sizeof(host), "%.*s", STR_ARG(s->host));
                if (s->host.len)
                        add_host(&p, i, host, s->at, false);
                else
                        add_interfaces(&p, i);
                if (out->count == before && findings->count[SEVERITY_ERROR] == errors)
                        findings_add(findings, SEVERITY_ERROR, "no-address", s->at,
                                     "see inet_interfaces and inet_protocols",
                                     "service %.*s has no address to listen on", STR_ARG(s->name));
        }
}

/* ---- sockets ---- */

/* A bound socket, or a negative errno value. */
static int bind_socket(const struct listen_address *a, bool is_shared)
{
        int fd = socket(a->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        int one = 1;
        int rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (rc == 0 && is_shared)
                rc = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
        if (rc == 0 && a->address.ss_family == AF_INET6)
                rc = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
        if (rc == 0)
                rc = bind(fd, (const struct sockaddr *)&a->address, a->address_len);
        if (rc == 0)
                return fd;
        int code = -errno;
        close(fd);
        return code;
}

static int open_sockets(struct listen_address *a, size_t count)
{
        int probe = bind_socket(a, false);
        if (probe < 0)
                return probe;
        close(probe);
        for (size_t i = 0; i < count; i++) {
                a->fds[i] = bind_socket(a, true);
                if (a->fds[i] < 0)
                        return a->fds[i];
        }
        return 0;
}

static void close_sockets(struct listen_address *a, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                if (a->fds[i] >= 0)
                        close(a->fds[i]);
                a->fds[i] = -1;
        }
}

static void report(const struct listen_address *a, int code, struct findings *findings)
{
        const char *cure = NULL;
        if (code == -EADDRINUSE)
                cure = "another server listens there: ss -ltnp tells which";
        else if (code == -EADDRNOTAVAIL)
                cure = "it is not an address of this machine: ip address lists those that are";
        else if (code == -EACCES)
                cure = "ports below 1024 need root";
        findings_add(findings, SEVERITY_ERROR, "cannot-listen", a->at, cure,
                     "cannot listen on %s: %s", a->text, why_errno(code));
}

static void remove_address(struct listen_set *set, size_t i)
{
        close_sockets(&set->list[i], set->loop_count);
        free(set->list[i].fds);
        memmove(&set->list[i], &set->list[i + 1], (set->count - i - 1) * sizeof(*set->list));
        set->count--;
}

void listen_open(struct listen_set *set, struct findings *findings)
{
        for (size_t i = 0; i < set->count;) {
                struct listen_address *a = &set->list[i];
                int rc = a->fds[0] >= 0 ? 0 : open_sockets(a, set->loop_count);
                if ((rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT) && a->is_optional) {
                        remove_address(set, i);
                        continue;
                }
                if (rc < 0) {
                        report(a, rc, findings);
                        close_sockets(a, set->loop_count);
                }
                i++;
        }
}

void listen_take_over(struct listen_set *to, struct listen_set *from)
{
        check(to->loop_count == from->loop_count);
        for (size_t i = 0; i < to->count; i++) {
                struct listen_address *other = listen_find(from, to->list[i].text);
                if (!other)
                        continue;
                int *closed = to->list[i].fds;
                to->list[i].fds = other->fds;
                other->fds = closed;
        }
}

void listen_drop_closed(struct listen_set *set, const struct listen_set *kept)
{
        for (size_t i = 0; i < set->count;) {
                if (set->list[i].fds[0] < 0 && !listen_find(kept, set->list[i].text))
                        remove_address(set, i);
                else
                        i++;
        }
}

struct listen_address *listen_find(const struct listen_set *set, const char *text)
{
        for (size_t i = 0; i < set->count; i++)
                if (strcmp(set->list[i].text, text) == 0)
                        return &set->list[i];
        return NULL;
}

void listen_done(struct listen_set *set)
{
        while (set->count)
                remove_address(set, set->count - 1);
        free(set->list);
        set->list = NULL;
}
