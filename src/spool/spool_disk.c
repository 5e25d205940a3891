/* spool_disk.c - a disk for tests: it fails when told to, and can lose its power */
#include "spool/spool_disk.h"

#include "base/check.h"
#include "spool/spool_io.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

enum undo_kind { UNDO_WRITE, UNDO_SIZE, UNDO_MADE, UNDO_REMOVED };

struct undo {
        struct undo *older;
        enum undo_kind kind;
        char path[300];
        char kept[300]; /* REMOVED: where it is now */
        off_t at;       /* WRITE: where; SIZE: the size before */
        size_t len;
        char bytes[]; /* WRITE, SIZE: what stood there */
};

static struct {
        pthread_mutex_t lock;
        struct disk_plan plan;
        const char *directory;
        long calls;
        bool is_broken;
        int broken_error;
        struct undo *newest;
        unsigned kept_count;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void path_of(int fd, const char *name, char out[300])
{
        char link[64];
        char dir[200];
        if (name && name[0] == '/') {
                snprintf(out, 300, "%s", name);
                return;
        }
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, dir, sizeof(dir) - 1);
        check(n > 0);
        dir[n] = 0;
        snprintf(out, 300, "%s%s%s", dir, name ? "/" : "", name ? name : "");
}

static struct undo *remember(enum undo_kind kind, const char *path, size_t len)
{
        struct undo *u = calloc(1, sizeof(*u) + len);
        check(u);
        u->older = disk.newest;
        u->kind = kind;
        u->len = len;
        snprintf(u->path, sizeof(u->path), "%s", path);
        disk.newest = u;
        return u;
}

static bool is_in_dir(const char *path, const char *dir)
{
        size_t len = strlen(dir);
        return strncmp(path, dir, len) == 0 && path[len] == '/' && !strchr(path + len + 1, '/');
}

/* A sync of `path`: what it covers cannot be undone any more. */
static void forget(const char *path)
{
        struct undo **at = &disk.newest;
        while (*at) {
                struct undo *u = *at;
                bool is_name = u->kind == UNDO_MADE || u->kind == UNDO_REMOVED;
                if (is_name ? !is_in_dir(u->path, path) : strcmp(u->path, path) != 0) {
                        at = &u->older;
                        continue;
                }
                if (u->kind == UNDO_REMOVED)
                        unlink(u->kept);
                *at = u->older;
                free(u);
        }
}

static void undo_one(const struct undo *u)
{
        if (u->kind == UNDO_MADE) {
                unlink(u->path);
        } else if (u->kind == UNDO_REMOVED) {
                check(rename(u->kept, u->path) == 0);
        } else {
                int fd = open(u->path, O_WRONLY);
                if (fd < 0)
                        return;
                if (u->kind == UNDO_SIZE)
                        check(ftruncate(fd, u->at) == 0);
                off_t at = u->kind == UNDO_SIZE ? u->at - (off_t)u->len : u->at;
                check(pwrite(fd, u->bytes, u->len, at) == (ssize_t)u->len);
                close(fd);
        }
}

static _Noreturn void lose_power(bool some_stays)
{
        unsigned chance = disk.plan.seed * 2654435761u + 1;
        for (const struct undo *u = disk.newest; u; u = u->older) {
                chance = chance * 1664525 + 1013904223;
                /* names stay in order; data does not */
                bool is_data = u->kind == UNDO_WRITE;
                if (some_stays && is_data && chance >> 31)
                        continue;
                undo_one(u);
        }
        _exit(DISK_EXIT_CODE);
}

/* Counts the call; 0, or the errno value with which it fails. *half: do half of it. */
static int begin(bool *half)
{
        pthread_mutex_lock(&disk.lock);
        *half = false;
        disk.calls++;
        if (disk.is_broken)
                return disk.broken_error;
        if (disk.plan.fault == DISK_SOUND || disk.calls != disk.plan.at)
                return 0;
        switch (disk.plan.fault) {
        case DISK_SOUND:
                break;
        case DISK_FAILS:
                disk.is_broken = true;
                disk.broken_error = disk.plan.error;
                return disk.plan.error;
        case DISK_FAILS_ONCE:
                return disk.plan.error;
        case DISK_SHORT:
        case DISK_HALF_KILLED:
                *half = true;
                return 0;
        case DISK_KILLED:
                _exit(DISK_EXIT_CODE);
        case DISK_POWER_LOST:
                lose_power(false);
        case DISK_POWER_TORN:
                lose_power(true);
        }
        return 0;
}

static int end(int result, int error)
{
        pthread_mutex_unlock(&disk.lock);
        if (error)
                errno = error;
        return error ? -1 : result;
}

/* For calls that cannot be done by half. */
static int begin_whole(void)
{
        bool half;
        int error = begin(&half);
        if (half && disk.plan.fault == DISK_HALF_KILLED)
                _exit(DISK_EXIT_CODE);
        return half ? disk.plan.error : error;
}

static int disk_openat(int dir, const char *name, int flags, mode_t mode)
{
        int error = begin_whole();
        if (error)
                return end(-1, error);
        char path[300];
        path_of(dir, name, path);
        bool is_new = flags & O_CREAT && access(path, F_OK) < 0;
        int fd = openat(dir, name, flags, mode);
        int code = fd < 0 ? errno : 0;
        if (fd >= 0 && is_new)
                remember(UNDO_MADE, path, 0);
        return end(fd, code);
}

