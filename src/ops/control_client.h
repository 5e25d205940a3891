/*
 * control_client.h - asking a server that runs, from a command
 */
#ifndef OPS_CONTROL_CLIENT_H
#define OPS_CONTROL_CLIENT_H

#include "config/config.h"
#include "ops/protocol.h"

/*
 * Sends the request and copies the answer to standard output and error. Returns 0 (done), 1 (failed; *why
 * says why when it is not empty), or a negative errno value with *why: -ENOTCONN when no server runs on this
 * configuration, -EACCES when it is not ours to ask, -EPIPE when the answer broke off.
 */
int control_ask(const struct config *c, const struct request *request, struct why *why);

/* The same; `text` is given the answer's lines, in pieces, instead of the terminal. */
int control_ask_for(const struct config *c, const struct request *request,
                    void (*text)(void *context, char mark, struct str piece), void *context,
                    struct why *why);

/*
 * A connection over which mail is submitted by SMTP, as the user who calls: a descriptor, the greeting is the next
 * that it says. -ENOTCONN: the server is not running; -EPERM: authorized_submit_users does not name the user; others;
 * with *why.
 */
int control_submit(const struct config *c, struct why *why);

#endif
