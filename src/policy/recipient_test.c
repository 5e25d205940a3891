/* recipient_test.c - whose a domain is, who is known, and what aliases become */
#include "policy/rig_unit.h"

static void load(struct rig *r, const char *lines)
{
        char main_cf[4000];
        rig_init(r);
        snprintf(main_cf, sizeof(main_cf), RIG_MAIN_CF "%s", lines);
        rig_load(r, main_cf);
}

static void domains_have_classes(void **state)
{
        static const struct {
                const char *domain;
                enum address_class class;
        } rows[] = {
                {"local.example", CLASS_LOCAL},
                {"LOCAL.example", CLASS_LOCAL},
                {"sub.local.example", CLASS_DEFAULT},
                {"[127.0.0.1]", CLASS_LOCAL},
                {"[192.0.2.200]", CLASS_LOCAL},
                {"[192.0.2.201]", CLASS_DEFAULT},
                {"[IPv6:2001:db8::7]", CLASS_LOCAL},
                {"alias.example", CLASS_VIRTUAL_ALIAS},
                {"sub.alias.example", CLASS_DEFAULT},
                {"mailbox.example", CLASS_VIRTUAL_MAILBOX},
                {"relay.example", CLASS_RELAY},
                {"deep.sub.relay.example", CLASS_RELAY},
                {"myrelay.example", CLASS_DEFAULT},
                {"other.example", CLASS_DEFAULT},
                {"", CLASS_DEFAULT}, /* origin.example */
        };
        struct rig r;
        load(&r, "proxy_interfaces = 192.0.2.200, [2001:db8::7]\n");
        struct why why;
        enum address_class class;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                assert_int_equal(await_policy_class(r.policy, str_from(rows[i].domain), &r.arena,
                                                    &class, &why),
                                 0);
                if (class != rows[i].class)
                        fail_msg("%s: class %d, not %d", rows[i].domain, class, rows[i].class);
        }
        assert_int_equal(
                await_policy_class(r.policy, STR("broken.example"), &r.arena, &class, &why),
                -EAGAIN);
        assert_string_equal(why.text, "mydestination: the server of this table is down");
        rig_done(&r);

        load(&r, "parent_domain_matches_subdomains =\nmyorigin = relay.example\n"
                 "relay_domains = relay.example .dot.example\n");
        assert_int_equal(
                await_policy_class(r.policy, STR("sub.relay.example"), &r.arena, &class, &why), 0);
        assert_int_equal(class, CLASS_DEFAULT);
        assert_int_equal(
                await_policy_class(r.policy, STR("sub.dot.example"), &r.arena, &class, &why), 0);
        assert_int_equal(class, CLASS_RELAY);
        assert_int_equal(await_policy_class(r.policy, STR(""), &r.arena, &class, &why), 0);
        assert_int_equal(class, CLASS_RELAY);
        rig_done(&r);
}

static void the_first_class_counts(void **state)
{
        struct rig r;
        load(&r, "virtual_alias_domains = local.example alias.example both.example\n"
                 "relay_domains = both.example local.example\n");
        enum address_class class;
        struct why why;
        assert_int_equal(await_policy_class(r.policy, STR("local.example"), &r.arena, &class, &why),
                         0);
        assert_int_equal(class, CLASS_LOCAL);
        assert_int_equal(await_policy_class(r.policy, STR("both.example"), &r.arena, &class, &why),
                         0);
        assert_int_equal(class, CLASS_VIRTUAL_ALIAS);
        rig_done(&r);
}

