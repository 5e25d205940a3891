/*
 * session_etrn.c - ETRN (RFC 1985): try the mail that waits for a domain, now
 *
 * For domains of fast_flush_domains, and clients that smtpd_etrn_restrictions permit. As in Postfix a "@" or "#" in front of the
 * name means nothing, and replies have no enhanced code.
 */
#include "base/log.h"
#include "session/session_private.h"

struct smtp_reply await_session_etrn(struct session *s, struct str args)
{
        struct str rest = args;
        struct str name;
        struct str more;
        if (s->greeting == NOT_GREETED && s->params->smtpd_helo_required)
                return smtp_reply_make(503, NULL, STR("Error: send HELO/EHLO first"));
        if (s->transaction)
                return smtp_reply_make(503, NULL, STR("Error: MAIL transaction in progress"));
        if (!str_next_word(&rest, " \t", &name) || str_next_word(&rest, " \t", &more))
                return smtp_reply_make(500, NULL, STR("Syntax: ETRN domain"));
        if (name.ptr[0] == '@' || name.ptr[0] == '#')
                name = str_tail(name, 1);
        if (!smtp_domain_is_valid(name) && !smtp_domain_is_literal(name))
                return smtp_reply_make(501, NULL, STR("Error: invalid parameter syntax"));
        struct smtp_reply reply;
        struct why why;
        s->facts.etrn_name = name;
        bool is_refused = await_session_refuses(s, POLICY_AT_ETRN, &reply);
        s->facts.etrn_name = STR("");
        if (is_refused)
                return reply;
        switch (await_policy_flushes(s->policy, name, &s->arena, &why)) {
        case TABLE_FOUND:
                break;
        case TABLE_ERROR:
                log_warning("smtpd", "fast_flush_domains: %s", why.text);
                return smtp_reply_make(458, NULL, STR("Unable to queue messages"));
        case TABLE_NOT_FOUND:
                log_warning("smtpd", "reject: ETRN %.100s... from %.*s[%.*s]",
                            arena_str(&s->arena, name).ptr, STR_ARG(s->facts.client_name),
                            STR_ARG(s->facts.client_address));
                return smtp_reply_make(
                        459, NULL,
                        arena_printf(&s->arena, "<%.*s>: service unavailable", STR_ARG(name)));
        }
        const struct session_service_parts *parts = &s->service->parts;
        if (!parts->flush || !parts->flush(parts->flush_context, name))
                return smtp_reply_make(458, NULL, STR("Unable to queue messages"));
        return smtp_reply_make(250, NULL, STR("Queuing started"));
}
