/* restriction_test.c - each restriction, and each of its outcomes */
#include "policy/rig_unit.h"

enum flags { EARLY = 1, TLS = 2, OURS = 4, IPV6 = 8, SELF = 16 };

struct row {
        const char *restrictions; /* the recipient list */
        const char *helo, *from, *to;
        int flags;
        const char *expected;
};

#define PIPELINED "Improper use of SMTP command pipelining"

static const struct row rows[] = {
        /* any list */
        {"permit", "h.example", "a@b.example", "user@relay.example", 0, "permit"},
        {"reject", "h.example", "a@b.example", "user@relay.example", 0,
         "554 5.7.1 <user@relay.example>: Recipient address rejected: Access denied"},
        {"defer", "h.example", "a@b.example", "user@relay.example", 0,
         "450 4.3.2 <user@relay.example>: Recipient address rejected: Try again later"},
        {"REJECT", "h.example", "a@b.example", "user@relay.example", 0,
         "554 5.7.1 <user@relay.example>: Recipient address rejected: Access denied"},
        {"permit, reject", "h.example", "a@b.example", "user@relay.example", 0, "permit"},
        {"reject_unauth_pipelining", "h.example", "a@b.example", "user@relay.example", 0, "permit"},
        {"reject_unauth_pipelining", "h.example", "a@b.example", "user@relay.example", EARLY,
         "503 5.5.0 <user@relay.example>: Recipient address rejected: " PIPELINED},
        {"reject_plaintext_session", "h.example", "a@b.example", "user@relay.example", TLS,
         "permit"},
        {"reject_plaintext_session", "h.example", "a@b.example", "user@relay.example", 0,
         "450 4.7.1 Session encryption is required"},
        {"reject_multi_recipient_bounce", "h.example", "", "user@relay.example", 0, "permit"},
        {"sleep 1", "h.example", "a@b.example", "user@relay.example", 0, "permit"},

        /* networks */
        {"permit_mynetworks, reject", "h.example", "a@b.example", "user@relay.example", OURS,
         "permit"},
        {"permit_mynetworks, reject", "h.example", "a@b.example", "user@relay.example", OURS | IPV6,
         "permit"},
        {"permit_mynetworks, reject", "h.example", "a@b.example", "user@relay.example", 0,
         "554 5.7.1 <user@relay.example>: Recipient address rejected: Access denied"},
        {"permit_mynetworks, reject", "h.example", "a@b.example", "user@relay.example", IPV6,
         "554 5.7.1 <user@relay.example>: Recipient address rejected: Access denied"},
        {"permit_inet_interfaces, reject", "h.example", "a@b.example", "user@relay.example", SELF,
         "permit"},
        {"permit_inet_interfaces, reject", "h.example", "a@b.example", "user@relay.example", OURS,
         "554 5.7.1 <user@relay.example>: Recipient address rejected: Access denied"},
        {"permit_sasl_authenticated, permit_tls_clientcerts, reject", "h.example", "a@b.example",
         "user@relay.example", TLS,
         "554 5.7.1 <user@relay.example>: Recipient address rejected: Access denied"},

        /* destination */
        {"reject_unauth_destination", "h.example", "a@b.example", "user@relay.example", 0,
         "permit"},
        {"reject_unauth_destination", "h.example", "a@b.example", "bob@local.example", 0, "permit"},
        {"reject_unauth_destination", "h.example", "a@b.example", "known@alias.example", 0,
         "permit"},
        {"reject_unauth_destination", "h.example", "a@b.example", "ann@mailbox.example", 0,
         "permit"},
        {"reject_unauth_destination", "h.example", "a@b.example", "bob@[127.0.0.1]", 0, "permit"},
        {"reject_unauth_destination", "h.example", "a@b.example", "bob@[192.0.2.77]", 0,
         "554 5.7.1 <bob@[192.0.2.77]>: Relay access denied"},
        {"reject_unauth_destination", "h.example", "a@b.example", "x@other.example", 0,
         "554 5.7.1 <x@other.example>: Relay access denied"},
        {"reject_unauth_destination", "h.example", "a@b.example", "x@other.example", OURS,
         "554 5.7.1 <x@other.example>: Relay access denied"},
        {"reject_unauth_destination", "h.example", "a@b.example", "x%other.example@relay.example",
         0, "554 5.7.1 <x%other.example@relay.example>: Relay access denied"},
        {"reject_unauth_destination", "h.example", "a@b.example", "other.example!x@relay.example",
         0, "554 5.7.1 <other.example!x@relay.example>: Relay access denied"},
        {"reject_unauth_destination", "h.example", "a@b.example",
         "\"x@other.example\"@relay.example", 0,
         "554 5.7.1 <\"x@other.example\"@relay.example>: Relay access denied"},
        {"reject_unauth_destination", "h.example", "a@b.example", "user@broken.example", 0,
         "451 4.3.0 <user@broken.example>: Temporary lookup failure"},
        {"defer_unauth_destination", "h.example", "a@b.example", "x@other.example", 0,
         "454 4.7.1 <x@other.example>: Relay access denied"},
        {"defer_unauth_destination", "h.example", "a@b.example", "user@relay.example", 0, "permit"},
        {"defer_unauth_destination", "h.example", "a@b.example", "user@broken.example", 0,
         "451 4.3.0 <user@broken.example>: Temporary lookup failure"},
        {"permit_auth_destination, reject", "h.example", "a@b.example", "user@relay.example", 0,
         "permit"},
        {"permit_auth_destination, reject", "h.example", "a@b.example", "x@other.example", 0,
         "554 5.7.1 <x@other.example>: Recipient address rejected: Access denied"},
        {"permit_auth_destination, reject", "h.example", "a@b.example", "user@broken.example", 0,
         "451 4.3.0 <user@broken.example>: Temporary lookup failure"},

        /* unlisted */
        {"reject_unlisted_recipient", "h.example", "a@b.example", "no@relay.example", 0,
         "550 5.1.1 <no@relay.example>: Recipient address rejected: User unknown in relay "
         "recipient table"},
        {"reject_unlisted_recipient", "h.example", "a@b.example", "no@local.example", 0,
         "550 5.1.1 <no@local.example>: Recipient address rejected: User unknown in local "
         "recipient table"},
        {"reject_unlisted_recipient", "h.example", "a@b.example", "no@alias.example", 0,
         "550 5.1.1 <no@alias.example>: Recipient address rejected: User unknown in virtual "
         "alias table"},
        {"reject_unlisted_recipient", "h.example", "a@b.example", "no@mailbox.example", 0,
         "550 5.1.1 <no@mailbox.example>: Recipient address rejected: User unknown in virtual "
         "mailbox table"},
        {"check_recipient_maps", "h.example", "a@b.example", "no@relay.example", 0,
         "550 5.1.1 <no@relay.example>: Recipient address rejected: User unknown in relay "
         "recipient table"},
        {"reject_unlisted_recipient", "h.example", "a@b.example", "user+x@relay.example", 0,
         "permit"},
        {"reject_unlisted_recipient", "h.example", "a@b.example", "USER@Relay.Example", 0,
         "permit"},
        {"reject_unlisted_recipient", "h.example", "a@b.example", "x@other.example", OURS,
         "permit"},
        {"reject_unlisted_recipient", "h.example", "a@b.example", "broken@relay.example", 0,
         "451 4.3.0 <broken@relay.example>: Temporary lookup failure"},
        {"reject_unlisted_sender", "h.example", "no@relay.example", "user@relay.example", 0,
         "550 5.1.0 <no@relay.example>: Sender address rejected: User unknown in relay "
         "recipient table"},
        {"reject_unlisted_sender", "h.example", "user@relay.example", "user@relay.example", 0,
         "permit"},
        {"reject_unlisted_sender", "h.example", "", "user@relay.example", 0, "permit"},
        {"reject_unlisted_sender", "h.example", "broken@relay.example", "user@relay.example", 0,
         "451 4.3.0 <broken@relay.example>: Temporary lookup failure"},

        /* syntax */
        {"reject_non_fqdn_helo_hostname", "h.example", "a@b.example", "user@relay.example", 0,
         "permit"},
        {"reject_non_fqdn_helo_hostname", "h.example.", "a@b.example", "user@relay.example", 0,
         "permit"},
        {"reject_non_fqdn_helo_hostname", "[192.0.2.1]", "a@b.example", "user@relay.example", 0,
         "permit"},
        {"reject_non_fqdn_helo_hostname", "[192.0.2.256]", "a@b.example", "user@relay.example", 0,
         "501 5.5.2 <[192.0.2.256]>: Helo command rejected: invalid ip address"},
        {"reject_non_fqdn_helo_hostname", "localhost", "a@b.example", "user@relay.example", 0,
         "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"},
        {"reject_non_fqdn_hostname", "192.0.2.1", "a@b.example", "user@relay.example", 0,
         "504 5.5.2 <192.0.2.1>: Helo command rejected: need fully-qualified hostname"},
        {"reject_non_fqdn_hostname", "", "a@b.example", "user@relay.example", 0, "permit"},
        {"reject_invalid_helo_hostname", "localhost", "a@b.example", "user@relay.example", 0,
         "permit"},
        {"reject_invalid_helo_hostname", "b\xc3\xbc.example", "a@b.example", "user@relay.example",
         0, "501 5.5.2 <b\xc3\xbc.example>: Helo command rejected: Invalid name"},
        {"reject_non_fqdn_helo_hostname", "b\xc3\xbc.example", "a@b.example", "user@relay.example",
         0, "504 5.5.2 <b\xc3\xbc.example>: Helo command rejected: need fully-qualified hostname"},
        {"reject_invalid_helo_hostname", "192.0.2.1", "a@b.example", "user@relay.example", 0,
         "permit"},
        {"reject_invalid_helo_hostname", "[IPv6:2001:db8::1]", "a@b.example", "user@relay.example",
         0, "permit"},
        {"reject_invalid_helo_hostname", "[2001:db8::1]", "a@b.example", "user@relay.example", 0,
         "501 5.5.2 <[2001:db8::1]>: Helo command rejected: invalid ip address"},
        {"reject_invalid_hostname", "-bad-.example", "a@b.example", "user@relay.example", 0,
         "501 5.5.2 <-bad-.example>: Helo command rejected: Invalid name"},
        {"reject_invalid_hostname", "a b", "a@b.example", "user@relay.example", 0,
         "501 5.5.2 <a b>: Helo command rejected: Invalid name"},
        {"reject_non_fqdn_sender", "h.example", "a@b.example", "user@relay.example", 0, "permit"},
        {"reject_non_fqdn_sender", "h.example", "a@b", "user@relay.example", 0,
         "504 5.5.2 <a@b>: Sender address rejected: need fully-qualified address"},
        {"reject_non_fqdn_sender", "h.example", "a", "user@relay.example", 0,
         "504 5.5.2 <a>: Sender address rejected: need fully-qualified address"},
        {"reject_non_fqdn_sender", "h.example", "", "user@relay.example", 0, "permit"},
        {"reject_non_fqdn_sender", "h.example", "a@[192.0.2.1]", "user@relay.example", 0, "permit"},
        {"reject_non_fqdn_recipient", "h.example", "a@b.example", "user", 0,
         "504 5.5.2 <user>: Recipient address rejected: need fully-qualified address"},
        {"reject_non_fqdn_recipient", "h.example", "a@b.example", "user@relay.example", 0,
         "permit"},
        {"reject_non_fqdn_recipient", "h.example", "a@b.example", "postmaster", 0, "permit"},

        /* access tables */
        {"check_client_access inline:{192.0.2.1=REJECT}", "h.example", "a@b.example",
         "user@relay.example", 0,
         "554 5.7.1 <client.example[192.0.2.1]>: Client host rejected: Access denied"},
        {"check_helo_access inline:{{h.example=REJECT go away}}", "h.example", "a@b.example",
         "user@relay.example", 0, "554 5.7.1 <h.example>: Helo command rejected: go away"},
        {"check_sender_access inline:{b.example=REJECT}", "h.example", "a@b.example",
         "user@relay.example", 0,
         "554 5.7.1 <a@b.example>: Sender address rejected: Access denied"},
        {"check_recipient_access inline:{user@=REJECT}", "h.example", "a@b.example",
         "user@relay.example", 0,
         "554 5.7.1 <user@relay.example>: Recipient address rejected: Access denied"},
        {"inline:{user@=REJECT}", "h.example", "a@b.example", "user@relay.example", 0,
         "554 5.7.1 <user@relay.example>: Recipient address rejected: Access denied"},
        {"check_helo_access inline:{h.example=REJECT}", "", "a@b.example", "user@relay.example", 0,
         "permit"},
        {"check_client_access inline:{1.1.1.1=REJECT}, reject", "h.example", "a@b.example",
         "user@relay.example", 0,
         "554 5.7.1 <user@relay.example>: Recipient address rejected: Access denied"},
        {"check_client_access inline:{192.0.2.1=OK}, reject", "h.example", "a@b.example",
         "user@relay.example", 0, "permit"},
        {"check_helo_access inline:{x=y}", "broken.example", "a@b.example", "user@relay.example", 0,
         "451 4.3.0 <broken.example>: Temporary lookup failure"},
        {"check_sender_access inline:{x=y}", "h.example", "broken@b.example", "user@relay.example",
         0, "451 4.3.0 <broken@b.example>: Temporary lookup failure"},
        {"check_recipient_access inline:{x=y}", "h.example", "a@b.example", "user@broken.example",
         0, "451 4.3.0 <user@broken.example>: Temporary lookup failure"},
};

