/*
 * queue_directory.h - the directory that a server owns while it runs, and who owns it now
 *
 * queue_directory/pid holds the supervisor's process id and is locked as long as supervisor or worker live.
 */
#ifndef OPS_QUEUE_DIRECTORY_H
#define OPS_QUEUE_DIRECTORY_H

#include "ops/control_path.h"
#include "ops/identity.h"

#include <stdint.h>

enum { QUEUE_DIRECTORY_BYTES_MAX = 384 };

/*
 * The directory that is in use: queue_directory; when that is Postfix's own queue (it has maildrop, incoming or
 * deferred), the directory forepost in it. Everybody who looks for the queue asks here.
 */
void queue_directory_find(const struct config *c, char out[QUEUE_DIRECTORY_BYTES_MAX]);
/* control_socket; when that is not set, "control" in the directory in use. */
/* The same for public_socket; empty when there is to be none. */
void queue_directory_public_socket(const struct config *c, char out[CONTROL_PATH_BYTES_MAX]);
void queue_directory_control_socket(const struct config *c, char out[CONTROL_PATH_BYTES_MAX]);
/* A note when it is not the one that main.cf names. */
void queue_directory_lint(const struct config *c, struct findings *findings);

/*
 * Makes the directory in use when it is missing (not its parents), for the user that will serve; an empty one of
 * root's is given to him. Errors in *findings: a missing parent, one that he cannot write; each with the
 * command that mends it. One that is open to others is a warning.
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
