/* packet_test.c - DNS messages, good ones and bad ones */
#include "dns/dns_private.h"

#include "base/unit.h"

#include <stdio.h>
#include <stdlib.h>

struct packet {
        unsigned char bytes[16384];
        size_t len;
};

static void put_u16(struct packet *p, unsigned value)
{
        p->bytes[p->len++] = (unsigned char)(value >> 8);
        p->bytes[p->len++] = (unsigned char)value;
}

static void put_name(struct packet *p, const char *name)
{
        struct str rest = str_from(name);
        while (rest.len) {
                struct str label = str_cut(&rest, '.');
                p->bytes[p->len++] = (unsigned char)label.len;
                memcpy(p->bytes + p->len, label.ptr, label.len);
                p->len += label.len;
        }
        p->bytes[p->len++] = 0;
}

/* The question is example.com, at byte 12. */
static void put_start(struct packet *p, unsigned type, unsigned flags, unsigned answers,
                      unsigned authority)
{
        p->len = 0;
        put_u16(p, 4711);
        put_u16(p, flags);
        put_u16(p, 1);
        put_u16(p, answers);
        put_u16(p, authority);
        put_u16(p, 0);
        put_name(p, "example.com");
        put_u16(p, type);
        put_u16(p, 1);
}

/* Returns where its length stands; end_record() puts it in. An empty owner is the question's. */
static size_t put_head(struct packet *p, const char *owner, unsigned type, unsigned ttl_s)
{
        if (owner[0])
                put_name(p, owner);
        else
                put_u16(p, 0xc00c);
        put_u16(p, type);
        put_u16(p, 1);
        put_u16(p, ttl_s >> 16);
        put_u16(p, ttl_s & 0xffff);
        put_u16(p, 0);
        return p->len - 2;
}

static void end_record(struct packet *p, size_t length_at)
{
        size_t length = p->len - length_at - 2;
        p->bytes[length_at] = (unsigned char)(length >> 8);
        p->bytes[length_at + 1] = (unsigned char)length;
}

static void put_mx(struct packet *p, unsigned ttl_s, unsigned preference, const char *host)
{
        size_t at = put_head(p, "", DNS_MX, ttl_s);
        put_u16(p, preference);
        put_name(p, host);
        end_record(p, at);
}

static void put_cname(struct packet *p, const char *owner, unsigned ttl_s, const char *target)
{
        size_t at = put_head(p, owner, DNS_CNAME, ttl_s);
        put_name(p, target);
        end_record(p, at);
}

static void put_soa(struct packet *p, unsigned ttl_s, unsigned minimum_s)
{
        size_t at = put_head(p, "", DNS_SOA, ttl_s);
        put_name(p, "ns.example.com");
        put_name(p, "root.example.com");
        for (int i = 0; i < 4; i++) {
                put_u16(p, 0);
                put_u16(p, 1);
        }
        put_u16(p, minimum_s >> 16);
        put_u16(p, minimum_s & 0xffff);
        end_record(p, at);
}

static struct box *box;

static const struct dns_answer *read_it(const struct packet *p, enum dns_type type)
{
        box_unref(&box);
        box = packet_read((struct wire_bytes){p->bytes, p->len}, STR("example.com"), type);
        if (box->answer.result != DNS_FAILED)
                box = box_seal(&box); /* as the cache keeps it */
        return &box->answer;
}

static int teardown(void **state)
{
        box_unref(&box);
        return 0;
}

static void an_answer(void **state)
{
        struct packet p;
        put_start(&p, DNS_MX, 0x8180, 4, 0);
        put_mx(&p, 3600, 10, "a.EXAMPLE.com");
        size_t at = put_head(&p, "", DNS_TXT, 1);
        p.bytes[p.len++] = 0;
        end_record(&p, at);
        put_mx(&p, 60, 20, "b.example.net");
        at = put_head(&p, "other.example", DNS_MX, 5); /* somebody else's: not our business */
        put_u16(&p, 1);
        put_name(&p, "evil.example");
        end_record(&p, at);
        const struct dns_answer *a = read_it(&p, DNS_MX);
        assert_int_equal(a->result, DNS_FOUND);
        assert_int_equal(a->count, 2);
        assert_str_equal(a->records[0].name, "a.example.com");
        assert_int_equal(a->records[0].preference, 10);
        assert_str_equal(a->records[1].name, "b.example.net");
        assert_int_equal(a->ttl_ms, 60000);
        assert_str_equal(a->owner, "example.com");
}