static void set_flags(struct rig *r, int flags)
{
        r->facts.has_early_input = flags & EARLY;
        r->facts.has_tls = flags & TLS;
        if (flags & SELF)
                rig_client(r, "self.example", "127.0.0.1");
        else if ((flags & OURS) && (flags & IPV6))
                rig_client(r, "ours.example", "2001:db8:1::25");
        else if (flags & OURS)
                rig_client(r, "ours.example", "10.0.0.77");
        else if (flags & IPV6)
                rig_client(r, "unknown", "2001:db8:2::25");
}

static void restrictions_answer(void **state)
{
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const struct row *row = &rows[i];
                struct rig r;
                char main_cf[2000];
                rig_init(&r);
                snprintf(main_cf, sizeof(main_cf),
                         RIG_MAIN_CF "smtpd_relay_restrictions =\n"
                                     "smtpd_recipient_restrictions = %s\n",
                         row->restrictions);
                rig_load(&r, main_cf);
                rig_facts(&r, row->from, row->to);
                r.facts.helo = str_from(row->helo);
                set_flags(&r, row->flags);
                const char *said = rig_judge(&r, POLICY_AT_RCPT);
                if (strcmp(said, row->expected) != 0) {
                        rig_print_findings(&r);
                        fail_msg("%s: said \"%s\", not \"%s\"", row->restrictions, said,
                                 row->expected);
                }
                rig_done(&r);
        }
}

