/*
 * intake.c - content on its way into the draft, for DATA and BDAT
 *
 * Our lines stand in front: what rules PREPEND, then Received:; header checks see them first. The client's text goes
 * through the cleanup, field by field and line by line, while it streams; large content moves on to disk behind it. A refusal on the way is
 * kept until the end of the message, where the client listens for it; what comes after it is read and
 * thrown away. 250 is said in one place only: after await_spool_commit() returned 0.
 */
#include "base/check.h"
#include "base/log.h"
#include "message/header.h"
#include "message/mailbox_line.h"
#include "session/proxy.h"
#include "session/session_private.h"
#include "smtp/dot.h"

#include <errno.h>

struct intake {
        struct crlf_cleaner cleaner;
        struct smtp_reply refusal; /* code 0: none */
        struct buf rubbish;        /* where content goes that is not wanted any more */
        size_t ours;               /* bytes in front that are not the client's */
        bool has_bare_lf;
        struct mailbox_lines
                mailbox; /* for a filter in front of the queue; else the cleanup has it */
};

enum { RUBBISH_BYTES_MAX = 64 * 1024, FRONT_BYTES_MAX = 1 << 20 };

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
        struct buf *input = cleanup_input(s->transaction->cleanup);
        if (input)
                buf_clear(input);
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
        if (is_refused(t->intake))
                return &t->intake->rubbish;
        struct buf *input = t->proxy ? NULL : cleanup_input(t->cleanup);
        return input ? input : spool_draft_buf(t->draft);
}

/* The fields themselves, as rules and the session make them. */
static void await_lines_in_front(struct session *s, struct buf *b)
{
        struct transaction *t = s->transaction;
        for (size_t i = 0; i < t->effects.prepended_count; i++) {
                buf_append_str(b, t->effects.prepended[i]);
                buf_append(b, "\r\n", 2);
        }
        if (t->proxy && s->forward)
                return; /* between two filters we are not to be seen (Postfix) */
        await_policy_spf_fields(s->policy, &s->facts, &t->arena, b);
        char tls[200] = "";
        if (s->params->smtpd_tls_received_header)
                wire_tls_describe(s->wire, tls, sizeof(tls));
        struct str client = tls[0] ? session_certificate_words(s) : STR("");
        struct received_line line = {
                .by = s->params->outside_name,
                .with = t->envelope.protocol,
                .queue_id = t->proxy ? STR("") : str_from(spool_draft_id(t->draft)),
                .mail_name = s->params->mail_name,
                .tls = str_from(tls),
                .tls_client = client,
                .for_one = t->first_rcpt.text, /* empty when there are more */
        };
        /* without a client the line has no "from": nothing of a core leaves the network */
        struct envelope shown = t->envelope;
        if (s->is_local)
                line.mail_name = arena_printf(&s->arena, "%.*s, from userid %u",
                                              STR_ARG(s->params->mail_name), s->local_uid);
        bool is_hidden = s->is_local || policy_hides(s->policy, s->facts.client_bits);
        if (is_hidden)
                line.for_one = STR("");
        if (is_hidden || s->params->smtpd_hide_client_session)
                shown.helo = shown.client_name = shown.client_address = STR("");
        received_format(&shown, &line, b);
}

static void await_put_lines_in_front(struct session *s)
{
        struct transaction *t = s->transaction;
        struct buf lines;
        buf_init(&lines, FRONT_BYTES_MAX);
        await_lines_in_front(s, &lines);
        if (t->proxy && buf_append_str(spool_draft_buf(t->draft), buf_str(&lines)) < 0)
                intake_refuse(s, proxy_failure());
        else if (!t->proxy)
                await_cleanup_front(t->cleanup, buf_str(&lines), spool_draft_buf(t->draft));
        buf_done(&lines);
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
        t->intake->mailbox.at = t->intake->ours;
}

void intake_expect_chunks(struct session *s)
{
        s->transaction->intake->mailbox.is_past = true;
        cleanup_expect_chunks(s->transaction->cleanup);
}

void intake_free(struct intake **inp)
{
        if (!*inp)
                return;
        buf_done(&(*inp)->rubbish);
        free(*inp);
        *inp = NULL;
}

/* ---- pieces ---- */

/* Of what is there, our own lines included. */
static int64_t message_bytes(const struct transaction *t)
{
        return t->proxy ? session_proxy_bytes(t)
                        : spool_draft_bytes(t->draft) + (int64_t)cleanup_waiting_bytes(t->cleanup);
}

