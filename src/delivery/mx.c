/*
 * mx.c - MX records: read from a DNS message and put in order (RFC 5321 5.1, RFC 7505)
 */
#include "delivery/host.h"

#include "base/rand.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <resolv.h>

enum { MX_RDATA_BYTES_MIN = 3 };

static void host_add(struct mx_set *set, const ns_msg *message, const ns_rr *record)
{
        if (ns_rr_rdlen(*record) < MX_RDATA_BYTES_MIN)
                return;
        struct mx_host *h = &set->hosts[set->count];
        const unsigned char *data = ns_rr_rdata(*record);
        if (dn_expand(ns_msg_base(*message), ns_msg_end(*message), data + 2, h->name,
                      sizeof(h->name)) < 0)
                return;
        size_t len = strlen(h->name);
        if (len && h->name[len - 1] == '.')
                h->name[len - 1] = '\0';
        h->preference = ns_get16(data);
        set->count++;
}

int mx_parse(const unsigned char *packet, size_t bytes, struct arena *arena, struct mx_set *out)
{
        ns_msg message;
        *out = (struct mx_set){.ttl_ms = INT64_MAX};
        if (bytes > NS_MAXMSG || ns_initparse(packet, (int)bytes, &message) < 0)
                return -EBADMSG;
        out->hosts = arena_array(arena, struct mx_host, MX_HOSTS_MAX);
        int answers = ns_msg_count(message, ns_s_an);
        for (int i = 0; i < answers && out->count < MX_HOSTS_MAX; i++) {
                ns_rr record;
                if (ns_parserr(&message, ns_s_an, i, &record) < 0)
                        return -EBADMSG;
                if (ns_rr_type(record) != ns_t_mx)
                        continue;
                int64_t ttl_ms = (int64_t)ns_rr_ttl(record) * 1000;
                if (ttl_ms < out->ttl_ms)
                        out->ttl_ms = ttl_ms;
                host_add(out, &message, &record);
        }
        if (out->count == 1 && out->hosts[0].name[0] == '\0')
                out->is_null = true;
        return 0;
}

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
        return name.len && str_eq_nocase(str_from(h->name), name);
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
