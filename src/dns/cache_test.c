/* cache_test.c - what all loops remember, and in how much memory */
#include "dns/dns_private.h"

#include "base/clock.h"
#include "base/unit.h"

#include <stdio.h>

enum { NAMES = 4000, TTL_MS = 3600 * 1000 };

static struct cache *cache;

static int teardown(void **state)
{
        cache_free(&cache);
        return 0;
}

static struct str name_of(int n, char out[DNS_NAME_BYTES_MAX])
{
        return str_make(out, (size_t)snprintf(out, DNS_NAME_BYTES_MAX, "host-%d.example.com", n));
}

/* An answer with one record, as a client's reverse name has. */
static struct box *ptr_of(int n, int64_t ttl_ms)
{
        struct box *b = box_new();
        char name[DNS_NAME_BYTES_MAX];
        unsigned char wire[WIRE_NAME_BYTES_MAX];
        size_t len = name_to_wire(name_of(n, name), wire);
        box_make_room(b, 1);
        assert_true(record_read(b, (struct wire_bytes){wire, len}, 0, len, DNS_PTR));
        b->answer.owner = box_str(b, STR("1.2.0.192.in-addr.arpa"));
        b->answer.ttl_ms = ttl_ms;
        return box_seal(&b);
}

static void put(int n, int64_t ttl_ms)
{
        char name[DNS_NAME_BYTES_MAX];
        struct box *b = ptr_of(n, ttl_ms);
        cache_put(cache, name_of(n, name), DNS_PTR, b);
        box_unref(&b);
}

static bool has(int n)
{
        char name[DNS_NAME_BYTES_MAX];
        struct str key = name_of(n, name);
        struct box *b = cache_find(cache, key, DNS_PTR);
        if (!b)
                return false;
        assert_true(str_eq(b->answer.records[0].name, key));
        box_unref(&b);
        return true;
}

static int known(int from, int to)
{
        int count = 0;
        for (int n = from; n < to; n++)
                count += has(n);
        return count;
}

static void finds_what_was_put(void **state)
{
        cache = cache_new(64 << 20);
        assert_false(has(1));
        for (int n = 0; n < NAMES; n++)
                put(n, TTL_MS);
        assert_int_equal(known(0, NAMES), NAMES);
        assert_false(has(NAMES));
        /* the same name with another type is another question */
        char name[DNS_NAME_BYTES_MAX];
        assert_null(cache_find(cache, name_of(1, name), DNS_A));
        /* a later answer takes the place of the one before, which who holds it keeps */
        struct box *held = cache_find(cache, name_of(1, name), DNS_PTR);
        put(1, TTL_MS);
        struct box *again = cache_find(cache, name_of(1, name), DNS_PTR);
        assert_ptr_not_equal(held, again);
        box_unref(&again);
        cache_free(&cache);
        assert_str_equal(held->answer.records[0].name, "host-1.example.com");
        box_unref(&held);
}

static void keeps_nothing_too_long(void **state)
{
        cache = cache_new(64 << 20);
        put(1, 0);
        assert_false(has(1));
        struct box *failed = box_failed("no");
        failed->answer.ttl_ms = TTL_MS;
        cache_put(cache, STR("host-1.example.com"), DNS_PTR, failed);
        box_unref(&failed);
        assert_false(has(1));
        put(2, 1);
        int64_t end_ms = clock_mono_ms() + 1;
        while (clock_mono_ms() <= end_ms)
                ;
        assert_false(has(2));
        put(2, TTL_MS);
        assert_true(has(2));
}

/* So many clients may have a name for so much memory: 1.5 KiB were taken for the two answers of each. */
static void a_full_one_forgets_what_nobody_used(void **state)
{
        cache = cache_new(NAMES * 200);
        for (int n = 0; n < NAMES; n++) {
                put(n, TTL_MS);
                assert_true(has(n));
                assert_true(n == 0 || has(0)); /* asked all the time */
        }
        int all = known(0, NAMES);
        assert_in_range(all, NAMES / 3, NAMES - 1);
        /* what is gone is the oldest: of the latest tenth everything is there */
        assert_int_equal(known(NAMES - NAMES / 10, NAMES), NAMES / 10);
        assert_in_range(known(1, NAMES / 10), 0, NAMES / 20);

        /* one that is larger than a part is not kept, and pushes nothing out */
        struct box *large = ptr_of(NAMES, TTL_MS);
        large->bytes = NAMES * 200;
        cache_put(cache, STR("large"), DNS_PTR, large);
        box_unref(&large);
        assert_null(cache_find(cache, STR("large"), DNS_PTR));
        assert_int_equal(known(0, NAMES), all);
}

static void an_answer_is_moved_whole(void **state)
{
        static const unsigned char tlsa[] = {3, 1, 1, 0xaa, 0xbb};
        struct box *b = box_new();
        box_make_room(b, 3);
        assert_true(record_read(b, (struct wire_bytes){tlsa, 5}, 0, 5, DNS_TLSA));
        assert_true(record_read(b, (struct wire_bytes){tlsa, 4}, 0, 4, DNS_A));
        b->answer.owner = box_str(b, STR("_25._tcp.mx.example"));
        b->answer.is_secure = true;
        b->answer.ttl_ms = 5;
        size_t before = b->bytes;
        b = box_seal(&b);
        assert_true(b->bytes < before);
        const struct dns_answer *a = &b->answer;
        assert_int_equal(a->count, 2);
        assert_true(a->is_secure);
        assert_int_equal(a->ttl_ms, 5);
        assert_str_equal(a->owner, "_25._tcp.mx.example");
        assert_true(str_eq(a->records[0].data, str_make((const char *)tlsa, 5)));
        assert_true(str_eq(a->records[0].tlsa.association, str_make((const char *)tlsa + 3, 2)));
        assert_ptr_equal(a->records[0].tlsa.association.ptr, a->records[0].data.ptr + 3);
        assert_int_equal(a->records[0].tlsa.usage, 3);
        assert_str_equal(a->records[1].text, "3.1.1.170");
        assert_int_equal(a->records[1].address[15], 0xaa);
        box_unref(&b);

        b = box_new();
        b->answer.result = DNS_NO_NAME;
        b = box_seal(&b);
        assert_int_equal(b->answer.count, 0);
        assert_str_equal(b->answer.owner, "");
        box_unref(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(finds_what_was_put, teardown),
                cmocka_unit_test_teardown(keeps_nothing_too_long, teardown),
                cmocka_unit_test_teardown(a_full_one_forgets_what_nobody_used, teardown),
                cmocka_unit_test(an_answer_is_moved_whole),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
