/*
 * session_xclient.c - XCLIENT (Postfix XCLIENT_README): from now on the client is somebody else
 *
 * For those in smtpd_authorized_xclient_hosts: a proxy in front, or a test. The session begins anew, as if that client had
 * connected; TLS stays. Whether the new client may say XCLIENT again is asked of its own address.
 *
 * Choices: one bad attribute, and none has effect (Postfix takes those in front of it). LOGIN is taken and means nothing:
 * there is no SASL here. A client that the rules refuse at connect hears that, and the connection is closed.
 */
#include "base/check.h"
#include "session/session_private.h"
#include "smtp/xclient.h"

static void set_text(char *to, size_t room, struct str text)
{
        snprintf(to, room, "%.*s", STR_ARG(text));
}

static bool is_unknown(const struct smtp_attributes *a, enum smtp_attribute one)
{
        return a->unknown & 1U << one;
}

static enum client_name_status status_of(const struct smtp_attributes *a, enum smtp_attribute one)
{
        if (a->temporary & 1U << one)
                return CLIENT_NAME_TEMPORARY;
        return is_unknown(a, one) ? CLIENT_NAME_NONE : CLIENT_NAME_OK;
}

static void take_name(struct session *s, const struct smtp_attributes *a)
{
        struct session_claim *c = s->claim;
        struct policy_facts *f = &s->facts;
        struct str name = a->values[SMTP_ATTRIBUTE_NAME];
        struct str reverse = a->values[SMTP_ATTRIBUTE_REVERSE_NAME];
        if (!smtp_attributes_has(a, SMTP_ATTRIBUTE_REVERSE_NAME) && name.len)
                reverse = name; /* a verified name is one that the address points to */
        if (smtp_attributes_has(a, SMTP_ATTRIBUTE_NAME)) {
                f->client_name_status = status_of(a, SMTP_ATTRIBUTE_NAME);
                set_text(c->name, sizeof(c->name), name.len ? name : STR("unknown"));
                f->client_name = str_from(c->name);
        }
        if (smtp_attributes_has(a, SMTP_ATTRIBUTE_REVERSE_NAME) || reverse.len) {
                f->reverse_client_name_status = status_of(a, SMTP_ATTRIBUTE_REVERSE_NAME);
                set_text(c->reverse_name, sizeof(c->reverse_name),
                         reverse.len ? reverse : STR("unknown"));
                f->reverse_client_name = str_from(c->reverse_name);
        }
}

static void take_end(struct wire_address *end, const struct smtp_attributes *a,
                     enum smtp_attribute address, enum smtp_attribute port)
{
        int64_t number = 0;
        if (smtp_attributes_has(a, address)) {
                struct str text = is_unknown(a, address) ? STR("unknown") : a->values[address];
                set_text(end->text, sizeof(end->text), text);
                end->family = str_find(text, ':') >= 0 ? AF_INET6 : AF_INET;
        }
        if (smtp_attributes_has(a, port)) {
                if (!is_unknown(a, port))
                        check(str_to_int64(a->values[port], 0, 65535, &number) == 0);
                end->port = (uint16_t)number;
        }
}

static void take_greeting(struct session *s, const struct smtp_attributes *a)
{
        free(s->helo);
        s->helo = NULL;
        s->greeting = NOT_GREETED;
        struct str helo = a->values[SMTP_ATTRIBUTE_HELO];
        if (helo.len) {
                s->helo = strndup(helo.ptr, helo.len);
                check(s->helo);
                s->greeting = str_eq(a->values[SMTP_ATTRIBUTE_PROTO], STR("SMTP")) ? GREETED_HELO
                                                                                   : GREETED_EHLO;
        }
        s->facts.helo = str_from(s->helo);
        s->facts.protocol = session_protocol(s, false);
}

static void become(struct session *s, const struct smtp_attributes *a)
{
        if (!s->claim) {
                s->claim = calloc(1, sizeof(*s->claim));
                check(s->claim);
        }
        session_transaction_end(s);
        take_name(s, a);
        take_end(&s->peer, a, SMTP_ATTRIBUTE_ADDR, SMTP_ATTRIBUTE_PORT);
        take_end(&s->here, a, SMTP_ATTRIBUTE_DESTADDR, SMTP_ATTRIBUTE_DESTPORT);
        take_greeting(s, a);
        session_set_address(s);
        /* what rules asked for the other client is not this one's */
        free(s->early);
        s->early = NULL;
        arena_clear(&s->connection_arena);
        s->facts.has_early_input = false;
        s->screen = (struct screen){0};
}

/* `args` as the client said them; before it becomes another. */
static void explain_claim(struct session *s, struct str args, bool is_taken)
{
        const struct trace_look look = {.kind = "client",
                                        .table = s->facts.client_address,
                                        .asked = STR("XCLIENT"),
                                        .said = args,
                                        .result = is_taken ? "names a client" : "not allowed"};
        session_explain_step(s, "smtpd_authorized_xclient_hosts", is_taken ? "dunno" : "refuse",
                             &look);
}

struct smtp_reply await_session_xclient(struct session *s, struct str args)
{
        struct smtp_attributes a;
        struct smtp_reply reply;
        if (s->transaction)
                return smtp_reply_make(503, "5.5.1", STR("Error: MAIL transaction in progress"));
        if (!str_is_empty(args) && !s->may_xclient) {
                explain_claim(s, args, false);
                session_explain_refusal(s, session_rule_name(s, "smtpd_authorized_xclient_hosts"));
                return smtp_reply_make(550, "5.7.0", STR("Error: insufficient authorization"));
        }
        if (smtp_attributes_parse(args, SMTP_OF_XCLIENT, &s->arena, &a, &reply) < 0)
                return reply;
        explain_claim(s, args, true);
        become(s, &a);
        if (await_session_refuses(s, POLICY_AT_CONNECT, &reply) ||
            await_session_milters_connect(s, &reply)) {
                s->is_closing = true;
                return reply;
        }
        return smtp_reply_make(220, NULL, s->params->smtpd_banner);
}
