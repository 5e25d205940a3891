/* front_door_test.c - counts by client, over its limits, and forgets those who are gone */
#include "session/front_door.h"

#include "base/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static const struct front_door_limits limits = {.connections_max = 2,
                                                .rate_max = 4,
                                                .unit_ms = 1000,
                                                .ipv4_prefix_bits = 32,
                                                .ipv6_prefix_bits = 64};

static void address(unsigned char out[16], const char *text)
{
        assert_true(network_address_parse(str_from(text), out));
}

static void too_many_at_once_are_turned_away(void **state)
{
        struct front_door *d = front_door_new();
        struct front_door_client *c[4];
        unsigned char a[16];
        address(a, "192.0.2.1");
        assert_int_equal(front_door_enter(d, a, &limits, 0, &c[0]), FRONT_DOOR_WELCOME);
        assert_int_equal(front_door_enter(d, a, &limits, 0, &c[1]), FRONT_DOOR_WELCOME);
        assert_int_equal(front_door_enter(d, a, &limits, 0, &c[2]), FRONT_DOOR_TOO_MANY);
        front_door_leave(d, &c[2]);
        front_door_leave(d, &c[1]);
        front_door_leave(d, &c[1]); /* NULL now */
        assert_int_equal(front_door_enter(d, a, &limits, 0, &c[1]), FRONT_DOOR_WELCOME);
        address(a, "192.0.2.2");
        assert_int_equal(front_door_enter(d, a, &limits, 0, &c[3]), FRONT_DOOR_WELCOME);
        front_door_leave(d, &c[0]);
        front_door_leave(d, &c[1]);
        front_door_leave(d, &c[3]);
        front_door_free(&d);
        assert_null(d);
}

static void too_often_in_a_unit_is_turned_away(void **state)
{
        struct front_door *d = front_door_new();
        struct front_door_client *c;
        unsigned char a[16];
        address(a, "192.0.2.1");
        for (int i = 0; i < 4; i++) {
                assert_int_equal(front_door_enter(d, a, &limits, 10 * i, &c), FRONT_DOOR_WELCOME);
                front_door_leave(d, &c);
        }
        assert_int_equal(front_door_enter(d, a, &limits, 50, &c), FRONT_DOOR_TOO_OFTEN);
        front_door_leave(d, &c);
        assert_int_equal(front_door_enter(d, a, &limits, 1000, &c), FRONT_DOOR_WELCOME);
        front_door_leave(d, &c);
        front_door_free(&d);
}

static void no_limits_let_all_in(void **state)
{
        const struct front_door_limits none = {
                .unit_ms = 1000, .ipv4_prefix_bits = 32, .ipv6_prefix_bits = 128};
        struct front_door *d = front_door_new();
        struct front_door_client *c;
        unsigned char a[16];
        address(a, "192.0.2.1");
        for (int i = 0; i < 1000; i++) /* nobody leaves */
                assert_int_equal(front_door_enter(d, a, &none, 0, &c), FRONT_DOOR_WELCOME);
        assert_int_equal(front_door_count(d), 1);
        front_door_free(&d);
}

static void ipv6_clients_share_their_prefix(void **state)
{
        struct front_door *d = front_door_new();
        struct front_door_client *c[4];
        unsigned char a[16];
        address(a, "2001:db8:0:1::1");
        assert_int_equal(front_door_enter(d, a, &limits, 0, &c[0]), FRONT_DOOR_WELCOME);
        address(a, "2001:db8:0:1:ffff::2");
        assert_int_equal(front_door_enter(d, a, &limits, 0, &c[1]), FRONT_DOOR_WELCOME);
        address(a, "2001:db8:0:1::3");
        assert_int_equal(front_door_enter(d, a, &limits, 0, &c[2]), FRONT_DOOR_TOO_MANY);
        address(a, "2001:db8:0:2::1");
        assert_int_equal(front_door_enter(d, a, &limits, 0, &c[3]), FRONT_DOOR_WELCOME);
        for (int i = 0; i < 4; i++)
                front_door_leave(d, &c[i]);
        front_door_free(&d);
}

