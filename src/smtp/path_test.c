/* path_test.c */
#include "base/unit.h"

#include "smtp/command.h"

#include <errno.h>

enum { STRICT = 1, LENIENT = 2, BOTH = 3 };

/* `local` NULL: refused, with 501 */
struct path_case {
        int modes;
        struct str in;
        const char *text, *local, *domain, *rest;
};

static const struct path_case paths[] = {
        {BOTH, STR_INIT("<a@b.example>"), "a@b.example", "a", "b.example", ""},
        {BOTH, STR_INIT("<a@b.example> SIZE=3"), "a@b.example", "a", "b.example", " SIZE=3"},
        {BOTH, STR_INIT("<A.b+c@B.Example>"), "A.b+c@B.Example", "A.b+c", "B.Example", ""},
        {BOTH, STR_INIT("<a@b.example.>"), "a@b.example", "a", "b.example", ""},
        {BOTH, STR_INIT("<a@b.example..>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@.>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<postmaster>"), "postmaster", "postmaster", "", ""},
        {BOTH, STR_INIT("<>"), "", "", "", ""},
        {BOTH, STR_INIT("< > X"), "", "", "", " X"},
        {BOTH, STR_INIT("<<>>"), "", "", "", ""},
        {LENIENT, STR_INIT(""), "", "", "", ""},
        {STRICT, STR_INIT(""), NULL, NULL, NULL, NULL},
        /* blanks and brackets that Postfix takes, even when strict */
        {BOTH, STR_INIT("< a@b.example >"), "a@b.example", "a", "b.example", ""},
        {BOTH, STR_INIT("<<a@b.example>>"), "a@b.example", "a", "b.example", ""},
        {BOTH, STR_INIT("  <a@b.example>"), "a@b.example", "a", "b.example", ""},
        {BOTH, STR_INIT("<\ta @ b.example>"), "a@b.example", "a", "b.example", ""},
        {BOTH, STR_INIT("<<a@b.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@b.example>>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@b.example"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@b.example>SIZE=3"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@b.example c>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a b@c.example>"), NULL, NULL, NULL, NULL},
        /* no brackets, names, comments */
        {LENIENT, STR_INIT("a@b.example X=1"), "a@b.example", "a", "b.example", " X=1"},
        {STRICT, STR_INIT("a@b.example"), NULL, NULL, NULL, NULL},
        {LENIENT, STR_INIT("Name<a@b.example>"), "a@b.example", "a", "b.example", ""},
        {LENIENT, STR_INIT("\"A <x> B\"<a@b.example>"), "a@b.example", "a", "b.example", ""},
        {STRICT, STR_INIT("Name<a@b.example>"), NULL, NULL, NULL, NULL},
        {LENIENT, STR_INIT("<a@b.example(c)>"), "a@b.example", "a", "b.example", ""},
        {LENIENT, STR_INIT("<(a (b\\) c) d)a(x)@(y)b.example>(z) Q"), "a@b.example", "a",
         "b.example", " Q"},
        {STRICT, STR_INIT("<a(c)@b.example>"), NULL, NULL, NULL, NULL},
        {LENIENT, STR_INIT("<a@b.example(c>"), NULL, NULL, NULL, NULL},
        {LENIENT, STR_INIT("<a@b.example(\001)>"), NULL, NULL, NULL, NULL},
        /* local parts */
        {BOTH, STR_INIT("<\"a b\"@c.example>"), "\"a b\"@c.example", "a b", "c.example", ""},
        {BOTH, STR_INIT("<\"ab\"@c.example>"), "ab@c.example", "ab", "c.example", ""},
        {BOTH, STR_INIT("<\"a\\\"b\\\\c\\d\"@e.example>"), "\"a\\\"b\\\\cd\"@e.example", "a\"b\\cd",
         "e.example", ""},
        {BOTH, STR_INIT("<\"a@b\"@c.example>"), "\"a@b\"@c.example", "a@b", "c.example", ""},
        {BOTH, STR_INIT("<\"a>b\"@c.example> X"), "\"a>b\"@c.example", "a>b", "c.example", " X"},
        {BOTH, STR_INIT("<\"a b\".c@d.example>"), "\"a b.c\"@d.example", "a b.c", "d.example", ""},
        {BOTH, STR_INIT("<a..b@c.example>"), "\"a..b\"@c.example", "a..b", "c.example", ""},
        {BOTH, STR_INIT("<.a@c.example>"), "\".a\"@c.example", ".a", "c.example", ""},
        {BOTH, STR_INIT("<a.@c.example>"), "\"a.\"@c.example", "a.", "c.example", ""},
        {LENIENT, STR_INIT("<a\\ b@c.example>"), "\"a b\"@c.example", "a b", "c.example", ""},
        {STRICT, STR_INIT("<a\\ b@c.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<b%relay.example>"), "b%relay.example", "b%relay.example", "", ""},
        {BOTH, STR_INIT("<relay!b@c.example>"), "relay!b@c.example", "relay!b", "c.example", ""},
        {BOTH, STR_INIT("<\"\"@c.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<\"\">"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<\"a\"b@c.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a\"b\"@c.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<\"a\"\"b\"@c.example>"), NULL, NULL, NULL, NULL},
        {LENIENT, STR_INIT("<\"a\"(x)b@c.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a.\"b c\".d@e.example>"), "\"a.b c.d\"@e.example", "a.b c.d", "e.example",
         ""},
        {BOTH, STR_INIT("<\"a@c.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<\"a\\"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a\\"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<@c.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<@>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@b@c.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a,b@c.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a:b@c.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a;@c.example>"), NULL, NULL, NULL, NULL},
        /* domains */
        {BOTH, STR_INIT("<a@b..c>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@.b>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@-b.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@b/c.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@192.0.2.1>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@b_c.example>"), "a@b_c.example", "a", "b_c.example", ""},
        {BOTH, STR_INIT("<a@[192.0.2.1]>"), "a@[192.0.2.1]", "a", "[192.0.2.1]", ""},
        {BOTH, STR_INIT("<a@[IPv6:2001:db8::1]> X"), "a@[IPv6:2001:db8::1]", "a",
         "[IPv6:2001:db8::1]", " X"},
        {BOTH, STR_INIT("<a@[192.0.2.300]>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@[192.0.2.1>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@[192.0.2.1]x>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@m\xc3\xbcnchen.example>"), "a@m\xc3\xbcnchen.example", "a",
         "m\xc3\xbcnchen.example", ""},
        {BOTH, STR_INIT("<\xce\xb1@b.example>"), "\xce\xb1@b.example", "\xce\xb1", "b.example", ""},
        {BOTH, STR_INIT("<\"\xce\xb1 b\"@b.example>"), "\"\xce\xb1 b\"@b.example", "\xce\xb1 b",
         "b.example", ""},
        /* source routes */
        {BOTH, STR_INIT("<@x.example,@y.example:a@b.example>"), "a@b.example", "a", "b.example",
         ""},
        {BOTH, STR_INIT("<@x.example: a@b.example>"), "a@b.example", "a", "b.example", ""},
        {BOTH, STR_INIT("<@x.example a@b.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<@x.example,:a@b.example>"), "a@b.example", "a", "b.example", ""},
        /* a route is not looked at, unless strict */
        {STRICT, STR_INIT("<@x..example:a@b.example>"), NULL, NULL, NULL, NULL},
        {LENIENT, STR_INIT("<@x..example:a@b.example>"), "a@b.example", "a", "b.example", ""},
        {LENIENT, STR_INIT("<@x y,,@(z)z:a@b.example>"), "a@b.example", "a", "b.example", ""},
        {STRICT, STR_INIT("<@(c)x.example:a@b.example>"), NULL, NULL, NULL, NULL},
        {LENIENT, STR_INIT("<@:a@b.example>"), "a@b.example", "a", "b.example", ""},
        {LENIENT, STR_INIT("<@[IPv6:::1],@y:a@b.example>"), "a@b.example", "a", "b.example", ""},
        {LENIENT, STR_INIT("<@[:a@b.example>"), "a@b.example", "a", "b.example", ""},
        {LENIENT, STR_INIT("<@\":\":a@b.example>"), "a@b.example", "a", "b.example", ""},
        {LENIENT, STR_INIT("<@x,<y>:a@b.example>"), NULL, NULL, NULL, NULL},
        {LENIENT, STR_INIT("<@x\001:a@b.example>"), NULL, NULL, NULL, NULL},
        {LENIENT, STR_INIT("<@x(:a@b.example>"), NULL, NULL, NULL, NULL},
        {LENIENT, STR_INIT("@x:a@b.example Y"), "a@b.example", "a", "b.example", " Y"},
        {LENIENT, STR_INIT("@x y:a@b.example"), NULL, NULL, NULL, NULL},
        {LENIENT, STR_INIT("@x:a@(c)b.example"), "a@b.example", "a", "b.example", ""},
        {LENIENT, STR_INIT("<(c)@x.example:a@b.example>"), "a@b.example", "a", "b.example", ""},
        {LENIENT, STR_INIT("<(c)@x.example,@y.example:a@b.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<@x.example:>"), NULL, NULL, NULL, NULL},
        /* control characters, wherever they stand */
        {BOTH, STR_INIT("<a\0@b.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@b.example\0>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<\"a\rb\"@b.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<\"a\\\nb\"@b.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<\"a\tb\"@b.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a\\\rb@b.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a\x7f@b.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a\xc2\x9b@b.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@b\xc2\x85.example>"), NULL, NULL, NULL, NULL},
        {BOTH, STR_INIT("<a@b.example>\r"), NULL, NULL, NULL, NULL},
};

