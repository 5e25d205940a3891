/* dead_lists_test.c - the catalogue is in order, and keys are never shown */
#include "config/dead_lists.h"

#include "base/unit.h"

static void a_dead_list_is_found_by_any_name_below_it(void **state)
{
        assert_non_null(dead_list_find(STR("list.dsbl.org")));
        assert_non_null(dead_list_find(STR("LIST.DSBL.ORG.")));
        assert_string_equal(dead_list_find(STR("dsn.rfc-ignorant.org"))->ended, "November 2012");
        assert_non_null(dead_list_find(STR("ix.dnsbl.manitu.net")));
        assert_null(dead_list_find(STR("dnsbl.manitu.net")));
        assert_null(dead_list_find(STR("zen.spamhaus.org")));
        assert_null(dead_list_find(STR("notdsbl.org")));
        assert_null(dead_list_find(STR("")));
}

static void the_catalogue_is_sorted_and_complete(void **state)
{
        const struct dead_list *before = NULL;
        size_t count = 0;
        for (const struct dead_list *d; (d = dead_list_at(count)); count++) {
                if (before)
                        assert_true(strcmp(before->domain, d->domain) < 0);
                assert_non_null(d->ended);
                before = d;
        }
        assert_true(count >= 15);
}

static void assert_shown(const char *domain, const char *shown)
{
        struct arena arena;
        arena_init(&arena, 0);
        struct str s = list_domain_shown(str_from(domain), &arena);
        char text[300];
        snprintf(text, sizeof(text), "%.*s", STR_ARG(s));
        assert_string_equal(text, shown);
        arena_done(&arena);
}

static void keys_are_not_shown(void **state)
{
        assert_shown("zen.spamhaus.org", "zen.spamhaus.org");
        assert_shown("bl.spamcop.net=127.0.0.2", "bl.spamcop.net=127.0.0.2");
        assert_shown("secret.zen.dq.spamhaus.net", "zen.dq.spamhaus.net");
        assert_shown("SECRET.dbl.DQ.spamhaus.NET.", "dbl.DQ.spamhaus.NET.");
        assert_shown("secret.zen.dq.spamhaus.net=127.0.0.[2..11]*3",
                     "zen.dq.spamhaus.net=127.0.0.[2..11]*3");
        assert_shown("zen.dq.spamhaus.net", "zen.dq.spamhaus.net");
        assert_shown("abcd.combined.mail.abusix.zone", "combined.mail.abusix.zone");
        assert_shown("a1b2c3d4e5f6a7b8c9.list.example", "list.example");
        assert_shown("bl.a1b2c3d4e5f6a7b8c9.example", "bl.*.example");
        assert_shown("truncate.gbudb.net", "truncate.gbudb.net");
        assert_shown("hostkarma.junkemailfilter.com", "hostkarma.junkemailfilter.com");
        assert_true(str_eq(list_domain_key(STR("secret.zen.dq.spamhaus.net")), STR("secret")));
        assert_true(str_is_empty(list_domain_key(STR("zen.spamhaus.org"))));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_dead_list_is_found_by_any_name_below_it),
                cmocka_unit_test(the_catalogue_is_sorted_and_complete),
                cmocka_unit_test(keys_are_not_shown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
