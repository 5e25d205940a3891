/* step_dns_test.c - restrictions that ask DNS, each with each of its outcomes */
#include "policy/rig_unit.h"

#define ZONE                                       \
        "client.example A 192.0.2.1\n"             \
        "client.example MX 10 mx.client.example\n" \
        "client.example NS ns.client.example\n"    \
        "mx.client.example A 198.51.100.1\n"       \
        "mx.client.example AAAA 2001:db8:5::1\n"   \
        "ns.client.example A 198.51.100.53\n"      \
        "b.example MX 10 mx1.b.example\n"          \
        "b.example MX 20 mx2.b.example\n"          \
        "b.example A 192.0.2.80\n"                 \
        "mx1.b.example A 203.0.113.1\n"            \
        "mx2.b.example A 203.0.113.2\n"            \
        "b.example NS ns.evil.example\n"           \
        "ns.evil.example A 203.0.113.66\n"         \
        "a-only.example A 203.0.113.5\n"           \
        "v6-only.example AAAA 2001:db8::5\n"       \
        "txt-only.example TXT hello\n"             \
        "null.example MX 0 .\n"                    \
        "half-null.example MX 0 .\n"               \
        "half-null.example MX 10 mx1.b.example\n"  \
        "bad-mx.example MX 10 a\\@b\n"             \
        "number-mx.example MX 10 203.0.113.9\n"    \
        "half.example MX 10 dead.example\n"        \
        "dead.example SERVFAIL\n"                  \
        "slow.example TIMEOUT\n"                   \
        "forged.example BOGUS\n"                   \
        "forged.example A 203.0.113.7\n"           \
        "deep.sub.b.example A 203.0.113.8\n"       \
        "backed.example MX 10 mx1.b.example\n"     \
        "backed.example MX 20 us.example\n"        \
        "alone.example MX 10 us.example\n"         \
        "alone.example MX 20 mx1.b.example\n"      \
        "hurt.example MX 10 dead.example\n"        \
        "hurt.example MX 20 us.example\n"          \
        "us.example A 203.0.113.99\n"              \
        "xn--bcher-kva.example MX 10 mx1.b.example\n"

struct row {
        const char *restriction;
        const char *table; /* of the table named @ */
        const char *helo, *from, *to;
        const char *expected;
        const char *more; /* main.cf */
};

#define H  "client.example"
#define F  "a@b.example"
#define T  "user@relay.example"
#define TB "<user@relay.example>: Recipient address rejected: "
#define OK "permit"