static void parses(void **state)
{
        struct arena a;
        arena_init(&a, 0);
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
                for (int mode = STRICT; mode <= LENIENT; mode++) {
                        const struct path_case *c = &paths[i];
                        struct smtp_path_rules rules = {mode == STRICT, true, true, true};
                        struct smtp_address out;
                        struct smtp_reply refusal = {0};
                        struct str text = c->in;
                        if (!(c->modes & mode))
                                continue;
                        int code = smtp_path_parse(&text, &rules, &a, &out, &refusal);
                        if (!c->local) {
                                if (code != -EBADMSG)
                                        fail_msg("taken: %.*s", STR_ARG(c->in));
                                assert_int_equal(refusal.code, 501);
                                assert_string_equal(refusal.enhanced, "5.1.7");
                                assert_true(str_eq(text, c->in));
                                assert_int_equal(out.text.len + out.local.len + out.domain.len, 0);
                                continue;
                        }
                        if (code)
                                fail_msg("refused: %.*s", STR_ARG(c->in));
                        assert_str_equal(out.text, c->text);
                        assert_str_equal(out.local, c->local);
                        assert_str_equal(out.domain, c->domain);
                        assert_str_equal(text, c->rest);
                        /* what is sent on is taken again, and means the same */
                        struct str again = arena_printf(&a, "<%s>", c->text);
                        rules.is_strict = true;
                        struct smtp_address twice;
                        assert_int_equal(smtp_path_parse(&again, &rules, &a, &twice, &refusal), 0);
                        assert_true(str_eq(twice.text, out.text) && again.len == 0);
                        assert_true(str_eq(twice.local, out.local));
                }
        arena_done(&a);
}

