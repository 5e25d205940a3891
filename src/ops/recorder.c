/* recorder.c - the file of session_record_file */
#include "ops/recorder.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/why.h"
#include "config/config.h"
#include "loop/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 1024, TELL_MS = 60 * 1000 };

struct addition {
        struct str path, record;
};

/* One write: records of several loops do not mix (O_APPEND). */
static int add(void *arg)
{
        const struct addition *a = arg;
        char path[PATH_BYTES_MAX];
        if (a->path.len >= sizeof(path))
                return -ENAMETOOLONG;
        snprintf(path, sizeof(path), "%.*s", STR_ARG(a->path));
        int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        ssize_t n = write(fd, a->record.ptr, a->record.len);
        int rc = n < 0 ? -errno : (size_t)n < a->record.len ? -ENOSPC : 0;
        close(fd);
        return rc;
}

void await_recorder_add(void *context, struct str record)
{
        static int64_t told_ms;
        struct config *config = config_ref(context);
        struct addition a = {config->params.session_record_file, record};
        int rc = await_pool_run("writing", STR("a session's record"), add, &a);
        int64_t now_ms = clock_mono_ms();
        int64_t before_ms = __atomic_load_n(&told_ms, __ATOMIC_RELAXED);
        if (rc < 0 && (before_ms == 0 || now_ms - before_ms > TELL_MS)) {
                __atomic_store_n(&told_ms, now_ms, __ATOMIC_RELAXED);
                log_warning("master", "session_record_file %.*s: %s", STR_ARG(a.path),
                            why_errno(rc));
        }
        config_unref(&config);
}
