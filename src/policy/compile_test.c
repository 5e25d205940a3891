/* compile_test.c - mistakes in restriction lists, open relays, and what else is told at load */
#include "policy/rig_unit.h"

struct row {
        const char *lines;
        enum severity severity;
        const char *code; /* NULL: nothing is wrong */
        int line;         /* of the first of `lines` it is 1 */
        const char *text; /* part of it; NULL: any */
};

enum { LINES_BEFORE = 14 };

static void check_rows(const struct row *rows, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct rig r;
                char main_cf[4000];
                rig_init(&r);
                rig_write(&r, "table", "x OK\n");
                rig_write(&r, "domains", "tabled.example OK\n.sub.example OK\n");
                snprintf(main_cf, sizeof(main_cf), RIG_MAIN_CF "%s", rows[i].lines);
                rig_load(&r, main_cf);
                const struct finding *f = r.findings.first;
                for (; f; f = f->next)
                        if (rows[i].code && strcmp(f->code, rows[i].code) == 0 &&
                            (!rows[i].text || str_find_str(f->text, str_from(rows[i].text)) >= 0))
                                break;
                bool is_right = rows[i].code ? f && f->severity == rows[i].severity &&
                                                       f->line == LINES_BEFORE + rows[i].line
                                             : !findings_has_errors(&r.findings);
                if (!is_right) {
                        rig_print_findings(&r);
                        fail_msg("%s: not the finding that was wanted (%s)", rows[i].lines,
                                 rows[i].code ? rows[i].code : "no errors");
                }
                rig_done(&r);
        }
}

#define RECIPIENT "smtpd_recipient_restrictions ="