static void follows_the_rules(void **state)
{
        static const struct {
                struct smtp_path_rules rules;
                struct str in;
                int code;
                const char *enhanced;
        } cases[] = {
                {{.allows_utf8 = true}, STR_INIT("<>"), 501, "5.1.3"},
                {{.allows_utf8 = true}, STR_INIT("<a>"), 501, "5.1.3"},
                {{.allows_null = true}, STR_INIT("<a>"), 501, "5.1.7"},
                {{.allows_null = true}, STR_INIT("<\xc3\xa4@b.example>"), 553, "5.6.7"},
                {{0}, STR_INIT("<a@m\xc3\xbc.example>"), 553, "5.6.7"},
                {{.allows_utf8 = true}, STR_INIT("<\xc3@b.example>"), 500, "5.5.2"},
                {{.allows_utf8 = true}, STR_INIT("<a@b.example> X=\xff"), 500, "5.5.2"},
                {{.allows_utf8 = true, .refuses_u_labels = true},
                 STR_INIT("<a@m\xc3\xbc.example>"),
                 501,
                 "5.1.3"},
                {{.allows_utf8 = true, .allows_null = true, .refuses_u_labels = true},
                 STR_INIT("<a@m\xc3\xbc.example>"),
                 501,
                 "5.1.7"},
        };
        struct arena a;
        arena_init(&a, 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct smtp_address out;
                struct smtp_reply refusal = {0};
                struct str text = cases[i].in;
                assert_int_equal(smtp_path_parse(&text, &cases[i].rules, &a, &out, &refusal),
                                 -EBADMSG);
                assert_int_equal(refusal.code, cases[i].code);
                assert_string_equal(refusal.enhanced, cases[i].enhanced);
        }
        arena_done(&a);
}

