/*
 * maildir.h - one message into one Maildir (https://cr.yp.to/proto/maildir.html), safe over NFS
 *
 * The message is written under tmp/, synced, moved to new/ without ever replacing a file, and the
 * directory is synced: when maildir_commit() returns 0 the message is there for good. Before that a
 * reader of the Maildir sees nothing of it.
 *
 * Missing directories are made (mode 0700): those below the base, and the base itself, not its parents. No component of the path is followed
 * when it is a symbolic link: whoever owns a mailbox cannot send mail out of the base. The base itself
 * is the administrator's and may be a link.
 *
 * Threads: any that may block. No loop, no task. Not here: who owns which mailbox (mailboxes.c).
 */
#ifndef CORE_MAILDIR_H
#define CORE_MAILDIR_H

#include "base/buf.h"
#include "base/why.h"

enum {
        MAILDIR_PATH_BYTES_MAX = 1024,
        MAILDIR_NAME_BYTES_MAX = 200, /* of a file in new/ */
};

struct maildir {
        int tmp_fd; /* directories */
        int new_fd;
        int fd; /* the file under tmp/; -1: none */
        char name[MAILDIR_NAME_BYTES_MAX];
        bool is_after_cr; /* a CR at the end of the last piece waits for what follows */
};

/*
 * Is `path`, as a map gives it, a Maildir below the base? It ends in a slash and has no "..". 0, or
 * -EINVAL with *why.
 */
int maildir_path_check(struct str path, struct why *why);

/*
 * Opens (and makes, where it is missing) the Maildir base/path and a file under its tmp/. 0, or a
 * negative errno value with *why; then there is nothing to abandon.
 */
int maildir_begin(struct maildir *m, struct str base, struct str path, struct why *why);
/* Adds text; CR LF becomes LF. After an error only maildir_abandon() makes sense. */
int maildir_append(struct maildir *m, struct str text, struct why *why);
/* Makes it the mailbox's. After an error the message is not there, and nothing is left to abandon. */
int maildir_commit(struct maildir *m, struct why *why);
/* Removes what was written. */
void maildir_abandon(struct maildir *m);

/* RFC 3463's code for an error of the above: 4.2.2 (quota), 4.3.1 (disk full), 4.2.0. */
const char *maildir_error_dsn(int code);

#endif
