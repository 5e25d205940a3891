/*
 * log_setup.h - where log lines go, by the configuration
 *
 * maillog_file: empty: standard error; "syslog": syslog; else a file (or /dev/stdout), which must lie under
 * one of maillog_file_prefixes. (Postfix: empty means syslog, and a daemon has no standard error.)
 */
#ifndef OPS_LOG_SETUP_H
#define OPS_LOG_SETUP_H

#include "ops/identity.h"

/* Finds what is wrong with the above. */
void log_setup_lint(const struct config *c, struct findings *findings);

/*
 * As root: makes the log file when it is missing, and gives it, and one of root's that logrotate has made, to
 * the user who will write it. 0, or an error with *why.
 */
int log_setup_make_file(const struct config *c, const struct identity *owner, struct why *why);

/*
 * From now on lines go where the configuration says. On an error they go where they went before. A file is
 * opened as `owner`, also by root.
 */
int log_setup_open(const struct config *c, const struct identity *owner, struct why *why);

#endif
