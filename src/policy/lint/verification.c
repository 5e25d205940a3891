/* verification.c - probes that are made for too many, or at the wishes of strangers (ADDRESS_VERIFICATION_README) */
#include "policy/policy_private.h"

static void warn(struct findings *findings, enum severity severity, const char *code,
                 const struct step *step, const char *cure, const char *text)
{
        findings_add(findings, severity, code, step->at, cure, "%s: %s", step->restriction->name,
                     text);
}

static void lint_sender(const struct step *step, struct findings *findings)
{
        warn(findings, SEVERITY_WARNING, "verifies-all-senders", step,
             "ask only for domains that are often forged: check_sender_access with a table that names "
             "the restriction",
             "each sender's server is asked on behalf of whoever forges him; busy servers of others then "
             "refuse our mail");
}

/* True: nobody's mail to somebody else's domain gets past this step (lint/open_relay.c). */
static bool stops_strangers(const struct step *step)
{
        return !step->is_warning && step->restriction->reach == REACH_STOPS;
}

struct walk {
        struct findings *findings;
        bool is_stopped; /* what follows is asked for our own domains alone */
        int depth;
        const struct step *recipient; /* the first reject_unverified_recipient */
};

/* Only what is asked of everybody: what stands in access tables is asked of those whom they name. */
static void walk_list(struct walk *w, const struct step_list *list)
{
        if (++w->depth <= JUDGE_DEPTH_MAX) {
                for (size_t i = 0; i < list->count; i++) {
                        const struct step *step = &list->steps[i];
                        restriction_ask *ask = step->restriction->await_ask;
                        if (ask == await_reject_unverified_sender)
                                lint_sender(step, w->findings);
                        if (ask == await_reject_unverified_recipient && !w->recipient)
                                w->recipient = step;
                        if (ask == await_reject_unverified_recipient && !w->is_stopped)
                                warn(w->findings, SEVERITY_WARNING, "verifies-for-strangers", step,
                                     "put it behind reject_unauth_destination",
                                     "strangers can have any address anywhere probed");
                        if (step->list)
                                walk_list(w, step->list);
                        w->is_stopped = w->is_stopped || stops_strangers(step);
                }
        }
        w->depth--;
}

void policy_lint_verification(struct policy *p, struct findings *findings)
{
        bool is_relay_first = p->params->smtpd_relay_before_recipient_restrictions;
        const enum list_index order[] = {LIST_CLIENT, LIST_HELO, LIST_SENDER,
                                         is_relay_first ? LIST_RELAY : LIST_RECIPIENT,
                                         is_relay_first ? LIST_RECIPIENT : LIST_RELAY};
        struct walk w = {.findings = findings};
        for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
                walk_list(&w, &p->lists[order[i]]);
        if (w.recipient && p->params->unverified_recipient_reject_code == 450)
                warn(findings, SEVERITY_NOTE, "unverified-comes-again", w.recipient,
                     "set unverified_recipient_reject_code = 550",
                     "mail to users that do not exist is not refused: its senders come again for days");
}