static void those_who_are_gone_are_forgotten(void **state)
{
        struct front_door *d = front_door_new();
        struct front_door_client *c;
        struct front_door_client *stays;
        unsigned char a[16] = {0x20, 0x01};
        for (int i = 0; i < 1000; i++) {
                a[4] = (unsigned char)(i >> 8);
                a[5] = (unsigned char)i;
                front_door_enter(d, a, &limits, 0, &c);
                if (i == 7)
                        stays = c;
                else
                        front_door_leave(d, &c);
        }
        assert_int_equal(front_door_count(d), 1000);
        /* a few are looked for with each newcomer: their places are taken again */
        a[0] = 0xfd;
        for (int i = 0; i < 1000; i++) {
                a[4] = (unsigned char)(i >> 8);
                a[5] = (unsigned char)i;
                front_door_enter(d, a, &limits, 5000, &c);
                front_door_leave(d, &c);
        }
        assert_int_equal(front_door_count(d), 1001);
        front_door_leave(d, &stays);
        front_door_free(&d);
}

static void ipv4_clients_may_share_a_prefix(void **state)
{
        struct front_door_limits wide = limits;
        struct front_door *d = front_door_new();
        struct front_door_client *c[3];
        unsigned char a[16];
        wide.ipv4_prefix_bits = 24;
        address(a, "192.0.2.1");
        assert_int_equal(front_door_enter(d, a, &wide, 0, &c[0]), FRONT_DOOR_WELCOME);
        address(a, "192.0.2.200");
        assert_int_equal(front_door_enter(d, a, &wide, 0, &c[1]), FRONT_DOOR_WELCOME);
        assert_int_equal(front_door_enter(d, a, &wide, 0, &c[2]), FRONT_DOOR_TOO_MANY);
        assert_int_equal(front_door_count(d), 1);
        for (int i = 0; i < 3; i++)
                front_door_leave(d, &c[i]);
        front_door_free(&d);
}

static void networks_have_limits_of_their_own(void **state)
{
        const struct front_door_limits l = {.unit_ms = 1000,
                                            .ipv4_prefix_bits = 32,
                                            .ipv6_prefix_bits = 64,
                                            .network_connections_max = 3,
                                            .network_rate_max = 5,
                                            .network_ipv4_prefix_bits = 24,
                                            .network_ipv6_prefix_bits = 48};
        struct front_door *d = front_door_new();
        struct front_door_client *c[4];
        char text[40];
        unsigned char a[16];
        for (int i = 0; i < 4; i++) {
                snprintf(text, sizeof(text), "192.0.2.%d", i);
                address(a, text);
                assert_int_equal(front_door_enter(d, a, &l, 0, &c[i]),
                                 i < 3 ? FRONT_DOOR_WELCOME : FRONT_DOOR_NETWORK_TOO_MANY);
        }
        struct front_door_client *other;
        address(a, "192.0.3.1");
        assert_int_equal(front_door_enter(d, a, &l, 0, &other), FRONT_DOOR_WELCOME);
        front_door_leave(d, &other);
        for (int i = 0; i < 4; i++)
                front_door_leave(d, &c[i]);
        /* four have come in this second: one more, and then no more until the next */
        address(a, "192.0.2.77");
        assert_int_equal(front_door_enter(d, a, &l, 10, &c[0]), FRONT_DOOR_WELCOME);
        front_door_leave(d, &c[0]);
        assert_int_equal(front_door_enter(d, a, &l, 20, &c[0]), FRONT_DOOR_NETWORK_TOO_OFTEN);
        front_door_leave(d, &c[0]);
        assert_int_equal(front_door_enter(d, a, &l, 1000, &c[0]), FRONT_DOOR_WELCOME);
        front_door_leave(d, &c[0]);
        address(a, "2001:db8:1:1::1");
        for (int i = 0; i < 4; i++)
                front_door_enter(d, a, &l, 0, &c[i]);
        address(a, "2001:db8:1:ffff::1");
        assert_int_equal(front_door_enter(d, a, &l, 0, &other), FRONT_DOOR_NETWORK_TOO_MANY);
        front_door_leave(d, &other);
        for (int i = 0; i < 4; i++)
                front_door_leave(d, &c[i]);
        front_door_free(&d);
}