static void put_srv(struct packet *p, unsigned priority, unsigned weight, unsigned port)
{
        size_t at = put_head(p, "", DNS_SRV, 60);
        put_u16(p, priority);
        put_u16(p, weight);
        put_u16(p, port);
        put_name(p, "a.EXAMPLE.com");
        end_record(p, at);
}

static void services(void **state)
{
        struct packet p;
        put_start(&p, DNS_SRV, 0x8180, 4, 0);
        put_srv(&p, 65535, 1, 587);
        size_t at = put_head(&p, "", DNS_SRV, 60); /* no room for a name */
        put_u16(&p, 1);
        put_u16(&p, 2);
        put_u16(&p, 3);
        end_record(&p, at);
        at = put_head(&p, "", DNS_SRV, 60); /* bytes behind the name */
        put_u16(&p, 1);
        put_u16(&p, 2);
        put_u16(&p, 3);
        put_name(&p, "b");
        put_u16(&p, 4);
        end_record(&p, at);
        put_srv(&p, 0, 65535, 65535);
        const struct dns_answer *a = read_it(&p, DNS_SRV);
        assert_int_equal(a->result, DNS_FOUND);
        assert_int_equal(a->count, 2);
        assert_int_equal(a->records[0].preference, 65535);
        assert_int_equal(a->records[0].weight, 1);
        assert_int_equal(a->records[0].port, 587);
        assert_str_equal(a->records[0].name, "a.example.com");
        assert_int_equal(a->records[1].weight, 65535);
        assert_int_equal(a->records[1].port, 65535);
}

static void null_mx(void **state)
{
        struct packet p;
        put_start(&p, DNS_MX, 0x8180, 1, 0);
        put_mx(&p, 3600, 0, "");
        assert_int_equal(read_it(&p, DNS_MX)->count, 1);
        assert_str_equal(box->answer.records[0].name, "");
}

static void nothing(void **state)
{
        struct packet p;
        put_start(&p, DNS_MX, 0x8180, 0, 0);
        assert_int_equal(read_it(&p, DNS_MX)->result, DNS_NO_DATA);
        assert_int_equal(box->answer.ttl_ms, 0); /* nobody says how long */
        put_start(&p, DNS_MX, 0x8183, 0, 1);
        put_soa(&p, 900, 300);
        assert_int_equal(read_it(&p, DNS_MX)->result, DNS_NO_NAME);
        assert_int_equal(box->answer.ttl_ms, 300000);
        put_start(&p, DNS_MX, 0x8180, 0, 1);
        put_soa(&p, 0xffffffff, 300); /* a ttl over 2^31 is none */
        assert_int_equal(read_it(&p, DNS_MX)->ttl_ms, 0);
}

static void aliases(void **state)
{
        struct packet p;
        put_start(&p, DNS_A, 0x8180, 3, 0);
        size_t at = put_head(&p, "c.example", DNS_A, 600); /* in whatever order */
        p.bytes[p.len++] = 192;
        p.bytes[p.len++] = 0;
        put_u16(&p, 2 << 8 | 1);
        end_record(&p, at);
        put_cname(&p, "", 20, "b.example");
        put_cname(&p, "b.example", 30, "C.example");
        const struct dns_answer *a = read_it(&p, DNS_A);
        assert_int_equal(a->result, DNS_FOUND);
        assert_str_equal(a->owner, "c.example");
        assert_str_equal(a->records[0].text, "192.0.2.1");
        assert_int_equal(a->ttl_ms, 20000);
        /* the alias itself */
        a = read_it(&p, DNS_CNAME);
        assert_int_equal(a->count, 1);
        assert_str_equal(a->records[0].name, "b.example");
        /* a loop */
        put_start(&p, DNS_A, 0x8180, 2, 0);
        put_cname(&p, "", 20, "b.example");
        put_cname(&p, "b.example", 20, "example.com");
        assert_int_equal(read_it(&p, DNS_A)->result, DNS_FAILED);
}

