/*
 * import.c - lists of domains and users become the text of a table
 *
 * All is looked at before anything is written: a list with one wrong line changes nothing.
 */
#include "table/import.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/map.h"
#include "table/table_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

enum {
        LIST_BYTES_MAX = 256 << 20,
        TEXT_BYTES_MAX = 1 << 30,
        DOMAIN_BYTES_MAX = 255, /* RFC 1035 2.3.4 */
        LABEL_BYTES_MAX = 63,
        LOCAL_BYTES_MAX = 64, /* RFC 5321 4.5.3.1.1 */
};

struct names {
        struct str *list;
        size_t count;
        size_t room;
};

struct work {
        struct table_import *import;
        struct findings *findings;
        struct arena arena;
        struct names domains;
        struct names users;
        struct text_map *there; /* the entries of the target; NULL: it is not there */
        struct buf text;        /* of the target, and what is added */
        size_t errors;
};

__attribute__((format(printf, 5, 6))) static void
complain(struct work *w, const char *file, int line, const char *cure, const char *format, ...)
{
        char text[400];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        w->errors++;
        findings_add(w->findings, SEVERITY_ERROR, "import", (struct place){str_from(file), line},
                     cure, "%s", text);
}

/* ---- what a name may be ---- */

/* Labels of letters, digits, hyphens (and underscores, which exist) or UTF-8. */
static bool is_domain(struct str name)
{
        if (name.len == 0 || name.len > DOMAIN_BYTES_MAX)
                return false;
        while (name.len) {
                bool has_dot = str_find(name, '.') >= 0;
                struct str label = str_cut(&name, '.');
                if (label.len == 0 || label.len > LABEL_BYTES_MAX || label.ptr[0] == '-' ||
                    label.ptr[label.len - 1] == '-' || (has_dot && name.len == 0))
                        return false;
                for (size_t i = 0; i < label.len; i++) {
                        char c = label.ptr[i];
                        if (!char_is_alnum(c) && c != '-' && c != '_' && (unsigned char)c < 0x80)
                                return false;
                }
        }
        return true;
}

/* A Dot-string (RFC 5321 4.1.2), or UTF-8. */
static bool is_local(struct str name)
{
        if (name.len == 0 || name.len > LOCAL_BYTES_MAX || name.ptr[0] == '.' ||
            name.ptr[name.len - 1] == '.' || str_find_str(name, STR("..")) >= 0)
                return false;
        for (size_t i = 0; i < name.len; i++)
                if (!char_is_alnum(name.ptr[i]) && (unsigned char)name.ptr[i] < 0x80 &&
                    !memchr("!#$%&'*+-/=?^_`{|}~.", name.ptr[i], 21))
                        return false;
        return true;
}

static bool is_user(struct str name)
{
        ptrdiff_t at = str_find_last(name, '@');
        if (at < 0)
                return is_local(name);
        return is_local(str_part(name, 0, (size_t)at)) && is_domain(str_tail(name, (size_t)at + 1));
}

/* ---- reading ---- */

static int read_file(struct work *w, const char *path, size_t bytes_max, struct str *text)
{
        struct table_fault fault;
        struct file_stamp stamp;
        bool is_stable;
        char *bytes;
        size_t len;
        int error = file_read(path, bytes_max, &bytes, &len, &stamp, &is_stable, &fault);
        if (error) {
                if (error != -ENOENT || path != w->import->target)
                        complain(w, path, 0, NULL, "%s", fault.text);
                return error;
        }
        *text = arena_str(&w->arena, str_make(bytes, len));
        free(bytes);
        return 0;
}

static void names_add(struct names *n, struct str name)
{
        if (n->count == n->room) {
                n->room = n->room ? n->room * 2 : 64;
                n->list = reallocarray(n->list, n->room, sizeof(*n->list));
                check(n->list);
        }
        n->list[n->count++] = name;
}

/* One name a line, in lower case; blank lines, # comments and repetitions are left out. */
static int read_list(struct work *w, const char *path, bool (*is_good)(struct str),
                     const char *kind, struct names *names)
{
        struct str rest;
        int error = read_file(w, path, LIST_BYTES_MAX, &rest);
        if (error)
                return error;
        struct map seen;
        map_init(&seen);
        for (int number = 1; rest.len; number++) {
                struct str line = str_trim(str_cut(&rest, '\n'));
                if (line.len == 0 || line.ptr[0] == '#')
                        continue;
                struct str name = arena_str_lower(&w->arena, line);
                if (!is_good(name))
                        complain(w, path, number, "one name a line, and nothing else",
                                 "\"%.*s\" is no %s", (int)(line.len > 80 ? 80 : line.len),
                                 line.ptr, kind);
                else if (!map_put(&seen, name, names))
                        names_add(names, name);
        }
        map_done(&seen);
        return 0;
}

