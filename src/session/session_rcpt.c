/* session_rcpt.c - RCPT TO (RFC 5321 4.1.1.3): may this recipient in? */
#include "base/log.h"
#include "session/session_private.h"

#include <errno.h>

/* error: and retry: transports refuse here already, for everybody: the sender learns it in session */
static bool await_transport_refuses(struct session *s, const struct smtp_address *address,
                                    struct smtp_reply *reply)
{
        struct route route;
        struct why why;
        if (await_route_find(s->service->parts.routes, address, &s->arena, &route, &why) < 0) {
                log_warning("smtpd", "no route for <%.*s>: %s", STR_ARG(address->text), why.text);
                *reply = smtp_reply_make(451, "4.3.0", STR("Temporary lookup failure"));
                return true;
        }
        bool is_error = str_eq(route.transport->command, STR("error"));
        if (!is_error && !str_eq(route.transport->command, STR("retry")))
                return false;
        /* "error:5.1.2 text": the code is the text's own, when its class fits */
        const char *enhanced = is_error ? "5.0.0" : "4.0.0";
        struct str text = route.nexthop;
        struct str code;
        struct str rest = text;
        if (str_next_word(&rest, " \t", &code) && code.len >= 5 && code.len < 12 &&
            code.ptr[1] == '.' && char_is_digit(code.ptr[0])) {
                enhanced = arena_printf(&s->arena, "%c%.*s", is_error ? '5' : '4',
                                        STR_ARG(str_tail(code, 1)))
                                   .ptr;
                text = str_trim(rest);
        }
        *reply = smtp_reply_make(is_error ? 550 : 450, enhanced,
                                 arena_printf(&s->arena, "<%.*s>: Recipient address rejected: %.*s",
                                              STR_ARG(address->text), STR_ARG(text)));
        return true;
}

static bool has_recipient(const struct envelope *e, struct str address)
{
        for (size_t i = 0; i < e->recipient_count; i++)
                if (str_eq(e->recipients[i].address, address))
                        return true;
        return false;
}

static void add_recipient(struct transaction *t, struct str address, struct str original,
                          const struct smtp_rcpt_command *rcpt)
{
        struct envelope *e = &t->envelope;
        if (e->recipient_count == t->recipient_room) {
                size_t room = t->recipient_room ? t->recipient_room * 2 : 4;
                struct recipient *more = arena_array(&t->arena, struct recipient, room);
                if (e->recipient_count)
                        memcpy(more, e->recipients, e->recipient_count * sizeof(*more));
                e->recipients = more;
                t->recipient_room = room;
        }
        e->recipients[e->recipient_count++] = (struct recipient){
                .address = address,
                .original = original,
                .orcpt = arena_str(&t->arena, rcpt->orcpt),
                .notify = rcpt->notify,
        };
}

/* What the recipient becomes by virtual_alias_maps goes into the envelope, each address once. */
static struct smtp_reply await_add(struct session *s, const struct smtp_rcpt_command *rcpt)
{
        struct transaction *t = s->transaction;
        struct policy_expansion expansion;
        struct why why;
        int rc = await_policy_expand(s->policy, &rcpt->recipient, &s->arena, &expansion, &why);
        if (rc == -ELOOP) {
                log_warning("cleanup", "aliases of <%.*s>: %s", STR_ARG(rcpt->recipient.text),
                            why.text);
                return smtp_reply_make(451, "4.6.0", STR("Alias expansion error"));
        }
        if (rc < 0) {
                log_warning("cleanup", "aliases of <%.*s>: %s", STR_ARG(rcpt->recipient.text),
                            why.text);
                return smtp_reply_make(451, "4.3.0", STR("Temporary lookup failure"));
        }
        struct str original = arena_str(&t->arena, rcpt->recipient.text);
        for (size_t i = 0; i < expansion.count; i++) {
                struct str text = expansion.addresses[i].text;
                bool is_same = str_eq(text, original);
                /* few clients repeat a recipient; a long list is not searched for each of its members */
                if (t->envelope.recipient_count <= 100 && has_recipient(&t->envelope, text))
                        continue;
                add_recipient(t, is_same ? original : arena_str(&t->arena, text), original, rcpt);
        }
        return smtp_reply_make(250, "2.1.5", STR("Ok"));
}

