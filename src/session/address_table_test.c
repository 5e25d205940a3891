/* address_table_test.c - against a plain array that knows better; values stay, lapsed ones go */
#include "session/address_table.h"

#include "base/rand.h"
#include "base/unit.h"

#include <string.h>

struct value {
        int64_t until;
        uint32_t id;
};

static bool is_lapsed(const void *value, int64_t now)
{
        return ((const struct value *)value)->until <= now;
}

static struct address_key key_of(uint32_t id)
{
        struct address_key key = {.kind = id & 1};
        memcpy(key.bytes + 3, &id, sizeof(id));
        return key;
}

static struct value *add(struct address_table *t, uint32_t id, int64_t until, int64_t now)
{
        struct address_key key = key_of(id);
        struct value *v = address_table_add(t, &key, is_lapsed, now);
        if (v) {
                assert_int_equal(v->id, 0);
                v->id = id;
                v->until = until;
        }
        return v;
}

static struct value *find(const struct address_table *t, uint32_t id)
{
        struct address_key key = key_of(id);
        return address_table_find(t, &key);
}

static void what_was_added_is_found_where_it_was(void **state)
{
        static struct value *where[10001];
        struct address_table t;
        address_table_init(&t, sizeof(struct value), 10000);
        for (uint32_t id = 1; id <= 10000; id++)
                where[id] = add(&t, id, INT64_MAX, 0);
        for (uint32_t id = 1; id <= 10000; id++) {
                assert_non_null(where[id]);
                assert_ptr_equal(find(&t, id), where[id]);
                assert_int_equal(where[id]->id, id);
        }
        assert_null(find(&t, 10001));
        assert_null(add(&t, 10001, INT64_MAX, 0)); /* full */
        assert_int_equal(t.count, 10000);
        assert_true(address_table_bytes(&t) <= address_table_bytes_max(&t));
        address_table_done(&t);
        address_table_done(&t);
}

static void lapsed_ones_make_room(void **state)
{
        struct address_table t;
        address_table_init(&t, sizeof(struct value), 5000);
        for (uint32_t id = 1; id <= 5000; id++)
                add(&t, id, id % 2 ? 100 : INT64_MAX, 0);
        for (uint32_t id = 6001; id <= 8500; id++)
                assert_non_null(add(&t, id, INT64_MAX, 100));
        assert_null(add(&t, 9999, INT64_MAX, 100));
        for (uint32_t id = 1; id <= 5000; id++) {
                if (id % 2)
                        assert_null(find(&t, id));
                else
                        assert_int_equal(find(&t, id)->id, id);
        }
        address_table_done(&t);
}

static void count_one(void *context, const struct address_key *key, const void *value)
{
        const struct value *v = value;
        struct address_key expected = key_of(v->id);
        assert_memory_equal(key, &expected, sizeof(expected));
        ++*(uint32_t *)context;
}

static void any_order_of_adding_and_lapsing_agrees_with_a_plain_array(void **state)
{
        enum { IDS = 3000 };
        static int64_t until[IDS + 1];
        struct address_table t;
        memset(until, 0, sizeof(until));
        address_table_init(&t, sizeof(struct value), 2000);
        for (int64_t now = 1; now < 60000; now++) {
                uint32_t id = 1 + (uint32_t)rand_below(IDS);
                struct value *v = find(&t, id);
                if (v) {
                        assert_int_equal(v->id, id);
                        assert_int_equal(v->until, until[id]);
                } else {
                        assert_true(until[id] <= now); /* nobody goes too early */
                        int64_t later = now + (int64_t)rand_below(1000);
                        if (add(&t, id, later, now))
                                until[id] = later;
                }
        }
        uint32_t count = 0;
        address_table_each(&t, count_one, &count);
        assert_int_equal(count, t.count);
        address_table_done(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_was_added_is_found_where_it_was),
                cmocka_unit_test(lapsed_ones_make_room),
                cmocka_unit_test(any_order_of_adding_and_lapsing_agrees_with_a_plain_array),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
