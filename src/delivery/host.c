/*
 * host.c - a next hop's addresses, from the DNS or from the C library
 *
 * All that a domain's MX hosts need is asked before the first answer is waited for. Hosts stand in the order of their
 * MX records, equals in random order; a host's addresses in random order, the preferred protocol first.
 *
 * A failed look-up (a dead server, a wrong signature) of one MX host does not matter as long as another has an
 * address. If none has, and any failed, the mail waits.
 */
#include "delivery/host.h"

#include "base/check.h"
#include "base/log.h"
#include "base/rand.h"
#include "loop/pool.h"
#include "loop/task.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>

enum {
        ADDRESSES_MAX = 64, /* of one next hop */
        NAME_BYTES_MAX = 255,
        SMTP_PORT = 25,
};

struct search {
        const struct policy *policy;
        const struct params *params;
        const struct dns_filter *filter;
        const struct nexthop *hop;
        struct arena *arena;
        struct host_failure *failure;
        struct dns_questions *questions; /* NULL: native only */
        bool wants_ipv4, wants_ipv6;
        bool asks_dns, asks_native;
        bool is_srv;      /* the records are such */
        uint16_t port;    /* of the hosts whose addresses are added */
        bool is_secure;   /* so far: of the MX records */
        bool has_dropped; /* the filter took all of some answer */
        struct host_address *addresses;
        size_t count;
};

