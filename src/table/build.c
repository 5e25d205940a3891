/*
 * build.c - from a text to the file that is mapped
 *
 * The text is read as hash: reads it, so what a table says does not depend on its type. mkstemp()
 * makes the new file beside the old one; a name that is left over after a crash is nobody's.
 */
#include "table/build.h"

#include "table/table_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
        const char *type;
        int (*write)(const char *path, const struct text_map *map, struct why *why);
} writers[] = {
        {"hash", NULL},       {"btree", NULL}, {"texthash", NULL},
#ifdef TABLE_HAS_CDB
        {"cdb", cdb_write},
#endif
#ifdef TABLE_HAS_LMDB
        {"lmdb", lmdb_write},
#endif
};
enum { WRITERS = sizeof(writers) / sizeof(*writers) };

static size_t writer_find(struct str type)
{
        size_t i = 0;
        while (i < WRITERS && !str_eq(type, str_from(writers[i].type)))
                i++;
        return i;
}

bool table_build_has_type(struct str type)
{
        return writer_find(type) < WRITERS;
}

static int sync_directory(const char *path)
{
        const char *slash = strrchr(path, '/');
        char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
        if (!dir)
                return -ENOMEM;
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        free(dir);
        if (fd < 0)
                return -errno;
        int rc = fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
        close(fd);
        return rc;
}

/* As the text: its permissions and, where we may, its owner. */
static int take_over(int fd, const struct stat *text)
{
        if (geteuid() == 0 && fchown(fd, text->st_uid, text->st_gid) < 0)
                return -errno;
        return fchmod(fd, text->st_mode & 0777) < 0 ? -errno : 0;
}

static int put_in_place(const char *temporary, const char *path, const struct stat *text)
{
        int fd = open(temporary, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        int rc = take_over(fd, text);
        if (rc == 0 && fsync(fd) < 0)
                rc = -errno;
        close(fd);
        if (rc == 0 && rename(temporary, path) < 0)
                rc = -errno;
        return rc ? rc : sync_directory(path);
}

static int write_text(const char *path, struct str text)
{
        FILE *f = fopen(path, "w");
        if (!f)
                return -errno;
        int rc = fwrite(text.ptr, 1, text.len, f) == text.len ? 0 : -errno;
        if (fclose(f) != 0 && rc == 0)
                rc = -errno;
        return rc;
}

int file_replace(const char *given, struct str text, struct why *why)
{
        /* What a symbolic link points to is replaced, not the link. */
        char *path = realpath(given, NULL);
        if (!path)
                path = strdup(given);
        char *temporary;
        if (!path || asprintf(&temporary, "%s.new-XXXXXX", path) < 0)
                abort();
        struct stat st = {.st_mode = 0644, .st_uid = geteuid(), .st_gid = getegid()};
        int rc = stat(path, &st) < 0 && errno != ENOENT ? -errno : 0;
        int fd = rc == 0 ? mkstemp(temporary) : -1;
        if (rc == 0 && fd < 0)
                rc = -errno;
        if (fd >= 0) {
                close(fd);
                rc = write_text(temporary, text);
                if (rc == 0)
                        rc = put_in_place(temporary, path, &st);
                if (rc)
                        unlink(temporary);
        }
        free(temporary);
        free(path);
        return rc ? why_set(why, rc, "cannot write it: %s", why_errno(rc)) : 0;
}

/* Writes the file beside its place, then puts it there. */
static int make_file(size_t writer, const char *path, const struct text_map *map,
                     const struct stat *text, struct why *why)
{
        char *temporary;
        if (asprintf(&temporary, "%s.new-XXXXXX", path) < 0)
                return why_set(why, -ENOMEM, "out of memory");
        int fd = mkstemp(temporary);
        if (fd < 0) {
                int error = -errno;
                free(temporary);
                return why_set(why, error, "cannot make a file beside %s: %s", path,
                               why_errno(error));
        }
        close(fd);
        int rc = writers[writer].write(temporary, map, why);
        if (rc == 0) {
                rc = put_in_place(temporary, path, text);
                if (rc)
                        why_set(why, rc, "cannot put %s in its place: %s", path, why_errno(rc));
        }
        if (rc)
                unlink(temporary);
        free(temporary);
        return rc;
}

static int read_text(const char *path, enum table_text_format format, struct findings *findings,
                     struct text_map **map, struct stat *st, struct why *why)
{
        struct table_fault fault;
        struct file_stamp stamp;
        bool is_stable;
        char *bytes;
        size_t len;
        int rc = file_read(path, table_type_texthash.bytes_max, &bytes, &len, &stamp, &is_stable,
                           &fault);
        if (rc)
                return fault_to_why(&fault, why);
        if (!is_stable || stat(path, st) < 0) {
                free(bytes);
                return why_set(why, -EAGAIN, "%s changed while it was read: try again", path);
        }
        struct table_text text = {.at = {str_from(path), 0},
                                  .is_file = true,
                                  .bytes = bytes,
                                  .len = len,
                                  .findings = findings,
                                  .fault = &fault};
        void *contents;
        rc = text_examine(&text);
        if (rc == 0)
                rc = format == TABLE_TEXT_ALIASES ? text_open_aliases(&text, &contents)
                                                  : table_type_texthash.open(&text, &contents);
        free(text.bytes);
        if (rc)
                return fault_to_why(&fault, why);
        *map = contents;
        return 0;
}

static int build(size_t writer, struct str name, const char *dir, enum table_text_format format,
                 struct findings *findings, size_t *entries, struct why *why)
{
        char *path = path_make(dir, name);
        struct text_map *map = NULL;
        struct stat st;
        int rc = read_text(path, format, findings, &map, &st, why);
        if (rc == 0) {
                *entries = map->count;
                if (writers[writer].write) {
                        char *target;
                        if (asprintf(&target, "%s.%s", path, writers[writer].type) < 0)
                                abort();
                        rc = make_file(writer, target, map, &st, why);
                        free(target);
                }
                text_map_free(map);
        }
        free(path);
        return rc;
}

int table_build(struct str spec, const char *dir, enum table_text_format format,
                struct findings *findings, size_t *entries, struct why *why)
{
        struct table_fault fault;
        struct str name;
        *entries = 0;
        const struct table_type *type = table_type_find(spec, &name, &fault);
        if (!type)
                return fault_to_why(&fault, why);
        size_t writer = writer_find(str_from(type->name));
        if (writer == WRITERS)
                return why_set(why, -ENOTSUP,
                               "tables of type %s: are used as they are: there is "
                               "nothing to build",
                               type->name);
        if (str_is_empty(name) || memchr(name.ptr, '\0', name.len))
                return why_set(why, -EINVAL, "write %s:FILE, with the name of the text",
                               type->name);
        return build(writer, name, dir, format, findings, entries, why);
}
