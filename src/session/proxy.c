/*
 * proxy.c - the SMTP dialogue with a content filter in front of the queue
 *
 * Straight code, a command at a time: the client waits for each answer, and what it sends in one go the filter gets in
 * its order all the same. A reply line over REPLY_LINE_BYTES_MAX, rubbish, or a reply without end is a filter that is gone.
 */
#include "session/proxy.h"

#include "base/check.h"
#include "base/log.h"
#include "smtp/dot.h"
#include "smtp/xclient.h"

#include <errno.h>
#include <stdlib.h>

enum {
        REPLY_LINE_BYTES_MAX = 4096,
        TEXT_OUT_BYTES = 64 * 1024, /* so much text goes out at once */
        TEXT_PIECE_BYTES =
                32 * 1024, /* with a dot before each byte it fits in what the wire has left */
        XFORWARD_BYTES_MAX = 512 - 2, /* RFC 5321 4.5.3.1.4 */
        SHOWN_BYTES_MAX = 200,
};

struct proxy_dialogue {
        const struct proxy_filter *filter;
        const struct params *params;
        struct wire *wire; /* NULL: not open */
        struct smtp_reply_reader reader;
        bool at_line_start;
        bool is_in_text; /* DATA was taken, and the text has not ended */
        bool is_lost;    /* nothing more can be said */
};

struct proxy_dialogue *proxy_dialogue_new(const struct proxy_filter *filter,
                                          const struct params *params)
{
        struct proxy_dialogue *d = calloc(1, sizeof(*d));
        check(d);
        d->filter = filter;
        d->params = params;
        smtp_reply_reader_init(&d->reader);
        return d;
}

void proxy_dialogue_free(struct proxy_dialogue **dp)
{
        struct proxy_dialogue *d = *dp;
        *dp = NULL;
        if (!d)
                return;
        if (d->wire && !d->is_lost && !d->is_in_text)
                wire_put(d->wire, STR("QUIT\r\n")); /* leaves with the end, without waiting */
        if (d->wire)
                wire_free(&d->wire);
        smtp_reply_reader_done(&d->reader);
        free(d);
}

static int64_t deadline_ms(const struct proxy_dialogue *d)
{
        return loop_now_ms() + d->params->smtpd_proxy_timeout;
}

/* The dialogue is over, for this reason; false, and what the client hears. */
static bool lose(struct proxy_dialogue *d, int error, struct smtp_reply *reply)
{
        struct str name = d->filter->endpoint.text;
        if (error == -ETIMEDOUT)
                log_warning("smtpd", "timeout talking to proxy %.*s", STR_ARG(name));
        else if (error == -EBADMSG || error == -EMSGSIZE)
                log_warning("smtpd", "received garbage from proxy %.*s", STR_ARG(name));
        else if (error != -ECANCELED)
                log_warning("smtpd", "lost connection with proxy %.*s", STR_ARG(name));
        d->is_lost = true;
        *reply = proxy_failure();
        return false;
}

/* ---- a command and its reply ---- */

/* 0 with the reply in d->reader, or a negative errno value. */
static int await_reply(struct proxy_dialogue *d)
{
        int64_t deadline = deadline_ms(d);
        int rc;
        do {
                struct wire_line line;
                rc = await_wire_line(d->wire, REPLY_LINE_BYTES_MAX, deadline, &line);
                if (rc == 0)
                        rc = smtp_reply_reader_feed(&d->reader, line.text);
        } while (rc == 0);
        return rc < 0 ? rc : 0;
}

static struct smtp_reply reply_of(const struct proxy_dialogue *d, struct arena *arena)
{
        const struct smtp_reply_reader *r = &d->reader;
        const char *enhanced = r->enhanced[0] ? arena_str(arena, str_from(r->enhanced)).ptr : NULL;
        return smtp_reply_make(r->code, enhanced, arena_str(arena, buf_str(&r->text)));
}

/*
 * Is the reply in d->reader of the class that is wanted? Else *reply is for the client. A yes where a no could have stood
 * is never passed on: the client would take it for an answer to its own command.
 */
