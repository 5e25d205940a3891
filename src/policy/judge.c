/*
 * judge.c - the lists of an event, asked in Postfix's order (smtpd_check.c)
 *
 * With smtpd_delay_reject, the client, HELO and sender lists wait for RCPT, so that the log can
 * name the recipient and a client meets its refusal where it understands it. A permit ends only its
 * own list. At RCPT the relay and the recipient list both have a say, and the recipient must be
 * known (smtpd_reject_unlisted_recipient).
 *
 * defer_if_permit: what would be permitted gets 450; it reaches from the client list to the last
 * one. defer_if_reject: a 5xx becomes that 450; it ends with its list. With both there is nothing
 * left to ask.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "policy/policy_private.h"

#include <errno.h>
#include <stdarg.h>

enum { NAME_BYTES_MAX = 400 }; /* of a client's words in a reply */

/* ---- names ---- */

const char *subject_words(enum subject subject)
{
        switch (subject) {
        case SUBJECT_CLIENT:
                return "Client host";
        case SUBJECT_REVERSE_CLIENT:
                return "Unverified Client host";
        case SUBJECT_HELO:
                return "Helo command";
        case SUBJECT_SENDER:
                return "Sender address";
        case SUBJECT_RECIPIENT:
                return "Recipient address";
        case SUBJECT_DATA:
                return "Data command";
        case SUBJECT_END_OF_DATA:
                return "End-of-data";
        case SUBJECT_ETRN:
                return "Etrn command";
        }
        return "?";
}

struct str judge_subject_name(const struct judge *j, enum subject subject)
{
        const struct policy_facts *facts = j->facts;
        switch (subject) {
        case SUBJECT_CLIENT:
                return arena_printf(j->arena, "%.*s[%.*s]", STR_ARG(facts->client_name),
                                    STR_ARG(facts->client_address));
        case SUBJECT_REVERSE_CLIENT:
                return facts->reverse_client_name;
        case SUBJECT_HELO:
                return facts->helo;
        case SUBJECT_SENDER:
                return facts->sender.text;
        case SUBJECT_RECIPIENT:
                return facts->recipient.text;
        case SUBJECT_DATA:
                return STR("DATA");
        case SUBJECT_END_OF_DATA:
                return STR("END-OF-MESSAGE");
        case SUBJECT_ETRN:
                return facts->etrn_name;
        }
        return (struct str){"", 0};
}

struct str judge_source(const struct judge *j)
{
        if (!j->step)
                return (struct str){"", 0};
        if (str_is_empty(j->key))
                return j->step->source;
        return arena_printf(j->arena, "%.*s (%.*s)", STR_ARG(j->step->source),
                            STR_ARG(str_part(j->key, 0, NAME_BYTES_MAX)));
}

void judge_log(const struct judge *j, const char *what, struct str text)
{
        struct smtp_reply reply = {.text = text};
        policy_log_refusal(what, j->event, j->facts, &reply);
}

/* ---- refusals ---- */

/* The enhanced code whose class agrees with the code: "5.7.1" with 450 is "4.7.1". */
static const char *enhanced_for(int code, const char *enhanced, struct arena *arena)
{
        char class = (char)('0' + code / 100);
        if (enhanced[0] == class)
                return enhanced;
        return arena_printf(arena, "%c%s", class, enhanced + 1).ptr;
}

static struct smtp_reply make_reply(const struct judge *j, int code, const char *enhanced,
                                    struct str text)
{
        if (j->params->soft_bounce && code >= 500)
                code -= 100;
        return smtp_reply_make(code, enhanced_for(code, enhanced, j->arena), text);
}

static enum outcome refuse_with(struct judge *j, struct smtp_reply reply, struct str source)
{
        j->out->action = VERDICT_REFUSE;
        j->out->reply = reply;
        j->out->source = source;
        return OUTCOME_REFUSE;
}

enum outcome judge_refuse(struct judge *j, int code, const char *enhanced, struct str text)
{
        if (j->warns_only) {
                j->has_warned = true;
                struct smtp_reply reply = make_reply(j, code, enhanced, text);
                policy_log_refusal("reject_warning", j->event, j->facts, &reply);
                return OUTCOME_DUNNO;
        }
        if (code >= 500 && j->if_reject.is_set)
                return refuse_with(j, j->if_reject.reply, j->if_reject.source);
        return refuse_with(j, make_reply(j, code, enhanced, text), judge_source(j));
}

