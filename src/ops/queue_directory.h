/*
 * queue_directory.h - the directory that a server owns while it runs, and who owns it now
 *
 * queue_directory/pid holds the supervisor's process id and is locked as long as supervisor or worker live.
 */
#ifndef OPS_QUEUE_DIRECTORY_H
#define OPS_QUEUE_DIRECTORY_H

#include "ops/identity.h"

#include <stdint.h>

/*
 * Makes queue_directory when it is missing (not its parents), for the user that will serve; an empty one of
 * root's is given to him. Errors in *findings: a missing parent, one that he cannot write, a Postfix
 * queue; each with the command that mends it. One that is open to others is a warning.
 */
void queue_directory_make(const struct config *c, const struct identity *owner,
                          struct findings *findings);

/*
 * Locks it for this process and its children. The descriptor that holds the lock, or -1 with an error
 * in *findings: another server runs on it.
 */
int queue_directory_lock(const struct config *c, const struct identity *owner,
                         struct findings *findings);

/* Does somebody hold the lock: a server that runs, starts or ends? */
bool queue_directory_is_locked(const struct config *c);

/* Waits until nobody holds the lock. 0, or -ETIMEDOUT. */
int queue_directory_wait(const struct config *c, int64_t ms);

#endif
