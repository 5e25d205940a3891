/*
 * dns.c - what a configuration asks: made, shared, ended
 *
 * Those with the same settings are one: a reload finds what it had, with all that is in the cache.
 */
#include "dns/dns_private.h"

#include "base/check.h"

#include <errno.h>

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all};

static struct dns *dns_make(void)
{
        struct dns *d = calloc(1, sizeof(*d));
        check(d);
        d->refs = 1;
        arena_init(&d->arena, 0);
        list_init(&d->link);
        list_init(&d->resolvers);
        d->figures = figures_new();
        return d;
}

static void dns_free(struct dns *d)
{
        resolver_end(d);
        cache_free(&d->cache);
        given_free(&d->given);
        figures_free(&d->figures);
        arena_done(&d->arena);
        free(d);
}

struct dns *dns_new_given(struct str text, struct why *why)
{
        struct dns *d = dns_make();
        d->given = given_new(text, why);
        if (d->given)
                return d;
        dns_free(d);
        return NULL;
}

int dns_give(struct dns *d, struct str text, struct why *why)
{
        check(d->given);
        struct given *given = given_new(text, why);
        if (!given)
                return -EINVAL;
        given_free(&d->given);
        d->given = given;
        return 0;
}

/* What the anchor file held is part of it. */
static struct str key_of(const struct dns_settings *s, const struct settings *parsed,
                         struct arena *arena)
{
        struct str key =
                arena_printf(arena, "%.*s\n%.*s\n%d\n%.*s\n%lld\n%lld", STR_ARG(s->forward),
                             STR_ARG(s->stub), s->wants_validation, STR_ARG(s->insecure_zones),
                             (long long)s->timeout_ms, (long long)s->cache_bytes_max);
        for (size_t i = 0; i < parsed->anchor_count; i++)
                key = arena_printf(arena, "%.*s\n%s", STR_ARG(key), parsed->anchors[i]);
        return key;
}

static struct dns *find_alive(struct str key)
{
        list_each (link, &all) {
                struct dns *d = list_of(link, struct dns, link);
                if (str_eq(d->key, key))
                        return dns_ref(d);
        }
        return NULL;
}

struct dns *dns_new(const struct dns_settings *settings, struct why *why)
{
        struct dns *d = dns_make();
        if (settings_parse(settings, &d->arena, &d->settings, why) < 0 ||
            resolver_try(&d->settings, why) < 0) {
                dns_free(d);
                return NULL;
        }
        d->key = key_of(settings, &d->settings, &d->arena);
        pthread_mutex_lock(&all_lock);
        struct dns *alive = find_alive(d->key);
        if (!alive) {
                /* the other half is for what libunbound remembers on each loop */
                d->cache = cache_new(d->settings.cache_bytes_max / 2);
                list_add_last(&all, &d->link);
        }
        pthread_mutex_unlock(&all_lock);
        if (!alive)
                return d;
        dns_free(d);
        return alive;
}

struct dns *dns_ref(struct dns *d)
{
        check(__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED) > 0);
        return d;
}

void dns_unref(struct dns **dp)
{
        struct dns *d = *dp;
        *dp = NULL;
        if (!d)
                return;
        /* with the lock, so that nobody finds it when it is about to go */
        pthread_mutex_lock(&all_lock);
        bool is_last = __atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) == 0;
        if (is_last)
                list_remove(&d->link);
        pthread_mutex_unlock(&all_lock);
        if (is_last)
                dns_free(d);
}

bool dns_is_null_mx(const struct dns_answer *mx)
{
        for (size_t i = 0; i < mx->count; i++)
                if (str_is_empty(mx->records[i].name))
                        return true;
        return false;
}
