/* spool_kit.h - a spool in a directory of its own, for this room's tests and its benchmark */
#ifndef SPOOL_SPOOL_KIT_H
#define SPOOL_SPOOL_KIT_H

#include "loop/task.h"
#include "spool/spool.h"

enum { KIT_DUE_MAX = 4096 };

struct kit {
        char path[256];
        struct spool_options options;
        struct loop *loop;
        struct spool *spool;
        struct task *waiter;
        struct spool_message *due[KIT_DUE_MAX]; /* handed out, oldest first */
        size_t due_count;
};

/* `path` NULL: a new directory under TMPDIR, or in memory. */
void kit_init(struct kit *k, const char *path);
/* Makes a loop and a pool, and opens the spool for them. */
int kit_open(struct kit *k, struct why *why);
/* Runs `script` as a task on the loop until it returns; once for each open. */
void kit_run(struct kit *k, void (*script)(struct kit *k));
void kit_close(struct kit *k);
/* Removes the directory. */
void kit_done(struct kit *k);

/* Commits a message from a@example to `recipients` of b0@example, b1@example...; its id goes to `id`. */
int await_kit_commit(struct kit *k, struct str content, size_t recipients, unsigned flags, char *id,
                     struct why *why);
/* The next message that is due, or NULL when none comes within `ms`. */
struct spool_message *await_kit_due(struct kit *k, int64_t ms);
/* All of its content; 0 or a negative errno value. */
int await_kit_read(struct spool_message *m, struct buf *out);
/* All recipients get this result; then it settles. */
void kit_settle(struct spool_message *m, enum spool_state state, const char *reason,
                int64_t next_us);
/* `len` bytes of mail, different for each seed. */
struct str kit_content(struct buf *b, size_t len, unsigned seed);

#endif
