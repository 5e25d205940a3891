/* session_rset.c - RSET (RFC 5321 4.1.1.5): the transaction is forgotten */
#include "session/session_private.h"

struct smtp_reply session_rset(struct session *s, struct str args)
{
        if (!str_is_empty(args))
                return smtp_reply_make(501, "5.5.4", STR("Syntax: RSET"));
        session_transaction_end(s);
        return smtp_reply_make(250, "2.0.0", STR("Ok"));
}