static void remember_bytes(int fd, off_t at, size_t len)
{
        char path[300];
        struct stat st;
        path_of(fd, NULL, path);
        check(fstat(fd, &st) == 0);
        size_t there = at >= st.st_size ? 0 : (size_t)(st.st_size - at);
        if (there > len)
                there = len;
        if (at + (off_t)len > st.st_size) {
                struct undo *size = remember(UNDO_SIZE, path, 0);
                size->at = st.st_size;
        }
        struct undo *u = remember(UNDO_WRITE, path, there);
        u->at = at;
        int reader = open(path, O_RDONLY);
        check(reader >= 0 && pread(reader, u->bytes, there, at) == (ssize_t)there);
        close(reader);
}

static ssize_t disk_pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
        bool half;
        int error = begin(&half);
        if (error)
                return end(-1, error);
        size_t len = 0;
        for (int i = 0; i < count; i++)
                len += iov[i].iov_len;
        remember_bytes(fd, at, len);
        ssize_t n = 0;
        if (half) {
                size_t left = len / 2;
                for (int i = 0; i < count && left; i++) {
                        size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
                        check(pwrite(fd, iov[i].iov_base, part, at + n) == (ssize_t)part);
                        n += (ssize_t)part;
                        left -= part;
                }
                if (disk.plan.fault == DISK_HALF_KILLED)
                        _exit(DISK_EXIT_CODE);
        } else {
                n = pwritev(fd, iov, count, at);
        }
        int code = n < 0 ? errno : 0;
        pthread_mutex_unlock(&disk.lock);
        if (code)
                errno = code;
        return n;
}

static int disk_fallocate(int fd, int mode, off_t at, off_t len)
{
        int error = begin_whole();
        if (error)
                return end(-1, error);
        char path[300];
        struct stat st;
        path_of(fd, NULL, path);
        check(fstat(fd, &st) == 0);
        remember(UNDO_SIZE, path, 0)->at = st.st_size;
        int rc = fallocate(fd, mode, at, len);
        return end(rc, rc < 0 ? errno : 0);
}

static int disk_ftruncate(int fd, off_t len)
{
        int error = begin_whole();
        if (error)
                return end(-1, error);
        char path[300];
        struct stat st;
        path_of(fd, NULL, path);
        check(fstat(fd, &st) == 0);
        size_t gone = st.st_size > len ? (size_t)(st.st_size - len) : 0;
        struct undo *u = remember(UNDO_SIZE, path, gone);
        u->at = st.st_size;
        int reader = open(path, O_RDONLY);
        check(reader >= 0 && pread(reader, u->bytes, gone, len) == (ssize_t)gone);
        close(reader);
        int rc = ftruncate(fd, len);
        return end(rc, rc < 0 ? errno : 0);
}

static int disk_fsync(int fd)
{
        int error = begin_whole();
        if (error)
                return end(-1, error);
        char path[300];
        path_of(fd, NULL, path);
        forget(path);
        return end(0, 0);
}

static int disk_unlinkat(int dir, const char *name, int flags)
{
        int error = begin_whole();
        if (error)
                return end(-1, error);
        char path[300];
        path_of(dir, name, path);
        if (access(path, F_OK) < 0)
                return end(-1, ENOENT);
        struct undo *u = remember(UNDO_REMOVED, path, 0);
        snprintf(u->kept, sizeof(u->kept), "%s/removed-%d-%u", disk.directory, (int)getpid(),
                 disk.kept_count++);
        int rc = rename(path, u->kept);
        return end(rc, rc < 0 ? errno : 0);
}

static int disk_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
        int error = begin_whole();
        if (error)
                return end(-1, error);
        int rc = renameat(from_dir, from, to_dir, to);
        return end(rc, rc < 0 ? errno : 0);
}

void disk_start(const struct disk_plan *plan, const char *directory)
{
        disk.plan = *plan;
        disk.directory = directory;
        disk.calls = 0;
        disk.is_broken = false;
        spool_io = (struct spool_io){
                .openat = disk_openat,
                .pwritev = disk_pwritev,
                .fallocate = disk_fallocate,
                .ftruncate = disk_ftruncate,
                .fdatasync = disk_fsync,
                .fsync = disk_fsync,
                .unlinkat = disk_unlinkat,
                .renameat = disk_renameat,
        };
}

long disk_calls(void)
{
        pthread_mutex_lock(&disk.lock);
        long calls = disk.calls;
        pthread_mutex_unlock(&disk.lock);
        return calls;
}

void disk_break(int error)
{
        pthread_mutex_lock(&disk.lock);
        disk.is_broken = true;
        disk.broken_error = error;
        pthread_mutex_unlock(&disk.lock);
}

void disk_mend(void)
{
        pthread_mutex_lock(&disk.lock);
        disk.is_broken = false;
        pthread_mutex_unlock(&disk.lock);
}

void disk_stop(void)
{
        while (disk.newest) {
                struct undo *u = disk.newest;
                disk.newest = u->older;
                if (u->kind == UNDO_REMOVED)
                        unlink(u->kept);
                free(u);
        }
        spool_io = spool_io_real;
}
