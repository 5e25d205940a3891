/*
 * figures.c - how much was asked, and what came of it: in all, and by zone
 *
 * A zone is here what stands in dns_stub or dns_forward, else the last two labels of the name (of names of
 * addresses: the two that they all have), since nobody tells us where the cuts are.
 */
#include "dns/dns_private.h"

#include "base/check.h"
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>

enum { LINES_MAX = 1000 };

struct figures {
        pthread_mutex_t lock;
        struct dns_figures all;
        struct dns_figures others; /* of zones over the limit */
        struct map zones;
};

struct figures *figures_new(void)
{
        struct figures *f = calloc(1, sizeof(*f));
        check(f);
        pthread_mutex_init(&f->lock, NULL);
        map_init(&f->zones);
        return f;
}

void figures_free(struct figures **fp)
{
        struct figures *f = *fp;
        *fp = NULL;
        if (!f)
                return;
        const struct map_slot *slot;
        for (size_t at = 0; (slot = map_next(&f->zones, &at));)
                free(slot->value);
        map_done(&f->zones);
        pthread_mutex_destroy(&f->lock);
        free(f);
}

static struct str last_two_labels(struct str name)
{
        size_t at = name.len;
        int dots = 0;
        while (at > 0 && !(name.ptr[at - 1] == '.' && ++dots == 2))
                at--;
        return str_tail(name, at);
}

static struct dns_figures *zone_of(struct figures *f, struct str name)
{
        struct str zone = str_find(name, ' ') >= 0 ? name : last_two_labels(name);
        if (str_is_empty(zone))
                zone = STR(".");
        struct dns_figures *of_zone = map_find(&f->zones, zone);
        if (of_zone)
                return of_zone;
        if (f->zones.count == LINES_MAX)
                return &f->others;
        of_zone = calloc(1, sizeof(*of_zone));
        check(of_zone);
        map_put(&f->zones, zone, of_zone);
        return of_zone;
}

static void count_one(struct dns_figures *f, const struct dns_answer *a, bool has_timed_out)
{
        f->asked++;
        f->cached += a->was_cached;
        f->found += a->result == DNS_FOUND;
        f->no_data += a->result == DNS_NO_DATA;
        f->no_name += a->result == DNS_NO_NAME;
        f->failed += a->result == DNS_FAILED;
        f->bogus += a->is_bogus;
        f->timed_out += has_timed_out;
}

void figures_count(struct figures *f, struct str zone, const struct dns_answer *answer,
                   bool has_timed_out)
{
        pthread_mutex_lock(&f->lock);
        count_one(&f->all, answer, has_timed_out);
        count_one(zone_of(f, zone), answer, has_timed_out);
        pthread_mutex_unlock(&f->lock);
}

void dns_figures(const struct dns *d, struct dns_figures *out)
{
        pthread_mutex_lock(&d->figures->lock);
        *out = d->figures->all;
        pthread_mutex_unlock(&d->figures->lock);
}

void dns_figures_each(const struct dns *d, dns_figures_visit *visit, void *context)
{
        struct figures *f = d->figures;
        const struct map_slot *slot;
        pthread_mutex_lock(&f->lock);
        for (size_t at = 0; (slot = map_next(&f->zones, &at));)
                visit(context, str_make(slot->key, slot->key_len), slot->value);
        if (f->others.asked)
                visit(context, STR("other"), &f->others);
        pthread_mutex_unlock(&f->lock);
}