static void recipients_are_listed(void **state)
{
        static const struct {
                const char *address;
                bool is_listed;
        } rows[] = {
                {"bob@local.example", true},
                {"bob+x@local.example", true},
                {"no@local.example", false},
                {"mailer-daemon@local.example", true},
                {"double-bounce@local.example", true},
                {"known@alias.example", true},
                {"no@alias.example", false},
                {"ann@mailbox.example", true},
                {"ANN@mailbox.example", true},
                {"no@mailbox.example", false},
                {"user@relay.example", true},
                {"user+tag@relay.example", true},
                {"user@sub.relay.example", false},
                {"user", true}, /* at origin.example, which is nobody's here */
                {"no@relay.example", false},
                {"postmaster@relay.example", true},
                {"PostMaster@alias.example", true},
                {"postmaster@mailbox.example", true},
                {"postmaster@local.example", true},
                {"postmaster", true},
                {"anybody@other.example", true},
        };
        struct rig r;
        load(&r, "");
        struct why why;
        bool is_listed;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct smtp_address address = rig_address(&r, rows[i].address);
                assert_int_equal(
                        await_policy_recipient(r.policy, &address, &r.arena, &is_listed, &why), 0);
                if (is_listed != rows[i].is_listed)
                        fail_msg("%s: %d", rows[i].address, is_listed);
        }
        struct smtp_address broken = rig_address(&r, "broken@relay.example");
        assert_int_equal(await_policy_recipient(r.policy, &broken, &r.arena, &is_listed, &why),
                         -EAGAIN);
        assert_string_equal(why.text, "virtual_alias_maps: the server of this table is down");
        rig_done(&r);
}

static void an_empty_map_knows_everybody(void **state)
{
        struct rig r;
        load(&r, "relay_recipient_maps =\nlocal_recipient_maps =\nvirtual_alias_maps =\n"
                 "virtual_alias_domains = alias.example\n");
        static const struct {
                const char *address;
                bool is_listed;
        } rows[] = {
                {"no@relay.example", true},
                {"no@local.example", true},
                {"no@alias.example", false},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct why why;
                bool is_listed;
                struct smtp_address address = rig_address(&r, rows[i].address);
                assert_int_equal(
                        await_policy_recipient(r.policy, &address, &r.arena, &is_listed, &why), 0);
                assert_int_equal(is_listed, rows[i].is_listed);
        }
        rig_done(&r);
}

static void aliases_list_any_class(void **state)
{
        struct rig r;
        load(&r, "virtual_alias_maps = inline:{{old@relay.example=user@relay.example}, "
                 "{@wild.example=user@relay.example}}\n"
                 "virtual_alias_domains = wild.example\n"
                 "canonical_maps = inline:{renamed@relay.example=user@relay.example}\n"
                 "recipient_canonical_maps = inline:{@renamed.relay.example=@relay.example}\n"
                 "relay_domains = relay.example renamed.relay.example\n"
                 "relay_recipient_maps = pcre:{{/^lower@relay\\.example$$/i x}}\n");
        static const char *const addresses[] = {
                "old@relay.example",     "old+x@relay.example",     "whoever@wild.example",
                "renamed@relay.example", "a@renamed.relay.example", "LOWER@relay.EXAMPLE",
        };
        for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
                struct why why;
                bool is_listed;
                struct smtp_address address = rig_address(&r, addresses[i]);
                assert_int_equal(
                        await_policy_recipient(r.policy, &address, &r.arena, &is_listed, &why), 0);
                assert_true(is_listed);
        }
        rig_done(&r);
}

/* ---- aliases ---- */

/* "a@b c@d", or the error as text */
static const char *expand(struct rig *r, const char *text)
{
        static char out[2000];
        struct policy_expansion expansion;
        struct why why;
        struct smtp_address address = rig_address(r, text);
        int rc = await_policy_expand(r->policy, &address, &r->arena, &expansion, &why);
        if (rc) {
                snprintf(out, sizeof(out), "%d %s", rc, why.text);
                return out;
        }
        assert_true(expansion.count > 0);
        out[0] = '\0';
        for (size_t i = 0, len = 0; i < expansion.count; i++)
                len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%.*s", i ? " " : "",
                                        STR_ARG(expansion.addresses[i].text));
        return out;
}

