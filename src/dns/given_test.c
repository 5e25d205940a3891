/* given_test.c - answers from a text, and what a session remembers of what it asked */
#include "dns/dns.h"

#include "base/clock.h"
#include "base/unit.h"

#include <stdio.h>

static struct dns *dns;
static struct dns_questions *questions;

static void give(const char *text)
{
        struct why why = {""};
        dns = dns_new_given(str_from(text), &why);
        if (!dns)
                fail_msg("%s", why.text);
        questions = dns_questions_new(dns);
}

static int teardown(void **state)
{
        dns_questions_free(&questions);
        dns_unref(&dns);
        return 0;
}

static const struct dns_answer *ask(const char *name, enum dns_type type)
{
        return await_dns(questions, str_from(name), type, CLOCK_NEVER);
}

static void every_type(void **state)
{
        give("; a comment\n"
             "a.test 60 IN A 192.0.2.1\n"
             "a.test A 192.0.2.2 ; and another\n"
             "A.Test. AAAA 2001:db8::1\n"
             "test MX 10 mx1.test.\r\n"
             "test 120 MX 20 MX2.test\n"
             "null.test MX 0 .\n"
             "1.2.0.192.in-addr.arpa PTR a.test\n"
             "test TXT \"v=spf1 \" \"a;b\" -all\n"
             "esc.test TXT \"say \\\"hi\\\" \\065\"\n"
             "test NS ns.test\n"
             "test SOA ns.test root.test 1 2 3 4 5\n"
             "_25._tcp.a.test TLSA 3 1 1 00ff AB\n"
             "_submission._tcp.test SRV 10 20 587 MX1.test.\n");
        const struct dns_answer *a = ask("A.TEST.", DNS_A);
        assert_int_equal(a->result, DNS_FOUND);
        assert_int_equal(a->count, 2);
        assert_int_equal(a->ttl_ms, 60000);
        assert_str_equal(a->owner, "a.test");
        assert_str_equal(a->records[0].text, "192.0.2.1");
        assert_memory_equal(a->records[1].address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\2", 16);
        a = ask("a.test", DNS_AAAA);
        assert_str_equal(a->records[0].text, "2001:db8::1");
        assert_int_equal(a->records[0].data.len, 16);
        a = ask("test", DNS_MX);
        assert_int_equal(a->count, 2);
        assert_int_equal(a->records[1].preference, 20);
        assert_str_equal(a->records[1].name, "mx2.test");
        a = ask("null.test", DNS_MX);
        assert_str_equal(a->records[0].name, "");
        assert_str_equal(ask("1.2.0.192.in-addr.arpa", DNS_PTR)->records[0].name, "a.test");
        a = ask("test", DNS_TXT);
        assert_int_equal(a->count, 1);
        assert_str_equal(a->records[0].text, "v=spf1 a;b-all");
        assert_str_equal(ask("esc.test", DNS_TXT)->records[0].text, "say \"hi\" A");
        assert_str_equal(ask("test", DNS_NS)->records[0].name, "ns.test");
        assert_int_equal(ask("test", DNS_SOA)->result, DNS_FOUND);
        a = ask("_25._tcp.a.test", DNS_TLSA);
        assert_int_equal(a->records[0].tlsa.usage, 3);
        assert_int_equal(a->records[0].tlsa.selector, 1);
        assert_int_equal(a->records[0].tlsa.matching, 1);
        assert_int_equal(a->records[0].tlsa.association.len, 3);
        assert_memory_equal(a->records[0].tlsa.association.ptr, "\x00\xff\xab", 3);
        a = ask("_submission._tcp.test", DNS_SRV);
        assert_int_equal(a->count, 1);
        assert_int_equal(a->records[0].preference, 10);
        assert_int_equal(a->records[0].weight, 20);
        assert_int_equal(a->records[0].port, 587);
        assert_str_equal(a->records[0].name, "mx1.test");
}

static void nothing(void **state)
{
        give("a.b.test A 192.0.2.1\n"
             "*.w.test A 192.0.2.7\n"
             "here.w.test TXT x\n");
        assert_int_equal(ask("a.b.test", DNS_MX)->result, DNS_NO_DATA);
        assert_int_equal(ask("b.test", DNS_A)->result, DNS_NO_DATA); /* a name below it is there */
        assert_int_equal(ask("c.test", DNS_A)->result, DNS_NO_NAME);
        assert_int_equal(ask("x.w.test", DNS_A)->result, DNS_FOUND);
        assert_int_equal(ask("y.x.w.test", DNS_A)->result, DNS_FOUND);
        assert_int_equal(ask("here.w.test", DNS_A)->result, DNS_NO_DATA);
        assert_int_equal(ask("y.here.w.test", DNS_A)->result, DNS_NO_NAME);
        assert_int_equal(ask("a..b", DNS_A)->result, DNS_NO_NAME);
        assert_int_equal(ask("a b", DNS_A)->result, DNS_NO_NAME);
}

static void failures(void **state)
{
        give("dead.test SERVFAIL\n*.slow.test TIMEOUT\nbad.test BOGUS\nok.test SECURE\n"
             "ok.test A 192.0.2.1\nbad.test A 192.0.2.1\nto-ok.test CNAME ok.test\n");
        assert_int_equal(ask("dead.test", DNS_A)->result, DNS_FAILED);
        assert_non_null(ask("dead.test", DNS_A)->why);
        assert_int_equal(ask("x.slow.test", DNS_TXT)->result, DNS_FAILED);
        assert_non_null(strstr(ask("x.slow.test", DNS_TXT)->why, "in time"));
        const struct dns_answer *a = ask("bad.test", DNS_A);
        assert_int_equal(a->result, DNS_FAILED);
        assert_int_equal(a->count, 0);
        assert_true(a->is_bogus);
        assert_true(ask("ok.test", DNS_A)->is_secure);
        assert_true(ask("ok.test", DNS_MX)->is_secure);
        assert_false(ask("to-ok.test", DNS_A)->is_secure);
}

static void aliases(void **state)
{
        give("www.test CNAME a.test\na.test CNAME b.test\nb.test 30 A 192.0.2.1\n"
             "x.test CNAME y.test\ny.test CNAME x.test\nz.test CNAME none.test\n");
        const struct dns_answer *a = ask("www.test", DNS_A);
        assert_int_equal(a->result, DNS_FOUND);
        assert_str_equal(a->owner, "b.test");
        assert_str_equal(ask("www.test", DNS_CNAME)->records[0].name, "a.test");
        assert_int_equal(ask("x.test", DNS_A)->result, DNS_FAILED);
        assert_int_equal(ask("z.test", DNS_A)->result, DNS_NO_NAME);
}

static void mistakes_have_a_line(void **state)
{
        static const struct {
                const char *text;
                const char *words;
        } cases[] = {
                {"a.test A 1.2.3\n", "line 1: that is no address"},
                {"ok.test A 1.2.3.4\na..b A 1.2.3.4\n", "line 2: that is no name"},
                {"a.test\n", "write: name"},
                {"a.test HINFO x\n", "type is not known"},
                {"a.test 60\n", "a type is missing"},
                {"a.test MX x y\n", "a number"},
                {"a.test MX 10\n", "a name is wanted"},
                {"a.test MX 65536 x\n", "a number"},
                {"a.test SRV 1 1 x\n", "a number"},
                {"a.test SRV 1 1 65536 x\n", "a number"},
                {"a.test SRV 1 1 25\n", "a name is wanted"},
                {"a.test TXT \"x\n", "quotation mark"},
                {"a.test A 1.2.3.4 5\n", "more than belongs"},
                {"a.test TLSA 3 1 1 0\n", "even number"},
                {"a.test TLSA 3 1 1 zz\n", "hexadecimal"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct why why = {""};
                assert_null(dns_new_given(str_from(cases[i].text), &why));
                if (!strstr(why.text, cases[i].words))
                        fail_msg("%s: %s", cases[i].text, why.text);
        }
}

struct seen {
        char names[200];
        size_t count;
};

static void note(void *context, struct str name, enum dns_type type,
                 const struct dns_answer *answer)
{
        struct seen *s = context;
        size_t len = strlen(s->names);
        assert_non_null(answer);
        snprintf(s->names + len, sizeof(s->names) - len, "%.*s/%s ", STR_ARG(name),
                 dns_type_name(type));
        s->count++;
}

static void nothing_is_asked_twice(void **state)
{
        give("a.test A 192.0.2.1\n");
        assert_null(dns_peek(questions, STR("a.test"), DNS_A));
        dns_ask(questions, STR("a.test"), DNS_A);
        dns_ask(questions, STR("A.test."), DNS_A);
        const struct dns_answer *first = ask("a.test", DNS_A);
        assert_ptr_equal(first, ask("a.TEST", DNS_A));
        assert_ptr_equal(first, dns_peek(questions, STR("a.test."), DNS_A));
        ask("a.test", DNS_MX);
        struct seen seen = {""};
        dns_questions_each(questions, note, &seen);
        assert_string_equal(seen.names, "a.test/A a.test/MX ");
        struct dns_figures figures;
        dns_figures(dns, &figures);
        assert_int_equal(figures.asked, 2);
        assert_int_equal(figures.found, 1);
        assert_int_equal(figures.no_data, 1);
}

static void two_hundred_and_no_more(void **state)
{
        give("*.test A 192.0.2.1\n");
        char name[32];
        for (int i = 0; i < 200; i++) {
                snprintf(name, sizeof(name), "n%d.test", i);
                assert_int_equal(ask(name, DNS_A)->result, DNS_FOUND);
        }
        dns_ask(questions, STR("n200.test"), DNS_A);
        assert_int_equal(ask("n200.test", DNS_A)->result, DNS_FAILED);
        assert_int_equal(ask("n199.test", DNS_A)->result, DNS_FOUND);
}

static void a_hundred_records_and_no_more(void **state)
{
        char text[8000] = "";
        size_t len = 0;
        for (int i = 0; i < 150; i++)
                len += (size_t)snprintf(text + len, sizeof(text) - len, "a.test A 192.0.2.%d\n", i);
        give(text);
        assert_int_equal(ask("a.test", DNS_A)->count, 100);
}

static void zones(void *context, struct str zone, const struct dns_figures *f)
{
        struct seen *s = context;
        size_t len = strlen(s->names);
        snprintf(s->names + len, sizeof(s->names) - len, "%.*s=%d ", STR_ARG(zone), (int)f->asked);
}

static void figures_by_zone(void **state)
{
        give("a.test A 192.0.2.1\n");
        ask("2.0.0.127.list.test", DNS_A);
        ask("3.0.0.127.list.test", DNS_A);
        struct seen seen = {""};
        dns_figures_each(dns, zones, &seen);
        assert_string_equal(seen.names, "list.test=2 ");
        char name[32];
        for (int i = 0; i < 1200; i++) {
                if (i % 100 == 0) {
                        dns_questions_free(&questions);
                        questions = dns_questions_new(dns);
                }
                snprintf(name, sizeof(name), "zone%d.test", i);
                ask(name, DNS_A);
        }
        struct dns_figures all;
        dns_figures(dns, &all);
        assert_int_equal(all.asked, 1202);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(every_type, teardown),
                cmocka_unit_test_teardown(nothing, teardown),
                cmocka_unit_test_teardown(failures, teardown),
                cmocka_unit_test_teardown(aliases, teardown),
                cmocka_unit_test(mistakes_have_a_line),
                cmocka_unit_test_teardown(nothing_is_asked_twice, teardown),
                cmocka_unit_test_teardown(two_hundred_and_no_more, teardown),
                cmocka_unit_test_teardown(a_hundred_records_and_no_more, teardown),
                cmocka_unit_test_teardown(figures_by_zone, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
