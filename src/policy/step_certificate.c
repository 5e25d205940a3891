/*
 * step_certificate.c - restrictions that ask for the client's certificate (TLS_README)
 *
 * A fingerprint is proof by itself: its table names this one certificate or key, so nobody else's signature is
 * needed. permit_tls_all_clientcerts has no table, and wants a certificate that our authorities have signed.
 */
#include "policy/policy_private.h"

static bool has_certificate(const struct judge *j)
{
        return j->facts->certificate && j->facts->certificate->has_certificate;
}

enum outcome await_permit_tls_all_clientcerts(struct judge *j, const struct step *step)
{
        return has_certificate(j) && j->facts->certificate->is_trusted ? OUTCOME_PERMIT
                                                                       : OUTCOME_DUNNO;
}

enum outcome await_permit_tls_clientcerts(struct judge *j, const struct step *step)
{
        if (!has_certificate(j))
                return OUTCOME_DUNNO;
        const char *const prints[] = {j->facts->certificate->fingerprint,
                                      j->facts->certificate->key_fingerprint};
        for (size_t i = 0; i < 2; i++) {
                struct str value;
                struct why why;
                switch (await_table_list_find(j->policy->relay_clientcerts, str_from(prints[i]),
                                              j->arena, &value, &why)) {
                case TABLE_FOUND:
                        return OUTCOME_PERMIT;
                case TABLE_ERROR:
                        return judge_fail_lookup(j, judge_subject_name(j, SUBJECT_CLIENT), &why);
                case TABLE_NOT_FOUND:
                        break;
                }
        }
        return OUTCOME_DUNNO;
}

enum outcome await_check_ccert_access(struct judge *j, const struct step *step)
{
        if (!has_certificate(j))
                return OUTCOME_DUNNO;
        const char *const prints[] = {j->facts->certificate->fingerprint,
                                      j->facts->certificate->key_fingerprint};
        for (size_t i = 0; i < 2; i++) {
                struct str value;
                struct why why;
                switch (await_table_find(step->table, str_from(prints[i]), j->arena, &value,
                                         &why)) {
                case TABLE_FOUND:
                        j->key = str_from(prints[i]);
                        return await_access_act(j, step, SUBJECT_CLIENT, value);
                case TABLE_ERROR:
                        return judge_fail_lookup(j, judge_subject_name(j, SUBJECT_CLIENT), &why);
                case TABLE_NOT_FOUND:
                        break;
                }
        }
        return OUTCOME_DUNNO;
}
