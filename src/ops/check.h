/* check.h - what is wrong with a configuration, as the one who would serve with it sees it */
#ifndef OPS_CHECK_H
#define OPS_CHECK_H

#include "config/config.h"

/*
 * Reads the configuration, becomes the user that would serve (when we are root and he exists), and makes
 * everything but the sockets and the queue. All that is found is in *findings.
 */
void check_configuration(const char *dir, const struct config_override *overrides,
                         struct findings *findings);

#endif