static int give_up(struct search *s, int rc, const char *dsn, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* Permanent, when the code begins with 5. */
static int give_up(struct search *s, int rc, const char *dsn, const char *format, ...)
{
        va_list args;
        s->failure->is_permanent = dsn[0] == '5';
        s->failure->dsn = dsn;
        va_start(args, format);
        vsnprintf(s->failure->why.text, sizeof(s->failure->why.text), format, args);
        va_end(args);
        return rc;
}

static const char *temporary_code(const struct search *s)
{
        return s->has_dropped ? "4.7.0" : "4.4.3";
}

/* Postfix's words, which log readers know. */
static int give_up_name(struct search *s, struct str name, const char *type, bool is_permanent,
                        const char *why)
{
        return give_up(
                s, is_permanent ? -ENOENT : -EAGAIN, is_permanent ? "5.4.4" : temporary_code(s),
                "Host or domain name not found. Name service error for name=%.*s "
                "type=%s: %s%s%s%s",
                STR_ARG(name), type, is_permanent ? "Host not found" : "Host not found, try again",
                why ? " (" : "", why ? why : "", why ? ")" : "");
}

/* ---- addresses ---- */

/* Fills in `to` and `text` from a literal; false when it is none. */
static bool literal_parse(struct str text, struct host_address *out)
{
        char z[64];
        if (text.len == 0 || text.len >= sizeof(z))
                return false;
        snprintf(z, sizeof(z), "%.*s", STR_ARG(text));
        if (inet_pton(AF_INET, z, &out->to.v4.sin_addr) == 1) {
                out->to.v4.sin_family = AF_INET;
                out->to_len = sizeof(out->to.v4);
        } else if (inet_pton(AF_INET6, z, &out->to.v6.sin6_addr) == 1) {
                out->to.v6.sin6_family = AF_INET6;
                out->to_len = sizeof(out->to.v6);
        } else {
                return false;
        }
        snprintf(out->text, sizeof(out->text), "%s", z);
        return true;
}

static void set_port(struct host_address *a, uint16_t port)
{
        if (a->to.any.sa_family == AF_INET6)
                a->to.v6.sin6_port = htons(port);
        else
                a->to.v4.sin_port = htons(port);
}

static void address_add(struct search *s, struct str name, struct str text, bool is_secure)
{
        struct host_address *a = &s->addresses[s->count];
        if (s->count == ADDRESSES_MAX)
                return;
        *a = (struct host_address){.name = arena_str(s->arena, name), .is_secure = is_secure};
        if (!literal_parse(text, a) ||
            !(a->to.any.sa_family == AF_INET6 ? s->wants_ipv6 : s->wants_ipv4))
                return;
        set_port(a, s->port);
        s->count++;
}

static void swap(struct host_address *a, struct host_address *b)
{
        struct host_address spare = *a;
        *a = *b;
        *b = spare;
}

/* One host's: in random order, then the protocol that is preferred first. */
static void order_addresses(const struct search *s, struct host_address *from, size_t count)
{
        for (size_t i = count; s->params->smtp_randomize_addresses && i > 1; i--)
                swap(&from[i - 1], &from[rand_below(i)]);
        if (s->params->smtp_address_preference == ADDRESS_ANY)
                return;
        sa_family_t first = s->params->smtp_address_preference == ADDRESS_IPV6 ? AF_INET6 : AF_INET;
        for (size_t i = 1; i < count; i++)
                for (size_t k = i; k && from[k].to.any.sa_family == first &&
                                   from[k - 1].to.any.sa_family != first;
                     k--)
                        swap(&from[k], &from[k - 1]);
}

static bool is_ipv6(const struct host_address *a)
{
        return a->to.any.sa_family == AF_INET6;
}

/*
 * smtp_balance_inet_protocols: of what smtp_mx_address_limit lets in half is of each protocol, or what the other leaves, so that a
 * host with many addresses of one that cannot be reached is tried by the other too. The order stays.
 */
static void balance_protocols(struct search *s)
{
        size_t max = (size_t)s->params->smtp_mx_address_limit;
        size_t ipv6 = 0;
        for (size_t i = 0; i < s->count; i++)
                ipv6 += is_ipv6(&s->addresses[i]);
        size_t ipv4 = s->count - ipv6;
        if (!s->params->smtp_balance_inet_protocols || max < 2 || s->count <= max)
                return;
        if (ipv6 > max / 2)
                ipv6 = ipv4 > max / 2 ? max - max / 2 : max - ipv4;
        ipv4 = max - ipv6;
        size_t kept = 0;
        for (size_t i = 0; i < s->count; i++) {
                size_t *left = is_ipv6(&s->addresses[i]) ? &ipv6 : &ipv4;
                if (*left) {
                        --*left;
                        s->addresses[kept++] = s->addresses[i];
                }
        }
        s->count = kept;
}

/* ---- the C library ---- */

struct native {
        char host[NAME_BYTES_MAX + 1];
        struct addrinfo hints;
        struct addrinfo *found;
};

/* On a pool thread. */
static int look_up_native(void *arg)
{
        struct native *n = arg;
        return getaddrinfo(n->host, NULL, &n->hints, &n->found);
}

static bool is_no_such_host(int gai)
{
        return gai == EAI_NONAME || gai == EAI_NODATA || gai == EAI_ADDRFAMILY;
}

/* 0 (some were added), -ENOENT or -EAGAIN. */
static int await_native(struct search *s, struct str name)
{
        struct native n = {.hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}};
        if (name.len > NAME_BYTES_MAX)
                return -ENOENT;
        snprintf(n.host, sizeof(n.host), "%.*s", STR_ARG(name));
        int gai = await_pool_run_if_wanted("looking up", name, look_up_native, &n);
        if (gai != 0)
                return is_no_such_host(gai) ? -ENOENT : -EAGAIN;
        size_t before = s->count;
        for (const struct addrinfo *info = n.found; info; info = info->ai_next) {
                char text[64];
                if (getnameinfo(info->ai_addr, info->ai_addrlen, text, sizeof(text), NULL, 0,
                                NI_NUMERICHOST) == 0)
                        address_add(s, name, str_from(text), false);
        }
        freeaddrinfo(n.found);
        return s->count > before ? 0 : -ENOENT;
}

/* ---- one host ---- */

static const enum dns_type address_types[] = {DNS_A, DNS_AAAA};

static bool is_wanted(const struct search *s, enum dns_type type)
{
        return type == DNS_A ? s->wants_ipv4 : s->wants_ipv6;
}

static void ask_addresses(struct search *s, struct str name)
{
        for (size_t i = 0; s->asks_dns && i < 2; i++)
                if (is_wanted(s, address_types[i]))
                        dns_ask(s->questions, name, address_types[i]);
}

