/*
 * table.c - the set of tables: opening, look-ups, and noticing that a file has changed
 *
 * What a table says stands in a snapshot: immutable, counted, freed by the last who looks at it.
 * The table points to the newest one; taking it and its count happens under a lock that is held
 * for two instructions. So that threads which look at one table do not pass a lock and a counter from
 * processor to processor, each has a lane of its own: a lock, a pointer, and a share of the snapshot
 * with its own count. The snapshot counts its shares that are in use, and ends with the last.
 *
 * When a file has changed (file.c tells how it is known):
 *   - put in place by rename: another inode, complete as a rule: read at once;
 *   - written in place: the writer may be in the middle, and half of a list of recipients would
 *     refuse the other half for good. So it is read when it has been quiet for a second, or after WAIT_MS_MAX;
 *   - changed while it was read: what was read is dropped, and it is read at the next refresh;
 *   - wrong or gone: the old contents stay, one warning, and it is tried again when it changes.
 * A file that was read when young is read once more when it no longer is: a second change within
 * the same tick of the file system's clock does not show.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "table/table_private.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
        WAIT_MS_MAX = 5000,       /* for a writer to be quiet */
        READ_TRIES_MAX = 3,       /* when the file changes while it is opened for the first time */
        NAME_BYTES_MAX = 1 << 20, /* of a specification, as inline: may be long */
        LANES = 16,               /* threads beyond these share them */
        CACHE_LINE = 64,
};

/* One lane's part of a snapshot. */
struct table_snapshot {
        _Alignas(CACHE_LINE) atomic_uint users; /* the lane itself is one */
        struct version *version;
};

/* What was read at one time. */
struct version {
        atomic_uint shares; /* that are in use */
        const struct table_type *type;
        void *contents;
        struct table_snapshot share[LANES];
};

struct lane {
        _Alignas(CACHE_LINE) pthread_mutex_t lock;
        struct table_snapshot *now;
        atomic_ullong looks, errors; /* by the threads of this lane */
};

struct table {
        struct table_set *set;
        const struct table_type *type;
        struct str name; /* as it was given first */
        struct place at;
        int depth;
        char *path; /* NULL: not from a file */

        struct lane lanes[LANES];

        /* the rest is under the set's lock */
        struct file_stamp stamp; /* of what `now` was made from */
        struct file_stamp bad;   /* of a file that was wrong, or all 0 */
        uint64_t text_hash;      /* of the text that `now` was made from; 0: not from one */
        size_t text_len;
        int bad_error;            /* why it could not be looked at: ENOENT; 0: it could */
        bool reads_again;         /* `now` was read from a young file */
        int64_t waiting_since_ms; /* for a writer to be quiet; 0: not waiting */
};

struct ending {
        struct ending *next;
        void (*done)(void *);
        void *context;
};

struct table_set {
        atomic_uint refs;
        char *dir;
        pthread_mutex_t lock; /* recursive: a table may name other tables */
        struct table **tables;
        size_t count;
        size_t room;
        struct map by_key; /* "type:path" */
        struct arena arena;
        struct ending *endings;
        struct config *config; /* or NULL */
};

/* ---- snapshots ---- */

/* The lane of this thread, in every table. */
static unsigned lane_of_thread(void)
{
        static atomic_uint threads;
        static __thread unsigned own; /* counted from 1 */
        if (own == 0)
                own = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % LANES;
        return own - 1;
}

struct table_snapshot *table_snapshot_hold(struct table *t)
{
        struct lane *lane = &t->lanes[lane_of_thread()];
        pthread_mutex_lock(&lane->lock);
        struct table_snapshot *s = lane->now;
        atomic_fetch_add_explicit(&s->users, 1, memory_order_relaxed);
        pthread_mutex_unlock(&lane->lock);
        return s;
}

void table_snapshot_release(struct table_snapshot *s)
{
        if (atomic_fetch_sub_explicit(&s->users, 1, memory_order_acq_rel) != 1)
                return;
        struct version *v = s->version;
        if (atomic_fetch_sub_explicit(&v->shares, 1, memory_order_acq_rel) != 1)
                return;
        v->type->free(v->contents);
        free(v);
}

const void *table_snapshot_contents(const struct table_snapshot *s)
{
        return s->version->contents;
}

