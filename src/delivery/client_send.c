/*
 * client_send.c - one message through an open connection (RFC 5321 3.3, RFC 2920, RFC 3461 5, RFC 1870)
 *
 * With PIPELINING, MAIL, all RCPTs and DATA leave in one write; replies are read in order. The content goes
 * out in pieces, a small one in one write with its final dot.
 *
 * Choices:
 * - 354 although every recipient was refused: the connection is closed. A dot would be right as well
 *   (RFC 2920 3.1), but nothing can be delivered by a server that hears nothing.
 * - Declared 8-bit content to a server without 8BITMIME becomes quoted-printable (RFC 6152 3), part by part, unless
 *   disable_mime_output_conversion; what nobody declared is sent as it is.
 * - smtp_generic_maps and smtp_header_checks see the message as it leaves, after that (cleanup/outgoing.h). SIZE tells what
 *   the message was before, and ORCPT who the recipient was, as in Postfix.
 * - Lost after the final dot: later, from the start. The server may have it: at least once.
 * - Lines over smtp_line_length_limit are broken (smtp/fold.h), the last thing before dots are added.
 *
 * Not here: CHUNKING.
 */
#include "delivery/client.h"

#include "base/check.h"
#include "base/log.h"
#include "cleanup/outgoing.h"
#include "message/to_7bit.h"
#include "smtp/dot.h"
#include "smtp/fold.h"

#include <errno.h>

enum {
        OUT_BYTES = 64 * 1024,      /* flushed above this */
        ENCODE_BYTES = 32 * 1024,   /* encoded at once: dots add a third at most */
        COMMANDS_BYTES = 48 * 1024, /* pipelined before their replies are read */
        ENVELOPE_TEXT_BYTES = 2048, /* over any address and parameter that a session lets in */
};

struct sending {
        struct client *c;
        struct client_message *m;
        struct str sender;     /* as it is sent */
        struct str *addresses; /* of the recipients, as they are sent; NULL: as in the envelope */
        size_t asked;          /* RCPTs written */
        size_t answered;       /* and their replies read */
        size_t accepted;
        bool has_answer;      /* the peer has said something about this message */
        struct trouble *mail; /* MAIL was refused: all are */
        bool is_content_partly_out;
        bool converts; /* to seven bits, for a server without 8BITMIME */
};

/* ---- results ---- */

static void refuse_one(struct client_result *r, struct trouble *t)
{
        r->verdict = CLIENT_REFUSED;
        r->trouble = t;
}

/* All that have no result yet. */
static void refuse_rest(struct sending *s, struct trouble *t, bool is_final)
{
        for (size_t i = 0; i < s->m->recipient_count; i++) {
                struct client_result *r = &s->m->results[i];
                if (r->verdict == CLIENT_NONE) {
                        refuse_one(r, t);
                        r->is_final = is_final;
                }
        }
}

/* The connection is gone: `rc` says how. Cancelled: no results. */
static int lost(struct sending *s, enum client_stage stage, int rc)
{
        struct client *c = s->c;
        c->is_dead = c->is_lost = true;
        if (rc == -ECANCELED)
                return rc;
        bool is_closed = rc != -ETIMEDOUT && rc != -EBADMSG;
        if (is_closed && c->message_count > 0 && !s->has_answer)
                c->is_stale = true;
        refuse_rest(s, client_trouble_lost(c, stage, rc, s->m->arena), stage == AT_DOT);
        return rc;
}

static int refuse_all(struct sending *s, const char *dsn, struct str text)
{
        refuse_rest(s, client_trouble_say(dsn[0] == '5', dsn, text, s->m->arena), false);
        return -EPERM;
}

/* What our tables make of the message cannot be told: it waits. */
static int refuse_for_tables(struct sending *s, const struct why *why)
{
        const struct client *c = s->c;
        log_mail(LOG_LEVEL_WARNING, arena_str(s->m->arena, c->transport->log_name).ptr,
                 spool_message_id(s->m->message), "%s", why->text);
        return refuse_all(s, "4.3.0",
                          arena_printf(s->m->arena, "local data error while talking to %s[%s]",
                                       c->host, c->address));
}

