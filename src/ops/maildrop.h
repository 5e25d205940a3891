/*
 * maildrop.h - mail that users of this machine leave while no server runs
 *
 * A directory below the queue's: who may make files in it, but not list it, submits (mode 1730, group setgid_group, as in
 * Postfix). A file has one message, and belongs to who left it. It is there from the moment that maildrop_write() returns 0,
 * and survives loss of power; the server takes it in as if its owner had submitted it by the public socket (pickup.c).
 *
 *      file    = "forepost-maildrop 1 " bytes LF dialogue          bytes: of the whole file, ten digits
 *      dialogue = what the user says by SMTP: MAIL, RCPT, DATA, content, dot
 *
 * While it is written its name is new.PID.NUMBER; then it is renamed to its id, whole. Why so: doc/decisions/0067-maildrop.md
 *
 * Blocks. Errors are negative errno values with *why.
 */
#ifndef OPS_MAILDROP_H
#define OPS_MAILDROP_H

#include "config/config.h"
#include "message/queue_id.h"
#include "ops/identity.h"
#include "ops/queue_directory.h"
#include "spool/spool.h"

/* Makes it, when it is not there; what cannot be made is a warning: then users submit while the server runs, and not else. */
void maildrop_make(const struct config *c, const struct identity *owner, struct findings *findings);

/* For the program as a whole, before anything else: rights of setgid_group are laid down, and kept for maildrop_write() alone. */
void maildrop_lay_rights_down(void);
/* For good: a configuration that the user chose is not to be written into with them. */
void maildrop_give_rights_up(void);

/* Leaves this dialogue there, durably. `id` gets its name in the queue. -EACCES: the user may not. */
int maildrop_write(const struct config *c, struct str dialogue, char id[QUEUE_ID_BYTES_MAX],
                   struct why *why);

/* ---- for the server and the administrator, who may list it ---- */

enum { MAILDROP_KEPT_BYTES = QUEUE_ID_BYTES_MAX + 32 };

struct maildrop_file {
        struct buf text; /* all of it; the views below point into it */
        uid_t uid;
        int64_t arrival_us;
        struct str commands; /* MAIL and RCPT lines, with their ends */
        struct str content;  /* with the final dot */
};

/*
 * Reads and checks one. -ENOENT: it has gone. -EBADMSG: it is none that maildrop_write() leaves, or over `bytes_max`; *why says what is
 * wrong. Others may pass. Free it after 0 only.
 */
int maildrop_read(const char *directory, const char *id, int64_t bytes_max,
                  struct maildrop_file *out, struct why *why);
void maildrop_file_done(struct maildrop_file *f);
/* The most that a file may have, by message_size_limit. */
int64_t maildrop_bytes_max(const struct params *p);

void maildrop_find(const struct config *c, char out[QUEUE_DIRECTORY_BYTES_MAX]);
/*
 * The first `max` ids of what is there behind `after` ("": from the front), in their order, which is the oldest first: how many.
 * Left-overs of writers that ended long ago are removed. `ids` has room for 2 * max.
 */
size_t maildrop_scan(const char *directory, const char *after, char (*ids)[QUEUE_ID_BYTES_MAX],
                     size_t max);
/*
 * Moves it to corrupt/maildrop-ID; what cannot be moved becomes maildrop/bad.ID where it is, and is not looked at any more. `kept`
 * says where it is now, below the queue's directory.
 */
int maildrop_set_aside(const char *directory, const char *id, char kept[MAILDROP_KEPT_BYTES],
                       struct why *why);

/* Calls `each` for all, as messages of the queue. How many; 0 also when it cannot be read. */
size_t maildrop_list(const struct config *c,
                     void (*each)(void *context, const struct spool_info *info), void *context);
/* Calls `each` for this one; false when it is not there any more, or cannot be read. */
bool maildrop_list_one(const struct config *c, const char *id,
                       void (*each)(void *context, const struct spool_info *info), void *context);
/* Removes one, or ALL. How many were, or a negative errno value. */
int maildrop_delete(const struct config *c, const char *id, struct why *why);

#endif
