/* step_destination.c - whose mail it is: relaying, and recipients that nobody knows */
#include "policy/policy_private.h"

#include "config/receive_override.h"

bool policy_address_is_routed(const struct policy *p, const struct smtp_address *address)
{
        const struct params *params = p->params;
        if (params->allow_untrusted_routing)
                return false;
        for (size_t i = 0; i < address->local.len; i++) {
                char c = address->local.ptr[i];
                if (c == '@' || (c == '%' && params->allow_percent_hack) ||
                    (c == '!' && params->swap_bangpath))
                        return true;
        }
        return false;
}

/* Is this recipient's mail ours to take? 0 or -EAGAIN. */
static int await_is_ours(struct judge *j, bool *is_ours, struct why *why)
{
        enum address_class class;
        int rc = await_judge_class(j, &class, why);
        *is_ours = rc == 0 && class != CLASS_DEFAULT &&
                   !policy_address_is_routed(j->policy, &j->facts->recipient);
        return rc;
}

enum outcome await_judge_destination(struct judge *j, enum subject subject)
{
        const struct smtp_address *recipient = &j->facts->recipient;
        struct why why;
        bool is_ours;
        if (str_is_empty(recipient->text))
                return OUTCOME_DUNNO;
        if (await_is_ours(j, &is_ours, &why))
                return judge_fail_lookup(j, recipient->text, &why);
        return is_ours ? await_judge_permit(j, subject) : OUTCOME_DUNNO;
}

enum outcome await_permit_auth_destination(struct judge *j, const struct step *step)
{
        return await_judge_destination(j, SUBJECT_RECIPIENT);
}

static enum outcome await_refuse_foreign(struct judge *j, int64_t code)
{
        const struct smtp_address *recipient = &j->facts->recipient;
        struct why why;
        bool is_ours;
        if (str_is_empty(recipient->text))
                return OUTCOME_DUNNO;
        if (await_is_ours(j, &is_ours, &why))
                return judge_fail_lookup(j, recipient->text, &why);
        if (is_ours)
                return OUTCOME_DUNNO;
        return judge_refuse(
                j, (int)code, "5.7.1",
                arena_printf(j->arena, "<%.*s>: Relay access denied", STR_ARG(recipient->text)));
}

enum outcome await_reject_unauth_destination(struct judge *j, const struct step *step)
{
        return await_refuse_foreign(j, j->params->relay_domains_reject_code);
}

enum outcome await_defer_unauth_destination(struct judge *j, const struct step *step)
{
        int64_t code = j->params->relay_domains_reject_code;
        return await_refuse_foreign(j, code >= 500 ? code - 100 : code);
}

/* ---- unlisted ---- */

static enum outcome refuse_unlisted(struct judge *j, enum subject subject, enum address_class class)
{
        const struct params *params = j->params;
        int64_t code = params->unknown_local_recipient_reject_code;
        const char *table = " in local recipient table";
        switch (class) {
        case CLASS_DEFAULT:
        case CLASS_LOCAL:
                break;
        case CLASS_VIRTUAL_ALIAS:
                code = params->unknown_virtual_alias_reject_code;
                table = " in virtual alias table";
                break;
        case CLASS_VIRTUAL_MAILBOX:
                code = params->unknown_virtual_mailbox_reject_code;
                table = " in virtual mailbox table";
                break;
        case CLASS_RELAY:
                code = params->unknown_relay_recipient_reject_code;
                table = " in relay recipient table";
                break;
        }
        struct str text = arena_printf(j->arena, "User unknown%s",
                                       params->show_user_unknown_table_name ? table : "");
        /* Postfix's words for a sender of an alias domain come from elsewhere, and with them the code */
        const char *of_sender = class == CLASS_VIRTUAL_ALIAS ? "5.1.7" : "5.1.0";
        return judge_refuse_subject(j, subject, (int)code,
                                    subject == SUBJECT_SENDER ? of_sender : "5.1.1", text);
}

/* receive_override_options: nobody is asked for, neither at the end nor where a list says so */
static bool asks_nobody(const struct judge *j)
{
        return receive_overrides(j->params->receive_override_options, NULL) &
               RECEIVE_NO_UNKNOWN_RECIPIENT_CHECKS;
}

enum outcome await_reject_unlisted_sender(struct judge *j, const struct step *step)
{
        const struct smtp_address *sender = &j->facts->sender;
        struct why why;
        enum address_class class;
        bool is_listed;
        if (!j->facts->has_sender || str_is_empty(sender->text) || j->is_sender_listed_asked ||
            asks_nobody(j))
                return OUTCOME_DUNNO;
        /* a warning is no answer: the rule at the end asks again */
        j->is_sender_listed_asked = !j->warns_only;
        if (await_policy_class(j->policy, sender->domain, j->arena, &class, &why) ||
            await_policy_listed(j->policy, sender, LISTED_SENDER, class, j->arena, &is_listed,
                                &why))
                return judge_fail_lookup(j, sender->text, &why);
        return is_listed ? OUTCOME_DUNNO : refuse_unlisted(j, SUBJECT_SENDER, class);
}

enum outcome await_reject_unlisted_recipient(struct judge *j, const struct step *step)
{
        const struct smtp_address *recipient = &j->facts->recipient;
        struct smtp_address meant = *recipient;
        struct why why;
        enum address_class class;
        bool is_listed;
        if (str_is_empty(recipient->text) || j->is_recipient_listed_asked || asks_nobody(j))
                return OUTCOME_DUNNO;
        j->is_recipient_listed_asked = !j->warns_only;
        if (await_policy_unroute(j->policy, &meant, j->arena, &why) ||
            await_policy_class(j->policy, meant.domain, j->arena, &class, &why) ||
            await_policy_listed(j->policy, &meant, LISTED_RECIPIENT, class, j->arena, &is_listed,
                                &why))
                return judge_fail_lookup(j, recipient->text, &why);
        if (is_listed)
                return OUTCOME_DUNNO;
        struct smtp_reply reply;
        if (j->facts->await_route_refuses &&
            j->facts->await_route_refuses(j->facts->route_context, &reply))
                return judge_refuse(j, reply.code, reply.enhanced, reply.text);
        return refuse_unlisted(j, SUBJECT_RECIPIENT, class);
}
