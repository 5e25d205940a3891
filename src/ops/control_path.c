/* control_path.c - the address of the control socket */
#include "ops/control_path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

int control_path_resolve(const char *path, struct sockaddr_un *out, int *dir_fd, struct why *why)
{
        *out = (struct sockaddr_un){.sun_family = AF_UNIX};
        *dir_fd = -1;
        if (strlen(path) < sizeof(out->sun_path)) {
                memcpy(out->sun_path, path, strlen(path));
                return 0;
        }
        const char *name = strrchr(path, '/');
        char dir[CONTROL_PATH_BYTES_MAX];
        if (!name || (size_t)(name - path) >= sizeof(dir))
                return why_set(why, -ENAMETOOLONG, "control_socket %.100s... is too long", path);
        memcpy(dir, path, (size_t)(name - path));
        dir[name - path] = 0;
        *dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (*dir_fd < 0)
                return why_set(why, -errno, "cannot open %s: %s", dir, why_errno(errno));
        int len =
                snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d%s", *dir_fd, name);
        if ((size_t)len >= sizeof(out->sun_path))
                return why_set(why, -ENAMETOOLONG, "control_socket: the name %.60s... is too long",
                               name);
        return 0;
}
