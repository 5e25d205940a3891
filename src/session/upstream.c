/*
 * upstream.c - a balancer in front of us says who the client is (smtpd_upstream_proxy_protocol = haproxy)
 *
 * Whoever may send a PROXY header can be anybody, so only those in smtpd_upstream_proxy_networks may; others are cut off
 * without a word. From the header on the session knows the client that it tells of and nobody else: limits, rules, logs and
 * Received lines are about that one.
 *
 * A balancer looks every few seconds whether we live. It connects and hangs up, or says LOCAL and then, perhaps,
 * HELO: such a connection is not logged and not counted, until it begins a message.
 */
#include "base/log.h"
#include "session/session_private.h"
#include "wire/proxy_header.h"

#include <errno.h>

bool session_has_upstream(const struct session *s)
{
        const struct params *p = s->params;
        return s->is_postscreen ? p->postscreen_upstream_proxy_protocol
                                : p->smtpd_upstream_proxy_protocol;
}

/* 0 with the header; -EBADMSG with *why; or an error of the wire, with *has_begun when bytes had come. */
static int await_header(struct session *s, struct proxy_header *header, bool *has_begun,
                        struct why *why)
{
        int64_t timeout_ms = s->is_postscreen ? s->params->postscreen_upstream_proxy_timeout
                                              : s->params->smtpd_upstream_proxy_timeout;
        int64_t deadline_ms = loop_now_ms() + timeout_ms;
        struct proxy_reader reader;
        int rc = 0;
        proxy_reader_init(&reader);
        *has_begun = false;
        while (rc == 0) {
                struct str bytes;
                rc = await_wire_bytes(s->wire, deadline_ms, &bytes);
                if (rc < 0)
                        break;
                struct str in = bytes;
                *has_begun = true;
                rc = proxy_reader_feed(&reader, &in, header, why);
                wire_consume(s->wire, bytes.len - in.len);
        }
        proxy_reader_done(&reader);
        return rc < 0 ? rc : 0;
}

static void take_end(struct wire_address *to, const struct proxy_end *from)
{
        *to = (struct wire_address){.port = from->port, .family = from->family};
        snprintf(to->text, sizeof(to->text), "%s", from->text);
}

static const char *parameter_of(const struct session *s)
{
        return s->is_postscreen ? "postscreen_upstream_proxy_protocol"
                                : "smtpd_upstream_proxy_protocol";
}

/* `balancer` is the address that the connection came from. */
static void explain_header(struct session *s, struct str balancer)
{
        const struct trace_look look = {.kind = "client",
                                        .asked = balancer,
                                        .said = str_from(s->is_check ? "" : s->peer.text),
                                        .result = s->is_check ? "speaks for itself"
                                                              : "names a client"};
        if (!s->service->parts.is_rehearsal)
                session_explain_step(s, parameter_of(s), "dunno", &look);
}

/* 421, where the client could read it: balancers log what they hear. */
static void refuse_header(struct session *s, const char *reason)
{
        log_warning("smtpd", "NOQUEUE: no client behind balancer [%.*s]: %s",
                    STR_ARG(s->facts.client_address), reason);
        if (s->params->smtpd_tls_wrappermode)
                return;
        session_explain_refusal(s, session_rule_name(s, parameter_of(s)));
        struct smtp_reply reply = smtp_reply_make(
                421, "4.3.0",
                arena_printf(&s->arena, "%.*s Server local error", STR_ARG(s->params->myhostname)));
        await_session_put_reply(s, &reply);
}

bool await_session_upstream(struct session *s)
{
        if (!policy_is_balancer(s->policy, s->facts.client_bits)) {
                log_warning("smtpd",
                            "NOQUEUE: reject: CONNECT from unknown[%.*s]: not one of "
                            "smtpd_upstream_proxy_networks",
                            STR_ARG(s->facts.client_address));
                return false;
        }
        struct proxy_header header;
        struct why why;
        bool has_begun;
        int rc = await_header(s, &header, &has_begun, &why);
        if (rc == -EBADMSG) {
                refuse_header(s, why.text);
        } else if (rc == -ETIMEDOUT) {
                refuse_header(s, "no whole PROXY header within the time limit");
        } else if (rc < 0 && has_begun && rc != -ECANCELED) {
                refuse_header(s, "lost connection inside the PROXY header");
        }
        if (rc < 0)
                return false;
        struct str balancer = arena_str(&s->arena, s->facts.client_address);
        s->is_check = header.origin == PROXY_FROM_BALANCER;
        if (header.origin == PROXY_FROM_CLIENT) {
                take_end(&s->peer, &header.source);
                take_end(&s->here, &header.destination);
        }
        explain_header(s, balancer);
        return true;
}
