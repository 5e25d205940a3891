/* front_door.c - who is here, and who comes too often */
#include "session/front_door.h"

#include "base/check.h"
#include "base/clock.h"
#include "session/address_table.h"

#include <pthread.h>
#include <stdatomic.h>

/* A client, or a network: the same counts under another kind of key. */
struct front_door_client {
        struct front_door_client *network; /* while it is here; NULL: not counted */
        uint32_t open;                     /* connections now */
        uint32_t arrivals;                 /* since unit_start_ms, as the events */
        uint32_t events[FRONT_DOOR_EVENTS];
        uint32_t unit_ms;
        int64_t unit_start_ms;
};

enum key_kind { KEY_CLIENT, KEY_NETWORK };

struct front_door_service {
        char *name;
        int64_t open;
        bool is_crowded;
        struct front_door_service *next;
};

struct front_door {
        pthread_mutex_t lock;
        struct address_table clients; /* and networks */
        struct screen_cache *known;
        struct front_door_service *services; /* a handful */
        int64_t open;                        /* connections of all services */
        atomic_bool is_closed;
        struct {
                int64_t since_ms; /* when the unit began */
                int64_t count;    /* in it */
                size_t untold;
        } notices;
};

struct front_door *front_door_new(void)
{
        struct front_door *d = calloc(1, sizeof(*d));
        check(d);
        pthread_mutex_init(&d->lock, NULL);
        address_table_init(&d->clients, sizeof(struct front_door_client), FRONT_DOOR_CLIENTS_MAX);
        d->known = screen_cache_new(SCREEN_CLIENTS_MAX);
        return d;
}

int front_door_save_known(struct front_door *d, const char *path, struct why *why)
{
        return screen_cache_save(d->known, path, clock_wall_us() / 1000000, why);
}

int front_door_load_known(struct front_door *d, const char *path, struct why *why)
{
        return screen_cache_load(d->known, path, clock_wall_us() / 1000000, why);
}

void front_door_close(struct front_door *d, bool is_closed)
{
        atomic_store(&d->is_closed, is_closed);
}

bool front_door_is_closed(const struct front_door *d)
{
        return atomic_load(&d->is_closed);
}

void front_door_free(struct front_door **dp)
{
        struct front_door *d = *dp;
        *dp = NULL;
        if (!d)
                return;
        address_table_done(&d->clients);
        screen_cache_free(&d->known);
        for (struct front_door_service *s = d->services, *next; s; s = next) {
                next = s->next;
                free(s->name);
                free(s);
        }
        pthread_mutex_destroy(&d->lock);
        free(d);
}

static bool is_ipv4(const unsigned char address[16])
{
        static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        return memcmp(address, mapped, sizeof(mapped)) == 0;
}

static struct address_key make_key(const unsigned char address[16], enum key_kind kind,
                                   int ipv4_bits, int ipv6_bits)
{
        struct address_key key = {.kind = kind};
        memcpy(key.bytes, address, 16);
        int bits = is_ipv4(address) ? 96 + ipv4_bits : ipv6_bits;
        for (int bit = bits; bit < 128; bit++)
                key.bytes[bit / 8] &= (unsigned char)~(0x80 >> (bit % 8));
        return key;
}

static bool is_stale(const void *value, int64_t now_ms)
{
        const struct front_door_client *c = value;
        return c->open == 0 && now_ms - c->unit_start_ms >= c->unit_ms;
}

/* NULL: the table is full of others. */
static struct front_door_client *find_or_add(struct front_door *d, const struct address_key *key,
                                             int64_t now_ms)
{
        struct front_door_client *c = address_table_find(&d->clients, key);
        return c ? c : address_table_add(&d->clients, key, is_stale, now_ms);
}

static enum front_door_answer judge(const struct front_door_client *c,
                                    const struct front_door_limits *limits)
{
        if (limits->connections_max && c->open > limits->connections_max)
                return FRONT_DOOR_TOO_MANY;
        if (limits->rate_max && c->arrivals > limits->rate_max)
                return FRONT_DOOR_TOO_OFTEN;
        const struct front_door_client *n = c->network;
        if (n && limits->network_connections_max && n->open > limits->network_connections_max)
                return FRONT_DOOR_NETWORK_TOO_MANY;
        if (n && limits->network_rate_max && n->arrivals > limits->network_rate_max)
                return FRONT_DOOR_NETWORK_TOO_OFTEN;
        return FRONT_DOOR_WELCOME;
}

static void begin_unit(struct front_door_client *c, int64_t now_ms, int64_t unit_ms)
{
        if (now_ms - c->unit_start_ms >= unit_ms) {
                c->unit_start_ms = now_ms;
                c->arrivals = 0;
                memset(c->events, 0, sizeof(c->events));
        }
        c->unit_ms = (uint32_t)unit_ms;
}

static void arrive(struct front_door_client *c, int64_t now_ms, int64_t unit_ms)
{
        begin_unit(c, now_ms, unit_ms);
        c->arrivals++;
        c->open++;
}

/*
 * The network that this client counts for. It keeps the one that it came in by while it is here, whatever a reload has
 * changed, so that leaving takes off where entering put on.
 */
static void find_network(struct front_door *d, struct front_door_client *c,
                         const unsigned char address[16], const struct front_door_limits *limits,
                         int64_t now_ms)
{
        c->network = NULL;
        if (!limits->network_connections_max && !limits->network_rate_max)
                return;
        struct address_key key = make_key(address, KEY_NETWORK, limits->network_ipv4_prefix_bits,
                                          limits->network_ipv6_prefix_bits);
        c->network = find_or_add(d, &key, now_ms);
}

