/*
 * step_access.c - check_*_access: what an access table is asked, and in which order (access(5))
 *
 *   client        name, its parent domains; address, its parent networks
 *   reverse name  the same with the name that nobody has verified
 *   HELO, ETRN    name, its parent domains
 *   sender,       user+ext@domain, user@domain, domain, its parent domains, user+ext@, user@
 *   recipient
 *
 * Parents are "example.com" or ".example.com", by parent_domain_matches_subdomains. Pattern tables
 * are asked for the whole name, address or network address only. The first answer counts, also
 * DUNNO. Addresses are asked for in lower case, so that a pattern may mind the case of names alone.
 */
#include "policy/policy_private.h"

struct lookup {
        struct judge *j;
        const struct step *step;
        enum subject subject;
        bool is_suspicious; /* a route that the sender gave: OK does not count */
        enum outcome outcome;
};

enum key_kind { KEY_WHOLE, KEY_PART };

/* Asks for one key. True when the search is over, with l->outcome. */
static bool await_look(struct lookup *l, struct str key, enum key_kind kind)
{
        struct judge *j = l->j;
        struct str value;
        struct why why;
        if (str_is_empty(key) || (kind == KEY_PART && table_is_pattern(l->step->table)))
                return false;
        struct table_rule rule;
        enum table_result found =
                await_table_find_rule(l->step->table, key, j->arena, &value, &rule, &why);
        judge_note_table(j, l->step->table, key, found, found == TABLE_FOUND ? value : STR(""),
                         &rule);
        switch (found) {
        case TABLE_NOT_FOUND:
                return false;
        case TABLE_ERROR:
                l->outcome = judge_fail_lookup(j, judge_subject_name(j, l->subject), &why);
                return true;
        case TABLE_FOUND:
                break;
        }
        j->key = key;
        l->outcome = await_access_act(j, l->step, l->subject, value);
        if (l->outcome == OUTCOME_PERMIT && l->is_suspicious && !j->effects->is_discarded)
                l->outcome = OUTCOME_DUNNO;
        return true;
}

static bool await_look_name(struct lookup *l, struct str name, enum key_kind kind)
{
        bool has_parents = l->j->policy->access_has_parents;
        unsigned char bits[16];
        if (await_look(l, name, kind))
                return true;
        if (table_is_pattern(l->step->table) || network_address_parse(name, bits))
                return false;
        for (;;) {
                ptrdiff_t dot = str_find(str_tail(name, 1), '.');
                if (dot < 0)
                        return false;
                name = str_tail(name, (size_t)dot + (has_parents ? 2 : 1));
                if (name.len > 1 && await_look(l, name, KEY_PART))
                        return true;
        }
}

static bool await_look_address(struct lookup *l, struct str address)
{
        if (await_look(l, address, KEY_WHOLE))
                return true;
        char separator = str_find(address, ':') >= 0 ? ':' : '.';
        for (;;) {
                ptrdiff_t end = str_find_last(address, separator);
                if (end <= 0 || table_is_pattern(l->step->table))
                        return false;
                address = str_part(address, 0, (size_t)end);
                if (await_look(l, address, KEY_PART))
                        return true;
        }
}

static bool await_look_mailbox(struct lookup *l, const struct smtp_address *address)
{
        struct judge *j = l->j;
        struct str domain = arena_str_lower(j->arena, policy_domain(j->policy, address));
        struct str local = arena_str_lower(j->arena, address->local);
        struct str key = arena_printf(j->arena, "%.*s@%.*s", STR_ARG(local), STR_ARG(domain));
        if (await_look(l, key, KEY_WHOLE))
                return true;
        if (table_is_pattern(l->step->table))
                return false;
        struct str bare;
        struct str bare_key = {"", 0};
        if (extension_split(local, j->params->recipient_delimiter, &bare))
                bare_key = arena_printf(j->arena, "%.*s@%.*s", STR_ARG(bare), STR_ARG(domain));
        if (await_look(l, bare_key, KEY_PART) || await_look_name(l, domain, KEY_PART) ||
            await_look(l, str_part(key, 0, address->local.len + 1), KEY_PART))
                return true;
        return bare_key.len && await_look(l, str_part(bare_key, 0, bare.len + 1), KEY_PART);
}

/* ---- the restrictions ---- */

static struct lookup lookup_make(struct judge *j, const struct step *step, enum subject subject)
{
        return (struct lookup){.j = j, .step = step, .subject = subject, .outcome = OUTCOME_DUNNO};
}

