/* postconf_file.c - a configuration file is read, and written anew in one step */
#include "bin/postconf_file.h"

#include "bin/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum { LOCK_TRIES = 1000 };

/* What was locked may have become the file itself while we waited. A descriptor, or -1 with errno. */
static int open_locked(const char *path)
{
        for (int i = 0; i < LOCK_TRIES; i++) {
                struct stat mine, there;
                int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (fd < 0)
                        return -1;
                if (flock(fd, LOCK_EX) == 0 && fstat(fd, &mine) == 0 && lstat(path, &there) == 0 &&
                    mine.st_dev == there.st_dev && mine.st_ino == there.st_ino)
                        return fd;
                close(fd);
        }
        errno = EAGAIN;
        return -1;
}

static int read_whole(struct postconf_file *f)
{
        int fd = open(f->path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &f->stat) < 0) {
                int error = errno;
                if (fd >= 0)
                        close(fd);
                return name_fatal(1, "open %s for reading: %s", f->path, why_errno(error));
        }
        ssize_t n = 0;
        char *at;
        while ((at = buf_reserve(&f->text, 65536)) && (n = read(fd, at, 65536)) > 0)
                buf_grow(&f->text, (size_t)n);
        int error = errno;
        close(fd);
        if (at && n < 0)
                return name_fatal(1, "read %s: %s", f->path, why_errno(error));
        return at ? 0
                  : name_fatal(1, "%s is longer than %d MiB", f->path,
                               POSTCONF_FILE_BYTES_MAX >> 20);
}

static void done(struct postconf_file *f)
{
        if (f->fd >= 0)
                close(f->fd); /* and with it the lock */
        free(f->path);
        free(f->fresh);
        buf_done(&f->text);
        buf_done(&f->out);
}

int postconf_file_begin(struct postconf_file *f, const char *directory, const char *name)
{
        char *given = NULL;
        *f = (struct postconf_file){.fd = -1};
        buf_init(&f->text, POSTCONF_FILE_BYTES_MAX + 65536);
        buf_init(&f->out, 2 * POSTCONF_FILE_BYTES_MAX);
        if (asprintf(&given, "%s/%s", directory, name) < 0)
                abort();
        f->path = realpath(given, NULL);
        int rc = 0;
        if (!f->path)
                rc = name_fatal(1, "open %s for reading: %s", given, why_errno(errno));
        else if (asprintf(&f->fresh, "%s.tmp", f->path) < 0)
                abort();
        free(given);
        if (rc == 0 && (f->fd = open_locked(f->fresh)) < 0)
                rc = name_fatal(1, "open %s for writing: %s", f->fresh, why_errno(errno));
        if (rc == 0 && (rc = read_whole(f)))
                unlink(f->fresh);
        if (rc)
                done(f);
        return rc;
}

static bool write_whole(struct postconf_file *f)
{
        struct str text = buf_str(&f->out);
        bool is_good = ftruncate(f->fd, 0) == 0;
        if (is_good && geteuid() == 0)
                is_good = fchown(f->fd, f->stat.st_uid, f->stat.st_gid) == 0;
        is_good = is_good && fchmod(f->fd, f->stat.st_mode & 07777) == 0;
        while (is_good && text.len) {
                ssize_t n = write(f->fd, text.ptr, text.len);
                is_good = n > 0;
                text = str_tail(text, is_good ? (size_t)n : 0);
        }
        return is_good && fsync(f->fd) == 0 && rename(f->fresh, f->path) == 0;
}

int postconf_file_end(struct postconf_file *f, bool is_good)
{
        int code = EXIT_FAILED;
        if (is_good && write_whole(f)) {
                code = EXIT_DONE;
        } else {
                if (is_good)
                        name_fatal(1, "write %s: %s", f->path, why_errno(errno));
                unlink(f->fresh);
        }
        done(f);
        return code;
}

bool postconf_line(struct str *text, struct str *line)
{
        ptrdiff_t end = str_find(*text, '\n');
        *line = str_part(*text, 0, end < 0 ? text->len : (size_t)end + 1);
        *text = str_tail(*text, line->len);
        return line->len > 0;
}

bool postconf_line_is_nothing(struct str line)
{
        struct str text = str_trim(line);
        return str_is_empty(text) || text.ptr[0] == '#';
}

bool postconf_line_goes_on(struct str line)
{
        return line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
}