/* ---- smtp_generic_maps ---- */

static struct str recipient_address(const struct sending *s, size_t at)
{
        return s->addresses ? s->addresses[at]
                            : s->m->envelope->recipients[s->m->recipients[at]].address;
}

static int await_map_envelope(struct sending *s)
{
        const struct outgoing_rules *rules = s->c->transport->outgoing;
        struct client_message *m = s->m;
        struct why why;
        if (!rules || !outgoing_maps_envelope(rules))
                return 0;
        int rc = await_outgoing_address(rules, m->envelope->sender, m->arena, &s->sender, &why);
        struct str *addresses = arena_array(m->arena, struct str, m->recipient_count);
        for (size_t i = 0; rc == 0 && i < m->recipient_count; i++)
                rc = await_outgoing_address(rules, recipient_address(s, i), m->arena, &addresses[i],
                                            &why);
        s->addresses = addresses;
        return rc < 0 ? refuse_for_tables(s, &why) : 0;
}

/* ---- may this message go to this server at all? ---- */

static bool is_ascii_envelope(const struct sending *s)
{
        if (!smtp_text_is_ascii(s->sender))
                return false;
        for (size_t i = 0; i < s->m->recipient_count; i++)
                if (!smtp_text_is_ascii(recipient_address(s, i)))
                        return false;
        return true;
}

static int check_size(struct sending *s)
{
        const struct client *c = s->c;
        int64_t bytes = spool_message_bytes(s->m->message);
        if (!c->has_size || c->size_max == 0 || bytes <= c->size_max)
                return 0;
        return refuse_all(s, "5.3.4",
                          arena_printf(s->m->arena,
                                       "message size %lld exceeds size limit %lld of server "
                                       "%s[%s]",
                                       (long long)bytes, (long long)c->size_max, c->host,
                                       c->address));
}

/* Content is read only when the server lacks what the message says it needs. */
static int await_check_content(struct sending *s)
{
        const struct client *c = s->c;
        const struct envelope *e = s->m->envelope;
        bool asks_8bit = e->body == SMTP_BODY_8BITMIME && !c->has_8bitmime;
        bool asks_utf8 = e->smtputf8 && !c->has_smtputf8;
        if (!asks_8bit && !asks_utf8)
                return 0;
        bool needs_utf8 = asks_utf8 && !is_ascii_envelope(s);
        struct content_scan scan;
        struct why why;
        int rc = await_content_scan(s->m->message, &scan, &why);
        if (rc == -ECANCELED)
                return rc;
        if (rc < 0)
                return refuse_all(
                        s, "4.3.0",
                        arena_printf(s->m->arena, "cannot read the message: %s", why.text));
        if (needs_utf8 || (asks_utf8 && scan.has_8bit_header))
                return refuse_all(s, "5.6.7",
                                  arena_printf(s->m->arena,
                                               "SMTPUTF8 is required, but was not offered by "
                                               "host %s[%s]",
                                               c->host, c->address));
        s->converts =
                asks_8bit && scan.has_8bit && !c->transport->params->disable_mime_output_conversion;
        return 0;
}

/* ---- commands ---- */

static bool is_clean(struct str s)
{
        return s.len < ENVELOPE_TEXT_BYTES && str_find(s, '\r') < 0 && str_find(s, '\n') < 0 &&
               str_find(s, '\0') < 0;
}

static void put_mail(struct sending *s)
{
        const struct client *c = s->c;
        const struct envelope *e = s->m->envelope;
        struct buf *out = wire_out(c->wire);
        size_t before = out->len;
        buf_printf(out, "MAIL FROM:<%.*s>", STR_ARG(s->sender));
        if (c->has_size && s->m->message)
                buf_printf(out, " SIZE=%lld", (long long)spool_message_bytes(s->m->message));
        if (c->has_8bitmime && e->body == SMTP_BODY_8BITMIME)
                buf_append_str(out, STR(" BODY=8BITMIME"));
        if (c->has_smtputf8 && (e->smtputf8 || !is_ascii_envelope(s)))
                buf_append_str(out, STR(" SMTPUTF8"));
        if (c->has_dsn && e->ret != SMTP_RET_UNSET)
                buf_append_str(out, e->ret == SMTP_RET_FULL ? STR(" RET=FULL") : STR(" RET=HDRS"));
        if (c->has_dsn && e->envid.len && is_clean(e->envid))
                buf_printf(out, " ENVID=%.*s", STR_ARG(e->envid));
        if (c->is_signed_in && c->transport->params->smtp_send_dummy_mail_auth)
                buf_append_str(out, STR(" AUTH=<>"));
        buf_append_str(out, STR("\r\n"));
        client_debug(c, '>', str_tail(buf_str(out), before));
}

