/* lint_test.c - each mistake is found, and what is right is left alone */
#include "config/fixture.h"

#include <sys/stat.h>
#include <unistd.h>

/* A relay without a fault; the cases add to it. */
static const char sound[] = "myhostname = mx1.example.com\n"
                            "mynetworks = 127.0.0.0/8\n"
                            "mydestination =\n"
                            "relay_domains = example.org\n"
                            "relay_recipient_maps = hash:/x\n"
                            "disable_vrfy_command = yes\n"
                            "smtpd_tls_security_level = may\n"
                            "smtpd_tls_chain_files = /x.pem\n"
                            "smtp_tls_security_level = may\n";

static const struct {
        const char *text; /* added to the sound one */
        const char *code; /* NULL: nothing is found */
        enum severity severity;
        int line; /* of the finding, in the added text; 0: none */
} cases[] = {
        {"", NULL, 0, 0},
        {"smtpd_client_restrictions = reject_rbl_client list.dsbl.org\n", "dead-dnsbl",
         SEVERITY_WARNING, 1},
        {"smtpd_client_restrictions =\n reject_rbl_client\n DNSBL.SORBS.NET=127.0.0.2\n",
         "dead-dnsbl", SEVERITY_WARNING, 3},
        {"smtpd_sender_restrictions = reject_rhsbl_sender dsn.rfc-ignorant.org\n", "dead-dnsbl",
         SEVERITY_WARNING, 1},
        {"smtpd_client_restrictions = reject_rbl_client notsorbs.net\n", NULL, 0, 0},
        {"smtpd_restriction_classes = lists\nlists = reject_rbl_client combined.njabl.org\n",
         "dead-dnsbl", SEVERITY_WARNING, 2},
        {"smtpd_client_restrictions = reject_rbl_client zen.spamhaus.org\n", "dnsbl-without-filter",
         SEVERITY_WARNING, 1},
        {"smtpd_client_restrictions = reject_rbl_client zen.spamhaus.org=127.0.0.[2..11]\n", NULL,
         0, 0},
        {"default_rbl_reply = no\nsmtpd_client_restrictions = reject_rbl_client "
         "k3y.zen.dq.spamhaus.net\n",
         "dnsbl-without-filter", SEVERITY_WARNING, 2},
        {"smtpd_client_restrictions = reject_rbl_client "
         "k3y.zen.dq.spamhaus.net=127.0.0.[2..11]\n",
         NULL, 0, 0},
        {"postscreen_dnsbl_sites = bl.example*2 list.dsbl.org*3\n", "dead-dnsbl", SEVERITY_WARNING,
         1},
        {"postscreen_dnsbl_sites =\n zen.spamhaus.org*3\n", "dnsbl-without-filter",
         SEVERITY_WARNING, 2},
        {"postscreen_dnsbl_sites = zen.spamhaus.org=127.0.0.[2..11]*3\n", "postscreen-idle",
         SEVERITY_WARNING, 1},
        {"smtpd_client_restrictions = reject_rbl_client psbl.surriel.com\n", NULL, 0, 0},
        {"smtpd_client_restrictions = warn_if_reject permit_mynetworks\n", "warns-of-nothing",
         SEVERITY_WARNING, 1},
        {"smtpd_client_restrictions = warn_if_reject reject_unknown_client_hostname\n", NULL, 0, 0},
        {"smtpd_soft_error_limit = 50\n", "limits-conflict", SEVERITY_WARNING, 1},
        {"smtpd_client_connection_count_limit = 500\ndefault_process_limit = 100\n",
         "limits-conflict", SEVERITY_WARNING, 1},
        {"network_connection_count_limit = 20\n", "limits-conflict", SEVERITY_WARNING, 1},
        {"network_connection_count_limit = 200\n", NULL, 0, 0},
        {"initial_destination_concurrency = 21\n", "limits-conflict", SEVERITY_WARNING, 1},
        {"initial_destination_concurrency = 21\ndefault_destination_concurrency_limit = 0\n", NULL,
         0, 0},
        {"smtpd_recipient_limit = 20\n", "low-limit", SEVERITY_WARNING, 1},
        {"header_size_limit = 20480000\n", "limits-conflict", SEVERITY_WARNING, 1},
        {"virtual_mailbox_limit = 1000\nvirtual_mailbox_domains = core.example\n",
         "limits-conflict", SEVERITY_WARNING, 1},
        {"virtual_mailbox_limit = 1000\n", NULL, 0, 0},
        {"queue_minfree = 1000\n", "limits-conflict", SEVERITY_WARNING, 1},
        {"queue_minfree = 20480000\n", NULL, 0, 0},
        {"always_bcc = one@example.org, two@example.org\n", "bad-value", SEVERITY_ERROR, 1},
        {"always_bcc = archive@example.org\n", NULL, 0, 0},
        {"smtpd_upstream_proxy_protocol = haproxy\n", "proxy-from-anywhere", SEVERITY_WARNING, 1},
        {"smtpd_upstream_proxy_protocol = haproxy\n"
         "smtpd_upstream_proxy_networks = 192.0.2.0/24 [::]/0\n",
         "proxy-from-anywhere", SEVERITY_WARNING, 1},
        {"smtpd_upstream_proxy_protocol = haproxy\n"
         "smtpd_upstream_proxy_networks = 192.0.2.1\n",
         NULL, 0, 0},
        {"smtpd_upstream_proxy_networks = 0.0.0.0/0\n", NULL, 0, 0},
        {"smtpd_authorized_xclient_hosts = 192.0.2.1, 0.0.0.0/0\n", "xclient-from-anywhere",
         SEVERITY_WARNING, 1},
        {"smtpd_authorized_xclient_hosts = 192.0.2.1\n", NULL, 0, 0},
        {"dns_forward = 192.0.2.1, 8.8.8.8\n", "public-resolver", SEVERITY_WARNING, 1},
        {"dns_forward = 192.0.2.1, 2606:4700:4700::1111@53\n", "public-resolver", SEVERITY_WARNING,
         1},
        {"dns_forward = 192.0.2.1\n", NULL, 0, 0},
        {"dns_validation = no\n", "no-dnssec", SEVERITY_NOTE, 1},
        {"notify_classes = bounce, 2bounce, delay, software\n", NULL, 0, 0},
        {"notify_classes = data, policy, protocol, resource\n", NULL, 0, 0},
        {"notify_classes = bounce,\n  protokoll\n", "bad-value", SEVERITY_ERROR, 1},
        {"internal_mail_filter_classes = bounce, notify\n", NULL, 0, 0},
        {"internal_mail_filter_classes = bounces\n", "bad-value", SEVERITY_ERROR, 1},
        {"internal_mail_filter_classes = notify\nnon_smtpd_milters = inet:127.0.0.1:9\n",
         "own-mail-not-filtered", SEVERITY_WARNING, 1},
        {"unknown_local_recipient_reject_code = 500\n", "syntax-error-code", SEVERITY_WARNING, 1},
        {"unknown_relay_recipient_reject_code = 521\n", "closing-code", SEVERITY_WARNING, 1},
        {"unknown_local_recipient_reject_code = 450\n", NULL, 0, 0},
        {"unknown_hostname_reject_code = 554\n", "unused-code", SEVERITY_WARNING, 1},
        {"unknown_client_reject_code = 554\n", "unused-code", SEVERITY_WARNING, 1},
        {"access_map_reject_code = 550\n", "unused-code", SEVERITY_WARNING, 1},
        {"access_map_reject_code = 550\nsmtpd_client_restrictions = check_client_access hash:/x\n",
         NULL, 0, 0},
        {"access_map_reject_code = 550\nsmtpd_client_restrictions = hash:/x\n", NULL, 0, 0},
        {"non_fqdn_reject_code = 550\nsmtpd_sender_restrictions = reject_non_fqdn_sender\n", NULL,
         0, 0},
        {"unknown_address_reject_code = 554\n"
         "smtpd_sender_restrictions = reject_unknown_sender_domain\n",
         "permanent-code", SEVERITY_WARNING, 1},
        {"smtpd_helo_required = no\nsmtpd_helo_restrictions = reject_invalid_helo_hostname\n",
         "helo-not-required", SEVERITY_WARNING, 1},
        {"smtpd_helo_required = yes\nsmtpd_helo_restrictions = reject_invalid_hostname\n", NULL, 0,
         0},
        {"virtual_alias_maps = hash:/x\n", "aliases-at-the-edge", SEVERITY_WARNING, 1},
        {"virtual_alias_maps = hash:/x\nvirtual_mailbox_domains = example.net\n", NULL, 0, 0},
        {"virtual_mailbox_domains = example.net EXAMPLE.ORG\nvirtual_mailbox_maps = x\n",
         "domain-twice", SEVERITY_WARNING, 0},
        {"inet_interfaces = 192.0.2.1, localhost\n", "no-ipv6-listener", SEVERITY_WARNING, 1},
        {"inet_interfaces = 192.0.2.1, [::1]\n", "no-ipv6-listener", SEVERITY_WARNING, 1},
        {"inet_interfaces = 192.0.2.1, 2001:db8::1\n", NULL, 0, 0},
        {"inet_interfaces = loopback-only\n", NULL, 0, 0},
        {"inet_interfaces = localhost\n", NULL, 0, 0},
        {"inet_protocols = ipv4\n", "no-ipv6-listener", SEVERITY_WARNING, 0},
        {"inet_protocols = ipv4, ipv6\n", NULL, 0, 0},
        {"inet_protocols = ipv5\n", "bad-value", SEVERITY_ERROR, 1},
        {"inet_protocols =\n", "bad-value", SEVERITY_ERROR, 1},
        {"smtpd_banner = welcome\n", "banner-without-name", SEVERITY_WARNING, 1},
        {"smtpd_banner =\n", "banner-without-name", SEVERITY_WARNING, 1},
        {"soft_bounce = yes\n", "soft-bounce", SEVERITY_WARNING, 1},
        {"mynetworks_style = host\n", "unused-style", SEVERITY_NOTE, 1},
        {"allow_untrusted_routing = yes\n", "untrusted-routing", SEVERITY_WARNING, 1},
        {"minimal_backoff_time = 2h\n", "backoff-order", SEVERITY_WARNING, 1},
        {"delay_warning_time = 6d\n", "late-warning", SEVERITY_WARNING, 1},
        {"maximal_queue_lifetime = 1m\n", "short-lifetime", SEVERITY_WARNING, 1},
        {"local_transport = smtp:[192.0.2.9]\n", NULL, 0, 0},
        {"mailbox_transport = lmtp:unix:lmtp\nforward_path =\n", NULL, 0, 0},
        {"mailbox_transport = lmtp:unix:lmtp\n", "forward-not-read", SEVERITY_NOTE, 1},
        {"smtp_use_tls = yes\n", "old-parameter-name", SEVERITY_NOTE, 1},
};

