/*
 * step_certificate.c - restrictions that ask for the client's certificate (TLS_README)
 *
 * A fingerprint is proof by itself: its table names this one certificate or key, so nobody else's signature is
 * needed. permit_tls_all_clientcerts takes any certificate that our authorities have signed, and those of the table.
 */
#include "policy/policy_private.h"

#include <errno.h>

static bool has_certificate(const struct judge *j)
{
        return j->facts->certificate && j->facts->certificate->has_certificate;
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
                        return await_judge_permit(j, SUBJECT_CLIENT);
                case TABLE_ERROR:
                        return judge_fail_lookup(j, judge_subject_name(j, SUBJECT_CLIENT), &why);
                case TABLE_NOT_FOUND:
                        break;
                }
        }
        return OUTCOME_DUNNO;
}

enum outcome await_permit_tls_all_clientcerts(struct judge *j, const struct step *step)
{
        if (has_certificate(j) && j->facts->certificate->is_trusted)
                return await_judge_permit(j, SUBJECT_CLIENT);
        return await_permit_tls_clientcerts(j, step);
}

/* ---- check_ccert_access ---- */

/* What stands in the braces that the text is; false: it is not in braces. */
static bool take_braces(struct str *text)
{
        if (text->len < 2 || text->ptr[0] != '{' || text->ptr[text->len - 1] != '}')
                return false;
        *text = str_trim(str_part(*text, 1, text->len - 2));
        return true;
}

static int parse_order(struct str words, struct certificate_search *out, struct why *why)
{
        static const struct {
                struct str name;
                enum certificate_key key;
        } names[] = {
                {STR_INIT("cert_fingerprint"), CERTIFICATE_FINGERPRINT},
                {STR_INIT("pubkey_fingerprint"), CERTIFICATE_KEY_FINGERPRINT},
        };
        struct str word;
        out->count = 0;
        while (str_next_word(&words, ", \t\r\n", &word)) {
                size_t i = 0;
                while (i < 2 && !str_eq_nocase(names[i].name, word))
                        i++;
                if (i == 2)
                        return why_set(
                                why, -EINVAL,
                                "search_order: cert_fingerprint and pubkey_fingerprint are known, "
                                "not \"%.*s\"",
                                STR_ARG(str_part(word, 0, 100)));
                if (out->count == CERTIFICATE_KEYS_MAX)
                        return why_set(why, -EINVAL, "search_order: more than %d names",
                                       (int)CERTIFICATE_KEYS_MAX);
                out->keys[out->count++] = names[i].key;
        }
        return out->count ? 0 : why_set(why, -EINVAL, "search_order is empty");
}

int certificate_search_parse(struct str argument, struct certificate_search *out, struct why *why)
{
        *out = (struct certificate_search){
                .table = argument,
                .keys = {CERTIFICATE_FINGERPRINT, CERTIFICATE_KEY_FINGERPRINT},
                .count = CERTIFICATE_KEYS_MAX,
        };
        if (!take_braces(&argument))
                return 0;
        struct str setting;
        if (!policy_item_next(&argument, &out->table) || str_find(out->table, ':') <= 0)
                return why_set(why, -EINVAL, "there is no type:table in the braces");
        while (policy_item_next(&argument, &setting)) {
                if (!take_braces(&setting))
                        return why_set(why, -EINVAL, "\"%.*s\" needs braces",
                                       STR_ARG(str_part(setting, 0, 100)));
                struct str name = str_trim(str_cut(&setting, '='));
                if (!str_eq_nocase(name, STR("search_order")))
                        return why_set(why, -EINVAL, "there is no setting \"%.*s\"",
                                       STR_ARG(str_part(name, 0, 100)));
                int rc = parse_order(setting, out, why);
                if (rc < 0)
                        return rc;
        }
        return 0;
}

enum outcome await_check_ccert_access(struct judge *j, const struct step *step)
{
        if (!has_certificate(j))
                return OUTCOME_DUNNO;
        const struct certificate_search *search = &step->certificate_search;
        for (size_t i = 0; i < search->count; i++) {
                struct str print = str_from(search->keys[i] == CERTIFICATE_FINGERPRINT
                                                    ? j->facts->certificate->fingerprint
                                                    : j->facts->certificate->key_fingerprint);
                struct str value;
                struct why why;
                switch (await_table_find(step->table, print, j->arena, &value, &why)) {
                case TABLE_FOUND:
                        j->key = print;
                        return await_access_act(j, step, SUBJECT_CLIENT, value);
                case TABLE_ERROR:
                        return judge_fail_lookup(j, judge_subject_name(j, SUBJECT_CLIENT), &why);
                case TABLE_NOT_FOUND:
                        break;
                }
        }
        return OUTCOME_DUNNO;
}