static void put_notify(struct buf *out, unsigned notify)
{
        static const struct {
                unsigned bit;
                const char *word;
        } words[] = {{SMTP_NOTIFY_SUCCESS, "SUCCESS"},
                     {SMTP_NOTIFY_FAILURE, "FAILURE"},
                     {SMTP_NOTIFY_DELAY, "DELAY"}};
        const char *joint = " NOTIFY=";
        if (notify & SMTP_NOTIFY_NEVER) {
                buf_append_str(out, STR(" NOTIFY=NEVER"));
                return;
        }
        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
                if (notify & words[i].bit) {
                        buf_printf(out, "%s%s", joint, words[i].word);
                        joint = ",";
                }
        }
}

static void put_rcpt(struct sending *s, size_t at)
{
        const struct recipient *r = &s->m->envelope->recipients[s->m->recipients[at]];
        struct buf *out = wire_out(s->c->wire);
        size_t before = out->len;
        buf_printf(out, "RCPT TO:<%.*s>", STR_ARG(recipient_address(s, at)));
        if (s->c->has_dsn) {
                put_notify(out, r->notify);
                if (r->orcpt.len && is_clean(r->orcpt))
                        buf_printf(out, " ORCPT=%.*s", STR_ARG(r->orcpt));
                else if (r->notify && r->original.len && smtp_text_is_ascii(r->original))
                        buf_printf(out, " ORCPT=rfc822;%.*s",
                                   STR_ARG(smtp_xtext_encode(r->original, s->m->arena)));
        }
        buf_append_str(out, STR("\r\n"));
        client_debug(s->c, '>', str_tail(buf_str(out), before));
}

static int check_addresses(struct sending *s)
{
        if (!is_clean(s->sender))
                return refuse_all(s, "5.1.7", STR("the sender's address cannot be sent"));
        for (size_t i = 0; i < s->m->recipient_count; i++)
                if (!is_clean(recipient_address(s, i)))
                        return refuse_all(s, "5.1.3", STR("an address cannot be sent"));
        return 0;
}

/* ---- replies ---- */

static int await_reply(struct sending *s, enum client_stage stage, int64_t timeout_ms)
{
        int rc = await_client_reply(s->c, timeout_ms);
        if (rc < 0)
                return lost(s, stage, rc);
        /* a used connection that says 421 to its first command was closed while it was idle */
        if (!s->has_answer && s->c->reader.code == 421 && s->c->message_count > 0)
                s->c->is_stale = true;
        s->has_answer = true;
        return 0;
}

/* What the server thinks of XFORWARD does not matter to the message. */
static int await_forward_replies(struct sending *s, size_t count)
{
        for (; count; count--) {
                int rc =
                        await_reply(s, AT_XFORWARD, s->c->transport->params->smtp_xforward_timeout);
                if (rc < 0)
                        return rc;
                if (s->c->is_dead) { /* 421 */
                        refuse_rest(s, client_trouble_reply(s->c, AT_XFORWARD, s->m->arena), false);
                        return -ECONNABORTED;
                }
                if (s->c->reader.code / 100 != 2)
                        log_warning("smtp", "host %s said: %.*s (in reply to XFORWARD command)",
                                    s->c->relay,
                                    STR_ARG(client_reply_text(s->c, ' ', s->m->arena)));
        }
        return 0;
}

static int await_mail_reply(struct sending *s)
{
        int rc = await_reply(s, AT_MAIL, s->c->transport->params->smtp_mail_timeout);
        if (rc < 0)
                return rc;
        if (s->c->reader.code / 100 != 2)
                s->mail = client_trouble_reply(s->c, AT_MAIL, s->m->arena);
        return 0;
}

