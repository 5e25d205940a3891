/* delivery_print_test.c - deliveries as people and scripts see them */
#include "base/unit.h"
#include "ops/delivery_print.h"

static struct delivery_view a_view(void)
{
        return (struct delivery_view){.transport = STR("smtp"),
                                      .nexthop = STR("[core.example]:2600"),
                                      .queue_id = "4gXyZ12abcz9",
                                      .recipients = 2,
                                      .age_us = 12900000,
                                      .waits_for = "waiting for a reply",
                                      .waits_ms = 3999};
}

static void print(struct delivery_print *p, const struct delivery_view *v, size_t there,
                  struct buf *out)
{
        buf_init(out, 1 << 20);
        p->out = out;
        p->now_us = 1000000012LL * 1000000;
        if (v)
                delivery_print_one(p, v);
        delivery_print_end(p, there);
}

static void test_text(void **state)
{
        struct buf out;
        struct delivery_view v = a_view();
        struct delivery_print p = {0};
        print(&p, &v, 1, &out);
        assert_str_equal(buf_str(&out),
                         "smtp:[core.example]:2600 4gXyZ12abcz9 for 12 s, 2 recipients: "
                         "waiting for a reply (for 3 s)\n-- 1 delivery.\n");
        buf_done(&out);

        v = (struct delivery_view){.transport = STR("relay"),
                                   .nexthop = STR("evil\x1b[2J\n"),
                                   .waits_for = "idle, connected to: x"};
        p = (struct delivery_print){0};
        print(&p, &v, 7, &out);
        assert_str_equal(buf_str(&out), "relay:evil?[2J?: idle, connected to: x (for 0 s)\n"
                                        "-- 7 deliveries.\n   (1 are shown)\n");
        buf_done(&out);

        p = (struct delivery_print){0};
        print(&p, NULL, 0, &out);
        assert_str_equal(buf_str(&out), "nothing is being delivered\n");
        buf_done(&out);
}

static void test_json(void **state)
{
        struct buf out;
        struct delivery_view v = a_view();
        struct delivery_print p = {.as_json = true, .loop = 3};
        print(&p, &v, 1, &out);
        assert_str_equal(buf_str(&out),
                         "{\"transport\": \"smtp\", \"nexthop\": \"[core.example]:2600\", "
                         "\"loop\": 3, \"queue_id\": \"4gXyZ12abcz9\", \"is_probe\": false, "
                         "\"recipients\": 2, \"since\": 1000000000, "
                         "\"waits_for\": \"waiting for a reply\", \"waits_since\": 1000000009}\n");
        buf_done(&out);
}

static void test_ceiling(void **state)
{
        static char long_name[60000];
        memset(long_name, 1, sizeof(long_name)); /* six bytes each in JSON */
        struct delivery_view v = a_view();
        v.nexthop = v.transport = str_make(long_name, sizeof(long_name));
        for (int as_json = 0; as_json < 2; as_json++) {
                struct buf out;
                struct delivery_print p = {.as_json = as_json};
                print(&p, &v, 1, &out);
                assert_in_range(out.len, 1000, 8 * 1024);
                buf_done(&out);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_ceiling),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