static struct str rejected_name_text(const struct judge *j, struct str name, enum subject subject,
                                     struct str text)
{
        return arena_printf(j->arena, "<%.*s>: %s rejected: %.*s",
                            STR_ARG(str_part(name, 0, NAME_BYTES_MAX)), subject_words(subject),
                            STR_ARG(text));
}

static struct str rejected_text(const struct judge *j, enum subject subject, struct str text)
{
        return rejected_name_text(j, judge_subject_name(j, subject), subject, text);
}

enum outcome judge_refuse_subject(struct judge *j, enum subject subject, int code,
                                  const char *enhanced, struct str text)
{
        return judge_refuse(j, code, enhanced, rejected_text(j, subject, text));
}

enum outcome judge_fail_lookup(struct judge *j, struct str name, const struct why *why)
{
        struct str source = judge_source(j);
        log_warning("smtpd", "%.*s: %s", STR_ARG(source), why->text);
        struct str text = arena_printf(j->arena, "<%.*s>: Temporary lookup failure",
                                       STR_ARG(str_part(name, 0, NAME_BYTES_MAX)));
        return refuse_with(j, smtp_reply_make(451, "4.3.0", text), source);
}

enum outcome judge_fail_config(struct judge *j, const char *format, ...)
{
        struct why why;
        va_list args;
        va_start(args, format);
        vsnprintf(why.text, sizeof(why.text), format, args);
        va_end(args);
        struct str source = judge_source(j);
        log_warning("smtpd", "%.*s: %s", STR_ARG(source), why.text);
        return refuse_with(j, smtp_reply_make(451, "4.3.5", STR("Server configuration error")),
                           source);
}

void judge_warn(struct judge *j, const char *text)
{
        log_warning("smtpd", "%.*s: %s", STR_ARG(judge_source(j)), text);
}

enum outcome judge_defer_if_permit(struct judge *j, enum subject subject, int code,
                                   const char *enhanced, struct str text)
{
        text = rejected_text(j, subject, text);
        if (j->warns_only)
                return judge_refuse(j, code, enhanced, text);
        if (!j->effects->is_deferred) {
                j->effects->is_deferred = true;
                j->effects->deferral = make_reply(j, code, enhanced, text);
                j->effects->deferral_source = judge_source(j);
        }
        return OUTCOME_DUNNO;
}

enum outcome judge_defer_if_reject(struct judge *j, enum subject subject, int code,
                                   const char *enhanced, struct str text)
{
        return judge_defer_name_if_reject(j, judge_subject_name(j, subject), subject, code,
                                          enhanced, text);
}

enum outcome judge_defer_name_if_reject(struct judge *j, struct str name, enum subject subject,
                                        int code, const char *enhanced, struct str text)
{
        text = rejected_name_text(j, name, subject, text);
        if (j->warns_only)
                return judge_refuse(j, code, enhanced, text);
        if (!j->if_reject.is_set)
                j->if_reject = (struct deferral){.is_set = true,
                                                 .reply = make_reply(j, code, enhanced, text),
                                                 .source = judge_source(j)};
        return OUTCOME_DUNNO;
}

/* "action=OK for Client host=a.example[192.0.2.1] from hash:/etc/access"; Postfix leaves the blank also where no table is named. */
enum outcome await_judge_permit_action(struct judge *j, enum subject subject, struct str action,
                                       struct str said_by)
{
        struct match_list *logged = j->policy->logged_permits;
        struct why why;
        if (j->effects->is_deferred || j->effects->is_discarded || match_list_is_empty(logged))
                return OUTCOME_PERMIT;
        enum table_result found = await_match_list_find(logged, action, j->arena, NULL, &why);
        if (found == TABLE_ERROR)
                judge_warn(j, why.text);
        if (found == TABLE_FOUND)
                judge_log(j, "permit",
                          arena_printf(j->arena, "action=%.*s for %s=%.*s %s%.*s",
                                       STR_ARG(str_part(action, 0, NAME_BYTES_MAX)),
                                       subject_words(subject),
                                       STR_ARG(str_part(judge_subject_name(j, subject), 0,
                                                        NAME_BYTES_MAX)),
                                       said_by.len ? "from " : "", STR_ARG(said_by)));
        return OUTCOME_PERMIT;
}

enum outcome await_judge_permit(struct judge *j, enum subject subject)
{
        struct str name = str_from(j->step->restriction->name);
        return await_judge_permit_action(j, subject, name, STR(""));
}

int await_judge_class(struct judge *j, enum address_class *out, struct why *why)
{
        if (!j->has_class) {
                int rc = await_policy_class(j->policy, j->facts->recipient.domain, j->arena,
                                            &j->recipient_class, why);
                if (rc)
                        return rc;
                j->has_class = true;
        }
        *out = j->recipient_class;
        return 0;
}