static int lines_of(const char *text)
{
        int lines = 0;
        for (; *text; text++)
                lines += *text == '\n';
        return lines;
}

static void finds_mistakes(void **state)
{
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct findings f;
                char text[2000];
                snprintf(text, sizeof(text), "%s%s", sound, cases[i].text);
                struct config *c = fixture_read(text, NULL, &f);
                assert_null(fixture_find(&f, "syntax"));
                findings_done(&f);
                config_lint(c, &f);
                if (!cases[i].code) {
                        if (f.first)
                                fail_msg("%s: %s", cases[i].text, f.first->text.ptr);
                } else {
                        const struct finding *found = fixture_find(&f, cases[i].code);
                        if (!found)
                                fail_msg("%s: no %s", cases[i].text, cases[i].code);
                        assert_int_equal(found->severity, cases[i].severity);
                        if (cases[i].line)
                                assert_int_equal(found->line, lines_of(sound) + cases[i].line);
                }
                fixture_done(&c, &f);
        }
}

/* What is missing from a configuration has no line. */
static void finds_what_is_missing(void **state)
{
        static const struct {
                const char *text, *code;
        } missing[] = {
                {"mynetworks = 127.0.0.0/8\n", "no-tls-inbound"},
                {"mynetworks = 127.0.0.0/8\n", "no-tls-outbound"},
                {"mynetworks = 127.0.0.0/8\n", "vrfy-on"},
                {"smtpd_tls_security_level = may\n", "tls-without-certificate"},
                {"smtpd_use_tls = yes\n", "tls-without-certificate"},
                {"\n", "trusts-neighbours"},
                {"relay_domains = a.example\n", "accepts-any-recipient"},
                {"local_recipient_maps =\nlocal_transport = smtp:[10.0.0.1]\n",
                 "accepts-any-recipient"},
                {"mydestination = localhost\n", "no-local-delivery"},
                {"myhostname = mx_1,\n", "bad-host-name"},
                {"myhostname = -mx.example\n", "bad-host-name"},
                {"myhostname = mx\n", "bare-host-name"},
        };
        for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
                struct findings f;
                struct config *c = fixture_read(missing[i].text, NULL, &f);
                config_lint(c, &f);
                if (!fixture_find(&f, missing[i].code))
                        fail_msg("%s: no %s", missing[i].text, missing[i].code);
                fixture_done(&c, &f);
        }
}

