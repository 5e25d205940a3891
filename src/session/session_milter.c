/*
 * session_milter.c - the filters of this session: asked at each stage, and what they make of the message
 *
 * At the end the message lies in the draft, in memory or on the disk. Filters read it from there; a new body goes into a
 * draft of its own, and when anything has changed the message is put together anew in another, which then takes the
 * place of the first. Nothing larger than its header is ever in memory.
 */
#include "base/check.h"
#include "base/log.h"
#include "message/header.h"
#include "session/session_private.h"
#include "smtp/dot.h"

#include <errno.h>
#include <stdlib.h>

enum { PIECE_BYTES = 64 * 1024 };

/* ---- stages before the message ---- */

static bool is_refused(struct session *s, enum policy_event event, bool refuses,
                       struct smtp_reply *reply)
{
        if (!refuses)
                return false;
        session_explain_refusal(s, milters_refuser(s->milters, &s->arena));
        policy_log_refusal("milter-reject", event, &s->facts, reply);
        listener_counts(s->listener)->refused++;
        if (reply->code == 421 || reply->code == 521)
                s->is_closing = true;
        return true;
}

bool await_session_milters_connect(struct session *s, struct smtp_reply *reply)
{
        struct milter_set *set = s->service->parts.milters;
        milters_free(&s->milters);
        if (milter_set_is_empty(set))
                return false;
        s->milters = await_milters_new(set, &s->facts, &s->arena, reply);
        return is_refused(s, POLICY_AT_CONNECT,
                          reply->code || await_milters_connect(s->milters, &s->arena, reply),
                          reply);
}

bool await_session_milters_helo(struct session *s, struct smtp_reply *reply)
{
        return is_refused(s, POLICY_AT_HELO, await_milters_helo(s->milters, &s->arena, reply),
                          reply);
}

/* What follows the path in "FROM:<a@b> SIZE=3". */
static struct str parameters_of(struct str args)
{
        ptrdiff_t end = str_find_last(args, '>');
        if (end < 0) {
                struct str path;
                str_next_word(&args, " \t", &path);
                return str_trim(args);
        }
        return str_trim(str_tail(args, (size_t)end + 1));
}

/* Where mail to this address would go, for macros; what cannot be found is left out. */
static void await_add_route(struct session *s, const struct smtp_address *address,
                            struct milter_args *args)
{
        struct route route;
        struct why why;
        const struct route_query query = {.recipient = address};
        if (str_is_empty(address->text) ||
            await_route_find(s->service->parts.routes, &query, &s->arena, &route, &why) < 0)
                return;
        args->mailer = route.transport->name;
        args->host = route.nexthop.len ? route.nexthop : address->domain;
}

bool await_session_milters_mail(struct session *s, struct str args, struct smtp_reply *reply)
{
        if (!s->milters)
                return false;
        struct milter_args a = {.parameters = parameters_of(args)};
        await_add_route(s, &s->facts.sender, &a);
        return is_refused(
                s, POLICY_AT_MAIL,
                await_milters_mail(s->milters, &a, &s->transaction->effects, &s->arena, reply),
                reply);
}

bool await_session_milters_rcpt(struct session *s, struct str args, struct smtp_reply *reply)
{
        if (!s->milters)
                return false;
        struct milter_args a = {.parameters = parameters_of(args)};
        await_add_route(s, &s->facts.recipient, &a);
        return is_refused(
                s, POLICY_AT_RCPT,
                await_milters_rcpt(s->milters, &a, &s->transaction->effects, &s->arena, reply),
                reply);
}

void await_session_milters_rejected(struct session *s, struct str args,
                                    const struct smtp_reply *rejection)
{
        const struct milter_args a = {.parameters = parameters_of(args), .rejected = rejection};
        await_milters_rejected(s->milters, &a, &s->arena);
}

bool await_session_milters_data(struct session *s, struct smtp_reply *reply)
{
        return s->milters && is_refused(s, POLICY_AT_DATA,
                                        await_milters_data(s->milters, &s->transaction->effects,
                                                           &s->arena, reply),
                                        reply);
}

