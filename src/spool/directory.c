/*
 * directory.c - queue_directory: its parts, its lock, its names
 *
 *   lock        held by the one writer (flock); says its process id
 *   journal/    segments, named by their number
 *   large/      content of large messages, named by queue id
 *   corrupt/    what recovery could not read, for a person to look at
 */
#include "spool/spool_io.h"
#include "spool/spool_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { LOCK_TRIES = 20, LOCK_PAUSE_MS = 25 };

static int say_errno(struct why *why, const char *what, const char *path)
{
        int code = -errno;
        return why_set(why, code, "%s %s: %s", what, path, why_errno(code));
}

/* Makes `path` and what is missing above it; each new name is made durable. */
static int make_path(char *path, struct why *why)
{
        if (mkdir(path, 0700) == 0) {
                char *slash = strrchr(path, '/');
                char kept = 0;
                if (slash && slash != path) {
                        kept = *slash;
                        *slash = 0;
                }
                int fd = open(slash == path ? "/"
                              : slash       ? path
                                            : ".",
                              O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (kept)
                        *slash = kept;
                if (fd >= 0) {
                        spool_io.fsync(fd);
                        close(fd);
                }
                return 0;
        }
        if (errno == EEXIST)
                return 0;
        char *slash = strrchr(path, '/');
        if (errno != ENOENT || !slash || slash == path)
                return say_errno(why, "cannot make the directory", path);
        *slash = 0;
        int rc = make_path(path, why);
        *slash = '/';
        if (rc == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
                return say_errno(why, "cannot make the directory", path);
        return rc;
}

static int open_part(struct directory *d, const char *name, bool may_make, int *out,
                     struct why *why)
{
        if (may_make && mkdirat(d->root, name, 0700) < 0 && errno != EEXIST)
                return why_set(why, -errno, "cannot make the directory %s/%s: %s", d->path, name,
                               why_errno(errno));
        *out = openat(d->root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (*out < 0 && (may_make || errno != ENOENT))
                return why_set(why, -errno, "cannot open the directory %s/%s: %s", d->path, name,
                               why_errno(errno));
        return 0;
}

static int say_locked(struct directory *d, struct why *why)
{
        char pid[16] = "";
        ssize_t n = pread(d->lock, pid, sizeof(pid) - 1, 0);
        int64_t number = 0;
        if (n > 0 && str_to_int64(str_trim(str_make(pid, (size_t)n)), 1, INT32_MAX, &number) == 0)
                return why_set(why, -EWOULDBLOCK,
                               "%s is in use by process %lld; stop that one first, or give this "
                               "one another queue_directory",
                               d->path, (long long)number);
        return why_set(why, -EWOULDBLOCK,
                       "%s is in use by another process; stop that one first, or give this one "
                       "another queue_directory",
                       d->path);
}

/* A look by `queue list` passes in a moment; so the writer tries for half a second. */
static int take_lock(struct directory *d, int how, int tries, struct why *why)
{
        while (flock(d->lock, how | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK)
                        return say_errno(why, "cannot lock", d->path);
                if (--tries <= 0)
                        return say_locked(d, why);
                usleep(LOCK_PAUSE_MS * 1000);
        }
        return 0;
}

static int open_root(struct directory *d, struct str path, bool may_make, struct why *why)
{
        *d = (struct directory){.root = -1, .journal = -1, .large = -1, .corrupt = -1, .lock = -1};
        d->path = strndup(path.ptr, path.len);
        check(d->path);
        int rc = may_make ? make_path(d->path, why) : 0;
        if (rc < 0)
                return rc;
        d->root = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return d->root < 0 ? say_errno(why, "cannot open the directory", d->path) : 0;
}

int directory_open(struct directory *d, struct str path, struct why *why)
{
        int rc = open_root(d, path, true, why);
        if (rc < 0)
                return rc;
        d->lock = openat(d->root, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (d->lock < 0)
                return why_set(why, -errno, "cannot make %s/lock: %s", d->path, why_errno(errno));
        rc = take_lock(d, LOCK_EX, LOCK_TRIES, why);
        if (rc < 0)
                return rc;
        char pid[16];
        int len = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
        if (ftruncate(d->lock, 0) < 0 || pwrite(d->lock, pid, (size_t)len, 0) != len)
                log_debug("spool", "cannot write the process id into %s/lock", d->path);
        if ((rc = open_part(d, "journal", true, &d->journal, why)) < 0 ||
            (rc = open_part(d, "large", true, &d->large, why)) < 0 ||
            (rc = open_part(d, "corrupt", true, &d->corrupt, why)) < 0)
                return rc;
        if (spool_io.fsync(d->root) < 0)
                return say_errno(why, "cannot sync the directory", d->path);
        return 0;
}

int directory_open_ours(struct directory *d, struct str path, struct why *why)
{
        int rc = open_root(d, path, false, why);
        if (rc < 0)
                return rc;
        d->lock = openat(d->root, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (d->lock < 0)
                return why_set(why, -errno, "cannot open %s/lock: %s", d->path, why_errno(errno));
        if ((rc = take_lock(d, LOCK_EX, LOCK_TRIES, why)) < 0 ||
            (rc = open_part(d, "journal", true, &d->journal, why)) < 0 ||
            (rc = open_part(d, "large", true, &d->large, why)) < 0)
                return rc;
        return open_part(d, "corrupt", true, &d->corrupt, why);
}

int directory_open_quietly(struct directory *d, struct str path, struct why *why)
{
        int rc = open_root(d, path, false, why);
        if (rc < 0)
                return rc;
        d->lock = openat(d->root, "lock", O_RDONLY | O_CLOEXEC);
        if (d->lock < 0 && errno != ENOENT)
                return why_set(why, -errno, "cannot open %s/lock: %s", d->path, why_errno(errno));
        if (d->lock >= 0 && (rc = take_lock(d, LOCK_SH, 1, why)) < 0)
                return rc;
        if ((rc = open_part(d, "journal", false, &d->journal, why)) < 0)
                return rc;
        return open_part(d, "large", false, &d->large, why);
}

void directory_close(struct directory *d)
{
        const int fds[] = {d->corrupt, d->large, d->journal, d->lock, d->root};
        for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        free(d->path);
        *d = (struct directory){.root = -1, .journal = -1, .large = -1, .corrupt = -1, .lock = -1};
}

int64_t directory_free_bytes(const struct directory *d)
{
        struct statvfs v;
        if (fstatvfs(d->root, &v) < 0)
                return -errno;
        return (int64_t)v.f_bavail * (int64_t)v.f_frsize;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

int spool_names_read(int dir, struct names *out)
{
        *out = (struct names){0};
        if (dir < 0)
                return 0;
        int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                int code = -errno;
                if (fd >= 0)
                        close(fd);
                return code;
        }
        size_t room = 0;
        struct dirent *e;
        while ((errno = 0, e = readdir(d))) {
                if (e->d_name[0] == '.')
                        continue;
                if (out->count == room) {
                        room = room ? room * 2 : 64;
                        out->names = realloc(out->names, room * sizeof(*out->names));
                        check(out->names);
                }
                out->names[out->count] = strdup(e->d_name);
                check(out->names[out->count]);
                out->count++;
        }
        int code = -errno;
        closedir(d);
        if (code < 0)
                spool_names_done(out);
        else if (out->count)
                qsort(out->names, out->count, sizeof(*out->names), compare_names);
        return code;
}

void spool_names_done(struct names *n)
{
        for (size_t i = 0; i < n->count; i++)
                free(n->names[i]);
        free(n->names);
        *n = (struct names){0};
}

int spool_file_read(int dir, const char *name, size_t bytes_max, struct buf *out)
{
        int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        struct stat st;
        int rc = 0;
        buf_clear(out);
        if (fstat(fd, &st) < 0)
                rc = -errno;
        else if (st.st_size < 0 || (uint64_t)st.st_size > bytes_max)
                rc = -EFBIG;
        else if (st.st_size && !buf_reserve(out, (size_t)st.st_size))
                rc = -ENOMEM;
        else
                posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        while (rc == 0 && out->len < (size_t)st.st_size) {
                ssize_t n = pread(fd, out->ptr + out->len, (size_t)st.st_size - out->len,
                                  (off_t)out->len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        rc = -errno;
                if (n <= 0)
                        break;
                buf_grow(out, (size_t)n);
        }
        close(fd);
        return rc;
}

void directory_set_aside(const struct directory *d, const char *name, struct str bytes)
{
        int fd = spool_io.openat(d->corrupt, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        size_t done = 0;
        while (fd >= 0 && done < bytes.len) {
                struct iovec v = {.iov_base = (char *)(uintptr_t)bytes.ptr + done,
                                  .iov_len = bytes.len - done};
                ssize_t n = spool_io.pwritev(fd, &v, 1, (off_t)done);
                if (n <= 0)
                        break;
                done += (size_t)n;
        }
        if (fd < 0 || done < bytes.len || spool_io.fsync(fd) < 0)
                log_warning("spool", "cannot keep a copy of damaged bytes as %s/corrupt/%s: %s",
                            d->path, name, why_errno(errno));
        if (fd >= 0)
                close(fd);
        spool_io.fsync(d->corrupt);
}
