/*
 * step_dns_access.c - check_*_a_access, check_*_mx_access, check_*_ns_access: what stands behind a name
 *
 *   a     the table is asked for the addresses of the name
 *   mx    for the name of each mail server, and its parents, then for its addresses; without MX the name is its own
 *   ns    the same for its name servers; without NS those of the domain above
 *
 * The first answer counts. OK is none: a stranger chooses his own MX and NS, so a permit by them would be his to give
 * (451 4.3.5, as in Postfix; DUNNO makes an exception). What DNS cannot tell now is a temporary refusal by
 * reject_tempfail_action; Postfix lets that pass.
 */
#include "policy/policy_private.h"

#include "base/log.h"

/* Of one name; strangers publish hundreds. */
enum { SERVERS_MAX = 20 };

struct search {
        struct judge *j;
        const struct step *step;
        enum subject subject;
        enum dns_type type;
        bool has_failed;
        enum outcome outcome; /* when it is over */
};

static void log_failure(const struct search *s, enum dns_type type, struct str name,
                        const struct dns_answer *a)
{
        log_warning("smtpd", "%.*s: unable to look up %s records of %.*s: %s",
                    STR_ARG(s->step->source), dns_type_name(type), STR_ARG(str_part(name, 0, 255)),
                    a->why ? a->why : "?");
}

/* The records, or NULL; a failure is noted. */
static const struct dns_answer *await_records(struct search *s, struct str name, enum dns_type type)
{
        const struct dns_answer *a = await_judge_dns(s->j, name, type);
        if (a->result == DNS_FAILED) {
                log_failure(s, type, name, a);
                s->has_failed = true;
        }
        return a->result == DNS_FOUND ? a : NULL;
}

static bool await_look_addresses(struct search *s, struct str host)
{
        static const enum dns_type types[] = {DNS_A, DNS_AAAA};
        for (size_t t = 0; t < 2; t++) {
                const struct dns_answer *a = await_records(s, host, types[t]);
                for (size_t i = 0; a && i < a->count; i++)
                        if (await_access_address(s->j, s->step, s->subject, a->records[i].text,
                                                 &s->outcome))
                                return true;
        }
        return false;
}

/* A server's name, which may also be an address (wrong, but seen). True: the search is over. */
static bool await_look_server(struct search *s, struct str host)
{
        unsigned char bits[16];
        if (str_is_empty(host))
                return false;
        if (network_address_parse(host, bits))
                return await_access_address(s->j, s->step, s->subject, host, &s->outcome);
        return await_access_name(s->j, s->step, s->subject, host, &s->outcome) ||
               await_look_addresses(s, host);
}

/* All are asked for before the first is waited for. */
static void ask_addresses(const struct search *s, const struct dns_answer *servers)
{
        for (size_t i = 0; s->j->facts->dns && i < servers->count && i < SERVERS_MAX; i++) {
                prefetch_dns(s->j->facts, servers->records[i].name, DNS_A);
                prefetch_dns(s->j->facts, servers->records[i].name, DNS_AAAA);
        }
}

static bool await_look_servers(struct search *s, const struct dns_answer *servers)
{
        ask_addresses(s, servers);
        for (size_t i = 0; i < servers->count && i < SERVERS_MAX; i++)
                if (await_look_server(s, servers->records[i].name))
                        return true;
        return false;
}

static const struct dns_answer *await_name_servers(struct search *s, struct str domain)
{
        for (;;) {
                const struct dns_answer *a = await_records(s, domain, DNS_NS);
                if (a || s->has_failed)
                        return a;
                ptrdiff_t dot = str_find(domain, '.');
                if (dot < 0 || (size_t)dot + 1 >= domain.len)
                        return NULL;
                domain = str_tail(domain, (size_t)dot + 1);
        }
}

static bool await_look_domain(struct search *s, struct str domain)
{
        const struct dns_answer *servers;
        switch (s->type) {
        case DNS_MX:
                servers = await_records(s, domain, DNS_MX);
                if (servers)
                        return await_look_servers(s, servers); /* a null MX has no name: nothing */
                return !s->has_failed && await_look_server(s, domain);
        case DNS_NS:
                servers = await_name_servers(s, domain);
                return servers && await_look_servers(s, servers);
        default:
                return await_look_addresses(s, domain);
        }
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]": its own mail server and address, and has no name server. */
static bool await_look_literal(struct search *s, struct str literal)
{
        if (s->type == DNS_NS || !smtp_domain_is_literal(literal))
                return false;
        struct str text = str_part(literal, 1, literal.len - 2);
        if (str_starts_nocase(text, STR("IPv6:")))
                text = str_tail(text, 5);
        return await_access_address(s->j, s->step, s->subject, text, &s->outcome);
}

