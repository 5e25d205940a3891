/*
 * prefetch.c - what the lists will ask, asked before they do
 *
 * With smtpd_delay_reject nothing is judged before RCPT; by then the answers are there. Each restriction that asks DNS
 * says itself what it needs (its `prefetch`); nothing is asked twice in a session, so that nobody has to
 * remember what was asked.
 */
#include "policy/policy_private.h"

struct prefetch {
        const struct policy *policy;
        enum policy_event event;
        const struct policy_facts *facts;
        bool is_mynetwork;
};

/* Does the list end here for this client? Only what can be told without a look-up. */
static bool ends_list(const struct prefetch *f, const struct step *step)
{
        restriction_ask *ask = step->restriction->await_ask;
        return (ask == await_permit_mynetworks && f->is_mynetwork && !step->is_warning) ||
               ask == await_permit || ask == await_reject;
}

/* Classes do not contain themselves (compile.c), so this ends. True: so does the list that asks this one. */
static bool prefetch_list(const struct prefetch *f, const struct step_list *list)
{
        for (size_t i = 0; i < list->count; i++) {
                const struct step *step = &list->steps[i];
                if (step->restriction->prefetch)
                        step->restriction->prefetch(f->policy, f->event, f->facts, step);
                if (ends_list(f, step) || (step->list && prefetch_list(f, step->list)))
                        return true;
        }
        return false;
}

void policy_prefetch(const struct policy *p, enum policy_event event,
                     const struct policy_facts *facts)
{
        if (!facts->dns)
                return;
        struct prefetch f = {
                .policy = p,
                .event = event,
                .facts = facts,
                .is_mynetwork = !p->mynetworks.others && policy_is_mynetwork(p, facts->client_bits),
        };
        for (size_t i = 0; i < LIST_COUNT; i++)
                prefetch_list(&f, &p->lists[i]);
        if (policy_wants_spf_fields(p) && !f.is_mynetwork)
                policy_spf_prefetch(p, event, facts, NULL);
}
