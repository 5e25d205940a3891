/*
 * step_lists.c - restrictions that ask lists in the DNS (reject_rbl_client and its kin)
 *
 * What a list cannot say now is no reason to refuse: a block list that fails is passed over, as in Postfix. An
 * allow list that fails makes refusals temporary (defer_if_reject), unless it is switched off: then it is
 * passed over as well, and the log has told why. What was asked at connect has been answered by
 * now, in most sessions.
 */
#include "policy/policy_private.h"

#include "base/log.h"
#include "policy/template.h"

enum { WHAT_BYTES_MAX = 400 };

/* A restriction's own words. */
struct inquiry {
        struct judge *j;
        const struct step *step;
        struct str what;      /* in the reply: an address, a name, an e-mail address */
        const char *class;    /* $rbl_class */
        enum subject subject; /* whose enhanced codes are meant */
        struct str name;      /* to ask */
        char room[DNS_NAME_BYTES_MAX];
};

/* ---- what is asked about ---- */

static bool is_known_name(struct str name)
{
        return name.len > 0 && !str_eq(name, STR("unknown"));
}

/* The domain or address that this kind of step asks its list about; false: there is none (yet). */
static bool find_question(const struct policy *p, const struct policy_facts *f,
                          const struct step *step, char out[DNS_NAME_BYTES_MAX], struct str *name)
{
        struct str domain = STR("");
        switch (step->restriction->list_subject) {
        case LIST_OF_ADDRESSES:
                *name = dnsbl_address_name(step->dnsbl, f->client_bits, out);
                return name->len > 0;
        case LIST_OF_CLIENT_NAMES:
                domain = f->client_name;
                break;
        case LIST_OF_REVERSE_NAMES:
                domain = f->reverse_client_name;
                break;
        case LIST_OF_HELO_NAMES:
                domain = f->helo;
                break;
        case LIST_OF_SENDERS:
                if (!f->has_sender || str_is_empty(f->sender.text))
                        return false;
                domain = policy_domain(p, &f->sender);
                break;
        case LIST_OF_RECIPIENTS:
                if (str_is_empty(f->recipient.text))
                        return false;
                domain = policy_domain(p, &f->recipient);
                break;
        case LIST_OF_NOTHING:
                return false;
        }
        if (!is_known_name(domain))
                return false;
        *name = dnsbl_domain_name(step->dnsbl, domain, out);
        return name->len > 0;
}

static void describe(struct inquiry *q)
{
        const struct policy_facts *f = q->j->facts;
        switch (q->step->restriction->list_subject) {
        case LIST_OF_ADDRESSES:
                q->what = f->client_address;
                q->class = "Client host";
                break;
        case LIST_OF_CLIENT_NAMES:
                q->what = f->client_name;
                q->class = "Client host";
                break;
        case LIST_OF_REVERSE_NAMES:
                q->what = f->reverse_client_name;
                q->class = "Unverified Client host";
                break;
        case LIST_OF_HELO_NAMES:
                q->what = f->helo;
                q->class = "Helo command";
                q->subject = SUBJECT_HELO;
                break;
        case LIST_OF_SENDERS:
                q->what = f->sender.text;
                q->class = "Sender address";
                q->subject = SUBJECT_SENDER;
                break;
        case LIST_OF_RECIPIENTS:
                q->what = f->recipient.text;
                q->class = "Recipient address";
                q->subject = SUBJECT_RECIPIENT;
                break;
        case LIST_OF_NOTHING:
                break;
        }
        q->what = str_part(q->what, 0, WHAT_BYTES_MAX);
}

/* ---- the reply ---- */

struct reply_names {
        const struct inquiry *q;
        struct str reason;
};

static struct str address_or_null(struct str text)
{
        return text.len ? text : STR("<>");
}