/* Puts new contents in the place of the old ones. */
static void snapshot_put(struct table *t, void *contents)
{
        struct version *v = aligned_alloc(CACHE_LINE, sizeof(*v));
        check(v);
        v->type = t->type;
        v->contents = contents;
        atomic_init(&v->shares, LANES);
        for (unsigned i = 0; i < LANES; i++) {
                struct table_snapshot *s = &v->share[i];
                s->version = v;
                atomic_init(&s->users, 1);
                pthread_mutex_lock(&t->lanes[i].lock);
                struct table_snapshot *old = t->lanes[i].now;
                t->lanes[i].now = s;
                pthread_mutex_unlock(&t->lanes[i].lock);
                if (old)
                        table_snapshot_release(old);
        }
}

/* ---- the set ---- */
struct table_set *table_set_new(const char *dir)
{
        struct table_set *set = calloc(1, sizeof(*set));
        check(set);
        atomic_init(&set->refs, 1);
        set->dir = strdup(dir);
        check(set->dir);
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
        pthread_mutex_init(&set->lock, &attributes);
        pthread_mutexattr_destroy(&attributes);
        map_init(&set->by_key);
        arena_init(&set->arena, 0);
        return set;
}

static void table_free(struct table *t)
{
        for (unsigned i = 0; i < LANES; i++) {
                if (t->lanes[i].now)
                        table_snapshot_release(t->lanes[i].now);
                pthread_mutex_destroy(&t->lanes[i].lock);
        }
        free(t->path);
        free(t);
}

struct table_set *table_set_ref(struct table_set *set)
{
        atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
        return set;
}

void table_set_free(struct table_set **set)
{
        struct table_set *s = *set;
        *set = NULL;
        if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
                return;
        for (struct ending *e = s->endings; e; e = e->next)
                e->done(e->context);
        for (size_t i = 0; i < s->count; i++)
                table_free(s->tables[i]);
        free(s->tables);
        map_done(&s->by_key);
        arena_done(&s->arena);
        pthread_mutex_destroy(&s->lock);
        if (s->config)
                config_unref(&s->config);
        free(s->dir);
        free(s);
}

void table_set_use_config(struct table_set *set, struct config *config)
{
        check(!set->config && set->count == 0);
        set->config = config_ref(config);
}

const struct config *table_set_config(const struct table_set *set)
{
        return set->config;
}

void *table_set_alloc(struct table_set *set, size_t bytes)
{
        pthread_mutex_lock(&set->lock);
        void *memory = arena_alloc(&set->arena, bytes);
        pthread_mutex_unlock(&set->lock);
        return memory;
}

void table_set_at_end(struct table_set *set, void (*done)(void *), void *context)
{
        pthread_mutex_lock(&set->lock);
        struct ending *e = arena_new(&set->arena, struct ending);
        *e = (struct ending){set->endings, done, context};
        set->endings = e;
        pthread_mutex_unlock(&set->lock);
}

static void set_add(struct table_set *set, struct table *t, struct str key)
{
        if (set->count == set->room) {
                set->room = set->room ? set->room * 2 : 16;
                struct table **tables =
                        reallocarray(set->tables, set->room, sizeof(struct table *));
                check(tables);
                set->tables = tables;
        }
        set->tables[set->count++] = t;
        map_put(&set->by_key, key, t);
}

/* ---- reading ---- */

int text_examine(struct table_text *text)
{
        const char *nul = memchr(text->bytes, '\0', text->len);
        if (nul) {
                int line = 1;
                for (const char *p = text->bytes; p < nul; p++)
                        line += *p == '\n';
                return text_fault(text, line, -EINVAL, "table-binary",
                                  "name the text that it was made from",
                                  "there is a NUL byte: this is no text");
        }
        if (text->len >= 3 && memcmp(text->bytes, "\xef\xbb\xbf", 3) == 0) {
                int count = 0;
                text_doubt(text, 1, &count, "table-byte-order-mark",
                           "save the file without a byte order mark",
                           "the file begins with a byte order mark; it is left out");
                text->len -= 3;
                memmove(text->bytes, text->bytes + 3, text->len + 1);
        }
        return 0;
}

