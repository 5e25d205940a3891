/*
 * outcomes_test.c - every restriction in every situation: what comes of it
 *
 * A row is a restriction, a column a situation. A restriction of restriction_names.c without a row, or without a file
 * that tests it elsewhere, fails this test.
 */
#include "policy/rig_unit.h"

#include "base/clock.h"

#include <stdlib.h>

/* ---- situations ---- */

/* Of the client, its HELO, the sender and the recipient all at once. */
static const struct situation {
        const char *name;
        const char *client, *address, *helo, *from, *to;
        enum client_name_status status;
        const char *fingerprint; /* of its certificate, which is trusted when all is well */
        size_t recipients_before;
        bool has_tls, has_early_input;
} situations[] = {
        {.name = "all is well, and the client is one of ours",
         .client = "good.example",
         .address = "10.0.0.9",
         .helo = "good.example",
         .from = "a@good.example",
         .to = "user@relay.example",
         .fingerprint = "AA:09",
         .has_tls = true},
        {.name = "tables and lists have it; it talks out of turn, and to a foreign domain",
         .client = "hit.example",
         .address = "192.0.2.66",
         .helo = "hit.example",
         .from = "a@hit.example",
         .to = "x@hit.example",
         .fingerprint = "AA:66",
         .has_early_input = true},
        {.name = "no such names in the DNS",
         .client = "unknown",
         .address = "192.0.2.3",
         .helo = "none.example",
         .from = "a@none.example",
         .to = "x@none.example",
         .status = CLIENT_NAME_NONE},
        {.name = "the DNS cannot tell",
         .client = "dead.example",
         .address = "192.0.2.99",
         .helo = "dead.example",
         .from = "a@dead.example",
         .to = "x@dead.example"},
        {.name = "... not even the client's name",
         .client = "unknown",
         .address = "192.0.2.99",
         .helo = "good.example",
         .from = "a@good.example",
         .to = "user@relay.example",
         .status = CLIENT_NAME_TEMPORARY},
        {.name = "tables cannot be asked (broken_tables_unit.c)",
         .client = "broken.example",
         .address = "192.0.2.5",
         .helo = "broken.example",
         .from = "a@broken.example",
         .to = "x@broken.example",
         .fingerprint = "broken"},
        {.name = "no name at all; users that nobody knows",
         .client = "liar.example",
         .address = "192.0.2.6",
         .helo = "bad!name",
         .from = "nobody@relay.example",
         .to = "nobody@relay.example",
         .status = CLIENT_NAME_FORGED},
        {.name = "names without a dot",
         .client = "short",
         .address = "192.0.2.7",
         .helo = "short",
         .from = "a@short",
         .to = "x@short"},
        {.name = "nothing is there to look at: no name, no HELO, the null sender, an address in brackets; our own address",
         .client = "unknown",
         .address = "127.0.0.1",
         .helo = "",
         .from = "",
         .to = "bob@[127.0.0.1]",
         .status = CLIENT_NAME_NONE,
         .recipients_before = 1},
};

enum { SITUATIONS = sizeof(situations) / sizeof(situations[0]) };

#define HOST(name, address)                                                                      \
        name " A " address "\n" name " MX 10 mail." name "\n" name " NS ns." name "\nmail." name \
             " A " address "\nns." name " A " address "\n"

static const char zone[] = HOST("good.example", "198.51.100.9") HOST("hit.example", "198.51.100.66")
        HOST("relay.example", "198.51.100.10") HOST("broken.example", "198.51.100.5")
                HOST("liar.example", "198.51.100.6") "short A 198.51.100.7\n"
                                                     "dead.example SERVFAIL\n"
                                                     "2.0.0.127.bl.example A 127.0.0.2\n"
                                                     "66.2.0.192.bl.example A 127.0.0.2\n"
                                                     "99.2.0.192.bl.example SERVFAIL\n"
                                                     "test.names.example A 127.0.0.2\n"
                                                     "hit.example.names.example A 127.0.0.2\n"
                                                     "dead.example.names.example SERVFAIL\n"
                                                     "2.0.0.127.wl.example A 127.0.0.2\n"
                                                     "9.0.0.10.wl.example A 127.0.0.2\n"
                                                     "66.2.0.192.wl.example A 127.0.0.2\n"
                                                     "99.2.0.192.wl.example SERVFAIL\n"
                                                     "test.welcome.example A 127.0.0.2\n"
                                                     "good.example.welcome.example A 127.0.0.2\n"
                                                     "hit.example.welcome.example A 127.0.0.2\n"
                                                     "dead.example.welcome.example SERVFAIL\n";