static void keeps_limits(void **state)
{
        struct arena a;
        struct smtp_address out;
        char text[SMTP_PATH_BYTES_MAX + 1];
        arena_init(&a, 0);
        memset(text, 'a', sizeof(text));
        memcpy(text + SMTP_PATH_BYTES_MAX - 2, "@bc", 3);
        assert_int_equal(smtp_address_parse(str_make(text, SMTP_PATH_BYTES_MAX), &a, &out), 0);
        assert_int_equal(out.text.len, SMTP_PATH_BYTES_MAX);
        assert_int_equal(smtp_address_parse(str_make(text, sizeof(text)), &a, &out), -EBADMSG);
        /* a domain of 256 bytes */
        memset(text, 'b', sizeof(text));
        memcpy(text, "a@", 2);
        for (int i = 1; i < 5; i++)
                text[2 + i * 62] = '.';
        assert_int_equal(smtp_address_parse(str_make(text, 2 + 255), &a, &out), 0);
        assert_int_equal(smtp_address_parse(str_make(text, 2 + 256), &a, &out), -EBADMSG);
        /* a thousand brackets do no harm */
        memset(text, '<', sizeof(text));
        assert_int_equal(smtp_address_parse(str_make(text, sizeof(text)), &a, &out), -EBADMSG);
        memset(text, '(', sizeof(text));
        assert_int_equal(smtp_address_parse(str_make(text, sizeof(text)), &a, &out), -EBADMSG);
        arena_done(&a);
}

static void puts_addresses_together(void **state)
{
        struct arena a;
        struct smtp_address out;
        arena_init(&a, 0);
        out = smtp_address_make(STR("a b"), STR("c.example"), &a);
        assert_str_equal(out.text, "\"a b\"@c.example");
        assert_str_equal(out.local, "a b");
        assert_str_equal(out.domain, "c.example");
        assert_str_equal(smtp_address_make(STR("root"), STR(""), &a).text, "root");
        static const char *const logged[][2] = {
                {"\"a b\"@c.example", "a b@c.example"},
                {"\"a@b\"@c", "a@b@c"},
                {"\"a\\\"\\\\b\"@c", "a\"\\b@c"},
                {"plain@c", "plain@c"},
                {"\"no domain\"", "no domain"},
                {"\"cut\\", "cut\\"},
                {"\"", ""},
                {"", ""},
        };
        for (size_t i = 0; i < sizeof(logged) / sizeof(logged[0]); i++) {
                struct str text = str_from(logged[i][0]);
                assert_str_equal(smtp_address_log(text, true, &a), logged[i][1]);
                assert_str_equal(smtp_address_log(text, false, &a), logged[i][0]);
        }
        assert_str_equal(smtp_address_make(STR(""), STR(""), &a).text, "");
        assert_str_equal(smtp_address_make(STR("a\"\\"), STR("b"), &a).text, "\"a\\\"\\\\\"@b");
        /* a table's value cannot add a command */
        assert_str_equal(smtp_address_make(STR("a\r\nDATA"), STR("b\r\n"), &a).text,
                         "\"a??DATA\"@b??");

        assert_int_equal(smtp_address_parse(STR(" a@b.example "), &a, &out), 0);
        assert_str_equal(out.text, "a@b.example");
        assert_int_equal(smtp_address_parse(STR("<a@b.example>"), &a, &out), 0);
        assert_int_equal(smtp_address_parse(STR("<>"), &a, &out), 0);
        assert_str_equal(out.text, "");
        assert_int_equal(smtp_address_parse(STR("a@b.example c@d.example"), &a, &out), -EBADMSG);
        assert_int_equal(smtp_address_parse(STR("a@b.example, c@d.example"), &a, &out), -EBADMSG);
        arena_done(&a);
}

