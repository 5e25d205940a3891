/*
 * session_xforward.c - XFORWARD (Postfix XFORWARD_README): where a message comes from, for logs alone
 *
 * A server in front of us, a content filter, says which client brought it the next message. Rules and limits go on
 * to look at the server itself. It holds for one message, until its end, RSET or a greeting.
 */
#include "base/check.h"
#include "session/session_private.h"
#include "smtp/xclient.h"

enum { VALUE_BYTES = 256 };

struct session_forward {
        unsigned given;
        char values[SMTP_ATTRIBUTES][VALUE_BYTES]; /* empty: unknown */
};

struct smtp_reply session_xforward(struct session *s, struct str args)
{
        struct smtp_attributes a;
        struct smtp_reply reply;
        if (s->transaction)
                return smtp_reply_make(503, "5.5.1", STR("Error: MAIL transaction in progress"));
        if (!str_is_empty(args) && !s->may_xforward)
                return smtp_reply_make(550, "5.7.0", STR("Error: insufficient authorization"));
        if (smtp_attributes_parse(args, SMTP_OF_XFORWARD, &s->arena, &a, &reply) < 0)
                return reply;
        if (!s->forward) {
                s->forward = calloc(1, sizeof(*s->forward));
                check(s->forward);
        }
        s->forward->given |= a.given;
        for (int i = 0; i < SMTP_ATTRIBUTES; i++)
                if (smtp_attributes_has(&a, (enum smtp_attribute)i))
                        snprintf(s->forward->values[i], VALUE_BYTES, "%.*s", STR_ARG(a.values[i]));
        return smtp_reply_make(250, "2.0.0", STR("Ok"));
}

void session_forward_end(struct session *s)
{
        free(s->forward);
        s->forward = NULL;
}

static struct str value_of(const struct session *s, enum smtp_attribute which, struct str unknown)
{
        const char *value = s->forward->values[which];
        return *value ? str_from(value) : unknown;
}

struct str session_forward_log(struct session *s)
{
        const struct session_forward *f = s->forward;
        if (!f)
                return STR("");
        struct str ident = value_of(s, SMTP_ATTRIBUTE_IDENT, STR(""));
        struct str client = STR("");
        if (f->given & (1U << SMTP_ATTRIBUTE_NAME | 1U << SMTP_ATTRIBUTE_ADDR))
                client = arena_printf(&s->arena, ", orig_client=%.*s[%.*s]",
                                      STR_ARG(value_of(s, SMTP_ATTRIBUTE_NAME, STR("unknown"))),
                                      STR_ARG(value_of(s, SMTP_ATTRIBUTE_ADDR, STR("unknown"))));
        return arena_printf(&s->arena, "%s%.*s%.*s", ident.len ? ", orig_queue_id=" : "",
                            STR_ARG(ident), STR_ARG(client));
}

void session_forward_apply(const struct session *s, struct envelope *e)
{
        if (!s->forward)
                return;
        const struct {
                enum smtp_attribute which;
                struct str *to;
                struct str unknown;
        } fields[] = {{SMTP_ATTRIBUTE_NAME, &e->client_name, STR("unknown")},
                      {SMTP_ATTRIBUTE_ADDR, &e->client_address, STR("")},
                      {SMTP_ATTRIBUTE_PORT, &e->client_port, STR("")},
                      {SMTP_ATTRIBUTE_HELO, &e->helo, STR("")},
                      {SMTP_ATTRIBUTE_PROTO, &e->protocol, STR("")},
                      {SMTP_ATTRIBUTE_IDENT, &e->first_id, STR("")}};
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
                if (s->forward->given & 1U << fields[i].which)
                        *fields[i].to = value_of(s, fields[i].which, fields[i].unknown);
        if (s->forward->given & 1U << SMTP_ATTRIBUTE_SOURCE)
                e->is_local = str_eq(value_of(s, SMTP_ATTRIBUTE_SOURCE, STR("")), STR("LOCAL"));
}
