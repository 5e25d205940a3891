/* origin.c - see origin.h */
#include "table/origin.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"

#include <errno.h>

enum {
        WAIT_MS_MAX = 5000,       /* for a writer to be quiet */
        READ_TRIES_MAX = 3,       /* when the file changes while it is opened for the first time */
        NAME_BYTES_MAX = 1 << 20, /* of a specification, as inline: may be long */
};

/* ---- reading ---- */

/* Makes contents from text. `bytes` is freed; NULL: the type maps the file itself. */
static int contents_make(struct origin *o, struct str name, char *bytes, size_t len,
                         struct findings *findings, struct table_fault *fault, void **contents)
{
        struct table_text text = {
                .set = o->set,
                .type = o->type,
                .name = name,
                .at = o->path ? (struct place){str_from(o->path), 0} : o->at,
                .is_file = o->path != NULL,
                .depth = o->depth,
                .bytes = bytes,
                .len = len,
                .findings = findings,
                .fault = fault,
        };
        int error = bytes ? text_examine(&text) : 0;
        if (error == 0)
                error = o->type->open(&text, contents);
        free(text.bytes);
        return error;
}

/* The rules of pcre:{ {rule}, {rule} }, one a line. */
static int rules_to_lines(struct str name, char *lines, size_t *len, struct table_fault *fault)
{
        struct str list;
        if (!braces_open(name, &list))
                return fault_set(fault, -EINVAL, "table-syntax", "write { {rule}, {rule} }",
                                 "unbalanced braces in a table of rules");
        struct str item;
        *len = 0;
        while (item_next(&list, &item)) {
                struct str rule;
                if (!braces_open(item, &rule))
                        return fault_set(fault, -EINVAL, "table-syntax", "write { {rule}, {rule} }",
                                         "\"%.*s\" is no rule in braces",
                                         (int)(item.len > 80 ? 80 : item.len), item.ptr);
                memcpy(lines + *len, rule.ptr, rule.len);
                *len += rule.len;
                lines[(*len)++] = '\n';
        }
        lines[*len] = '\0';
        if (*len == 0)
                return fault_set(fault, -EINVAL, "table-syntax", "write { {rule}, {rule} }",
                                 "a table of rules without a rule");
        return 0;
}

/* A table whose text is its name. */
static int open_from_name(struct origin *o, struct str name, struct findings *findings,
                          struct table_fault *fault, void **contents)
{
        if (name.len > o->type->bytes_max)
                return fault_set(fault, -EFBIG, "table-too-large", "put it into a file",
                                 "a table of %zu bytes in main.cf; at most %zu are possible",
                                 name.len, o->type->bytes_max);
        char *bytes = malloc(name.len + 1);
        check(bytes);
        size_t len = name.len;
        int error = 0;
        if (o->type->source == SOURCE_FILE_OR_RULES) {
                error = rules_to_lines(name, bytes, &len, fault);
        } else {
                memcpy(bytes, name.ptr, len);
                bytes[len] = '\0';
        }
        if (error) {
                free(bytes);
                return error;
        }
        return contents_make(o, name, bytes, len, findings, fault, contents);
}

static int changed_meanwhile(const struct origin *o, struct table_fault *fault)
{
        return fault_set(fault, -EAGAIN, "table-unreadable", NULL, "%s changed while it was read",
                         o->path);
}

/* The file of a type that maps it. */
static int map_file(struct origin *o, bool takes_any, struct findings *findings,
                    struct file_stamp *stamp, bool *is_stable, void **contents,
                    struct table_fault *fault)
{
        struct file_stamp after;
        int error = file_stamp_get(o->path, stamp);
        if (error)
                return file_open_fault(fault, str_from(o->path), error);
        o->bad = *stamp;
        error = contents_make(o, str_from(o->path), NULL, 0, findings, fault, contents);
        if (error)
                return error;
        *is_stable = file_stamp_get(o->path, &after) == 0 && file_stamp_eq(stamp, &after);
        if (*is_stable || takes_any)
                return 0;
        o->type->free(*contents);
        return changed_meanwhile(o, fault);
}