bool await_session_milters_unknown(struct session *s, struct str line, struct smtp_reply *reply)
{
        return await_milters_unknown(s->milters, line, &s->arena, reply);
}

/* ---- the message ---- */

struct message {
        struct session *s;
        int64_t body_at; /* in the transaction's draft */
        struct spool_draft *body, *new_body;
        struct crlf_cleaner cleaner; /* of new_body: no bare CR or LF leaves us */
};

static int await_read(void *context, int64_t offset, char *out, size_t room, size_t *got,
                      struct why *why)
{
        struct message *m = context;
        if (m->body)
                return await_spool_draft_read(m->body, offset, out, room, got, why);
        return await_spool_draft_read(m->s->transaction->draft, m->body_at + offset, out, room, got,
                                      why);
}

static int body_begin(void *context, struct why *why)
{
        struct message *m = context;
        spool_draft_free(&m->new_body);
        m->new_body = spool_draft_new(m->s->service->parts.spool);
        crlf_cleaner_init(&m->cleaner);
        return 0;
}

static int await_body_add(void *context, struct str bytes, struct why *why)
{
        struct message *m = context;
        int64_t limit = m->s->params->message_size_limit;
        while (bytes.len) {
                struct str piece = str_part(bytes, 0, PIECE_BYTES / 2);
                bytes = str_tail(bytes, piece.len);
                if (crlf_clean(&m->cleaner, &piece, spool_draft_buf(m->new_body)) < 0 || piece.len)
                        return why_set(why, -ENOBUFS, "a filter's body does not fit");
                int rc = await_spool_draft_settle(m->new_body, why);
                if (rc < 0)
                        return rc;
        }
        if (limit && spool_draft_bytes(m->new_body) > limit)
                return why_set(why, -EFBIG, "a filter's body is over message_size_limit");
        return 0;
}

static int await_body_end(void *context, struct why *why)
{
        struct message *m = context;
        crlf_clean_end(&m->cleaner, spool_draft_buf(m->new_body));
        spool_draft_free(&m->body);
        m->body = m->new_body;
        m->new_body = NULL;
        return 0;
}

static int parse_address(struct session *s, struct str text, struct smtp_address *out,
                         struct why *why)
{
        if (smtp_address_parse(text, &s->arena, out) == 0)
                return 0;
        return why_set(why, -EINVAL, "a filter names an address that is none: \"%.*s\"",
                       STR_ARG(str_part(text, 0, 200)));
}

/* As MAIL and RCPT take them: filters may say what clients may, DSN included. */
static const struct smtp_path_rules path_rules = {.allows_no_domain = true, .allows_utf8 = true};
static const struct smtp_offers offers = {
        .size = true, .eightbitmime = true, .smtputf8 = true, .dsn = true};

/* "FROM:<a@b> RET=HDRS"; without parameters, empty. */
static struct str command_of(struct session *s, const char *word,
                             const struct smtp_address *address, struct str parameters)
{
        if (str_is_empty(parameters))
                return STR("");
        return arena_printf(&s->arena, "%s:<%.*s> %.*s", word, STR_ARG(address->text),
                            STR_ARG(parameters));
}

static void ignore_parameters(const struct session *s, struct str parameters)
{
        log_warning("cleanup", "%s: a filter's ESMTP parameters mean nothing here: \"%.*s\"",
                    spool_draft_id(s->transaction->draft), STR_ARG(str_part(parameters, 0, 200)));
}

