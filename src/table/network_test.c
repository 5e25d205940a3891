/* network_test.c - networks and addresses in all their spellings */
#include "table/table_unit.h"

static void finds_addresses_in_networks(void **state)
{
        static const struct {
                const char *network;
                const char *address;
                bool is_in;
        } cases[] = {
                {"192.0.2.0/24", "192.0.2.255", true},
                {"192.0.2.0/24", "192.0.3.0", false},
                {"192.0.2.1", "192.0.2.1", true},
                {"192.0.2.1", "192.0.2.2", false},
                {"[192.0.2.0]/25", "192.0.2.127", true},
                {"[192.0.2.0/25]", "192.0.2.128", false},
                {"0.0.0.0/0", "203.0.113.9", true},
                {"0.0.0.0/0", "2001:db8::1", false},
                {"::/0", "2001:db8::1", true},
                {"::/0", "203.0.113.9", false},
                {"[2001:db8::]/32", "2001:db8:ffff::1", true},
                {"[2001:db8::]/32", "2001:db9::1", false},
                {"2001:db8::/33", "2001:db8:8000::", false},
                {"2001:db8::/33", "2001:db8:7fff::", true},
                {"::1", "[::1]", true},
                {"::1", "IPv6:0:0:0:0:0:0:0:1", true},
                {"10.0.0.0/8", "[10.1.2.3]", true},
                {"::ffff:10.0.0.0/104", "10.1.2.3", true},
                {"128.0.0.0/1", "127.255.255.255", false},
                {"2001:db8::1/128", "2001:db8::1", true},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct network n;
                struct why why;
                unsigned char address[16];
                if (network_parse(str_from(cases[i].network), &n, &why))
                        fail_msg("%s: %s", cases[i].network, why.text);
                assert_true(network_address_parse(str_from(cases[i].address), address));
                if (network_has(&n, address) != cases[i].is_in)
                        fail_msg("%s in %s", cases[i].address, cases[i].network);
        }
}

static void says_what_was_meant(void **state)
{
        static const struct {
                const char *text;
                const char *why;
        } cases[] = {
                {"192.0.2.1/24", "the network is 192.0.2.0/24"},
                {"192.0.2.129/25", "the network is 192.0.2.128/25"},
                {"10.1.0.0/8", "the network is 10.0.0.0/8"},
                {"[2001:db8::1]/32", "the network is [2001:db8::]/32"},
                {"192.0.2.0/255.255.255.0", "192.0.2.0/24"},
                {"192.0.2.0/255.255.255.192", "192.0.2.0/26"},
                {"10.0.0.0/0.0.0.255", "a number from 0 to 32"},
                {"192.0.2.0/33", "a number from 0 to 32"},
                {"192.0.2.0/+8", "a number from 0 to 32"},
                {"192.0.2.0/", "a number from 0 to 32"},
                {"::/129", "a number from 0 to 128"},
                {"192.0.2/24", "four numbers"},
                {"192.168.1.256", "0 to 255"},
                {"010.0.0.1", "leading zeros"},
                {"example.com", "is not an address"},
                {"", "is not an address"},
                {"/8", "is not an address"},
                {"[]", "is not an address"},
                {"[::1", "is not an address"},
                {"1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:1:2:3:4:5:6:7:8", "is not an address"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct network n;
                struct why why = {""};
                assert_int_equal(network_parse(str_from(cases[i].text), &n, &why), -EINVAL);
                if (!strstr(why.text, cases[i].why))
                        fail_msg("%s: %s", cases[i].text, why.text);
        }
}

static void refuses_what_is_no_address(void **state)
{
        static const char *const texts[] = {"",          "[",     "[]",        "1.2.3",
                                            "1.2.3.4.5", "IPv6:", "a.b.c",     "IPv6:1.2.3.4",
                                            "::1%eth0",  "[::1",  "1.2.3.4/32"};
        unsigned char address[16];
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                if (network_address_parse(str_from(texts[i]), address))
                        fail_msg("%s was taken", texts[i]);
        assert_false(network_address_parse(STR("1.2.3.4\0"), address));
        char many[2000];
        memset(many, '1', sizeof(many));
        assert_false(network_address_parse(str_make(many, sizeof(many)), address));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(finds_addresses_in_networks),
                cmocka_unit_test(says_what_was_meant),
                cmocka_unit_test(refuses_what_is_no_address),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
