/*
 * client_forward.c - XFORWARD (Postfix XFORWARD_README): the next hop is told where a message came from
 *
 * For smtp_send_xforward_command, to servers that offer it: a content filter, or a core, can then log the client as the
 * relay saw it. Two commands, as Postfix sends them, so that ordinary ones stay below the 512 bytes that every server must
 * take (RFC 5321 4.5.3.1.4).
 */
#include "delivery/client.h"
#include "smtp/xclient.h"

enum { VALUE_BYTES_MAX = 255 }; /* XFORWARD_README */

static const struct {
        enum smtp_attribute which;
        struct str name;
} words[] = {{SMTP_ATTRIBUTE_NAME, STR_INIT("NAME")},    {SMTP_ATTRIBUTE_ADDR, STR_INIT("ADDR")},
             {SMTP_ATTRIBUTE_PORT, STR_INIT("PORT")},    {SMTP_ATTRIBUTE_PROTO, STR_INIT("PROTO")},
             {SMTP_ATTRIBUTE_HELO, STR_INIT("HELO")},    {SMTP_ATTRIBUTE_IDENT, STR_INIT("IDENT")},
             {SMTP_ATTRIBUTE_SOURCE, STR_INIT("SOURCE")}};
enum { WORDS = sizeof(words) / sizeof(words[0]), FIRST_OF_SECOND = 3 };

unsigned client_forward_offer(struct str offered)
{
        unsigned bits = 0;
        struct str word;
        while (str_next_word(&offered, " \t", &word))
                for (size_t i = 0; i < WORDS; i++)
                        if (str_eq_nocase(word, words[i].name))
                                bits |= 1U << words[i].which;
        return bits;
}

static struct str value_of(const struct client_message *m, enum smtp_attribute which)
{
        const struct envelope *e = m->envelope;
        bool is_ipv6 = str_find(e->client_address, ':') >= 0;
        switch (which) {
        case SMTP_ATTRIBUTE_NAME:
                return str_eq(e->client_name, STR("unknown")) ? STR("") : e->client_name;
        case SMTP_ATTRIBUTE_ADDR:
                return is_ipv6 ? arena_printf(m->arena, "IPv6:%.*s", STR_ARG(e->client_address))
                               : e->client_address;
        case SMTP_ATTRIBUTE_PORT:
                return e->client_port;
        case SMTP_ATTRIBUTE_PROTO:
                return e->protocol;
        case SMTP_ATTRIBUTE_HELO:
                return e->helo;
        case SMTP_ATTRIBUTE_IDENT:
                return e->first_id.len ? e->first_id : str_from(spool_message_id(m->message));
        default:
                return e->is_local || e->client_address.len == 0 ? STR("LOCAL") : STR("REMOTE");
        }
}

static size_t put_some(struct client *c, const struct client_message *m, size_t from, size_t to)
{
        struct buf *out = wire_out(c->wire);
        size_t before = out->len;
        bool has_begun = false;
        for (size_t i = from; i < to; i++) {
                if (!(c->forwards & 1U << words[i].which))
                        continue;
                /* What is not known is not said, as by Postfix: [UNAVAILABLE] is for who wants to take back */
                struct str value = value_of(m, words[i].which);
                if (value.len == 0 || value.len > VALUE_BYTES_MAX)
                        continue;
                value = smtp_xtext_encode(value, m->arena);
                buf_printf(out, "%s %.*s=%.*s", has_begun ? "" : "XFORWARD", STR_ARG(words[i].name),
                           STR_ARG(value));
                has_begun = true;
        }
        if (has_begun)
                buf_append_str(out, STR("\r\n"));
        client_debug(c, '>', str_tail(buf_str(out), before));
        return has_begun;
}

size_t client_forward_put(struct client *c, const struct client_message *m)
{
        if (c->forwards == 0)
                return 0;
        return put_some(c, m, 0, FIRST_OF_SECOND) + put_some(c, m, FIRST_OF_SECOND, WORDS);
}
