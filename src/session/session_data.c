/* session_data.c - DATA (RFC 5321 4.1.1.4): the message, up to CR LF "." CR LF */
#include "session/session_private.h"
#include "smtp/dot.h"

#include <errno.h>

/* Reads to the end of the message, whatever was refused meanwhile. 0, or the wire's error. */
static int await_text(struct session *s)
{
        struct dot_decoder decoder;
        dot_decoder_init(&decoder);
        session_text_begin(s);
        while (!decoder.is_done) {
                struct str bytes;
                int rc = await_session_text(s, &bytes);
                if (rc < 0)
                        return rc;
                struct str in = bytes;
                while (in.len && !decoder.is_done) {
                        /* -ENOBUFS: the buffer is full; what was taken is made use of, then it goes on */
                        if (dot_decode(&decoder, &in, intake_buf(s)) == 0 && in.len == 0)
                                break;
                        await_intake_piece(s);
                }
                wire_consume(s->wire, bytes.len - in.len);
                await_intake_piece(s);
        }
        if (decoder.has_bare_lf)
                intake_note_bare_lf(s);
        return 0;
}

struct smtp_reply await_session_data(struct session *s, struct str args)
{
        struct transaction *t = s->transaction;
        if (!t)
                return smtp_reply_make(503, "5.5.1", STR("Error: need RCPT command"));
        if (session_is_within_bdat(s))
                return smtp_reply_make(503, "5.5.1", STR("Error: DATA after BDAT"));
        if (t->rcpt_count == 0)
                return smtp_reply_make(554, "5.5.1", STR("Error: no valid recipients"));
        if (!str_is_empty(args))
                return smtp_reply_make(501, "5.5.4", STR("Syntax: DATA"));
        struct smtp_reply reply;
        if (await_session_refuses(s, POLICY_AT_DATA, &reply) ||
            await_session_milters_data(s, &reply) || await_session_proxy_data(s, &reply))
                return reply;

        reply = smtp_reply_make(354, NULL, STR("End data with <CR><LF>.<CR><LF>"));
        await_session_put_reply(s, &reply);
        await_intake_begin(s);
        int rc = await_text(s);
        if (rc < 0) {
                session_log_loss(s, rc);
                s->is_closing = true;
                return rc == -ETIMEDOUT
                               ? smtp_reply_make(421, "4.4.2", STR("Error: timeout exceeded"))
                               : session_no_reply();
        }
        return await_intake_end(s);
}
