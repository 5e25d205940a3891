/* session_rcpt.c - RCPT TO (RFC 5321 4.1.1.3): may this recipient in? */
#include "base/clock.h"
#include "base/log.h"
#include "session/session_private.h"

#include <errno.h>

/*
 * Does virtual_alias_maps or alias_maps make something else of it? Then its own route means nothing: that of a virtual
 * alias domain is an error. What cannot be asked now is told when the recipient is added.
 */
static bool await_is_aliased(struct session *s, const struct smtp_address *address)
{
        struct policy_expansion expansion;
        struct why why;
        if (await_policy_expand(s->policy, address, &s->arena, &expansion, &why) < 0)
                return true;
        return expansion.count != 1 || !str_eq_nocase(expansion.addresses[0].text, address->text);
}

/*
 * error: and retry: transports refuse here already, for everybody: the sender learns it in session. So does one for local(8),
 * which is not here: for now, since it is the configuration that is wrong, not the address. *source is then the transport,
 * or empty.
 */
static bool await_transport_refuses(struct session *s, const struct smtp_address *address,
                                    struct smtp_reply *reply, struct str *source)
{
        struct route route;
        *source = STR("");
        struct why why;
        struct smtp_address meant = *address;
        struct route_query query = {.recipient = &meant, .sender = s->transaction->envelope.sender};
        if (await_is_aliased(s, address))
                return false;
        if (await_policy_unroute(s->policy, &meant, &s->arena, &why) < 0 ||
            await_route_find(s->service->parts.routes, &query, &s->arena, &route, &why) < 0) {
                log_warning("smtpd", "no route for <%.*s>: %s", STR_ARG(address->text), why.text);
                *reply = smtp_reply_make(451, "4.3.0", STR("Temporary lookup failure"));
                return true;
        }
        if (str_eq(route.transport->command, STR("local"))) {
                *reply = smtp_reply_make(
                        450, "4.3.5",
                        arena_printf(
                                &s->arena,
                                "<%.*s>: Recipient address rejected: no delivery to system users here",
                                STR_ARG(address->text)));
                return true;
        }
        bool is_error = str_eq(route.transport->command, STR("error"));
        if (!is_error && !str_eq(route.transport->command, STR("retry")))
                return false;
        /* "error:5.1.2 text": the code is the text's own, when its class is made to fit */
        struct str text = route.nexthop;
        char code[SMTP_ENHANCED_BYTES] = "5.1.1";
        smtp_enhanced_take(&text, code);
        code[0] = is_error ? '5' : '4';
        const char *enhanced = arena_str(&s->arena, str_from(code)).ptr;
        *reply = smtp_reply_make(is_error ? 550 : 450, enhanced,
                                 arena_printf(&s->arena, "<%.*s>: Recipient address rejected: %.*s",
                                              STR_ARG(address->text), STR_ARG(text)));
        *source = arena_printf(&s->arena, "transport %.*s:%.*s", STR_ARG(route.transport->name),
                               STR_ARG(route.nexthop));
        return true;
}

/* policy_facts.await_route_refuses: only what a transport says is said before that somebody is in no map */
static bool await_route_refuses(void *context, struct smtp_reply *reply)
{
        struct session *s = context;
        struct str source;
        return await_transport_refuses(s, &s->facts.recipient, reply, &source) && source.len;
}

static bool await_route_refuses_at_last(struct session *s, const struct smtp_address *recipient,
                                        struct smtp_reply *reply)
{
        struct str source;
        if (s->is_local || !await_transport_refuses(s, recipient, reply, &source))
                return false;
        if (source.len) {
                session_explain_refusal(s, source);
                policy_log_refusal("reject", POLICY_AT_RCPT, &s->facts, reply);
                listener_counts(s->listener)->refused++;
        }
        return true;
}

static struct smtp_reply too_many(struct session *s)
{
        struct transaction *t = s->transaction;
        /* who sends to very many comes with all of them, and with the rest again (RFC 5321 4.5.3.1.10) */
        s->is_excused = ++t->over_limit <= (size_t)s->params->smtpd_recipient_overshoot_limit;
        return smtp_reply_make(452, "4.5.3", STR("Error: too many recipients"));
}