static int await_rcpt_replies(struct sending *s)
{
        while (s->answered < s->asked) {
                int rc = await_reply(s, AT_RCPT, s->c->transport->params->smtp_rcpt_timeout);
                if (rc < 0)
                        return rc;
                struct client_result *r = &s->m->results[s->answered++];
                if (s->c->reader.code / 100 == 2)
                        s->accepted++;
                else
                        refuse_one(r, client_trouble_reply(s->c, AT_RCPT, s->m->arena));
                if (s->c->is_dead) { /* 421: for this one, and for all that follow */
                        refuse_rest(s, r->trouble, false);
                        return -ECONNABORTED;
                }
        }
        return 0;
}

/* After MAIL was refused, the replies to what was pipelined behind it mean nothing. */
static int await_drain(struct sending *s, size_t count)
{
        refuse_rest(s, s->mail, false);
        for (; count && !s->c->is_dead; count--) {
                int rc = await_reply(s, AT_RCPT, s->c->transport->params->smtp_rcpt_timeout);
                if (rc < 0)
                        return rc;
                if (s->c->reader.code == 354)
                        s->c->is_dead = true;
        }
        return -EPERM;
}

/* 0: go on with the content. */
static int await_data_reply(struct sending *s)
{
        int rc = await_reply(s, AT_DATA, s->c->transport->params->smtp_data_init_timeout);
        if (rc < 0)
                return rc;
        bool is_go = s->c->reader.code == 354;
        if (is_go && s->accepted)
                return 0;
        if (is_go)
                s->c->is_dead = true;
        s->c->needs_rset = true;
        if (s->accepted)
                refuse_rest(s, client_trouble_reply(s->c, AT_DATA, s->m->arena), false);
        return -EPERM;
}

/* ---- MAIL, RCPT, DATA ---- */

static int await_rset(struct sending *s)
{
        if (!s->c->needs_rset)
                return 0;
        s->c->needs_rset = false;
        return await_reply(s, AT_RSET, s->c->transport->params->smtp_rset_timeout);
}

/* As many RCPTs as fit; true when that was the last. */
static bool put_rcpts(struct sending *s)
{
        while (s->asked < s->m->recipient_count && wire_out(s->c->wire)->len < COMMANDS_BYTES)
                put_rcpt(s, s->asked++);
        return s->asked == s->m->recipient_count;
}

static int await_envelope_pipelined(struct sending *s)
{
        struct client *c = s->c;
        if (c->needs_rset)
                client_put(c, STR("RSET\r\n"));
        size_t forwards = client_forward_put(c, s->m);
        put_mail(s);
        bool is_last = put_rcpts(s);
        if (is_last)
                client_put(c, STR("DATA\r\n"));
        int rc = await_rset(s);
        if (rc == 0)
                rc = await_forward_replies(s, forwards);
        if (rc == 0)
                rc = await_mail_reply(s);
        if (rc == 0 && s->mail)
                return await_drain(s, s->asked + is_last);
        while (rc == 0 && !is_last) {
                rc = await_rcpt_replies(s);
                is_last = put_rcpts(s);
                if (is_last)
                        client_put(c, STR("DATA\r\n"));
        }
        if (rc == 0)
                rc = await_rcpt_replies(s);
        return rc < 0 ? rc : await_data_reply(s);
}

static int await_envelope_stepwise(struct sending *s)
{
        struct client *c = s->c;
        if (c->needs_rset)
                client_put(c, STR("RSET\r\n"));
        int rc = await_rset(s);
        if (rc == 0)
                rc = await_forward_replies(s, client_forward_put(c, s->m));
        if (rc < 0)
                return rc;
        put_mail(s);
        rc = await_mail_reply(s);
        if (rc == 0 && s->mail)
                return await_drain(s, 0);
        while (rc == 0 && s->asked < s->m->recipient_count) {
                put_rcpt(s, s->asked++);
                rc = await_rcpt_replies(s);
        }
        if (rc < 0)
                return rc;
        if (s->accepted == 0) {
                c->needs_rset = true;
                return -EPERM;
        }
        client_put(c, STR("DATA\r\n"));
        return await_data_reply(s);
}

