/* mx_test.c - the order in which MX hosts are tried */
#include "delivery/host.h"

#include "base/unit.h"

#include <errno.h>

static void fill(struct mx_set *set, const char *text)
{
        static struct mx_host hosts[MX_HOSTS_MAX];
        struct str rest = str_from(text);
        struct str word;
        *set = (struct mx_set){.hosts = hosts};
        while (str_next_word(&rest, " ", &word)) {
                struct str name = word;
                struct str number = str_cut(&name, ':');
                int64_t preference;
                assert_int_equal(str_to_int64(number, 0, 65535, &preference), 0);
                struct mx_host *h = &hosts[set->count++];
                *h = (struct mx_host){0};
                h->preference = (int)preference;
                h->name = name;
        }
}

static void orders(void **state)
{
        static const struct {
                const char *set;
                const char *own;
                const char *order; /* NULL: a loop */
        } cases[] = {
                {"", "me.test", ""},
                {"10:a", "me.test", "a "},
                {"30:c 10:a 20:b", "me.test", "a b c "},
                {"20:b 10:a 20:c 10:d", "", "a d b c "},
                {"10:a 20:me.test 30:b", "me.test", "a "},
                {"10:a 20:b 20:ME.test 20:c 5:d", "me.test", "d a "},
                {"10:me.test 20:b", "me.test", NULL},
                {"10:me.test 10:b", "me.test", NULL},
                {"10:a 30:me.test 20:me.test 20:b", "me.test", "a "},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct mx_set set;
                char order[1000] = "";
                fill(&set, cases[i].set);
                int rc = mx_order(&set, str_from(cases[i].own), false);
                assert_int_equal(rc, cases[i].order ? 0 : -ELOOP);
                for (size_t k = 0; k < set.count; k++) {
                        size_t len = strlen(order);
                        snprintf(order + len, sizeof(order) - len, "%.*s ",
                                 STR_ARG(set.hosts[k].name));
                }
                assert_string_equal(order, cases[i].order ? cases[i].order : "");
        }
}

/* A2 of the article: four equals get a quarter each; A4: a 20 comes after every 10. */
static void equals_in_random_order(void **state)
{
        enum { ROUNDS = 10000 };
        int first[4] = {0};
        for (int i = 0; i < ROUNDS; i++) {
                struct mx_set set;
                fill(&set, "20:e 10:a 10:b 10:c 10:d");
                assert_int_equal(mx_order(&set, STR("me.test"), true), 0);
                first[set.hosts[0].name.ptr[0] - 'a']++;
                assert_str_equal(set.hosts[4].name, "e");
        }
        for (int i = 0; i < 4; i++)
                assert_in_range(first[i], ROUNDS * 20 / 100, ROUNDS * 30 / 100);
}

/* Three quarters and a quarter; what has no weight is hardly ever first, and never before a better priority. */
static void services_by_weight(void **state)
{
        enum { ROUNDS = 10000 };
        int first[3] = {0};
        for (int i = 0; i < ROUNDS; i++) {
                struct mx_set set;
                fill(&set, "20:d 10:a 10:b 10:c");
                set.hosts[0].weight = 60000;
                set.hosts[1].weight = 300;
                set.hosts[2].weight = 100;
                srv_order(&set);
                assert_int_equal(set.count, 4);
                first[set.hosts[0].name.ptr[0] - 'a']++;
                assert_str_equal(set.hosts[3].name, "d");
        }
        assert_in_range(first[0], ROUNDS * 70 / 100, ROUNDS * 80 / 100);
        assert_in_range(first[1], ROUNDS * 20 / 100, ROUNDS * 30 / 100);
        assert_in_range(first[2], 0, ROUNDS / 100);
        struct mx_set none;
        fill(&none, "");
        srv_order(&none);
        assert_int_equal(none.count, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(orders),
                cmocka_unit_test(equals_in_random_order),
                cmocka_unit_test(services_by_weight),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
