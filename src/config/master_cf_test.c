/* master_cf_test.c - services, their columns and overrides */
#include "config/fixture.h"

static const struct service *find(const struct config *c, const char *name, bool is_inet)
{
        for (size_t i = 0; i < c->service_count; i++)
                if (c->services[i].is_inet == is_inet &&
                    str_eq(c->services[i].name, str_from(name)))
                        return &c->services[i];
        fail_msg("no service %s", name);
        return NULL;
}

/* Postfix's own file as Debian ships it, less its comments. */
static const char stock[] =
        "smtp      inet  n       -       y       -       -       smtpd\n"
        "pickup    unix  n       -       y       60      1       pickup\n"
        "cleanup   unix  n       -       y       -       0       cleanup\n"
        "qmgr      unix  n       -       n       300     1       qmgr\n"
        "tlsmgr    unix  -       -       y       1000?   1       tlsmgr\n"
        "rewrite   unix  -       -       y       -       -       trivial-rewrite\n"
        "bounce    unix  -       -       y       -       0       bounce\n"
        "verify    unix  -       -       y       -       1       verify\n"
        "flush     unix  n       -       y       1000?   0       flush\n"
        "proxymap  unix  -       -       n       -       -       proxymap\n"
        "smtp      unix  -       -       y       -       -       smtp\n"
        "relay     unix  -       -       y       -       -       smtp\n"
        "        -o syslog_name=postfix/$service_name\n"
        "showq     unix  n       -       y       -       -       showq\n"
        "error     unix  -       -       y       -       -       error\n"
        "retry     unix  -       -       y       -       -       error\n"
        "local     unix  -       n       n       -       -       local\n"
        "lmtp      unix  -       -       y       -       -       lmtp\n"
        "anvil     unix  -       -       y       -       1       anvil\n"
        "postlog   unix-dgram n  -       n       -       1       postlogd\n"
        "uucp      unix  -       n       n       -       -       pipe\n"
        "  flags=Fqhu user=uucp argv=uux -r $nexthop!rmail ($recipient)\n";

static void reads_the_stock_file(void **state)
{
        struct findings f;
        struct config *c = fixture_read("", stock, &f);
        assert_true(fixture_has(&f, "dir/master.cf:21: note: service uucp is not here, because "
                                    "Forepost starts no other programs (pipe) (route no mail to "
                                    "it) [foreign-program]"));
        assert_null(f.first->next);
        assert_int_equal(c->service_count, 9);
        assert_true(c->services[0].is_inet);
        assert_str_equal(find(c, "smtp", true)->port, "smtp");
        assert_str_equal(find(c, "relay", false)->params.syslog_name, "postfix/relay");
        assert_str_equal(find(c, "relay", false)->params.service_name, "relay");
        assert_str_equal(find(c, "smtp", false)->params.syslog_name, "postfix");
        assert_str_equal(find(c, "retry", false)->command, "error");
        assert_int_equal(find(c, "retry", false)->at.line, 16);
        assert_int_equal(find(c, "discard", false)->at.line, 0);
        fixture_done(&c, &f);
}

/* postscreen and the smtpd behind it are one listener. */
static void postscreen_with_its_smtpd(void **state)
{
        struct findings f;
        struct config *c = fixture_read("",
                                        "smtp inet n - y - 1 postscreen\n"
                                        "  -o smtpd_timeout=7s\n"
                                        "smtpd pass - - y - - smtpd\n"
                                        "  -o smtpd_timeout=9s -o { smtpd_banner = hello you }\n",
                                        &f);
        const struct service *s = find(c, "smtp", true);
        assert_str_equal(s->command, "postscreen");
        assert_int_equal(s->params.smtpd_timeout, 7000);
        assert_str_equal(s->params.smtpd_banner, "hello you");
        assert_int_equal(config_place_of(c, s->params.smtpd_banner).line, 4);
        fixture_done(&c, &f);
        /* a name that is not known is told with its line, once */
        c = fixture_read("",
                         "smtp inet n - y - 1 postscreen\n25 inet n - y - 1 postscreen\n"
                         "smtpd pass - - y - - smtpd\n  -o smtpd_timeut=9s\n",
                         &f);
        assert_int_equal(f.count[SEVERITY_ERROR], 1);
        assert_non_null(fixture_find(&f, "unknown-parameter"));
        fixture_done(&c, &f);
}

