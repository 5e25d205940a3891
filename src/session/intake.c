/*
 * intake.c - content on its way into the draft, for DATA and BDAT
 *
 * Our lines stand in front: what rules PREPEND, then Received:. The client's header is judged as soon as it is
 * complete, while it still lies in memory; only then may large content move on to disk. A refusal on the way is
 * kept until the end of the message, where the client listens for it; what comes after it is read and
 * thrown away. 250 is said in one place only: after await_spool_commit() returned 0.
 */
#include "base/check.h"
#include "base/log.h"
#include "message/header.h"
#include "session/session_private.h"
#include "smtp/dot.h"

#include <errno.h>

struct intake {
        struct crlf_cleaner cleaner;
        struct smtp_reply refusal; /* code 0: none */
        struct buf rubbish;        /* where content goes that is not wanted any more */
        size_t ours;               /* bytes in front that are not the client's */
        size_t header_scan;        /* see header_find_end() */
        bool has_header;           /* it was judged */
        bool has_bare_lf;
};

enum { RUBBISH_BYTES_MAX = 64 * 1024 };

static bool is_refused(const struct intake *in)
{
        return in->refusal.code != 0;
}

bool intake_refuses(const struct session *s, struct smtp_reply *reply)
{
        *reply = s->transaction->intake->refusal;
        return is_refused(s->transaction->intake);
}

void intake_refuse(struct session *s, struct smtp_reply reply)
{
        struct intake *in = s->transaction->intake;
        if (is_refused(in))
                return;
        in->refusal = reply;
        in->refusal.text = arena_str(&s->transaction->arena, reply.text);
        buf_clear(spool_draft_buf(s->transaction->draft));
}

void intake_note_bare_lf(struct session *s)
{
        s->transaction->intake->has_bare_lf = true;
}

struct crlf_cleaner *intake_cleaner(struct session *s)
{
        return &s->transaction->intake->cleaner;
}

struct buf *intake_buf(struct session *s)
{
        struct transaction *t = s->transaction;
        return is_refused(t->intake) ? &t->intake->rubbish : spool_draft_buf(t->draft);
}

static void await_put_lines_in_front(struct session *s)
{
        struct transaction *t = s->transaction;
        struct buf *b = spool_draft_buf(t->draft);
        for (size_t i = 0; i < t->effects.prepended_count; i++) {
                buf_append_str(b, t->effects.prepended[i]);
                buf_append(b, "\r\n", 2);
        }
        await_policy_spf_fields(s->policy, &s->facts, &t->arena, b);
        char tls[200] = "";
        if (s->params->smtpd_tls_received_header)
                wire_tls_describe(s->wire, tls, sizeof(tls));
        struct received_line line = {
                .by = s->params->outside_name,
                .with = t->envelope.protocol,
                .queue_id = str_from(spool_draft_id(t->draft)),
                .mail_name = s->params->mail_name,
                .tls = str_from(tls),
                .for_one = t->first_rcpt.text, /* empty when there are more */
        };
        /* without a client the line has no "from": nothing of a core leaves the network */
        struct envelope shown = t->envelope;
        if (policy_hides(s->policy, s->facts.client_bits))
                shown.helo = shown.client_name = shown.client_address = STR("");
        received_format(&shown, &line, b);
}

void await_intake_begin(struct session *s)
{
        struct transaction *t = s->transaction;
        check(!t->intake);
        t->intake = calloc(1, sizeof(*t->intake));
        check(t->intake);
        crlf_cleaner_init(&t->intake->cleaner);
        buf_init(&t->intake->rubbish, RUBBISH_BYTES_MAX);
        await_put_lines_in_front(s);
        t->intake->ours = spool_draft_buf(t->draft)->len;
}

void intake_free(struct intake **inp)
{
        if (!*inp)
                return;
        buf_done(&(*inp)->rubbish);
        free(*inp);
        *inp = NULL;
}

/* ---- the header ---- */

