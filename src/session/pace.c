/*
 * pace.c - how long a client may take over the text of a message
 *
 * With smtpd_per_request_deadline a client has smtpd_timeout for the whole of DATA or of one BDAT. Each read takes
 * the time that it took away from that, and smtpd_min_data_rate bytes give a second back, never over
 * smtpd_timeout. So a client that sends one byte a minute is sent away, and a large message over a slow line is
 * not. Our own work between two reads does not count against the client. Without the deadline each
 * read has smtpd_timeout for itself. (Command lines always have one deadline for the whole line.)
 */
#include "session/session_private.h"

void session_text_begin(struct session *s)
{
        s->text_left_ms = s->params->smtpd_timeout;
        s->text_unpaid = 0;
}

static void credit(struct session *s, size_t bytes)
{
        int64_t rate = s->params->smtpd_min_data_rate;
        s->text_unpaid += (int64_t)bytes;
        int64_t ms = s->text_unpaid * 1000 / rate;
        s->text_unpaid -= ms * rate / 1000;
        s->text_left_ms += ms;
        if (s->text_left_ms > s->params->smtpd_timeout)
                s->text_left_ms = s->params->smtpd_timeout;
}

int await_session_text(struct session *s, struct str *bytes)
{
        if (!s->params->smtpd_per_request_deadline)
                return await_wire_bytes(s->wire, session_deadline_ms(s), bytes);
        int64_t began_ms = loop_now_ms();
        int rc = await_wire_bytes(s->wire, began_ms + s->text_left_ms, bytes);
        s->text_left_ms -= loop_now_ms() - began_ms;
        if (rc == 0)
                credit(s, bytes->len);
        return rc;
}