/* ---- what comes of it ---- */

/*
 *      p   it permits                        -   it has no opinion
 *      5   it refuses for good               4   it refuses for now
 *      d   it defers what would be permitted r   it defers what would be refused
 */
static const struct row {
        const char *restriction;
        const char *outcomes; /* one for each situation */
} rows[] = {
        {"permit", "ppppppppp"},
        {"reject", "555555555"},
        {"defer", "444444444"},
        {"defer_if_permit", "ddddddddd"},
        {"defer_if_reject", "rrrrrrrrr"},
        {"sleep", "---------"},
        {"reject_unauth_pipelining", "-5-------"},
        {"reject_multi_recipient_bounce", "--------5"},
        {"reject_plaintext_session", "-55555555"},
        {"permit_mynetworks", "p-------p"},
        {"permit_inet_interfaces", "--------p"},
        {"check_client_access", "-5---4---"},
        {"permit_sasl_authenticated", "---------"},
        {"check_sasl_access", "---------"},
        {"permit_tls_clientcerts", "p----4---"},
        {"permit_tls_all_clientcerts", "p----4---"},
        {"check_ccert_access", "-5---4---"},
        {"check_client_a_access", "-5-4-----"},
        {"check_client_mx_access", "-5-4-4---"},
        {"check_client_ns_access", "-5-4-4---"},
        {"check_reverse_client_hostname_access", "-5---4---"},
        {"check_reverse_client_hostname_a_access", "-5-4-----"},
        {"check_reverse_client_hostname_mx_access", "-5-4-4---"},
        {"check_reverse_client_hostname_ns_access", "-5-4-4---"},
        {"reject_rbl_client", "-5-------"},
        {"reject_rhsbl_client", "-5-------"},
        {"reject_rhsbl_reverse_client", "-5-------"},
        {"permit_dnswl_client", "p--rr----"},
        {"permit_rhswl_client", "p--r-----"},
        {"reject_unknown_client_hostname", "--5-4-5-5"},
        {"reject_unknown_reverse_client_hostname", "--5-4---5"},
        {"reject_unknown_forward_client_hostname", "--5-4-5-5"},
        {"check_helo_access", "-5---4---"},
        {"reject_invalid_helo_hostname", "------5--"},
        {"reject_non_fqdn_helo_hostname", "------55-"},
        {"check_helo_a_access", "-5-4-----"},
        {"check_helo_mx_access", "-5-4-4---"},
        {"check_helo_ns_access", "-5-4-4---"},
        {"reject_rhsbl_helo", "-5-------"},
        {"reject_unknown_helo_hostname", "--54--5--"},
        {"check_sender_access", "-5---4---"},
        {"reject_non_fqdn_sender", "-------5-"},
        {"reject_unlisted_sender", "-----45--"},
        {"check_sender_a_access", "-5-4-----"},
        {"check_sender_mx_access", "-5-4-4---"},
        {"check_sender_ns_access", "-5-4-4---"},
        {"reject_rhsbl_sender", "-5-------"},
        {"reject_unknown_sender_domain", "--54-4---"},
        {"reject_sender_login_mismatch", "---------"},
        {"reject_authenticated_sender_login_mismatch", "---------"},
        {"reject_known_sender_login_mismatch", "---------"},
        {"reject_unauthenticated_sender_login_mismatch", "---------"},
        {"check_recipient_access", "-5---4---"},
        {"permit_auth_destination", "p---p4p-p"},
        {"reject_unauth_destination", "-555-4-5-"},
        {"defer_unauth_destination", "-444-4-4-"},
        {"reject_non_fqdn_recipient", "-------5-"},
        {"reject_unlisted_recipient", "-----45--"},
        {"check_recipient_a_access", "-5-4-----"},
        {"check_recipient_mx_access", "-5-4-4---"},
        {"check_recipient_ns_access", "-5-4-4---"},
        {"permit_mx_backup", "p--rp4p-p"},
        {"reject_rhsbl_recipient", "-5-------"},
        {"reject_unknown_recipient_domain", "--54-4---"},
};