static void aliases_expand(void **state)
{
        static const struct {
                const char *address, *expected;
        } rows[] = {
                {"nobody@other.example", "nobody@other.example"},
                {"one@a.example", "bob@local.example"},
                {"ONE@A.example", "bob@local.example"},
                {"three@a.example", "x@x.example y@y.example z@z.example"},
                {"chain@a.example", "bob@local.example"},
                {"tree@a.example", "bob@local.example x@x.example y@y.example z@z.example"},
                {"self@a.example", "self@a.example copy@c.example"},
                {"twice@a.example", "bob@local.example"},
                {"bare@a.example", "joe@origin.example"},
                {"any@wild.example", "any@w.example"},
                {"any+tag@wild.example", "any+tag@w.example"},
                {"any@catch.example", "all@c.example"},
                {"any+tag@catch.example", "all@c.example"},
                {"one+tag@a.example", "bob+tag@local.example"},
                {"exact+tag@a.example", "tagged@c.example"},
                {"quoted@a.example", "\"a, b\"@c.example d@d.example"},
                {"postmaster", "root@c.example"},
                {"somebody", "somebody@origin.example"},
                {"here@local.example", "there@c.example"},
                {"unfit@a.example", "-11 virtual_alias_maps: \"a@@b\" for <unfit@a.example> is no "
                                    "address"},
                {"broken@a.example", "-11 virtual_alias_maps: the server of this table is down"},
        };
        struct rig r;
        rig_init(&r);
        rig_write(&r, "aliases",
                  "one@a.example bob@local.example\n"
                  "three@a.example x@x.example, y@y.example z@z.example\n"
                  "chain@a.example chain2@a.example\n"
                  "chain2@a.example one@a.example\n"
                  "tree@a.example one@a.example three@a.example\n"
                  "self@a.example self@a.example, copy@c.example\n"
                  "twice@a.example one@a.example BOB@local.example one@a.example\n"
                  "bare@a.example joe\n"
                  "@wild.example @w.example\n"
                  "@catch.example all@c.example\n"
                  "exact+tag@a.example tagged@c.example\n"
                  "quoted@a.example \"a, b\"@c.example, d@d.example\n"
                  "postmaster@origin.example root@c.example\n"
                  "here there@c.example\n"
                  "unfit@a.example a@@b\n");
        char main_cf[2000];
        snprintf(main_cf, sizeof(main_cf), RIG_MAIN_CF "virtual_alias_maps = hash:%s/aliases\n",
                 r.dir);
        rig_load(&r, main_cf);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const char *found = expand(&r, rows[i].address);
                if (strcmp(found, rows[i].expected) != 0)
                        fail_msg("%s: \"%s\", not \"%s\"", rows[i].address, found,
                                 rows[i].expected);
        }
        rig_done(&r);

        rig_init(&r);
        rig_write(&r, "aliases", "one@a.example bob@local.example\n");
        snprintf(main_cf, sizeof(main_cf),
                 RIG_MAIN_CF "propagate_unmatched_extensions =\n"
                             "virtual_alias_maps = hash:%s/aliases\n",
                 r.dir);
        rig_load(&r, main_cf);
        assert_string_equal(expand(&r, "one+tag@a.example"), "bob@local.example");
        rig_done(&r);
}