/* The answer, less what smtp_dns_reply_filter says. */
static const struct dns_answer *await_answer(struct search *s, struct str name, enum dns_type type)
{
        const struct dns_answer *a = await_dns(s->questions, name, type, CLOCK_NEVER);
        a = await_dns_filter(s->filter, a, type, s->arena);
        s->has_dropped = s->has_dropped || a->is_dropped;
        return a;
}

static const char all_dropped[] = "DNS reply filter drops all results";

/* What the host is called from here on. */
static struct str called(const struct search *s, struct str name, const struct dns_answer *a)
{
        return s->params->smtp_cname_overrides_servername && a->owner.len ? a->owner : name;
}

/* 0 (some were added), -ENOENT, -EAGAIN with *why, or -ECANCELED. */
static int await_dns_addresses(struct search *s, struct str name, const char **why)
{
        size_t before = s->count;
        bool has_failed = false;
        ask_addresses(s, name);
        for (size_t i = 0; i < 2; i++) {
                if (!is_wanted(s, address_types[i]))
                        continue;
                const struct dns_answer *a = await_answer(s, name, address_types[i]);
                if (task_is_canceled(task_self()))
                        return -ECANCELED;
                if (a->result == DNS_FAILED || a->is_dropped) {
                        has_failed = true;
                        *why = a->is_dropped ? all_dropped : a->why;
                }
                for (size_t k = 0; k < a->count; k++)
                        address_add(s, called(s, name, a), a->records[k].text,
                                    s->is_secure && a->is_secure);
        }
        if (s->count > before)
                return 0;
        return has_failed ? -EAGAIN : -ENOENT;
}

/* An address where a name should stand, as some MX records have it, is taken. */
static bool is_literal(struct search *s, struct str name)
{
        struct host_address a = {0};
        size_t before = s->count;
        if (!literal_parse(name, &a))
                return false;
        address_add(s, name, name, s->is_secure);
        return s->count > before;
}

/* Adds one host's addresses, ordered. */
static int await_host(struct search *s, struct str name, int preference, const char **why)
{
        size_t before = s->count;
        int rc = -ENOENT;
        if (is_literal(s, name))
                rc = 0;
        else if (s->asks_dns)
                rc = await_dns_addresses(s, name, why);
        if (rc == -ENOENT && s->count == before && s->asks_native)
                rc = await_native(s, name);
        for (size_t i = before; i < s->count; i++)
                s->addresses[i].preference = preference;
        order_addresses(s, s->addresses + before, s->count - before);
        return rc;
}

static int await_only_host(struct search *s)
{
        const char *why = NULL;
        int rc = await_host(s, s->hop->host, 0, &why);
        return rc == 0 || rc == -ECANCELED ? rc
                                           : give_up_name(s, s->hop->host, "A", rc == -ENOENT, why);
}

/* ---- MX ---- */

/* Of all that are no worse than ourselves nothing may be left (Postfix: the same by address). */
static int cut_at_own_address(struct search *s)
{
        for (size_t i = 0; s->policy && i < s->count; i++) {
                unsigned char bits[16];
                if (!network_address_parse(str_from(s->addresses[i].text), bits) ||
                    !policy_is_own(s->policy, bits))
                        continue;
                if (s->is_srv && host_address_port(&s->addresses[i]) != SMTP_PORT)
                        continue; /* another service of this machine (Postfix: the same) */
                int limit = s->addresses[i].preference;
                size_t kept = 0;
                while (kept < s->count && s->addresses[kept].preference < limit)
                        kept++;
                s->count = kept;
        }
        return s->count ? 0 : -ELOOP;
}

static int give_up_loop(struct search *s)
{
        return give_up(s, -ELOOP, "5.4.6", "mail for %.*s loops back to myself",
                       STR_ARG(s->hop->host));
}