static int await_sender(void *context, struct str address, struct str parameters, struct why *why)
{
        struct message *m = context;
        struct transaction *t = m->s->transaction;
        struct smtp_address sender;
        struct smtp_reply refusal;
        int rc = parse_address(m->s, address, &sender, why);
        if (rc < 0)
                return rc;
        if (!await_cleanup_sender(t->cleanup, &sender, &refusal))
                return why_set(why, -EAGAIN, "a filter's sender: %.*s", STR_ARG(refusal.text));
        struct smtp_mail_command mail;
        struct str command = command_of(m->s, "FROM", &sender, parameters);
        if (command.len == 0)
                return 0;
        if (smtp_mail_parse(command, &path_rules, &offers, &m->s->arena, &mail, &refusal) < 0) {
                ignore_parameters(m->s, parameters);
                return 0;
        }
        if (mail.ret)
                t->envelope.ret = mail.ret;
        if (mail.envid.len)
                t->envelope.envid = arena_str(&t->arena, mail.envid);
        return 0;
}

static int await_recipient_add(void *context, struct str address, struct str parameters,
                               struct why *why)
{
        struct message *m = context;
        struct smtp_rcpt_command rcpt = {.notify = 0};
        struct smtp_reply refusal;
        int rc = parse_address(m->s, address, &rcpt.recipient, why);
        if (rc < 0)
                return rc;
        if (str_is_empty(rcpt.recipient.text))
                return why_set(why, -EINVAL, "a filter adds a recipient without a name");
        struct smtp_rcpt_command whole = rcpt;
        struct str command = command_of(m->s, "TO", &rcpt.recipient, parameters);
        if (command.len &&
            smtp_rcpt_parse(command, &path_rules, &offers, &m->s->arena, &whole, &refusal) < 0)
                ignore_parameters(m->s, parameters);
        else
                rcpt = whole;
        if (await_cleanup_recipient(m->s->transaction->cleanup, &rcpt, &refusal))
                return 0;
        return why_set(why, -EAGAIN, "a filter's recipient: %.*s", STR_ARG(refusal.text));
}

static bool await_field(void *context, struct milter_made *made, struct smtp_reply *refusal)
{
        struct message *m = context;
        struct cleanup_made field = {.field = made->field, .before = made->before};
        bool is_taken = await_cleanup_made(m->s->transaction->cleanup, &field, refusal);
        *made = (struct milter_made){.field = field.field, .before = field.before};
        return is_taken;
}

static int recipient_remove(void *context, struct str address, struct why *why)
{
        struct message *m = context;
        struct smtp_address recipient;
        int rc = parse_address(m->s, address, &recipient, why);
        if (rc < 0)
                return rc;
        cleanup_remove_recipient(m->s->transaction->cleanup, recipient.text);
        return 0;
}

/* The header, from the front of the draft up to its end; all of it in *text. */
static int await_header(struct message *m, struct buf *text, struct why *why)
{
        struct spool_draft *d = m->s->transaction->draft;
        size_t scan = 0;
        size_t end = 0;
        size_t got = 1;
        while (got) {
                char *room = buf_reserve(text, PIECE_BYTES);
                if (!room)
                        return why_set(why, -E2BIG, "the header is too big for filters");
                int rc =
                        await_spool_draft_read(d, (int64_t)text->len, room, PIECE_BYTES, &got, why);
                if (rc < 0)
                        return rc;
                buf_grow(text, got);
                if (header_find_end(buf_str(text), &scan, got == 0, &end))
                        break;
        }
        text->len = end;
        m->body_at = (int64_t)end;
        return 0;
}

/* ---- putting it together again ---- */

static int await_add(struct spool_draft *d, struct str bytes, struct why *why)
{
        while (bytes.len) {
                struct str piece = str_part(bytes, 0, PIECE_BYTES);
                bytes = str_tail(bytes, piece.len);
                if (buf_append_str(spool_draft_buf(d), piece) < 0)
                        return why_set(why, -ENOBUFS, "a changed message does not fit");
                int rc = await_spool_draft_settle(d, why);
                if (rc < 0)
                        return rc;
        }
        return 0;
}

