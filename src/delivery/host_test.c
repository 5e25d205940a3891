/* host_test.c - a next hop's addresses: literals, MX and hosts by answers that are given, /etc/hosts by the C library */
#include "delivery/host.h"

#include "base/unit.h"
#include "loop/pool.h"
#include "loop/task.h"

#include <errno.h>
#include <unistd.h>

#define ZONE                                                     \
        "one.test MX 10 mx.one.test\n"                           \
        "mx.one.test A 192.0.2.1\n"                              \
        "mx.one.test AAAA 2001:db8::1\n"                         \
        "many.test MX 20 late.test\n"                            \
        "many.test MX 10 a.test\n"                               \
        "many.test MX 10 b.test\n"                               \
        "a.test A 192.0.2.11\n"                                  \
        "b.test A 192.0.2.12\n"                                  \
        "late.test A 192.0.2.20\n"                               \
        "only.test A 192.0.2.30\n"                               \
        "null.test MX 0 .\n"                                     \
        "nullfirst.test MX 0 .\n"                                \
        "nullfirst.test MX 10 a.test\n"                          \
        "nulllast.test MX 10 a.test\n"                           \
        "nulllast.test MX 20 .\n"                                \
        "me.example TXT x\n"                                     \
        "loop.test MX 10 Me.Example\n"                           \
        "loop.test MX 20 a.test\n"                               \
        "partly.test MX 10 a.test\n"                             \
        "partly.test MX 20 me.example\n"                         \
        "partly.test MX 30 b.test\n"                             \
        "own.test MX 10 a.test\n"                                \
        "own.test MX 20 ours.test\n"                             \
        "own.test MX 30 b.test\n"                                \
        "ours.test A 198.51.100.7\n"                             \
        "ownfirst.test MX 10 ours.test\n"                        \
        "ownfirst.test MX 10 a.test\n"                           \
        "both.test MX 10 six.test\n"                             \
        "both.test MX 20 four.test\n"                            \
        "six.test AAAA 2001:db8::1\n"                            \
        "six.test AAAA 2001:db8::2\n"                            \
        "six.test AAAA 2001:db8::3\n"                            \
        "six.test AAAA 2001:db8::4\n"                            \
        "four.test A 192.0.2.1\n"                                \
        "four.test A 192.0.2.2\n"                                \
        "four.test A 192.0.2.3\n"                                \
        "dead.test SERVFAIL\n"                                   \
        "forged.test BOGUS\n"                                    \
        "half.test MX 10 dead.test\n"                            \
        "half.test MX 20 a.test\n"                               \
        "badhalf.test MX 10 forged.test\n"                       \
        "badhalf.test MX 20 none.test\n"                         \
        "nohost.test MX 10 none.test\n"                          \
        "alias.test CNAME one.test\n"                            \
        "toalias.test MX 10 www.test\n"                          \
        "www.test CNAME a.test\n"                                \
        "number.test MX 10 192.0.2.99\n"                         \
        "*.wild.test MX 10 a.test\n"                             \
        "_submission._tcp.srv.test SRV 20 0 2587 late.test\n"    \
        "_submission._tcp.srv.test SRV 10 1 1587 b.test\n"       \
        "_submission._tcp.srv.test SRV 10 0 9 .\n"               \
        "_smtp._tcp.srv.test SRV 1 1 26 a.test\n"                \
        "_submission._tcp.nosrv.test SRV 0 0 0 .\n"              \
        "nosrv.test MX 10 a.test\n"                              \
        "_submission._tcp.srvdead.test SERVFAIL\n"               \
        "srvdead.test MX 10 a.test\n"                            \
        "_submission._tcp.srvempty.test SRV 1 1 587 none.test\n" \
        "srvempty.test MX 10 a.test\n"                           \
        "_submission._tcp.srvown.test SRV 1 1 587 ours.test\n"   \
        "_submission._tcp.srvloop.test SRV 1 1 25 ours.test\n"   \
        "_submission._tcp.srvnum.test SRV 1 1 588 192.0.2.9\n"   \
        "signed.test SECURE\n"                                   \
        "signed.test MX 10 signed-host.test\n"                   \
        "signed-host.test SECURE\n"                              \
        "signed-host.test A 192.0.2.77\n"                        \
        "xn--bcher-kva.test MX 10 a.test\n"

