/*
 * restriction_names.c - every restriction of Postfix by its name, and what becomes of it here
 *
 * A name that is not in this table is a mistake in the configuration. One that is here but not
 * ready is never left out in silence: it is a warning (it asks DNS), a note (it could never apply
 * without SASL or client certificates) or an error (without it, mail would pass that was meant to
 * be stopped).
 */
#include "policy/policy_private.h"

#define READY(name, argument, reach, await_ask)                                             \
        {                                                                                   \
                name, KIND_READY, ARGUMENT_##argument, REACH_##reach, await_ask, NULL, NULL \
        }
/* also starts its questions early: policy_prefetch() */
#define ASKS_DNS(name, argument, reach, await_ask, prefetch)                                    \
        {                                                                                       \
                name, KIND_READY, ARGUMENT_##argument, REACH_##reach, await_ask, NULL, prefetch \
        }
#define INERT(name, argument, missed)                                                 \
        {                                                                             \
                name, KIND_INERT, ARGUMENT_##argument, REACH_NONE, NULL, missed, NULL \
        }
/* ...a list in the DNS */
#define ASKS_LIST(name, subject, await_ask)                                   \
        {                                                                     \
                name, KIND_READY, ARGUMENT_LIST, REACH_NONE, await_ask, NULL, \
                        policy_prefetch_list, LIST_OF_##subject               \
        }
#define NOT_YET(name, argument, missed)                                                 \
        {                                                                               \
                name, KIND_NOT_YET, ARGUMENT_##argument, REACH_NONE, NULL, missed, NULL \
        }

#define NO_SASL "nobody logs in here"

