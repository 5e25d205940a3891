/* session_starttls.c - STARTTLS (RFC 3207): from here on in private */
#include "base/log.h"
#include "session/session_private.h"

static void log_tls(const struct session *s)
{
        if (s->params->smtpd_tls_loglevel < 1)
                return;
        char text[200];
        wire_tls_describe(s->wire, text, sizeof(text));
        log_info("smtpd", "Anonymous TLS connection established from %.*s[%.*s]: %s",
                 STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address), text);
}

bool await_session_handshake(struct session *s, int64_t deadline_ms)
{
        struct why why;
        if (await_wire_tls_accept(s->wire, s->service->parts.tls, deadline_ms, &why) < 0) {
                log_info("smtpd", "SSL_accept error from %.*s[%.*s]: %s",
                         STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address), why.text);
                s->is_closing = true;
                return false;
        }
        log_tls(s);
        s->facts.has_tls = true;
        return true;
}

struct smtp_reply await_session_starttls(struct session *s, struct str args)
{
        if (!str_is_empty(args))
                return smtp_reply_make(501, "5.5.4", STR("Syntax: STARTTLS"));
        if (!s->service->parts.tls || !session_offers_keyword(s, "STARTTLS"))
                return smtp_reply_make(502, "5.5.1", STR("Error: command not implemented"));
        if (s->greeting != GREETED_EHLO)
                return smtp_reply_make(503, "5.5.1", STR("Error: send EHLO first"));
        if (wire_has_tls(s->wire))
                return smtp_reply_make(554, "5.5.1", STR("Error: TLS already active"));
        if (s->transaction)
                return smtp_reply_make(503, "5.5.1", STR("Error: MAIL transaction in progress"));
        if (!session_rate_allows(s, FRONT_DOOR_HANDSHAKE,
                                 s->params->smtpd_client_new_tls_session_rate_limit,
                                 "New TLS session")) {
                s->is_closing = true;
                return smtp_reply_make(
                        421, "4.7.0",
                        arena_printf(&s->arena, "%.*s Error: too many new TLS sessions from %.*s",
                                     STR_ARG(s->params->myhostname),
                                     STR_ARG(s->facts.client_address)));
        }

        struct smtp_reply go = smtp_reply_make(220, "2.0.0", STR("Ready to start TLS"));
        await_session_put_reply(s, &go);
        /* what the client sent after STARTTLS was not protected: it is never acted on (CVE-2011-0411) */
        wire_discard_input(s->wire);
        int64_t deadline_ms = loop_now_ms() + s->params->smtpd_starttls_timeout;
        int rc = await_wire_flush(s->wire, deadline_ms);
        if (rc < 0) {
                session_log_loss(s, rc);
                s->is_closing = true;
                return session_no_reply();
        }
        if (!await_session_handshake(s, deadline_ms))
                return session_no_reply();
        /* the client begins anew (RFC 3207 4.2) */
        free(s->helo);
        s->helo = NULL;
        s->greeting = NOT_GREETED;
        s->facts.helo = STR("");
        s->facts.protocol = STR("SMTP");
        s->greeting_effects = s->connection_effects;
        return session_no_reply();
}