/* Makes contents from text. `bytes` is freed; NULL: the type maps the file itself. */
static int contents_make(struct table *t, struct str name, char *bytes, size_t len,
                         struct findings *findings, struct table_fault *fault, void **contents)
{
        struct table_text text = {
                .set = t->set,
                .type = t->type,
                .name = name,
                .at = t->path ? (struct place){str_from(t->path), 0} : t->at,
                .is_file = t->path != NULL,
                .depth = t->depth,
                .bytes = bytes,
                .len = len,
                .findings = findings,
                .fault = fault,
        };
        int error = bytes ? text_examine(&text) : 0;
        if (error == 0)
                error = t->type->open(&text, contents);
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
static int open_from_name(struct table *t, struct str name, struct findings *findings,
                          struct table_fault *fault)
{
        if (name.len > t->type->bytes_max)
                return fault_set(fault, -EFBIG, "table-too-large", "put it into a file",
                                 "a table of %zu bytes in main.cf; at most %zu are possible",
                                 name.len, t->type->bytes_max);
        char *bytes = malloc(name.len + 1);
        check(bytes);
        size_t len = name.len;
        int error = 0;
        if (t->type->source == SOURCE_FILE_OR_RULES) {
                error = rules_to_lines(name, bytes, &len, fault);
        } else {
                memcpy(bytes, name.ptr, len);
                bytes[len] = '\0';
        }
        if (error) {
                free(bytes);
                return error;
        }
        void *contents;
        error = contents_make(t, name, bytes, len, findings, fault, &contents);
        if (error == 0)
                snapshot_put(t, contents);
        return error;
}

static int changed_meanwhile(const struct table *t, struct table_fault *fault)
{
        return fault_set(fault, -EAGAIN, "table-unreadable", NULL, "%s changed while it was read",
                         t->path);
}

/* The file of a type that maps it. */
static int map_file(struct table *t, bool takes_any, struct findings *findings,
                    struct file_stamp *stamp, bool *is_stable, void **contents,
                    struct table_fault *fault)
{
        struct file_stamp after;
        int error = file_stamp_get(t->path, stamp);
        if (error)
                return file_open_fault(fault, str_from(t->path), error);
        t->bad = *stamp;
        error = contents_make(t, str_from(t->path), NULL, 0, findings, fault, contents);
        if (error)
                return error;
        *is_stable = file_stamp_get(t->path, &after) == 0 && file_stamp_eq(stamp, &after);
        if (*is_stable || takes_any)
                return 0;
        t->type->free(*contents);
        return changed_meanwhile(t, fault);
}

/* The file of a type that reads all of it. */
static int read_file(struct table *t, bool takes_any, struct findings *findings,
                     struct file_stamp *stamp, bool *is_stable, void **contents,
                     struct table_fault *fault)
{
        char *bytes;
        size_t len;
        int error = file_read(t->path, t->type->bytes_max, &bytes, &len, stamp, is_stable, fault);
        if (error)
                return error;
        if (!*is_stable && !takes_any) {
                free(bytes);
                return changed_meanwhile(t, fault);
        }
        t->bad = *stamp;
        /* The very same text: what was made from it stays, with what a server has said meanwhile. */
        uint64_t hash = hash_bytes(bytes, len);
        if (t->text_hash == hash && t->text_len == len && !findings) {
                free(bytes);
                *contents = NULL;
                return 0;
        }
        error = contents_make(t, str_from(t->path), bytes, len, findings, fault, contents);
        if (error == 0) {
                t->text_hash = hash;
                t->text_len = len;
        }
        return error;
}

/*
 * Reads the file and swaps its contents in. -EAGAIN: it changed while it was read (not with
 * `takes_any`).
 */
static int load_file(struct table *t, bool takes_any, struct findings *findings,
                     struct table_fault *fault)
{
        bool is_stable;
        struct file_stamp stamp;
        void *contents;
        int error = (t->type->suffix ? map_file : read_file)(t, takes_any, findings, &stamp,
                                                             &is_stable, &contents, fault);
        if (error)
                return error;
        if (contents)
                snapshot_put(t, contents);
        t->stamp = stamp;
        t->bad = (struct file_stamp){0};
        t->bad_error = 0;
        t->reads_again = !is_stable || file_stamp_is_young(&stamp);
        t->waiting_since_ms = 0;
        return 0;
}

/* A mapped file that is not there, but its text is. */
static bool explain_unbuilt(const struct table *t, struct table_fault *fault)
{
        struct str text = str_from(t->path);
        struct file_stamp stamp;
        text.len -= strlen(t->type->suffix);
        char *path = path_make("", text);
        bool is_there = file_stamp_get(path, &stamp) == 0;
        if (is_there) {
                char cure[200];
                snprintf(cure, sizeof(cure), "forepost map build %s:%s", t->type->name, path);
                fault_set(fault, -ENOENT, "table-not-built", cure, "%s does not exist yet, only %s",
                          t->path, path);
        }
        free(path);
        return is_there;
}

/* The text has been changed since the mapped file was made from it. */
static void doubt_if_older(const struct table *t, struct findings *findings)
{
        struct str text = str_from(t->path);
        struct file_stamp stamp;
        text.len -= strlen(t->type->suffix);
        char *path = path_make("", text);
        if (findings && file_stamp_get(path, &stamp) == 0 &&
            stamp.mtime.tv_sec > t->stamp.mtime.tv_sec) {
                char cure[200];
                snprintf(cure, sizeof(cure), "forepost map build %s:%s", t->type->name, path);
                findings_add(findings, SEVERITY_WARNING, "table-older-than-text",
                             (struct place){str_from(path), 0}, cure,
                             "%s has been changed since %s was made from it: what was changed has "
                             "no effect yet",
                             path, t->path);
        }
        free(path);
}

/* When only the file that postmap made is there, says so. */
static void explain_missing(const struct table *t, struct table_fault *fault)
{
        static const char *const endings[] = {"db", "cdb", "lmdb", "dir", "pag"};
        if (t->type->suffix && explain_unbuilt(t, fault))
                return;
        if (!t->type->is_text)
                return;
        for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
                char *compiled;
                struct file_stamp stamp;
                check(asprintf(&compiled, "%s.%s", t->path, endings[i]) >= 0);
                int error = file_stamp_get(compiled, &stamp);
                free(compiled);
                if (error)
                        continue;
                fault_set(fault, -ENOENT, "table-source-missing",
                          "put the text that postmap read where the table's name says; "
                          "postmap -s prints it from the compiled file",
                          "%s does not exist, only %s.%s, which postmap made from it; "
                          "Forepost reads the text itself",
                          t->path, t->path, endings[i]);
                return;
        }
}

