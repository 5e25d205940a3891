/* permission.h - what users of this machine may, by lists of their names (authorized_submit_users and its kin) */
#ifndef OPS_PERMISSION_H
#define OPS_PERMISSION_H

#include "config/config.h"

#include <sys/types.h>

enum { USER_NAME_BYTES = 64 };

/*
 * Is the user among these? His name, or "unknown", is left in `name`. Blocks: names come from services that may be slow. A
 * list that cannot be asked permits nobody.
 */
bool permission_look_up(const struct config *c, struct str users, uid_t uid,
                        char name[USER_NAME_BYTES]);

#endif