/* ---- the trace ---- */

void judge_note_table(struct judge *j, const struct table *t, struct str key,
                      enum table_result found, struct str value, const struct table_rule *rule)
{
        static const char *const words[] = {
                [TABLE_FOUND] = "found", [TABLE_NOT_FOUND] = "not found", [TABLE_ERROR] = "failed"};
        if (!j->facts->trace)
                return;
        const struct trace_look look = {.kind = "table",
                                        .table = table_name(t),
                                        .asked = key,
                                        .said = value,
                                        .result = words[found],
                                        .line = rule->line,
                                        .pattern = rule->pattern};
        trace_look(j->facts->trace, &look);
}

void judge_note_dns(struct judge *j, struct str name, enum dns_type type,
                    const struct dns_answer *a)
{
        if (!j->facts->trace)
                return;
        struct trace_look look = {.kind = "dns",
                                  .asked = name,
                                  .type = dns_type_name(type),
                                  .result = dns_result_name(a->result),
                                  .took_us = a->took_us,
                                  .was_cached = a->was_cached};
        if (a->result == DNS_FOUND)
                look.said = a->records[0].name.len ? a->records[0].name : a->records[0].text;
        else if (a->result == DNS_FAILED)
                look.said = str_from(a->why ? a->why : "");
        trace_look(j->facts->trace, &look);
}

void judge_note_probe(struct judge *j, struct str address, const struct verify_answer *answer,
                      int64_t took_us)
{
        struct trace_look look = {.kind = "probe", .asked = address, .result = "not asked"};
        if (answer) {
                look.said = answer->text;
                look.result = verify_status_words(answer->status);
                look.was_cached = answer->was_cached;
                look.took_us = answer->was_cached ? 0 : took_us;
        }
        if (j->facts->trace)
                trace_look(j->facts->trace, &look);
}

/* ---- lists ---- */

static const char *outcome_words(enum outcome outcome)
{
        switch (outcome) {
        case OUTCOME_DUNNO:
                return "dunno";
        case OUTCOME_PERMIT:
                return "permit";
        case OUTCOME_REFUSE:
                return "refuse";
        }
        return "?";
}

/* Asks one rule, and notes in the trace how that went. */
static enum outcome await_step(struct judge *j, struct str list, const struct step *step)
{
        struct policy_trace *trace = j->facts->trace;
        restriction_ask *await_ask = step->restriction->await_ask;
        if (!trace)
                return await_ask(j, step);
        struct trace_step *outer = trace->now;
        struct trace_step *note =
                trace_step_begin(trace, j->event, list, step->source, j->depth, clock_mono_us());
        j->has_warned = false;
        enum outcome outcome = await_ask(j, step);
        trace_step_end(trace, note, outer, j->has_warned ? "warn" : outcome_words(outcome),
                       clock_mono_us());
        return outcome;
}

enum outcome await_judge_list(struct judge *j, const struct step_list *list)
{
        if (j->depth >= JUDGE_DEPTH_MAX)
                return judge_fail_config(j, "access tables and classes call each other %d deep",
                                         (int)JUDGE_DEPTH_MAX);
        j->depth++;
        enum outcome outcome = OUTCOME_DUNNO;
        for (size_t i = 0; outcome == OUTCOME_DUNNO && i < list->count; i++) {
                if (j->effects->is_discarded || (j->effects->is_deferred && j->if_reject.is_set))
                        break;
                const struct step *step = &list->steps[i];
                const struct step *outer = j->step;
                bool warned_only = j->warns_only;
                j->step = step;
                j->key = (struct str){"", 0};
                j->warns_only |= step->is_warning;
                outcome = await_step(j, list->name, step);
                j->warns_only = warned_only;
                j->step = outer;
        }
        j->depth--;
        return outcome;
}

/* One of the event's lists. True when it refused. */
static bool await_list_refuses(struct judge *j, enum list_index index, enum subject subject)
{
        const struct step_list *list = &j->policy->lists[index];
        if (list->count == 0)
                return false;
        j->subject = subject;
        j->if_reject.is_set = false;
        return await_judge_list(j, list) == OUTCOME_REFUSE;
}

/* At the end of an event: what a defer_if_permit has asked for. */
static bool deferral_refuses(struct judge *j)
{
        if (!j->effects->is_deferred)
                return false;
        refuse_with(j, j->effects->deferral, j->effects->deferral_source);
        return true;
}

