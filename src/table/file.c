/*
 * file.c - reading a whole file that others may be writing to
 *
 * A file is known by device, inode, size and the times of its last change. What was read is only
 * trusted when all of these are the same before and after, and the last change is more than a
 * second ago: a writer that is still at work, or a second change within the clock tick of the
 * first, would otherwise go unseen.
 */
#include "base/check.h"
#include "base/clock.h"
#include "table/table_private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool time_eq(struct timespec a, struct timespec b)
{
        return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool file_stamp_eq(const struct file_stamp *a, const struct file_stamp *b)
{
        return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
               time_eq(a->mtime, b->mtime) && time_eq(a->changed, b->changed);
}

bool file_stamp_is_young(const struct file_stamp *s)
{
        int64_t changed_us = (int64_t)s->mtime.tv_sec * 1000000 + s->mtime.tv_nsec / 1000;
        int64_t age_us = clock_wall_us() - changed_us;
        return age_us > -1000000 && age_us < 1000000;
}

static struct file_stamp stamp_from(const struct stat *st)
{
        return (struct file_stamp){
                .dev = st->st_dev,
                .ino = st->st_ino,
                .size = st->st_size,
                .mtime = st->st_mtim,
                .changed = st->st_ctim,
        };
}

int file_stamp_get(const char *path, struct file_stamp *stamp)
{
        struct stat st;
        if (stat(path, &st) < 0)
                return -errno;
        *stamp = stamp_from(&st);
        return 0;
}

int file_open_fault(struct table_fault *fault, struct str path, int error)
{
        if (error == -ENOENT)
                return fault_set(fault, error, "table-missing",
                                 "make the file, or take the table out", "%.*s does not exist",
                                 STR_ARG(path));
        if (error == -EACCES)
                return fault_set(fault, error, "table-unreadable",
                                 "let the user that runs this program read it and its directories",
                                 "%.*s may not be read", STR_ARG(path));
        return fault_set(fault, error, "table-unreadable", NULL, "%.*s: %s", STR_ARG(path),
                         why_errno(error));
}

char *path_make(const char *dir, struct str name)
{
        char *path;
        int n = name.ptr[0] == '/' ? asprintf(&path, "%.*s", STR_ARG(name))
                                   : asprintf(&path, "%s/%.*s", dir, STR_ARG(name));
        check(n >= 0);
        return path;
}

/* Reads until the end of the file, or `room` bytes. The number of bytes or a negative errno. */
static ssize_t read_all(int fd, char *bytes, size_t room)
{
        size_t got = 0;
        while (got < room) {
                ssize_t n = read(fd, bytes + got, room - got);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                got += (size_t)n;
        }
        return (ssize_t)got;
}

static int read_open_file(int fd, const char *path, size_t bytes_max, char **bytes, size_t *len,
                          struct file_stamp *stamp, bool *is_stable, struct table_fault *fault)
{
        struct stat before;
        if (fstat(fd, &before) < 0)
                return file_open_fault(fault, str_from(path), -errno);
        if (!S_ISREG(before.st_mode))
                return fault_set(fault, -EINVAL, "table-unreadable", "name a file with the text",
                                 "%s is %s, not a file", path,
                                 S_ISDIR(before.st_mode) ? "a directory" : "a device or a pipe");
        if ((uint64_t)before.st_size > bytes_max)
                return fault_set(fault, -EFBIG, "table-too-large", NULL,
                                 "%s has %lld bytes; at most %zu are read for a table of this type",
                                 path, (long long)before.st_size, bytes_max);

        size_t room = (size_t)before.st_size + 1; /* one more: to see that it grew */
        char *text = malloc(room + 1);
        if (!text)
                return fault_set(fault, -ENOMEM, "table-too-large", NULL,
                                 "no memory for the %zu bytes of %s", room, path);
        ssize_t got = read_all(fd, text, room);
        struct stat after;
        if (got >= 0 && fstat(fd, &after) < 0)
                got = -errno;
        if (got < 0) {
                free(text);
                return file_open_fault(fault, str_from(path), (int)got);
        }
        *stamp = stamp_from(&before);
        struct file_stamp now = stamp_from(&after);
        *is_stable = file_stamp_eq(stamp, &now) && got == before.st_size;
        text[got] = '\0';
        *bytes = text;
        *len = (size_t)got;
        return 0;
}

int file_read(const char *path, size_t bytes_max, char **bytes, size_t *len,
              struct file_stamp *stamp, bool *is_stable, struct table_fault *fault)
{
        /* O_NONBLOCK: a pipe that somebody put in the place of the file must not stop us. */
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return file_open_fault(fault, str_from(path), -errno);
        int error = read_open_file(fd, path, bytes_max, bytes, len, stamp, is_stable, fault);
        close(fd);
        return error;
}
