/*
 * step_dns.c - names that must be known to the DNS: reject_unknown_*
 *
 * A name that is there has the records that mail needs: MX or an address. What DNS cannot tell now is a temporary
 * refusal: at once, or only when nothing else refuses (reject_tempfail_action, defer_if_permit).
 */
#include "policy/policy_private.h"

#include "base/clock.h"
#include "base/log.h"

const struct dns_answer *await_judge_dns(struct judge *j, struct str name, enum dns_type type)
{
        static const struct dns_answer no_name = {.result = DNS_NO_NAME, .owner = STR_INIT("")};
        static const struct dns_answer failed = {
                .result = DNS_FAILED, .owner = STR_INIT(""), .why = "there is no resolver"};
        unsigned char bits[16];
        if (str_ends(name, STR(".")))
                name.len--;
        /* an address is no name, and what cannot be a host's is not asked for */
        if (!smtp_domain_is_valid(name) || network_address_parse(name, bits))
                return &no_name;
        const struct dns_answer *a =
                j->facts->dns ? await_dns(j->facts->dns, name, type, CLOCK_NEVER) : &failed;
        a = await_dns_filter(j->policy->dns_filter, a, type, j->arena);
        judge_note_dns(j, name, type, a);
        return a;
}

void prefetch_dns(const struct policy_facts *facts, struct str name, enum dns_type type)
{
        unsigned char bits[16];
        if (str_ends(name, STR(".")))
                name.len--;
        if (smtp_domain_is_valid(name) && !network_address_parse(name, bits))
                dns_ask(facts->dns, name, type);
}

enum outcome judge_dns_failed(struct judge *j, enum subject subject, struct str action, int code,
                              const char *enhanced, struct str text)
{
        if (str_eq_nocase(action, STR("defer")))
                return judge_refuse_subject(j, subject, code, enhanced, text);
        return judge_defer_if_permit(j, subject, code, enhanced, text);
}

/* The name is there, and smtpd_dns_reply_filter has left nothing of what it has: it is not held against the client. */
static enum outcome judge_dropped(struct str name)
{
        log_warning("smtpd", "%.*s: address or MX lookup error: DNS reply filter drops all results",
                    STR_ARG(str_part(name, 0, 255)));
        return OUTCOME_DUNNO;
}

/* ---- clients ---- */

static enum outcome judge_client_name(struct judge *j, enum client_name_status status,
                                      const char *enhanced, const char *what)
{
        if (status == CLIENT_NAME_OK)
                return OUTCOME_DUNNO;
        int64_t code =
                status == CLIENT_NAME_TEMPORARY ? 450 : j->params->unknown_client_reject_code;
        return judge_refuse(j, (int)code, enhanced,
                            arena_printf(j->arena,
                                         "Client host rejected: cannot find your %s, [%.*s]", what,
                                         STR_ARG(j->facts->client_address)));
}

enum outcome await_reject_unknown_client(struct judge *j, const struct step *step)
{
        return judge_client_name(j, j->facts->client_name_status, "5.7.25", "hostname");
}

enum outcome await_reject_unknown_reverse_client(struct judge *j, const struct step *step)
{
        return judge_client_name(j, j->facts->reverse_client_name_status, "5.7.1",
                                 "reverse hostname");
}

/* ---- HELO ---- */

enum outcome await_reject_unknown_helo(struct judge *j, const struct step *step)
{
        static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_MX};
        struct str name = j->facts->helo;
        bool has_failed = false;
        bool is_dropped = false;
        if (str_is_empty(name))
                return OUTCOME_DUNNO;
        if (name.ptr[0] == '[')
                return judge_helo_literal(j, name);
        /* what has no host's syntax, a final dot included, is not there */
        size_t questions = helo_is_host_name(name) ? sizeof(types) / sizeof(*types) : 0;
        for (size_t i = 0; i < questions; i++) {
                const struct dns_answer *a = await_judge_dns(j, name, types[i]);
                /* an MTA's name may say that it takes no mail (a null MX) */
                if (a->result == DNS_FOUND)
                        return OUTCOME_DUNNO;
                has_failed = has_failed || a->result == DNS_FAILED;
                is_dropped = is_dropped || a->is_dropped;
        }
        if (is_dropped)
                return judge_dropped(name);
        if (has_failed)
                return judge_dns_failed(j, SUBJECT_HELO,
                                        j->params->unknown_helo_hostname_tempfail_action, 450,
                                        "4.7.1", STR("Host not found"));
        return judge_refuse_subject(j, SUBJECT_HELO, (int)j->params->unknown_hostname_reject_code,
                                    "5.7.1", STR("Host not found"));
}