/* What the process has in memory now. */
static int64_t resident_bytes(void)
{
        long pages = 0;
        FILE *f = fopen("/proc/self/statm", "r");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%*s %ld", &pages), 1);
        fclose(f);
        return pages * sysconf(_SC_PAGESIZE);
}

/*
 * A million addresses, and as many networks as fit, each known good too: all that the session remembers of clients.
 * With dns_cache_size_limit (its default is 64 MiB) that is less than 200 MB.
 */
static void a_million_addresses_cost_less_than_130_megabytes(void **state)
{
        if (IS_SANITIZED)
                skip(); /* it would measure the sanitizer, for half a minute */
        struct front_door_limits l = limits;
        l.network_connections_max = 1000000;
        l.network_ipv4_prefix_bits = 24;
        int64_t before = resident_bytes();
        struct front_door *d = front_door_new();
        struct screen_passes passes = {{2000000000, 2000000000, 0, 0, 0}};
        for (uint32_t i = 0; i < 1200000; i++) {
                struct front_door_client *c;
                unsigned char a[16] = {[10] = 0xff, [11] = 0xff};
                uint32_t spread = i * 2654435761u;
                memcpy(a + 12, &spread, 4);
                front_door_enter(d, a, &l, 0, &c);
                front_door_leave(d, &c);
                screen_cache_put(front_door_known(d), a, &passes, 1000, 0);
        }
        assert_int_equal(front_door_count(d), FRONT_DOOR_CLIENTS_MAX);
        assert_int_equal(screen_cache_count(front_door_known(d)), SCREEN_CLIENTS_MAX);
        assert_true(front_door_bytes(d) <= front_door_bytes_max(d));
        assert_true(front_door_bytes_max(d) < 130 * 1000 * 1000);
        int64_t grown = resident_bytes() - before;
        print_message("%.1f MB resident for %d counted and %d known clients\n", (double)grown / 1e6,
                      (int)FRONT_DOOR_CLIENTS_MAX, (int)SCREEN_CLIENTS_MAX);
        assert_true(grown < 130 * 1000 * 1000);
        /* a minute later there is room again, a piece at a time */
        for (uint32_t i = 0; i < 1000; i++) {
                struct front_door_client *c;
                unsigned char a[16] = {0x20,
                                       0x01, [6] = (unsigned char)(i >> 8), [7] = (unsigned char)i};
                front_door_enter(d, a, &l, 60000, &c);
                assert_non_null(c);
                front_door_leave(d, &c);
        }
        front_door_free(&d);
}

static void *come_and_go(void *arg)
{
        struct front_door *d = arg;
        unsigned char a[16] = {0x20, 0x01};
        for (int i = 0; i < 5000; i++) {
                struct front_door_client *c;
                a[5] = (unsigned char)i;
                front_door_enter(d, a, &limits, i, &c);
                front_door_leave(d, &c);
        }
        return NULL;
}

static void loops_share_the_door(void **state)
{
        struct front_door *d = front_door_new();
        pthread_t t[3];
        for (int i = 0; i < 3; i++)
                assert_int_equal(pthread_create(&t[i], NULL, come_and_go, d), 0);
        for (int i = 0; i < 3; i++)
                pthread_join(t[i], NULL);
        assert_true(front_door_count(d) <= 256);
        front_door_free(&d);
}

static void events_are_counted_by_unit(void **state)
{
        struct front_door *d = front_door_new();
        struct front_door_client *one, *same, *other;
        unsigned char a[16];
        address(a, "192.0.2.1");
        front_door_enter(d, a, &limits, 0, &one);
        front_door_enter(d, a, &limits, 0, &same);
        address(a, "192.0.2.2");
        front_door_enter(d, a, &limits, 0, &other);
        assert_int_equal(front_door_note(d, one, FRONT_DOOR_MESSAGE, 1), 1);
        assert_int_equal(front_door_note(d, same, FRONT_DOOR_MESSAGE, 2), 2);
        assert_int_equal(front_door_note(d, same, FRONT_DOOR_RECIPIENT, 2), 1);
        assert_int_equal(front_door_note(d, other, FRONT_DOOR_MESSAGE, 2), 1);
        assert_int_equal(front_door_note(d, NULL, FRONT_DOOR_MESSAGE, 2), 0);
        assert_int_equal(front_door_note(d, one, FRONT_DOOR_MESSAGE, 999), 3);
        assert_int_equal(front_door_note(d, one, FRONT_DOOR_MESSAGE, 1000), 1);
        front_door_leave(d, &one);
        front_door_leave(d, &same);
        front_door_leave(d, &other);
        front_door_free(&d);
}