static void aliases_of_local_users_expand(void **state)
{
        static const struct {
                const char *address, *expected;
        } rows[] = {
                {"root@local.example", "admin@c.example"},
                {"Root@LOCAL.example", "admin@c.example"},
                {"root+tag@local.example", "admin@c.example"},
                {"root+ext@local.example", "tagged@c.example"},
                {"chain@local.example", "admin@c.example b@c.example"},
                {"first@local.example", "virtual@c.example"}, /* virtual_alias_maps come first */
                {"user@local.example", "user@local.example"},
                {"root@relay.example", "root@relay.example"},           /* not local */
                {"root@core.local.example", "root@core.local.example"}, /* transport_maps */
                {"root@kept.local.example", "admin@c.example"},
                {"run@local.example",
                 "-11 alias_maps: run stands for a command, which is not used here"},
                {"write@local.example",
                 "-11 alias_maps: write stands for a file, which is not used here"},
                {"list@local.example",
                 "-11 alias_maps: list stands for a list in a file, which is not used here"},
                {"broken@local.example",
                 "-11 virtual_alias_maps: the server of this table is down"},
        };
        struct rig r;
        rig_init(&r);
        rig_write(&r, "aliases",
                  "root: admin@c.example\n"
                  "root+ext: tagged@c.example\n"
                  "chain: root@local.example, b@c.example\n"
                  "first: no@c.example\n"
                  "run: b@c.example, \"|/bin/run it\"\n"
                  "write: /var/mail/x\n"
                  "list: :include:/etc/list\n");
        char main_cf[2000];
        snprintf(main_cf, sizeof(main_cf),
                 RIG_MAIN_CF "mydestination = local.example core.local.example kept.local.example\n"
                             "local_transport = local:here\n"
                             "transport_maps = inline:{ { core.local.example = smtp:[192.0.2.1] }"
                             " { kept.local.example = :there } }\n"
                             "virtual_alias_maps = inline:{first@local.example=virtual@c.example}\n"
                             "alias_maps = hash:%s/aliases\n",
                 r.dir);
        rig_load(&r, main_cf);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const char *found = expand(&r, rows[i].address);
                if (strcmp(found, rows[i].expected) != 0)
                        fail_msg("%s: \"%s\", not \"%s\"", rows[i].address, found,
                                 rows[i].expected);
        }
        rig_done(&r);
}

/* luser_relay: for who has no alias, no transport, and is no user of this machine. */
static void names_that_are_nobody_expand(void **state)
{
        static const struct {
                const char *address, *expected;
        } rows[] = {
                {"No.One+x.y@local.example", "no.one=No.One+x.y=x.y=local.example@c.example"},
                {"no.one@local.example", "no.one=no.one==local.example@c.example"},
                {"\"no one\"@local.example",
                 "\"no one=no one==local.example\"@c.example"}, /* one address, not six */
                {"\"a,b\"@local.example", "\"a,b=a,b==local.example\"@c.example"},
                {"\"a@b.example c\"@local.example",
                 "\"a@b.example c=a@b.example c==local.example\"@c.example"},
                {"\"a\\\" <b>\"@local.example", "\"a\\\" <b>=a\\\" <b>==local.example\"@c.example"},
                {"bob@local.example", "bob@c.example"},
                {"ann@local.example", "ann@local.example"},
                {"root@local.example", "root@local.example"},
                {"postmaster@local.example", "postmaster@local.example"},
                {"no.one@relay.example", "no.one@relay.example"},
        };
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF
                 "mydestination = local.example\n"
                 "alias_maps = inline:{bob=bob@c.example}\n"
                 "fallback_transport_maps = inline:{ann=smtp:[192.0.2.1]}\n"
                 "luser_relay = $user=$local=$extension=$domain$home$shell@c.example\n");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const char *found = expand(&r, rows[i].address);
                if (strcmp(found, rows[i].expected) != 0)
                        fail_msg("%s: \"%s\", not \"%s\"", rows[i].address, found,
                                 rows[i].expected);
        }
        rig_done(&r);
}