void prefetch_unknown_helo(const struct policy *p, enum policy_event event,
                           const struct policy_facts *facts, const struct step *step)
{
        if (event == POLICY_AT_HELO && helo_is_host_name(facts->helo))
                prefetch_dns(facts, facts->helo, DNS_A);
}

/* ---- domains of addresses ---- */

/* Is there any that could be a host? An address is wrong there, but many take it. */
static bool has_good_mx(const struct dns_answer *mx)
{
        unsigned char bits[16];
        for (size_t i = 0; i < mx->count; i++)
                if (smtp_domain_is_valid(mx->records[i].name) ||
                    network_address_parse(mx->records[i].name, bits))
                        return true;
        return false;
}

static enum outcome judge_mx(struct judge *j, enum subject subject, struct str domain,
                             const struct dns_answer *mx)
{
        bool is_sender = subject == SUBJECT_SENDER;
        if (dns_is_null_mx(mx))
                return judge_refuse_subject(
                        j, subject, is_sender ? 550 : 556, is_sender ? "5.7.27" : "5.1.10",
                        arena_printf(j->arena, "Domain %.*s does not accept mail (nullMX)",
                                     STR_ARG(str_part(domain, 0, 255))));
        if (has_good_mx(mx))
                return OUTCOME_DUNNO;
        return judge_refuse_subject(j, subject, (int)j->params->unknown_address_reject_code,
                                    is_sender ? "5.1.8" : "5.1.2",
                                    STR("Malformed DNS server reply"));
}

/* Mail for our own domains goes nowhere by DNS; for relay_domains it may. */
static bool is_final(enum address_class class)
{
        return class == CLASS_LOCAL || class == CLASS_VIRTUAL_ALIAS ||
               class == CLASS_VIRTUAL_MAILBOX;
}

static enum outcome await_judge_domain(struct judge *j, enum subject subject,
                                       const struct smtp_address *address)
{
        struct str domain = policy_domain(j->policy, address);
        enum address_class class;
        struct why why;
        if (str_is_empty(address->text) || domain.ptr[0] == '[')
                return OUTCOME_DUNNO;
        if (await_policy_class(j->policy, domain, j->arena, &class, &why))
                return judge_fail_lookup(j, address->text, &why);
        if (is_final(class))
                return OUTCOME_DUNNO;
        const struct dns_answer *mx = await_judge_dns(j, domain, DNS_MX);
        if (mx->result == DNS_FOUND)
                return judge_mx(j, subject, domain, mx);
        const struct dns_answer *v4 = await_judge_dns(j, domain, DNS_A);
        const struct dns_answer *v6 =
                v4->result == DNS_FOUND ? v4 : await_judge_dns(j, domain, DNS_AAAA);
        if (v4->result == DNS_FOUND || v6->result == DNS_FOUND)
                return OUTCOME_DUNNO;
        if (mx->is_dropped || v4->is_dropped || v6->is_dropped)
                return judge_dropped(domain);
        const char *enhanced = subject == SUBJECT_SENDER ? "5.1.8" : "5.1.2";
        if (mx->result == DNS_FAILED || v4->result == DNS_FAILED || v6->result == DNS_FAILED)
                return judge_dns_failed(j, subject, j->params->unknown_address_tempfail_action, 450,
                                        enhanced, STR("Domain not found"));
        return judge_refuse_subject(j, subject, (int)j->params->unknown_address_reject_code,
                                    enhanced, STR("Domain not found"));
}

enum outcome await_reject_unknown_sender_domain(struct judge *j, const struct step *step)
{
        if (!j->facts->has_sender)
                return OUTCOME_DUNNO;
        return await_judge_domain(j, SUBJECT_SENDER, &j->facts->sender);
}

enum outcome await_reject_unknown_recipient_domain(struct judge *j, const struct step *step)
{
        return await_judge_domain(j, SUBJECT_RECIPIENT, &j->facts->recipient);
}

/* Most have an MX; who has none costs a second question later. */
void prefetch_unknown_sender(const struct policy *p, enum policy_event event,
                             const struct policy_facts *facts, const struct step *step)
{
        if (event == POLICY_AT_MAIL && facts->sender.domain.len &&
            facts->sender.domain.ptr[0] != '[')
                prefetch_dns(facts, facts->sender.domain, DNS_MX);
}

void prefetch_unknown_recipient(const struct policy *p, enum policy_event event,
                                const struct policy_facts *facts, const struct step *step)
{
        if (event == POLICY_AT_RCPT && facts->recipient.domain.len &&
            facts->recipient.domain.ptr[0] != '[')
                prefetch_dns(facts, facts->recipient.domain, DNS_MX);
}