static int await_hosts_of(struct search *s, const struct mx_set *set)
{
        bool may_come = false;
        const char *why = NULL;
        for (size_t i = 0; i < set->count; i++)
                ask_addresses(s, set->hosts[i].name);
        for (size_t i = 0; i < set->count; i++) {
                s->port = set->hosts[i].port ? set->hosts[i].port : s->hop->port;
                int rc = await_host(s, set->hosts[i].name, set->hosts[i].preference, &why);
                if (rc == -ECANCELED)
                        return rc;
                may_come = may_come || rc == -EAGAIN;
        }
        if (s->count)
                return cut_at_own_address(s) == 0 ? 0 : give_up_loop(s);
        if (may_come)
                return give_up(s, -EAGAIN, temporary_code(s),
                               "unable to look up the mail servers of %.*s: %s",
                               STR_ARG(s->hop->host), why ? why : "try again");
        bool may_wait = s->params->smtp_defer_if_no_mx_address_found;
        return give_up(s, may_wait ? -EAGAIN : -ENOENT, may_wait ? "4.4.4" : "5.4.4",
                       "no mail server of %.*s has an address", STR_ARG(s->hop->host));
}

static int await_found_mx(struct search *s, const struct dns_answer *mx)
{
        if (dns_is_null_mx(mx))
                return give_up(s, -EDESTADDRREQ, "5.1.10",
                               "Domain %.*s does not accept mail (nullMX)", STR_ARG(s->hop->host));
        struct mx_set set = {.hosts = arena_array(s->arena, struct mx_host, mx->count)};
        for (size_t i = 0; i < mx->count && set.count < MX_HOSTS_MAX; i++)
                set.hosts[set.count++] = (struct mx_host){.preference = mx->records[i].preference,
                                                          .name = mx->records[i].name};
        s->is_secure = mx->is_secure;
        if (mx_order(&set, s->params->myhostname, s->params->smtp_randomize_addresses) == -ELOOP)
                return give_up_loop(s);
        return await_hosts_of(s, &set);
}

static int await_mx(struct search *s)
{
        struct str name = s->hop->host;
        const struct dns_answer *mx = await_answer(s, name, DNS_MX);
        if (task_is_canceled(task_self()))
                return -ECANCELED;
        if (mx->is_dropped)
                return give_up_name(s, name, "MX", false, all_dropped);
        switch (mx->result) {
        case DNS_FOUND:
                return await_found_mx(s, mx);
        case DNS_NO_DATA:
                s->is_secure = mx->is_secure;
                return await_only_host(s); /* the implicit MX */
        case DNS_NO_NAME:
                return s->asks_native ? await_only_host(s)
                                      : give_up_name(s, name, "MX", true, NULL);
        case DNS_FAILED:
                break;
        }
        if (s->params->ignore_mx_lookup_error)
                return await_only_host(s);
        return give_up_name(s, name, "MX", false, mx->why);
}

/* ---- SRV ---- */

/* A record that names no host says that there is no such service; one among others is overlooked. */
static int await_found_srv(struct search *s, struct str name, const struct dns_answer *srv)
{
        struct mx_set set = {.hosts = arena_array(s->arena, struct mx_host, srv->count)};
        for (size_t i = 0; i < srv->count && set.count < MX_HOSTS_MAX; i++) {
                const struct dns_record *r = &srv->records[i];
                if (r->name.len)
                        set.hosts[set.count++] = (struct mx_host){.preference = r->preference,
                                                                  .weight = r->weight,
                                                                  .port = r->port,
                                                                  .name = r->name};
        }
        if (set.count == 0)
                return give_up(s, -EDESTADDRREQ, "5.1.0",
                               "%.*s: the domain says that it has no such service (SRV)",
                               STR_ARG(name));
        s->is_secure = srv->is_secure;
        srv_order(&set);
        return await_hosts_of(s, &set);
}

/* *may_fall_back: the next hop may be looked up as if there were no SRV records. */
static int await_srv_records(struct search *s, struct str name, bool *may_fall_back)
{
        const struct dns_answer *srv = await_answer(s, name, DNS_SRV);
        *may_fall_back = s->params->allow_srv_lookup_fallback;
        if (task_is_canceled(task_self()))
                return -ECANCELED;
        if (srv->is_dropped)
                return give_up_name(s, name, "SRV", false, all_dropped);
        switch (srv->result) {
        case DNS_FOUND:
                return await_found_srv(s, name, srv);
        case DNS_NO_DATA:
        case DNS_NO_NAME:
                return give_up_name(s, name, "SRV", true, NULL);
        case DNS_FAILED:
                break;
        }
        *may_fall_back = *may_fall_back || s->params->ignore_srv_lookup_error;
        return give_up_name(s, name, "SRV", false, srv->why);
}

