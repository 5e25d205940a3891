/*
 * notice.h - messages of our own: as whom we write them, and who reads them
 *
 * Notices come from the null sender or, for the postmaster, from double_bounce_sender, so that nobody hears of their own fate
 * and two mail systems never answer each other.
 *
 * Threads: on a loop.     Waits: only await_*.
 */
#ifndef DELIVERY_NOTICE_H
#define DELIVERY_NOTICE_H

#include "delivery/route.h"
#include "spool/spool.h"

/* Is this double_bounce_sender, whom nobody tells anything? */
bool notice_is_double_bounce(const struct params *p, struct str address);
/* "postmaster" is one at $myorigin; in `arena`. */
struct str notice_address(const struct params *p, struct str address, struct arena *arena);
/* Who copies for the postmaster come from: double_bounce_sender at our name (Postfix: at myhostname). */
struct str notice_copy_sender(const struct params *p, struct arena *arena);
/* "MAILER-DAEMON@...", for From:, with a name that may be shown outside; in `arena`. */
struct str notice_from(const struct params *p, struct arena *arena);

/* All views outlive the call. */
struct notice {
        enum internal_mail class;
        struct str sender, reader;
        struct str text; /* whole, with lines that end in CR LF */
        bool is_smtputf8;
};
/*
 * Cleans the notice and commits it in this draft: sender and reader are mapped and aliases are followed as for mail that comes in, addresses in its
 * header are rewritten as in mail of this machine, and internal_mail_filter_classes has checks look at it. 0 with *draft NULL (a rule may
 * have discarded it), or a negative errno value with *why and the draft still the caller's; -EACCES: a check refuses it.
 */
int await_notice_send(struct spool_draft **draft, struct routes *routes, const struct notice *n,
                      struct arena *arena, struct why *why);

#endif
