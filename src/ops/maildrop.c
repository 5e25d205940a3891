/*
 * maildrop.c - files that wait for the server: writing, reading, listing, removing
 *
 * Nothing in the directory is believed: a file is opened without following links and without waiting (somebody's
 * FIFO), must be plain, have one name, and hold one dialogue that cannot become two messages (maildrop_form.c). What it says is then
 * heard by a session like that of any user.
 */
#include "ops/maildrop.h"

#include "base/check.h"
#include "base/clock.h"
#include "ops/maildrop_form.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        PATH_BYTES_MAX = QUEUE_DIRECTORY_BYTES_MAX + 64,
        LISTED_MAX = 10000, /* at a time */
        STALE_S = 24 * 3600,
        SPARE_BYTES = 16 << 20, /* envelope and doubled dots, over twice the largest content */
        BYTES_MAX = 1 << 30,
};

void maildrop_find(const struct config *c, char out[QUEUE_DIRECTORY_BYTES_MAX])
{
        queue_directory_find(c, out);
        size_t len = strlen(out);
        snprintf(out + len, QUEUE_DIRECTORY_BYTES_MAX - len, "/maildrop");
}

int64_t maildrop_bytes_max(const struct params *p)
{
        int64_t content = p->message_size_limit ? p->message_size_limit : BYTES_MAX;
        return (content < BYTES_MAX ? content : BYTES_MAX) * 2 + SPARE_BYTES;
}

/* ---- rights ---- */

static gid_t kept_group;
static bool has_kept_group;

void maildrop_lay_rights_down(void)
{
        gid_t real, effective, saved;
        if (getresgid(&real, &effective, &saved) < 0 || effective == real)
                return;
        check(setresgid(real, real, effective) == 0);
        kept_group = effective;
        has_kept_group = true;
}

void maildrop_give_rights_up(void)
{
        if (!has_kept_group)
                return;
        gid_t real = getgid();
        check(setresgid(real, real, real) == 0);
        has_kept_group = false;
}

/* ---- the directory ---- */

void maildrop_make(const struct config *c, const struct identity *owner, struct findings *findings)
{
        char path[QUEUE_DIRECTORY_BYTES_MAX];
        char name[64];
        maildrop_find(c, path);
        if (mkdir(path, 0700) < 0) {
                if (errno != EEXIST)
                        findings_add(
                                findings, SEVERITY_WARNING, "maildrop",
                                config_place(c, "queue_directory"), NULL,
                                "%s cannot be made, so mail is submitted only while the server "
                                "runs: %s",
                                path, why_errno(errno));
                return; /* the administrator may have given it other rights */
        }
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        snprintf(name, sizeof(name), "%.*s", STR_ARG(c->params.setgid_group));
        const struct group *group = owner->drops ? getgrnam(name) : NULL;
        if (fd < 0 ||
            (owner->drops && fchown(fd, owner->uid, group ? group->gr_gid : owner->gid) < 0) ||
            fchmod(fd, 01730) < 0)
                findings_add(findings, SEVERITY_WARNING, "maildrop",
                             config_place(c, "setgid_group"), NULL,
                             "%s cannot be given to its group: %s", path, why_errno(errno));
        if (fd >= 0)
                close(fd);
}

/* ---- writing ---- */