/* The target as it stands: its text, and what it says. */
static int read_target(struct work *w)
{
        struct table_fault fault;
        struct str text;
        int error = read_file(w, w->import->target, TEXT_BYTES_MAX, &text);
        if (error == -ENOENT)
                return 0;
        if (error)
                return error;
        char *bytes = strndup(text.ptr, text.len);
        check(bytes);
        struct table_text source = {.at = {str_from(w->import->target), 0},
                                    .is_file = true,
                                    .bytes = bytes,
                                    .len = text.len,
                                    .fault = &fault};
        void *contents;
        error = text_examine(&source);
        if (error == 0)
                error = table_type_texthash.open(&source, &contents);
        free(source.bytes);
        if (error) {
                complain(w, w->import->target, fault.line, fault.cure, "%s", fault.text);
                return error;
        }
        w->there = contents;
        buf_append_str(&w->text, text);
        if (text.len && text.ptr[text.len - 1] != '\n')
                buf_append_char(&w->text, '\n');
        return 0;
}

/* ---- adding ---- */

static void add_entry(struct work *w, struct str key)
{
        struct str value;
        if (w->there && text_map_find(w->there, key, &value)) {
                w->import->found++;
                if (!str_eq(value, str_from(w->import->value)))
                        complain(w, w->import->target, 0,
                                 "change it there by hand, or take it out of the list",
                                 "\"%.*s\" is there with another value: \"%.*s\", not \"%.100s\"",
                                 (int)(key.len > 100 ? 100 : key.len), key.ptr,
                                 (int)(value.len > 100 ? 100 : value.len), value.ptr,
                                 w->import->value);
                return;
        }
        w->import->added++;
        if (buf_printf(&w->text, "%.*s %s\n", STR_ARG(key), w->import->value) < 0)
                complain(w, w->import->target, 0, NULL, "it would be over %d bytes",
                         TEXT_BYTES_MAX);
}

static void add_users(struct work *w)
{
        struct map whole; /* user@domain that the list of users names itself */
        map_init(&whole);
        for (size_t u = 0; u < w->users.count; u++) {
                struct str user = w->users.list[u];
                if (str_find(user, '@') >= 0 && !map_put(&whole, user, w))
                        add_entry(w, user);
        }
        for (size_t d = 0; d < w->domains.count; d++) {
                for (size_t u = 0; u < w->users.count && !w->errors; u++) {
                        struct str user = w->users.list[u];
                        if (str_find(user, '@') >= 0)
                                continue;
                        struct arena arena;
                        arena_init(&arena, 0);
                        struct str key = arena_printf(&arena, "%.*s@%.*s", STR_ARG(user),
                                                      STR_ARG(w->domains.list[d]));
                        if (!map_find(&whole, key))
                                add_entry(w, key);
                        arena_done(&arena);
                }
        }
        map_done(&whole);
}

static int work_do(struct work *w)
{
        struct table_import *import = w->import;
        if (str_is_empty(str_trim(str_from(import->value))) || strchr(import->value, '\n'))
                complain(w, import->target, 0, "write OK, or transport:nexthop",
                         "an entry needs a value");
        int error = read_list(w, import->domains, is_domain, "domain", &w->domains);
        if (import->users) {
                int users_error = read_list(w, import->users, is_user, "user", &w->users);
                error = error ? error : users_error;
        }
        int target_error = read_target(w);
        error = error ? error : target_error;
        import->domains_count = w->domains.count;
        import->users_count = w->users.count;
        if (error || w->errors)
                return error ? error : -EINVAL;
        if (import->users)
                add_users(w);
        for (size_t i = 0; !import->users && i < w->domains.count; i++)
                add_entry(w, w->domains.list[i]);
        if (w->errors)
                return -EINVAL;
        if (import->added == 0)
                return 0;
        struct why why;
        error = file_replace(import->target, buf_str(&w->text), &why);
        if (error)
                complain(w, import->target, 0, NULL, "%s", why.text);
        return error;
}

int table_import(struct table_import *import, struct findings *findings)
{
        struct work w = {.import = import, .findings = findings};
        arena_init(&w.arena, 0);
        buf_init(&w.text, TEXT_BYTES_MAX);
        import->added = import->found = import->users_count = import->domains_count = 0;
        int error = work_do(&w);
        if (error)
                import->added = 0;
        if (w.there)
                text_map_free(w.there);
        buf_done(&w.text);
        free(w.domains.list);
        free(w.users.list);
        arena_done(&w.arena);
        return error;
}
