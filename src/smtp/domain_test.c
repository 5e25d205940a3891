/* domain_test.c */
#include "base/unit.h"

#include "smtp/command.h"

#define LABEL63 "a23456789b123456789c123456789d123456789e123456789f123456789g123"

static void names(void **state)
{
        static const struct {
                struct str domain;
                bool is_valid, is_fqdn;
        } cases[] = {
                {STR_INIT("example.com"), true, true},
                {STR_INIT("EXAMPLE.Com"), true, true},
                {STR_INIT("localhost"), true, false},
                {STR_INIT("a.b-c.d_e"), true, true},
                {STR_INIT("_dmarc.example"), true, true},
                {STR_INIT("1.2.3.4x"), true, true},
                {STR_INIT("3com.example"), true, true},
                {STR_INIT("xn--mnchen-3ya.example"), true, true},
                {STR_INIT("m\xc3\xbcnchen.example"), true, true},
                {STR_INIT(LABEL63 ".x"), true, true},
                {STR_INIT(LABEL63 "4.x"), false, false},
                {STR_INIT(LABEL63 "." LABEL63 "." LABEL63 "." LABEL63), true, true}, /* 255 */
                {STR_INIT(LABEL63 "." LABEL63 "." LABEL63 ".a." LABEL63), false, false},
                {STR_INIT(""), false, false},
                {STR_INIT("."), false, false},
                {STR_INIT("a."), false, false},
                {STR_INIT(".a"), false, false},
                {STR_INIT("a..b"), false, false},
                {STR_INIT("-a.b"), false, false},
                {STR_INIT("a-.b"), false, false},
                {STR_INIT("a.-"), false, false},
                {STR_INIT("a b"), false, false},
                {STR_INIT("a@b"), false, false},
                {STR_INIT("a/b"), false, false},
                {STR_INIT("*.example"), false, false},
                {STR_INIT("192.0.2.1"), false, false},
                {STR_INIT("12345"), false, false},
                {STR_INIT("[192.0.2.1]"), false, false},
                {STR_INIT("a\0b.example"), false, false},
                {STR_INIT("a\n.example"), false, false},
                {STR_INIT("m\xc3.example"), false, false},
                {STR_INIT("m\xc2\x85.example"), false, false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_int_equal(smtp_domain_is_valid(cases[i].domain), cases[i].is_valid);
                assert_int_equal(smtp_domain_is_fqdn(cases[i].domain), cases[i].is_fqdn);
        }
}

static void literals(void **state)
{
        static const struct {
                struct str text;
                bool is_literal;
        } cases[] = {
                {STR_INIT("[192.0.2.1]"), true},
                {STR_INIT("[IPv6:2001:db8::1]"), true},
                {STR_INIT("[ipv6:::ffff:192.0.2.1]"), true},
                {STR_INIT("[IPv6:2001:0db8:0000:0000:0000:0000:192.168.100.100]"), true},
                {STR_INIT("192.0.2.1"), false},
                {STR_INIT("[192.0.2.256]"), false},
                {STR_INIT("[192.0.2]"), false},
                {STR_INIT("[2001:db8::1]"), false},
                {STR_INIT("[IPv6:192.0.2.1]"), false},
                {STR_INIT("[IPv6:fe80::1%eth0]"), false},
                {STR_INIT("[IPv6:]"), false},
                {STR_INIT("[]"), false},
                {STR_INIT("["), false},
                {STR_INIT("]"), false},
                {STR_INIT(""), false},
                {STR_INIT("[ 192.0.2.1 ]"), false},
                {STR_INIT("[192.0.2.1\0]"), false},
                {STR_INIT("[example.com]"), false},
                {STR_INIT("[IPv6:0000000000000000000000000000000000000000000000000000000001]"),
                 false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_int_equal(smtp_domain_is_literal(cases[i].text), cases[i].is_literal);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names),
                cmocka_unit_test(literals),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
