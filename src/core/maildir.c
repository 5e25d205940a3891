/*
 * maildir.c - one message into one Maildir
 *
 * The path is walked component by component with openat(O_NOFOLLOW), so that no directory on the way
 * can be exchanged for a link while we look. Names are unique by time, process and a counter; the move
 * to new/ is renameat2(RENAME_NOREPLACE), or link and unlink where the file system does not know that
 * (NFS), in which case the answer to link may be lost and the link count tells.
 */
#include "core/maildir.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_TRIES = 5, COMPONENT_BYTES_MAX = 255 };

/* ---- the directories ---- */

static bool next_component(struct str *rest, struct str *component)
{
        while (str_next_word(rest, "/", component))
                if (!str_eq(*component, STR(".")))
                        return true;
        return false;
}

int maildir_path_check(struct str path, struct why *why)
{
        if (path.len > MAILDIR_PATH_BYTES_MAX)
                return why_set(why, -EINVAL, "mailbox path is over %d bytes long",
                               MAILDIR_PATH_BYTES_MAX);
        if (memchr(path.ptr, 0, path.len))
                return why_set(why, -EINVAL, "mailbox path has a NUL in it");
        if (!str_ends(path, STR("/")))
                return why_set(why, -EINVAL,
                               "mailbox \"%.*s\" is not a Maildir: end it with a slash (mailbox "
                               "files are not supported)",
                               STR_ARG(path));
        struct str rest = path;
        struct str component;
        size_t count = 0;
        for (; next_component(&rest, &component); count++) {
                if (str_eq(component, STR("..")))
                        return why_set(why, -EINVAL, "mailbox \"%.*s\" leads out of the base",
                                       STR_ARG(path));
                if (component.len > COMPONENT_BYTES_MAX)
                        return why_set(why, -EINVAL, "mailbox \"%.*s\" has a part over %d bytes",
                                       STR_ARG(path), COMPONENT_BYTES_MAX);
        }
        if (count == 0)
                return why_set(why, -EINVAL, "mailbox \"%.*s\" is the base itself", STR_ARG(path));
        return 0;
}

/* Makes `name` in `dir_fd` and syncs it there. Somebody else may make it at the same time. */
static int make_directory(int dir_fd, const char *name)
{
        if (mkdirat(dir_fd, name, 0700) < 0)
                return errno == EEXIST ? 0 : -errno;
        if (fsync(dir_fd) < 0 && errno != EINVAL)
                return -errno;
        return 0;
}

/* Opens the directory `name` in `dir_fd`; makes it when it is missing. A descriptor, or an error. */
static int enter(int dir_fd, struct str name, struct why *why)
{
        char text[COMPONENT_BYTES_MAX + 1];
        check(name.len < sizeof(text));
        memcpy(text, name.ptr, name.len);
        text[name.len] = 0;
        const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        int fd = openat(dir_fd, text, flags);
        if (fd < 0 && errno == ENOENT) {
                int rc = make_directory(dir_fd, text);
                if (rc < 0)
                        return why_set(why, rc, "cannot make directory %s: %s", text,
                                       why_errno(rc));
                fd = openat(dir_fd, text, flags);
        }
        if (fd >= 0)
                return fd;
        int code = -errno;
        if (code == -ELOOP || code == -ENOTDIR)
                return why_set(why, code, "%s is not a directory (symbolic links are not followed)",
                               text);
        return why_set(why, code, "cannot open directory %s: %s", text, why_errno(code));
}

static int open_base(struct str base, struct why *why)
{
        char text[MAILDIR_PATH_BYTES_MAX + 1];
        if (base.len == 0 || base.len >= sizeof(text))
                return why_set(why, -EINVAL, "virtual_mailbox_base is not set, or too long");
        memcpy(text, base.ptr, base.len);
        text[base.len] = 0;
        int fd = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT && mkdir(text, 0700) == 0)
                fd = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return why_set(why, -errno, "cannot open virtual_mailbox_base %s: %s", text,
                               why_errno(errno));
        return fd;
}

static int open_maildir(struct str base, struct str path, struct why *why)
{
        int fd = open_base(base, why);
        struct str component;
        while (fd >= 0 && next_component(&path, &component)) {
                int below = enter(fd, component, why);
                close(fd);
                fd = below;
        }
        return fd;
}

/* Opens tmp and new, and sees to it that cur is there. */
static int open_parts(struct maildir *m, int dir_fd, struct why *why)
{
        m->tmp_fd = enter(dir_fd, STR("tmp"), why);
        if (m->tmp_fd < 0)
                return m->tmp_fd;
        m->new_fd = enter(dir_fd, STR("new"), why);
        if (m->new_fd < 0)
                return m->new_fd;
        int cur_fd = enter(dir_fd, STR("cur"), why);
        if (cur_fd < 0)
                return cur_fd;
        close(cur_fd);
        return 0;
}

/* ---- the file ---- */

/* "time.MusecPpidQseq.host", with / and : of the host written as the Maildir page says */
static void make_name(char out[MAILDIR_NAME_BYTES_MAX])
{
        static unsigned long count;
        char host[65] = "";
        gethostname(host, sizeof(host) - 1);
        int64_t now_us = clock_wall_us();
        int len = snprintf(out, MAILDIR_NAME_BYTES_MAX, "%lld.M%06dP%dQ%lu.",
                           (long long)(now_us / 1000000), (int)(now_us % 1000000), (int)getpid(),
                           __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED));
        for (const char *p = host[0] ? host : "localhost"; *p && len < MAILDIR_NAME_BYTES_MAX - 5;
             p++) {
                if (*p == '/' || *p == ':')
                        len += snprintf(out + len, 5, "\\%03o", (unsigned char)*p);
                else
                        out[len++] = *p;
        }
        out[len] = 0;
}