static void codes_are_configured(void **state)
{
        static const struct {
                const char *line, *restriction, *from, *to, *expected;
        } cases[] = {
                {"unknown_local_recipient_reject_code = 500", "permit", "a@b.example",
                 "no@local.example",
                 "500 5.1.1 <no@local.example>: Recipient address rejected: User unknown in local "
                 "recipient table"},
                {"unknown_relay_recipient_reject_code = 450", "permit", "a@b.example",
                 "no@relay.example",
                 "450 4.1.1 <no@relay.example>: Recipient address rejected: User unknown in relay "
                 "recipient table"},
                {"show_user_unknown_table_name = no", "permit", "a@b.example", "no@relay.example",
                 "550 5.1.1 <no@relay.example>: Recipient address rejected: User unknown"},
                {"relay_domains_reject_code = 551", "reject_unauth_destination", "a@b.example",
                 "x@other.example", "551 5.7.1 <x@other.example>: Relay access denied"},
                {"relay_domains_reject_code = 450", "defer_unauth_destination", "a@b.example",
                 "x@other.example", "450 4.7.1 <x@other.example>: Relay access denied"},
                {"non_fqdn_reject_code = 450", "reject_non_fqdn_sender", "a@b", "bob@local.example",
                 "450 4.5.2 <a@b>: Sender address rejected: need fully-qualified address"},
                {"reject_code = 521", "reject", "a@b.example", "bob@local.example",
                 "521 5.7.1 <bob@local.example>: Recipient address rejected: Access denied"},
                {"defer_code = 421", "defer", "a@b.example", "bob@local.example",
                 "421 4.3.2 <bob@local.example>: Recipient address rejected: Try again later"},
                {"access_map_reject_code = 550", "inline:{bob@=reject}", "a@b.example",
                 "bob@local.example",
                 "550 5.7.1 <bob@local.example>: Recipient address rejected: Access denied"},
                {"soft_bounce = yes", "reject", "a@b.example", "bob@local.example",
                 "454 4.7.1 <bob@local.example>: Recipient address rejected: Access denied"},
                {"plaintext_reject_code = 530", "reject_plaintext_session", "a@b.example",
                 "bob@local.example", "530 5.7.1 Session encryption is required"},
                {"allow_untrusted_routing = yes", "reject_unauth_destination", "a@b.example",
                 "x%y@mailbox.example",
                 "550 5.1.1 <x%y@mailbox.example>: Recipient address rejected: User unknown in "
                 "virtual mailbox table"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct rig r;
                char main_cf[2000];
                rig_init(&r);
                snprintf(main_cf, sizeof(main_cf),
                         RIG_MAIN_CF "%s\nsmtpd_relay_restrictions =\n"
                                     "smtpd_recipient_restrictions = %s\n",
                         cases[i].line, cases[i].restriction);
                rig_load(&r, main_cf);
                assert_string_equal(rig_rcpt(&r, cases[i].from, cases[i].to), cases[i].expected);
                rig_done(&r);
        }
}

static void bounces_go_to_one(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "smtpd_recipient_restrictions = reject_multi_recipient_bounce\n"
                                 "smtpd_data_restrictions = reject_multi_recipient_bounce, "
                                 "reject_unauth_pipelining\n");
        rig_facts(&r, "", "user@relay.example");
        r.facts.recipient_count = 1;
        assert_string_equal(rig_judge(&r, POLICY_AT_RCPT),
                            "550 5.5.3 <user@relay.example>: Recipient address rejected: "
                            "Multi-recipient bounce");
        assert_string_equal(rig_judge(&r, POLICY_AT_DATA), "permit");
        r.facts.recipient_count = 2;
        r.facts.recipient = rig_address(&r, "");
        assert_string_equal(rig_judge(&r, POLICY_AT_DATA),
                            "550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce");
        r.facts.sender = rig_address(&r, "a@b.example");
        assert_string_equal(rig_judge(&r, POLICY_AT_DATA), "permit");
        r.facts.has_early_input = true;
        assert_string_equal(rig_judge(&r, POLICY_AT_DATA),
                            "503 5.5.0 <DATA>: Data command rejected: " PIPELINED);
        rig_done(&r);
}