static char dir[64];
static struct config *config;
static struct table_set *tables;
static struct policy *policy;
static struct findings findings;
static struct loop *loop;
static struct arena arena;
static struct params params;
static struct dns_filter *filter; /* smtp_dns_reply_filter; NULL: none */

static int setup(void **state)
{
        struct why why;
        char path[128];
        snprintf(dir, sizeof(dir), "/tmp/forepost-host-XXXXXX");
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/main.cf", dir);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs("myhostname = me.example\ninet_interfaces = 198.51.100.7\n"
              "smtp_randomize_addresses = no\ninet_protocols = all\n",
              f);
        fclose(f);
        findings_init(&findings);
        config = config_load(dir, NULL, &findings);
        assert_non_null(config);
        tables = table_set_new(dir);
        struct dns *dns = dns_new_given(STR(ZONE), &why);
        if (!dns)
                fail_msg("%s", why.text);
        policy = policy_new(config, &config->params, tables, dns, &findings);
        dns_unref(&dns);
        params = config->params;
        arena_init(&arena, 0);
        loop = loop_new(&why);
        return pool_start(2, &why);
}

static int teardown(void **state)
{
        char path[128];
        pool_stop();
        loop_free(&loop);
        policy_unref(&policy);
        table_set_free(&tables);
        config_unref(&config);
        findings_done(&findings);
        arena_done(&arena);
        snprintf(path, sizeof(path), "%s/main.cf", dir);
        unlink(path);
        rmdir(dir);
        return 0;
}

static void (*await_body)(void);

static void await_test(void *arg)
{
        await_body();
        loop_stop(loop);
}

static void run(void (*await_it)(void))
{
        await_body = await_it;
        task_start(loop, await_test, NULL);
        loop_run(loop);
}

/* "192.0.2.1:25 2001:db8::1:25 " or "-2 5.4.4: words" */
static const char *await_find(const char *text)
{
        static char got[600];
        struct nexthop hop;
        struct host_address *a;
        size_t count;
        struct host_failure failure = {0};
        assert_int_equal(nexthop_parse(str_from(text), 25, &hop), 0);
        if (hop.service.len == 0)
                hop.service = STR("smtp");
        int rc = await_hosts_find(policy, &hop, &params, filter, &arena, &a, &count, &failure);
        if (rc < 0) {
                assert_int_equal(failure.is_permanent, failure.dsn[0] == '5');
                snprintf(got, sizeof(got), "%d %s: %s", rc, failure.dsn, failure.why.text);
                return got;
        }
        got[0] = '\0';
        for (size_t i = 0; i < count; i++) {
                size_t len = strlen(got);
                unsigned port = a[i].to.any.sa_family == AF_INET6 ? ntohs(a[i].to.v6.sin6_port)
                                                                  : ntohs(a[i].to.v4.sin_port);
                snprintf(got + len, sizeof(got) - len, "%s:%u%s ", a[i].text, port,
                         a[i].is_secure ? "+" : "");
        }
        return got;
}

struct expected {
        const char *hop;
        const char *found; /* as await_find() says, or its beginning */
};

static void await_expect(const struct expected *cases, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                const char *got = await_find(cases[i].hop);
                if (strncmp(got, cases[i].found, strlen(cases[i].found)) != 0)
                        fail_msg("%s: %s", cases[i].hop, got);
        }
}

