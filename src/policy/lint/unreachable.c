/* unreachable.c - restrictions that are never asked, because one before them always answers */
#include "policy/policy_private.h"

/* permit, reject, defer: whatever is asked, they answer. */
static bool always_answers(const struct step *step)
{
        restriction_ask *ask = step->restriction->await_ask;
        if (ask == await_permit)
                return true;
        if (step->is_warning)
                return false;
        if (ask == await_reject || ask == await_defer)
                return true;
        for (size_t i = 0; step->list && i < step->list->count; i++)
                if (always_answers(&step->list->steps[i]))
                        return true;
        return false;
}

/*
 * permit_auth_destination and reject_unauth_destination, in either order: each answers for some recipients, together they
 * answer for all.
 */
static bool answers_with_another(const struct step_list *list, size_t at)
{
        bool permits_ours = false, refuses_others = false;
        for (size_t i = 0; i <= at; i++) {
                restriction_ask *ask = list->steps[i].restriction->await_ask;
                permits_ours = permits_ours || ask == await_permit_auth_destination;
                refuses_others = refuses_others || (!list->steps[i].is_warning &&
                                                    (ask == await_reject_unauth_destination ||
                                                     ask == await_defer_unauth_destination));
        }
        return permits_ours && refuses_others;
}

static void lint_unreachable(const struct step_list *list, struct findings *findings)
{
        for (size_t i = 0; i + 1 < list->count; i++) {
                const struct step *step = &list->steps[i];
                if (!always_answers(step) && !answers_with_another(list, i))
                        continue;
                findings_add(
                        findings, SEVERITY_WARNING, "unreachable-restriction",
                        list->steps[i + 1].at, "take it out, or put it earlier",
                        "%.*s: what stands after %.*s is never asked", STR_ARG(list->name),
                        STR_ARG(step->list ? step->list->name : str_from(step->restriction->name)));
                return;
        }
}

/* What permits or refuses without any argument says the same each time: it was not passed, or has nothing more to refuse. */
static bool is_same(const struct step *one, const struct step *other)
{
        struct str name = str_from(one->restriction->name);
        return one->restriction == other->restriction && one->is_warning == other->is_warning &&
               one->argument.len == 0 &&
               (str_starts(name, STR("permit_")) || str_starts(name, STR("reject_")));
}

static void lint_repeated(const struct step_list *list, struct findings *findings)
{
        for (size_t i = 1; i < list->count; i++)
                for (size_t k = 0; k < i; k++) {
                        const struct step *step = &list->steps[i];
                        if (!is_same(step, &list->steps[k]))
                                continue;
                        findings_add(findings, SEVERITY_NOTE, "repeated-restriction", step->at,
                                     "take one of them out", "%.*s: %s stands there twice",
                                     STR_ARG(list->name), step->restriction->name);
                        break;
                }
}

static void lint_list(const struct step_list *list, struct findings *findings)
{
        lint_unreachable(list, findings);
        lint_repeated(list, findings);
}

/* Before RCPT there is no recipient to look at. */
static void lint_too_early(const struct policy *p, const struct step_list *list,
                           struct findings *findings)
{
        static restriction_ask *const about_recipients[] = {
                await_check_recipient_access,      await_permit_auth_destination,
                await_reject_unauth_destination,   await_defer_unauth_destination,
                await_reject_non_fqdn_recipient,   await_reject_unlisted_recipient,
                await_reject_unverified_recipient,
        };
        for (size_t i = 0; i < list->count; i++)
                for (size_t k = 0; k < sizeof(about_recipients) / sizeof(about_recipients[0]); k++)
                        if (list->steps[i].restriction->await_ask == about_recipients[k])
                                findings_add(findings, SEVERITY_WARNING, "too-early-restriction",
                                             list->steps[i].at, "set smtpd_delay_reject = yes",
                                             "%.*s: %s is asked before there is a recipient, "
                                             "and does nothing",
                                             STR_ARG(list->name), list->steps[i].restriction->name);
}

void policy_lint_unreachable(struct policy *p, struct findings *findings)
{
        for (size_t i = 0; i < LIST_COUNT; i++)
                lint_list(&p->lists[i], findings);
        for (size_t i = 0; i < p->class_count; i++)
                lint_list(p->class_list[i], findings);
        if (!p->params->smtpd_delay_reject)
                for (size_t i = LIST_CLIENT; i <= LIST_SENDER; i++)
                        lint_too_early(p, &p->lists[i], findings);
}
