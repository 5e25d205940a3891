/* step_generic.c - restrictions that fit every list, and those about the client's network */
#include "loop/task.h"
#include "policy/policy_private.h"

enum outcome await_permit(struct judge *j, const struct step *step)
{
        return await_judge_permit(j, j->subject);
}

enum outcome await_reject(struct judge *j, const struct step *step)
{
        return judge_refuse_subject(j, j->subject, (int)j->params->reject_code, "5.7.1",
                                    STR("Access denied"));
}

enum outcome await_defer(struct judge *j, const struct step *step)
{
        return judge_refuse_subject(j, j->subject, (int)j->params->defer_code, "4.3.2",
                                    STR("Try again later"));
}

enum outcome await_defer_if_permit(struct judge *j, const struct step *step)
{
        return judge_defer_if_permit(j, j->subject, 450, "4.7.0", STR("defer_if_permit requested"));
}

enum outcome await_defer_if_reject(struct judge *j, const struct step *step)
{
        return judge_defer_if_reject(j, j->subject, 450, "4.7.0", STR("defer_if_reject requested"));
}

enum outcome await_class(struct judge *j, const struct step *step)
{
        return await_judge_list(j, step->list);
}

enum outcome await_sleep_step(struct judge *j, const struct step *step)
{
        /* Outside of a task (tools, tests) there is nobody to be slowed down. */
        if (task_self())
                await_sleep(step->time_ms);
        return OUTCOME_DUNNO;
}

static enum outcome await_permit_networks(struct judge *j, const struct networks *networks)
{
        struct why why;
        switch (await_networks_find(networks, j->facts->client_bits, j->arena, &why)) {
        case TABLE_FOUND:
                return await_judge_permit(j, SUBJECT_CLIENT);
        case TABLE_NOT_FOUND:
                return OUTCOME_DUNNO;
        case TABLE_ERROR:
                break;
        }
        return judge_fail_lookup(j, judge_subject_name(j, SUBJECT_CLIENT), &why);
}

enum outcome await_permit_mynetworks(struct judge *j, const struct step *step)
{
        return await_permit_networks(j, &j->policy->mynetworks);
}

enum outcome await_permit_inet_interfaces(struct judge *j, const struct step *step)
{
        return await_permit_networks(j, &j->policy->own);
}

enum outcome await_reject_unauth_pipelining(struct judge *j, const struct step *step)
{
        if (!j->facts->has_early_input)
                return OUTCOME_DUNNO;
        return judge_refuse_subject(j, j->subject, 503, "5.5.0",
                                    STR("Improper use of SMTP command pipelining"));
}

/* Bounces go to one: to him who sent what could not be delivered. */
enum outcome await_reject_multi_recipient_bounce(struct judge *j, const struct step *step)
{
        const struct policy_facts *facts = j->facts;
        size_t others = j->event == POLICY_AT_RCPT ? 0 : 1;
        if (!facts->has_sender || facts->sender.text.len || facts->recipient_count <= others)
                return OUTCOME_DUNNO;
        return judge_refuse_subject(j, j->subject,
                                    (int)j->params->multi_recipient_bounce_reject_code, "5.5.3",
                                    STR("Multi-recipient bounce"));
}

enum outcome await_reject_plaintext_session(struct judge *j, const struct step *step)
{
        if (j->facts->has_tls)
                return OUTCOME_DUNNO;
        return judge_refuse(j, (int)j->params->plaintext_reject_code, "4.7.1",
                            STR("Session encryption is required"));
}