static const struct row rows[] = {
/* permit_mx_backup: with reject_unauth_destination behind it in smtpd_relay_restrictions */
#define MX \
        "proxy_interfaces = 203.0.113.99\nsmtpd_relay_restrictions = permit_mx_backup, reject_unauth_destination\n"
#define DENIED(to) "554 5.7.1 <" to ">: Relay access denied"
        {"permit", "", H, F, "x@backed.example", OK, MX},
        {"permit", "", H, F, T, OK, MX},
        {"permit", "", H, F, "x@alone.example", DENIED("x@alone.example"), MX},
        {"permit", "", H, F, "x@b.example", DENIED("x@b.example"), MX},
        {"permit", "", H, F, "x@none.example", DENIED("x@none.example"), MX},
        {"permit", "", H, F, "x%y@backed.example", DENIED("x%y@backed.example"), MX},
        {"permit", "", H, F, "x@hurt.example",
         "450 4.4.3 <x@hurt.example>: Recipient address rejected: Unable to verify host as mail exchanger",
         MX},
        {"permit", "", H, F, "x@dead.example",
         "450 4.4.3 <x@dead.example>: Recipient address rejected: Unable to verify host as mail exchanger",
         MX},
        {"permit", "", H, F, "x@backed.example", OK,
         MX "permit_mx_backup_networks = 203.0.113.0/30\n"},
        {"permit", "", H, F, "x@backed.example", DENIED("x@backed.example"),
         MX "permit_mx_backup_networks = 198.51.100.0/24\n"},
        /* HELO */
        {"reject_unknown_helo_hostname", "", H, F, T, OK, ""},
        {"reject_unknown_helo_hostname", "", "Client.Example", F, T, OK, ""},
        /* no host's name: a final dot, U-labels (though their A-labels are there) */
        {"reject_unknown_helo_hostname", "", "Client.Example.", F, T,
         "450 4.7.1 <Client.Example.>: Helo command rejected: Host not found", ""},
        {"reject_unknown_helo_hostname", "",
         "b\xc3\xbc"
         "cher.example",
         F, T,
         "450 4.7.1 <b\xc3\xbc"
         "cher.example>: Helo command rejected: Host not found",
         ""},
        {"reject_unknown_helo_hostname", "", "xn--bcher-kva.example", F, T, OK, ""},
        {"reject_unknown_helo_hostname", "", "v6-only.example", F, T, OK, ""},
        {"reject_unknown_helo_hostname", "", "half.example", F, T, OK, ""},
        {"reject_unknown_helo_hostname", "", "null.example", F, T, OK, ""},
        {"reject_unknown_helo_hostname", "", "[192.0.2.1]", F, T, OK, ""},
        {"reject_unknown_helo_hostname", "", "[192.0.2]", F, T,
         "501 5.5.2 <[192.0.2]>: Helo command rejected: invalid ip address", ""},
        {"reject_unknown_helo_hostname", "", "none.example", F, T,
         "450 4.7.1 <none.example>: Helo command rejected: Host not found", ""},
        {"reject_unknown_helo_hostname", "", "txt-only.example", F, T,
         "450 4.7.1 <txt-only.example>: Helo command rejected: Host not found", ""},
        {"reject_unknown_helo_hostname", "", "none.example", F, T,
         "554 5.7.1 <none.example>: Helo command rejected: Host not found",
         "unknown_hostname_reject_code = 554\n"},
        {"reject_unknown_helo_hostname", "", "192.0.2.1", F, T,
         "450 4.7.1 <192.0.2.1>: Helo command rejected: Host not found", ""},
        {"reject_unknown_helo_hostname", "", "dead.example", F, T,
         "450 4.7.1 <dead.example>: Helo command rejected: Host not found",
         "unknown_hostname_reject_code = 554\n"},
        {"reject_unknown_helo_hostname", "", "slow.example", F, T,
         "450 4.7.1 <slow.example>: Helo command rejected: Host not found",
         "unknown_hostname_reject_code = 554\n"},
        {"reject_unknown_helo_hostname", "", "forged.example", F, T,
         "450 4.7.1 <forged.example>: Helo command rejected: Host not found",
         "unknown_hostname_reject_code = 554\n"},
        /* what another rule refuses stays refused with defer_if_permit, not with defer */
        {"reject_unknown_helo_hostname, reject", "", "dead.example", F, T,
         "554 5.7.1 " TB "Access denied", ""},
        {"reject_unknown_helo_hostname, reject", "", "dead.example", F, T,
         "450 4.7.1 <dead.example>: Helo command rejected: Host not found",
         "unknown_helo_hostname_tempfail_action = defer\n"},
        {"reject_unknown_helo_hostname, reject", "", "dead.example", F, T,
         "450 4.7.1 <dead.example>: Helo command rejected: Host not found",
         "reject_tempfail_action = defer\n"},
        {"reject_unknown_hostname", "", "none.example", F, T,
         "450 4.7.1 <none.example>: Helo command rejected: Host not found", ""},

        /* smtpd_dns_reply_filter: what is left counts; of a name of which nothing is left nothing is said */
        {"reject_unknown_helo_hostname", "", "v6-only.example", F, T, OK,
         "smtpd_dns_reply_filter = pcre:{{/IN AAAA/ IGNORE}}\n"},
        {"reject_unknown_helo_hostname", "", "none.example", F, T,
         "450 4.7.1 <none.example>: Helo command rejected: Host not found",
         "smtpd_dns_reply_filter = pcre:{{/./ IGNORE}}\n"},
        {"reject_unknown_sender_domain", "", H, "x@null.example", T,
         "550 5.7.27 <x@null.example>: Sender address rejected: Domain null.example does not accept mail (nullMX)",
         "smtpd_dns_reply_filter = pcre:{{/./ IGNORE}}\n"},
        {"reject_unknown_sender_domain", "", H, "x@b.example", T, OK,
         "smtpd_dns_reply_filter = pcre:{{/./ IGNORE}}\n"},
        {"reject_unknown_sender_domain", "", H, "x@b.example", T,
         "450 4.1.8 <x@b.example>: Sender address rejected: Domain not found",
         "smtpd_dns_reply_filter = pcre:{{/./ WHAT}}\n"},
        {"check_sender_mx_access @", "{203.0.113.2=REJECT no}", H, F, T, OK,
         "smtpd_dns_reply_filter = pcre:{{/mx2/ IGNORE}}\n"},

        /* sender */
        {"reject_unknown_sender_domain", "", H, F, T, OK, ""},
        {"reject_unknown_sender_domain", "", H, "", T, OK, ""},
        {"reject_unknown_sender_domain", "", H, "x@[192.0.2.1]", T, OK, ""},
        {"reject_unknown_sender_domain", "", H, "x@a-only.example", T, OK, ""},
        {"reject_unknown_sender_domain", "", H, "x@v6-only.example", T, OK, ""},
        {"reject_unknown_sender_domain", "", H, "x@half.example", T, OK, ""},
        {"reject_unknown_sender_domain", "", H, "x@number-mx.example", T, OK, ""},
        {"reject_unknown_sender_domain", "", H, "bob@local.example", T, OK, ""},
        {"reject_unknown_sender_domain", "", H, "x@none.example", T,
         "450 4.1.8 <x@none.example>: Sender address rejected: Domain not found", ""},
        /* without a domain it is myorigin's */
        {"reject_unknown_sender_domain", "", H, "x", T,
         "450 4.1.8 <x>: Sender address rejected: Domain not found", ""},
        {"reject_unknown_sender_domain", "", H, "x@half-null.example", T,
         "550 5.7.27 <x@half-null.example>: Sender address rejected: Domain half-null.example does "
         "not accept mail (nullMX)",
         ""},
        {"reject_unknown_sender_domain", "", H, "x@txt-only.example", T,
         "550 5.1.8 <x@txt-only.example>: Sender address rejected: Domain not found",
         "unknown_address_reject_code = 550\n"},
        {"reject_unknown_sender_domain", "", H, "x@null.example", T,
         "550 5.7.27 <x@null.example>: Sender address rejected: Domain null.example does not accept "
         "mail (nullMX)",
         ""},
        {"reject_unknown_sender_domain", "", H, "x@bad-mx.example", T,
         "550 5.1.8 <x@bad-mx.example>: Sender address rejected: Malformed DNS server reply",
         "unknown_address_reject_code = 550\n"},
        {"reject_unknown_sender_domain", "", H, "x@dead.example", T,
         "450 4.1.8 <x@dead.example>: Sender address rejected: Domain not found",
         "unknown_address_reject_code = 550\n"},
        {"reject_unknown_sender_domain", "", H, "x@slow.example", T,
         "450 4.1.8 <x@slow.example>: Sender address rejected: Domain not found",
         "unknown_address_reject_code = 550\n"},
        {"reject_unknown_sender_domain", "", H, "x@forged.example", T,
         "450 4.1.8 <x@forged.example>: Sender address rejected: Domain not found",
         "unknown_address_reject_code = 550\n"},
        {"reject_unknown_sender_domain, reject", "", H, "x@dead.example", T,
         "450 4.1.8 <x@dead.example>: Sender address rejected: Domain not found",
         "unknown_address_tempfail_action = defer\n"},
        {"reject_unknown_sender_domain, permit", "", H, "x@dead.example", T,
         "450 4.1.8 <x@dead.example>: Sender address rejected: Domain not found", ""},
        {"warn_if_reject reject_unknown_sender_domain", "", H, "x@dead.example", T, OK, ""},
        {"reject_unknown_address", "", H, "x@none.example", T,
         "450 4.1.8 <x@none.example>: Sender address rejected: Domain not found", ""},

        /* recipient */
        {"reject_unknown_recipient_domain", "", H, F, "x@b.example", OK, ""},
        {"reject_unknown_recipient_domain", "", H, F, "bob@local.example", OK, ""},
        {"reject_unknown_recipient_domain", "", H, F, "ann@mailbox.example", OK, ""},
        {"reject_unknown_recipient_domain", "", H, F, "known@alias.example", OK, ""},
        {"reject_unknown_recipient_domain", "", H, F, "x@none.example",
         "450 4.1.2 <x@none.example>: Recipient address rejected: Domain not found", ""},
        {"reject_unknown_recipient_domain", "", H, F, "user@relay.example",
         "450 4.1.2 <user@relay.example>: Recipient address rejected: Domain not found", ""},
        {"reject_unknown_recipient_domain", "", H, F, "x@null.example",
         "556 5.1.10 <x@null.example>: Recipient address rejected: Domain null.example does not "
         "accept mail (nullMX)",
         ""},
        {"reject_unknown_recipient_domain", "", H, F, "x@dead.example",
         "450 4.1.2 <x@dead.example>: Recipient address rejected: Domain not found",
         "unknown_address_reject_code = 550\n"},

        /* what stands behind a name */
        {"check_client_a_access @", "192.0.2.1=REJECT", H, F, T,
         "554 5.7.1 <client.example[192.0.2.1]>: Client host rejected: Access denied", ""},
        {"check_client_a_access @", "192.0=REJECT", H, F, T,
         "554 5.7.1 <client.example[192.0.2.1]>: Client host rejected: Access denied", ""},
        {"check_client_a_access @", "client.example=REJECT", H, F, T, OK, ""},
        {"check_client_mx_access @", "mx.client.example=REJECT", H, F, T,
         "554 5.7.1 <client.example[192.0.2.1]>: Client host rejected: Access denied", ""},
        {"check_client_mx_access @", "198.51.100=REJECT", H, F, T,
         "554 5.7.1 <client.example[192.0.2.1]>: Client host rejected: Access denied", ""},
        {"check_client_mx_access @", "2001:db8:5=REJECT", H, F, T,
         "554 5.7.1 <client.example[192.0.2.1]>: Client host rejected: Access denied", ""},
        {"check_client_ns_access @", "ns.client.example=REJECT", H, F, T,
         "554 5.7.1 <client.example[192.0.2.1]>: Client host rejected: Access denied", ""},
        {"check_reverse_client_hostname_a_access @", "192.0.2.1=REJECT", H, F, T,
         "554 5.7.1 <client.example>: Unverified Client host rejected: Access denied", ""},
        {"check_reverse_client_hostname_mx_access @", "198.51.100.1=REJECT", H, F, T,
         "554 5.7.1 <client.example>: Unverified Client host rejected: Access denied", ""},
        {"check_reverse_client_hostname_ns_access @", "198.51.100.53=REJECT", H, F, T,
         "554 5.7.1 <client.example>: Unverified Client host rejected: Access denied", ""},
        {"check_reverse_client_hostname_access @", "client.example=REJECT", H, F, T,
         "554 5.7.1 <client.example>: Unverified Client host rejected: Access denied", ""},
        {"check_reverse_client_hostname_access @", "192.0.2=REJECT", H, F, T,
         "554 5.7.1 <client.example>: Unverified Client host rejected: Access denied", ""},
        {"check_reverse_client_hostname_access @, reject", "client.example=OK", H, F, T,
         "451 4.3.5 Server configuration error", ""},
        {"check_helo_a_access @", "203.0.113.5=REJECT", "a-only.example", F, T,
         "554 5.7.1 <a-only.example>: Helo command rejected: Access denied", ""},
        {"check_helo_mx_access @", "mx1.b.example=REJECT", "b.example", F, T,
         "554 5.7.1 <b.example>: Helo command rejected: Access denied", ""},
        {"check_helo_mx_access @", "203.0.113.5=REJECT", "a-only.example", F, T, /* its own MX */
         "554 5.7.1 <a-only.example>: Helo command rejected: Access denied", ""},
        {"check_helo_mx_access @", "192.0.2.9=REJECT", "[192.0.2.9]", F, T,
         "554 5.7.1 <[192.0.2.9]>: Helo command rejected: Access denied", ""},
        {"check_helo_a_access @", "2001:db8::9=REJECT", "[IPv6:2001:db8::9]", F, T,
         "554 5.7.1 <[IPv6:2001:db8::9]>: Helo command rejected: Access denied", ""},
        {"check_helo_a_access @", "2001:db8::9=REJECT", "[2001:db8::9]", F, T, OK, ""},
        {"check_helo_ns_access @", "192.0.2.9=REJECT", "[192.0.2.9]", F, T, OK, ""},
        {"check_helo_ns_access @", "evil.example=REJECT", "deep.sub.b.example", F, T,
         "554 5.7.1 <deep.sub.b.example>: Helo command rejected: Access denied",
         "parent_domain_matches_subdomains = smtpd_access_maps\n"},
        {"check_helo_ns_access @", ".evil.example=REJECT", "nowhere.b.example", F, T,
         "554 5.7.1 <nowhere.b.example>: Helo command rejected: Access denied",
         "parent_domain_matches_subdomains =\n"},
        {"check_sender_a_access @", "192.0.2.80=REJECT", H, F, T,
         "554 5.7.1 <a@b.example>: Sender address rejected: Access denied", ""},
        {"check_sender_mx_access @", "203.0.113.2=REJECT", H, F, T,
         "554 5.7.1 <a@b.example>: Sender address rejected: Access denied", ""},
        {"check_sender_mx_access @", "203.0.113.9=REJECT", H, "x@number-mx.example", T,
         "554 5.7.1 <x@number-mx.example>: Sender address rejected: Access denied", ""},
        {"check_sender_mx_access @", "203.0.113=REJECT", H, "x@null.example", T, OK, ""},
        {"check_sender_mx_access @", "203.0.113=REJECT", H, "", T, OK, ""},
        {"check_sender_mx_access @", "203.0.113=REJECT", H, "x@none.example", T, OK, ""},
        {"check_sender_mx_access @", "mx1.b.example=DUNNO, 203.0.113.1=REJECT", H, F, T, OK, ""},
        {"check_sender_mx_access @, reject", "mx1.b.example=OK", H, F, T,
         "451 4.3.5 Server configuration error", ""},
        {"check_sender_mx_access @", "203.0.113.1=REJECT", H,
         "x@b\xc3\xbc"
         "cher.example",
         T,
         "554 5.7.1 <x@b\xc3\xbc"
         "cher.example>: Sender address rejected: Access denied",
         ""},
        {"check_sender_mx_access @", "broken.b.example=REJECT", H, "x@broken.b.example", T,
         "451 4.3.0 <x@broken.b.example>: Temporary lookup failure", ""},
        {"check_sender_mx_access @", "x=REJECT", H, "x@dead.example", T,
         "450 4.4.3 <x@dead.example>: Sender address rejected: cannot look up its mail servers",
         ""},
        {"check_sender_mx_access @", "x=REJECT", H, "x@half.example", T,
         "450 4.4.3 <x@half.example>: Sender address rejected: cannot look up its mail servers",
         ""},
        {"check_sender_ns_access @", "x=REJECT", H, "x@forged.example", T,
         "450 4.4.3 <x@forged.example>: Sender address rejected: cannot look up its name servers",
         ""},
        {"check_sender_a_access @, reject", "x=REJECT", H, "x@slow.example", T,
         "450 4.4.3 <x@slow.example>: Sender address rejected: cannot look up its addresses",
         "reject_tempfail_action = defer\n"},
        {"check_sender_ns_access @", "ns.evil.example=REJECT", H, F, T,
         "554 5.7.1 <a@b.example>: Sender address rejected: Access denied", ""},
        {"check_recipient_a_access @", "192.0.2.80=REJECT", H, F, "x@b.example",
         "554 5.7.1 <x@b.example>: Recipient address rejected: Access denied", ""},
        {"check_recipient_mx_access @", "203.0.113.1=DEFER", H, F, "x@b.example",
         "450 4.7.1 <x@b.example>: Recipient address rejected: Access denied", ""},
        {"check_recipient_ns_access @", "203.0.113.66=REJECT", H, F, "x@b.example",
         "554 5.7.1 <x@b.example>: Recipient address rejected: Access denied", ""},
        {"check_recipient_ns_access @", "203.0.113.66=REJECT", H, F, "x@none.test", OK, ""},
};