static int await_without_srv(struct search *s)
{
        s->is_srv = false;
        s->is_secure = true;
        s->port = s->hop->port;
        s->count = 0;
        return s->hop->wants_mx ? await_mx(s) : await_only_host(s);
}

static int await_srv(struct search *s)
{
        struct str name = arena_printf(s->arena, "_%.*s._tcp.%.*s", STR_ARG(s->hop->service),
                                       STR_ARG(s->hop->host));
        bool may_fall_back;
        s->is_srv = true;
        int rc = await_srv_records(s, name, &may_fall_back);
        if (rc == 0 || rc == -ECANCELED || !may_fall_back)
                return rc;
        log_info("smtp", "skipping SRV lookup for %.*s: %s", STR_ARG(name), s->failure->why.text);
        return await_without_srv(s);
}

/* ---- from outside ---- */

static bool has_word(struct str list, const char *word)
{
        struct str item;
        while (config_list_next(&list, &item))
                if (str_eq_nocase(item, str_from(word)))
                        return true;
        return false;
}

/* use_srv_lookup has services as next hops write them: 587 is not submission (Postfix: the same). */
static bool wants_srv(const struct search *s)
{
        struct str list = s->params->use_srv_lookup, item;
        if (!s->hop->wants_srv || !s->asks_dns)
                return false;
        while (config_list_next(&list, &item))
                if (str_eq_nocase(item, s->hop->service))
                        return true;
        return false;
}

static bool is_dns_disabled(const struct params *p)
{
        return p->smtp_dns_support_level == DNS_SUPPORT_UNSET
                       ? p->disable_dns_lookups
                       : p->smtp_dns_support_level == DNS_SUPPORT_DISABLED;
}

static int await_search(struct search *s)
{
        struct dns *dns = s->policy ? policy_dns(s->policy) : NULL;
        struct host_address literal = {0};
        if (!s->hop->wants_mx && literal_parse(s->hop->host, &literal)) {
                literal.name = arena_str(s->arena, s->hop->host);
                set_port(&literal, s->hop->port);
                s->addresses[s->count++] = literal; /* also of a protocol that is not looked up */
                return 0;
        }
        if (s->asks_dns && !dns)
                return give_up_name(s, s->hop->host, "A", false, "there is no resolver");
        if (s->asks_dns)
                s->questions = dns_questions_new(dns);
        int rc = wants_srv(s)                      ? await_srv(s)
                 : s->hop->wants_mx && s->asks_dns ? await_mx(s)
                                                   : await_only_host(s);
        dns_questions_free(&s->questions);
        return rc;
}

int await_hosts_find(const struct policy *policy, const struct nexthop *hop,
                     const struct params *params, const struct dns_filter *filter,
                     struct arena *arena, struct host_address **out, size_t *count,
                     struct host_failure *failure)
{
        bool is_all = str_eq_nocase(params->inet_protocols, STR("all"));
        bool is_disabled = is_dns_disabled(params);
        struct search s = {
                .policy = policy,
                .params = params,
                .filter = filter,
                .hop = hop,
                .arena = arena,
                .failure = failure,
                .wants_ipv4 = is_all || has_word(params->inet_protocols, "ipv4"),
                .wants_ipv6 = is_all || has_word(params->inet_protocols, "ipv6"),
                .port = hop->port,
                .asks_dns = !is_disabled && has_word(params->smtp_host_lookup, "dns"),
                .asks_native = is_disabled || has_word(params->smtp_host_lookup, "native"),
                .is_secure = true,
                .addresses = arena_array(arena, struct host_address, ADDRESSES_MAX),
        };
        int rc = await_search(&s);
        if (rc == 0)
                balance_protocols(&s);
        *out = s.addresses;
        *count = s.count;
        return rc;
}
