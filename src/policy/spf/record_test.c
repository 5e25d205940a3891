/* record_test.c - what is an SPF record, and what is wrong with those that are none (RFC 7208 4.5, 4.6, 5, 6, 12) */
#include "base/unit.h"
#include "policy/spf/spf_private.h"
#include "table/table.h"

static void a_record_begins_with_its_version(void **state)
{
        static const struct {
                const char *text;
                bool is_record;
        } rows[] = {
                {"v=spf1", true},         {"v=spf1 ", true},
                {"V=SpF1 -all", true},    {"v=spf10", false},
                {"v=spf1-all", false},    {"v=spf1\t-all", false},
                {" v=spf1", false},       {"", false},
                {"v=spf", false},         {"spf2.0/pra", false},
                {"v=spf1mx -all", false},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (spf_is_record(str_from(rows[i].text)) != rows[i].is_record)
                        fail_msg("\"%s\"", rows[i].text);
}

/* The text of the term that is wrong, or NULL. */
static const char *problem_of(struct arena *arena, const char *text, struct spf_record *out)
{
        struct str problem;
        if (spf_record_parse(str_from(text), arena, out, &problem) == 0)
                return NULL;
        return arena_str(arena, problem).ptr;
}

static void good_records_are_taken(void **state)
{
        static const char *const rows[] = {
                "v=spf1",
                "v=spf1   -all   ",
                "v=spf1 +all -all ~all ?all ALL",
                "v=spf1 a a:example.com a/24 a//64 a/0//0 a/32//128 a:example.com/24//64 -A:b.example",
                "v=spf1 mx mx:example.com mx/24 mx//64 mx:example.com//128",
                "v=spf1 ptr ptr:example.com",
                "v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/24 ip4:0.0.0.0/0 IP4:255.255.255.255/32",
                "v=spf1 ip6:2001:db8::1 ip6:::/0 ip6:2001:db8::/32 ip6:::ffff:192.0.2.1/128 ip6:::1",
                "v=spf1 include:_spf.example.com include:%{d}",
                "v=spf1 exists:%{i}._spf.%{d2} exists:%{l1r+-=,/_.}.example.com exists:%%.%_.%-.x",
                "v=spf1 a:foo:bar/baz.example.com",
                "v=spf1 a:example.com. a:museum-1.x1 a:x.1-1 a:xn--zckzah.xn--zckzah",
                "v=spf1 redirect=_spf.example.com exp=why.example.com",
                "v=spf1 moo.cow-far_out=man:dog/cat=%{d} x= default=%{c} Redirect=a.b",
                "v=spf1 a:%{S}%{L}%{O}%{D}%{I}%{P}%{H}%{V}",
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct arena arena;
                struct spf_record record;
                arena_init(&arena, 0);
                const char *problem = problem_of(&arena, rows[i], &record);
                if (problem)
                        fail_msg("%s: %s", rows[i], problem);
                arena_done(&arena);
        }
}

static void one_wrong_term_spoils_a_record(void **state)
{
        static const char *const rows[] = {
                /* mechanisms that there are not, and modifiers that are none */
                "moo",
                "all.",
                "all:x.example",
                "all/8",
                "-",
                "+",
                "=",
                "=x",
                "1x=y",
                "moo.cow/x=y",
                "moo.cow:x=y",
                "redirect:x.example",
                "exp:x.example",
                "-redirect=x.example",
                "ip5:1.2.3.4",
                "a\x01",
                "al\xc3\xa4",
                "-\200all",
                "a:ex\x0d.com",
                /* arguments that are missing, empty, or too many */
                "include",
                "include:",
                "include/24",
                "include:x.example/24",
                "exists",
                "exists:",
                "exists:x.example/24",
                "a:",
                "mx:",
                "ptr:",
                "a:/24",
                "ptr/24",
                "ptr:x.example/0",
                "ip4",
                "ip4:",
                "ip6",
                "ip6:",
                "ip4/24",
                "redirect=",
                "exp=",
                /* domain-specs */
                "a:localhost",
                "a:example.com:8080",
                "a:example.c-",
                "a:example.-c",
                "a:example.1",
                "a:1.2.3.4",
                "a:.",
                "a:x..",
                "a:x.example/",
                "a:x.example/y",
                "include:x.ex ample",
                "a:\xc3\xa4.example",
                "exists:%{d}.",
                "exists:%{d}x",
                "a:%",
                "a:%x.example",
                "a:%{",
                "a:%{}",
                "a:%{d",
                "a:%{x}",
                "a:%{dd}",
                "a:%{d0}",
                "a:%{d00r}",
                "a:%{d2rr}",
                "a:%{dr2}",
                "a:%{d2*}",
                "a:%{d}%",
                "a:%{i r}",
                "a:%(d)",
                "exists:%{c}",
                "exists:%{r}.x",
                "a:%{T}",
                "redirect=%{c}",
                "exp=%{t}",
                "redirect=x",
                "foo=%{d",
                "foo=%x",
                "foo=\xc3\xa4",
                "redirect=x.example/24",
                /* prefix lengths */
                "a/",
                "a//",
                "a/33",
                "a//129",
                "a/-1",
                "a/08",
                "a/00",
                "a//064",
                "a/24/64",
                "a///64",
                "a/24//",
                "a/ 24",
                "a:x.example/33",
                "a:x.example//129",
                "a//64/24",
                "mx/x",
                "a/+4",
                "a/4294967328",
                /* networks */
                "ip4:1.2.3",
                "ip4:1.2.3.4.5",
                "ip4:256.2.3.4",
                "ip4:01.2.3.4",
                "ip4:1.2.3.4/33",
                "ip4:1.2.3.4/",
                "ip4:1.2.3.4//32",
                "ip4:1.2.3.4/032",
                "ip4:2001:db8::1",
                "ip4:[1.2.3.4]",
                "ip4:1.2.3.4:8080",
                "ip4:x",
                "ip6:2001:db8::1/129",
                "ip6:2001:db8::1/",
                "ip6:1.2.3.4",
                "ip6:[::1]",
                "ip6:IPv6:::1",
                "ip6:::1//64",
                "ip6:1::2::3",
                "ip6:::g",
                "ip6:1:2:3:4:5:6:7:8:9",
                "ip6:::/0128",
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct arena arena;
                struct spf_record record;
                char text[200];
                arena_init(&arena, 0);
                snprintf(text, sizeof(text), "v=spf1 +a %s -all", rows[i]);
                if (!problem_of(&arena, text, &record))
                        fail_msg("\"%s\" was taken", rows[i]);
                arena_done(&arena);
        }
}

static void some_modifiers_come_once(void **state)
{
        struct arena arena;
        struct spf_record record;
        arena_init(&arena, 0);
        assert_non_null(
                problem_of(&arena, "v=spf1 redirect=a.example redirect=a.example", &record));
        assert_non_null(problem_of(&arena, "v=spf1 exp=a.example -all EXP=b.example", &record));
        assert_null(problem_of(&arena, "v=spf1 x=a x=a exp=a.example redirect=a.example", &record));
        assert_str_equal(record.exp, "a.example");
        assert_str_equal(record.redirect, "a.example");
        arena_done(&arena);
}

static void terms_are_what_they_say(void **state)
{
        struct arena arena;
        struct spf_record record;
        arena_init(&arena, 0);
        assert_null(problem_of(
                &arena, "v=spf1 -a:%{d}/20//64 ?ip4:192.0.2.128/25 ip6:2001:db8::/32 mx//0 ~all",
                &record));
        assert_int_equal(record.count, 5);
        const struct spf_term *t = record.terms;
        assert_true(t[0].kind == SPF_A && t[0].on_match == SPF_FAIL);
        assert_str_equal(t[0].domain, "%{d}");
        assert_int_equal(t[0].bits4, 20);
        assert_int_equal(t[0].bits6, 64);
        assert_true(t[1].kind == SPF_IP4 && t[1].on_match == SPF_NEUTRAL && t[1].bits4 == 25);
        assert_true(t[2].kind == SPF_IP6 && t[2].on_match == SPF_PASS && t[2].bits6 == 32);
        assert_true(t[3].kind == SPF_MX && t[3].bits4 == 32 && t[3].bits6 == 0);
        assert_true(t[4].kind == SPF_ALL && t[4].on_match == SPF_SOFTFAIL);
        assert_str_equal(t[4].text, "~all");
        arena_done(&arena);
}

static void networks_match_by_family(void **state)
{
        static const struct {
                const char *address, *term;
                bool matches;
        } rows[] = {
                {"192.0.2.200", "ip4:192.0.2.128/25", true},
                {"192.0.2.127", "ip4:192.0.2.128/25", false},
                {"192.0.2.200", "ip4:192.0.2.199/25",
                 true}, /* bits behind the prefix do not count */
                {"203.0.113.1", "ip4:0.0.0.0/0", true},
                {"2001:db8::1", "ip4:0.0.0.0/0", false},
                {"2001:db8:ffff::1", "ip6:2001:db8::/33", false},
                {"2001:db8:7fff::1", "ip6:2001:db8::/33", true},
                {"2001:db8::1", "ip6:::/0", true},
                {"192.0.2.1", "ip6:::/0", false},
                {"2001:db8::1", "ip6:2001:db8::1", true},
                {"192.0.2.1", "ip4:192.0.2.1/32", true},
                {"192.0.2.2", "ip4:192.0.2.1/32", false},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct arena arena;
                struct spf_record record;
                char text[100];
                unsigned char address[16];
                arena_init(&arena, 0);
                snprintf(text, sizeof(text), "v=spf1 %s", rows[i].term);
                assert_null(problem_of(&arena, text, &record));
                assert_true(network_address_parse(str_from(rows[i].address), address));
                if (spf_address_matches(address, record.terms[0].address, record.terms[0].bits4,
                                        record.terms[0].bits6) != rows[i].matches)
                        fail_msg("%s in %s", rows[i].address, rows[i].term);
                arena_done(&arena);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_record_begins_with_its_version),
                cmocka_unit_test(good_records_are_taken),
                cmocka_unit_test(one_wrong_term_spoils_a_record),
                cmocka_unit_test(some_modifiers_come_once),
                cmocka_unit_test(terms_are_what_they_say),
                cmocka_unit_test(networks_match_by_family),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
