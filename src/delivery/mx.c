/* mx.c - hosts of MX and SRV records in the order in which they are to be tried (RFC 5321 5.1, RFC 2782) */
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

/* One of those from `at` on that have its priority. A weight of 0 is one of a hundredth, not of nothing. */
static size_t pick(const struct mx_set *set, size_t at)
{
        uint64_t sum = 0;
        size_t end = at;
        for (; end < set->count && set->hosts[end].preference == set->hosts[at].preference; end++)
                sum += set->hosts[end].weight * UINT64_C(100) + 1;
        uint64_t chosen = rand_below(sum);
        for (size_t i = at; i < end; i++) {
                uint64_t one = set->hosts[i].weight * UINT64_C(100) + 1;
                if (chosen < one)
                        return i;
                chosen -= one;
        }
        return at;
}

void srv_order(struct mx_set *set)
{
        for (size_t i = 1; i < set->count; i++)
                for (size_t k = i; k && by_preference(&set->hosts[k - 1], &set->hosts[k]) > 0; k--)
                        swap(&set->hosts[k - 1], &set->hosts[k]);
        for (size_t i = 0; i < set->count; i++)
                swap(&set->hosts[i], &set->hosts[pick(set, i)]);
}