/* ---- the content ---- */

/* What a message goes through on its way out. */
struct content {
        struct spool_reader reader;
        struct to_7bit converter;
        struct outgoing outgoing; /* where the transport has rules */
        struct line_fold fold;
        bool at_line_start;
};

static void content_init(struct content *content, const struct sending *s)
{
        const struct outgoing_rules *rules = s->c->transport->outgoing;
        spool_reader_init(&content->reader, s->m->message);
        to_7bit_init(&content->converter);
        if (rules)
                outgoing_init(&content->outgoing, rules, spool_message_id(s->m->message));
        content->fold = (struct line_fold){
                .bytes_max = (size_t)s->c->transport->params->smtp_line_length_limit};
        content->at_line_start = true;
}

static void content_done(struct content *content, const struct sending *s)
{
        if (s->c->transport->outgoing)
                outgoing_done(&content->outgoing);
        to_7bit_done(&content->converter);
        spool_reader_done(&content->reader);
}

/* Breaks long lines, adds dots, and sends when there is enough. */
static int await_put_piece(struct sending *s, struct content *content, struct str piece)
{
        struct wire *wire = s->c->wire;
        while (piece.len) {
                struct str part = str_part(piece, 0, ENCODE_BYTES);
                size_t fits = line_fold_fits(&content->fold, part);
                bool breaks = fits < part.len;
                part = str_part(part, 0, fits);
                piece = str_tail(piece, part.len);
                check(dot_encode(&content->at_line_start, part, wire_out(wire)) == 0);
                if (breaks)
                        check(dot_encode(&content->at_line_start, STR(LINE_FOLD), wire_out(wire)) ==
                              0);
                if (wire_out(wire)->len < OUT_BYTES)
                        continue;
                int rc = await_client_text(s->c);
                if (rc < 0)
                        return lost(s, AT_BODY, rc);
                s->is_content_partly_out = true;
        }
        return 0;
}

/* A server that speaks before the end has had enough; what it says is the result. */
static int await_early_reply(struct sending *s)
{
        if (!s->is_content_partly_out || !wire_poll_input(s->c->wire))
                return 0;
        int rc = await_reply(s, AT_BODY, s->c->transport->params->smtp_data_done_timeout);
        s->c->is_dead = true;
        if (rc < 0)
                return rc;
        refuse_rest(s, client_trouble_reply(s->c, AT_BODY, s->m->arena), false);
        return -EPERM;
}

/* The same by way of smtp_generic_maps and smtp_header_checks. */
static int await_put_outgoing(struct sending *s, struct content *content, struct str piece,
                              bool is_last)
{
        enum outgoing_progress progress = OUTGOING_DONE;
        struct buf out;
        struct why why;
        int rc;
        buf_init(&out, OUTGOING_ROOM_BYTES);
        do {
                struct str part = progress == OUTGOING_MORE
                                          ? STR("")
                                          : str_part(piece, 0, OUTGOING_PIECE_BYTES_MAX);
                piece = str_tail(piece, part.len);
                progress = await_outgoing_content(&content->outgoing, part,
                                                  is_last && piece.len == 0, &out, &why);
                rc = progress == OUTGOING_FAILED ? refuse_for_tables(s, &why)
                                                 : await_put_piece(s, content, buf_str(&out));
                buf_clear(&out);
        } while (rc == 0 && (piece.len || progress == OUTGOING_MORE));
        buf_done(&out);
        s->c->is_dead |= progress == OUTGOING_FAILED;
        return rc;
}

static int await_put_text(struct sending *s, struct content *content, struct str piece,
                          bool is_last)
{
        return s->c->transport->outgoing ? await_put_outgoing(s, content, piece, is_last)
                                         : await_put_piece(s, content, piece);
}

/* The same by way of quoted-printable. */
static int await_put_converted(struct sending *s, struct content *content, struct str piece,
                               bool is_last)
{
        struct buf out;
        buf_init(&out, 4 * piece.len + TO_7BIT_SPARE_BYTES);
        int rc = to_7bit_feed(&content->converter, piece, is_last, &out);
        if (rc < 0) {
                s->c->is_dead = true;
                rc = refuse_all(s, "4.3.0", STR("cannot convert the message to seven bits"));
        } else {
                rc = await_put_text(s, content, buf_str(&out), is_last);
        }
        buf_done(&out);
        return rc;
}

