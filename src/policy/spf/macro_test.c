/* macro_test.c - macros (RFC 7208 7): the examples of 7.4, and what stands between its lines */
#include "base/unit.h"
#include "policy/spf/spf_private.h"
#include "table/table.h"

#include <errno.h>

static struct spf_macros example(const char *address)
{
        struct spf_macros m = {
                .sender = STR("strong-bad@email.example.com"),
                .local = STR("strong-bad"),
                .sender_domain = STR("email.example.com"),
                .domain = STR("email.example.com"),
                .helo = STR("mx.example.org"),
                .name = STR("mx.example.org"),
                .receiver = STR("mx1.example.net"),
                .now_s = 1760000000,
        };
        assert_true(network_address_parse(str_from(address), m.address));
        return m;
}

static void check_expansion(const struct spf_macros *m, const char *text, const char *expected)
{
        struct arena arena;
        struct str out;
        arena_init(&arena, 0);
        if (!spf_macro_string_is_valid(str_from(text), SPF_IN_EXPLANATION))
                fail_msg("%s is not valid", text);
        assert_int_equal(spf_macro_expand(str_from(text), m, &arena, &out), 0);
        if (!str_eq(out, str_from(expected)))
                fail_msg("%s: \"%.*s\", not \"%s\"", text, STR_ARG(out), expected);
        arena_done(&arena);
}