static void load(struct rig *r, const struct row *row)
{
        char text[8000];
        char list[1000];
        const char *at = strchr(row->restriction, '@');
        if (at)
                snprintf(list, sizeof(list), "%.*sinline:{%s}%s", (int)(at - row->restriction),
                         row->restriction, row->table, at + 1);
        else
                snprintf(list, sizeof(list), "%s", row->restriction);
        snprintf(text, sizeof(text),
                 RIG_MAIN_CF "smtpd_relay_restrictions =\nsmtpd_reject_unlisted_recipient = no\n"
                             "smtpd_recipient_restrictions = %s\n%s",
                 list, row->more);
        rig_init(r);
        rig_dns(r, ZONE);
        rig_load(r, text);
}

static void each_restriction(void **state)
{
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct rig r;
                load(&r, &rows[i]);
                rig_facts(&r, rows[i].from, rows[i].to);
                r.facts.helo = str_from(rows[i].helo);
                const char *got = rig_judge(&r, POLICY_AT_RCPT);
                if (strcmp(got, rows[i].expected) != 0) {
                        rig_print_findings(&r);
                        fail_msg("row %zu (%s, helo %s, from %s): %s", i, rows[i].restriction,
                                 rows[i].helo, rows[i].from, got);
                }
                rig_done(&r);
        }
}