static int open_file(struct maildir *m, struct why *why)
{
        int code = 0;
        for (int i = 0; i < NAME_TRIES; i++) {
                make_name(m->name);
                m->fd = openat(m->tmp_fd, m->name,
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (m->fd >= 0)
                        return 0;
                code = -errno;
                if (code != -EEXIST)
                        break;
        }
        return why_set(why, code, "cannot create tmp/%s: %s", m->name, why_errno(code));
}

static void close_all(struct maildir *m)
{
        int *fds[] = {&m->fd, &m->tmp_fd, &m->new_fd};
        for (size_t i = 0; i < 3; i++) {
                if (*fds[i] >= 0)
                        close(*fds[i]);
                *fds[i] = -1;
        }
}

int maildir_begin(struct maildir *m, struct str base, struct str path, struct why *why)
{
        *m = (struct maildir){.fd = -1, .tmp_fd = -1, .new_fd = -1};
        int rc = maildir_path_check(path, why);
        if (rc < 0)
                return rc;
        int dir_fd = open_maildir(base, path, why);
        rc = dir_fd < 0 ? dir_fd : open_parts(m, dir_fd, why);
        if (dir_fd >= 0)
                close(dir_fd);
        if (rc == 0)
                rc = open_file(m, why);
        if (rc < 0) {
                close_all(m);
                return why_prefix(why, rc, "mailbox %.*s", STR_ARG(path));
        }
        return 0;
}

static int write_all(struct maildir *m, const char *bytes, size_t len, struct why *why)
{
        while (len) {
                ssize_t n = write(m->fd, bytes, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        int code = n < 0 ? -errno : -EIO;
                        return why_set(why, code, "cannot write tmp/%s: %s", m->name,
                                       why_errno(code));
                }
                bytes += n;
                len -= (size_t)n;
        }
        return 0;
}

/* Copies `text` to `out`, leaving out each CR that stands before LF. Returns the bytes written. */
static size_t drop_cr(struct maildir *m, struct str text, char *out)
{
        size_t len = 0;
        if (m->is_after_cr && text.len && text.ptr[0] != '\n')
                out[len++] = '\r';
        m->is_after_cr = false;
        while (text.len) {
                const char *cr = memchr(text.ptr, '\r', text.len);
                size_t n = cr ? (size_t)(cr - text.ptr) : text.len;
                memcpy(out + len, text.ptr, n);
                len += n;
                text = str_tail(text, n);
                if (!cr)
                        break;
                text = str_tail(text, 1);
                if (text.len == 0)
                        m->is_after_cr = true;
                else if (text.ptr[0] != '\n')
                        out[len++] = '\r';
        }
        return len;
}

int maildir_append(struct maildir *m, struct str text, struct why *why)
{
        if (text.len == 0)
                return 0;
        char *out = malloc(text.len + 1);
        check(out);
        int rc = write_all(m, out, drop_cr(m, text, out), why);
        free(out);
        return rc;
}

/* ---- from tmp to new ---- */

static int move_by_link(const struct maildir *m)
{
        if (linkat(m->tmp_fd, m->name, m->new_fd, m->name, 0) < 0) {
                /* over NFS the link may have been made and the answer lost */
                int code = -errno;
                struct stat st;
                if (code == -EEXIST || fstatat(m->tmp_fd, m->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                    st.st_nlink != 2)
                        return code;
        }
        unlinkat(m->tmp_fd, m->name, 0);
        return 0;
}

static int move_to_new(const struct maildir *m)
{
        if (renameat2(m->tmp_fd, m->name, m->new_fd, m->name, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
                return move_by_link(m);
        return -errno;
}

static int finish_file(struct maildir *m, struct why *why)
{
        int rc = m->is_after_cr ? write_all(m, "\r", 1, why) : 0;
        if (rc < 0)
                return rc;
        if (fsync(m->fd) < 0)
                return why_set(why, -errno, "cannot sync tmp/%s: %s", m->name, why_errno(errno));
        int fd = m->fd;
        m->fd = -1;
        if (close(fd) < 0) /* over NFS this is where a full quota shows */
                return why_set(why, -errno, "cannot close tmp/%s: %s", m->name, why_errno(errno));
        return 0;
}

int maildir_commit(struct maildir *m, struct why *why)
{
        int rc = finish_file(m, why);
        if (rc == 0) {
                rc = move_to_new(m);
                if (rc < 0)
                        why_set(why, rc, "cannot move tmp/%s to new: %s", m->name, why_errno(rc));
        }
        if (rc < 0) {
                maildir_abandon(m);
                return rc;
        }
        if (fsync(m->new_fd) < 0 && errno != EINVAL) {
                rc = why_set(why, -errno, "cannot sync new: %s", why_errno(errno));
                unlinkat(m->new_fd, m->name, 0);
        }
        close_all(m);
        return rc;
}

void maildir_abandon(struct maildir *m)
{
        if (m->tmp_fd >= 0)
                unlinkat(m->tmp_fd, m->name, 0);
        close_all(m);
}

const char *maildir_error_dsn(int code)
{
        switch (-code) {
        case EDQUOT:
        case EFBIG:
                return "4.2.2";
        case ENOSPC:
                return "4.3.1";
        default:
                return "4.2.0";
        }
}
