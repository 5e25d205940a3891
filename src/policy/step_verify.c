/*
 * step_verify.c - addresses that must take mail: reject_unverified_sender, reject_unverified_recipient
 *
 * state/verify.h remembers, or has a probe made; here is said what comes of it, in Postfix's words and codes. "unverified" is what
 * may be good (class 4: nothing else refuses, then this does), "undeliverable" what is not.
 */
#include "policy/policy_private.h"

#include "base/clock.h"

enum { UNVERIFIED_TEXT_MAX = 250 }; /* as in Postfix */

/* The parameters of one of the two. */
struct verification {
        enum subject subject;
        const char *enhanced;
        int64_t defer_code, reject_code;
        struct str tempfail_action, reason;
};

static enum outcome judge_answer(struct judge *j, const struct verification *v,
                                 const struct verify_answer *answer)
{
        if (answer->status == VERIFY_DELIVERABLE)
                return OUTCOME_DUNNO;
        bool is_refused = answer->status == VERIFY_UNDELIVERABLE;
        int code = (int)(is_refused ? v->reject_code : v->defer_code);
        struct str text = v->reason.len ? v->reason : answer->text;
        if (code < 400)
                return OUTCOME_DUNNO;
        if (code < 500)
                return judge_dns_failed(
                        j, v->subject, v->tempfail_action, code, v->enhanced,
                        arena_printf(j->arena, "unverified address: %.*s",
                                     STR_ARG(str_part(text, 0, UNVERIFIED_TEXT_MAX))));
        return judge_refuse_subject(
                j, v->subject, code, v->enhanced,
                arena_printf(j->arena, "undeliverable address: %.*s", STR_ARG(text)));
}

static enum outcome await_verified(struct judge *j, const struct verification *v,
                                   const struct smtp_address *address)
{
        struct verify_answer answer;
        const struct params *p = j->params;
        struct smtp_address whole = policy_complete(p, p->myorigin, p->mydomain, address, j->arena);
        if (j->facts->is_offline) {
                judge_note_probe(j, whole.text, NULL, 0);
                return OUTCOME_DUNNO;
        }
        if (!j->facts->verify)
                return judge_dns_failed(j, v->subject, v->tempfail_action, 450, v->enhanced,
                                        STR("address verification problem"));
        int64_t begun_us = clock_mono_us();
        int64_t wait_ms = (p->address_verify_poll_count - 1) * p->address_verify_poll_delay;
        await_verify_ask(j->facts->verify, whole.text, wait_ms, j->arena, &answer);
        judge_note_probe(j, whole.text, &answer, clock_mono_us() - begun_us);
        return judge_answer(j, v, &answer);
}

enum outcome await_reject_unverified_sender(struct judge *j, const struct step *step)
{
        const struct params *p = j->params;
        const struct verification v = {
                .subject = SUBJECT_SENDER,
                .enhanced = "5.1.7",
                .defer_code = p->unverified_sender_defer_code,
                .reject_code = p->unverified_sender_reject_code,
                .tempfail_action = p->unverified_sender_tempfail_action,
                .reason = p->unverified_sender_reject_reason,
        };
        if (!j->facts->has_sender || str_is_empty(j->facts->sender.text))
                return OUTCOME_DUNNO;
        return await_verified(j, &v, &j->facts->sender);
}

enum outcome await_reject_unverified_recipient(struct judge *j, const struct step *step)
{
        const struct params *p = j->params;
        const struct verification v = {
                .subject = SUBJECT_RECIPIENT,
                .enhanced = "5.1.1",
                .defer_code = p->unverified_recipient_defer_code,
                .reject_code = p->unverified_recipient_reject_code,
                .tempfail_action = p->unverified_recipient_tempfail_action,
                .reason = p->unverified_recipient_reject_reason,
        };
        if (str_is_empty(j->facts->recipient.text))
                return OUTCOME_DUNNO;
        return await_verified(j, &v, &j->facts->recipient);
}