static void networks_come_from_tables_too(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_write(&r, "nets", "10.0.0.0/24 OK\n2001:db8::/32 OK\n");
        char main_cf[1000];
        snprintf(main_cf, sizeof(main_cf),
                 "mynetworks = !10.0.0.7, cidr:%s/nets\n"
                 "core_relays = 192.0.2.10 !192.0.2.99 192.0.2.96/28\n"
                 "smtpd_client_event_limit_exceptions = 198.51.100.0/24, .friend.example\n"
                 "smtpd_forbid_bare_newline_exclusions = friend.example\n"
                 "parent_domain_matches_subdomains = mynetworks\n",
                 r.dir);
        rig_load(&r, main_cf);
        static const struct {
                const char *address;
                bool is_ours, may_enter, is_free;
        } cases[] = {
                {"10.0.0.8", true, false, false},     {"10.0.0.7", false, false, false},
                {"2001:db8::1", true, false, false},  {"192.0.2.10", false, true, false},
                {"192.0.2.99", false, false, false},  {"192.0.2.98", false, true, false},
                {"198.51.100.4", false, false, true}, {"2001:dead::1", false, false, false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                unsigned char bits[16];
                assert_true(network_address_parse(str_from(cases[i].address), bits));
                assert_int_equal(policy_is_mynetwork(r.policy, bits), cases[i].is_ours);
                assert_int_equal(policy_lets_in(r.policy, bits), cases[i].may_enter);
                rig_client(&r, "unknown", cases[i].address);
                r.facts.client_name_status = CLIENT_NAME_NONE;
                assert_int_equal(policy_is_unlimited(r.policy, &r.facts), cases[i].is_free);
                assert_false(policy_may_end_lines_in_lf(r.policy, &r.facts));
        }
        /* names; of the exclusions parent_domain_matches_subdomains speaks as of mynetworks */
        static const struct {
                const char *name;
                bool is_free, may_end_in_lf;
        } named[] = {
                {"a.friend.example", true, true},
                {"A.B.Friend.Example", true, true},
                {"friend.example", false, true},
                {"notfriend.example", false, false},
                {"friend.example.other.example", false, false},
        };
        for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
                rig_client(&r, named[i].name, "203.0.113.1");
                r.facts.client_name_status = CLIENT_NAME_OK;
                assert_int_equal(policy_is_unlimited(r.policy, &r.facts), named[i].is_free);
                assert_int_equal(policy_may_end_lines_in_lf(r.policy, &r.facts),
                                 named[i].may_end_in_lf);
                r.facts.client_name_status = CLIENT_NAME_FORGED;
                assert_false(policy_is_unlimited(r.policy, &r.facts));
                assert_false(policy_may_end_lines_in_lf(r.policy, &r.facts));
        }
        rig_done(&r);
}