/* ---- names of clients ---- */

static const char *judge_client(const char *restriction, enum client_name_status name,
                                enum client_name_status reverse)
{
        static char got[1000];
        struct row row = {restriction, "", "", "", "", "", "unknown_client_reject_code = 550\n"};
        struct rig r;
        load(&r, &row);
        rig_facts(&r, F, T);
        r.facts.client_name_status = name;
        r.facts.reverse_client_name_status = reverse;
        if (name != CLIENT_NAME_OK)
                r.facts.client_name = STR("unknown");
        if (reverse != CLIENT_NAME_OK)
                r.facts.reverse_client_name = STR("unknown");
        snprintf(got, sizeof(got), "%s", rig_judge(&r, POLICY_AT_RCPT));
        rig_done(&r);
        return got;
}

static void names_of_clients(void **state)
{
#define NO_NAME    " Client host rejected: cannot find your hostname, [192.0.2.1]"
#define NO_REVERSE " Client host rejected: cannot find your reverse hostname, [192.0.2.1]"
        const char *name = "reject_unknown_client_hostname";
        const char *reverse = "reject_unknown_reverse_client_hostname";
        assert_string_equal(judge_client(name, CLIENT_NAME_OK, CLIENT_NAME_OK), OK);
        assert_string_equal(judge_client(name, CLIENT_NAME_TEMPORARY, CLIENT_NAME_OK),
                            "450 4.7.25" NO_NAME);
        assert_string_equal(judge_client(name, CLIENT_NAME_NONE, CLIENT_NAME_NONE),
                            "550 5.7.25" NO_NAME);
        assert_string_equal(judge_client(name, CLIENT_NAME_FORGED, CLIENT_NAME_OK),
                            "550 5.7.25" NO_NAME);
        assert_string_equal(
                judge_client("reject_unknown_client", CLIENT_NAME_FORGED, CLIENT_NAME_OK),
                "550 5.7.25" NO_NAME);
        assert_string_equal(judge_client(reverse, CLIENT_NAME_FORGED, CLIENT_NAME_OK), OK);
        assert_string_equal(judge_client(reverse, CLIENT_NAME_NONE, CLIENT_NAME_NONE),
                            "550 5.7.1" NO_REVERSE);
        assert_string_equal(judge_client(reverse, CLIENT_NAME_TEMPORARY, CLIENT_NAME_TEMPORARY),
                            "450 4.7.1" NO_REVERSE);
        /* a name that nobody has verified, or none, is asked for nothing */
        const char *a = "check_client_a_access inline:{192.0.2.1=REJECT}";
        assert_string_equal(judge_client(a, CLIENT_NAME_FORGED, CLIENT_NAME_OK), OK);
        a = "check_reverse_client_hostname_a_access inline:{192.0.2.1=REJECT}";
        assert_string_equal(judge_client(a, CLIENT_NAME_FORGED, CLIENT_NAME_OK),
                            "554 5.7.1 <client.example>: Unverified Client host rejected: Access "
                            "denied");
        assert_string_equal(judge_client(a, CLIENT_NAME_NONE, CLIENT_NAME_NONE), OK);
}

