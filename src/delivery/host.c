/*
 * host.c - a next hop's addresses, by the C library in the pool
 *
 * One look-up asks all that a name needs (MX, then the addresses of each host) on a pool thread, with
 * everything in memory of its own: the result moves into the cache whole. A task that is cancelled while it
 * waits for another's look-up leaves; the one that runs it cannot be cut short, but the resolver's own
 * time-outs end it.
 *
 * Not here: IDN (names in UTF-8 are asked for as they are and not found), DNSSEC, CNAME as a mail
 * exchanger (taken, as everybody does).
 */
#include "delivery/host.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "loop/pool.h"
#include "loop/task.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <resolv.h>
#include <stdarg.h>

enum {
        TTL_MS_MAX = 60 * 1000,
        TTL_MS_MIN = 1000,
        TTL_MS_NONE = 60 * 1000, /* of answers that come without one */
        TTL_MS_NEGATIVE = 10 * 1000,
        ENTRIES_MAX = 4096,
        ADDRESSES_MAX = 64, /* of one next hop */
        PACKET_BYTES_MAX = 16 * 1024,
};

struct entry {
        int64_t until_ms;
        bool is_pending;
        struct list waiters;
        /* the question, for the pool thread */
        struct str name;
        bool wants_mx;
        bool wants_ipv4;
        bool wants_ipv6;
        bool is_random;
        int prefer;
        struct str own_name;
        /* the answer */
        struct arena arena;
        struct arena scratch;           /* while it is looked up */
        struct host_address *addresses; /* without ports */
        size_t count;
        int rc;
        struct host_failure failure;
        int64_t ttl_ms;
};

struct waiter {
        struct list link;
        struct task *task;
};

struct host_cache {
        struct map entries;
};

struct host_cache *host_cache_new(void)
{
        struct host_cache *c = calloc(1, sizeof(*c));
        check(c);
        map_init(&c->entries);
        return c;
}

static void entry_free(struct entry *e)
{
        check(!e->is_pending && list_is_empty(&e->waiters));
        arena_done(&e->arena);
        free(e);
}

void host_cache_free(struct host_cache **cp)
{
        struct host_cache *c = *cp;
        *cp = NULL;
        if (!c)
                return;
        const struct map_slot *slot;
        for (size_t i = 0; (slot = map_next(&c->entries, &i));)
                entry_free(slot->value);
        map_done(&c->entries);
        free(c);
}

static int give_up(struct entry *e, int rc, bool is_permanent, const char *dsn, const char *format,
                   ...) __attribute__((format(printf, 5, 6)));