/* debug_peer_list: clients and next hops; parent domains by themselves, as parent_domain_matches_subdomains has it by default */
static void peers_are_debugged_by_name_or_address(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "debug_peer_list = !no.peer.example peer.example 192.0.2.0/28\n");
        assert_true(policy_debugs(r.policy, STR("a.Peer.example"), STR("198.51.100.1")));
        assert_true(policy_debugs(r.policy, STR("peer.example"), STR("")));
        assert_true(policy_debugs(r.policy, STR(""), STR("192.0.2.1")));
        assert_true(policy_debugs(r.policy, STR("other.example"), STR("192.0.2.1")));
        assert_false(policy_debugs(r.policy, STR("no.peer.example"), STR("192.0.2.1")));
        assert_false(policy_debugs(r.policy, STR("other.example"), STR("2001:db8::1")));
        assert_false(policy_debugs(r.policy, STR(""), STR("")));
        rig_done(&r);
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "debug_peer_list = 192.0.2.1\ndebug_peer_level = 0\n");
        assert_false(policy_debugs(r.policy, STR(""), STR("192.0.2.1")));
        rig_done(&r);
}

/* smtpd_authorized_xclient_hosts: names as well as addresses, the first that fits */
static void clients_are_known_by_name_too(void **state)
{
        struct rig r;
        char main_cf[1000];
        rig_init(&r);
        rig_write(&r, "table", "host.table.example OK\n.sub.table.example OK\n192.0.2.77 OK\n");
        rig_write(&r, "file", "192.0.2.80\n192.0.2.88/29\n");
        snprintf(main_cf, sizeof(main_cf),
                 RIG_MAIN_CF "smtpd_authorized_xclient_hosts = !no.friend.example .friend.example "
                             "!192.0.2.1 192.0.2.0/28 one.example hash:%s/table %s/file\n",
                 r.dir, r.dir);
        rig_load(&r, main_cf);
        assert_false(findings_has_errors(&r.findings));
        static const struct {
                const char *name, *address;
                bool may;
        } cases[] = {
                {"a.friend.example", "198.51.100.1", true},
                {"A.Friend.Example", "198.51.100.1", true},
                {"friend.example", "198.51.100.1", false},
                {"no.friend.example", "198.51.100.1", false},
                {"no.friend.example", "192.0.2.2", false},
                {"notfriend.example", "198.51.100.1", false},
                {"a.friend.example.evil.example", "198.51.100.1", false},
                {"a.friend.example", "192.0.2.1", true},
                {"unknown", "192.0.2.1", false},
                {"unknown", "192.0.2.2", true},
                {"one.example", "2001:db8::1", true},
                {"a.one.example", "2001:db8::1", false},
                {"host.table.example", "198.51.100.1", true},
                {"x.sub.table.example", "198.51.100.1", true},
                {"table.example", "198.51.100.1", false},
                {"unknown", "192.0.2.77", true},
                {"unknown", "192.0.2.80", true},
                {"unknown", "192.0.2.90", true},
                {"unknown", "192.0.2.81", false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                bool is_known = strcmp(cases[i].name, "unknown") != 0;
                rig_client(&r, cases[i].name, cases[i].address);
                r.facts.client_name_status = is_known ? CLIENT_NAME_OK : CLIENT_NAME_NONE;
                if (policy_may_xclient(r.policy, &r.facts) != cases[i].may)
                        fail_msg("%s[%s]", cases[i].name, cases[i].address);
                assert_false(policy_may_xforward(r.policy, &r.facts));
                /* a name that does not point back says nothing */
                r.facts.client_name_status = CLIENT_NAME_FORGED;
                if (strcmp(cases[i].address, "198.51.100.1") == 0)
                        assert_false(policy_may_xclient(r.policy, &r.facts));
        }
        rig_done(&r);
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "authorized_verp_clients = !10.0.0.9, 10.0.0.0/24, .lists.test\n");
        rig_client(&r, "unknown", "10.0.0.1");
        assert_true(policy_may_verp(r.policy, &r.facts));
        assert_false(policy_may_xclient(r.policy, &r.facts));
        rig_client(&r, "unknown", "10.0.0.9");
        assert_false(policy_may_verp(r.policy, &r.facts));
        rig_client(&r, "mx.lists.test", "192.0.2.9");
        r.facts.client_name_status = CLIENT_NAME_OK;
        assert_true(policy_may_verp(r.policy, &r.facts));
        r.facts.client_name_status = CLIENT_NAME_FORGED;
        assert_false(policy_may_verp(r.policy, &r.facts));
        rig_done(&r);
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "smtpd_authorized_xforward_hosts = 10.0.0.1/24 192.0.2.1\n");
        assert_non_null(rig_finding(&r, "bad-network"));
        rig_client(&r, "unknown", "10.0.0.1");
        assert_false(policy_may_xforward(r.policy, &r.facts));
        rig_done(&r);
}