/* ---- asked before it is needed ---- */

struct asked {
        char text[400];
};

static void note(void *context, struct str name, enum dns_type type,
                 const struct dns_answer *answer)
{
        struct asked *a = context;
        size_t len = strlen(a->text);
        snprintf(a->text + len, sizeof(a->text) - len, "%.*s/%s ", STR_ARG(name),
                 dns_type_name(type));
}

static void expect_asked(struct rig *r, enum policy_event event, const char *expected)
{
        struct asked asked = {""};
        r->facts.dns = dns_questions_new(r->dns);
        policy_prefetch(r->policy, event, &r->facts);
        dns_questions_each(r->facts.dns, note, &asked);
        assert_string_equal(asked.text, expected);
        dns_questions_free(&r->facts.dns);
}

static void questions_are_asked_early(void **state)
{
        static const struct row row = {
                "permit_mynetworks, reject_unknown_helo_hostname, reject_unknown_sender_domain, "
                "check_client_mx_access @, check_sender_a_access inline:{x=y}, inner, "
                "reject_unknown_recipient_domain, reject, check_helo_ns_access inline:{x=y}",
                "x=y",
                "",
                "",
                "",
                "",
                "smtpd_restriction_classes = inner\ninner = check_recipient_ns_access inline:{x=y}\n"};
        struct rig r;
        load(&r, &row);
        rig_facts(&r, "x@b.example", "x@relay.example");
        expect_asked(&r, POLICY_AT_CONNECT, "client.example/MX ");
        expect_asked(&r, POLICY_AT_HELO, "client.example/A ");
        expect_asked(&r, POLICY_AT_MAIL, "b.example/MX b.example/A b.example/AAAA ");
        expect_asked(&r, POLICY_AT_RCPT, "relay.example/NS relay.example/MX ");
        expect_asked(&r, POLICY_AT_DATA, "");
        rig_client(&r, "ours.example", "10.0.0.5");
        expect_asked(&r, POLICY_AT_MAIL, "");
        rig_done(&r);
}

/* Without a resolver nothing is known: temporary. */
static void no_resolver(void **state)
{
        struct rig r;
        rig_init(&r);
        rig_load(&r, RIG_MAIN_CF "smtpd_relay_restrictions = reject_unauth_destination\n"
                                 "smtpd_recipient_restrictions = reject_unknown_sender_domain\n"
                                 "unknown_address_reject_code = 550\n");
        assert_string_equal(rig_rcpt(&r, "x@b.example", "user@relay.example"),
                            "450 4.1.8 <x@b.example>: Sender address rejected: Domain not found");
        rig_done(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_restriction),
                cmocka_unit_test(names_of_clients),
                cmocka_unit_test(questions_are_asked_early),
                cmocka_unit_test(no_resolver),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
