/*
 * pace.c - how long a client may take over the text of a message
 *
 * With smtpd_per_request_deadline a client has smtpd_timeout for the whole of DATA or of one BDAT, and smtpd_min_data_rate bytes
 * give a second back (wire/pace.h). So a client that sends one byte a minute is sent away, and a large message over a slow line is
 * not. Without the deadline each read has smtpd_timeout for itself. (Command lines always have one deadline for the whole
 * line.)
 */
#include "session/session_private.h"

void session_text_begin(struct session *s)
{
        pace_begin(&s->text_pace, s->params->smtpd_timeout, s->params->smtpd_min_data_rate);
}

int await_session_text(struct session *s, struct str *bytes)
{
        if (!s->params->smtpd_per_request_deadline)
                return await_wire_bytes(s->wire, session_deadline_ms(s), bytes);
        int64_t began_ms = loop_now_ms();
        int rc = await_wire_bytes(s->wire, began_ms + s->text_pace.left_ms, bytes);
        pace_note(&s->text_pace, loop_now_ms() - began_ms, rc == 0 ? bytes->len : 0);
        return rc;
}
