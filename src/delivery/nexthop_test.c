/* nexthop_test.c - what is a next hop, and what is none */
#include "delivery/route.h"

#include "base/unit.h"

#include <errno.h>

static const struct {
        const char *text;
        const char *host;
        int port; /* 0: refused */
        bool wants_mx;
} hops[] = {
        {"example.com", "example.com", 25, true},
        {" example.com\t", "example.com", 25, true},
        {"example.com:2525", "example.com", 2525, true},
        {"example.com:smtp", "example.com", 25, true},
        {"example.com:submissions", "example.com", 465, true},
        {"[core.example]", "core.example", 25, false},
        {"[core.example]:2600", "core.example", 2600, false},
        {"[core.example]:submission", "core.example", 587, false},
        {"[192.0.2.1]:26", "192.0.2.1", 26, false},
        {"[IPv6:2001:db8::1]:27", "2001:db8::1", 27, false},
        {"[ipv6:::1]", "::1", 25, false},
        {"[2001:db8::1]", "2001:db8::1", 25, false},
        {"b\xc3\xbc"
         "cher.example",
         "b\xc3\xbc"
         "cher.example",
         25, true},
        {"", NULL, 0, false},
        {"   ", NULL, 0, false},
        {"[]", NULL, 0, false},
        {"[", NULL, 0, false},
        {"]", NULL, 0, false},
        {"[a", NULL, 0, false},
        {"[a]b", NULL, 0, false},
        {"[a]25", NULL, 0, false},
        {"[a]:", NULL, 0, false},
        {"a:", NULL, 0, false},
        {":25", NULL, 0, false},
        {"a:0", NULL, 0, false},
        {"a:65536", NULL, 0, false},
        {"a:99999999999999999999", NULL, 0, false},
        {"a:-1", NULL, 0, false},
        {"a:25x", NULL, 0, false},
        {"a:no-such-port-name", NULL, 0, false},
        {"a:a-name-that-is-longer-than-any-port-has", NULL, 0, false},
        {"a b", NULL, 0, false},
        {"[a b]", NULL, 0, false},
        {"[IPv6:192.0.2.1]", NULL, 0, false},
        {"[IPv6:]", NULL, 0, false},
        {"[2001:db8::1::2]", NULL, 0, false},
        {"2001:db8::1", NULL, 0, false},
        {"a\rb", NULL, 0, false},
        {"<a>", NULL, 0, false},
        {"[[a]]", NULL, 0, false},
};

static void next_hops(void **state)
{
        for (size_t i = 0; i < sizeof(hops) / sizeof(*hops); i++) {
                struct nexthop n;
                int rc = nexthop_parse(str_from(hops[i].text), 25, &n);
                if (hops[i].port == 0) {
                        if (rc != -EINVAL)
                                fail_msg("taken: '%s'", hops[i].text);
                        continue;
                }
                if (rc != 0)
                        fail_msg("refused: '%s'", hops[i].text);
                assert_str_equal(n.host, hops[i].host);
                assert_int_equal(n.port, hops[i].port);
                assert_int_equal(n.wants_mx, hops[i].wants_mx);
        }
}

static void a_host_over_the_limit(void **state)
{
        char text[300];
        struct nexthop n;
        memset(text, 'a', sizeof(text));
        assert_int_equal(nexthop_parse(str_make(text, 255), 25, &n), 0);
        assert_int_equal(nexthop_parse(str_make(text, 256), 25, &n), -EINVAL);
}

static void lists(void **state)
{
        static const struct {
                const char *text;
                const char *joined;
        } cases[] = {
                {"", ""},
                {" , ", ""},
                {"a", "a|"},
                {"[a]:25, [b]:26", "[a]:25|[b]:26|"},
                {"[a],[b] c\t,d,", "[a]|[b]|c|d|"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct str list = str_from(cases[i].text);
                struct str text;
                char joined[100] = "";
                size_t n = 0;
                while (nexthop_next(&list, &text))
                        n += (size_t)snprintf(joined + n, sizeof(joined) - n, "%.*s|",
                                              STR_ARG(text));
                assert_string_equal(joined, cases[i].joined);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(next_hops),
                cmocka_unit_test(a_host_over_the_limit),
                cmocka_unit_test(lists),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
