/*
 * identity.h - the user that the worker runs as
 *
 * Started by root: mail_owner. Started by anybody else: that user, whatever mail_owner says.
 */
#ifndef OPS_IDENTITY_H
#define OPS_IDENTITY_H

#include "base/why.h"
#include "config/config.h"

#include <sys/types.h>

struct identity {
        uid_t uid;
        gid_t gid;
        char name[64];
        bool drops; /* we are root now, and will be this user */
};

/*
 * 0, or -ENOENT with an error in *findings: mail_owner does not exist (with the command that makes it),
 * or is root. *out is then who we are now.
 */
int identity_find(const struct config *c, struct identity *out, struct findings *findings);

/* Becomes that user, for good, with his groups, and never gains privileges again (no_new_privs). */
int identity_become(const struct identity *id, struct why *why);

#endif
