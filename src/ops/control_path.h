/*
 * control_path.h - the address of the control socket
 *
 * The kernel takes 107 bytes; a path may be longer. Then the socket is reached through its directory's
 * descriptor: /proc/self/fd/N/control.
 */
#ifndef OPS_CONTROL_PATH_H
#define OPS_CONTROL_PATH_H

#include "base/why.h"

#include <sys/un.h>

enum { CONTROL_PATH_BYTES_MAX = 512 };

/* 0 with *out, and in *dir_fd what to close after use (-1: nothing); or an error with *why. */
int control_path_resolve(const char *path, struct sockaddr_un *out, int *dir_fd, struct why *why);

#endif