/* May it not be a recipient of this transaction? Whom we send probes from is never asked about (state/verify.h). */
static bool await_is_refused(struct session *s, const struct smtp_address *recipient,
                             struct smtp_reply *reply)
{
        if (verify_sender_is(s->params, clock_wall_us() / 1000000, recipient))
                return false;
        s->facts.await_route_refuses = s->is_local ? NULL : await_route_refuses;
        s->facts.route_context = s;
        bool is_refused = await_session_refuses(s, POLICY_AT_RCPT, reply);
        s->facts.await_route_refuses =
                NULL; /* there is no transaction to ask for at other events */
        return is_refused || await_route_refuses_at_last(s, recipient, reply);
}

/* Into the envelope of a message of ours, or to the filter that answers for it. */
static bool await_add_refuses(struct session *s, struct str args,
                              const struct smtp_rcpt_command *rcpt, struct smtp_reply *reply)
{
        const struct transaction *t = s->transaction;
        return t->proxy ? await_session_proxy_rcpt(s, args, reply)
                        : !await_cleanup_recipient(t->cleanup, rcpt, reply);
}

struct smtp_reply await_session_rcpt(struct session *s, struct str args)
{
        struct transaction *t = s->transaction;
        if (!t)
                return smtp_reply_make(503, "5.5.1", STR("Error: need MAIL command"));
        if (session_is_within_bdat(s))
                return smtp_reply_make(503, "5.5.1", STR("Error: RCPT after BDAT"));
        if (!session_rate_allows(s, FRONT_DOOR_RECIPIENT,
                                 s->params->smtpd_client_recipient_rate_limit, "Recipient address"))
                return smtp_reply_make(450, "4.7.1",
                                       arena_printf(&s->arena,
                                                    "Error: too many recipients from %.*s",
                                                    STR_ARG(s->facts.client_address)));

        struct smtp_path_rules rules = {
                .is_strict = s->params->strict_rfc821_envelopes,
                .refuses_minus = !s->params->allow_min_user,
                .allows_null_domain = s->params->resolve_null_domain,
                .allows_numeric_domain = s->params->resolve_numeric_domain,
                .allows_no_domain = true,
                .allows_utf8 = !s->params->strict_smtputf8 || t->envelope.smtputf8,
                .refuses_u_labels = !t->envelope.smtputf8 && !s->is_local,
        };
        struct smtp_offers offers = session_offers(s);
        struct smtp_rcpt_command rcpt;
        struct smtp_reply reply;
        if (smtp_rcpt_parse(args, &rules, &offers, &s->arena, &rcpt, &reply) < 0)
                return reply;
        /* a user of this machine may have more, as in Postfix, up to what a transaction may take */
        if (!s->is_local && t->rcpt_count >= (size_t)s->params->smtpd_recipient_limit)
                return too_many(s);
        if (arena_is_over(&t->arena))
                return smtp_reply_make(452, "4.3.1", STR("Insufficient system storage"));

        s->facts.recipient = rcpt.recipient;
        s->asked = rcpt.recipient.text;
        session_report_address(s, rcpt.recipient.text);
        bool is_screened = session_screen_refuses(s, &reply);
        bool is_refused = is_screened || await_is_refused(s, &rcpt.recipient, &reply);
        if (is_refused && !is_screened)
                await_session_milters_rejected(s, args, &reply);
        if (!is_refused)
                is_refused = await_session_milters_rcpt(s, args, &reply) ||
                             await_add_refuses(s, args, &rcpt, &reply);
        if (is_refused) {
                s->facts.recipient = t->first_rcpt;
                return reply;
        }
        reply = smtp_reply_make(250, "2.1.5", STR("Ok"));

        if (t->rcpt_count++ == 0) {
                t->first_rcpt = (struct smtp_address){
                        .text = arena_str(&t->arena, rcpt.recipient.text),
                        .local = arena_str(&t->arena, rcpt.recipient.local),
                        .domain = arena_str(&t->arena, rcpt.recipient.domain),
                };
                session_open_draft(s);
        } else {
                t->first_rcpt =
                        (struct smtp_address){0}; /* later rules see it only while it is the one */
        }
        s->facts.recipient = t->first_rcpt;
        s->facts.recipient_count = t->rcpt_count;
        return reply;
}
