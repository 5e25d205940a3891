/* ask.h - asking the server, for commands */
#ifndef BIN_ASK_H
#define BIN_ASK_H

#include "bin/command.h"
#include "ops/control_client.h"

/* Asks, and says what went wrong. An exit code. */
int command_ask(const struct config *c, const struct request *request);

#endif