enum outcome await_check_client_access(struct judge *j, const struct step *step)
{
        struct lookup l = lookup_make(j, step, SUBJECT_CLIENT);
        if (!await_look_name(&l, j->facts->client_name, KEY_WHOLE))
                await_look_address(&l, j->facts->client_address);
        return l.outcome;
}

bool await_access_name(struct judge *j, const struct step *step, enum subject subject,
                       struct str name, enum outcome *out)
{
        struct lookup l = lookup_make(j, step, subject);
        bool is_found = await_look_name(&l, name, KEY_WHOLE);
        *out = l.outcome;
        return is_found;
}

bool await_access_address(struct judge *j, const struct step *step, enum subject subject,
                          struct str address, enum outcome *out)
{
        struct lookup l = lookup_make(j, step, subject);
        bool is_found = await_look_address(&l, address);
        *out = l.outcome;
        return is_found;
}

enum outcome access_forbids_ok(struct judge *j, const struct step *step)
{
        return judge_fail_config(
                j,
                "%s returns OK for %.*s: a stranger could give himself that; write "
                "DUNNO for an exception",
                step->restriction->name, STR_ARG(str_part(j->key, 0, 255)));
}

enum outcome await_check_reverse_client_access(struct judge *j, const struct step *step)
{
        struct lookup l = lookup_make(j, step, SUBJECT_REVERSE_CLIENT);
        if (!await_look_name(&l, j->facts->reverse_client_name, KEY_WHOLE))
                await_look_address(&l, j->facts->client_address);
        return l.outcome == OUTCOME_PERMIT && !j->effects->is_discarded ? access_forbids_ok(j, step)
                                                                        : l.outcome;
}

enum outcome await_check_helo_access(struct judge *j, const struct step *step)
{
        struct lookup l = lookup_make(j, step, SUBJECT_HELO);
        struct str name = j->facts->helo;
        enum key_kind kind = KEY_WHOLE;
        /* A dot at the end is no way around the table (in Postfix it is). */
        if (name.len > 1 && name.ptr[name.len - 1] == '.') {
                if (await_look(&l, name, KEY_WHOLE))
                        return l.outcome;
                name.len--;
                kind = KEY_PART;
        }
        if (name.len)
                await_look_name(&l, name, kind);
        return l.outcome;
}

enum outcome await_check_etrn_access(struct judge *j, const struct step *step)
{
        struct lookup l = lookup_make(j, step, SUBJECT_ETRN);
        if (j->facts->etrn_name.len)
                await_look_name(&l, j->facts->etrn_name, KEY_WHOLE);
        return l.outcome;
}

enum outcome await_check_sender_access(struct judge *j, const struct step *step)
{
        struct lookup l = lookup_make(j, step, SUBJECT_SENDER);
        if (!j->facts->has_sender)
                return OUTCOME_DUNNO;
        if (str_is_empty(j->facts->sender.text))
                await_look(&l, j->params->smtpd_null_access_lookup_key, KEY_WHOLE);
        else
                await_look_mailbox(&l, &j->facts->sender);
        return l.outcome;
}

enum outcome await_check_recipient_access(struct judge *j, const struct step *step)
{
        struct lookup l = lookup_make(j, step, SUBJECT_RECIPIENT);
        if (str_is_empty(j->facts->recipient.text))
                return OUTCOME_DUNNO;
        l.is_suspicious = policy_address_is_routed(j->policy, &j->facts->recipient);
        await_look_mailbox(&l, &j->facts->recipient);
        return l.outcome;
}

enum outcome await_check_list_access(struct judge *j, const struct step *step)
{
        switch (j->subject) {
        case SUBJECT_CLIENT:
                return await_check_client_access(j, step);
        case SUBJECT_REVERSE_CLIENT:
                return await_check_reverse_client_access(j, step);
        case SUBJECT_HELO:
                return await_check_helo_access(j, step);
        case SUBJECT_SENDER:
                return await_check_sender_access(j, step);
        case SUBJECT_RECIPIENT:
                return await_check_recipient_access(j, step);
        case SUBJECT_ETRN:
                return await_check_etrn_access(j, step);
        case SUBJECT_DATA:
        case SUBJECT_END_OF_DATA:
                break;
        }
        return judge_fail_config(j, "which access check is meant? Write check_client_access or "
                                    "another before the table");
}