/*
 * The rest leaves in the time of the text, not in that of the reply. (A small message leaves in one write, and waits for both at
 * once: the turn of the loop is saved.)
 */
static int await_put_end(struct sending *s, const struct content *content)
{
        int rc = await_client_pix_dot(s->c, spool_message_arrival_us(s->m->message));
        if (rc < 0)
                return lost(s, AT_BODY, rc);
        client_debug(s->c, '>', STR("."));
        check(wire_put(s->c->wire, dot_end(content->at_line_start)) == 0);
        if (!s->is_content_partly_out && !s->c->transport->params->smtp_per_request_deadline)
                return 0;
        rc = await_client_text(s->c);
        return rc < 0 ? lost(s, AT_BODY, rc) : 0;
}

static int await_put_content(struct sending *s, struct content *content)
{
        struct str piece;
        struct why why;
        client_text_begin(s->c);
        do {
                int rc = await_spool_reader_next(&content->reader, &piece, &why);
                if (rc < 0) {
                        s->c->is_dead = true; /* half a message must not get its dot */
                        if (rc == -ECANCELED)
                                return rc;
                        return refuse_all(
                                s, "4.3.0",
                                arena_printf(s->m->arena, "cannot read the message: %s", why.text));
                }
                bool is_last = piece.len == 0;
                rc = s->converts ? await_put_converted(s, content, piece, is_last)
                                 : await_put_text(s, content, piece, is_last);
                if (rc == 0)
                        rc = await_early_reply(s);
                if (rc < 0)
                        return rc;
        } while (piece.len);
        return await_put_end(s, content);
}

static void note_end(struct sending *s)
{
        struct client *c = s->c;
        if (c->reader.code / 100 != 2) {
                refuse_rest(s, client_trouble_reply(c, AT_DOT, s->m->arena), false);
                return;
        }
        struct str reply = client_reply_text(c, ' ', s->m->arena);
        for (size_t i = 0; i < s->m->recipient_count; i++) {
                struct client_result *r = &s->m->results[i];
                if (r->verdict != CLIENT_NONE)
                        continue;
                r->verdict = CLIENT_SENT;
                r->reply = reply;
                client_reply_dsn(c, r->dsn);
        }
}

/* LMTP: each recipient that was accepted has a reply of its own, in their order (RFC 2033 4.2). */
static int await_lmtp_ends(struct sending *s)
{
        const struct client *c = s->c;
        for (size_t i = 0; i < s->m->recipient_count; i++) {
                struct client_result *r = &s->m->results[i];
                if (r->verdict != CLIENT_NONE)
                        continue;
                int rc = await_reply(s, AT_DOT, c->transport->params->smtp_data_done_timeout);
                if (rc < 0)
                        return rc;
                if (c->reader.code / 100 == 2) {
                        r->verdict = CLIENT_SENT;
                        r->reply = client_reply_text(c, ' ', s->m->arena);
                        client_reply_dsn(c, r->dsn);
                } else {
                        refuse_one(r, client_trouble_reply(c, AT_DOT, s->m->arena));
                }
        }
        return 0;
}

static void await_content(struct sending *s)
{
        struct content content;
        content_init(&content, s);
        int rc = await_put_content(s, &content);
        content_done(&content, s);
        if (rc == 0 && s->c->is_lmtp) {
                await_lmtp_ends(s);
                return;
        }
        if (rc == 0)
                rc = await_reply(s, AT_DOT, s->c->transport->params->smtp_data_done_timeout);
        if (rc == 0)
                note_end(s);
}

