/*
 * verp.h - variable envelope return paths: the sender tells the recipient (Postfix's VERP_README)
 *
 * Mail from prefix@origin to user@domain leaves, with the delimiters "+=", from prefix+user=domain@origin: whoever sends it
 * back, in whatever words, tells whom it was for. Pure.
 */
#ifndef MESSAGE_VERP_H
#define MESSAGE_VERP_H

#include "message/envelope.h"

/*
 * `sender` (not the null sender) with this recipient in it; in the arena, quoted where it must be. The recipient is who the
 * sender wrote to, not where an alias points; a part without a domain adds none.
 */
struct str verp_sender(struct str sender, const struct recipient *recipient, struct str delimiters,
                       struct arena *arena);

/* Has each recipient of this message a sender of its own? Never for the null sender. */
static inline bool verp_is_wanted(const struct envelope *e)
{
        return e->verp.len && e->sender.len;
}

#endif