bool await_session_add_bcc(struct session *s, struct smtp_reply *refusal)
{
        struct str text = s->params->always_bcc;
        if (str_is_empty(text))
                return true;
        ptrdiff_t at = str_find_last(text, '@');
        struct str local = at < 0 ? text : str_part(text, 0, (size_t)at);
        struct str domain = at < 0 ? s->params->myorigin : str_tail(text, (size_t)at + 1);
        struct smtp_rcpt_command bcc = {
                .recipient = smtp_address_make(local, domain, &s->arena),
                .notify = SMTP_NOTIFY_NEVER,
        };
        *refusal = await_add(s, &bcc);
        return !smtp_reply_refuses(refusal);
}

static struct smtp_reply too_many(struct session *s)
{
        struct transaction *t = s->transaction;
        /* who sends to very many comes with all of them, and with the rest again (RFC 5321 4.5.3.1.10) */
        s->is_excused = ++t->over_limit <= (size_t)s->params->smtpd_recipient_overshoot_limit;
        return smtp_reply_make(452, "4.5.3", STR("Error: too many recipients"));
}

static void log_client(struct session *s)
{
        struct str name = s->facts.client_name;
        struct str address = s->facts.client_address;
        const char *id = spool_draft_id(s->transaction->draft);
        struct str forwarded = session_forward_log(s);
        if (s->params->smtpd_client_port_logging)
                log_mail(LOG_LEVEL_INFO, "smtpd", id, "client=%.*s[%.*s]:%u%.*s", STR_ARG(name),
                         STR_ARG(address), s->peer.port, STR_ARG(forwarded));
        else
                log_mail(LOG_LEVEL_INFO, "smtpd", id, "client=%.*s[%.*s]%.*s", STR_ARG(name),
                         STR_ARG(address), STR_ARG(forwarded));
}

struct smtp_reply await_session_rcpt(struct session *s, struct str args)
{
        struct transaction *t = s->transaction;
        if (!t)
                return smtp_reply_make(503, "5.5.1", STR("Error: need MAIL command"));
        if (t->intake)
                return smtp_reply_make(503, "5.5.1", STR("Error: message text has begun"));
        if (!session_rate_allows(s, FRONT_DOOR_RECIPIENT,
                                 s->params->smtpd_client_recipient_rate_limit, "Recipient address"))
                return smtp_reply_make(450, "4.7.1",
                                       arena_printf(&s->arena,
                                                    "Error: too many recipients from %.*s",
                                                    STR_ARG(s->facts.client_address)));

        struct smtp_path_rules rules = {
                .is_strict = s->params->strict_rfc821_envelopes,
                .allows_no_domain = true,
                .allows_utf8 = !s->params->strict_smtputf8 || t->envelope.smtputf8,
        };
        struct smtp_offers offers = session_offers(s);
        struct smtp_rcpt_command rcpt;
        struct smtp_reply reply;
        if (smtp_rcpt_parse(args, &rules, &offers, &s->arena, &rcpt, &reply) < 0)
                return reply;
        if (t->rcpt_count >= (size_t)s->params->smtpd_recipient_limit)
                return too_many(s);

        s->facts.recipient = rcpt.recipient;
        s->asked = rcpt.recipient.text;
        bool is_refused = await_session_refuses(s, POLICY_AT_RCPT, &reply) ||
                          await_transport_refuses(s, &rcpt.recipient, &reply);
        if (!is_refused) {
                reply = await_add(s, &rcpt);
                is_refused = smtp_reply_refuses(&reply);
        }
        if (is_refused) {
                s->facts.recipient = t->first_rcpt;
                return reply;
        }

        if (t->rcpt_count++ == 0) {
                t->first_rcpt = (struct smtp_address){
                        .text = arena_str(&t->arena, rcpt.recipient.text),
                        .local = arena_str(&t->arena, rcpt.recipient.local),
                        .domain = arena_str(&t->arena, rcpt.recipient.domain),
                };
                t->draft = spool_draft_new(s->service->parts.spool);
                s->facts.queue_id = str_from(spool_draft_id(t->draft));
                log_client(s);
        } else {
                t->first_rcpt =
                        (struct smtp_address){0}; /* later rules see it only while it is the one */
        }
        s->facts.recipient = t->first_rcpt;
        s->facts.recipient_count = t->rcpt_count;
        return reply;
}