/* The rules that need no place in a list; `source` is their parameter. */
static bool await_rule_refuses(struct judge *j, const char *source, restriction_ask *await_ask)
{
        const struct restriction rule = {.name = source, .await_ask = await_ask};
        struct step step = {.restriction = &rule, .source = str_from(source)};
        j->step = &step;
        j->key = (struct str){"", 0};
        j->if_reject.is_set = false;
        enum outcome outcome = await_step(j, str_from(source), &step);
        j->step = NULL;
        return outcome == OUTCOME_REFUSE;
}

static bool await_client_refuses(struct judge *j)
{
        return await_list_refuses(j, LIST_CLIENT, SUBJECT_CLIENT);
}

static bool await_helo_refuses(struct judge *j)
{
        return j->facts->helo.len > 0 && await_list_refuses(j, LIST_HELO, SUBJECT_HELO);
}

static bool await_sender_refuses(struct judge *j)
{
        if (!j->facts->has_sender)
                return false;
        j->is_sender_listed_asked = false;
        if (await_list_refuses(j, LIST_SENDER, SUBJECT_SENDER))
                return true;
        return j->params->smtpd_reject_unlisted_sender && !j->is_sender_listed_asked &&
               !j->effects->is_discarded &&
               await_rule_refuses(j, "smtpd_reject_unlisted_sender", await_reject_unlisted_sender);
}

static bool await_recipient_refuses(struct judge *j)
{
        bool is_relay_first = j->params->smtpd_relay_before_recipient_restrictions;
        enum list_index first = is_relay_first ? LIST_RELAY : LIST_RECIPIENT;
        enum list_index second = is_relay_first ? LIST_RECIPIENT : LIST_RELAY;
        if (await_list_refuses(j, first, SUBJECT_RECIPIENT) ||
            await_list_refuses(j, second, SUBJECT_RECIPIENT) || deferral_refuses(j))
                return true;
        return j->params->smtpd_reject_unlisted_recipient && !j->is_recipient_listed_asked &&
               !j->effects->is_discarded &&
               await_rule_refuses(j, "smtpd_reject_unlisted_recipient",
                                  await_reject_unlisted_recipient);
}

/* A postmaster without a domain may always be written to (RFC 5321 4.5.1), by anybody. */
static bool is_bare_postmaster(const struct smtp_address *recipient)
{
        return str_is_empty(recipient->domain) &&
               str_eq_nocase(recipient->local, STR("postmaster"));
}

static bool await_event_refuses(struct judge *j, enum policy_event event)
{
        bool is_delayed = j->params->smtpd_delay_reject;
        switch (event) {
        case POLICY_AT_CONNECT:
                return !is_delayed && await_client_refuses(j);
        case POLICY_AT_HELO:
                return !is_delayed && await_helo_refuses(j);
        case POLICY_AT_MAIL:
                return !is_delayed && await_sender_refuses(j);
        case POLICY_AT_RCPT:
        case POLICY_AT_VRFY:
                if (is_bare_postmaster(&j->facts->recipient))
                        return false;
                if (is_delayed &&
                    (await_client_refuses(j) || await_helo_refuses(j) || await_sender_refuses(j)))
                        return true;
                return await_recipient_refuses(j);
        case POLICY_AT_DATA:
                return await_list_refuses(j, LIST_DATA, SUBJECT_DATA) || deferral_refuses(j);
        case POLICY_AT_END_OF_DATA:
                return await_list_refuses(j, LIST_END_OF_DATA, SUBJECT_END_OF_DATA) ||
                       deferral_refuses(j);
        case POLICY_AT_ETRN:
                if (is_delayed && (await_client_refuses(j) || await_helo_refuses(j)))
                        return true;
                return await_list_refuses(j, LIST_ETRN, SUBJECT_ETRN) || deferral_refuses(j);
        }
        return false;
}

void await_policy_judge(struct policy *p, enum policy_event event, const struct policy_facts *facts,
                        struct arena *arena, struct policy_effects *effects, struct verdict *out)
{
        struct judge j = {
                .policy = p,
                .params = p->params,
                .facts = facts,
                .event = event,
                .arena = arena,
                .effects = effects,
                .out = out,
                .visit = facts->visit,
        };
        *out = (struct verdict){.action = VERDICT_PERMIT};
        bool was_deferred = effects->is_deferred;
        bool refuses = await_event_refuses(&j, event);
        check(refuses == (out->action == VERDICT_REFUSE));
        /* What deferred this recipient says nothing about the next one. */
        if (event >= POLICY_AT_RCPT && !was_deferred)
                effects->is_deferred = false;
}