static struct str raw_value(const struct reply_names *n, struct str name)
{
        const struct judge *j = n->q->j;
        const struct policy_facts *f = j->facts;
        const struct {
                struct str name, value;
        } plain[] = {
                {STR_INIT("client_address"), f->client_address},
                {STR_INIT("client_name"), f->client_name},
                {STR_INIT("reverse_client_name"),
                 f->reverse_client_name.len ? f->reverse_client_name : STR("unknown")},
                {STR_INIT("helo_name"), f->helo},
                {STR_INIT("rbl_class"), str_from(n->q->class)},
                {STR_INIT("rbl_domain"), dnsbl_list_shown(n->q->step->dnsbl)},
                {STR_INIT("rbl_reason"), n->reason},
                {STR_INIT("rbl_txt"), n->reason},
                {STR_INIT("rbl_what"), n->q->what},
                {STR_INIT("recipient"), address_or_null(f->recipient.text)},
                {STR_INIT("recipient_domain"), f->recipient.domain},
                {STR_INIT("recipient_name"), address_or_null(f->recipient.local)},
                {STR_INIT("sender"), address_or_null(f->sender.text)},
                {STR_INIT("sender_domain"), f->sender.domain},
                {STR_INIT("sender_name"), address_or_null(f->sender.local)},
        };
        for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
                if (str_eq(name, plain[i].name))
                        return plain[i].value;
        if (str_eq(name, STR("client")))
                return arena_printf(j->arena, "%.*s[%.*s]", STR_ARG(f->client_name),
                                    STR_ARG(f->client_address));
        if (str_eq(name, STR("rbl_code")))
                return arena_printf(j->arena, "%d", (int)j->params->maps_rbl_reject_code);
        return STR("");
}

static struct str reply_value(void *context, struct str name)
{
        const struct reply_names *n = context;
        if (str_eq(name, STR("rbl_code"))) /* ours, and without it there is no reply */
                return raw_value(n, name);
        return template_filter_apply(&n->q->j->policy->reply_filter, raw_value(n, name),
                                     n->q->j->arena);
}

/* rbl_reply_maps by the list as it is written, its filter included, or default_rbl_reply. False: the table cannot be asked. */
static bool await_template(struct inquiry *q, struct str *out, struct why *why)
{
        struct judge *j = q->j;
        *out = j->params->default_rbl_reply;
        if (table_list_is_empty(j->policy->rbl_reply_maps))
                return true;
        return await_table_list_find(j->policy->rbl_reply_maps, q->step->argument, j->arena, out,
                                     why) != TABLE_ERROR;
}

/* What the list says of it, unless smtpd_dns_reply_filter drops that. */
static struct str await_reason(struct inquiry *q)
{
        struct judge *j = q->j;
        struct str reason = await_dnsbl_reason(j->visit, q->step->dnsbl, q->name, j->arena);
        const struct dns_answer *a = dns_peek(j->facts->dns, q->name, DNS_TXT);
        if (!a || await_dns_filter(j->policy->dns_filter, a, DNS_TXT, j->arena) == a)
                return reason;
        return STR("");
}

static enum outcome await_refuse(struct inquiry *q)
{
        struct judge *j = q->j;
        struct reply_names names = {.q = q};
        struct str template;
        struct why why;
        describe(q);
        if (!await_template(q, &template, &why))
                return judge_fail_lookup(j, judge_subject_name(j, SUBJECT_CLIENT), &why);
        /* only who shows it needs to ask */
        if (str_find_str(template, STR("rbl_reason")) >= 0 ||
            str_find_str(template, STR("rbl_txt")) >= 0)
                names.reason = await_reason(q);
        struct str text = template_expand(template, reply_value, &names, j->arena);
        int64_t code;
        if (text.len < 4 || text.ptr[3] != ' ' ||
            str_to_int64(str_part(text, 0, 3), 400, 599, &code) < 0) {
                log_warning("smtpd",
                            "%.*s: the reply does not begin with a code of three digits: %.*s",
                            STR_ARG(judge_source(j)), STR_ARG(str_part(text, 0, 100)));
                return judge_refuse(j, 450, "4.7.1", STR("Service unavailable"));
        }
        text = str_trim(str_tail(text, 4));
        const char *enhanced = policy_enhanced_take(&text, "5.7.1", j->arena);
        return judge_refuse(j, (int)code, access_enhanced_fix(enhanced, q->subject, j->arena),
                            text);
}

/* ---- the restrictions ---- */

static bool filter_wants(const struct dnsbl_filter *filter, const struct dnsbl_finding *found)
{
        for (size_t i = 0; i < found->reply_count; i++)
                if (dnsbl_filter_matches(filter, found->replies[i]))
                        return true;
        return false;
}

/* For the trace: what the list said. Its key, where it has one, stays here. */
static void note_finding(struct inquiry *q, const struct dnsbl_finding *found)
{
        struct judge *j = q->j;
        if (!j->facts->trace)
                return;
        struct trace_look look = {.kind = "list", .table = dnsbl_list_shown(q->step->dnsbl)};
        struct str replies = STR("");
        for (size_t i = 0; i < found->reply_count; i++)
                replies = arena_printf(j->arena, "%.*s%s%u.%u.%u.%u", STR_ARG(replies),
                                       i ? " " : "", found->replies[i][0], found->replies[i][1],
                                       found->replies[i][2], found->replies[i][3]);
        describe(q);
        look.asked = q->what;
        look.said = replies;
        look.result = found->is_off                   ? "switched off"
                      : found->answer == DNSBL_LISTED ? "listed"
                      : found->answer == DNSBL_FAILED ? "failed"
                                                      : "not listed";
        const struct dns_answer *a = j->facts->dns ? dns_peek(j->facts->dns, q->name, DNS_A) : NULL;
        if (a) {
                look.took_us = a->took_us;
                look.was_cached = a->was_cached;
        }
        trace_look(j->facts->trace, &look);
}