static void await_by_dns(void)
{
        static const struct expected cases[] = {
                {"[192.0.2.1]", "192.0.2.1:25"},
                {"[192.0.2.1]:2600", "192.0.2.1:2600"},
                {"[IPv6:2001:db8::1]:26", "2001:db8::1:26"},
                {"one.test", "192.0.2.1:25 2001:db8::1:25 "},
                {"one.test:2525", "192.0.2.1:2525 2001:db8::1:2525 "},
                {"[mx.one.test]:587", "192.0.2.1:587 2001:db8::1:587 "},
                {"ONE.Test", "192.0.2.1:25 "},
                {"many.test", "192.0.2.11:25 192.0.2.12:25 192.0.2.20:25 "},
                {"only.test", "192.0.2.30:25 "},
                {"[only.test]", "192.0.2.30:25 "},
                {"alias.test", "192.0.2.1:25 "},
                {"toalias.test", "192.0.2.11:25 "},
                {"number.test", "192.0.2.99:25 "},
                {"x.wild.test", "192.0.2.11:25 "},
                {"signed.test", "192.0.2.77:25+ "},
                {"b\xc3\xbc"
                 "cher.test",
                 "192.0.2.11:25 "},
                {"half.test", "192.0.2.11:25 "},
                {"partly.test", "192.0.2.11:25 "},
                {"own.test", "192.0.2.11:25 "},
                {"[ours.test]", "198.51.100.7:25 "}, /* whoever writes that means it */
                {"null.test", "-89 5.1.10: Domain null.test does not accept mail (nullMX)"},
                {"nullfirst.test",
                 "-89 5.1.10: Domain nullfirst.test does not accept mail (nullMX)"},
                {"nulllast.test", "-89 5.1.10: Domain nulllast.test does not accept mail (nullMX)"},
                {"loop.test", "-40 5.4.6: mail for loop.test loops back to myself"},
                {"ownfirst.test", "-40 5.4.6: mail for ownfirst.test loops back"},
                {"none.test", "-2 5.4.4: Host or domain name not found. Name service error for "
                              "name=none.test type=MX: Host not found"},
                {"[none.test]", "-2 5.4.4: Host or domain name not found. Name service error for "
                                "name=none.test type=A: Host not found"},
                {"me.example", "-2 5.4.4: Host or domain name not found. Name service error for "
                               "name=me.example type=A: Host not found"},
                {"nohost.test", "-2 5.4.4: no mail server of nohost.test has an address"},
                {"dead.test",
                 "-11 4.4.3: Host or domain name not found. Name service error for "
                 "name=dead.test type=MX: Host not found, try again (the name servers"},
                {"forged.test",
                 "-11 4.4.3: Host or domain name not found. Name service error for "
                 "name=forged.test type=MX: Host not found, try again (the signature"},
                {"[forged.test]", "-11 4.4.3: "},
                {"badhalf.test", "-11 4.4.3: unable to look up the mail servers of badhalf.test: "
                                 "the signature is wrong"},
        };
        await_expect(cases, sizeof(cases) / sizeof(*cases));
}

static void by_dns(void **state)
{
        run(await_by_dns);
}