static void without_the_file(void **state)
{
        struct findings f;
        struct config *c = fixture_read("", NULL, &f);
        assert_int_equal(c->service_count, 9);
        const struct service *s = find(c, "smtp", true);
        assert_str_equal(s->command, "smtpd");
        assert_str_equal(s->host, "");
        assert_int_equal(s->process_limit, -1);
        fixture_done(&c, &f);

        /* postscreen's 1 says that there is one of it, not one session */
        c = fixture_read("", "25 inet n - n - 1 postscreen\n26 inet n - n - 7 smtpd\n", &f);
        assert_int_equal(find(c, "25", true)->process_limit, -1);
        assert_int_equal(find(c, "26", true)->process_limit, 7);
        fixture_done(&c, &f);

        /* an empty one listens nowhere */
        c = fixture_read("", "# nothing\n", &f);
        assert_int_equal(c->service_count, 8);
        assert_false(c->services[0].is_inet);
        fixture_done(&c, &f);
}

static void addresses(void **state)
{
        static const struct {
                const char *name, *host, *port;
        } cases[] = {
                {"smtp", "", "smtp"},
                {"25", "", "25"},
                {"127.0.0.1:2525", "127.0.0.1", "2525"},
                {"mx.example:submission", "mx.example", "submission"},
                {"[::1]:25", "::1", "25"},
                {"[127.0.0.1]:25", "127.0.0.1", "25"},
                {":25", "", "25"},
                {"::1:25", NULL, NULL},
                {"[::1]", NULL, NULL},
                {"[::1:25", NULL, NULL},
                {"0", NULL, NULL},
                {"65536", NULL, NULL},
                {"25x", NULL, NULL},
                {"host:", NULL, NULL},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct findings f;
                char line[200];
                snprintf(line, sizeof(line), "%s inet n - n - 7 smtpd\n", cases[i].name);
                struct config *c = fixture_read("", line, &f);
                if ((fixture_find(&f, "service-address") != NULL) != !cases[i].host)
                        fail_msg("%s", cases[i].name);
                if (cases[i].host) {
                        assert_str_equal(c->services[0].host, cases[i].host);
                        assert_str_equal(c->services[0].port, cases[i].port);
                        assert_int_equal(c->services[0].process_limit, 7);
                }
                fixture_done(&c, &f);
        }
}

static void overrides(void **state)
{
        struct findings f;
        struct config *c = fixture_read(
                "smtpd_timeout = 100s\nmine = common\n",
                "smtp inet n - n - - smtpd -o smtpd_timeout=5s -o{mail_name=X Y}\n"
                "   -o { smtpd_banner = $myhostname says\n"
                "      $own } -oown=$mine -o smtpd_recipient_restrictions=$mine,reject -v\n"
                "2525 inet n - n - - smtpd\n",
                &f);
        assert_int_equal(f.count[SEVERITY_ERROR] + f.count[SEVERITY_WARNING], 0);
        assert_non_null(fixture_find(&f, "service-argument"));
        const struct params *p = &find(c, "smtp", true)->params;
        assert_int_equal(p->smtpd_timeout, 5000);
        assert_str_equal(p->mail_name, "X Y");
        assert_str_equal(p->smtpd_banner, "host.example.com says      common");
        assert_str_equal(p->smtpd_recipient_restrictions, "common,reject");
        assert_int_equal(find(c, "2525", true)->params.smtpd_timeout, 100000);
        assert_str_equal(find(c, "2525", true)->params.mail_name, "Forepost");
        assert_int_equal(c->params.smtpd_timeout, 100000);
        fixture_done(&c, &f);
}

static void transports_have_their_own_limits(void **state)
{
        struct findings f;
        struct config *c = fixture_read("relay_destination_concurrency_limit = 3\n"
                                        "default_destination_concurrency_limit = 9\n"
                                        "slow_initial_destination_concurrency = 1\n"
                                        "slow_destination_recipient_limit = 2\n"
                                        "uucp_time_limit = 5\n"
                                        "lmtp_connect_timeout = 7s\n"
                                        "lmtp_discard_lhlo_keywords = chunking\n"
                                        "lmtp_lhlo_name = me.example\n",
                                        "smtp inet n - n - - smtpd\n"
                                        "slow unix - - n - - smtp\n"
                                        "uucp unix - - n - - pipe x\n",
                                        &f);
        assert_int_equal(f.count[SEVERITY_ERROR], 0);
        assert_int_equal(f.count[SEVERITY_WARNING], 1); /* uucp_time_limit: no pipe(8) */
        const struct params *relay = &find(c, "relay", false)->params;
        assert_int_equal(relay->default_destination_concurrency_limit, 3);
        assert_int_equal(find(c, "smtp", false)->params.default_destination_concurrency_limit, 9);
        const struct params *slow = &find(c, "slow", false)->params;
        assert_int_equal(slow->initial_destination_concurrency, 1);
        assert_int_equal(slow->default_destination_recipient_limit, 2);
        assert_int_equal(slow->default_destination_concurrency_limit, 9);
        const struct params *lmtp = &find(c, "lmtp", false)->params;
        assert_int_equal(lmtp->smtp_connect_timeout, 7000);
        assert_str_equal(lmtp->smtp_helo_name, "me.example");
        assert_str_equal(lmtp->smtp_discard_ehlo_keywords, "chunking");
        assert_str_equal(lmtp->smtp_tcp_port, "24");
        assert_int_equal(slow->smtp_connect_timeout, 30000);
        fixture_done(&c, &f);

        c = fixture_read("relay_destination_concurrency_limit = many\n"
                         "nosuch_destination_concurrency_limit = 3\n",
                         NULL, &f);
        const struct finding *bad = fixture_find(&f, "bad-value");
        assert_non_null(bad);
        assert_int_equal(bad->line, 1);
        assert_non_null(fixture_find(&f, "unknown-transport"));
        assert_int_equal(f.count[SEVERITY_ERROR], 1);
        fixture_done(&c, &f);
}

