/* step_syntax.c - names and addresses that cannot be right: reject_non_fqdn_*, reject_invalid_* */
#include "policy/policy_private.h"

static struct str without_final_dot(struct str name)
{
        return str_ends(name, STR(".")) ? str_part(name, 0, name.len - 1) : name;
}

bool helo_is_host_name(struct str name)
{
        return smtp_text_is_ascii(name) && smtp_domain_is_valid(name);
}

/* "[192.0.2.1]" as a HELO name: the address must be one, for both restrictions. */
enum outcome judge_helo_literal(struct judge *j, struct str name)
{
        if (smtp_domain_is_literal(name))
                return OUTCOME_DUNNO;
        return judge_refuse_subject(j, SUBJECT_HELO, (int)j->params->invalid_hostname_reject_code,
                                    "5.5.2", STR("invalid ip address"));
}

enum outcome await_reject_invalid_helo(struct judge *j, const struct step *step)
{
        struct str name = j->facts->helo;
        unsigned char bits[16];
        if (str_is_empty(name))
                return OUTCOME_DUNNO;
        if (name.ptr[0] == '[')
                return judge_helo_literal(j, name);
        /* A bare address is bad manners, but a name that means something (Postfix: the same). */
        if (helo_is_host_name(without_final_dot(name)) || network_address_parse(name, bits))
                return OUTCOME_DUNNO;
        return judge_refuse_subject(j, SUBJECT_HELO, (int)j->params->invalid_hostname_reject_code,
                                    "5.5.2", STR("Invalid name"));
}

enum outcome await_reject_non_fqdn_helo(struct judge *j, const struct step *step)
{
        struct str name = j->facts->helo;
        if (str_is_empty(name))
                return OUTCOME_DUNNO;
        if (name.ptr[0] == '[')
                return judge_helo_literal(j, name);
        name = without_final_dot(name);
        if (smtp_text_is_ascii(name) && smtp_domain_is_fqdn(name))
                return OUTCOME_DUNNO;
        return judge_refuse_subject(j, SUBJECT_HELO, (int)j->params->non_fqdn_reject_code, "5.5.2",
                                    STR("need fully-qualified hostname"));
}

static enum outcome judge_address(struct judge *j, const struct smtp_address *address,
                                  enum subject subject)
{
        struct str domain = without_final_dot(address->domain);
        if ((domain.len && domain.ptr[0] == '[') || smtp_domain_is_fqdn(domain))
                return OUTCOME_DUNNO;
        return judge_refuse_subject(j, subject, (int)j->params->non_fqdn_reject_code, "5.5.2",
                                    STR("need fully-qualified address"));
}

enum outcome await_reject_non_fqdn_sender(struct judge *j, const struct step *step)
{
        if (!j->facts->has_sender || str_is_empty(j->facts->sender.text))
                return OUTCOME_DUNNO;
        return judge_address(j, &j->facts->sender, SUBJECT_SENDER);
}

enum outcome await_reject_non_fqdn_recipient(struct judge *j, const struct step *step)
{
        if (str_is_empty(j->facts->recipient.text))
                return OUTCOME_DUNNO;
        return judge_address(j, &j->facts->recipient, SUBJECT_RECIPIENT);
}