static void looks_at_each_service(void **state)
{
        struct findings f;
        struct config *c;
        c = fixture_read(sound,
                         "25 inet n - n - - smtpd\n"
                         " -o { smtpd_client_restrictions = reject_rbl_client,\n"
                         "   relays.ordb.org }\n"
                         "[2001:db8::1]:26 inet n - n - - smtpd\n"
                         " -o smtpd_tls_security_level=none\n",
                         &f);
        config_lint(c, &f);
        const struct finding *found = fixture_find(&f, "dead-dnsbl");
        assert_non_null(found);
        assert_str_equal(found->file, "dir/master.cf");
        assert_int_equal(found->line, 3);
        assert_non_null(fixture_find(&f, "no-tls-inbound"));
        fixture_done(&c, &f);

        c = fixture_read(sound, "25 inet n - n - - smtpd -o smtpd_proxy_filter=10025\n", &f);
        config_lint(c, &f);
        assert_non_null(fixture_find(&f, "proxy-filter"));
        assert_non_null(fixture_find(&f, "proxy-filter-everywhere"));
        fixture_done(&c, &f);
        c = fixture_read(sound,
                         "25 inet n - n - - smtpd -o smtpd_proxy_filter=10025\n"
                         "10026 inet n - n - - smtpd\n",
                         &f);
        config_lint(c, &f);
        assert_non_null(fixture_find(&f, "proxy-filter"));
        assert_null(fixture_find(&f, "proxy-filter-everywhere"));
        fixture_done(&c, &f);

        c = fixture_read(sound, "10.0.0.1:25 inet n - n - - smtpd\n", &f);
        config_lint(c, &f);
        assert_non_null(fixture_find(&f, "no-ipv6-listener"));
        fixture_done(&c, &f);

        c = fixture_read("postscreen_greet_action = drop\n", "25 inet n - n - 1 postscreen\n", &f);
        config_lint(c, &f);
        assert_null(fixture_find(&f, "postscreen-idle"));
        fixture_done(&c, &f);
        c = fixture_read("postscreen_greet_action = drop\n", "25 inet n - n - - smtpd\n", &f);
        config_lint(c, &f);
        assert_non_null(fixture_find(&f, "postscreen-idle"));
        fixture_done(&c, &f);

        c = fixture_read(sound, "smtp unix - - n - - smtp\n", &f);
        config_lint(c, &f);
        assert_non_null(fixture_find(&f, "no-listener"));
        fixture_done(&c, &f);
}