static int open_from_file(struct table *t, struct findings *findings, struct table_fault *fault)
{
        int error = -EAGAIN;
        for (int i = 1; error == -EAGAIN && i <= READ_TRIES_MAX; i++)
                error = load_file(t, i == READ_TRIES_MAX, findings, fault);
        if (error == -ENOENT)
                explain_missing(t, fault);
        else if (error == 0 && t->type->suffix)
                doubt_if_older(t, findings);
        return error;
}

/* ---- opening ---- */
static bool name_is_path(const struct table_type *type, struct str name)
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

static int name_examine(const struct table_type *type, struct str name, struct table_fault *fault)
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

static char *table_path_make(struct table_set *set, const struct table_type *type, struct str name)
{
        char *path = path_make(set->dir, name);
        if (!type->suffix)
                return path;
        char *with_suffix;
        check(asprintf(&with_suffix, "%s%s", path, type->suffix) >= 0);
        free(path);
        return with_suffix;
}

static struct table *table_make(struct table_set *set, const struct table_type *type,
                                struct str name, struct str spec, struct place at, int depth,
                                struct findings *findings, struct table_fault *fault)
{
        bool is_file = name_is_path(type, name);
        struct table *t = aligned_alloc(CACHE_LINE, sizeof(*t));
        check(t);
        *t = (struct table){0};
        for (unsigned i = 0; i < LANES; i++)
                pthread_mutex_init(&t->lanes[i].lock, NULL);
        t->set = set;
        t->type = type;
        t->depth = depth;
        t->path = is_file ? table_path_make(set, type, name) : NULL;
        t->at = at;
        int error = is_file ? open_from_file(t, findings, fault)
                            : open_from_name(t, name, findings, fault);
        if (error) {
                table_free(t);
                return NULL;
        }
        t->name = arena_str(&set->arena, spec);
        t->at = (struct place){arena_str(&set->arena, at.file), at.line};
        return t;
}

struct table *table_set_open(struct table_set *set, const struct table_type *type, struct str name,
                             struct str spec, struct place at, int depth, struct findings *findings,
                             struct table_fault *fault)
{
        if (name_examine(type, name, fault))
                return NULL;
        bool is_path = name_is_path(type, name);
        char *path = is_path ? path_make(set->dir, name) : NULL;
        char *key;
        int n = path ? asprintf(&key, "%s:%s", type->name, path)
                     : asprintf(&key, "%s:%.*s", type->name, STR_ARG(name));
        check(n >= 0);
        free(path);