static bool judge(struct proxy_dialogue *d, struct str command, enum proxy_wants wants,
                  struct arena *arena, struct smtp_reply *reply)
{
        int class = d->reader.code / 100;
        *reply = reply_of(d, arena);
        if (wants == PROXY_WANTS_ANY ? class != 3 : class == (int)wants)
                return true;
        struct str name = d->filter->endpoint.text;
        struct str said = str_part(buf_str(&d->reader.text), 0, SHOWN_BYTES_MAX);
        log_warning("smtpd", "proxy %.*s rejected \"%.*s\": \"%d%s%s %.*s\"", STR_ARG(name),
                    STR_ARG(str_part(command, 0, SHOWN_BYTES_MAX)), d->reader.code,
                    reply->enhanced ? " " : "", reply->enhanced ? reply->enhanced : "",
                    STR_ARG(said));
        if (class != 4 && class != 5) {
                d->is_lost = true; /* who knows what it takes the next line for */
                *reply = proxy_failure();
        }
        return false;
}

bool await_proxy_command(struct proxy_dialogue *d, struct str command, enum proxy_wants wants,
                         struct arena *arena, struct smtp_reply *reply)
{
        *reply = proxy_failure();
        if (!d->wire || d->is_lost)
                return false;
        if (wire_put(d->wire, command) < 0 || wire_put(d->wire, STR("\r\n")) < 0)
                return lose(d, -ENOBUFS, reply);
        int rc = await_reply(d);
        if (rc < 0)
                return lose(d, rc, reply);
        bool is_wanted = judge(d, command, wants, arena, reply);
        if (is_wanted && wants == PROXY_WANTS_MORE)
                d->is_in_text = d->at_line_start = true;
        return is_wanted;
}

/* ---- opening ---- */

/* In the order in which Postfix names them. */
static const struct {
        enum smtp_attribute which;
        struct str name;
} attributes[] = {
        {SMTP_ATTRIBUTE_NAME, STR_INIT("NAME")},     {SMTP_ATTRIBUTE_ADDR, STR_INIT("ADDR")},
        {SMTP_ATTRIBUTE_PORT, STR_INIT("PORT")},     {SMTP_ATTRIBUTE_HELO, STR_INIT("HELO")},
        {SMTP_ATTRIBUTE_IDENT, STR_INIT("IDENT")},   {SMTP_ATTRIBUTE_PROTO, STR_INIT("PROTO")},
        {SMTP_ATTRIBUTE_SOURCE, STR_INIT("SOURCE")},
};
enum { ATTRIBUTES = sizeof(attributes) / sizeof(attributes[0]) };

unsigned proxy_xforward_offer(struct str lines)
{
        unsigned bits = 0;
        while (lines.len) {
                struct str line = str_cut(&lines, '\n');
                struct str word;
                if (!str_next_word(&line, " \t", &word) || !str_eq_nocase(word, STR("XFORWARD")))
                        continue;
                while (str_next_word(&line, " \t", &word))
                        for (size_t i = 0; i < ATTRIBUTES; i++)
                                if (str_eq_nocase(word, attributes[i].name))
                                        bits |= 1U << attributes[i].which;
        }
        return bits;
}

static struct str value_of(const struct envelope *e, enum smtp_attribute which, struct arena *arena)
{
        switch (which) {
        case SMTP_ATTRIBUTE_NAME:
                return str_eq(e->client_name, STR("unknown")) ? STR("") : e->client_name;
        case SMTP_ATTRIBUTE_ADDR:
                return str_find(e->client_address, ':') >= 0
                               ? arena_printf(arena, "IPv6:%.*s", STR_ARG(e->client_address))
                               : e->client_address;
        case SMTP_ATTRIBUTE_PORT:
                return e->client_port;
        case SMTP_ATTRIBUTE_HELO:
                return e->helo;
        case SMTP_ATTRIBUTE_IDENT:
                return e->first_id;
        case SMTP_ATTRIBUTE_PROTO:
                return e->protocol;
        default:
                return e->is_local ? STR("LOCAL") : STR("REMOTE");
        }
}