static int give_up(struct entry *e, int rc, bool is_permanent, const char *dsn, const char *format,
                   ...)
{
        va_list args;
        e->failure.is_permanent = is_permanent;
        e->failure.dsn = dsn;
        va_start(args, format);
        vsnprintf(e->failure.why.text, sizeof(e->failure.why.text), format, args);
        va_end(args);
        e->ttl_ms = TTL_MS_NEGATIVE;
        return rc;
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

static void address_add(struct entry *e, struct str name, int preference,
                        const struct addrinfo *info)
{
        bool is_v6 = info->ai_family == AF_INET6;
        if (e->count == ADDRESSES_MAX || !(is_v6 ? e->wants_ipv6 : e->wants_ipv4) ||
            info->ai_addrlen > sizeof(e->addresses->to))
                return;
        struct host_address *a = &e->addresses[e->count++];
        a->name = name;
        a->preference = preference;
        memcpy(&a->to, info->ai_addr, info->ai_addrlen);
        a->to_len = info->ai_addrlen;
        inet_ntop(info->ai_family,
                  is_v6 ? (const void *)&a->to.v6.sin6_addr : (const void *)&a->to.v4.sin_addr,
                  a->text, sizeof(a->text));
}

/* Within one preference: the protocol that is preferred first, else as the C library ordered them. */
static void sort_by_protocol(struct host_address *from, size_t count, int prefer)
{
        if (prefer == ADDRESS_ANY)
                return;
        sa_family_t first = prefer == ADDRESS_IPV6 ? AF_INET6 : AF_INET;
        for (size_t i = 1; i < count; i++)
                for (size_t k = i; k && from[k].to.any.sa_family == first &&
                                   from[k - 1].to.any.sa_family != first;
                     k--) {
                        struct host_address spare = from[k];
                        from[k] = from[k - 1];
                        from[k - 1] = spare;
                }
}

static bool is_no_such_host(int gai)
{
        return gai == EAI_NONAME || gai == EAI_NODATA || gai == EAI_ADDRFAMILY;
}

/* Adds the addresses of one host. 0 (perhaps none of a protocol that we use), -ENOENT or -EAGAIN. */
static int host_look_up(struct entry *e, struct str name, int preference)
{
        char host[MX_NAME_BYTES_MAX];
        if (name.len >= sizeof(host))
                return -ENOENT;
        snprintf(host, sizeof(host), "%.*s", STR_ARG(name));
        struct addrinfo hints = {
                .ai_family = !e->wants_ipv6   ? AF_INET
                             : !e->wants_ipv4 ? AF_INET6
                                              : AF_UNSPEC,
                .ai_socktype = SOCK_STREAM,
        };
        struct addrinfo *found = NULL;
        int gai = getaddrinfo(host, NULL, &hints, &found);
        if (gai != 0)
                return is_no_such_host(gai) ? -ENOENT : -EAGAIN;
        for (const struct addrinfo *info = found; info; info = info->ai_next)
                address_add(e, name, preference, info);
        freeaddrinfo(found);
        return 0;
}

static int answer_from_host(struct entry *e)
{
        int rc = host_look_up(e, e->name, 0);
        if (rc == -EAGAIN)
                return give_up(e, -EAGAIN, false, "4.4.3",
                               "Host or domain name not found. Name service error for name=%.*s "
                               "type=A: Host not found, try again",
                               STR_ARG(e->name));
        if (e->count == 0)
                return give_up(e, -ENOENT, true, "5.4.4",
                               "Host or domain name not found. Name service error for name=%.*s "
                               "type=A: Host not found",
                               STR_ARG(e->name));
        sort_by_protocol(e->addresses, e->count, e->prefer);
        return 0;
}

/* ---- MX ---- */

static int hosts_of_mx(struct entry *e, const struct mx_set *set)
{
        bool may_come = false;
        for (size_t i = 0; i < set->count; i++) {
                size_t before = e->count;
                struct str name = arena_str(&e->arena, str_from(set->hosts[i].name));
                if (host_look_up(e, name, set->hosts[i].preference) == -EAGAIN)
                        may_come = true;
                sort_by_protocol(e->addresses + before, e->count - before, e->prefer);
        }
        if (e->count)
                return 0;
        if (may_come)
                return give_up(e, -EAGAIN, false, "4.4.3",
                               "unable to look up the mail servers of %.*s: try again",
                               STR_ARG(e->name));
        return give_up(e, -ENOENT, true, "5.4.4", "no mail server of %.*s has an address",
                       STR_ARG(e->name));
}

/* h_errno of a question for MX: is there nothing, or is it not known? */
static int without_mx(struct entry *e, int error)
{
        if (error == NO_DATA)
                return answer_from_host(e); /* the implicit MX */
        bool is_permanent = error == HOST_NOT_FOUND;
        return give_up(
                e, is_permanent ? -ENOENT : -EAGAIN, is_permanent, is_permanent ? "5.4.4" : "4.4.3",
                "Host or domain name not found. Name service error for name=%.*s "
                "type=MX: %s",
                STR_ARG(e->name), is_permanent ? "Host not found" : "Host not found, try again");
}

/* The domain's packet; its length, or a negative h_errno. */
static int mx_ask(const struct entry *e, unsigned char *packet, int room)
{
        char name[MX_NAME_BYTES_MAX];
        if (e->name.len >= sizeof(name))
                return -HOST_NOT_FOUND;
        snprintf(name, sizeof(name), "%.*s", STR_ARG(e->name));
        struct __res_state state;
        memset(&state, 0, sizeof(state));
        if (res_ninit(&state) < 0)
                return -TRY_AGAIN;
        int bytes = res_nquery(&state, name, ns_c_in, ns_t_mx, packet, room);
        int error = state.res_h_errno;
        res_nclose(&state);
        if (bytes >= 0)
                return bytes < room ? bytes : room;
        return error > 0 ? -error : -TRY_AGAIN;
}

static int answer_from_mx(struct entry *e)
{
        unsigned char *packet = arena_alloc(&e->scratch, PACKET_BYTES_MAX);
        struct mx_set set;
        int bytes = mx_ask(e, packet, PACKET_BYTES_MAX);
        if (bytes < 0)
                return without_mx(e, -bytes);
        if (mx_parse(packet, (size_t)bytes, &e->scratch, &set) < 0)
                return without_mx(e, TRY_AGAIN);
        if (set.count == 0)
                return without_mx(e, NO_DATA);
        if (set.is_null)
                return give_up(e, -EDESTADDRREQ, true, "5.1.10",
                               "Domain %.*s does not accept mail (nullMX)", STR_ARG(e->name));
        if (mx_order(&set, e->own_name, e->is_random) == -ELOOP)
                return give_up(e, -ELOOP, true, "5.4.6", "mail for %.*s loops back to myself",
                               STR_ARG(e->name));
        e->ttl_ms = set.ttl_ms;
        return hosts_of_mx(e, &set);
}

/* On a pool thread. Touches nothing but the entry, which nobody else does while it is pending. */
static int look_up(void *arg)
{
        struct entry *e = arg;
        struct host_address *found;
        arena_init(&e->scratch, 0);
        found = e->addresses = arena_array(&e->scratch, struct host_address, ADDRESSES_MAX);
        e->ttl_ms = TTL_MS_NONE;
        int rc = e->wants_mx ? answer_from_mx(e) : answer_from_host(e);
        e->addresses = arena_array(&e->arena, struct host_address, e->count + 1);
        memcpy(e->addresses, found, e->count * sizeof(*found));
        arena_done(&e->scratch);
        return rc;
}

/* ---- the cache ---- */

/* Others look at it, or will when it is their turn. */
static bool is_in_use(const struct entry *e)
{
        return e->is_pending || !list_is_empty(&e->waiters);
}

static void forget_expired(struct host_cache *c, int64_t now_ms)
{
        struct arena arena;
        arena_init(&arena, 0);
        struct str *names = arena_array(&arena, struct str, c->entries.count);
        size_t count = 0;
        const struct map_slot *slot;
        for (size_t i = 0; (slot = map_next(&c->entries, &i));) {
                const struct entry *e = slot->value;
                if (!is_in_use(e) && e->until_ms <= now_ms)
                        names[count++] = arena_str(&arena, str_make(slot->key, slot->key_len));
        }
        for (size_t i = 0; i < count; i++)
                entry_free(map_remove(&c->entries, names[i]));
        arena_done(&arena);
}

static struct entry *entry_new(const struct nexthop *hop, const struct params *params)
{
        struct entry *e = calloc(1, sizeof(*e));
        check(e);
        arena_init(&e->arena, 0);
        list_init(&e->waiters);
        bool is_all = str_eq_nocase(params->inet_protocols, STR("all"));
        e->name = arena_str_lower(&e->arena, hop->host);
        e->wants_mx = hop->wants_mx;
        e->wants_ipv4 = is_all || str_find_str(params->inet_protocols, STR("ipv4")) >= 0;
        e->wants_ipv6 = is_all || str_find_str(params->inet_protocols, STR("ipv6")) >= 0;
        e->is_random = params->smtp_randomize_addresses;
        e->prefer = params->smtp_address_preference;
        e->own_name = arena_str(&e->arena, params->myhostname);
        return e;
}

/* Parameters are part of the key, for services with overrides and for reloads. */
static struct str key_of(const struct nexthop *hop, const struct params *p, char *out, size_t room)
{
        int n = snprintf(out, room, "%d%d%d%.*s/%.*s/%.*s", hop->wants_mx,
                         (int)p->smtp_address_preference, p->smtp_randomize_addresses,
                         STR_ARG(p->inet_protocols), STR_ARG(p->myhostname), STR_ARG(hop->host));
        size_t len = n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
        for (size_t i = 0; i < len; i++)
                out[i] = char_lower(out[i]);
        return str_make(out, len);
}

static void await_look_up(struct entry *e)
{
        e->is_pending = true;
        e->rc = await_pool_run_remote("looking up", e->name, look_up, e);
        if (e->ttl_ms > TTL_MS_MAX)
                e->ttl_ms = TTL_MS_MAX;
        if (e->ttl_ms < TTL_MS_MIN)
                e->ttl_ms = TTL_MS_MIN;
        e->until_ms = loop_now_ms() + e->ttl_ms;
        e->is_pending = false;
        list_each (link, &e->waiters) {
                task_wake(list_of(link, struct waiter, link)->task);
        }
}

/* An entry that is waited for stays where it is until its waiters have had their turn. */
static int await_pending(struct entry *e)
{
        struct waiter w = {.task = task_self()};
        list_add_last(&e->waiters, &w.link);
        int rc = 0;
        while (e->is_pending && rc == 0)
                rc = await_wake("waiting for a look-up of", e->name, CLOCK_NEVER);
        list_remove(&w.link);
        return e->is_pending ? rc : 0;
}

static int copy_out(const struct entry *e, const struct nexthop *hop, struct arena *arena,
                    struct host_address **out, size_t *count, struct host_failure *failure)
{
        if (e->rc < 0) {
                *failure = e->failure;
                return e->rc;
        }
        struct host_address *copy = arena_array(arena, struct host_address, e->count);
        for (size_t i = 0; i < e->count; i++) {
                copy[i] = e->addresses[i];
                copy[i].name = arena_str(arena, e->addresses[i].name);
                set_port(&copy[i], hop->port);
        }
        *out = copy;
        *count = e->count;
        return 0;
}

static int literal_answer(const struct nexthop *hop, struct host_address *a, struct arena *arena,
                          struct host_address **out, size_t *count)
{
        a->name = arena_str(arena, hop->host);
        set_port(a, hop->port);
        *out = arena_new(arena, struct host_address);
        **out = *a;
        *count = 1;
        return 0;
}

int await_hosts_find(struct host_cache *c, const struct nexthop *hop, const struct params *params,
                     struct arena *arena, struct host_address **out, size_t *count,
                     struct host_failure *failure)
{
        struct host_address literal = {0};
        if (!hop->wants_mx && literal_parse(hop->host, &literal))
                return literal_answer(hop, &literal, arena, out, count);
        char room[1024];
        struct str key = key_of(hop, params, room, sizeof(room));
        struct entry *e = map_find(&c->entries, key);
        if (e && e->is_pending) {
                int rc = await_pending(e);
                return rc < 0 ? rc : copy_out(e, hop, arena, out, count, failure);
        }
        int64_t now_ms = loop_now_ms();
        if (e && (e->until_ms > now_ms || is_in_use(e)))
                return copy_out(e, hop, arena, out, count, failure);
        if (e)
                entry_free(map_remove(&c->entries, key));
        if (c->entries.count >= ENTRIES_MAX)
                forget_expired(c, now_ms);
        e = entry_new(hop, params);
        bool is_kept = c->entries.count < ENTRIES_MAX;
        if (is_kept)
                map_put(&c->entries, key, e);
        await_look_up(e);
        int rc = copy_out(e, hop, arena, out, count, failure);
        if (!is_kept)
                entry_free(e);
        return rc;
}