        pthread_mutex_lock(&set->lock);
        struct table *t = map_find(&set->by_key, str_from(key));
        if (!t) {
                t = table_make(set, type, name, spec, at, depth, findings, fault);
                if (t)
                        set_add(set, t, str_from(key));
        }
        pthread_mutex_unlock(&set->lock);
        free(key);
        return t;
}

struct table *table_set_open_spec(struct table_set *set, struct str spec, struct place at,
                                  int depth, struct findings *findings, struct table_fault *fault)
{
        struct str name;
        spec = str_trim(spec);
        const struct table_type *type = table_type_find(spec, &name, fault);
        if (!type)
                return NULL;
        return table_set_open(set, type, name, spec, at, depth, findings, fault);
}

struct table *table_open(struct table_set *set, struct str spec, struct place at,
                         struct findings *findings, struct why *why)
{
        struct table_fault fault;
        struct table *t = table_set_open_spec(set, spec, at, 0, findings, &fault);
        if (!t)
                fault_to_why(&fault, why);
        return t;
}

struct str table_name(const struct table *t)
{
        return t->name;
}

bool table_is_pattern(const struct table *t)
{
        return t->type->is_pattern;
}

bool table_has_any_key(const struct table *t)
{
        return t->type->has_any_key;
}

bool table_each(struct table *t, table_visit *each, void *context)
{
        if (!t->type->each)
                return false;
        struct table_snapshot *s = table_snapshot_hold(t);
        t->type->each(table_snapshot_contents(s), each, context);
        table_snapshot_release(s);
        return true;
}

/* ---- look-ups ---- */
static void count(struct table *t, enum table_result result)
{
        struct lane *lane = &t->lanes[lane_of_thread()];
        atomic_fetch_add_explicit(&lane->looks, 1, memory_order_relaxed);
        if (result == TABLE_ERROR)
                atomic_fetch_add_explicit(&lane->errors, 1, memory_order_relaxed);
}

static enum table_result snapshot_query(struct table *t, const struct table_query *query)
{
        struct table_snapshot *s = table_snapshot_hold(t);
        enum table_result result = t->type->find(table_snapshot_contents(s), query);
        table_snapshot_release(s);
        count(t, result);
        /* of tables made of tables, the innermost comes first */
        if (result == TABLE_FOUND && query->rule && query->rule->table.len == 0)
                query->rule->table = t->name;
        if (result == TABLE_ERROR)
                why_prefix(query->why, 0, "%.*s", (int)(t->name.len > 200 ? 200 : t->name.len),
                           t->name.ptr);
        return result;
}

enum table_result await_table_query(struct table *t, const struct table_query *query)
{
        if (!t->type->folds_key)
                return snapshot_query(t, query);
        struct str key = query->key;
        char folded[TABLE_KEY_BYTES_MAX];
        if (key.len > sizeof(folded))
                return TABLE_NOT_FOUND;
        for (size_t i = 0; i < key.len; i++)
                folded[i] = char_lower(key.ptr[i]);
        struct table_query lower = *query;
        lower.key = str_make(folded, key.len);
        return snapshot_query(t, &lower);
}

enum table_result await_table_find(struct table *t, struct str key, struct arena *arena,
                                   struct str *value, struct why *why)
{
        struct table_query query = {.key = key, .arena = arena, .value = value, .why = why};
        return await_table_query(t, &query);
}

enum table_result await_table_find_rule(struct table *t, struct str key, struct arena *arena,
                                        struct str *value, struct table_rule *rule, struct why *why)
{
        struct table_query query = {
                .key = key, .arena = arena, .value = value, .rule = rule, .why = why};
        *rule = (struct table_rule){.table = STR("")};
        enum table_result result = await_table_query(t, &query);
        if (result != TABLE_FOUND) /* the first of a pipemap: may have answered */
                *rule = (struct table_rule){.table = STR("")};
        return result;
}

void table_query_note_rule(const struct table_query *query, int line, struct str pattern)
{
        if (!query->rule)
                return;
        query->rule->line = line;
        query->rule->pattern = arena_str(query->arena, pattern);
}

/* ---- figures ---- */

