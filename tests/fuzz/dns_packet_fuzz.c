/*
 * dns_packet_fuzz.c - a DNS answer, read for every type; and the order of the MX hosts that it names
 *
 * The name that is asked for is the packet's own question, so that records are found.
 */
#include "fuzz.h"

#include "delivery/host.h"
#include "dns/dns_private.h"

#include <errno.h>

static void check_answer(const struct dns_answer *a)
{
        check(a->count <= RECORDS_MAX);
        check((a->result == DNS_FOUND) == (a->count > 0));
        check((a->result == DNS_FAILED) == (a->why != NULL));
        check(a->ttl_ms >= 0 && a->owner.len < DNS_NAME_BYTES_MAX);
        for (size_t i = 0; i < a->count; i++)
                check(a->records[i].name.len < DNS_NAME_BYTES_MAX);
}

static void check_order(const struct dns_answer *a, enum dns_type type)
{
        struct mx_host hosts[MX_HOSTS_MAX];
        struct mx_set set = {.hosts = hosts};
        for (size_t i = 0; i < a->count; i++)
                hosts[set.count++] = (struct mx_host){.preference = a->records[i].preference,
                                                      .weight = a->records[i].weight,
                                                      .name = a->records[i].name};
        size_t before = set.count;
        if (type == DNS_SRV) {
                srv_order(&set);
                check(set.count == before);
        } else {
                int rc = mx_order(&set, STR("a.example.com"), true);
                check(rc == 0 || (rc == -ELOOP && before && !set.count));
        }
        for (size_t i = 1; i < set.count; i++)
                check(set.hosts[i - 1].preference <= set.hosts[i].preference);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const enum dns_type types[] = {DNS_A,  DNS_NS,  DNS_CNAME, DNS_SOA,  DNS_PTR,
                                              DNS_MX, DNS_TXT, DNS_AAAA,  DNS_TLSA, DNS_SRV};
        struct wire_bytes packet = {data, size};
        char name[DNS_NAME_BYTES_MAX];
        size_t at = 12;
        int len = size > at ? name_read(packet, &at, name) : 0;
        if (len < 0 || len >= DNS_NAME_BYTES_MAX)
                len = 0;
        for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
                struct box *b = packet_read(packet, str_make(name, (size_t)len), types[i]);
                check_answer(&b->answer);
                if (types[i] == DNS_MX || types[i] == DNS_SRV)
                        check_order(&b->answer, types[i]);
                box_unref(&b);
        }
        return 0;
}
