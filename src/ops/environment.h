/*
 * environment.h - what of the environment that the server is started with it keeps (import_environment)
 *
 * Who starts the server by hand and who starts it at boot get the same server: the time zone of logs and Received lines, what
 * libraries read, and environ: tables come from the configuration, not from somebody's shell.
 */
#ifndef OPS_ENVIRONMENT_H
#define OPS_ENVIRONMENT_H

#include "base/str.h"
#include "base/why.h"

/*
 * Keeps the variables that `list` names, sets those that it gives as NAME=VALUE (in braces, when the value has blanks or commas; those around name and value do not count),
 * and forgets all others; times are local times by the new TZ from now on. The last of several counts. Before there is a second
 * thread. 0, or -EINVAL with *why and the environment as it was: a value without a name.
 */
int environment_import(struct str list, struct why *why);

#endif