/* The file of a type that reads all of it. */
static int read_file(struct origin *o, bool takes_any, struct findings *findings,
                     struct file_stamp *stamp, bool *is_stable, void **contents,
                     struct table_fault *fault)
{
        char *bytes;
        size_t len;
        int error = file_read(o->path, o->type->bytes_max, &bytes, &len, stamp, is_stable, fault);
        if (error)
                return error;
        if (!*is_stable && !takes_any) {
                free(bytes);
                return changed_meanwhile(o, fault);
        }
        o->bad = *stamp;
        /* The very same text: what was made from it stays, with what a server has said meanwhile. */
        uint64_t hash = hash_bytes(bytes, len);
        if (o->text_hash == hash && o->text_len == len && !findings) {
                free(bytes);
                *contents = NULL;
                return 0;
        }
        error = contents_make(o, str_from(o->path), bytes, len, findings, fault, contents);
        if (error == 0) {
                o->text_hash = hash;
                o->text_len = len;
        }
        return error;
}

/*
 * Reads the file; *contents is NULL when it says what it said. -EAGAIN: it changed while it was read (not with
 * `takes_any`).
 */
static int load_file(struct origin *o, bool takes_any, struct findings *findings,
                     struct table_fault *fault, void **contents)
{
        bool is_stable;
        struct file_stamp stamp;
        int error = (o->type->suffix ? map_file : read_file)(o, takes_any, findings, &stamp,
                                                             &is_stable, contents, fault);
        if (error)
                return error;
        o->stamp = stamp;
        o->bad = (struct file_stamp){0};
        o->bad_error = 0;
        o->reads_again = !is_stable || file_stamp_is_young(&stamp);
        o->waiting_since_ms = 0;
        return 0;
}

/* A mapped file that is not there, but its text is. */
static bool explain_unbuilt(const struct origin *o, struct table_fault *fault)
{
        struct str text = str_from(o->path);
        struct file_stamp stamp;
        text.len -= strlen(o->type->suffix);
        char *path = path_make("", text);
        bool is_there = file_stamp_get(path, &stamp) == 0;
        if (is_there) {
                char cure[200];
                snprintf(cure, sizeof(cure), "forepost map build %s:%s", o->type->name, path);
                fault_set(fault, -ENOENT, "table-not-built", cure, "%s does not exist yet, only %s",
                          o->path, path);
        }
        free(path);
        return is_there;
}

/* The text has been changed since the mapped file was made from it. */
static void doubt_if_older(const struct origin *o, struct findings *findings)
{
        struct str text = str_from(o->path);
        struct file_stamp stamp;
        text.len -= strlen(o->type->suffix);
        char *path = path_make("", text);
        if (findings && file_stamp_get(path, &stamp) == 0 &&
            stamp.mtime.tv_sec > o->stamp.mtime.tv_sec) {
                char cure[200];
                snprintf(cure, sizeof(cure), "forepost map build %s:%s", o->type->name, path);
                findings_add(findings, SEVERITY_WARNING, "table-older-than-text",
                             (struct place){str_from(path), 0}, cure,
                             "%s has been changed since %s was made from it: what was changed has "
                             "no effect yet",
                             path, o->path);
        }
        free(path);
}

/* When only the file that postmap made is there, says so. */
static void explain_missing(const struct origin *o, struct table_fault *fault)
{
        static const char *const endings[] = {"db", "cdb", "lmdb", "dir", "pag"};
        if (o->type->suffix && explain_unbuilt(o, fault))
                return;
        if (!o->type->is_text)
                return;
        for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
                char *compiled;
                struct file_stamp stamp;
                check(asprintf(&compiled, "%s.%s", o->path, endings[i]) >= 0);
                int error = file_stamp_get(compiled, &stamp);
                free(compiled);
                if (error)
                        continue;
                fault_set(fault, -ENOENT, "table-source-missing",
                          "put the text that postmap read where the table's name says; "
                          "postmap -s prints it from the compiled file",
                          "%s does not exist, only %s.%s, which postmap made from it; "
                          "Forepost reads the text itself",
                          o->path, o->path, endings[i]);
                return;
        }
}

static int open_from_file(struct origin *o, struct findings *findings, struct table_fault *fault,
                          void **contents)
{
        int error = -EAGAIN;
        for (int i = 1; error == -EAGAIN && i <= READ_TRIES_MAX; i++)
                error = load_file(o, i == READ_TRIES_MAX, findings, fault, contents);
        if (error == -ENOENT)
                explain_missing(o, fault);
        else if (error == 0 && o->type->suffix)
                doubt_if_older(o, findings);
        return error;
}

/* ---- opening ---- */