/* What is not known is said to be so: the filter is not to take its own client, us, for it. */
size_t proxy_xforward_format(unsigned offers, const struct envelope *e, struct arena *arena,
                             struct buf *out)
{
        size_t count = 0;
        size_t line_at = 0;
        for (size_t i = 0; i < ATTRIBUTES; i++) {
                if (!(offers & 1U << attributes[i].which))
                        continue;
                struct str value = value_of(e, attributes[i].which, arena);
                value = value.len ? smtp_xtext_encode(value, arena) : STR("[UNAVAILABLE]");
                size_t bytes = 1 + attributes[i].name.len + 1 + value.len;
                if (count == 0 || out->len - line_at + bytes > XFORWARD_BYTES_MAX) {
                        if (count)
                                buf_append_str(out, STR("\r\n"));
                        line_at = out->len;
                        buf_append_str(out, STR("XFORWARD"));
                        count++;
                }
                buf_printf(out, " %.*s=%.*s", STR_ARG(attributes[i].name), STR_ARG(value));
        }
        if (count)
                buf_append_str(out, STR("\r\n"));
        return count;
}

static bool await_xforward(struct proxy_dialogue *d, const struct envelope *origin,
                           struct arena *arena, struct smtp_reply *reply)
{
        struct buf commands;
        bool is_taken = true;
        buf_init(&commands, 64 * 1024);
        unsigned offers = proxy_xforward_offer(buf_str(&d->reader.text));
        proxy_xforward_format(offers, origin, arena, &commands);
        struct str rest = buf_str(&commands);
        while (is_taken && rest.len) {
                struct str line = str_trim(str_cut(&rest, '\n'));
                is_taken = await_proxy_command(d, line, PROXY_WANTS_OK, arena, reply);
        }
        buf_done(&commands);
        return is_taken;
}

/* The filter has to take a connection, EHLO and XFORWARD: its own words would answer the client's MAIL or RCPT. */
bool await_proxy_open(struct proxy_dialogue *d, const struct envelope *origin, struct arena *arena,
                      struct smtp_reply *reply)
{
        struct why why;
        check(!d->wire);
        *reply = proxy_failure();
        d->is_lost = false;
        if (await_endpoint_connect(&d->filter->endpoint, deadline_ms(d), &d->wire, &why) < 0) {
                log_warning("smtpd", "connect to proxy filter %.*s: %s",
                            STR_ARG(d->filter->endpoint.text), why.text);
                return false;
        }
        int rc = await_reply(d);
        bool is_open = rc < 0 ? lose(d, rc, reply)
                              : judge(d, STR("connection request"), PROXY_WANTS_OK, arena, reply);
        struct str name = d->params->smtpd_proxy_ehlo;
        if (is_open)
                is_open = await_proxy_command(d, arena_printf(arena, "EHLO %.*s", STR_ARG(name)),
                                              PROXY_WANTS_OK, arena, reply) &&
                          await_xforward(d, origin, arena, reply);
        if (!is_open)
                *reply = proxy_failure();
        return is_open;
}

/* ---- the text ---- */

static bool await_flush(struct proxy_dialogue *d)
{
        struct smtp_reply unused;
        int rc = await_wire_flush(d->wire, deadline_ms(d));
        return rc < 0 ? lose(d, rc, &unused) : true;
}

bool await_proxy_text(struct proxy_dialogue *d, struct str text)
{
        while (text.len && !d->is_lost) {
                struct str piece = str_part(text, 0, TEXT_PIECE_BYTES);
                text = str_tail(text, piece.len);
                check(dot_encode(&d->at_line_start, piece, wire_out(d->wire)) == 0);
                if (wire_out(d->wire)->len >= TEXT_OUT_BYTES)
                        await_flush(d);
        }
        return !d->is_lost;
}

bool await_proxy_end(struct proxy_dialogue *d, struct arena *arena, struct smtp_reply *reply)
{
        *reply = proxy_failure();
        if (d->is_lost)
                return false;
        check(d->is_in_text);
        check(wire_put(d->wire, dot_end(d->at_line_start)) == 0);
        d->is_in_text = false;
        int rc = await_reply(d);
        return rc < 0 ? lose(d, rc, reply) : judge(d, STR("."), PROXY_WANTS_ANY, arena, reply);
}