/* What a stranger writes into a name makes neither a second address nor a domain that is none. */
static void luser_relay_makes_one_address(void **state)
{
        static const struct {
                const char *luser_relay, *address, *expected;
        } rows[] = {
                {"$local", "\"no one\"@local.example", "\"no one\"@c.example"},
                {"$user@c.example", "\"x+tag one\"@local.example", "x@c.example"},
                {"$user@$extension", "x+c.example@local.example", "x@c.example"},
                {"$user@$extension", "\"x+c.example y@d.example\"@local.example",
                 "\"x@c.example y\"@d.example"},
                {"$user@$extension", "\"x+c.example y\"@local.example",
                 "\"x@c.example y\"@c.example"},
                {"@${extension?c}.example", "x+y@local.example", "x+y@c.example"},
                {"one@c.example, two@c.example", "x@local.example", "one@c.example two@c.example"},
                {"${extension?some@c.example}", "x+y@local.example", "some@c.example"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;
                char main_cf[2000];
                rig_init(&r);
                snprintf(main_cf, sizeof(main_cf),
                         RIG_MAIN_CF "mydestination = local.example\nmyorigin = c.example\n"
                                     "local_transport = local\nalias_maps =\nluser_relay = %s\n",
                         rows[i].luser_relay);
                rig_load(&r, main_cf);
                const char *found = expand(&r, rows[i].address);
                if (strcmp(found, rows[i].expected) != 0)
                        fail_msg("%s, %s: \"%s\", not \"%s\"", rows[i].luser_relay, rows[i].address,
                                 found, rows[i].expected);
                rig_done(&r);
        }
}

static void aliases_have_limits(void **state)
{
        struct rig r;
        rig_init(&r);
        FILE *f = fopen(rig_path(&r, "aliases"), "w");
        assert_non_null(f);
        fputs("a@loop.example b@loop.example\nb@loop.example a@loop.example\n", f);
        fputs("fan@a.example", f);
        for (int i = 0; i < 10; i++)
                fprintf(f, " f%d@b.example,", i);
        fputs("\n", f);
        for (int i = 0; i < 30; i++)
                fprintf(f, "d%d@a.example d%d@a.example\n", i, i + 1);
        fprintf(f, "long@a.example %0120d@b.example\n", 7);
        fputs("@grow.example x@grow2.example\n", f);
        assert_int_equal(fclose(f), 0);
        char main_cf[2000];
        snprintf(main_cf, sizeof(main_cf),
                 RIG_MAIN_CF "virtual_alias_maps = hash:%s/aliases\n"
                             "virtual_alias_expansion_limit = 10\n"
                             "virtual_alias_recursion_limit = 20\n"
                             "virtual_alias_address_length_limit = 100\n",
                 r.dir);
        rig_load(&r, main_cf);
        static const struct {
                const char *address, *expected;
        } rows[] = {
                {"a@loop.example", "-40 virtual_alias_maps: <a@loop.example> nests deeper than 20"},
                {"d0@a.example", "-40 virtual_alias_maps: <d20@a.example> nests deeper than 20"},
                {"d11@a.example", "d30@a.example"},
                {"fan@a.example", "f0@b.example f1@b.example"},
                {"long@a.example", "-40 virtual_alias_maps: an address of 130 bytes"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const char *found = expand(&r, rows[i].address);
                if (strncmp(found, rows[i].expected, strlen(rows[i].expected)) != 0)
                        fail_msg("%s: \"%s\", not \"%s\"", rows[i].address, found,
                                 rows[i].expected);
        }
        rig_done(&r);
}

static void one_address_too_many(void **state)
{
        struct rig r;
        load(&r, "virtual_alias_expansion_limit = 2\n"
                 "virtual_alias_maps = inline:{{f@a.example = x@b.example y@b.example z@b.example}"
                 ", {g@a.example = x@b.example y@b.example}}\n");
        assert_string_equal(expand(&r, "f@a.example"),
                            "-40 virtual_alias_maps: more than 2 addresses "
                            "(virtual_alias_expansion_limit)");
        assert_string_equal(expand(&r, "g@a.example"), "x@b.example y@b.example");
        rig_done(&r);
}

static void without_maps_nothing_changes(void **state)
{
        struct rig r;
        load(&r, "virtual_alias_maps =\nvirtual_alias_domains =\n");
        assert_string_equal(expand(&r, "a@b.example"), "a@b.example");
        assert_string_equal(expand(&r, "postmaster"), "postmaster@origin.example");
        rig_done(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(domains_have_classes),
                cmocka_unit_test(the_first_class_counts),
                cmocka_unit_test(recipients_are_listed),
                cmocka_unit_test(an_empty_map_knows_everybody),
                cmocka_unit_test(aliases_list_any_class),
                cmocka_unit_test(aliases_expand),
                cmocka_unit_test(aliases_of_local_users_expand),
                cmocka_unit_test(names_that_are_nobody_expand),
                cmocka_unit_test(luser_relay_makes_one_address),
                cmocka_unit_test(aliases_have_limits),
                cmocka_unit_test(one_address_too_many),
                cmocka_unit_test(without_maps_nothing_changes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
