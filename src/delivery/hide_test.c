/* hide_test.c - a core's name does not come through, the recipient's does */
#include "delivery/hide.h"

#include "base/unit.h"

static const struct str names[] = {
        STR_INIT("core1.inside.example"),
        STR_INIT("10.1.2.3"),
        STR_INIT("mailhost"),
};
static const struct str kept[] = {STR_INIT("o3.example"), STR_INIT("inside.example")};

static const struct {
        const char *text;
        const char *shown;
} cases[] = {
        {"", ""},
        {"550 5.1.1 <u@o3.example>: user unknown", "550 5.1.1 <u@o3.example>: user unknown"},
        {"core1.inside.example", "(hidden)"},
        {"CORE1.Inside.EXAMPLE says no", "(hidden) says no"},
        {"by core1.inside.example. Go", "by (hidden). Go"},
        {"<u@core1.inside.example>", "<u@(hidden)>"},
        {"mx2.inside.example, a.core1.inside.example", "(hidden), (hidden)"},
        {"core1: queue full", "(hidden): queue full"},
        {"core12: queue full", "core12: queue full"},
        {"mailhost Mailhost mailhosts", "(hidden) (hidden) mailhosts"},
        {"x-core1.inside.example.org", "x-core1.inside.example.org"},
        {"to inside.example", "to inside.example"}, /* the sender wrote it */
        {"[10.1.2.3]:25", "[(hidden)]:25"},
        {"from 192.168.7.9 and 8.8.8.8.", "from (hidden) and (hidden)."},
        {"version 1.2.3 code 5.7.1 1.2.3.4.5 300.1.1.1",
         "version 1.2.3 code 5.7.1 1.2.3.4.5 300.1.1.1"},
        {"[2001:db8::1] and fe80::1, ::1", "[(hidden)] and (hidden), (hidden)"},
        {"::core1.inside.example", "(hidden)(hidden)"},
        {"fe80::1.Next", "(hidden).Next"},
        {"fe80::1xyz", "(hidden)1xyz"},
        {"[IPv6:2001:db8::1]", "[IPv6:(hidden)]"},
        {"12:30:45 a::b::c", "12:30:45 (hidden)(hidden)"},
        {"queued as 4gXyZ12abcz9", "queued as 4gXyZ12abcz9"},
        {"b\xc3\xbc.core1.inside.example", "(hidden)"},
        {"....", "...."},
        {"a\nmailhost\nb", "a\n(hidden)\nb"},
};

static void words(void **state)
{
        struct hide h = {names, 3, kept, 2};
        struct arena arena;
        arena_init(&arena, 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                assert_str_equal(hide_names(str_from(cases[i].text), &h, &arena), cases[i].shown);
        arena_done(&arena);
}

static void no_names_at_all(void **state)
{
        struct hide h = {0};
        struct arena arena;
        arena_init(&arena, 0);
        assert_str_equal(hide_names(STR("core1.inside.example [10.0.0.1]"), &h, &arena),
                         "core1.inside.example [(hidden)]");
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(words),
                cmocka_unit_test(no_names_at_all),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