static void seats_are_limited_by_service_and_together(void **state)
{
        struct front_door *d = front_door_new();
        struct front_door_service *s[4];
        assert_true(front_door_sit(d, STR("smtp"), 2, 3, &s[0]));
        assert_true(front_door_sit(d, STR("smtp"), 2, 3, &s[1]));
        assert_false(front_door_sit(d, STR("smtp"), 2, 3, &s[2]));
        assert_null(s[2]);
        assert_true(front_door_sit(d, STR("submission"), 0, 3, &s[2]));
        assert_false(front_door_sit(d, STR("submission"), 0, 3, &s[3]));
        front_door_rise(d, &s[3]); /* NULL */
        front_door_rise(d, &s[0]);
        assert_true(front_door_sit(d, STR("submission"), 0, 3, &s[3]));
        for (int i = 1; i < 4; i++)
                front_door_rise(d, &s[i]);
        for (int i = 0; i < 100; i++) /* no limits */
                assert_true(front_door_sit(d, STR("smtp"), 0, 0, &s[0]));
        front_door_free(&d);
}

static void a_crowd_is_seen_and_goes(void **state)
{
        struct front_door *d = front_door_new();
        struct front_door_service *s[8];
        bool has_changed;
        for (int i = 0; i < 7; i++) {
                assert_true(front_door_sit(d, STR("smtp"), 8, 100, &s[i]));
                assert_int_equal(front_door_is_crowded(d, s[i], 8, 100, &has_changed), i == 6);
                assert_int_equal(has_changed, i == 6);
        }
        front_door_rise(d, &s[6]); /* six of eight: still */
        assert_true(front_door_is_crowded(d, s[0], 8, 100, &has_changed));
        assert_false(has_changed);
        front_door_rise(d, &s[5]);
        assert_false(front_door_is_crowded(d, s[0], 8, 100, &has_changed));
        assert_true(has_changed);
        assert_true(front_door_is_crowded(d, s[0], 0, 5, &has_changed)); /* all together */
        assert_false(front_door_is_crowded(d, s[0], 0, 0, &has_changed));
        for (int i = 0; i < 5; i++)
                front_door_rise(d, &s[i]);
        front_door_free(&d);
}

static void the_postmaster_is_not_flooded(void **state)
{
        struct front_door *d = front_door_new();
        size_t untold;
        for (int i = 0; i < 3; i++) {
                assert_true(front_door_may_tell(d, 3, 1000, 5000 + i, &untold));
                assert_int_equal(untold, 0);
        }
        for (int i = 0; i < 4; i++)
                assert_false(front_door_may_tell(d, 3, 1000, 5999, &untold));
        assert_true(front_door_may_tell(d, 3, 1000, 6000, &untold));
        assert_int_equal(untold, 4);
        assert_true(front_door_may_tell(d, 3, 1000, 6001, &untold));
        assert_int_equal(untold, 0);
        for (int i = 0; i < 100; i++)
                assert_true(front_door_may_tell(d, 0, 1000, 6002, &untold));
        front_door_free(&d);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(too_many_at_once_are_turned_away),
                cmocka_unit_test(too_often_in_a_unit_is_turned_away),
                cmocka_unit_test(no_limits_let_all_in),
                cmocka_unit_test(ipv6_clients_share_their_prefix),
                cmocka_unit_test(those_who_are_gone_are_forgotten),
                cmocka_unit_test(ipv4_clients_may_share_a_prefix),
                cmocka_unit_test(networks_have_limits_of_their_own),
                cmocka_unit_test(a_million_addresses_cost_less_than_130_megabytes),
                cmocka_unit_test(loops_share_the_door),
                cmocka_unit_test(events_are_counted_by_unit),
                cmocka_unit_test(seats_are_limited_by_service_and_together),
                cmocka_unit_test(a_crowd_is_seen_and_goes),
                cmocka_unit_test(the_postmaster_is_not_flooded),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
