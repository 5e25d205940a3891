/*
 * supervisor.h - the process that keeps the sockets, and a worker running
 */
#ifndef OPS_SUPERVISOR_H
#define OPS_SUPERVISOR_H

#include "config/config.h"

/*
 * Serves in the foreground until SIGTERM or SIGINT, or `forepost stop`. SIGHUP reloads. Prints what is wrong
 * with the configuration, and the line that it is ready, on standard error. Returns an exit code: 0, or 1.
 * In the worker it returns too, with the worker's.
 */
int supervisor_run(const char *dir, const struct config_override *overrides);

#endif
