/* session_help.c - HELP (RFC 5321 4.1.1.8) */
#include "session/session_private.h"

struct smtp_reply session_help(struct session *s, struct str args)
{
        return smtp_reply_make(
                214, "2.0.0",
                STR("Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS QUIT\n"
                    "See RFC 5321"));
}