bool origin_name_is_path(const struct table_type *type, struct str name)
{
        switch (type->source) {
        case SOURCE_FILE:
                return true;
        case SOURCE_FILE_OR_RULES:
                return name.ptr[0] != '{';
        case SOURCE_SETTINGS:
                return name.ptr[0] == '/' || name.ptr[0] == '.';
        case SOURCE_NAME:
                break;
        }
        return false;
}

int origin_name_examine(const struct table_type *type, struct str name, struct table_fault *fault)
{
        if (memchr(name.ptr, '\0', name.len) || name.len > NAME_BYTES_MAX)
                return fault_set(fault, -EINVAL, "table-syntax", NULL,
                                 "the name of a %s: table is too long, or has a NUL byte",
                                 type->name);
        if (str_is_empty(name) && type->source != SOURCE_NAME)
                return fault_set(fault, -EINVAL, "table-syntax", "write type:name",
                                 "\"%s:\" without the name of a file", type->name);
        return 0;
}

static char *file_path_make(const struct table_type *type, const char *dir, struct str name)
{
        char *path = path_make(dir, name);
        if (!type->suffix)
                return path;
        char *with_suffix;
        check(asprintf(&with_suffix, "%s%s", path, type->suffix) >= 0);
        free(path);
        return with_suffix;
}

int origin_open(struct origin *o, const char *dir, struct str name, struct findings *findings,
                struct table_fault *fault, void **contents)
{
        if (!origin_name_is_path(o->type, name))
                return open_from_name(o, name, findings, fault, contents);
        o->path = file_path_make(o->type, dir, name);
        return open_from_file(o, findings, fault, contents);
}

void origin_done(struct origin *o)
{
        free(o->path);
        o->path = NULL;
}

/* ---- noticing changes ---- */

bool origin_is_bad(const struct origin *o)
{
        return o->bad_error || o->bad.ino;
}

static void warn(struct str shown, const struct table_fault *fault)
{
        struct why why;
        fault_to_why(fault, &why);
        log_warning(NULL, "%.*s: the old contents stay: %s",
                    (int)(shown.len > 200 ? 200 : shown.len), shown.ptr, why.text);
}

static void note_unreachable(struct origin *o, struct str shown, int error)
{
        if (o->bad_error == error)
                return;
        struct table_fault fault;
        fault_set(&fault, error, "table-missing", NULL, "%s: %s", o->path, why_errno(error));
        warn(shown, &fault);
        o->bad_error = error;
        o->bad = (struct file_stamp){0};
}

/* Written in place, and perhaps not to the end? */
static bool waits_for_writer(struct origin *o, const struct file_stamp *stamp)
{
        bool is_same_file = stamp->dev == o->stamp.dev && stamp->ino == o->stamp.ino;
        if (!is_same_file || !file_stamp_is_young(stamp))
                return false;
        int64_t now = clock_mono_ms();
        if (o->waiting_since_ms == 0)
                o->waiting_since_ms = now ? now : 1;
        return now - o->waiting_since_ms < WAIT_MS_MAX;
}

static bool reload(struct origin *o, struct str shown, const struct file_stamp *stamp,
                   void **contents)
{
        struct table_fault fault;
        o->bad = *stamp; /* until it has proved good */
        bool takes_any =
                o->waiting_since_ms != 0 && clock_mono_ms() - o->waiting_since_ms >= WAIT_MS_MAX;
        int error = load_file(o, takes_any, NULL, &fault, contents);
        if (error == -EAGAIN) {
                o->bad = (struct file_stamp){0};
                if (o->waiting_since_ms == 0)
                        o->waiting_since_ms = clock_mono_ms() | 1;
                return false;
        }
        if (error) {
                warn(shown, &fault);
                o->reads_again = false;
                o->waiting_since_ms = 0;
                return false;
        }
        return true;
}

bool origin_refresh(struct origin *o, struct str shown, void **contents, bool *is_changed)
{
        struct file_stamp stamp;
        int error = file_stamp_get(o->path, &stamp);
        if (error) {
                note_unreachable(o, shown, error);
                return false;
        }
        *is_changed = !file_stamp_eq(&stamp, &o->stamp);
        o->bad_error = 0;
        if (*is_changed && file_stamp_eq(&stamp, &o->bad))
                return false; /* as wrong as it was */
        if (*is_changed ? waits_for_writer(o, &stamp)
                        : !o->reads_again || file_stamp_is_young(&stamp))
                return false;
        return reload(o, shown, &stamp, contents);
}
