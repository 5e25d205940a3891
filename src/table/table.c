/*
 * table.c - the set of tables: opening, look-ups, and looking at their files again
 *
 * What a table says stands in a snapshot (snapshot.h), which its origin (origin.h) has read and reads again when the
 * file has changed.
 */
#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "table/origin.h"
#include "table/snapshot.h"

struct table {
        struct str name; /* as it was given first */
        const struct table_type *type;
        struct snapshots snapshots;
        struct origin origin; /* under the set's lock */
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
        snapshots_done(&t->snapshots);
        origin_done(&t->origin);
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

/* ---- opening ---- */
static struct table *table_make(struct table_set *set, const struct table_type *type,
                                struct str name, struct str spec, struct place at, int depth,
                                struct findings *findings, struct table_fault *fault)
{
        struct table *t = aligned_alloc(SNAPSHOT_CACHE_LINE, sizeof(*t));
        check(t);
        *t = (struct table){.type = type,
                            .origin = {.set = set, .type = type, .at = at, .depth = depth}};
        snapshots_init(&t->snapshots, type);
        void *contents;
        if (origin_open(&t->origin, set->dir, name, findings, fault, &contents)) {
                table_free(t);
                return NULL;
        }
        snapshots_put(&t->snapshots, contents);
        t->name = arena_str(&set->arena, spec);
        t->origin.at = (struct place){arena_str(&set->arena, at.file), at.line};
        return t;
}

struct table *table_set_open(struct table_set *set, const struct table_type *type, struct str name,
                             struct str spec, struct place at, int depth, struct findings *findings,
                             struct table_fault *fault)
{
        if (origin_name_examine(type, name, fault))
                return NULL;
        bool is_path = origin_name_is_path(type, name);
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
struct table_snapshot *table_snapshot_hold(struct table *t)
{
        return snapshots_hold(&t->snapshots);
}

static enum table_result snapshot_query(struct table *t, const struct table_query *query)
{
        struct table_snapshot *s = table_snapshot_hold(t);
        enum table_result result = t->type->find(table_snapshot_contents(s), query);
        table_snapshot_release(s);
        snapshots_count(&t->snapshots, result == TABLE_ERROR);
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
                                    .file_time_s =
                                            t->origin.path ? t->origin.stamp.mtime.tv_sec : 0,
                                    .is_old = origin_is_bad(&t->origin)};
        snapshots_figures(&t->snapshots, f);
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

/* ---- looking at the files again ---- */

static void table_refresh(struct table *t)
{
        void *contents;
        bool is_changed;
        if (!origin_refresh(&t->origin, t->name, &contents, &is_changed))
                return;
        if (contents)
                snapshots_put(&t->snapshots, contents);
        if (!is_changed)
                return;
        struct table_snapshot *s = table_snapshot_hold(t);
        size_t count = t->type->count ? t->type->count(table_snapshot_contents(s)) : 0;
        table_snapshot_release(s);
        log_info(NULL, "%.*s: read again: %zu entries",
                 (int)(t->name.len > 200 ? 200 : t->name.len), t->name.ptr, count);
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
                if (set->tables[i]->origin.path)
                        table_refresh(set->tables[i]);
                if (set->tables[i]->type->tend)
                        table_tend(set->tables[i]);
        }
        pthread_mutex_unlock(&set->lock);
}