static void await_by_srv(void)
{
        static const struct expected without[] = {
                {"many.test:submission", "192.0.2.11:587 "},
                {"srv.test:submission", "-2 5.4.4: Host or domain name not found."},
        };
        static const struct expected alone[] = {
                {"srv.test:submission", "192.0.2.12:1587 192.0.2.20:2587 "},
                {"[a.test]:submission", "192.0.2.11:587 "},
                {"many.test:587", "192.0.2.11:587 "}, /* a number is no service */
                {"many.test", "192.0.2.11:25 "},
                {"srvown.test:submission", "198.51.100.7:587 "},
                {"srvnum.test:submission", "192.0.2.9:588 "},
                {"srvloop.test:submission", "-40 5.4.6: mail for srvloop.test loops back"},
                {"nosrv.test:submission", "-89 5.1.0: _submission._tcp.nosrv.test: the domain says "
                                          "that it has no such service"},
                {"many.test:submission",
                 "-2 5.4.4: Host or domain name not found. Name service error for "
                 "name=_submission._tcp.many.test type=SRV: Host not found"},
                {"srvdead.test:submission",
                 "-11 4.4.3: Host or domain name not found. Name service error for "
                 "name=_submission._tcp.srvdead.test type=SRV: Host not found, try again"},
                {"srvempty.test:submission", "-2 5.4.4: no mail server of srvempty.test"},
        };
        static const struct expected ignoring[] = {
                {"srvdead.test:submission", "192.0.2.11:587 "},
                {"many.test:submission", "-2 5.4.4: Host or domain name not found."},
                {"srvempty.test:submission", "-2 5.4.4: no mail server of srvempty.test"},
        };
        static const struct expected falling[] = {
                {"srv.test:submission", "192.0.2.12:1587 192.0.2.20:2587 "},
                {"srvdead.test:submission", "192.0.2.11:587 "},
                {"many.test:submission", "192.0.2.11:587 192.0.2.12:587 192.0.2.20:587 "},
                {"nosrv.test:submission", "192.0.2.11:587 "},
                {"srvempty.test:submission", "192.0.2.11:587 "},
                {"none.test:submission", "-2 5.4.4: Host or domain name not found. Name service "
                                         "error for name=none.test type=MX: Host not found"},
        };
        await_expect(without, sizeof(without) / sizeof(*without));
        params.use_srv_lookup = STR("submissions, submission");
        await_expect(alone, sizeof(alone) / sizeof(*alone));
        params.ignore_srv_lookup_error = true;
        await_expect(ignoring, sizeof(ignoring) / sizeof(*ignoring));
        params.ignore_srv_lookup_error = false;
        params.allow_srv_lookup_fallback = true;
        await_expect(falling, sizeof(falling) / sizeof(*falling));
}

static void by_srv(void **state)
{
        run(await_by_srv);
}

static void await_support_levels(void)
{
        static const struct expected dns[] = {{"one.test", "192.0.2.1:25"},
                                              {"localhost", "-2 5.4.4"}};
        static const struct expected native[] = {{"localhost:26", "127.0.0.1:26"}};
        static const struct {
                bool is_disabled;
                enum dns_support level;
                bool asks_dns;
        } cases[] = {
                {false, DNS_SUPPORT_UNSET, true},     {true, DNS_SUPPORT_UNSET, false},
                {false, DNS_SUPPORT_DISABLED, false}, {true, DNS_SUPPORT_ENABLED, true},
                {true, DNS_SUPPORT_DNSSEC, true},
        };
        params.inet_protocols = STR("ipv4");
        params.use_srv_lookup = STR("26");
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                params.disable_dns_lookups = cases[i].is_disabled;
                params.smtp_dns_support_level = (int)cases[i].level;
                if (cases[i].asks_dns)
                        await_expect(dns, 2);
                else
                        await_expect(native, 1);
        }
}

static void support_levels(void **state)
{
        run(await_support_levels);
}

/* The name of the first host. */
static struct str await_name(const char *text)
{
        struct nexthop hop;
        struct host_address *a;
        size_t count;
        struct host_failure failure = {0};
        assert_int_equal(nexthop_parse(str_from(text), 25, &hop), 0);
        assert_int_equal(
                await_hosts_find(policy, &hop, &params, filter, &arena, &a, &count, &failure), 0);
        assert_true(count > 0);
        return a[0].name;
}

static void await_names(void)
{
        static const struct {
                const char *hop, *asked, *own;
        } cases[] = {
                {"toalias.test", "www.test", "a.test"},
                {"[www.test]", "www.test", "a.test"},
                {"[a.test]", "a.test", "a.test"},
                {"many.test", "a.test", "a.test"},
                {"alias.test", "mx.one.test", "mx.one.test"},
        };
        params.smtp_randomize_addresses = false;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                params.smtp_cname_overrides_servername = false;
                assert_str_equal(await_name(cases[i].hop), cases[i].asked);
                params.smtp_cname_overrides_servername = true;
                assert_str_equal(await_name(cases[i].hop), cases[i].own);
        }
}