static const struct restriction restrictions[] = {
        /* for any list */
        READY("permit", NONE, PERMITS, await_permit),
        READY("reject", NONE, STOPS, await_reject),
        READY("defer", NONE, STOPS, await_defer),
        READY("defer_if_permit", NONE, STOPS, await_defer_if_permit),
        READY("defer_if_reject", NONE, NONE, await_defer_if_reject),
        {"warn_if_reject", KIND_WARN, ARGUMENT_NONE, REACH_NONE, NULL, NULL, NULL},
        READY("sleep", TIME, NONE, await_sleep_step),
        READY("reject_unauth_pipelining", NONE, NONE, await_reject_unauth_pipelining),
        READY("reject_multi_recipient_bounce", NONE, NONE, await_reject_multi_recipient_bounce),
        READY("reject_plaintext_session", NONE, NONE, await_reject_plaintext_session),
        READY("check_policy_service", SERVICE, PERMITS, await_check_policy_service),

        /* client */
        READY("permit_mynetworks", NONE, NONE, await_permit_mynetworks),
        READY("permit_inet_interfaces", NONE, NONE, await_permit_inet_interfaces),
        READY("check_client_access", TABLE, PERMITS, await_check_client_access),
        INERT("permit_sasl_authenticated", NONE, NO_SASL),
        INERT("check_sasl_access", TABLE, NO_SASL),
        READY("permit_tls_clientcerts", NONE, NONE, await_permit_tls_clientcerts),
        READY("permit_tls_all_clientcerts", NONE, NONE, await_permit_tls_all_clientcerts),
        READY("check_ccert_access", CERTIFICATE_TABLE, PERMITS, await_check_ccert_access),
        ASKS_DNS("check_client_a_access", TABLE, NONE, await_check_client_a_access,
                 prefetch_client_a_access),
        ASKS_DNS("check_client_mx_access", TABLE, NONE, await_check_client_mx_access,
                 prefetch_client_mx_access),
        ASKS_DNS("check_client_ns_access", TABLE, NONE, await_check_client_ns_access,
                 prefetch_client_ns_access),
        READY("check_reverse_client_hostname_access", TABLE, NONE,
              await_check_reverse_client_access),
        ASKS_DNS("check_reverse_client_hostname_a_access", TABLE, NONE,
                 await_check_reverse_client_a_access, prefetch_reverse_client_a_access),
        ASKS_DNS("check_reverse_client_hostname_mx_access", TABLE, NONE,
                 await_check_reverse_client_mx_access, prefetch_reverse_client_mx_access),
        ASKS_DNS("check_reverse_client_hostname_ns_access", TABLE, NONE,
                 await_check_reverse_client_ns_access, prefetch_reverse_client_ns_access),
        ASKS_LIST("reject_rbl_client", ADDRESSES, await_reject_listed),
        ASKS_LIST("reject_rhsbl_client", CLIENT_NAMES, await_reject_listed),
        ASKS_LIST("reject_rhsbl_reverse_client", REVERSE_NAMES, await_reject_listed),
        ASKS_LIST("permit_dnswl_client", ADDRESSES, await_permit_listed),
        ASKS_LIST("permit_rhswl_client", CLIENT_NAMES, await_permit_listed),
        READY("reject_unknown_client_hostname", NONE, NONE, await_reject_unknown_client),
        READY("reject_unknown_reverse_client_hostname", NONE, NONE,
              await_reject_unknown_reverse_client),
        READY("reject_unknown_forward_client_hostname", NONE, NONE, await_reject_unknown_client),

        /* HELO */
        READY("check_helo_access", TABLE, PERMITS, await_check_helo_access),
        READY("reject_invalid_helo_hostname", NONE, NONE, await_reject_invalid_helo),
        READY("reject_non_fqdn_helo_hostname", NONE, NONE, await_reject_non_fqdn_helo),
        ASKS_DNS("check_helo_a_access", TABLE, NONE, await_check_helo_a_access,
                 prefetch_helo_a_access),
        ASKS_DNS("check_helo_mx_access", TABLE, NONE, await_check_helo_mx_access,
                 prefetch_helo_mx_access),
        ASKS_DNS("check_helo_ns_access", TABLE, NONE, await_check_helo_ns_access,
                 prefetch_helo_ns_access),
        ASKS_LIST("reject_rhsbl_helo", HELO_NAMES, await_reject_listed),
        ASKS_DNS("reject_unknown_helo_hostname", NONE, NONE, await_reject_unknown_helo,
                 prefetch_unknown_helo),

        /* sender */
        READY("check_sender_access", TABLE, PERMITS, await_check_sender_access),
        READY("reject_non_fqdn_sender", NONE, NONE, await_reject_non_fqdn_sender),
        READY("reject_unlisted_sender", NONE, NONE, await_reject_unlisted_sender),
        ASKS_DNS("check_sender_a_access", TABLE, NONE, await_check_sender_a_access,
                 prefetch_sender_a_access),
        ASKS_DNS("check_sender_mx_access", TABLE, NONE, await_check_sender_mx_access,
                 prefetch_sender_mx_access),
        ASKS_DNS("check_sender_ns_access", TABLE, NONE, await_check_sender_ns_access,
                 prefetch_sender_ns_access),
        ASKS_LIST("reject_rhsbl_sender", SENDERS, await_reject_listed),
        ASKS_DNS("reject_unknown_sender_domain", NONE, NONE, await_reject_unknown_sender_domain,
                 prefetch_unknown_sender),
        INERT("reject_sender_login_mismatch", NONE, NO_SASL),
        INERT("reject_authenticated_sender_login_mismatch", NONE, NO_SASL),
        INERT("reject_known_sender_login_mismatch", NONE, NO_SASL),
        INERT("reject_unauthenticated_sender_login_mismatch", NONE, NO_SASL),
        READY("reject_unverified_sender", NONE, NONE, await_reject_unverified_sender),

        /* SPF (RFC 7208); Postfix has none of these */
        ASKS_DNS("reject_spf_fail", NONE, NONE, await_reject_spf_fail, policy_spf_prefetch),
        ASKS_DNS("reject_spf_softfail", NONE, NONE, await_reject_spf_softfail, policy_spf_prefetch),
        ASKS_DNS("reject_spf_none", NONE, NONE, await_reject_spf_none, policy_spf_prefetch),
        ASKS_DNS("reject_spf_permerror", NONE, NONE, await_reject_spf_permerror,
                 policy_spf_prefetch),
        ASKS_DNS("defer_spf_softfail", NONE, NONE, await_defer_spf_softfail, policy_spf_prefetch),
        ASKS_DNS("defer_spf_temperror", NONE, NONE, await_defer_spf_temperror, policy_spf_prefetch),
        ASKS_DNS("reject_spf_helo_fail", NONE, NONE, await_reject_spf_helo_fail,
                 policy_spf_prefetch),
        ASKS_DNS("reject_spf_helo_softfail", NONE, NONE, await_reject_spf_helo_softfail,
                 policy_spf_prefetch),
        ASKS_DNS("reject_spf_helo_permerror", NONE, NONE, await_reject_spf_helo_permerror,
                 policy_spf_prefetch),
        ASKS_DNS("defer_spf_helo_temperror", NONE, NONE, await_defer_spf_helo_temperror,
                 policy_spf_prefetch),

        /* recipient */
        READY("check_recipient_access", TABLE, PERMITS, await_check_recipient_access),
        READY("permit_auth_destination", NONE, NONE, await_permit_auth_destination),
        READY("reject_unauth_destination", NONE, STOPS, await_reject_unauth_destination),
        READY("defer_unauth_destination", NONE, STOPS, await_defer_unauth_destination),
        READY("reject_non_fqdn_recipient", NONE, NONE, await_reject_non_fqdn_recipient),
        READY("reject_unlisted_recipient", NONE, NONE, await_reject_unlisted_recipient),
        ASKS_DNS("check_recipient_a_access", TABLE, NONE, await_check_recipient_a_access,
                 prefetch_recipient_a_access),
        ASKS_DNS("check_recipient_mx_access", TABLE, NONE, await_check_recipient_mx_access,
                 prefetch_recipient_mx_access),
        ASKS_DNS("check_recipient_ns_access", TABLE, NONE, await_check_recipient_ns_access,
                 prefetch_recipient_ns_access),
        READY("permit_mx_backup", NONE, NONE, await_permit_mx_backup),
        ASKS_LIST("reject_rhsbl_recipient", RECIPIENTS, await_reject_listed),
        ASKS_DNS("reject_unknown_recipient_domain", NONE, NONE,
                 await_reject_unknown_recipient_domain, prefetch_unknown_recipient),
        READY("reject_unverified_recipient", NONE, NONE, await_reject_unverified_recipient),

        READY("check_etrn_access", TABLE, PERMITS, await_check_etrn_access),

        NOT_YET("check_relay_domains", NONE,
                "Postfix has it no more: write permit_mynetworks, reject_unauth_destination"),
        NOT_YET("reject_maps_rbl", NONE, "Postfix has it no more: write reject_rbl_client DOMAIN"),
        NOT_YET("permit_naked_ip_address", NONE, "Postfix has it no more: write permit_mynetworks"),
};

