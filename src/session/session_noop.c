/* session_noop.c - NOOP (RFC 5321 4.1.1.9), with or without a string */
#include "session/session_private.h"

struct smtp_reply session_noop(struct session *s, struct str args)
{
        return smtp_reply_make(250, "2.0.0", STR("Ok"));
}