/* What needs more than this: a server, records of its own, another event. */
static const struct {
        const char *restriction, *file;
} elsewhere[] = {
        {"check_policy_service", "src/policy/service_test.c"},
        {"check_etrn_access", "tests/plays/287-etrn.play"},
        {"reject_unverified_sender", "tests/plays/478-verify-sender.play"},
        {"reject_unverified_recipient", "tests/differential/540-verified-recipients.case"},
        {"reject_spf_fail", "src/policy/step_spf_test.c"},
        {"reject_spf_softfail", "src/policy/step_spf_test.c"},
        {"reject_spf_none", "src/policy/step_spf_test.c"},
        {"reject_spf_permerror", "src/policy/step_spf_test.c"},
        {"defer_spf_softfail", "src/policy/step_spf_test.c"},
        {"defer_spf_temperror", "src/policy/step_spf_test.c"},
        {"reject_spf_helo_fail", "src/policy/step_spf_test.c"},
        {"reject_spf_helo_softfail", "src/policy/step_spf_test.c"},
        {"reject_spf_helo_permerror", "src/policy/step_spf_test.c"},
        {"defer_spf_helo_temperror", "src/policy/step_spf_test.c"},
};

static struct rig rig;

static const char *argument_of(const struct restriction *r)
{
        switch (r->argument) {
        case ARGUMENT_NONE:
                return "";
        case ARGUMENT_TABLE:
        case ARGUMENT_CERTIFICATE_TABLE:
                return " inline:{hit.example=REJECT,198.51.100.66=REJECT,AA:66=REJECT}";
        case ARGUMENT_TIME:
                return " 1";
        case ARGUMENT_LIST:
                if (str_starts(str_from(r->name), STR("permit_")))
                        return r->list_subject == LIST_OF_ADDRESSES ? " wl.example"
                                                                    : " welcome.example";
                return r->list_subject == LIST_OF_ADDRESSES ? " bl.example" : " names.example";
        default:
                break;
        }
        fail_msg("%s: its argument is not known here", r->name);
        return "";
}

static void load(const struct restriction *r, const char *behind)
{
        char main_cf[2000];
        rig_init(&rig);
        rig_dns(&rig, zone);
        snprintf(main_cf, sizeof(main_cf),
                 RIG_MAIN_CF "proxy_interfaces = 198.51.100.66\n"
                             "relay_clientcerts = inline:{AA:09=friend}\n"
                             "reject_code = 571\n"
                             "unknown_address_reject_code = 550\n"
                             "unknown_hostname_reject_code = 550\n"
                             "unknown_client_reject_code = 550\n"
                             "plaintext_reject_code = 550\n"
                             "reject_tempfail_action = defer\n"
                             "smtpd_reject_unlisted_recipient = no\n"
                             "smtpd_relay_restrictions = permit\n"
                             "smtpd_recipient_restrictions = %s%s, %s\n",
                 r->name, argument_of(r), behind);
        rig_load(&rig, main_cf);
}