void await_client_send(struct client *c, struct client_message *m)
{
        struct sending s = {.c = c, .m = m, .sender = m->envelope->sender};
        for (size_t i = 0; i < m->recipient_count; i++)
                m->results[i] = (struct client_result){.verdict = CLIENT_NONE};
        c->is_stale = false;
        int rc = await_map_envelope(&s);
        if (rc == 0)
                rc = check_addresses(&s);
        if (rc == 0)
                rc = check_size(&s);
        if (rc == 0)
                rc = await_check_content(&s);
        if (rc < 0)
                return;
        rc = c->has_pipelining ? await_envelope_pipelined(&s) : await_envelope_stepwise(&s);
        if (rc == 0)
                await_content(&s);
        c->message_count++;
}

/* ---- a probe: would this recipient be taken? ---- */

/* A server that says 354 has said yes. There is nothing to send to it, and a dot would be a message: we go. */
static int await_probe_data(struct sending *s)
{
        struct client *c = s->c;
        client_put(c, STR("DATA\r\n"));
        int rc = await_reply(s, AT_DATA, c->transport->params->smtp_data_init_timeout);
        if (rc < 0)
                return rc;
        if (c->reader.code == 354)
                c->is_dead = true;
        else
                refuse_rest(s, client_trouble_reply(c, AT_DATA, s->m->arena), false);
        return 0;
}

static int await_probe_envelope(struct sending *s)
{
        struct client *c = s->c;
        if (c->needs_rset)
                client_put(c, STR("RSET\r\n"));
        int rc = await_rset(s);
        if (rc < 0)
                return rc;
        put_mail(s);
        if (c->has_pipelining)
                put_rcpts(s);
        rc = await_mail_reply(s);
        if (rc == 0 && s->mail)
                return await_drain(s, s->asked);
        if (!c->has_pipelining)
                put_rcpts(s);
        c->needs_rset = true;
        return rc == 0 ? await_rcpt_replies(s) : rc;
}

void await_client_probe(struct client *c, struct client_message *m)
{
        struct sending s = {.c = c, .m = m, .sender = m->envelope->sender};
        check(m->recipient_count == 1);
        m->results[0] = (struct client_result){.verdict = CLIENT_NONE};
        c->is_stale = false;
        int rc = await_map_envelope(&s);
        if (rc == 0)
                rc = check_addresses(&s);
        if (rc == 0 && !c->has_smtputf8 && !is_ascii_envelope(&s))
                rc = refuse_all(&s, "5.6.7",
                                arena_printf(m->arena,
                                             "SMTPUTF8 is required, but was not offered by "
                                             "host %s[%s]",
                                             c->host, c->address));
        if (rc < 0)
                return;
        rc = await_probe_envelope(&s);
        c->message_count++;
        if (rc < 0 || s.accepted == 0)
                return;
        struct str reply = client_reply_text(c, ' ', m->arena);
        client_reply_dsn(c, m->results[0].dsn);
        if (c->transport->params->smtp_address_verify_target == ADDRESS_VERIFY_DATA &&
            await_probe_data(&s) < 0)
                return;
        if (m->results[0].verdict == CLIENT_NONE) {
                m->results[0].verdict = CLIENT_SENT;
                m->results[0].reply = reply;
        }
}

/* ---- what a content is made of ---- */

static bool has_8bit(struct str s)
{
        return !smtp_text_is_ascii(s);
}

/* Watches for CR LF CR LF over the borders of pieces. */
static size_t header_bytes(struct str piece, int *state)
{
        static const char end[] = "\r\n\r\n";
        for (size_t i = 0; i < piece.len; i++) {
                if (piece.ptr[i] == end[*state])
                        (*state)++;
                else
                        *state = piece.ptr[i] == '\r';
                if (*state == 4)
                        return i + 1;
        }
        return piece.len;
}

int await_content_scan(struct spool_message *m, struct content_scan *out, struct why *why)
{
        struct spool_reader reader;
        struct str piece;
        int state = 2; /* a message that begins with an empty line has no header */
        int rc;
        *out = (struct content_scan){0};
        spool_reader_init(&reader, m);
        while ((rc = await_spool_reader_next(&reader, &piece, why)) == 0 && piece.len) {
                size_t header = state == 4 ? 0 : header_bytes(piece, &state);
                out->has_8bit_header = out->has_8bit_header || has_8bit(str_part(piece, 0, header));
                out->has_8bit = out->has_8bit || has_8bit(piece);
        }
        spool_reader_done(&reader);
        return rc;
}
