/*
 * drained.c - a spool that is emptied before it is taken away: no new mail, also after a restart
 *
 *      drained      in the directory, empty: who lets clients in sends them elsewhere while it is there
 */
#include "loop/pool.h"
#include "spool/spool_io.h"
#include "spool/spool_private.h"

#include <fcntl.h>
#include <unistd.h>

static const char marker[] = "drained";

struct marking {
        const struct directory *directory;
        bool is_drained;
};

bool spool_is_drained(const struct spool *s)
{
        return faccessat(s->directory.root, marker, F_OK, 0) == 0;
}

static int mark(void *arg)
{
        const struct marking *m = arg;
        int root = m->directory->root;
        if (m->is_drained) {
                int fd = spool_io.openat(root, marker, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
                if (fd < 0)
                        return -errno;
                close(fd);
        } else if (spool_io.unlinkat(root, marker, 0) < 0 && errno != ENOENT) {
                return -errno;
        }
        return spool_io.fsync(root) < 0 ? -errno : 0;
}

int await_spool_drain(struct spool *s, bool is_drained, struct why *why)
{
        struct marking m = {.directory = &s->directory, .is_drained = is_drained};
        int rc = await_pool_run("marking the spool", str_from(marker), mark, &m);
        if (rc < 0)
                why_set(why, rc, "cannot %s %s/%s: %s", is_drained ? "make" : "remove",
                        s->directory.path, marker, why_errno(rc));
        return rc;
}
