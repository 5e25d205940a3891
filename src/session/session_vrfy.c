/* session_vrfy.c - VRFY (RFC 5321 4.1.1.6, 7.3): is there such a recipient? */
#include "session/session_private.h"

struct smtp_reply await_session_vrfy(struct session *s, struct str args)
{
        if (s->params->disable_vrfy_command)
                return smtp_reply_make(502, "5.5.1", STR("VRFY command is disabled"));
        if (s->greeting == NOT_GREETED && s->params->smtpd_helo_required)
                return smtp_reply_make(503, "5.5.1", STR("Error: send HELO/EHLO first"));
        if (str_is_empty(args))
                return smtp_reply_make(501, "5.5.4", STR("Syntax: VRFY address [SMTPUTF8]"));
        /* RFC 6531 3.7.4.2: the keyword follows the address */
        static const struct str utf8 = STR_INIT(" SMTPUTF8");
        if (args.len > utf8.len && str_eq_nocase(str_tail(args, args.len - utf8.len), utf8))
                args = str_trim(str_part(args, 0, args.len - utf8.len));
        struct smtp_address address;
        if (smtp_address_parse(args, &s->arena, &address) < 0 || str_is_empty(address.local))
                return smtp_reply_make(501, "5.1.3", STR("Bad recipient address syntax"));
        s->facts.recipient = address;
        struct smtp_reply reply;
        bool is_refused = await_session_refuses(s, POLICY_AT_VRFY, &reply);
        s->facts.recipient = (struct smtp_address){0};
        if (is_refused)
                return reply;
        /* 252: whether mail would be accepted is told at RCPT, to those who may ask */
        return smtp_reply_make(252, "2.0.0", address.text);
}
