/* mx.c - MX hosts in the order in which they are to be tried (RFC 5321 5.1) */
#include "delivery/host.h"

#include "base/rand.h"

#include <errno.h>

static void swap(struct mx_host *a, struct mx_host *b)
{
        struct mx_host spare = *a;
        *a = *b;
        *b = spare;
}

static int by_preference(const void *a, const void *b)
{
        return ((const struct mx_host *)a)->preference - ((const struct mx_host *)b)->preference;
}

static bool is_named(const struct mx_host *h, struct str name)
{
        return name.len && str_eq_nocase(h->name, name);
}

int mx_order(struct mx_set *set, struct str own_name, bool is_random)
{
        int limit = INT32_MAX; /* our own preference */
        for (size_t i = 0; i < set->count; i++)
                if (is_named(&set->hosts[i], own_name) && set->hosts[i].preference < limit)
                        limit = set->hosts[i].preference;
        size_t kept = 0;
        for (size_t i = 0; i < set->count; i++)
                if (set->hosts[i].preference < limit)
                        set->hosts[kept++] = set->hosts[i];
        bool had_some = set->count > 0;
        set->count = kept;
        if (had_some && kept == 0)
                return -ELOOP;
        /* shuffle, then a sort that leaves equals as they stand: mergesort in qsort, so by hand */
        for (size_t i = kept; is_random && i > 1; i--)
                swap(&set->hosts[i - 1], &set->hosts[rand_below(i)]);
        for (size_t i = 1; i < kept; i++)
                for (size_t k = i; k && by_preference(&set->hosts[k - 1], &set->hosts[k]) > 0; k--)
                        swap(&set->hosts[k - 1], &set->hosts[k]);
        return 0;
}
