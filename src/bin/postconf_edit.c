/*
 * postconf_edit.c - postconf -e, -X and -#: main.cf written anew
 *
 * Lines that are not concerned, comments and order stay. The new file takes the old one's place by rename(2), with
 * its owner and mode: whoever reads meanwhile reads the one or the other.
 */
#include "bin/postconf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 16 << 20, CHANGES_MAX = 256, PATH_ROOM = 4200 };

struct change {
        struct str name;
        struct str value;
        bool is_done;
};

struct edit {
        char mode;
        struct change changes[CHANGES_MAX];
        size_t count;
        struct buf out;
        struct change *current; /* of the logical line that we are in; NULL: it stays */
};

static int read_changes(struct edit *e, char *const *words, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct change *c = &e->changes[e->count];
                if (e->count == CHANGES_MAX)
                        return name_fatal(1, "more than %d parameters", CHANGES_MAX);
                struct str rest = str_from(words[i]);
                bool has_value = str_find(rest, '=') >= 0;
                c->name = str_trim(has_value ? str_cut(&rest, '=') : rest);
                c->value = has_value ? str_trim(rest) : STR("");
                if (has_value != (e->mode == 'e') || str_is_empty(c->name))
                        return name_fatal(1,
                                          e->mode == 'e'
                                                  ? "missing '=' after attribute name: \"%s\""
                                                  : "-X and -# want names alone: \"%s\"",
                                          words[i]);
                if (memchr(words[i], '\n', strlen(words[i])))
                        return name_fatal(1, "a value on several lines: \"%s\"", words[i]);
                e->count++;
        }
        return 0;
}

static struct change *find_change(struct edit *e, struct str line)
{
        struct str name = str_trim(str_cut(&line, '='));
        for (size_t i = 0; i < e->count; i++)
                if (str_eq(e->changes[i].name, name))
                        return &e->changes[i];
        return NULL;
}

static void put_setting(struct edit *e, const struct change *c)
{
        buf_printf(&e->out, "%.*s = %.*s\n", STR_ARG(c->name), STR_ARG(c->value));
}

static void edit_line(struct edit *e, struct str line)
{
        struct str text = str_trim(line);
        bool is_nothing = str_is_empty(text) || text.ptr[0] == '#';
        bool is_continued = !is_nothing && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
        if (!is_nothing && !is_continued) {
                e->current = find_change(e, line);
                if (e->current && e->mode == 'e' && !e->current->is_done)
                        put_setting(e, e->current);
                if (e->current)
                        e->current->is_done = true;
        }
        if (is_nothing || !e->current)
                buf_printf(&e->out, "%.*s\n", STR_ARG(line));
        else if (e->mode == '#')
                buf_printf(&e->out, "#%.*s\n", STR_ARG(line));
}

static void edit_text(struct edit *e, struct str text)
{
        while (text.len) {
                struct str line = str_cut(&text, '\n');
                edit_line(e, line);
        }
        for (size_t i = 0; i < e->count; i++)
                if (e->mode == 'e' && !e->changes[i].is_done)
                        put_setting(e, &e->changes[i]);
}

static int read_whole(const char *path, struct buf *text, struct stat *st)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, st) < 0) {
                int error = errno;
                if (fd >= 0)
                        close(fd);
                return name_fatal(1, "open %s for reading: %s", path, why_errno(error));
        }
        ssize_t n;
        char *at;
        while ((at = buf_reserve(text, 65536)) && (n = read(fd, at, 65536)) > 0)
                buf_grow(text, (size_t)n);
        close(fd);
        return at ? 0 : name_fatal(1, "%s is longer than %d MiB", path, FILE_BYTES_MAX >> 20);
}

static int write_whole(const char *path, struct str text, const struct stat *st)
{
        static char fresh[PATH_ROOM + 8];
        snprintf(fresh, sizeof(fresh), "%s.XXXXXX", path);
        int fd = mkostemp(fresh, O_CLOEXEC);
        if (fd < 0)
                return name_fatal(1, "open %s for writing: %s", path, why_errno(errno));
        bool is_good = fchmod(fd, st->st_mode & 07777) == 0;
        if (geteuid() == 0)
                is_good = is_good && fchown(fd, st->st_uid, st->st_gid) == 0;
        while (is_good && text.len) {
                ssize_t n = write(fd, text.ptr, text.len);
                is_good = n > 0;
                text = str_tail(text, is_good ? (size_t)n : 0);
        }
        is_good = is_good && fsync(fd) == 0;
        is_good = close(fd) == 0 && is_good && rename(fresh, path) == 0;
        if (is_good)
                return 0;
        int error = errno;
        unlink(fresh);
        return name_fatal(1, "write %s: %s", path, why_errno(error));
}

int postconf_edit(const struct postconf *p, char *const *words, size_t count)
{
        static struct edit e;
        static char path[PATH_ROOM];
        char *real = NULL;
        struct stat st;
        struct buf text;
        e.mode = p->mode;
        int rc = read_changes(&e, words, count);
        if (rc || count == 0)
                return rc;
        buf_init(&text, FILE_BYTES_MAX);
        buf_init(&e.out, 2 * FILE_BYTES_MAX);
        snprintf(path, sizeof(path), "%s/main.cf", p->directory);
        rc = read_whole(path, &text, &st);
        if (rc == 0) {
                edit_text(&e, buf_str(&text));
                real = realpath(path, NULL); /* a link stays one */
                rc = write_whole(real ? real : path, buf_str(&e.out), &st);
        }
        free(real);
        buf_done(&text);
        buf_done(&e.out);
        return rc;
}