static void bad_networks_are_errors(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_load(&r, "mynetworks = 10.0.0.0/24 10.0.0.1/24 example.com\n");
        assert_int_equal(r.findings.count[SEVERITY_ERROR] >= 2, true);
        const struct finding *f = rig_finding(&r, "bad-network");
        assert_non_null(f);
        assert_int_equal(f->line, 1);
        rig_done(&r);
}

/* check_ccert_access: by the certificate, by its key, in the order that is asked for */
static void certificates_are_looked_for_in_order(void **state)
{
#define PRINTS  "inline:{ {AA:01=REJECT the certificate}, {BB:02=REJECT the key} }"
#define NO(who) "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: the " who
        static const struct {
                const char *restriction, *print, *key_print, *expected;
        } cases[] = {
                {PRINTS, "AA:01", "BB:02", NO("certificate")},
                {PRINTS, "CC:03", "BB:02", NO("key")},
                {PRINTS, "CC:03", "DD:04", "permit"},
                {"{ " PRINTS " }", "AA:01", "BB:02", NO("certificate")},
                {"{ " PRINTS ", { search_order = pubkey_fingerprint, cert_fingerprint } }", "AA:01",
                 "BB:02", NO("key")},
                {"{ " PRINTS ", { search_order = pubkey_fingerprint cert_fingerprint } }", "AA:01",
                 "DD:04", NO("certificate")},
                {"{ " PRINTS " { search_order=cert_fingerprint } }", "CC:03", "BB:02", "permit"},
                {"{ " PRINTS ", { search_order = PUBKEY_FINGERPRINT } }", "AA:01", "DD:04",
                 "permit"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct rig r;
                char main_cf[3000];
                struct tls_peer peer = {.has_certificate = true};
                rig_init(&r);
                snprintf(main_cf, sizeof(main_cf),
                         RIG_MAIN_CF "smtpd_client_restrictions = check_ccert_access %s\n",
                         cases[i].restriction);
                rig_load(&r, main_cf);
                rig_facts(&r, "a@b.example", "user@relay.example");
                rig_client(&r, "unknown", "192.0.2.1");
                snprintf(peer.fingerprint, sizeof(peer.fingerprint), "%s", cases[i].print);
                snprintf(peer.key_fingerprint, sizeof(peer.key_fingerprint), "%s",
                         cases[i].key_print);
                r.facts.has_tls = true;
                r.facts.certificate = &peer;
                const char *got = rig_judge(&r, POLICY_AT_RCPT);
                if (strcmp(got, cases[i].expected) != 0)
                        fail_msg("%s: %s", cases[i].restriction, got);
                rig_done(&r);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(restrictions_answer),
                cmocka_unit_test(codes_are_configured),
                cmocka_unit_test(bounces_go_to_one),
                cmocka_unit_test(networks_come_from_tables_too),
                cmocka_unit_test(bad_networks_are_errors),
                cmocka_unit_test(certificates_are_looked_for_in_order),
                cmocka_unit_test(clients_are_known_by_name_too),
                cmocka_unit_test(peers_are_debugged_by_name_or_address),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
