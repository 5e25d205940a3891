/* session_mail.c - MAIL FROM (RFC 5321 4.1.1.2): a transaction begins */
#include "session/proxy.h"
#include "session/session_private.h"

static struct smtp_reply check_size(const struct session *s, const struct smtp_mail_command *mail)
{
        int64_t limit = s->params->message_size_limit;
        if (limit && mail->size > limit)
                return smtp_reply_make(552, "5.3.4", STR("Message size exceeds fixed limit"));
        const struct proxy_filter *filter = session_proxy_filter(s);
        bool fills_disk = !filter || filter->adjusts_speed;
        if (fills_disk && spool_check_room(s->service->parts.spool, mail->size) < 0)
                return smtp_reply_make(452, "4.3.1", STR("Insufficient system storage"));
        return smtp_reply_make(250, "2.1.0", STR("Ok"));
}

/* The sender goes into the envelope of a message of ours, or to the filter that answers for it. */
static bool await_begin(struct session *s, struct str args, const struct smtp_mail_command *mail,
                        struct smtp_reply *refusal)
{
        return session_proxy_filter(s)
                       ? session_proxy_begin(s, args, refusal)
                       : await_cleanup_sender(s->transaction->cleanup, &mail->sender, refusal);
}

/* smtpd_delay_open_until_valid_rcpt = no: the message has its id, and the filter in front of the queue hears of it, before recipients come. */
static bool await_open_refuses(struct session *s, struct smtp_reply *refusal)
{
        if (s->params->smtpd_delay_open_until_valid_rcpt)
                return false;
        if (await_session_proxy_mail(s, refusal))
                return true;
        session_open_draft(s);
        return false;
}

struct smtp_reply await_session_mail(struct session *s, struct str args)
{
        if (s->greeting == NOT_GREETED && s->params->smtpd_helo_required)
                return smtp_reply_make(503, "5.5.1", STR("Error: send HELO/EHLO first"));
        if (s->transaction)
                return smtp_reply_make(503, "5.5.1", STR("Error: nested MAIL command"));
        if (session_is_within_bdat(s))
                return smtp_reply_make(503, "5.5.1", STR("Error: MAIL after BDAT"));
        struct smtp_reply drained;
        if (session_is_drained(s, &drained))
                return drained;
        if (!session_rate_allows(s, FRONT_DOOR_MESSAGE, s->params->smtpd_client_message_rate_limit,
                                 "Message delivery request"))
                return smtp_reply_make(450, "4.7.1",
                                       arena_printf(&s->arena, "Error: too much mail from %.*s",
                                                    STR_ARG(s->facts.client_address)));

        struct smtp_path_rules rules = {
                .is_strict = s->params->strict_rfc821_envelopes,
                .refuses_minus = !s->params->allow_min_user,
                .allows_null_domain = s->params->resolve_null_domain,
                .allows_numeric_domain = s->params->resolve_numeric_domain,
                .allows_null = true,
                .allows_no_domain = true,
                .allows_utf8 = !s->params->strict_smtputf8,
                .refuses_u_labels = !s->is_local,
        };
        struct smtp_offers offers = session_offers(s);
        struct smtp_mail_command mail;
        struct smtp_reply refusal;
        if (smtp_mail_parse(args, &rules, &offers, &s->arena, &mail, &refusal) < 0)
                return refusal;
        struct smtp_reply reply = check_size(s, &mail);
        if (smtp_reply_refuses(&reply))
                return reply;
        if (mail.verp.len && mail.sender.text.len == 0)
                return smtp_reply_make(503, "5.5.4", STR("Error: XVERP requires non-null sender"));
        if (await_session_login_refuses(s, &mail.sender, &refusal))
                return refusal;

        if (s->is_check) { /* this is more than a look whether we live */
                s->is_check = false;
                session_log_connect(s);
        }
        session_transaction_begin(s, &mail);
        if (await_session_refuses(s, POLICY_AT_MAIL, &refusal) ||
            await_session_milters_mail(s, args, &refusal) ||
            !await_begin(s, args, &mail, &refusal) || await_open_refuses(s, &refusal)) {
                /* the text of a refusal may lie in the transaction that ends now */
                refusal.text = arena_str(&s->arena, refusal.text);
                if (refusal.enhanced)
                        refusal.enhanced = arena_str(&s->arena, str_from(refusal.enhanced)).ptr;
                session_transaction_end(s);
                return refusal;
        }
        return reply;
}