static void aliases_have_names(void **state)
{
        run(await_names);
}

static void await_protocols(void)
{
        static const struct expected only4[] = {{"one.test", "192.0.2.1:25 "},
                                                {"[IPv6:2001:db8::1]", "2001:db8::1:25 "}};
        static const struct expected only6[] = {{"one.test", "2001:db8::1:25 "},
                                                {"only.test", "-2 5.4.4: "}};
        static const struct expected first6[] = {{"one.test", "2001:db8::1:25 192.0.2.1:25 "},
                                                 {"only.test", "192.0.2.30:25 "}};
        params.inet_protocols = STR("ipv4");
        await_expect(only4, 2);
        assert_null(strstr(await_find("one.test"), "2001"));
        params.inet_protocols = STR("ipv6");
        await_expect(only6, 2);
        params.inet_protocols = STR("ipv4, ipv6");
        params.smtp_address_preference = ADDRESS_IPV6;
        await_expect(first6, 2);
        params.ignore_mx_lookup_error = true;
        assert_non_null(strstr(await_find("dead.test"), "type=A"));
}

static void protocols(void **state)
{
        run(await_protocols);
}

/* Two addresses of a host, and two hosts of the same preference: each comes first about as often. */
/* Of 4 of IPv6 and then 3 of IPv4: what stays, and in which order. */
static void await_balanced(void)
{
        static const struct {
                int limit;
                const char *found;
        } cases[] = {
                {2, "2001:db8::1:25 192.0.2.1:25 "},
                {3, "2001:db8::1:25 2001:db8::2:25 192.0.2.1:25 "},
                {5, "2001:db8::1:25 2001:db8::2:25 2001:db8::3:25 192.0.2.1:25 192.0.2.2:25 "},
                {6, "2001:db8::1:25 2001:db8::2:25 2001:db8::3:25 192.0.2.1:25 192.0.2.2:25 "
                    "192.0.2.3:25 "},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                params.smtp_mx_address_limit = cases[i].limit;
                assert_string_equal(await_find("both.test"), cases[i].found);
        }
        static const char all[] = "2001:db8::1:25 2001:db8::2:25 2001:db8::3:25 2001:db8::4:25 "
                                  "192.0.2.1:25 192.0.2.2:25 192.0.2.3:25 ";
        params.smtp_mx_address_limit = 0;
        assert_string_equal(await_find("both.test"), all);
        params.smtp_mx_address_limit = 7;
        assert_string_equal(await_find("both.test"), all);
        params.smtp_mx_address_limit = 1;
        assert_string_equal(await_find("both.test"), all); /* who tries them stops at one */
        params.smtp_mx_address_limit = 2;
        assert_string_equal(await_find("[six.test]"), "2001:db8::1:25 2001:db8::2:25 ");
        params.smtp_balance_inet_protocols = false;
        assert_string_equal(await_find("both.test"), all);
}

static void balances_protocols(void **state)
{
        run(await_balanced);
}

static void await_patient(void)
{
        params.smtp_defer_if_no_mx_address_found = true;
        assert_string_equal(await_find("nohost.test"),
                            "-11 4.4.4: no mail server of nohost.test has an address");
        /* no MX at all, and a name that is none: as ever */
        assert_true(strncmp(await_find("me.example"), "-2 5.4.4", 8) == 0);
        assert_true(strncmp(await_find("none.test"), "-2 5.4.4", 8) == 0);
}

static void waits_for_an_address(void **state)
{
        run(await_patient);
}