static void failures(void **state)
{
        struct packet p;
        put_start(&p, DNS_A, 0x8182, 0, 0);
        assert_int_equal(read_it(&p, DNS_A)->result, DNS_FAILED);
        assert_non_null(strstr(box->answer.why, "server failure"));
        put_start(&p, DNS_A, 0x8185, 0, 0);
        assert_int_equal(read_it(&p, DNS_A)->result, DNS_FAILED);
        put_start(&p, DNS_A, 0x8380, 0, 0);
        assert_int_equal(read_it(&p, DNS_A)->result, DNS_FAILED);
        assert_non_null(strstr(box->answer.why, "truncated"));
        p.len = 0;
        assert_int_equal(read_it(&p, DNS_A)->result, DNS_FAILED);
}

/* Records that are not what their type says are left out. */
static void records_that_are_wrong(void **state)
{
        struct packet p;
        put_start(&p, DNS_A, 0x8180, 2, 0);
        size_t at = put_head(&p, "", DNS_A, 60);
        put_u16(&p, 0);
        end_record(&p, at); /* an address of two bytes */
        at = put_head(&p, "", DNS_A, 60);
        put_u16(&p, 0x7f00);
        put_u16(&p, 1);
        end_record(&p, at);
        assert_int_equal(read_it(&p, DNS_A)->count, 1);
        assert_str_equal(box->answer.records[0].text, "127.0.0.1");

        put_start(&p, DNS_TXT, 0x8180, 2, 0);
        at = put_head(&p, "", DNS_TXT, 60);
        p.bytes[p.len++] = 5;
        p.bytes[p.len++] = 'x'; /* a string that ends outside */
        end_record(&p, at);
        at = put_head(&p, "", DNS_TXT, 60);
        memcpy(p.bytes + p.len, "\2ab\0\1c", 6);
        p.len += 6;
        end_record(&p, at);
        assert_int_equal(read_it(&p, DNS_TXT)->count, 1);
        assert_str_equal(box->answer.records[0].text, "abc");

        /* a name whose presentation is over 253 bytes */
        put_start(&p, DNS_PTR, 0x8180, 1, 0);
        at = put_head(&p, "", DNS_PTR, 60);
        for (int i = 0; i < 3; i++) {
                p.bytes[p.len++] = 63;
                memset(p.bytes + p.len, 0, 63);
                p.len += 63;
        }
        p.bytes[p.len++] = 0;
        end_record(&p, at);
        assert_int_equal(read_it(&p, DNS_PTR)->count, 0);
}

/* Whatever is cut off or wrong: a failure or less, never a read outside. */
static void broken_packets(void **state)
{
        struct packet p;
        put_start(&p, DNS_MX, 0x8180, 3, 1);
        put_cname(&p, "", 10, "example.com");
        put_mx(&p, 3600, 10, "a.example.com");
        put_mx(&p, 3600, 20, "b.example.com");
        put_soa(&p, 10, 10);
        for (size_t len = 0; len < p.len; len++) {
                unsigned char *exact = malloc(len ? len : 1);
                memcpy(exact, p.bytes, len);
                struct box *b =
                        packet_read((struct wire_bytes){exact, len}, STR("example.com"), DNS_MX);
                assert_int_equal(b->answer.result, DNS_FAILED);
                box_unref(&b);
                free(exact);
        }
        for (size_t at = 12; at < p.len; at++) {
                unsigned char kept = p.bytes[at];
                p.bytes[at] = 0xff;
                assert_true(read_it(&p, DNS_MX)->count <= 2);
                p.bytes[at] = kept;
        }
}

static void more_records_than_the_limit(void **state)
{
        struct packet p;
        put_start(&p, DNS_MX, 0x8180, 150, 0);
        for (unsigned i = 0; i < 150; i++)
                put_mx(&p, 3600, i, "a.example.com");
        assert_int_equal(read_it(&p, DNS_MX)->count, 100);
        /* a count that is a lie */
        put_start(&p, DNS_MX, 0x8180, 65535, 0);
        put_mx(&p, 3600, 1, "a.example.com");
        assert_int_equal(read_it(&p, DNS_MX)->result, DNS_FAILED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(an_answer, teardown),
                cmocka_unit_test_teardown(services, teardown),
                cmocka_unit_test_teardown(null_mx, teardown),
                cmocka_unit_test_teardown(nothing, teardown),
                cmocka_unit_test_teardown(aliases, teardown),
                cmocka_unit_test_teardown(failures, teardown),
                cmocka_unit_test_teardown(records_that_are_wrong, teardown),
                cmocka_unit_test_teardown(broken_packets, teardown),
                cmocka_unit_test_teardown(more_records_than_the_limit, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
