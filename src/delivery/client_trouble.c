/*
 * client_trouble.c - what went wrong with a peer, in the words that readers of Postfix's logs know
 */
#include "delivery/client.h"

#include <errno.h>

static const struct {
        const char *doing;   /* "timed out while ..." */
        const char *request; /* "in reply to ..." */
} stages[] = {
        [AT_GREETING] = {"receiving the initial server greeting", "initial greeting"},
        [AT_EHLO] = {"performing the EHLO handshake", "EHLO command"},
        [AT_HELO] = {"performing the HELO handshake", "HELO command"},
        [AT_STARTTLS] = {"performing the STARTTLS handshake", "STARTTLS command"},
        [AT_AUTH] = {"performing SASL authentication", "AUTH command"},
        [AT_RSET] = {"sending RSET", "RSET command"},
        [AT_XFORWARD] = {"sending XFORWARD", "XFORWARD command"},
        [AT_MAIL] = {"sending MAIL FROM", "MAIL FROM command"},
        [AT_RCPT] = {"sending RCPT TO", "RCPT TO command"},
        [AT_DATA] = {"sending DATA command", "DATA command"},
        [AT_BODY] = {"sending message body", "message body"},
        [AT_DOT] = {"sending end of data -- message may be sent more than once",
                    "end of DATA command"},
};

void client_reply_dsn(const struct client *c, char out[12])
{
        if (c->reader.enhanced[0])
                memcpy(out, c->reader.enhanced, 12);
        else
                snprintf(out, 12, "%d.0.0", c->reader.code / 100 % 10);
}

struct str client_reply_text(const struct client *c, char joint, struct arena *arena)
{
        const struct smtp_reply_reader *r = &c->reader;
        struct str text =
                arena_printf(arena, "%d%s%s%s%.*s", r->code, r->enhanced[0] ? " " : "", r->enhanced,
                             r->text.len ? " " : "", STR_ARG(buf_str(&r->text)));
        if (joint == '\n' || r->lines == 1)
                return text;
        char *bytes = arena_alloc(arena, text.len + 1);
        for (size_t i = 0; i < text.len; i++)
                bytes[i] = text.ptr[i] == '\n' ? joint : text.ptr[i];
        return str_make(bytes, text.len);
}

struct trouble *client_trouble_say(bool is_permanent, const char *dsn, struct str text,
                                   struct arena *arena)
{
        struct trouble *t = arena_new(arena, struct trouble);
        t->is_permanent = is_permanent;
        snprintf(t->dsn, sizeof(t->dsn), "%s", dsn);
        t->text = text;
        return t;
}

struct trouble *client_trouble_reply(const struct client *c, enum client_stage stage,
                                     struct arena *arena)
{
        struct str flat = client_reply_text(c, ' ', arena);
        bool refuses_us = stage <= AT_HELO;
        struct str text =
                refuses_us ? arena_printf(arena, "host %s[%s] refused to talk to me: %.*s", c->host,
                                          c->address, STR_ARG(flat))
                           : arena_printf(arena, "host %s[%s] said: %.*s (in reply to %s)", c->host,
                                          c->address, STR_ARG(flat), stages[stage].request);
        struct trouble *t = client_trouble_say(c->reader.code >= 500, "", text, arena);
        client_reply_dsn(c, t->dsn);
        if (c->reader.code < 400) { /* 2xx or 3xx where none is due: this is no SMTP */
                snprintf(t->dsn, sizeof(t->dsn), "4.5.0");
        }
        t->reply = client_reply_text(c, '\n', arena);
        return t;
}

struct trouble *client_trouble_lost(const struct client *c, enum client_stage stage, int error,
                                    struct arena *arena)
{
        const char *doing = stages[stage].doing;
        if (error == -ETIMEDOUT)
                return client_trouble_say(
                        false, "4.4.2",
                        arena_printf(arena, "conversation with %s[%s] timed out while %s", c->host,
                                     c->address, doing),
                        arena);
        if (error == -EBADMSG)
                return client_trouble_say(false, "4.5.0",
                                          arena_printf(arena,
                                                       "host %s[%s] sent what is no SMTP "
                                                       "reply while %s",
                                                       c->host, c->address, doing),
                                          arena);
        return client_trouble_say(false, "4.4.2",
                                  arena_printf(arena, "lost connection with %s[%s] while %s",
                                               c->host, c->address, doing),
                                  arena);
}
