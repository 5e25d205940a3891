/* session_starttls.c - STARTTLS (RFC 3207): from here on in private */
#include "base/check.h"
#include "base/log.h"
#include "session/session_private.h"

static bool asks_certificate(const struct session *s)
{
        return s->params->smtpd_tls_ask_ccert || session_needs_certificate(s->params);
}

static void learn_certificate(struct session *s)
{
        if (!asks_certificate(s))
                return;
        s->certificate = calloc(1, sizeof(*s->certificate));
        check(s->certificate);
        wire_tls_peer(s->wire, s->params->smtpd_tls_fingerprint_digest, s->certificate);
        s->facts.certificate = s->certificate;
}

/* In Postfix's words: who gave no certificate is anonymous. */
static void log_tls(const struct session *s)
{
        if (s->params->smtpd_tls_loglevel < 1)
                return;
        char text[200];
        const struct tls_peer *c = s->certificate;
        const char *who = !c || !c->has_certificate ? "Anonymous"
                          : c->is_trusted           ? "Trusted"
                                                    : "Untrusted";
        wire_tls_describe(s->wire, text, sizeof(text));
        log_info("smtpd", "%s TLS connection established from %.*s[%.*s]: %s", who,
                 STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address), text);
        if (c && c->has_certificate)
                log_info(
                        "smtpd",
                        "%.*s[%.*s]: %s: subject_CN=%s, issuer=%s, fingerprint=%s, pkey_fingerprint=%s",
                        STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address),
                        c->is_trusted ? "Trusted" : c->problem, c->subject, c->issuer,
                        c->fingerprint, c->key_fingerprint);
}

/* smtpd_tls_req_ccert: without a certificate that we trust there is no session. */
static bool await_refuses_certificate(struct session *s)
{
        const struct tls_peer *c = s->certificate;
        if (!session_needs_certificate(s->params) || c->is_trusted)
                return false;
        const char *text = c->has_certificate ? "Client certificate not trusted"
                                              : "No client certificate presented";
        log_info("smtpd", "NOQUEUE: abort: TLS from %.*s[%.*s]: %s", STR_ARG(s->facts.client_name),
                 STR_ARG(s->facts.client_address), text);
        struct smtp_reply refusal = smtp_reply_make(
                421, "4.7.1",
                arena_printf(&s->arena, "%.*s Error: %s", STR_ARG(s->params->myhostname), text));
        await_session_put_reply(s, &refusal);
        s->is_closing = true;
        return true;
}

/* A name in a certificate is its maker's word: none may end its place in the line. */
static struct str tame(const char *name, struct arena *arena)
{
        struct str out = arena_str(arena, str_from(name));
        char *bytes = (char *)(uintptr_t)out.ptr;
        for (size_t i = 0; i < out.len; i++)
                if (strchr("\"()\\<>", bytes[i]))
                        bytes[i] = '?';
        return out;
}

struct str session_certificate_words(struct session *s)
{
        const struct tls_peer *c = s->certificate;
        if (!c)
                return STR("no client certificate requested");
        if (!c->has_certificate)
                return STR("Client did not present a certificate");
        return arena_printf(&s->arena, "Client CN \"%.*s\", Issuer \"%.*s\" (%s)",
                            STR_ARG(tame(c->subject, &s->arena)),
                            STR_ARG(tame(c->issuer, &s->arena)),
                            c->is_trusted ? "verified OK" : "not verified");
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
        s->facts.has_tls = true;
        char words[200];
        wire_tls_describe(s->wire, words, sizeof(words));
        free(s->tls);
        s->tls = strdup(words);
        check(s->tls);
        s->facts.tls = str_from(s->tls);
        learn_certificate(s);
        log_tls(s);
        return !await_refuses_certificate(s);
}

struct smtp_reply await_session_starttls(struct session *s, struct str args)
{
        if (!str_is_empty(args))
                return smtp_reply_make(501, "5.5.4", STR("Syntax: STARTTLS"));
        if (!s->service->parts.tls || !session_offers_keyword(s, STR("STARTTLS")))
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
        if (s->early)
                s->early->greeting = s->early->connection;
        return session_no_reply();
}