static void log_message_id(struct session *s, struct str header)
{
        struct str id;
        if (!header_find(header, STR("Message-ID"), &s->arena, &id))
                id = STR("");
        log_mail(LOG_LEVEL_INFO, "cleanup", spool_draft_id(s->transaction->draft),
                 "message-id=%.*s", STR_ARG(id));
}

/* Puts `header` in the place of the client's `old_len` bytes. */
static void replace_header(struct session *s, size_t old_len, struct str header)
{
        struct intake *in = s->transaction->intake;
        struct buf *b = spool_draft_buf(s->transaction->draft);
        size_t body_at = in->ours + old_len;
        size_t body_len = b->len - body_at;
        if (header.len > old_len && !buf_reserve(b, header.len - old_len)) {
                intake_refuse(s,
                              smtp_reply_make(552, "5.3.4", STR("Error: message header too big")));
                return;
        }
        memmove(b->ptr + in->ours + header.len, b->ptr + body_at, body_len);
        if (header.len)
                memcpy(b->ptr + in->ours, header.ptr, header.len);
        b->len = in->ours + header.len + body_len;
}

static bool is_dropped(const struct session *s, struct str name)
{
        struct str rest = s->params->message_drop_headers;
        struct str word;
        while (config_list_next(&rest, &word))
                if (str_eq_nocase(word, name))
                        return true;
        return false;
}

/* message_drop_headers: closes the gaps in place; few messages have one. What is left of `len`. */
static size_t drop_fields(struct session *s, size_t len)
{
        struct intake *in = s->transaction->intake;
        struct buf *b = spool_draft_buf(s->transaction->draft);
        char *start = b->ptr + in->ours;
        struct str rest = str_make(start, len);
        struct header_field field;
        size_t kept = len;
        while (header_next(&rest, &field)) {
                if (!is_dropped(s, field.name) &&
                    !policy_is_forged_result(s->policy, &s->facts, field.name, field.value))
                        continue;
                size_t at = (size_t)(field.raw.ptr - start);
                size_t gap = (size_t)(rest.ptr - field.raw.ptr);
                memmove(start + at, rest.ptr, b->len - in->ours - at - gap);
                b->len -= gap;
                kept -= gap;
                rest.ptr -= gap;
        }
        return kept;
}

static void await_judge_header(struct session *s, size_t len)
{
        struct transaction *t = s->transaction;
        struct intake *in = t->intake;
        in->has_header = true;
        len = drop_fields(s, len);
        struct str header = str_part(buf_str(spool_draft_buf(t->draft)), in->ours, len);
        log_message_id(s, header);
        if (header_count_hops(header) > (size_t)s->params->hopcount_limit) {
                intake_refuse(s, smtp_reply_make(554, "5.4.0", STR("Error: too many hops")));
                return;
        }
        if (!policy_has_header_checks(s->policy))
                return;
        struct policy_header_result result;
        await_policy_check_header(s->policy, header, &s->facts, &t->arena, &t->effects, &result);
        if (result.verdict.action == VERDICT_REFUSE) {
                listener_counts(s->listener)->refused++;
                intake_refuse(s, result.verdict.reply);
        } else if (result.is_changed) {
                replace_header(s, len, buf_str(&result.header));
        }
        buf_done(&result.header);
}

/* ---- pieces ---- */

static void check_size(struct session *s)
{
        int64_t limit = s->params->message_size_limit;
        int64_t bytes =
                spool_draft_bytes(s->transaction->draft) - (int64_t)s->transaction->intake->ours;
        if (limit && bytes > limit)
                intake_refuse(s, smtp_reply_make(552, "5.3.4", STR("Error: message file too big")));
}

static void await_look_for_header(struct session *s, bool is_all)
{
        struct transaction *t = s->transaction;
        struct intake *in = t->intake;
        struct buf *b = spool_draft_buf(t->draft);
        size_t end;
        if (header_find_end(str_tail(buf_str(b), in->ours), &in->header_scan, is_all, &end))
                await_judge_header(s, end);
        else if (b->len - in->ours > (size_t)s->params->large_message_threshold)
                intake_refuse(s,
                              smtp_reply_make(552, "5.3.4", STR("Error: message header too big")));
}

