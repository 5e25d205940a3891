/* look.h - private to spool/: a spool that nobody serves, read message by message */
#ifndef SPOOL_LOOK_H
#define SPOOL_LOOK_H

#include "spool/spool_private.h"

struct look {
        struct spool *spool;
        struct recovery recovery;
        const struct segment *segment; /* that is open */
        int fd;
};

/* `is_ours`: the lock is taken as a server takes it, so that none starts meanwhile. */
int look_open(struct look *k, struct str directory, bool is_ours, struct why *why);
/* Messages are gone after it. */
void look_close(struct look *k);
/* All of them in the order in which they came, and NULL; the caller frees the array. */
struct spool_message **look_messages(struct look *k);
/*
 * The content, piece by piece (`piece` may be NULL, and ends it by a negative errno value). 0 when all of it is what was
 * accepted; -EBADMSG when not, which is known only at the end.
 */
int look_content(struct look *k, const struct spool_message *m,
                 int (*piece)(void *context, struct str bytes), void *context);

#endif