/* A directory that is not there; the likely one is the one that is, or that more paths name. */
static void finds_missing_directories(void **state)
{
        char dir[] = "/tmp/forepost-lint-XXXXXX", path[100], text[600];
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/usr", dir);
        assert_int_equal(mkdir(path, 0700), 0);
        snprintf(text, sizeof(text),
                 "sendmail_path = %s/usr/sendmail\nmailq_path = %s/user/mailq\n"
                 "newaliases_path = %s/elsewhere/newaliases\n",
                 dir, dir, dir);
        struct config_source source = {.dir = STR("dir"), .main_text = str_from(text)};
        struct findings f;
        findings_init(&f);
        struct config *c = config_read(&source, &f);
        findings_done(&f);
        config_lint(c, &f);
        char line[400];
        snprintf(line, sizeof(line),
                 "dir/main.cf:2: warning: mailq_path: no such directory: %s/user (did you mean "
                 "%s/usr, as in sendmail_path?) [no-such-directory]",
                 dir, dir);
        assert_true(fixture_has(&f, line));
        snprintf(line, sizeof(line),
                 "dir/main.cf:3: warning: newaliases_path: no such directory: %s/elsewhere (make "
                 "it, or mend the path) [no-such-directory]",
                 dir);
        assert_true(fixture_has(&f, line));
        fixture_done(&c, &f);
        rmdir(path);
        rmdir(dir);
}

/* The article's relay: what its README promises, of what needs no tables. */
static void finds_the_articles_mistakes(void **state)
{
        static const struct {
                const char *code;
                int line;
        } wanted[] = {
                {"dead-dnsbl", 21},        {"dnsbl-without-filter", 21}, {"syntax-error-code", 12},
                {"permanent-code", 13},    {"unused-code", 14},          {"unused-code", 15},
                {"no-such-directory", 32}, {"no-tls-inbound", 0},        {"no-tls-outbound", 0},
                {"no-ipv6-listener", 7},   {"aliases-at-the-edge", 10},
        };
        char path[4096];
        const char *source = getenv("FOREPOST_SOURCE");
        snprintf(path, sizeof(path), "%s/tests/data/article", source ? source : ".");
        struct findings f;
        findings_init(&f);
        struct config *c = config_load(path, NULL, &f);
        assert_non_null(c);
        config_lint(c, &f);
        assert_int_equal(f.count[SEVERITY_ERROR], 0);
        assert_true(f.count[SEVERITY_WARNING] >= 12);
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
                const struct finding *found = f.first;
                while (found &&
                       (strcmp(found->code, wanted[i].code) != 0 || found->line != wanted[i].line))
                        found = found->next;
                if (!found)
                        fail_msg("no %s in line %d", wanted[i].code, wanted[i].line);
                assert_true(found->cure.len > 0);
        }
        fixture_done(&c, &f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(finds_mistakes),
                cmocka_unit_test(finds_what_is_missing),
                cmocka_unit_test(looks_at_each_service),
                cmocka_unit_test(finds_missing_directories),
                cmocka_unit_test(finds_the_articles_mistakes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