/* Under the set's lock. */
static void table_figures(struct table *t, struct table_figures *f)
{
        *f = (struct table_figures){.name = t->name,
                                    .has_entries = t->type->count != NULL,
                                    .file_time_s = t->path ? t->stamp.mtime.tv_sec : 0,
                                    .is_old = t->bad_error || t->bad.ino};
        for (size_t i = 0; i < LANES; i++) {
                f->looks += atomic_load_explicit(&t->lanes[i].looks, memory_order_relaxed);
                f->errors += atomic_load_explicit(&t->lanes[i].errors, memory_order_relaxed);
        }
        struct table_snapshot *s = table_snapshot_hold(t);
        if (t->type->count)
                f->entries = t->type->count(table_snapshot_contents(s));
        if (t->type->figures)
                t->type->figures(table_snapshot_contents(s), f);
        table_snapshot_release(s);
}

void table_set_figures(struct table_set *set,
                       void (*each)(void *context, const struct table_figures *figures),
                       void *context)
{
        pthread_mutex_lock(&set->lock);
        for (size_t i = 0; i < set->count; i++) {
                struct table_figures f;
                table_figures(set->tables[i], &f);
                each(context, &f);
        }
        pthread_mutex_unlock(&set->lock);
}

/* ---- noticing changes ---- */
static void warn_once(struct table *t, const struct table_fault *fault)
{
        struct why why;
        fault_to_why(fault, &why);
        log_warning(NULL, "%.*s: the old contents stay: %s",
                    (int)(t->name.len > 200 ? 200 : t->name.len), t->name.ptr, why.text);
}

static void refresh_unreachable(struct table *t, int error)
{
        if (t->bad_error == error)
                return;
        struct table_fault fault;
        fault_set(&fault, error, "table-missing", NULL, "%s: %s", t->path, why_errno(error));
        warn_once(t, &fault);
        t->bad_error = error;
        t->bad = (struct file_stamp){0};
}

/* Written in place, and perhaps not to the end? */
static bool waits_for_writer(struct table *t, const struct file_stamp *stamp)
{
        bool is_same_file = stamp->dev == t->stamp.dev && stamp->ino == t->stamp.ino;
        if (!is_same_file || !file_stamp_is_young(stamp))
                return false;
        int64_t now = clock_mono_ms();
        if (t->waiting_since_ms == 0)
                t->waiting_since_ms = now ? now : 1;
        return now - t->waiting_since_ms < WAIT_MS_MAX;
}

static void reload(struct table *t, const struct file_stamp *stamp, bool is_changed)
{
        struct table_fault fault;
        t->bad = *stamp; /* until it has proved good */
        bool takes_any =
                t->waiting_since_ms != 0 && clock_mono_ms() - t->waiting_since_ms >= WAIT_MS_MAX;
        int error = load_file(t, takes_any, NULL, &fault);
        if (error == -EAGAIN) {
                t->bad = (struct file_stamp){0};
                if (t->waiting_since_ms == 0)
                        t->waiting_since_ms = clock_mono_ms() | 1;
                return;
        }
        if (error) {
                warn_once(t, &fault);
                t->reads_again = false;
                t->waiting_since_ms = 0;
                return;
        }
        if (!is_changed)
                return;
        struct table_snapshot *s = table_snapshot_hold(t);
        size_t count = t->type->count ? t->type->count(table_snapshot_contents(s)) : 0;
        table_snapshot_release(s);
        log_info(NULL, "%.*s: read again: %zu entries",
                 (int)(t->name.len > 200 ? 200 : t->name.len), t->name.ptr, count);
}

static void table_refresh(struct table *t)
{
        struct file_stamp stamp;
        int error = file_stamp_get(t->path, &stamp);
        if (error) {
                refresh_unreachable(t, error);
                return;
        }
        bool is_changed = !file_stamp_eq(&stamp, &t->stamp);
        t->bad_error = 0;
        if (is_changed && file_stamp_eq(&stamp, &t->bad))
                return; /* as wrong as it was */
        if (is_changed ? waits_for_writer(t, &stamp)
                       : !t->reads_again || file_stamp_is_young(&stamp))
                return;
        reload(t, &stamp, is_changed);
}

static void table_tend(struct table *t)
{
        struct table_snapshot *s = table_snapshot_hold(t);
        t->type->tend(table_snapshot_contents(s));
        table_snapshot_release(s);
}

void table_set_refresh(struct table_set *set)
{
        pthread_mutex_lock(&set->lock);
        for (size_t i = 0; i < set->count; i++) { /* a match list may add tables meanwhile */
                if (set->tables[i]->path)
                        table_refresh(set->tables[i]);
                if (set->tables[i]->type->tend)
                        table_tend(set->tables[i]);
        }
        pthread_mutex_unlock(&set->lock);
}
