/* session_quit.c - QUIT (RFC 5321 4.1.1.10) */
#include "session/session_private.h"

struct smtp_reply session_quit(struct session *s, struct str args)
{
        s->is_closing = true; /* also with arguments, as Postfix does: the client wants to go */
        return smtp_reply_make(221, "2.0.0", STR("Bye"));
}