static void macros_expand(void **state)
{
        static const struct {
                const char *text, *expected;
        } rows[] = {
                /* 7.4 */
                {"%{s}", "strong-bad@email.example.com"},
                {"%{o}", "email.example.com"},
                {"%{d}", "email.example.com"},
                {"%{d4}", "email.example.com"},
                {"%{d3}", "email.example.com"},
                {"%{d2}", "example.com"},
                {"%{d1}", "com"},
                {"%{dr}", "com.example.email"},
                {"%{d2r}", "example.email"},
                {"%{l}", "strong-bad"},
                {"%{l-}", "strong.bad"},
                {"%{lr}", "strong-bad"},
                {"%{lr-}", "bad.strong"},
                {"%{l1r-}", "strong"},
                {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
                {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
                {"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
                 "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
                {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
                 "3.2.0.192.in-addr.strong.lp._spf.example.com"},
                {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
                /* the rest */
                {"%%%_%-", "% %20"},
                {"%{h} %{p} %{r} %{c} %{t} %{v}",
                 "mx.example.org mx.example.org mx1.example.net 192.0.2.3 1760000000 in-addr"},
                {"%{D1R}%{LR-}", "emailbad.strong"}, /* the letter's case alone says escape */
                {"%{S}", "strong-bad%40email.example.com"},
                {"%{d999999999999999999999}", "email.example.com"},
                {"no macro", "no macro"},
                {"", ""},
        };
        struct spf_macros m = example("192.0.2.3");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                check_expansion(&m, rows[i].text, rows[i].expected);
}

static void a_delimiter_is_one_of_seven(void **state)
{
        assert_false(spf_macro_string_is_valid(STR("%{s.@-}"), SPF_IN_EXPLANATION));
        struct spf_macros m = example("192.0.2.3");
        m.local = STR("a.b-c+d,e/f_g=h");
        check_expansion(&m, "%{lr.-+,/_=}", "h.g.f.e.d.c.b.a");
        check_expansion(&m, "%{l3r.-+,/_=}", "c.b.a");
        check_expansion(&m, "%{l_}", "a.b-c+d,e/f.g=h");
        check_expansion(&m, "%{l1}", "b-c+d,e/f_g=h");
        m.local = STR("..a.");
        check_expansion(&m, "%{lr}", ".a..");
        check_expansion(&m, "%{l2}", "a.");
}

static void addresses_with_ipv6_are_nibbles(void **state)
{
        struct spf_macros m = example("2001:db8::cb01");
        check_expansion(&m, "%{i}",
                        "2.0.0.1.0.D.B.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.C.B.0.1");
        check_expansion(&m, "%{ir}.%{v}._spf.%{d2}",
                        "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2"
                        ".ip6._spf.example.com");
        check_expansion(&m, "%{c}", "2001:db8::cb01");
        check_expansion(&m, "%{C}", "2001%3Adb8%3A%3Acb01");
}

static void upper_case_is_escaped_for_urls(void **state)
{
        struct spf_macros m = example("192.0.2.3");
        m.local = STR("a~b_c-d.e!f g\xc3\xa4%");
        check_expansion(&m, "%{L}", "a~b_c-d.e%21f%20g%C3%A4%25");
        m.helo = str_make("\0\xff", 2);
        check_expansion(&m, "%{H}", "%00%FF");
}

static void letters_have_their_places(void **state)
{
        for (const char *c = "slodiphv"; *c; c++) {
                char text[8] = {'%', '{', *c, '}', '\0'};
                assert_true(spf_macro_string_is_valid(str_from(text), SPF_IN_NAME));
                assert_true(spf_domain_spec_is_valid(str_from(text)));
                assert_int_equal(spf_macro_wants_name(str_from(text)), *c == 'p');
        }
        for (const char *c = "crtCRT"; *c; c++) {
                char text[8] = {'%', '{', *c, '}', '\0'};
                assert_false(spf_macro_string_is_valid(str_from(text), SPF_IN_NAME));
                assert_true(spf_macro_string_is_valid(str_from(text), SPF_IN_EXPLANATION));
        }
        assert_false(spf_macro_string_is_valid(STR("a b"), SPF_IN_NAME));
        assert_true(spf_macro_string_is_valid(STR("a b"), SPF_IN_EXPLANATION));
        assert_false(spf_macro_string_is_valid(STR("a\tb"), SPF_IN_EXPLANATION));
        assert_true(spf_macro_wants_name(STR("x%%%{P2r}")));
        assert_false(spf_macro_wants_name(STR("%%{p}")));
}

static void long_names_lose_labels_on_the_left(void **state)
{
        char name[400];
        size_t len = 0;
        for (int i = 0; i < 30; i++)
                len += (size_t)snprintf(name + len, sizeof(name) - len, "label%05d.", i);
        struct str fitted = spf_fit_name(str_make(name, len));
        assert_int_equal(fitted.len, 23 * 11 - 1);
        assert_true(str_starts(fitted, STR("label00007.")));
        assert_true(dns_name_is_valid(fitted));
        assert_str_equal(spf_fit_name(STR("example.com.")), "example.com");
        memset(name, 'x', sizeof(name));
        assert_false(dns_name_is_valid(spf_fit_name(str_make(name, 300))));
        assert_false(dns_name_is_valid(STR("a..b")));
        assert_false(dns_name_is_valid(STR("")));
        assert_false(dns_name_is_valid(str_make(name, 64)));
        assert_true(dns_name_is_valid(str_make(name, 63)));
}

static void an_expansion_has_a_ceiling(void **state)
{
        static char text[20000], local[1000];
        memset(local, 'x', sizeof(local));
        struct spf_macros m = example("192.0.2.3");
        m.local = str_make(local, sizeof(local));
        struct arena arena;
        struct str out;
        arena_init(&arena, 0);
        size_t len = 0;
        while (len + 4 < sizeof(text)) {
                memcpy(text + len, "%{l}", 4);
                len += 4;
        }
        assert_int_equal(spf_macro_expand(str_make(text, len), &m, &arena, &out), -ENOBUFS);
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(macros_expand),
                cmocka_unit_test(a_delimiter_is_one_of_seven),
                cmocka_unit_test(addresses_with_ipv6_are_nibbles),
                cmocka_unit_test(upper_case_is_escaped_for_urls),
                cmocka_unit_test(letters_have_their_places),
                cmocka_unit_test(long_names_lose_labels_on_the_left),
                cmocka_unit_test(an_expansion_has_a_ceiling),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