static int await_copy_body(struct message *m, struct spool_draft *to, struct why *why)
{
        int64_t offset = 0;
        size_t got = 1;
        struct buf piece;
        int rc = 0;
        buf_init(&piece, PIECE_BYTES);
        char *room = buf_reserve(&piece, PIECE_BYTES);
        while (rc == 0 && got) {
                rc = await_read(m, offset, room, PIECE_BYTES, &got, why);
                offset += (int64_t)got;
                if (rc == 0)
                        rc = await_add(to, str_make(room, got), why);
        }
        buf_done(&piece);
        return rc;
}

static int await_rebuild(struct message *m, const struct milter_header *header, struct str old,
                         struct why *why)
{
        struct spool_draft *d = spool_draft_new(m->s->service->parts.spool);
        bool has_blank = str_eq(old, STR("\r\n")) || str_ends(old, STR("\r\n\r\n"));
        int rc = 0;
        for (size_t i = 0; i < header->count && rc == 0; i++) {
                rc = await_add(d, header->fields[i].raw, why);
                if (rc == 0)
                        rc = await_add(d, STR("\r\n"), why);
        }
        if (rc == 0 && (has_blank || m->body))
                rc = await_add(d, STR("\r\n"), why);
        if (rc == 0)
                rc = await_copy_body(m, d, why);
        if (rc == 0)
                rc = await_spool_draft_take(m->s->transaction->draft, &d, why);
        spool_draft_free(&d);
        return rc;
}

static bool await_fail(struct session *s, int error, const struct why *why,
                       struct smtp_reply *reply)
{
        log_warning("cleanup", "%s: %s", spool_draft_id(s->transaction->draft), why->text);
        *reply = error == -E2BIG
                         ? smtp_reply_make(552, "5.3.4", STR("Error: message header too big"))
                 : error == -ENOSPC || error == -EDQUOT
                         ? smtp_reply_make(452, "4.3.1", STR("Insufficient system storage"))
                         : smtp_reply_make(451, "4.3.0", STR("Error: queue file write error"));
        return true;
}

static bool await_filtered(struct message *m, struct buf *text, size_t ours, struct arena *arena,
                           struct smtp_reply *reply)
{
        struct session *s = m->s;
        struct milter_header header;
        struct why why;
        int rc = await_header(m, text, &why);
        if (rc == 0 && milter_header_init(&header, buf_str(text), ours, arena) < 0)
                rc = why_set(&why, -E2BIG, "the header has too many fields for filters");
        if (rc < 0)
                return await_fail(s, rc, &why, reply);
        const struct milter_doors doors = {
                .context = m,
                .await_read = await_read,
                .body_begin = body_begin,
                .await_body_add = await_body_add,
                .await_body_end = await_body_end,
                .await_sender = await_sender,
                .await_recipient_add = await_recipient_add,
                .recipient_remove = recipient_remove,
                .await_field = await_field,
        };
        if (is_refused(s, POLICY_AT_END_OF_DATA,
                       await_milters_message(s->milters, &header, &doors, &s->transaction->effects,
                                             arena, reply),
                       reply)) {
                /* what lies in `arena` ends with it */
                struct arena *kept = &s->transaction->arena;
                reply->text = arena_str(kept, reply->text);
                if (reply->enhanced)
                        reply->enhanced = arena_str(kept, str_from(reply->enhanced)).ptr;
                return true;
        }
        if (s->transaction->effects.is_discarded || (!header.is_changed && !m->body))
                return false;
        rc = await_rebuild(m, &header, buf_str(text), &why);
        return rc < 0 && await_fail(s, rc, &why, reply);
}

bool await_session_milters_message(struct session *s, size_t ours, struct smtp_reply *reply)
{
        if (!s->milters || s->transaction->effects.is_discarded)
                return false;
        struct message m = {.s = s};
        struct buf text;
        struct arena arena;
        buf_init(&text, MILTER_HEADER_BYTES_MAX);
        arena_init(&arena, 0);
        bool is_over = await_filtered(&m, &text, ours, &arena, reply);
        spool_draft_free(&m.body);
        spool_draft_free(&m.new_body);
        arena_done(&arena);
        buf_done(&text);
        return is_over;
}
