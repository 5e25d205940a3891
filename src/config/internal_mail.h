/*
 * internal_mail.h - internal_mail_filter_classes: which messages of our own are checked like others
 *
 * Bounces are made by delivery/, transcripts for the postmaster by session/.
 */
#ifndef CONFIG_INTERNAL_MAIL_H
#define CONFIG_INTERNAL_MAIL_H

#include "base/str.h"

enum internal_mail {
        INTERNAL_MAIL_BOUNCE = 1, /* what is said of a delivery, copies for the postmaster too */
        INTERNAL_MAIL_NOTIFY = 2, /* transcripts of sessions */
};

/*
 * The parameter's words as bits. The first word that is none of them goes to *unknown, which is
 * empty otherwise and may be NULL. Kinds of mail that are checked in any case are words without a bit, as in Postfix.
 */
unsigned internal_mail_classes(struct str list, struct str *unknown);

#endif