static int judge(const struct situation *s)
{
        rig_facts(&rig, s->from, s->to);
        rig_client(&rig, s->client, s->address);
        rig.facts.client_name_status = s->status;
        rig.facts.reverse_client_name_status =
                s->status == CLIENT_NAME_FORGED ? CLIENT_NAME_OK : s->status;
        rig.facts.helo = str_from(s->helo);
        rig.facts.has_tls = s->has_tls;
        struct tls_peer certificate = {.has_certificate = s->fingerprint != NULL,
                                       .is_trusted = s->has_tls};
        if (s->fingerprint)
                snprintf(certificate.fingerprint, sizeof(certificate.fingerprint), "%s",
                         s->fingerprint);
        rig.facts.certificate = &certificate;
        rig.facts.has_early_input = s->has_early_input;
        rig.facts.recipient_count = s->recipients_before;
        rig.effects = (struct policy_effects){0};
        rig.facts.dns = dns_questions_new(rig.dns);
        rig.facts.visit = dnsbl_visit_new(rig.facts.dns, 2000);
        for (int event = POLICY_AT_CONNECT; event <= POLICY_AT_RCPT; event++)
                policy_prefetch(rig.policy, (enum policy_event)event, &rig.facts);
        await_policy_judge(rig.policy, POLICY_AT_RCPT, &rig.facts, &rig.arena, &rig.effects,
                           &rig.verdict);
        dnsbl_visit_free(&rig.facts.visit);
        dns_questions_free(&rig.facts.dns);
        return rig.verdict.action == VERDICT_PERMIT ? 250 : rig.verdict.reply.code;
}

/* By what comes of it with a permit and with a reject (571) behind it. */
static char outcome_of(int before_permit, int before_reject)
{
        if (before_permit == 250 && before_reject == 571)
                return '-';
        if (before_permit == 250 && before_reject == 250)
                return 'p';
        if (before_permit == 250 && before_reject / 100 == 4)
                return 'r';
        if (before_permit / 100 == 4 && before_reject == 571)
                return 'd';
        if (before_permit == before_reject)
                return (char)('0' + before_permit / 100);
        return '?';
}

static void ask_all(const struct restriction *r, char out[SITUATIONS + 1])
{
        int before_permit[SITUATIONS];
        load(r, "permit");
        for (size_t i = 0; i < SITUATIONS; i++)
                before_permit[i] = judge(&situations[i]);
        rig_done(&rig);
        load(r, "reject");
        for (size_t i = 0; i < SITUATIONS; i++)
                out[i] = outcome_of(before_permit[i], judge(&situations[i]));
        out[SITUATIONS] = '\0';
        rig_done(&rig);
}

static bool is_tested_elsewhere(const char *name)
{
        static char text[200000];
        for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
                if (strcmp(elsewhere[i].restriction, name) != 0)
                        continue;
                char path[500];
                snprintf(path, sizeof(path), "%s/%s", getenv("FOREPOST_SOURCE"), elsewhere[i].file);
                FILE *f = fopen(path, "r");
                if (!f)
                        fail_msg("%s: there is no %s", name, path);
                text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
                fclose(f);
                if (!strstr(text, name))
                        fail_msg("%s has nothing of %s", path, name);
                return true;
        }
        return false;
}

static const struct row *row_of(const char *name)
{
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (strcmp(rows[i].restriction, name) == 0)
                        return &rows[i];
        return NULL;
}

static void each_restriction_in_each_situation(void **state)
{
        size_t wrong = 0, known = 0;
        const struct restriction *r;
        for (size_t i = 0; (r = restriction_at(i)); i++) {
                char outcomes[SITUATIONS + 1];
                const struct row *row = row_of(r->name);
                known += row != NULL;
                if (r->kind == KIND_NOT_YET || r->kind == KIND_WARN || is_tested_elsewhere(r->name))
                        continue;
                ask_all(r, outcomes);
                /* a situation in which it does what it is for is wanted, too */
                if (r->kind == KIND_READY && r->await_ask != await_sleep_step)
                        assert_int_not_equal(strspn(outcomes, "-"), SITUATIONS);
                if (row && strcmp(row->outcomes, outcomes) == 0)
                        continue;
                wrong++;
                print_error("%s: \"%s\", not \"%s\"\n", r->name, outcomes,
                            row ? row->outcomes : "(no row)");
                for (size_t k = 0; row && k < SITUATIONS; k++)
                        if (row->outcomes[k] != outcomes[k])
                                print_error("        %s\n", situations[k].name);
        }
        assert_int_equal(wrong, 0);
        assert_int_equal(known, sizeof(rows) / sizeof(rows[0]));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_restriction_in_each_situation),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