/* smtpd_dns_reply_filter: a listing of which nothing is left is none. */
static void await_filter_replies(struct inquiry *q, struct dnsbl_finding *found)
{
        struct judge *j = q->j;
        const struct dns_answer *a = dns_peek(j->facts->dns, q->name, DNS_A);
        if (!j->policy->dns_filter || !a || found->answer != DNSBL_LISTED)
                return;
        a = await_dns_filter(j->policy->dns_filter, a, DNS_A, j->arena);
        found->reply_count = 0;
        for (size_t i = 0; i < a->count && i < DNSBL_REPLIES_MAX; i++)
                memcpy(found->replies[found->reply_count++], a->records[i].address + 12, 4);
        if (a->result == DNS_FAILED)
                found->answer = DNSBL_FAILED;
        else if (a->count == 0)
                found->answer = DNSBL_NOT_LISTED;
}

/* Asks the list. True: it has the client, and the filter wants that; else *failed tells why not. */
static bool await_is_listed(struct inquiry *q, bool *has_failed)
{
        struct judge *j = q->j;
        const struct step *step = q->step;
        struct dnsbl_finding found;
        *has_failed = false;
        if (!j->visit || !find_question(j->policy, j->facts, step, q->room, &q->name))
                return false;
        await_dnsbl_visit(j->visit, step->dnsbl, q->name, &found);
        await_filter_replies(q, &found);
        note_finding(q, &found);
        *has_failed = found.answer == DNSBL_FAILED && !found.is_off;
        if (found.answer != DNSBL_LISTED)
                return false;
        bool is_wanted = filter_wants(&step->site->filter, &found);
        dnsbl_visit_note_effect(j->visit, step->dnsbl, q->name,
                                is_wanted ? DNSBL_WOULD_REFUSE : DNSBL_FILTERED);
        return is_wanted;
}

enum outcome await_reject_listed(struct judge *j, const struct step *step)
{
        struct inquiry q = {.j = j, .step = step, .subject = SUBJECT_CLIENT};
        bool has_failed;
        if (!await_is_listed(&q, &has_failed))
                return OUTCOME_DUNNO;
        enum outcome outcome = await_refuse(&q);
        if (outcome == OUTCOME_REFUSE)
                dnsbl_visit_note_effect(j->visit, step->dnsbl, q.name, DNSBL_REFUSED_MAIL);
        return outcome;
}

enum outcome await_permit_listed(struct judge *j, const struct step *step)
{
        struct inquiry q = {.j = j, .step = step, .subject = SUBJECT_CLIENT};
        bool has_failed;
        if (await_is_listed(&q, &has_failed)) {
                /* an allow list never makes an open relay */
                if (str_is_empty(j->facts->recipient.text))
                        return await_judge_permit(j, SUBJECT_CLIENT);
                return await_judge_destination(j, SUBJECT_CLIENT);
        }
        if (!has_failed)
                return OUTCOME_DUNNO;
        describe(&q);
        return judge_defer_name_if_reject(j, q.what, SUBJECT_CLIENT, 450, "4.7.1",
                                          STR("Service unavailable"));
}

/* ---- ahead of time ---- */

/* When the question can first be asked. */
static enum policy_event event_of(enum list_subject subject)
{
        switch (subject) {
        case LIST_OF_HELO_NAMES:
                return POLICY_AT_HELO;
        case LIST_OF_SENDERS:
                return POLICY_AT_MAIL;
        case LIST_OF_RECIPIENTS:
                return POLICY_AT_RCPT;
        case LIST_OF_NOTHING:
        case LIST_OF_ADDRESSES:
        case LIST_OF_CLIENT_NAMES:
        case LIST_OF_REVERSE_NAMES:
                break;
        }
        return POLICY_AT_CONNECT;
}

void policy_prefetch_list(const struct policy *p, enum policy_event event,
                          const struct policy_facts *facts, const struct step *step)
{
        char room[DNS_NAME_BYTES_MAX];
        struct str name;
        if (facts->visit && event == event_of(step->restriction->list_subject) &&
            find_question(p, facts, step, room, &name))
                dnsbl_visit_ask(facts->visit, step->dnsbl, name);
}