static void await_random(void)
{
        int first_v4 = 0;
        int first_a = 0;
        params.smtp_randomize_addresses = true;
        for (int i = 0; i < 1000; i++) {
                first_v4 += strncmp(await_find("one.test"), "192", 3) == 0;
                const char *many = await_find("many.test");
                first_a += strncmp(many, "192.0.2.11", 10) == 0;
                assert_non_null(strstr(many, "192.0.2.20:25 "));
                assert_true(strncmp(many, "192.0.2.20", 10) != 0);
        }
        assert_in_range(first_v4, 350, 650);
        assert_in_range(first_a, 350, 650);
}

static void in_random_order(void **state)
{
        run(await_random);
}

static void await_native(void)
{
        static const struct expected native[] = {
                {"[localhost]:2525", "127.0.0.1:2525 "},
                {"localhost", "127.0.0.1:25 "},
                {"[192.0.2.1]", "192.0.2.1:25 "},
        };
        params.inet_protocols = STR("ipv4");
        params.smtp_host_lookup = STR("native");
        await_expect(native, 3);
        params.smtp_host_lookup = STR("dns");
        params.disable_dns_lookups = true;
        await_expect(native, 3);
        params.disable_dns_lookups = false;
        /* localhost is not in the zone: what DNS does not have, the C library may */
        params.smtp_host_lookup = STR("dns, native");
        await_expect(native, 3);
        params.smtp_host_lookup = STR("dns");
        assert_non_null(strstr(await_find("[localhost]"), "Host not found"));
}

static void by_the_c_library(void **state)
{
        run(await_native);
}

static void await_filtered(void)
{
        static const struct {
                const char *rules; /* of inline regexps */
                const char *hop, *found;
        } rows[] = {
                {"/IN AAAA/ IGNORE", "one.test", "192.0.2.1:25 "},
                {"/IN MX 10 a\\.test\\.$/ IGNORE", "many.test", "192.0.2.12:25 192.0.2.20:25 "},
                {"/A 192.0.2.12$/ IGNORE", "many.test", "192.0.2.11:25 192.0.2.20:25 "},
                {"/IN MX/ IGNORE", "many.test",
                 "-11 4.7.0: Host or domain name not found. Name service error for name=many.test "
                 "type=MX: Host not found, try again (DNS reply filter drops all results)"},
                {"/IN A/ IGNORE", "[only.test]", "-11 4.7.0: "},
                {"/IN A/ IGNORE", "one.test", "-11 4.7.0: unable to look up the mail servers"},
                {"/IN A/ REJECT", "only.test", "-11 4.4.3: "},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct findings none;
                char text[200];
                findings_init(&none);
                snprintf(text, sizeof(text), "pcre:{{%s}}", rows[i].rules);
                filter = dns_filter_open(config, "smtp_dns_reply_filter", str_from(text), tables,
                                         &arena, &none);
                assert_non_null(filter);
                const char *got = await_find(rows[i].hop);
                if (strncmp(got, rows[i].found, strlen(rows[i].found)) != 0)
                        fail_msg("%s: %s: %s", rows[i].rules, rows[i].hop, got);
                findings_done(&none);
        }
        filter = NULL;
}

static void filtered(void **state)
{
        run(await_filtered);
}

static void await_told_to_stop(void)
{
        struct nexthop hop;
        struct host_address *a;
        size_t count;
        struct host_failure failure;
        assert_int_equal(nexthop_parse(STR("one.test"), 25, &hop), 0);
        task_cancel(task_self());
        assert_int_equal(
                await_hosts_find(policy, &hop, &params, NULL, &arena, &a, &count, &failure),
                -ECANCELED);
}

static void told_to_stop(void **state)
{
        run(await_told_to_stop);
}

#define HOST_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                HOST_TEST(by_dns),
                HOST_TEST(by_srv),
                HOST_TEST(support_levels),
                HOST_TEST(aliases_have_names),
                HOST_TEST(protocols),
                HOST_TEST(in_random_order),
                HOST_TEST(balances_protocols),
                HOST_TEST(waits_for_an_address),
                HOST_TEST(by_the_c_library),
                HOST_TEST(told_to_stop),
                HOST_TEST(filtered),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
