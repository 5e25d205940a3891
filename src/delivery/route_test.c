/*
 * route_test.c - where recipients go, by transport(5) and their address class; what is wrong in a
 * configuration
 *
 * Tables in memory never wait, so no loop is needed.
 */
#include "delivery/transport.h"

#include "base/unit.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

struct desk {
        char dir[64];
        struct findings findings;
        struct config *config;
        struct table_set *tables;
        struct policy *policy;
        struct routes *routes;
        struct arena arena;
};

static void write_file(const struct desk *d, const char *name, const char *text)
{
        char path[200];
        snprintf(path, sizeof(path), "%s/%s", d->dir, name);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static void desk_open(struct desk *d, const char *settings, const char *master)
{
        static const char standard[] = "compatibility_level = 3.6\n"
                                       "myhostname = me.test\n"
                                       "myorigin = origin.test\n"
                                       "mynetworks = 127.0.0.0/8\n"
                                       "recipient_delimiter = +\n"
                                       "mydestination = local.test\n"
                                       "local_recipient_maps =\n"
                                       "virtual_alias_domains = alias.test\n"
                                       "virtual_mailbox_domains = box.test\n"
                                       "relay_domains = relay.test, two.test\n";
        char text[8192];
        snprintf(text, sizeof(text), "%s%s", standard, settings);
        *d = (struct desk){.dir = "/tmp/forepost-route-XXXXXX"};
        assert_non_null(mkdtemp(d->dir));
        write_file(d, "main.cf", text);
        write_file(d, "master.cf", master ? master : "smtp inet n - n - - smtpd\n");
        findings_init(&d->findings);
        arena_init(&d->arena, 0);
}

static void desk_load(struct desk *d)
{
        d->config = config_load(d->dir, NULL, &d->findings);
        assert_non_null(d->config);
        d->tables = table_set_new(d->dir);
        d->policy = policy_new(d->config, &d->config->params, d->tables, NULL, &d->findings);
        d->routes = routes_new(d->config, d->tables, d->policy, &d->findings);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static void desk_done(struct desk *d)
{
        routes_unref(&d->routes);
        policy_unref(&d->policy);
        table_set_free(&d->tables);
        config_unref(&d->config);
        findings_done(&d->findings);
        arena_done(&d->arena);
        nftw(d->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "transport:nexthop", with " hidden" behind it; or "! why". */
static const char *find_for(struct desk *d, const char *recipient, const char *sender,
                            const char *filter)
{
        static char text[1024];
        struct smtp_address address;
        struct route route;
        struct why why;
        assert_int_equal(smtp_address_parse(str_from(recipient), &d->arena, &address), 0);
        const struct route_query query = {
                .recipient = &address, .sender = str_from(sender), .filter = str_from(filter)};
        int rc = await_route_find(d->routes, &query, &d->arena, &route, &why);
        if (rc < 0) {
                assert_int_equal(rc, -EAGAIN);
                snprintf(text, sizeof(text), "! %s", why.text);
        } else {
                snprintf(text, sizeof(text), "%.*s:%.*s%s", STR_ARG(route.transport->name),
                         STR_ARG(route.nexthop), route.is_hidden ? " hidden" : "");
        }
        return text;
}

static const char *find(struct desk *d, const char *recipient)
{
        return find_for(d, recipient, "", "");
}

struct route_case {
        const char *recipient;
        const char *route;
};

static void check_routes(struct desk *d, const struct route_case *cases, size_t count)
{
        for (size_t i = 0; i < count; i++)
                assert_string_equal(find(d, cases[i].recipient), cases[i].route);
}

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void by_class(void **state)
{
        static const struct route_case cases[] = {
                {"u@relay.test", "relay:relay.test"},
                {"u@RELAY.Test", "relay:relay.test"},
                {"u@elsewhere.test", "smtp:elsewhere.test"},
                {"u@[192.0.2.1]", "smtp:[192.0.2.1]"},
                {"u@box.test", "virtual:box.test"},
                {"u@alias.test", "error:5.1.1 User unknown in virtual alias table hidden"},
                {"u", "smtp:origin.test"},
        };
        struct desk d;
        desk_open(&d, "", NULL);
        desk_load(&d);
        check_routes(&d, cases, COUNT(cases));
        desk_done(&d);
}

static void by_parameters(void **state)
{
        static const struct route_case cases[] = {
                {"u@relay.test", "relay:[core.inside]:2600 hidden"},
                {"u@elsewhere.test", "smtp:[out.test]"},
                {"u@box.test", "error:5.2.0 no boxes: here hidden"},
                {"u@local.test", "error:local mail delivery is disabled hidden"},
        };
        struct desk d;
        desk_open(&d,
                  "relay_transport = relay:[core.inside]:2600\n"
                  "relayhost = [out.test]\n"
                  "virtual_transport = error:5.2.0 no boxes: here\n"
                  "local_transport = error: local mail delivery is disabled\n",
                  NULL);
        desk_load(&d);
        check_routes(&d, cases, COUNT(cases));
        desk_done(&d);
}

static void relayhost_is_for_relay_domains_too(void **state)
{
        static const struct route_case cases[] = {
                {"u@relay.test", "relay:[out.test]:26 hidden"},
                {"u@elsewhere.test", "smtp:[out.test]:26"},
        };
        struct desk d;
        desk_open(&d, "relayhost = [out.test]:26\n", NULL);
        desk_load(&d);
        check_routes(&d, cases, COUNT(cases));
        desk_done(&d);
}

static void by_transport_maps(void **state)
{
        static const struct route_case cases[] = {
                {"user@full.test", "relay:[full]"},
                {"user+ext@full.test", "relay:[full]"}, /* without the extension */
                {"user+own@full.test", "relay:[own]"},
                {"other@full.test", "smtp:[rest]:2525"}, /* the domain */
                {"u@sub.parent.test", "relay:[parent]"},
                {"u@a.b.parent.test", "relay:[parent]"},
                {"u@parent.test", "smtp:parent.test"},
                {"u@relay.test", "relay:[core]:25, [core2]:25 hidden"},
                {"u@two.test", "relay:two.test"},
                {"u@nexthop.test", "smtp:[other]:26"},
                {"u@transport.test", "relay:transport.test"},
                {"u@colon.test", "smtp:colon.test"},
                {"u@wrong.test", "! transport_maps: there is no transport \"wrong\""},
                {"u@gone.test", "error:5.1.2 no: such host"},
                {"u@open.test", "smtp:public.test"},
                {"u@alias.test", "discard:alias.test"},
        };
        struct desk d;
        desk_open(&d, "transport_maps = hash:$config_directory/transport\n", NULL);
        write_file(&d, "transport",
                   "user@full.test      relay:[full]\n"
                   "user+own@full.test  relay:[own]\n"
                   "full.test           smtp:[rest]:2525\n"
                   ".parent.test        relay:[parent]\n"
                   "relay.test          relay:[core]:25, [core2]:25\n"
                   "two.test            :\n"
                   "nexthop.test        :[other]:26\n"
                   "transport.test      relay:\n"
                   "colon.test          :\n"
                   "wrong.test          wrong:[x]\n"
                   "gone.test           error:5.1.2 no: such host\n"
                   "open.test           smtp:public.test\n"
                   "alias.test          discard:\n");
        desk_load(&d);
        for (size_t i = 0; i < COUNT(cases); i++) {
                const char *got = find(&d, cases[i].recipient);
                bool is_bracketed = strstr(cases[i].route, ":[") != NULL;
                char wanted[200];
                /* brackets in a map name machines of ours: hidden, whatever the class */
                snprintf(wanted, sizeof(wanted), "%s%s", cases[i].route,
                         is_bracketed && !strstr(cases[i].route, "hidden") ? " hidden" : "");
                assert_string_equal(got, wanted);
        }
        desk_done(&d);
}

static void an_empty_value(void **state)
{
        struct desk d;
        desk_open(&d, "transport_maps = static:\n", NULL);
        desk_load(&d);
        assert_string_equal(find(&d, "u@x.test"),
                            "! transport_maps: an empty value for this recipient");
        desk_done(&d);
}

static void the_star(void **state)
{
        static const struct route_case cases[] = {
                {"u@known.test", "smtp:[known] hidden"},
                {"u@elsewhere.test", "relay:[all] hidden"},
                {"u@relay.test", "relay:[all] hidden"},
        };
        struct desk d;
        desk_open(&d,
                  "transport_maps = inline:{ { known.test = smtp:[known] } { * = relay:[all] } }\n",
                  NULL);
        desk_load(&d);
        check_routes(&d, cases, COUNT(cases));
        desk_done(&d);
}

/* ---- master.cf ---- */

static void overrides(void **state)
{
        struct desk d;
        struct smtp_address address;
        struct route route;
        struct why why;
        desk_open(
                &d,
                "transport_maps = inline:{ { slow.test = slow: } { later.test = retry:4.1.1 no } }\n"
                "default_destination_recipient_limit = 7\n"
                "slow_destination_concurrency_limit = 2\n"
                "slow_destination_recipient_limit = 1\n"
                "slow_initial_destination_concurrency = 1\n",
                "smtp inet n - n - - smtpd\n"
                "slow unix - - n - 4 smtp -o smtp_helo_timeout=7s -o smtp_helo_name=slow.me.test\n"
                "retry unix - - n - - error\n");
        desk_load(&d);
        assert_int_equal(smtp_address_parse(STR("u@slow.test"), &d.arena, &address), 0);
        assert_int_equal(await_route_find(d.routes, &(struct route_query){.recipient = &address},
                                          &d.arena, &route, &why),
                         0);
        const struct transport *t = route.transport;
        assert_str_equal(t->name, "slow");
        assert_str_equal(t->command, "smtp");
        assert_str_equal(t->params->smtp_helo_name, "slow.me.test");
        assert_int_equal(t->params->smtp_helo_timeout, 7000);
        assert_int_equal(t->process_limit, 4);
        assert_int_equal(t->concurrency_limit, 2);
        assert_int_equal(t->concurrency_initial, 1);
        assert_int_equal(t->recipient_limit, 1);
        assert_null(t->tls);
        assert_int_equal(smtp_address_parse(STR("u@later.test"), &d.arena, &address), 0);
        assert_int_equal(await_route_find(d.routes, &(struct route_query){.recipient = &address},
                                          &d.arena, &route, &why),
                         0);
        assert_str_equal(route.transport->command, "retry");
        assert_int_equal(route.transport->recipient_limit, 7);
        desk_done(&d);
}

static void by_sender(void **state)
{
        static const struct {
                const char *recipient, *sender, *route;
        } rows[] = {
                {"u@elsewhere.test", "a@b.test", "smtp:[one.test]"},
                {"u@elsewhere.test", "a+x@b.test", "smtp:[one.test]"},
                {"u@elsewhere.test", "c@b.test", "smtp:[two.test]:26"},
                {"u@relay.test", "a@b.test", "relay:[one.test] hidden"},
                {"u@box.test", "a@b.test", "virtual:box.test"},
                {"u@elsewhere.test", "x@y.test", "smtp:[out.test]"},
                {"u@elsewhere.test", "d@b.test", "smtp:[out.test]"}, /* DUNNO */
                {"u@elsewhere.test", "", "smtp:[null.test]"},
                {"u@elsewhere.test", "e@b.test", "slow:[three.test]"},
                {"u@elsewhere.test", "f@b.test", "slow:[two.test]:26"},
                {"u@relay.test", "e@b.test", "relay:[two.test]:26 hidden"},
                {"u@mapped.test", "e@b.test", "smtp:[map.test] hidden"},
                {"u@elsewhere.test", "g@b.test",
                 "! sender_dependent_default_transport_maps: there is no transport \"nosuch\""},
        };
        struct desk d;
        desk_open(
                &d,
                "relayhost = [out.test]\n"
                "transport_maps = inline:{mapped.test=smtp:[map.test]}\n"
                "sender_dependent_relayhost_maps = inline:{a@b.test=[one.test], @b.test=[two.test]:26,"
                " d@b.test=DUNNO, <>=[null.test]}\n"
                "sender_dependent_default_transport_maps = inline:{e@b.test=slow:[three.test],"
                " f@b.test=slow, g@b.test=nosuch:x, a@b.test=dunno}\n",
                "smtp inet n - n - - smtpd\nslow unix - - n - - smtp\n");
        desk_load(&d);
        assert_false(findings_has_errors(&d.findings));
        for (size_t i = 0; i < COUNT(rows); i++)
                assert_string_equal(find_for(&d, rows[i].recipient, rows[i].sender, ""),
                                    rows[i].route);
        desk_done(&d);
}

static void who_has_moved(void **state)
{
        struct desk d;
        desk_open(
                &d,
                "relocated_maps = inline:{{u@relay.test=new@elsewhere.test}, {@gone.test=nowhere},"
                " {user=house 7}}\n",
                NULL);
        desk_load(&d);
        static const struct route_case cases[] = {
                {"u@relay.test", "error:5.1.6 User has moved to new@elsewhere.test hidden"},
                {"u+x@relay.test", "error:5.1.6 User has moved to new@elsewhere.test hidden"},
                {"v@relay.test", "relay:relay.test"},
                {"x@gone.test", "error:5.1.6 User has moved to nowhere"},
                {"user@local.test", "error:5.1.6 User has moved to house 7 hidden"},
                {"user@elsewhere.test", "smtp:elsewhere.test"},
        };
        check_routes(&d, cases, COUNT(cases));
        desk_done(&d);
}

static void through_a_filter(void **state)
{
        struct desk d;
        desk_open(&d, "relocated_maps = inline:{{u@relay.test=elsewhere}}\n", NULL);
        desk_load(&d);
        assert_string_equal(find_for(&d, "u@relay.test", "a@b.test", "smtp:[127.0.0.1]:10025"),
                            "smtp:[127.0.0.1]:10025 hidden");
        assert_string_equal(find_for(&d, "u@Relay.test", "a@b.test", "relay:"), "relay:relay.test");
        assert_string_equal(find_for(&d, "u@relay.test", "a@b.test", "nosuch:x"),
                            "! filter: there is no transport \"nosuch\"");
        desk_done(&d);
        desk_open(&d, "default_filter_nexthop = $myhostname\n", NULL);
        desk_load(&d);
        assert_string_equal(find_for(&d, "u@relay.test", "", "smtp:"), "smtp:me.test hidden");
        desk_done(&d);
}

static void tls_levels(void **state)
{
        static const struct {
                const char *settings;
                bool has_tls;
        } cases[] = {
                {"", false},
                {"smtp_tls_security_level = none\n", false},
                {"smtp_tls_security_level = may\n", true},
                {"smtp_tls_security_level = encrypt\n", true},
                {"smtp_use_tls = yes\n", true},
                {"smtp_enforce_tls = yes\nsmtp_tls_enforce_peername = no\n", true},
                {"smtp_tls_security_level = none\nsmtp_enforce_tls = yes\n", false},
                {"smtp_tls_policy_maps = inline:{ { x.test = encrypt } }\n", true},
                {"smtp_tls_security_level = may\nsmtp_tls_exclude_ciphers = RC4, 3DES\n"
                 "smtp_tls_ciphers = high\n",
                 true},
        };
        for (size_t i = 0; i < COUNT(cases); i++) {
                struct desk d;
                struct smtp_address address;
                struct route route;
                struct why why;
                desk_open(&d, cases[i].settings, NULL);
                desk_load(&d);
                assert_int_equal(smtp_address_parse(STR("u@x.test"), &d.arena, &address), 0);
                assert_int_equal(await_route_find(d.routes,
                                                  &(struct route_query){.recipient = &address},
                                                  &d.arena, &route, &why),
                                 0);
                if ((route.transport->tls != NULL) != cases[i].has_tls)
                        fail_msg("%s: TLS is %d", cases[i].settings, route.transport->tls != NULL);
                desk_done(&d);
        }
}

/* ---- local(8) ---- */

static void by_local_parameters(void **state)
{
        static const struct {
                const char *settings, *to, *expected;
        } rows[] = {
                {"", "u@local.test", "error:5.1.1 no mailboxes of system users here hidden"},
                {"local_transport = local:x.test\n", "u@local.test", "local:x.test hidden"},
                /* everybody */
                {"mailbox_transport = lmtp:unix:run/lmtp\n", "Root+x@local.test",
                 "lmtp:unix:run/lmtp hidden"},
                {"mailbox_transport = relay\n", "u@local.test", "relay:me.test hidden"},
                {"mailbox_transport = relay\n", "u@relay.test", "relay:relay.test"},
                /* names alone, in lower case */
                {"mailbox_transport = relay:[all]\n"
                 "mailbox_transport_maps = inline:{u=smtp:[one], u@local.test=smtp:[no]}\n",
                 "U+ext@local.test", "smtp:[one] hidden"},
                {"mailbox_transport_maps = pcre:{{/^(u)$$/ smtp:[$$1]}}\n", "u@local.test",
                 "error:5.1.1 unknown user: \"u\" hidden"},
                /* users of this machine are told apart */
                {"fallback_transport = smtp:[core]\n", "nobody-here@local.test",
                 "smtp:[core] hidden"},
                {"fallback_transport = smtp:[core]\n", "root@local.test", "local:me.test hidden"},
                {"fallback_transport_maps = inline:{n1=smtp:[core]}\n", "n1@local.test",
                 "smtp:[core] hidden"},
                {"fallback_transport_maps = inline:{n1=smtp:[core]}\n", "n2@local.test",
                 "error:5.1.1 unknown user: \"n2\" hidden"},
                {"fallback_transport_maps = inline:{n1=smtp:[core]}\n", "postmaster@local.test",
                 "local:me.test hidden"},
                /* an alias before, who comes here leads to himself */
                {"luser_relay = n1@local.test\n", "n1@local.test",
                 "error:5.1.1 unknown user: \"n1\" hidden"},
                {"luser_relay = n1@local.test\n", "root@local.test", "local:me.test hidden"},
                /* what is wrong waits */
                {"mailbox_transport_maps = inline:{u=nosuch:x}\n", "u@local.test",
                 "! mailbox_transport_maps: there is no transport \"nosuch\""},
                {"fallback_transport_maps = fail:x\n", "n1@local.test",
                 "! fallback_transport_maps: fail:x: a table of type fail: always fails"},
                {"transport_maps = inline:{local.test=smtp:[there]}\nmailbox_transport = relay\n",
                 "u@local.test", "smtp:[there] hidden"},
        };
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct desk d;
                desk_open(&d, rows[i].settings, NULL);
                desk_load(&d);
                assert_string_equal(find(&d, rows[i].to), rows[i].expected);
                desk_done(&d);
        }
}

/* ---- findings ---- */

static void findings(void **state)
{
        static const struct {
                const char *settings;
                const char *code; /* NULL: none of ours */
                enum severity severity;
        } cases[] = {
                {"", NULL, SEVERITY_NOTE},
                {"relayhost = [me.test]\n", "relayhost-is-self", SEVERITY_ERROR},
                {"relayhost = ME.test\n", "relayhost-is-self", SEVERITY_ERROR},
                {"relayhost = [me.test]:2525\n", NULL, SEVERITY_NOTE},
                {"relayhost = [me.test\n", "bad-nexthop", SEVERITY_ERROR},
                {"relay_transport = relay:[core]:99999\n", "bad-nexthop", SEVERITY_ERROR},
                {"default_transport = nosuch\n", "unknown-transport", SEVERITY_ERROR},
                {"relay_transport = nosuch:[core]\n", "unknown-transport", SEVERITY_ERROR},
                {"defer_transports = smtp, nosuch\n", "unknown-transport", SEVERITY_WARNING},
                {"defer_transports = smtp local, relay\n", NULL, SEVERITY_NOTE},
                {"virtual_transport = lmtp:[dovecot]\n", NULL, SEVERITY_NOTE},
                {"local_transport = local\n", "transport-not-yet", SEVERITY_WARNING},
                {"local_transport = local\nmydestination =\n", NULL, SEVERITY_NOTE},
                {"mailbox_transport = lmtp:unix:lmtp\n", NULL, SEVERITY_NOTE},
                {"mailbox_transport = pipe\n", "unknown-transport", SEVERITY_ERROR},
                {"mailbox_transport = smtp:[core\n", "bad-nexthop", SEVERITY_ERROR},
                {"luser_relay = a@b.test\n", "no-system-mailboxes", SEVERITY_WARNING},
                {"smtp_tls_security_level = verify\n", "tls-no-authorities", SEVERITY_WARNING},
                {"smtp_tls_security_level = verify\ntls_append_default_CA = yes\n", NULL,
                 SEVERITY_NOTE},
                {"smtp_tls_security_level = dane\n", "tls-level-not-yet", SEVERITY_ERROR},
                {"smtp_tls_security_level = fingerprint\n", "tls-no-fingerprint", SEVERITY_ERROR},
                {"smtp_tls_policy_maps = inline:{ { x.test = sometimes } }\n", "bad-tls-policy",
                 SEVERITY_ERROR},
                {"smtp_tls_security_level = may\nsmtp_tls_cert_file = /nonexistent.pem\n",
                 "tls-client", SEVERITY_ERROR},
                {"default_destination_concurrency_positive_feedback = many\n", "bad-feedback",
                 SEVERITY_ERROR},
        };
        static const char *const ours[] = {
                "relayhost-is-self", "bad-nexthop",         "unknown-transport",
                "transport-not-yet", "bad-feedback",        "tls-level-not-yet",
                "tls-client",        "tls-no-authorities",  "tls-no-fingerprint",
                "bad-tls-policy",    "no-system-mailboxes",
        };
        for (size_t i = 0; i < COUNT(cases); i++) {
                struct desk d;
                const char *found = NULL;
                desk_open(&d, cases[i].settings, NULL);
                desk_load(&d);
                for (const struct finding *f = d.findings.first; f; f = f->next)
                        for (size_t k = 0; k < COUNT(ours); k++)
                                if (strcmp(f->code, ours[k]) == 0) {
                                        found = ours[k];
                                        assert_int_equal(f->severity, cases[i].severity);
                                }
                if (!found != !cases[i].code || (found && strcmp(found, cases[i].code) != 0))
                        fail_msg("%sfound %s", cases[i].settings, found ? found : "nothing");
                desk_done(&d);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(by_class),
                cmocka_unit_test(by_parameters),
                cmocka_unit_test(relayhost_is_for_relay_domains_too),
                cmocka_unit_test(by_transport_maps),
                cmocka_unit_test(by_local_parameters),
                cmocka_unit_test(an_empty_value),
                cmocka_unit_test(the_star),
                cmocka_unit_test(overrides),
                cmocka_unit_test(by_sender),
                cmocka_unit_test(who_has_moved),
                cmocka_unit_test(through_a_filter),
                cmocka_unit_test(tls_levels),
                cmocka_unit_test(findings),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
