/*
 * queue_directory.c - the directory that a server owns while it runs
 *
 * The lock is one of the open file (F_OFD_SETLK), which the worker inherits: it lasts until both have ended.
 */
#include "ops/queue_directory.h"

#include "base/clock.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = QUEUE_DIRECTORY_BYTES_MAX, CURE_BYTES_MAX = 900, POLL_MS = 50 };

/* Postfix's queue has these; ours never (it has a maildrop too). */
static bool is_of_postfix(const char *path)
{
        static const char *const names[] = {"active", "incoming", "deferred"};
        char below[PATH_BYTES_MAX + 16];
        for (size_t i = 0; i < 3; i++) {
                struct stat st;
                snprintf(below, sizeof(below), "%s/%s", path, names[i]);
                if (lstat(below, &st) == 0 && S_ISDIR(st.st_mode))
                        return true;
        }
        return false;
}

void queue_directory_find(const struct config *c, char out[QUEUE_DIRECTORY_BYTES_MAX])
{
        snprintf(out, PATH_BYTES_MAX, "%.*s", STR_ARG(c->params.queue_directory));
        size_t len = strlen(out);
        if (is_of_postfix(out))
                snprintf(out + len, PATH_BYTES_MAX - len, "/forepost");
}

void queue_directory_control_socket(const struct config *c, char out[CONTROL_PATH_BYTES_MAX])
{
        char path[PATH_BYTES_MAX];
        if (config_is_set(c, "control_socket")) {
                snprintf(out, CONTROL_PATH_BYTES_MAX, "%.*s", STR_ARG(c->params.control_socket));
                return;
        }
        queue_directory_find(c, path);
        snprintf(out, CONTROL_PATH_BYTES_MAX, "%s/control", path);
}

void queue_directory_public_socket(const struct config *c, char out[CONTROL_PATH_BYTES_MAX])
{
        char path[PATH_BYTES_MAX];
        if (config_is_set(c, "public_socket")) {
                snprintf(out, CONTROL_PATH_BYTES_MAX, "%.*s", STR_ARG(c->params.public_socket));
                return;
        }
        queue_directory_find(c, path);
        snprintf(out, CONTROL_PATH_BYTES_MAX, "%s/public.socket", path);
}

static void add(const struct config *c, struct findings *findings, enum severity severity,
                const char *cure, const char *path, const char *what)
{
        findings_add(findings, severity, "queue-directory", config_place(c, "queue_directory"),
                     cure, "queue_directory %s: %s", path, what);
}

static void add_error(const struct config *c, struct findings *findings, const char *cure,
                      const char *path, const char *what)
{
        add(c, findings, SEVERITY_ERROR, cure, path, what);
}

/* By owner and mode; groups beyond the first are left out. */
static bool may_write(const struct identity *owner, const struct stat *st)
{
        if (st->st_uid == owner->uid)
                return (st->st_mode & 0700) == 0700;
        if (st->st_gid == owner->gid)
                return (st->st_mode & 0070) == 0070;
        return (st->st_mode & 0007) == 0007;
}

/* Takes the descriptor. */
static bool is_empty(int fd)
{
        DIR *d = fdopendir(fd);
        size_t count = 0;
        if (!d) {
                close(fd);
                return false;
        }
        while (count < 3 && readdir(d))
                count++;
        closedir(d);
        return count == 2; /* . and .. */
}

/* Root's own new directory becomes the server's, as if we had made it. */
static bool adopt(const char *path, const struct identity *owner)
{
        if (!owner->drops)
                return false;
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st;
        bool is_ours = fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == 0 &&
                       is_empty(fcntl(fd, F_DUPFD_CLOEXEC, 0)) && fchmod(fd, 0700) == 0 &&
                       fchown(fd, owner->uid, owner->gid) == 0;
        if (fd >= 0)
                close(fd);
        return is_ours;
}

static void check_directory(const struct config *c, const char *path, const struct identity *owner,
                            const struct stat *st, struct findings *findings)
{
        char cure[CURE_BYTES_MAX];
        if (adopt(path, owner))
                return;
        if (!S_ISDIR(st->st_mode)) {
                add_error(c, findings, "name a directory", path, "is not a directory");
        } else if (!may_write(owner, st)) {
                snprintf(cure, sizeof(cure), "chown -R %s %s", owner->name, path);
                add_error(c, findings, cure, path,
                          "cannot be written by the user that the server "
                          "runs as");
        } else if (st->st_mode & 066) { /* the way to public_socket is everybody's */
                snprintf(cure, sizeof(cure), "chown %s %s; chmod 700 %s", owner->name, path, path);
                add(c, findings, SEVERITY_WARNING, cure, path,
                    "is open to others, and queued mail is nobody else's business");
        }
}