static int write_all(int fd, struct str text)
{
        while (text.len) {
                ssize_t n = write(fd, text.ptr, text.len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                text = str_tail(text, (size_t)n);
        }
        return 0;
}

/*
 * A file system that has been told to keep a file keeps the name it has then: so fsync again after the rename, and of the directory,
 * which not everybody may open.
 */
static int make_durable(int fd, const char *directory)
{
        if (fsync(fd) < 0)
                return -errno;
        int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return 0;
        int rc = fsync(dir) < 0 ? -errno : 0;
        close(dir);
        return rc;
}

static int give_name(const char *directory, const char *fresh, int64_t now_us,
                     char id[QUEUE_ID_BYTES_MAX])
{
        char path[PATH_BYTES_MAX];
        for (unsigned i = 0; i < 16; i++) {
                queue_id_format(now_us, (uint64_t)getpid() * 16 + i, id);
                snprintf(path, sizeof(path), "%s/%s", directory, id);
                if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
                        return 0;
                if (errno != EEXIST)
                        return -errno;
        }
        return -EEXIST;
}

static int write_file(const char *directory, struct str dialogue, char id[QUEUE_ID_BYTES_MAX])
{
        char fresh[PATH_BYTES_MAX];
        char head[MAILDROP_HEAD_BYTES + 1];
        int64_t now_us = clock_wall_us();
        snprintf(fresh, sizeof(fresh), "%s/new.%d.%lld", directory, (int)getpid(),
                 (long long)now_us);
        maildrop_head(dialogue.len, head);
        int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        int rc = write_all(fd, str_make(head, MAILDROP_HEAD_BYTES));
        if (rc == 0)
                rc = write_all(fd, dialogue);
        if (rc == 0 && fchmod(fd, 0644) < 0) /* the server is another user */
                rc = -errno;
        if (rc == 0 && fsync(fd) < 0)
                rc = -errno;
        if (rc == 0)
                rc = give_name(directory, fresh, now_us, id);
        if (rc < 0)
                unlink(fresh);
        else
                rc = make_durable(fd, directory);
        close(fd);
        return rc;
}

int maildrop_write(const struct config *c, struct str dialogue, char id[QUEUE_ID_BYTES_MAX],
                   struct why *why)
{
        char path[QUEUE_DIRECTORY_BYTES_MAX];
        maildrop_find(c, path);
        if (has_kept_group)
                check(setegid(kept_group) == 0);
        int rc = write_file(path, dialogue, id);
        maildrop_give_rights_up();
        if (rc == -EACCES)
                why_set(why, rc, "%s: this program may not leave mail there (see sendmail(1))",
                        path);
        else if (rc < 0)
                why_set(why, rc, "cannot leave mail in %s: %s", path, why_errno(rc));
        return rc;
}

/* ---- reading ---- */

static int read_whole(int fd, size_t bytes, struct buf *out)
{
        char *at = buf_reserve(out, bytes + 1);
        size_t done = 0;
        if (!at)
                return -EBADMSG;
        while (done <= bytes) {
                ssize_t n = read(fd, at + done, bytes + 1 - done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                done += (size_t)n;
        }
        buf_grow(out, done);
        return 0;
}

static int read_checked(int fd, int64_t bytes_max, struct maildrop_file *out, struct why *why)
{
        struct stat st;
        if (fstat(fd, &st) < 0)
                return why_set(why, -errno, "%s", why_errno(errno));
        if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
                return why_set(why, -EBADMSG, "it is no plain file with one name");
        if (st.st_size > bytes_max)
                return why_set(why, -EBADMSG, "it has %lld bytes, more than any message may",
                               (long long)st.st_size);
        out->uid = st.st_uid;
        out->arrival_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
        buf_init(&out->text, (size_t)bytes_max + 1);
        int rc = read_whole(fd, (size_t)st.st_size, &out->text);
        const char *wrong =
                rc == 0 ? maildrop_parse(buf_str(&out->text), &out->commands, &out->content) : NULL;
        if (rc < 0)
                why_set(why, rc, "%s", why_errno(rc));
        else if (wrong)
                rc = why_set(why, -EBADMSG, "%s", wrong);
        if (rc < 0)
                buf_done(&out->text);
        return rc;
}

int maildrop_read(const char *directory, const char *id, int64_t bytes_max,
                  struct maildrop_file *out, struct why *why)
{
        char path[PATH_BYTES_MAX];
        *out = (struct maildrop_file){0};
        snprintf(path, sizeof(path), "%s/%s", directory, id);
        int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0) {
                int error = errno;
                if (error == ELOOP || error == ENXIO) /* a link; a socket */
                        return why_set(why, -EBADMSG, "it is no plain file with one name");
                if (error == EACCES)
                        return why_set(why, -EBADMSG, "its owner has shut the server out");
                return why_set(why, -error, "%s", why_errno(error));
        }
        int rc = read_checked(fd, bytes_max, out, why);
        close(fd);
        return rc;
}

void maildrop_file_done(struct maildrop_file *f)
{
        buf_done(&f->text);
}

/* ---- listing and removing ---- */

static int compare(const void *a, const void *b)
{
        return strcmp(a, b);
}

static bool is_id(const char *name)
{
        int64_t wall_us;
        uint64_t number;
        return strlen(name) < QUEUE_ID_BYTES_MAX &&
               queue_id_parse(str_from(name), &wall_us, &number) == 0;
}

static void remove_if_stale(int dir, const char *name)
{
        struct stat st;
        if (strncmp(name, "new.", 4) == 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && st.st_mtim.tv_sec + STALE_S < clock_wall_us() / 1000000)
                unlinkat(dir, name, 0);
}

size_t maildrop_scan(const char *directory, const char *after, char (*ids)[QUEUE_ID_BYTES_MAX],
                     size_t max)
{
        DIR *d = opendir(directory);
        const struct dirent *entry;
        size_t count = 0;
        if (!d)
                return 0;
        while ((entry = readdir(d))) {
                if (!is_id(entry->d_name))
                        remove_if_stale(dirfd(d), entry->d_name);
                else if (strcmp(entry->d_name, after) > 0)
                        snprintf(ids[count++], QUEUE_ID_BYTES_MAX, "%s", entry->d_name);
                if (count == 2 * max) {
                        qsort(ids, count, QUEUE_ID_BYTES_MAX, compare);
                        count = max;
                }
        }
        closedir(d);
        qsort(ids, count, QUEUE_ID_BYTES_MAX, compare);
        return count < max ? count : max;
}

int maildrop_set_aside(const char *directory, const char *id, char kept[MAILDROP_KEPT_BYTES],
                       struct why *why)
{
        char from[PATH_BYTES_MAX];
        char to[PATH_BYTES_MAX];
        const char *slash = strrchr(directory, '/');
        check(slash);
        snprintf(from, sizeof(from), "%s/%s", directory, id);
        snprintf(kept, MAILDROP_KEPT_BYTES, "corrupt/maildrop-%s", id);
        snprintf(to, sizeof(to), "%.*s/%s", (int)(slash - directory), directory, kept);
        if (rename(from, to) == 0)
                return 0;
        /* somebody's directory can be renamed by its neighbours' owner, not moved */
        snprintf(kept, MAILDROP_KEPT_BYTES, "maildrop/bad.%s", id);
        snprintf(to, sizeof(to), "%.*s/%s", (int)(slash - directory), directory, kept);
        if (rename(from, to) < 0)
                return why_set(why, -errno, "cannot move %s to %s: %s", from, to, why_errno(errno));
        return 0;
}

static void show_one(const struct maildrop_file *f, const char *id,
                     void (*each)(void *, const struct spool_info *), void *context)
{
        struct arena arena;
        struct str rest = f->commands, line;
        struct spool_info info = {.id = id,
                                  .queue = SPOOL_QUEUE_MAILDROP,
                                  .arrival_us = f->arrival_us,
                                  .bytes = (int64_t)f->content.len};
        arena_init(&arena, 0);
        maildrop_take_line(&rest, &line);
        info.envelope.sender = maildrop_address(line);
        info.envelope.recipients = arena_array(&arena, struct recipient, f->commands.len / 8);
        while (maildrop_take_line(&rest, &line)) {
                struct recipient *r = &info.envelope.recipients[info.envelope.recipient_count++];
                r->address = r->original = maildrop_address(line);
        }
        each(context, &info);
        arena_done(&arena);
}

bool maildrop_list_one(const struct config *c, const char *id,
                       void (*each)(void *context, const struct spool_info *info), void *context)
{
        char path[QUEUE_DIRECTORY_BYTES_MAX];
        struct maildrop_file f;
        struct why why;
        maildrop_find(c, path);
        if (maildrop_read(path, id, maildrop_bytes_max(&c->params), &f, &why) < 0)
                return false;
        show_one(&f, id, each, context);
        maildrop_file_done(&f);
        return true;
}

/* What is there, a piece after the other. False: `act` wants no more. */
static bool for_all(const char *directory, bool (*act)(void *context, const char *id),
                    void *context)
{
        static char ids[2 * LISTED_MAX][QUEUE_ID_BYTES_MAX];
        char after[QUEUE_ID_BYTES_MAX] = "";
        size_t count;
        do {
                count = maildrop_scan(directory, after, ids, LISTED_MAX);
                for (size_t i = 0; i < count; i++)
                        if (!act(context, ids[i]))
                                return false;
                if (count)
                        snprintf(after, sizeof(after), "%s", ids[count - 1]);
        } while (count == LISTED_MAX);
        return true;
}

struct listing {
        const char *directory;
        int64_t bytes_max;
        void (*each)(void *context, const struct spool_info *info);
        void *context;
        size_t count;
};

static bool list_if_whole(void *context, const char *id)
{
        struct listing *l = context;
        struct maildrop_file f;
        struct why why;
        if (maildrop_read(l->directory, id, l->bytes_max, &f, &why) < 0)
                return true;
        show_one(&f, id, l->each, l->context);
        maildrop_file_done(&f);
        l->count++;
        return true;
}

size_t maildrop_list(const struct config *c,
                     void (*each)(void *context, const struct spool_info *info), void *context)
{
        char path[QUEUE_DIRECTORY_BYTES_MAX];
        maildrop_find(c, path);
        struct listing l = {path, maildrop_bytes_max(&c->params), each, context, 0};
        for_all(path, list_if_whole, &l);
        return l.count;
}

struct deletion {
        const char *directory;
        const char *id; /* NULL: all */
        struct why *why;
        int result; /* how many, or what went wrong */
};

static bool delete_if_meant(void *context, const char *id)
{
        struct deletion *d = context;
        char file[PATH_BYTES_MAX];
        if (d->id && strcmp(id, d->id) != 0)
                return true;
        snprintf(file, sizeof(file), "%s/%s", d->directory, id);
        if (unlink(file) == 0)
                d->result++;
        else if (errno != ENOENT)
                d->result = why_set(d->why, -errno, "%s: %s", file, why_errno(errno));
        return d->result >= 0;
}

int maildrop_delete(const struct config *c, const char *id, struct why *why)
{
        char path[QUEUE_DIRECTORY_BYTES_MAX];
        maildrop_find(c, path);
        struct deletion d = {path, strcmp(id, "ALL") == 0 ? NULL : id, why, 0};
        for_all(path, delete_if_meant, &d);
        return d.result;
}