static void a_minus_may_be_refused(void **state)
{
        struct arena arena;
        arena_init(&arena, 0);
        for (int refuses = 0; refuses < 2; refuses++) {
                struct smtp_path_rules rules = {.refuses_minus = refuses};
                struct smtp_address address;
                struct smtp_reply refusal;
                struct str text = STR("<-f@b.example>");
                assert_int_equal(smtp_path_parse(&text, &rules, &arena, &address, &refusal) != 0,
                                 refuses);
                text = STR("<f-@b.example>");
                assert_int_equal(smtp_path_parse(&text, &rules, &arena, &address, &refusal), 0);
        }
        arena_done(&arena);
}

static void domains_that_are_none_may_be_taken(void **state)
{
        static const struct {
                const char *in, *text, *domain; /* `text` NULL: refused */
        } cases[] = {
                {"<a@>", "a", ""},
                {"<a@ >", "a", ""},
                {"a@", "a", ""},
                {"<\"a b\"@>", "\"a b\"", ""},
                {"<a@b.example@>", "a@b.example", "b.example"},
                {"<a@b.example@c.example>", NULL, NULL},
                {"<a@b.example@@>", NULL, NULL},
                {"<@>", NULL, NULL},
                {"<a@192.0.2.1>", "a@[192.0.2.1]", "[192.0.2.1]"},
                {"<a@192.0.2.1.>", "a@[192.0.2.1]", "[192.0.2.1]"},
                {"<a@192.0.2.256>", NULL, NULL},
                {"<a@192.0.2>", NULL, NULL},
                {"<a@b..example>", NULL, NULL},
                {"<a@[192.0.2.1]>", "a@[192.0.2.1]", "[192.0.2.1]"},
        };
        static const struct smtp_path_rules rules = {.allows_no_domain = true,
                                                     .allows_null_domain = true,
                                                     .allows_numeric_domain = true};
        static const struct smtp_path_rules usual = {.allows_no_domain = true};
        struct arena arena;
        arena_init(&arena, 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct smtp_address a;
                struct smtp_reply refusal;
                struct str text = str_from(cases[i].in);
                int rc = smtp_path_parse(&text, &rules, &arena, &a, &refusal);
                assert_int_equal(rc, cases[i].text ? 0 : -EBADMSG);
                assert_str_equal(a.text, cases[i].text ? cases[i].text : "");
                assert_str_equal(a.domain, cases[i].text ? cases[i].domain : "");
                text = str_from(cases[i].in);
                rc = smtp_path_parse(&text, &usual, &arena, &a, &refusal);
                assert_int_equal(rc, i + 1 == sizeof(cases) / sizeof(cases[0]) ? 0 : -EBADMSG);
        }
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_minus_may_be_refused),
                cmocka_unit_test(parses),
                cmocka_unit_test(follows_the_rules),
                cmocka_unit_test(keeps_limits),
                cmocka_unit_test(puts_addresses_together),
                cmocka_unit_test(domains_that_are_none_may_be_taken),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