static enum outcome await_search(struct judge *j, const struct step *step, enum subject subject,
                                 struct str domain, enum dns_type type)
{
        struct search s = {
                .j = j, .step = step, .subject = subject, .type = type, .outcome = OUTCOME_DUNNO};
        if (str_is_empty(domain))
                return OUTCOME_DUNNO;
        bool is_over = domain.ptr[0] == '[' ? await_look_literal(&s, domain)
                                            : await_look_domain(&s, domain);
        if (is_over && s.outcome == OUTCOME_PERMIT)
                return access_forbids_ok(j, step);
        if (is_over || !s.has_failed)
                return s.outcome;
        return judge_dns_failed(j, subject, j->params->reject_tempfail_action, 450, "4.4.3",
                                arena_printf(j->arena, "cannot look up its %s",
                                             type == DNS_MX   ? "mail servers"
                                             : type == DNS_NS ? "name servers"
                                                              : "addresses"));
}

/* ---- whose name ---- */

static struct str name_of(const struct policy_facts *facts, enum subject subject)
{
        struct str none = {"", 0};
        switch (subject) {
        case SUBJECT_CLIENT:
                return facts->client_name_status == CLIENT_NAME_OK ? facts->client_name : none;
        case SUBJECT_REVERSE_CLIENT:
                return facts->reverse_client_name_status == CLIENT_NAME_OK
                               ? facts->reverse_client_name
                               : none;
        case SUBJECT_HELO:
                return facts->helo;
        case SUBJECT_SENDER:
                return facts->has_sender ? facts->sender.domain : none;
        case SUBJECT_RECIPIENT:
                return facts->recipient.domain;
        default:
                return none;
        }
}

/* When its name becomes known. */
static enum policy_event event_of(enum subject subject)
{
        switch (subject) {
        case SUBJECT_HELO:
                return POLICY_AT_HELO;
        case SUBJECT_SENDER:
                return POLICY_AT_MAIL;
        case SUBJECT_RECIPIENT:
                return POLICY_AT_RCPT;
        default:
                return POLICY_AT_CONNECT;
        }
}

static void prefetch(const struct policy_facts *facts, enum policy_event event,
                     enum subject subject, enum dns_type type)
{
        struct str name =
                subject == SUBJECT_SENDER ? facts->sender.domain : name_of(facts, subject);
        if (event != event_of(subject) || str_is_empty(name) || name.ptr[0] == '[' ||
            (subject == SUBJECT_CLIENT && str_eq(name, STR("unknown"))))
                return;
        prefetch_dns(facts, name, type);
        if (type == DNS_A)
                prefetch_dns(facts, name, DNS_AAAA);
}

#define CHECK(who, SUBJECT, what, TYPE)                                                            \
        enum outcome await_check_##who##_##what##_access(struct judge *j, const struct step *step) \
        {                                                                                          \
                return await_search(j, step, SUBJECT, name_of(j->facts, SUBJECT), TYPE);           \
        }                                                                                          \
        void prefetch_##who##_##what##_access(const struct policy *p, enum policy_event event,     \
                                              const struct policy_facts *facts,                    \
                                              const struct step *step)                             \
        {                                                                                          \
                prefetch(facts, event, SUBJECT, TYPE);                                             \
        }
#define CHECK_ALL(who, SUBJECT)         \
        CHECK(who, SUBJECT, a, DNS_A)   \
        CHECK(who, SUBJECT, mx, DNS_MX) \
        CHECK(who, SUBJECT, ns, DNS_NS)

CHECK_ALL(client, SUBJECT_CLIENT)
CHECK_ALL(reverse_client, SUBJECT_REVERSE_CLIENT)
CHECK_ALL(helo, SUBJECT_HELO)
CHECK_ALL(sender, SUBJECT_SENDER)
CHECK_ALL(recipient, SUBJECT_RECIPIENT)