static void tells_mistakes(void **state)
{
        static const struct {
                const char *text, *error;
        } cases[] = {
                {"smtp inet n - n - smtpd\n",
                 "dir/master.cf:1: error: a service has eight columns (name type private unpriv "
                 "chroot wakeup maxproc command: write - for what does not matter) [syntax]"},
                {"smtp tcp n - n - - smtpd\n", "dir/master.cf:1: error: service smtp: the type tcp "
                                               "is none of inet, unix, fifo, pass "
                                               "[service-column]"},
                {"smtp inet n - x - - smtpd\n", "dir/master.cf:1: error: service smtp: column "
                                                "chroot is x: allowed is y, n or - "
                                                "[service-column]"},
                {"smtp inet n - n - x smtpd\n", "dir/master.cf:1: error: service smtp: column "
                                                "maxproc is x: allowed is a number or - "
                                                "[service-column]"},
                {"smtp inet n - n ? - smtpd\n", "dir/master.cf:1: error: service smtp: column "
                                                "wakeup is ?: allowed is a number or - "
                                                "[service-column]"},
                {"smtp inet n - n - - stmpd\n",
                 "dir/master.cf:1: error: service smtp: there is no stmpd for the type inet (inet "
                 "services run smtpd; unix services smtp, lmtp, virtual, error or discard) "
                 "[unknown-command]"},
                {"#\nsmtp inet n - n - - smtpd\n -o\n",
                 "dir/master.cf:2: error: nothing follows -o (write -o name=value) [syntax]"},
                {"smtp inet n - n - - smtpd\n -o mail_name = x\n",
                 "dir/master.cf:2: error: after -o: missing '=' after the name \"mail_name\" (write "
                 "-o name=value without blanks, or -o { name = value }) [syntax]"},
                {"smtp inet n - n - - smtpd\n -o mail_name=x,\n   y\n",
                 "dir/master.cf:3: error: service smtp: \"y\" does not belong to any -o (for a "
                 "value with blanks write -o { name = value }) [service-argument]"},
                {"smtp inet n - n - - smtpd\n -o mail_nam=x\n",
                 "dir/master.cf:2: error: unknown parameter mail_nam (did you mean mail_name?) "
                 "[unknown-parameter]"},
                {"smtp inet n - n - - smtpd\n -o smtpd_timeout=x\n",
                 "dir/master.cf:2: error: smtpd_timeout = x: allowed is a time like 30s, 5m, 2h or "
                 "1d, from 1s to 3650d [bad-value]"},
                {"smtp inet n - n - - smtpd\n25 inet n - n - - smtpd\nsmtp inet n - n - - smtpd\n",
                 "dir/master.cf:3: warning: service smtp is here and in line 1; this one, the last, "
                 "counts (remove one of the two) [service-twice]"},
                {"628 inet n - n - - qmqpd\n", "dir/master.cf:1: warning: service 628 is not here: "
                                               "Forepost has no qmqpd [absent-server]"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct findings f;
                struct config *c = fixture_read("", cases[i].text, &f);
                assert_true(fixture_has(&f, cases[i].error));
                fixture_done(&c, &f);
        }
}

static void too_many_services(void **state)
{
        static char text[(SERVICES_MAX + 10) * 40];
        size_t at = 0;
        for (int i = 0; i < SERVICES_MAX + 10; i++)
                at += (size_t)snprintf(text + at, sizeof(text) - at, "%d inet n - n - - smtpd\n",
                                       2000 + i);
        struct findings f;
        struct config *c = fixture_read("", text, &f);
        const struct finding *found = fixture_find(&f, "too-many-services");
        assert_non_null(found);
        assert_int_equal(found->line, SERVICES_MAX + 1);
        fixture_done(&c, &f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_the_stock_file),
                cmocka_unit_test(without_the_file),
                cmocka_unit_test(postscreen_with_its_smtpd),
                cmocka_unit_test(addresses),
                cmocka_unit_test(overrides),
                cmocka_unit_test(transports_have_their_own_limits),
                cmocka_unit_test(tells_mistakes),
                cmocka_unit_test(too_many_services),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