enum { RESTRICTION_COUNT = sizeof(restrictions) / sizeof(restrictions[0]) };

static const struct {
        const char *name;
        const char *new_name;
} old_names[] = {
        {"reject_unknown_client", "reject_unknown_client_hostname"},
        {"reject_invalid_hostname", "reject_invalid_helo_hostname"},
        {"reject_non_fqdn_hostname", "reject_non_fqdn_helo_hostname"},
        {"reject_unknown_hostname", "reject_unknown_helo_hostname"},
        {"reject_unknown_address", "reject_unknown_sender_domain"},
        {"check_recipient_maps", "reject_unlisted_recipient"},
};

enum { OLD_NAME_COUNT = sizeof(old_names) / sizeof(old_names[0]) };

const struct restriction restriction_of_class = {
        .name = "", .kind = KIND_READY, .reach = REACH_LIST, .await_ask = await_class};

const struct restriction restriction_of_table = {.name = "access table",
                                                 .kind = KIND_READY,
                                                 .argument = ARGUMENT_TABLE,
                                                 .reach = REACH_PERMITS,
                                                 .await_ask = await_check_list_access};

static const struct restriction *find(struct str name)
{
        for (size_t i = 0; i < RESTRICTION_COUNT; i++)
                if (str_eq_nocase(name, str_from(restrictions[i].name)))
                        return &restrictions[i];
        return NULL;
}

const struct restriction *restriction_find(struct str name, bool *is_old)
{
        *is_old = false;
        for (size_t i = 0; i < OLD_NAME_COUNT; i++)
                if (str_eq_nocase(name, str_from(old_names[i].name))) {
                        *is_old = true;
                        return find(str_from(old_names[i].new_name));
                }
        return find(name);
}

const struct restriction *restriction_at(size_t i)
{
        return i < RESTRICTION_COUNT ? &restrictions[i] : NULL;
}

/* ---- did you mean ---- */

enum { NAME_BYTES_MAX = 64 };

/* How many letters must be put in, taken out or changed. */
static unsigned distance(struct str a, struct str b)
{
        unsigned row[NAME_BYTES_MAX + 1];
        if (a.len > NAME_BYTES_MAX || b.len > NAME_BYTES_MAX)
                return NAME_BYTES_MAX;
        for (size_t j = 0; j <= b.len; j++)
                row[j] = (unsigned)j;
        for (size_t i = 1; i <= a.len; i++) {
                unsigned corner = row[0];
                row[0] = (unsigned)i;
                for (size_t j = 1; j <= b.len; j++) {
                        bool is_same = char_lower(a.ptr[i - 1]) == char_lower(b.ptr[j - 1]);
                        unsigned best = corner + !is_same;
                        if (row[j] + 1 < best)
                                best = row[j] + 1;
                        if (row[j - 1] + 1 < best)
                                best = row[j - 1] + 1;
                        corner = row[j];
                        row[j] = best;
                }
        }
        return row[b.len];
}

static void take_if_nearer(struct str name, struct str known, unsigned *least, struct str *best)
{
        unsigned d = distance(name, known);
        if (d < *least) {
                *least = d;
                *best = known;
        }
}

struct str restriction_nearest(struct str name, const struct map *classes)
{
        struct str best = {"", 0};
        /* a third of the letters wrong is another word */
        unsigned least = 1 + (unsigned)(name.len < NAME_BYTES_MAX ? name.len : 0) / 3;
        for (size_t i = 0; i < RESTRICTION_COUNT; i++)
                take_if_nearer(name, str_from(restrictions[i].name), &least, &best);
        size_t at = 0;
        const struct map_slot *slot;
        while (classes && (slot = map_next(classes, &at)))
                take_if_nearer(name, str_make(slot->key, slot->key_len), &least, &best);
        return best;
}