static void check_size(struct session *s)
{
        int64_t limit = s->params->message_size_limit;
        const struct transaction *t = s->transaction;
        int64_t bytes = message_bytes(t) - (int64_t)t->intake->ours;
        if (limit && bytes > limit)
                intake_refuse(s, smtp_reply_make(552, "5.3.4", STR("Error: message file too big")));
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

/* What is there goes to the filter in front of the queue. */
static void await_pass(struct session *s, bool is_all)
{
        struct transaction *t = s->transaction;
        struct why why;
        if (!mailbox_lines_keep(&t->intake->mailbox, spool_draft_buf(t->draft), is_all))
                return;
        int rc = is_refused(t->intake) ? 0 : await_session_proxy_text(s, &why);
        if (rc == -EPIPE) /* that was logged */
                intake_refuse(s, proxy_failure());
        else if (rc < 0)
                refuse_for(s, rc, &why);
}

/* What is there goes through the cleanup, and on to the disk when it is much. */
static void await_clean(struct session *s, bool is_all)
{
        struct transaction *t = s->transaction;
        struct intake *in = t->intake;
        if (t->proxy) {
                await_pass(s, is_all);
                return;
        }
        enum cleanup_progress progress = CLEANUP_MORE;
        while (progress == CLEANUP_MORE && !is_refused(in)) {
                struct smtp_reply refusal;
                progress = await_cleanup_content(t->cleanup, spool_draft_buf(t->draft), is_all,
                                                 &refusal);
                if (progress == CLEANUP_REFUSED) {
                        listener_counts(s->listener)->refused++;
                        intake_refuse(s, refusal);
                        return;
                }
                struct why why;
                int rc = await_spool_draft_settle(t->draft, &why);
                if (rc < 0)
                        refuse_for(s, rc, &why);
        }
}

void await_intake_piece(struct session *s)
{
        struct intake *in = s->transaction->intake;
        if (is_refused(in)) {
                buf_clear(&in->rubbish);
                return;
        }
        check_size(s);
        await_clean(s, false);
}

/* ---- the end ---- */

/* smtpd_forbid_bare_newline: with every value line ends were made whole; reject refuses, and note logs */
static void judge_bare_lf(struct session *s)
{
        int64_t wanted = s->params->smtpd_forbid_bare_newline;
        struct smtp_reply reply;
        if (!s->transaction->intake->has_bare_lf ||
            (wanted != BARE_NEWLINE_REJECT && wanted != BARE_NEWLINE_NOTE) ||
            policy_may_end_lines_in_lf(s->policy, &s->facts))
                return;
        log_mail(LOG_LEVEL_INFO, "smtpd", spool_draft_id(s->transaction->draft),
                 "bare <LF> received from %.*s[%.*s]", STR_ARG(s->facts.client_name),
                 STR_ARG(s->facts.client_address));
        if (session_refuses_bare_lf(s, &reply))
                intake_refuse(s, reply);
}

static void await_judge_message(struct session *s)
{
        struct transaction *t = s->transaction;
        struct intake *in = t->intake;
        if (!is_refused(in))
                await_clean(s, true);
        judge_bare_lf(s);
        if (is_refused(in))
                return;
        s->facts.message_bytes = message_bytes(t);
        struct smtp_reply refusal;
        if (await_session_refuses(s, POLICY_AT_END_OF_DATA, &refusal))
                intake_refuse(s, refusal);
        else if (!t->proxy && await_session_milters_message(s, in->ours, &refusal))
                intake_refuse(s, refusal);
        else if (arena_is_over(&t->arena))
                intake_refuse(s, smtp_reply_make(452, "4.3.1", STR("Insufficient system storage")));
}

static bool has_word(struct str list, struct str one, struct str other)
{
        struct str word;
        while (config_list_next(&list, &word))
                if (str_eq_nocase(word, one) || str_eq_nocase(word, other))
                        return true;
        return false;
}

/* smtputf8_autodetect_classes: addresses or header fields in UTF-8 ask for SMTPUTF8 by themselves */
static void detect_utf8(struct session *s)
{
        struct transaction *t = s->transaction;
        struct envelope *e = &t->envelope;
        if (e->smtputf8 || !s->params->smtputf8_enable ||
            !has_word(s->params->smtputf8_autodetect_classes, STR("all"), STR("smtpd")))
                return;
        bool has_utf8 = cleanup_has_utf8_header(t->cleanup) || !smtp_text_is_ascii(e->sender);
        for (size_t i = 0; !has_utf8 && i < e->recipient_count; i++)
                has_utf8 = !smtp_text_is_ascii(e->recipients[i].address);
        e->smtputf8 = has_utf8;
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
        if (!await_cleanup_end(t->cleanup, &refusal))
                return refusal;
        if (t->envelope.recipient_count == 0) { /* a filter took out the last one */
                log_mail(LOG_LEVEL_INFO, "cleanup", id.ptr, "discarded: no recipient is left");
                spool_draft_free(&t->draft);
                return queued;
        }
        struct why why;
        unsigned flags = t->effects.is_held ? SPOOL_HOLD : 0;
        detect_utf8(s);
        session_forward_apply(s, &t->envelope);
        int rc = await_spool_commit(&t->draft, &t->envelope, flags, &why);
        if (rc == 0) {
                listener_counts(s->listener)->messages++;
                s->messages++;
                return queued;
        }
        refuse_for(s, rc, &why);
        return t->intake->refusal;
}

struct smtp_reply await_intake_end(struct session *s)
{
        struct transaction *t = s->transaction;
        await_judge_message(s);
        struct smtp_reply reply = is_refused(t->intake) ? t->intake->refusal
                                  : t->proxy            ? await_session_proxy_end(s)
                                                        : await_commit(s);
        /* what the transaction's arena holds goes with it */
        session_explain_end(s);
        reply.text = arena_str(&s->arena, reply.text);
        if (reply.enhanced)
                reply.enhanced = arena_str(&s->arena, str_from(reply.enhanced)).ptr;
        if (!smtp_reply_refuses(&reply)) {
                s->errors = 0;
                s->junk = 0;
        }
        session_transaction_end(s);
        return reply;
}
