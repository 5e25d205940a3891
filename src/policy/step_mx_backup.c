/*
 * step_mx_backup.c - permit_mx_backup: are we a backup of this domain's mail exchanger?
 *
 * The domain's own MX records say so: one of them is ours, it is not the best one, and the best ones lie in
 * permit_mx_backup_networks (empty: anywhere). An address with a route of the sender's in it is nobody's backup. What the DNS
 * cannot say now makes the end temporary, if nothing else permits.
 */
#include "policy/policy_private.h"

enum whose { ELSEWHERE, OURS, UNKNOWN };

struct exchanger {
        enum whose place;
        bool is_trusted; /* all its addresses lie in permit_mx_backup_networks */
};

/* Is any of these addresses ours? Are all in the networks? Adds to *out; UNKNOWN when that cannot be said. */
static void await_weigh(struct judge *j, const struct dns_answer *a, struct exchanger *out)
{
        struct why why;
        for (size_t i = 0; i < a->count; i++) {
                const unsigned char *bits = a->records[i].address;
                enum table_result ours = await_networks_find(&j->policy->own, bits, j->arena, &why);
                enum table_result trusted = TABLE_FOUND;
                if (j->params->permit_mx_backup_networks.len)
                        trusted = await_networks_find(&j->policy->mx_backup, bits, j->arena, &why);
                if (ours == TABLE_ERROR || trusted == TABLE_ERROR)
                        out->place = UNKNOWN;
                else if (ours == TABLE_FOUND && out->place != UNKNOWN)
                        out->place = OURS;
                out->is_trusted = out->is_trusted && trusted == TABLE_FOUND;
        }
}

static struct exchanger await_exchanger(struct judge *j, struct str name)
{
        static const enum dns_type types[] = {DNS_A, DNS_AAAA};
        struct exchanger out = {.place = ELSEWHERE, .is_trusted = true};
        bool has_any = false;
        if (str_eq_nocase(name, j->params->myhostname))
                return (struct exchanger){.place = OURS, .is_trusted = true};
        for (size_t i = 0; i < 2; i++) {
                const struct dns_answer *a = await_judge_dns(j, name, types[i]);
                has_any = has_any || a->result == DNS_FOUND;
                if (a->result == DNS_FAILED)
                        out.place = UNKNOWN;
                else
                        await_weigh(j, a, &out);
        }
        out.is_trusted = out.is_trusted && has_any;
        return out;
}

static enum outcome not_known(struct judge *j)
{
        return judge_defer_if_reject(j, SUBJECT_RECIPIENT, 450, "4.4.3",
                                     STR("Unable to verify host as mail exchanger"));
}

/* OUTCOME_PERMIT when the records make us a backup. */
static enum outcome await_compare(struct judge *j, const struct dns_answer *mx)
{
        unsigned best = UINT16_MAX;
        bool is_ours = false;
        for (size_t i = 0; i < mx->count; i++)
                if (mx->records[i].preference < best)
                        best = mx->records[i].preference;
        for (size_t i = 0; i < mx->count; i++) {
                const struct dns_record *r = &mx->records[i];
                struct exchanger e = await_exchanger(j, r->name);
                bool is_best = r->preference == best;
                if (e.place == UNKNOWN)
                        return not_known(j);
                if (is_best && (e.place == OURS || !e.is_trusted))
                        return OUTCOME_DUNNO; /* we are no backup, or not of these */
                is_ours = is_ours || e.place == OURS;
        }
        return is_ours ? await_judge_permit(j, SUBJECT_RECIPIENT) : OUTCOME_DUNNO;
}

enum outcome await_permit_mx_backup(struct judge *j, const struct step *step)
{
        const struct smtp_address *recipient = &j->facts->recipient;
        enum outcome outcome = await_permit_auth_destination(j, step);
        if (outcome != OUTCOME_DUNNO || str_is_empty(recipient->domain) ||
            recipient->domain.ptr[0] == '[' || policy_address_is_routed(j->policy, recipient))
                return outcome;
        const struct dns_answer *mx = await_judge_dns(j, recipient->domain, DNS_MX);
        if (mx->result == DNS_FAILED)
                return not_known(j);
        return mx->result == DNS_FOUND ? await_compare(j, mx) : OUTCOME_DUNNO;
}