enum front_door_answer front_door_enter(struct front_door *d, const unsigned char address[16],
                                        const struct front_door_limits *limits, int64_t now_ms,
                                        struct front_door_client **client)
{
        struct address_key key =
                make_key(address, KEY_CLIENT, limits->ipv4_prefix_bits, limits->ipv6_prefix_bits);
        enum front_door_answer answer = FRONT_DOOR_WELCOME;
        pthread_mutex_lock(&d->lock);
        struct front_door_client *c = find_or_add(d, &key, now_ms);
        if (c) {
                bool is_first = c->open == 0;
                /* first of all it is here: the hand that looks for those who are gone passes it by */
                arrive(c, now_ms, limits->unit_ms);
                if (is_first)
                        find_network(d, c, address, limits, now_ms);
                if (c->network)
                        arrive(c->network, now_ms, limits->unit_ms);
                answer = judge(c, limits);
        }
        pthread_mutex_unlock(&d->lock);
        *client = c;
        return answer;
}

size_t front_door_client_count(struct front_door *d, const struct front_door_client *client)
{
        if (!client)
                return 0;
        pthread_mutex_lock(&d->lock);
        size_t open = client->open;
        pthread_mutex_unlock(&d->lock);
        return open;
}

void front_door_leave(struct front_door *d, struct front_door_client **client)
{
        struct front_door_client *c = *client;
        *client = NULL;
        if (!c)
                return;
        pthread_mutex_lock(&d->lock);
        c->open--;
        if (c->network)
                c->network->open--;
        pthread_mutex_unlock(&d->lock);
}

int64_t front_door_note(struct front_door *d, struct front_door_client *client,
                        enum front_door_event event, int64_t now_ms)
{
        if (!client)
                return 0;
        pthread_mutex_lock(&d->lock);
        begin_unit(client, now_ms, client->unit_ms);
        int64_t count = ++client->events[event];
        pthread_mutex_unlock(&d->lock);
        return count;
}

/* ---- what the postmaster is told ---- */

bool front_door_may_tell(struct front_door *d, int64_t rate_max, int64_t unit_ms, int64_t now_ms,
                         size_t *untold)
{
        pthread_mutex_lock(&d->lock);
        if (now_ms - d->notices.since_ms >= unit_ms) {
                d->notices.since_ms = now_ms;
                d->notices.count = 0;
        }
        bool may_tell = rate_max == 0 || d->notices.count < rate_max;
        if (may_tell) {
                d->notices.count++;
                *untold = d->notices.untold;
                d->notices.untold = 0;
        } else {
                d->notices.untold++;
        }
        pthread_mutex_unlock(&d->lock);
        return may_tell;
}

/* ---- seats ---- */

static struct front_door_service *find_service(struct front_door *d, struct str name)
{
        for (struct front_door_service *s = d->services; s; s = s->next)
                if (str_eq(str_from(s->name), name))
                        return s;
        struct front_door_service *s = calloc(1, sizeof(*s));
        check(s);
        s->name = strndup(name.ptr, name.len);
        check(s->name);
        s->next = d->services;
        d->services = s;
        return s;
}

bool front_door_sit(struct front_door *d, struct str service, int64_t service_max, int64_t all_max,
                    struct front_door_service **seat)
{
        *seat = NULL;
        pthread_mutex_lock(&d->lock);
        struct front_door_service *s = find_service(d, service);
        if (!(service_max && s->open >= service_max) && !(all_max && d->open >= all_max)) {
                s->open++;
                d->open++;
                *seat = s;
        }
        pthread_mutex_unlock(&d->lock);
        return *seat;
}

void front_door_rise(struct front_door *d, struct front_door_service **seat)
{
        if (!*seat)
                return;
        pthread_mutex_lock(&d->lock);
        (*seat)->open--;
        d->open--;
        pthread_mutex_unlock(&d->lock);
        *seat = NULL;
}

/* How full, in eighths; 0 without a limit. */
static int64_t eighths(int64_t open, int64_t max)
{
        return max ? open * 8 / max : 0;
}

bool front_door_is_crowded(struct front_door *d, struct front_door_service *seat,
                           int64_t service_max, int64_t all_max, bool *has_changed)
{
        pthread_mutex_lock(&d->lock);
        int64_t of_service = eighths(seat->open, service_max);
        int64_t of_all = eighths(d->open, all_max);
        int64_t most = of_service > of_all ? of_service : of_all;
        bool before = seat->is_crowded;
        seat->is_crowded = most >= (before ? 6 : 7);
        bool is_crowded = seat->is_crowded;
        pthread_mutex_unlock(&d->lock);
        *has_changed = is_crowded != before;
        return is_crowded;
}

size_t front_door_count(struct front_door *d)
{
        pthread_mutex_lock(&d->lock);
        size_t count = d->clients.count;
        pthread_mutex_unlock(&d->lock);
        return count;
}

struct screen_cache *front_door_known(const struct front_door *d)
{
        return d->known;
}

size_t front_door_bytes(struct front_door *d)
{
        pthread_mutex_lock(&d->lock);
        size_t bytes = address_table_bytes(&d->clients);
        pthread_mutex_unlock(&d->lock);
        return bytes + screen_cache_bytes(d->known);
}

size_t front_door_bytes_max(const struct front_door *d)
{
        return address_table_bytes_max(&d->clients) + screen_cache_bytes_max(d->known);
}