static void make_directory(const struct config *c, const char *path, const struct identity *owner,
                           struct findings *findings)
{
        if (mkdir(path, 0700) < 0) {
                char cure[CURE_BYTES_MAX];
                int code = errno;
                snprintf(cure, sizeof(cure), "install -d -m 0700 -o %s %s", owner->name, path);
                add_error(c, findings, cure, path,
                          code == ENOENT ? "the directory that it lies in does not exist"
                                         : why_errno(code));
        } else if (owner->drops && lchown(path, owner->uid, owner->gid) < 0) {
                add_error(c, findings, NULL, path, why_errno(errno));
        }
}

/* Room for the names in it, and for /forepost. */
static bool is_too_long(const struct config *c)
{
        return c->params.queue_directory.len > PATH_BYTES_MAX - 64;
}

void queue_directory_lint(const struct config *c, struct findings *findings)
{
        char path[PATH_BYTES_MAX];
        queue_directory_find(c, path);
        if (!is_too_long(c) && !str_eq(str_from(path), c->params.queue_directory))
                findings_add(findings, SEVERITY_NOTE, "queue-directory",
                             config_place(c, "queue_directory"), NULL,
                             "queue_directory %.*s is Postfix's queue, which has another format: "
                             "ours is %s",
                             STR_ARG(c->params.queue_directory), path);
}

void queue_directory_make(const struct config *c, const struct identity *owner,
                          struct findings *findings)
{
        char path[PATH_BYTES_MAX];
        struct stat st;
        queue_directory_find(c, path);
        queue_directory_lint(c, findings);
        if (path[0] != '/')
                add_error(c, findings, "give the whole path, from /", path, "is relative");
        else if (is_too_long(c))
                add_error(c, findings, "choose one with fewer than 320 bytes", path,
                          "is too long a path");
        else if (stat(path, &st) == 0)
                check_directory(c, path, owner, &st, findings);
        else if (errno == ENOENT)
                make_directory(c, path, owner, findings);
        else
                add_error(c, findings, NULL, path, why_errno(errno));
}

/* The directory is its user's, and we may be root: a link planted there is not followed. */
static int open_pid_file(const char *directory, int flags)
{
        char path[PATH_BYTES_MAX + 16];
        snprintf(path, sizeof(path), "%s/pid", directory);
        int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
        struct stat st;
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
                close(fd);
                return -EINVAL;
        }
        return fd;
}

static void read_pid(int fd, char out[16])
{
        ssize_t n = pread(fd, out, 15, 0);
        out[n > 0 ? n : 0] = 0;
        out[strcspn(out, "\n")] = 0;
}

static void write_pid(int fd)
{
        char text[16];
        int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
        if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len)
                return; /* for people only: the lock is what counts */
}

int queue_directory_lock(const struct config *c, const struct identity *owner,
                         struct findings *findings)
{
        char path[PATH_BYTES_MAX];
        queue_directory_find(c, path);
        int fd = open_pid_file(path, O_RDWR | O_CREAT);
        if (fd < 0) {
                add_error(c, findings, NULL, path,
                          fd == -EINVAL ? "pid is not a plain file" : why_errno(fd));
                return -1;
        }
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
                char pid[16];
                read_pid(fd, pid);
                findings_add(findings, SEVERITY_ERROR, "queue-in-use",
                             config_place(c, "queue_directory"),
                             "forepost stop ends it; or give this one a queue of its own",
                             "queue_directory %s is in use by process %s", path, pid);
                close(fd);
                return -1;
        }
        if (owner->drops && fchown(fd, owner->uid, owner->gid) < 0) {
                add_error(c, findings, NULL, path, why_errno(errno));
                close(fd);
                return -1;
        }
        write_pid(fd);
        return fd;
}

/* Asks without taking it: nobody who starts now is in our way. */
static bool has_holder(int fd)
{
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        return fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

bool queue_directory_is_locked(const struct config *c)
{
        return queue_directory_wait(c, 0) < 0;
}

int queue_directory_wait(const struct config *c, int64_t ms)
{
        char path[PATH_BYTES_MAX];
        queue_directory_find(c, path);
        int fd = open_pid_file(path, O_RDONLY);
        if (fd < 0)
                return 0; /* nobody ever was here */
        int64_t deadline_ms = clock_mono_ms() + ms;
        bool is_held;
        while ((is_held = has_holder(fd)) && clock_mono_ms() < deadline_ms)
                usleep(POLL_MS * 1000);
        close(fd);
        return is_held ? -ETIMEDOUT : 0;
}
