/* front_door.c - who is here, and who comes too often */
#include "session/front_door.h"

#include "base/check.h"
#include "base/map.h"

#include <pthread.h>
#include <stdatomic.h>

struct front_door_client {
        struct front_door_client *next_gone; /* in a sweep */
        unsigned char key[16];
        unsigned open;     /* connections now */
        unsigned arrivals; /* since unit_start_ms, as the events */
        unsigned events[FRONT_DOOR_EVENTS];
        int64_t unit_start_ms;
        int64_t unit_ms;
};

struct front_door_service {
        char *name;
        int64_t open;
        bool is_crowded;
        struct front_door_service *next;
};

struct front_door {
        pthread_mutex_t lock;
        struct map clients;
        struct front_door_service *services; /* a handful */
        int64_t open;                        /* connections of all services */
        int64_t next_sweep_ms;
        atomic_bool is_closed;
};

struct front_door *front_door_new(void)
{
        struct front_door *d = calloc(1, sizeof(*d));
        check(d);
        pthread_mutex_init(&d->lock, NULL);
        map_init(&d->clients);
        return d;
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
        const struct map_slot *slot;
        for (size_t at = 0; (slot = map_next(&d->clients, &at));)
                free(slot->value);
        map_done(&d->clients);
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

static void make_key(const unsigned char address[16], int ipv6_prefix_bits, unsigned char key[16])
{
        memcpy(key, address, 16);
        if (is_ipv4(address))
                return;
        for (int bit = ipv6_prefix_bits; bit < 128; bit++)
                key[bit / 8] &= (unsigned char)~(0x80 >> (bit % 8));
}

static bool is_stale(const struct front_door_client *c, int64_t now_ms)
{
        return c->open == 0 && now_ms - c->unit_start_ms >= c->unit_ms;
}

/* Forgets who is gone and whose minute is over. Removing shifts the map's slots, so first all are found. */
static void sweep(struct front_door *d, int64_t now_ms)
{
        struct front_door_client *gone = NULL;
        const struct map_slot *slot;
        for (size_t at = 0; (slot = map_next(&d->clients, &at));) {
                struct front_door_client *c = slot->value;
                if (!is_stale(c, now_ms))
                        continue;
                c->next_gone = gone;
                gone = c;
        }
        while (gone) {
                struct front_door_client *c = gone;
                gone = c->next_gone;
                map_remove(&d->clients, str_make((const char *)c->key, 16));
                free(c);
        }
}

static struct front_door_client *find_or_add(struct front_door *d, const unsigned char key[16])
{
        struct str name = str_make((const char *)key, 16);
        struct front_door_client *c = map_find(&d->clients, name);
        if (c || d->clients.count >= FRONT_DOOR_CLIENTS_MAX)
                return c;
        c = calloc(1, sizeof(*c));
        check(c);
        memcpy(c->key, key, 16);
        map_put(&d->clients, name, c);
        return c;
}

static enum front_door_answer judge(const struct front_door_client *c,
                                    const struct front_door_limits *limits)
{
        if (limits->connections_max && c->open > limits->connections_max)
                return FRONT_DOOR_TOO_MANY;
        if (limits->rate_max && c->arrivals > limits->rate_max)
                return FRONT_DOOR_TOO_OFTEN;
        return FRONT_DOOR_WELCOME;
}

static void begin_unit(struct front_door_client *c, int64_t now_ms, int64_t unit_ms)
{
        if (now_ms - c->unit_start_ms >= unit_ms) {
                c->unit_start_ms = now_ms;
                c->arrivals = 0;
                memset(c->events, 0, sizeof(c->events));
        }
        c->unit_ms = unit_ms;
}

enum front_door_answer front_door_enter(struct front_door *d, const unsigned char address[16],
                                        const struct front_door_limits *limits, int64_t now_ms,
                                        struct front_door_client **client)
{
        unsigned char key[16];
        make_key(address, limits->ipv6_prefix_bits, key);
        pthread_mutex_lock(&d->lock);
        if (now_ms >= d->next_sweep_ms) {
                sweep(d, now_ms);
                d->next_sweep_ms = now_ms + limits->unit_ms;
        }
        struct front_door_client *c = find_or_add(d, key);
        enum front_door_answer answer = FRONT_DOOR_WELCOME;
        if (c) {
                begin_unit(c, now_ms, limits->unit_ms);
                c->arrivals++;
                c->open++;
                answer = judge(c, limits);
        }
        pthread_mutex_unlock(&d->lock);
        *client = c;
        return answer;
}

void front_door_leave(struct front_door *d, struct front_door_client **client)
{
        if (!*client)
                return;
        pthread_mutex_lock(&d->lock);
        (*client)->open--;
        pthread_mutex_unlock(&d->lock);
        *client = NULL;
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