static void mistakes_are_found(void **state)
{
        static const struct row rows[] = {
                {RECIPIENT "\n  permit_mynetworks\n  reject_unuath_destination\n", SEVERITY_ERROR,
                 "unknown-restriction", 3,
                 "unknown restriction \"reject_unuath_destination\"; did you mean "
                 "reject_unauth_destination?"},
                {RECIPIENT " xyzzy", SEVERITY_ERROR, "unknown-restriction", 1,
                 "unknown restriction \"xyzzy\""},
                {"smtpd_restriction_classes = my_long_class\nmy_long_class = permit\n" RECIPIENT
                 " my_long_clas\n",
                 SEVERITY_ERROR, "unknown-restriction", 3, "did you mean my_long_class?"},
                {RECIPIENT " reject_non_fqdn_hostname\n", SEVERITY_NOTE, "old-restriction-name", 1,
                 "reject_non_fqdn_hostname is now called reject_non_fqdn_helo_hostname"},
                {RECIPIENT " reject_unknown_client\n", SEVERITY_NOTE, "old-restriction-name", 1,
                 NULL},
                {RECIPIENT " permit_sasl_authenticated\n", SEVERITY_NOTE, "inert-restriction", 1,
                 NULL},
                {RECIPIENT " check_policy_service { unix:x, time=1 }\n", SEVERITY_ERROR,
                 "bad-policy-service", 1, "timeout"},
                {RECIPIENT " check_relay_domains\n", SEVERITY_ERROR, "restriction-not-yet", 1,
                 NULL},
                {RECIPIENT " check_client_access permit\n", SEVERITY_ERROR, "missing-argument", 1,
                 "check_client_access needs a table after it, not permit"},
                {RECIPIENT " check_client_access\n", SEVERITY_ERROR, "missing-argument", 1, NULL},
                {RECIPIENT " reject_rbl_client\n", SEVERITY_ERROR, "missing-argument", 1, NULL},
                {RECIPIENT " sleep x\n", SEVERITY_ERROR, "missing-argument", 1, NULL},
                {RECIPIENT " check_client_access hash:/does/not/exist\n", SEVERITY_ERROR,
                 "bad-table", 1, "/does/not/exist"},
                {RECIPIENT " check_sender_mx_access hash:/does/not/exist\n", SEVERITY_ERROR,
                 "bad-table", 1, NULL},
                {RECIPIENT " hsah:table\n", SEVERITY_ERROR, "bad-table", 1, NULL},
                {"smtpd_data_restrictions = hash:table\n", SEVERITY_ERROR, "which-access", 1, NULL},
                {RECIPIENT " { reject_unauth_pipelining }\n", SEVERITY_ERROR, NULL, 0, NULL},
                {RECIPIENT " { check_policy_service unix:x, timeout=3s }\n", SEVERITY_ERROR,
                 "braces-not-yet", 1, NULL},
                {RECIPIENT " { permit, reject }\n", SEVERITY_ERROR, "braces-not-yet", 1, NULL},
                {RECIPIENT " warn_if_reject\n", SEVERITY_WARNING, "idle-warn-if-reject", 1, NULL},
                {RECIPIENT " permit_mynetworks permit reject_unauth_pipelining\n", SEVERITY_WARNING,
                 "unreachable-restriction", 1, "what stands after permit is never asked"},
                {RECIPIENT " permit_mynetworks\n permit\n reject_unauth_destination\n",
                 SEVERITY_WARNING, "unreachable-restriction", 3, "what stands after permit"},
                {RECIPIENT " reject_unauth_destination\n permit_auth_destination\n reject\n",
                 SEVERITY_WARNING, "unreachable-restriction", 3,
                 "what stands after permit_auth_destination"},
                {RECIPIENT " permit_auth_destination reject_unauth_destination permit\n",
                 SEVERITY_WARNING, "unreachable-restriction", 1, NULL},
                {RECIPIENT " permit_mynetworks\n reject_unauth_destination\n permit_mynetworks\n",
                 SEVERITY_NOTE, "repeated-restriction", 3, "permit_mynetworks stands there twice"},
                {RECIPIENT " permit_mynetworks\n reject\n permit\n", SEVERITY_WARNING,
                 "unreachable-restriction", 3, "what stands after reject is never asked"},
                {"smtpd_restriction_classes = a\na = b\n" RECIPIENT " a\n", SEVERITY_ERROR,
                 "unknown-restriction", 2, NULL},
                {"smtpd_restriction_classes = a, b\na = b\nb = a\n" RECIPIENT " a\n",
                 SEVERITY_ERROR, "class-loop", 2, NULL},
                {"smtpd_restriction_classes = a\n" RECIPIENT " a\n", SEVERITY_ERROR, "bad-class", 1,
                 "names a, which is not set"},
                {"smtpd_restriction_classes = reject\n", SEVERITY_ERROR, "bad-class", 1,
                 "reject is a restriction already"},
                {"smtpd_restriction_classes = z\nz = permit, reject\n", SEVERITY_WARNING,
                 "unreachable-restriction", 2, NULL},
                {"smtpd_delay_reject = no\nsmtpd_client_restrictions = reject_unlisted_recipient\n",
                 SEVERITY_WARNING, "too-early-restriction", 2, NULL},
                {RECIPIENT " check_ccert_access\n", SEVERITY_ERROR, "missing-argument", 1, NULL},
                {RECIPIENT " check_ccert_access { }\n", SEVERITY_ERROR, "bad-argument", 1,
                 "no type:table"},
                {RECIPIENT " check_ccert_access { inline:{a=b}, search_order = x }\n",
                 SEVERITY_ERROR, "bad-argument", 1, "needs braces"},
                {RECIPIENT " check_ccert_access { inline:{a=b}, { order = cert_fingerprint } }\n",
                 SEVERITY_ERROR, "bad-argument", 1, "no setting \"order\""},
                {RECIPIENT " check_ccert_access { inline:{a=b}, { search_order = } }\n",
                 SEVERITY_ERROR, "bad-argument", 1, "search_order is empty"},
                {RECIPIENT " check_ccert_access { inline:{a=b}, { search_order = subject } }\n",
                 SEVERITY_ERROR, "bad-argument", 1, "not \"subject\""},
                {RECIPIENT " check_ccert_access { inline:{a=b}, { search_order = cert_fingerprint "
                           "cert_fingerprint pubkey_fingerprint } }\n",
                 SEVERITY_ERROR, "bad-argument", 1, "more than 2"},
                {"postscreen_command_filter = x\n", SEVERITY_ERROR, "parameter-refused", 1, NULL},
                {"relay_domains = other.example\n", SEVERITY_WARNING, "no-postmaster", 1,
                 "postmaster@other.example"},
                {"relay_domains = .other.example\n  another.example\n", SEVERITY_WARNING,
                 "no-abuse", 2, "abuse@another.example"},
                {"relay_domains = fine.example\n local.example\n", SEVERITY_WARNING,
                 "domain-in-two-lists", 2, "local.example is in mydestination too"},
                {"virtual_mailbox_domains = alias.example\n", SEVERITY_WARNING,
                 "domain-in-two-lists", 1, "alias.example is in virtual_alias_domains too"},
                {"relay_domains = hash:domains\n", SEVERITY_WARNING, "no-abuse", 1,
                 "abuse@tabled.example is not in relay_recipient_maps"},
                {"virtual_mailbox_domains = m.example\n", SEVERITY_WARNING, "no-postmaster", 1,
                 "postmaster@m.example is not in virtual_mailbox_maps"},
                {"virtual_alias_domains = inline:{v.example=x}\n", SEVERITY_WARNING, "no-abuse", 1,
                 "abuse@v.example is not in virtual_alias_maps"},
                {"alias_maps = inline:{ { root = a@b.example } { list = \"|/bin/list it\" } }\n",
                 SEVERITY_WARNING, "alias-not-followed", 1, "mail for list is refused for now"},
                {"smtpd_sender_restrictions = reject_non_fqdn_sender, permit\n", SEVERITY_ERROR,
                 NULL, 0, NULL},
        };
        check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

#define CLOSED   NULL, 0, NULL
#define RELAY    "smtpd_relay_restrictions ="
#define NO_RELAY RELAY "\n" RECIPIENT

static void open_relays_are_found(void **state)
{
        static const struct row rows[] = {
                /* closed */
                {"", SEVERITY_ERROR, CLOSED},
                {NO_RELAY " permit_mynetworks, reject_unauth_destination\n", SEVERITY_ERROR,
                 CLOSED},
                {NO_RELAY " permit_mynetworks, defer_unauth_destination, permit\n", SEVERITY_ERROR,
                 CLOSED},
                {NO_RELAY " permit_mynetworks, permit_auth_destination, reject\n", SEVERITY_ERROR,
                 CLOSED},
                {NO_RELAY " permit_mynetworks, permit_auth_destination, defer\n", SEVERITY_ERROR,
                 CLOSED},
                {NO_RELAY " reject_unauth_destination, check_client_access hash:table\n",
                 SEVERITY_ERROR, CLOSED},
                {RELAY " permit_mynetworks, reject_unauth_destination\n" RECIPIENT " permit\n",
                 SEVERITY_ERROR, CLOSED},
                {RELAY " permit\n" RECIPIENT " permit_mynetworks, reject_unauth_destination\n",
                 SEVERITY_ERROR, CLOSED},
                {NO_RELAY " permit\nsmtpd_sender_restrictions = permit_mynetworks, "
                          "reject_unauth_destination\n",
                 SEVERITY_ERROR, CLOSED},
                {"smtpd_restriction_classes = c\nc = permit_mynetworks, reject_unauth_destination\n" NO_RELAY
                 " c, permit\n",
                 SEVERITY_ERROR, CLOSED},
                {NO_RELAY " reject_rbl_client zen.spamhaus.org, reject_unauth_destination\n",
                 SEVERITY_ERROR, CLOSED},
                {NO_RELAY " permit_mynetworks, defer_if_permit\n", SEVERITY_ERROR, CLOSED},
                {"mynetworks = !0.0.0.0/0, 10.0.0.0/8\n", SEVERITY_ERROR, CLOSED},
                /* open */
                {NO_RELAY "\n", SEVERITY_ERROR, "open-relay", 2, "neither"},
                {NO_RELAY " permit_mynetworks\n", SEVERITY_ERROR, "open-relay", 2, "ends without"},
                {NO_RELAY " reject_rbl_client zen.spamhaus.org, reject_rbl_client "
                          "list.dsbl.org, permit\n",
                 SEVERITY_ERROR, "open-relay", 2, "permit may permit"},
                {NO_RELAY " permit_mynetworks,\n permit,\n reject_unauth_destination\n",
                 SEVERITY_ERROR, "open-relay", 3, NULL},
                {NO_RELAY " check_client_access hash:table, reject_unauth_destination\n",
                 SEVERITY_ERROR, "open-relay", 2, "check_client_access hash:table may permit"},
                {NO_RELAY " check_helo_access hash:table, reject_unauth_destination\n",
                 SEVERITY_ERROR, "open-relay", 2, "check_helo_access hash:table"},
                {NO_RELAY " check_sender_access hash:table, reject_unauth_destination\n",
                 SEVERITY_ERROR, "open-relay", 2, "check_sender_access hash:table"},
                {NO_RELAY " check_recipient_access hash:table, reject_unauth_destination\n",
                 SEVERITY_ERROR, "open-relay", 2, "check_recipient_access hash:table"},
                {NO_RELAY " warn_if_reject reject_unauth_destination, permit\n", SEVERITY_ERROR,
                 "open-relay", 2, "permit may permit"},
                {NO_RELAY " reject_unlisted_recipient, reject_non_fqdn_sender\n", SEVERITY_ERROR,
                 "open-relay", 2, "ends without"},
                {"smtpd_restriction_classes = c\nc = permit\n" NO_RELAY
                 " c, reject_unauth_destination\n",
                 SEVERITY_ERROR, "open-relay", 2, "permit may permit"},
                {RELAY " permit_mynetworks\n" RECIPIENT " permit_mynetworks\n", SEVERITY_ERROR,
                 "open-relay", 1, "smtpd_relay_restrictions ends without"},
                {"smtpd_delay_reject = no\n" NO_RELAY
                 " permit\nsmtpd_sender_restrictions = reject_unauth_destination\n",
                 SEVERITY_ERROR, "open-relay", 3, NULL},
                {"mynetworks = 10.0.0.0/8, 0.0.0.0/0\n", SEVERITY_ERROR, "open-relay", 1,
                 "mynetworks has every address"},
                {"mynetworks = [::]/0\n", SEVERITY_ERROR, "open-relay", 1, NULL},
                {"mynetworks = cidr:{{0.0.0.0/0 OK}}\n", SEVERITY_ERROR, "open-relay", 1, NULL},
                {"mynetworks = 10.0.0.0/7\n", SEVERITY_WARNING, "wide-mynetworks", 1, NULL},
                {"relay_domains = static:all\n", SEVERITY_ERROR, "open-relay", 1,
                 "relay_domains has every domain"},
                {"relay_domains = pcre:{{/./ OK}}\n", SEVERITY_ERROR, "open-relay", 1, NULL},
        };
        check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void a_spawned_policy_server_is_not_here(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_write(&r, "master.cf",
                  "smtp inet n - n - - smtpd\n"
                  "spf unix - n n - 0 spawn\n  user=spf argv=/usr/bin/policyd-spf\n"
                  "other unix - - n - - smtp\n");
        rig_load(&r, RIG_MAIN_CF
                 "queue_directory = /q\n"
                 "smtpd_recipient_restrictions = check_policy_service unix:private/other,\n"
                 "  check_policy_service unix:/q/private/spf\n");
        const struct finding *f = rig_finding(&r, "policy-service-spawned");
        assert_non_null(f);
        assert_int_equal(f->severity, SEVERITY_ERROR);
        assert_non_null(strstr(f->text.ptr, "/q/private/spf is started by spawn(8)"));
        for (f = f->next; f; f = f->next)
                assert_string_not_equal(f->code, "policy-service-spawned");
        rig_done(&r);
}

static void role_addresses_are_looked_for(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_load(&r,
                 "relay_domains = one.example, two.example, three.example\n"
                 "mydestination =\nvirtual_alias_maps = inline:{abuse@two.example=a@b.example}\n"
                 "relay_recipient_maps = inline:{{postmaster@one.example=x}, "
                 "{abuse@one.example=x}, {@three.example=x}}\n"
                 "smtpd_recipient_restrictions = reject_unauth_destination\n");
        size_t found = 0;
        for (const struct finding *f = r.findings.first; f; f = f->next)
                if (strcmp(f->code, "no-postmaster") == 0 || strcmp(f->code, "no-abuse") == 0) {
                        found++;
                        assert_str_equal(f->text,
                                         "postmaster@two.example is not in relay_recipient_maps: "
                                         "it is accepted all the same (RFC 5321 4.5.1), but who "
                                         "reads it?");
                }
        assert_int_equal(found, 1);
        rig_done(&r);
}

static void old_configurations_are_not_open(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_write(&r, "maps", "o3magazine.com OK\n");
        rig_load(&r, "compatibility_level = 0\nmydestination =\ninet_interfaces = 127.0.0.1\n"
                     "mynetworks_style = host\nrelay_domains = hash:maps\n"
                     "smtpd_recipient_restrictions = permit_mynetworks reject_unauth_destination\n"
                     "    reject_non_fqdn_hostname reject_rbl_client zen.spamhaus.org permit\n"
                     "smtpd_data_restrictions = reject_unauth_pipelining, "
                     "reject_multi_recipient_bounce, permit\n");
        if (findings_has_errors(&r.findings))
                rig_print_findings(&r);
        assert_false(findings_has_errors(&r.findings));
        assert_int_equal(r.policy->lists[LIST_RELAY].count, 0);
        assert_string_equal(rig_rcpt(&r, "a@b.example", "x@other.example"),
                            "554 5.7.1 <x@other.example>: Relay access denied");
        assert_str_equal(r.verdict.source, "main.cf:6 reject_unauth_destination");
        r.facts.helo = STR("h");
        r.facts.recipient = rig_address(&r, "x@o3magazine.com");
        rig_judge(&r, POLICY_AT_RCPT);
        assert_str_equal(r.verdict.source, "main.cf:7 reject_non_fqdn_helo_hostname");
        rig_done(&r);
}

static void lists_have_a_ceiling(void **state)
{
        struct rig r;
        rig_init(&r);
        size_t room = 64 * (LIST_STEPS_MAX + 2);
        char *main_cf = malloc(room);
        assert_non_null(main_cf);
        size_t len = (size_t)snprintf(main_cf, room, RIG_MAIN_CF RECIPIENT);
        for (int i = 0; i <= LIST_STEPS_MAX; i++)
                len += (size_t)snprintf(main_cf + len, room - len, " permit_mynetworks");
        snprintf(main_cf + len, room - len, "\n");
        rig_load(&r, main_cf);
        free(main_cf);
        assert_non_null(rig_finding(&r, "too-many-restrictions"));
        assert_int_equal(r.policy->lists[LIST_RECIPIENT].count, LIST_STEPS_MAX);
        rig_done(&r);
}

static void a_service_has_its_own_lists(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_write(&r, "master.cf",
                  "127.0.0.1:2525 inet n - n - - smtpd\n"
                  "  -o smtpd_recipient_restrictions=reject\n");
        rig_load(&r, RIG_MAIN_CF);
        const struct service *service = NULL;
        for (size_t i = 0; i < r.config->service_count; i++)
                if (r.config->services[i].is_inet)
                        service = &r.config->services[i];
        assert_non_null(service);
        policy_unref(&r.policy);
        r.policy = policy_new(r.config, &service->params, r.tables, r.dns, &r.findings);
        assert_string_equal(rig_rcpt(&r, "a@b.example", "user@relay.example"),
                            "554 5.7.1 <user@relay.example>: Recipient address rejected: Access "
                            "denied");
        assert_str_equal(r.verdict.source, "master.cf:2 reject");
        rig_done(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(mistakes_are_found),
                cmocka_unit_test(open_relays_are_found),
                cmocka_unit_test(a_spawned_policy_server_is_not_here),
                cmocka_unit_test(role_addresses_are_looked_for),
                cmocka_unit_test(old_configurations_are_not_open),
                cmocka_unit_test(lists_have_a_ceiling),
                cmocka_unit_test(a_service_has_its_own_lists),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
