/* session_bdat.c - BDAT (RFC 3030): the message in counted chunks */
#include "session/session_private.h"
#include "smtp/dot.h"

#include <errno.h>

/* Takes `count` bytes off the wire; into the intake if there is one that still wants them. */
static int await_chunk(struct session *s, int64_t count, struct crlf_cleaner *cleaner)
{
        session_text_begin(s);
        while (count > 0) {
                struct str bytes;
                int rc = await_session_text(s, &bytes);
                if (rc < 0)
                        return rc;
                struct str in =
                        str_part(bytes, 0, count < (int64_t)bytes.len ? (size_t)count : bytes.len);
                size_t taken = in.len;
                while (cleaner && in.len) {
                        crlf_clean(cleaner, &in, intake_buf(s));
                        await_intake_piece(s);
                }
                wire_consume(s->wire, taken);
                count -= (int64_t)taken;
        }
        return 0;
}

static struct smtp_reply check_state(struct session *s, int64_t count, bool is_last)
{
        const struct transaction *t = s->transaction;
        if (count == 0 && !is_last) /* it could be said for ever */
                return smtp_reply_make(551, "5.7.1", STR("Null BDAT request"));
        if (s->has_lost_chunk)
                return smtp_reply_make(551, "5.0.0",
                                       arena_printf(&s->arena,
                                                    "Discarded %lld bytes after earlier error",
                                                    (long long)count));
        if (!t)
                return smtp_reply_make(503, "5.5.1", STR("Error: need RCPT command"));
        if (t->rcpt_count == 0)
                return smtp_reply_make(554, "5.5.1", STR("Error: no valid recipients"));
        return smtp_reply_make(250, "2.0.0", STR("Ok"));
}

/*
 * What follows a chunk that was refused is not the message, and was perhaps sent already: it is taken and thrown away,
 * up to LAST, where the transaction ends, or to RSET.
 */
static struct smtp_reply refuse(struct session *s, struct smtp_reply reply, bool is_last)
{
        s->has_lost_chunk = true;
        if (!is_last)
                return reply;
        reply.text = arena_str(&s->arena, reply.text); /* it may lie in the transaction */
        if (reply.enhanced)
                reply.enhanced = arena_str(&s->arena, str_from(reply.enhanced)).ptr;
        session_transaction_end(s);
        return reply;
}

static struct smtp_reply lost(struct session *s, int error)
{
        session_log_loss(s, error);
        s->is_closing = true;
        return error == -ETIMEDOUT ? smtp_reply_make(421, "4.4.2", STR("Error: timeout exceeded"))
                                   : session_no_reply();
}

struct smtp_reply await_session_bdat(struct session *s, struct str args)
{
        int64_t count;
        bool is_last;
        struct smtp_reply reply;
        if (!session_offers_keyword(s, STR("CHUNKING"))) {
                s->is_closing = true; /* the chunk that may follow is not to be read as commands */
                return smtp_reply_make(521, "5.5.1", STR("Error: command not implemented"));
        }
        if (smtp_bdat_parse(args, &count, &is_last, &reply) < 0) {
                /* without a count there is no telling where the next command begins */
                s->is_closing = true;
                return reply;
        }
        struct transaction *t = s->transaction;
        reply = check_state(s, count, is_last);
        if (!smtp_reply_refuses(&reply) && !t->intake &&
            !await_session_refuses(s, POLICY_AT_DATA, &reply) &&
            !await_session_milters_data(s, &reply) && !await_session_proxy_data(s, &reply)) {
                await_intake_begin(s);
                intake_expect_chunks(s);
        }
        if (!t || !t->intake || smtp_reply_refuses(&reply)) {
                int rc = await_chunk(s, count, NULL); /* the chunk comes all the same */
                return rc < 0 ? lost(s, rc) : refuse(s, reply, is_last);
        }

        struct crlf_cleaner *cleaner = intake_cleaner(s);
        int rc = await_chunk(s, count, cleaner);
        if (rc < 0)
                return lost(s, rc);
        if (!is_last && intake_refuses(s, &reply)) {
                cleanup_explain(t->cleanup, s->facts.trace);
                return refuse(s, reply, is_last);
        }
        if (!is_last)
                return smtp_reply_make(250, "2.0.0",
                                       arena_printf(&s->arena, "Ok: %lld bytes", (long long)count));
        crlf_clean_end(cleaner, intake_buf(s));
        if (cleaner->has_bare_lf)
                intake_note_bare_lf(s);
        await_intake_piece(s);
        return await_intake_end(s);
}