static void refuse_for(struct session *s, int error, const struct why *why)
{
        log_warning("cleanup", "%s: queue file write error: %s",
                    spool_draft_id(s->transaction->draft), why->text);
        bool is_full = error == -ENOSPC || error == -EDQUOT;
        intake_refuse(
                s, is_full ? smtp_reply_make(452, "4.3.1", STR("Insufficient system storage"))
                           : smtp_reply_make(451, "4.3.0", STR("Error: queue file write error")));
}

void await_intake_piece(struct session *s)
{
        struct transaction *t = s->transaction;
        struct intake *in = t->intake;
        if (is_refused(in)) {
                buf_clear(&in->rubbish);
                return;
        }
        check_size(s);
        if (!is_refused(in) && !in->has_header)
                await_look_for_header(s, false);
        if (is_refused(in) || !in->has_header)
                return;
        struct why why;
        int rc = await_spool_draft_settle(t->draft, &why);
        if (rc < 0)
                refuse_for(s, rc, &why);
}

/* ---- the end ---- */

static void refuse_bare_lf(struct session *s)
{
        /* smtpd_forbid_bare_newline = reject; with every other value line ends were made whole */
        if (s->transaction->intake->has_bare_lf &&
            s->params->smtpd_forbid_bare_newline == BARE_NEWLINE_REJECT &&
            !policy_may_end_lines_in_lf(s->policy, s->facts.client_bits))
                intake_refuse(s,
                              smtp_reply_make((int)s->params->smtpd_forbid_bare_newline_reject_code,
                                              s->params->smtpd_forbid_bare_newline_reject_code < 500
                                                      ? "4.5.2"
                                                      : "5.5.2",
                                              STR("Error: bare <LF> received")));
}

static void await_judge_message(struct session *s)
{
        struct transaction *t = s->transaction;
        struct intake *in = t->intake;
        if (!is_refused(in) && !in->has_header)
                await_look_for_header(s, true);
        refuse_bare_lf(s);
        if (is_refused(in))
                return;
        s->facts.message_bytes = spool_draft_bytes(t->draft);
        struct smtp_reply refusal;
        if (await_session_refuses(s, POLICY_AT_END_OF_DATA, &refusal))
                intake_refuse(s, refusal);
        else if (arena_is_over(&t->arena))
                intake_refuse(s, smtp_reply_make(452, "4.3.1", STR("Insufficient system storage")));
}

static struct smtp_reply await_commit(struct session *s)
{
        struct transaction *t = s->transaction;
        struct str id = arena_str(&s->arena, str_from(spool_draft_id(t->draft)));
        struct smtp_reply queued = smtp_reply_make(
                250, "2.0.0", arena_printf(&s->arena, "Ok: queued as %.*s", STR_ARG(id)));
        if (t->effects.prepended_dropped)
                log_mail(LOG_LEVEL_WARNING, "cleanup", id.ptr,
                         "%zu PREPEND lines dropped: too many", t->effects.prepended_dropped);
        if (t->effects.is_discarded) {
                spool_draft_free(&t->draft);
                return queued; /* the rule that discarded it was logged where it matched */
        }
        struct smtp_reply refusal;
        if (!await_session_add_bcc(s, &refusal))
                return refusal;
        struct why why;
        unsigned flags = t->effects.is_held ? SPOOL_HOLD : 0;
        session_forward_apply(s, &t->envelope);
        int rc = await_spool_commit(&t->draft, &t->envelope, flags, &why);
        if (rc == 0) {
                listener_counts(s->listener)->messages++;
                return queued;
        }
        refuse_for(s, rc, &why);
        return t->intake->refusal;
}

struct smtp_reply await_intake_end(struct session *s)
{
        struct transaction *t = s->transaction;
        await_judge_message(s);
        struct smtp_reply reply = is_refused(t->intake) ? t->intake->refusal : await_commit(s);
        reply.text = arena_str(&s->arena, reply.text);
        if (!smtp_reply_refuses(&reply)) {
                s->errors = 0;
                s->junk = 0;
        }
        session_transaction_end(s);
        return reply;
}
