/*
 * lmdb.c - lmdb: a B+tree in a mapped file (lmdb_table(5))
 *
 * Each look-up is a read transaction of its own, so a file that Debian's postmap changes in place is
 * seen as it was before or as it is after, never in between. There are no locks: a reader would have
 * to be as slow as two of the writer's transactions to see pages used again.
 *
 * Postfix writes keys and values with a NUL at their end; the first record tells.
 */
#include "base/check.h"
#include "table/table_private.h"

#include <errno.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

struct lmdb_contents {
        MDB_env *env;
        MDB_dbi dbi;
        size_t key_bytes_max;
        bool has_nul;
};

/* The map is address space, not memory: room for what a writer may add in place. */
static size_t map_bytes(off_t file_bytes)
{
        size_t least = (size_t)1 << 32;
        size_t wanted = (size_t)file_bytes * 4;
        return wanted > least ? wanted : least;
}

static int open_env(struct lmdb_contents *c, const char *path)
{
        struct stat st;
        if (stat(path, &st) < 0)
                return errno;
        if (!S_ISREG(st.st_mode))
                return EINVAL;
        int rc = mdb_env_create(&c->env);
        if (rc == 0)
                rc = mdb_env_set_mapsize(c->env, map_bytes(st.st_size));
        if (rc == 0)
                rc = mdb_env_open(c->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS,
                                  0600);
        return rc;
}

/* Opens the one database of the file, and looks at its first record. */
static int look_inside(struct lmdb_contents *c)
{
        MDB_txn *txn;
        int rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn);
        if (rc)
                return rc;
        MDB_cursor *cursor;
        rc = mdb_dbi_open(txn, NULL, 0, &c->dbi);
        if (rc == 0)
                rc = mdb_cursor_open(txn, c->dbi, &cursor);
        if (rc == 0) {
                MDB_val key, value;
                if (mdb_cursor_get(cursor, &key, &value, MDB_FIRST) == 0 && key.mv_size)
                        c->has_nul = ((const char *)key.mv_data)[key.mv_size - 1] == '\0';
                mdb_cursor_close(cursor);
        }
        if (rc == 0)
                return mdb_txn_commit(txn); /* keeps the handle */
        mdb_txn_abort(txn);
        return rc;
}

static void lmdb_unmap(void *contents)
{
        struct lmdb_contents *c = contents;
        if (c->env)
                mdb_env_close(c->env);
        free(c);
}

static int lmdb_map(struct table_text *text, void **contents)
{
        char *path = strndup(text->at.file.ptr, text->at.file.len);
        struct lmdb_contents *c = calloc(1, sizeof(*c));
        if (!c || !path) {
                free(c);
                free(path);
                return text_fault(text, 0, -ENOMEM, "table-too-large", NULL, "out of memory");
        }
        int rc = open_env(c, path);
        if (rc == 0)
                rc = look_inside(c);
        free(path);
        if (rc == 0) {
                c->key_bytes_max = (size_t)mdb_env_get_maxkeysize(c->env);
                *contents = c;
                return 0;
        }
        lmdb_unmap(c);
        if (rc == ENOENT || rc == EACCES || rc == EPERM)
                return file_open_fault(text->fault, text->at.file, -rc);
        return text_fault(text, 0, -EINVAL, "table-damaged",
                          "make it anew: forepost map build lmdb:FILE",
                          "this is no whole lmdb file: %s", mdb_strerror(rc));
}

static struct str text_of(MDB_val v, bool has_nul)
{
        const char *bytes = v.mv_data;
        return str_make(bytes, v.mv_size - (has_nul && v.mv_size && bytes[v.mv_size - 1] == '\0'));
}

static enum table_result lmdb_query(const void *contents, const struct table_query *query)
{
        const struct lmdb_contents *c = contents;
        char bytes[TABLE_KEY_BYTES_MAX + 1];
        MDB_val key = {query->key.len + c->has_nul, bytes};
        if (query->key.len == 0 || key.mv_size > c->key_bytes_max || key.mv_size > sizeof(bytes))
                return TABLE_NOT_FOUND; /* no such key can be in the file */
        memcpy(bytes, query->key.ptr, query->key.len);
        bytes[query->key.len] = '\0';
        MDB_txn *txn;
        MDB_val value;
        int rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn);
        if (rc == 0) {
                rc = mdb_get(txn, c->dbi, &key, &value);
                if (rc == 0)
                        *query->value = arena_str(query->arena, text_of(value, c->has_nul));
                mdb_txn_abort(txn);
        }
        if (rc == 0)
                return TABLE_FOUND;
        if (rc == MDB_NOTFOUND)
                return TABLE_NOT_FOUND;
        why_set(query->why, -EIO, "%s", mdb_strerror(rc));
        return TABLE_ERROR;
}

static void lmdb_visit(const void *contents, table_visit *each, void *context)
{
        const struct lmdb_contents *c = contents;
        MDB_txn *txn;
        if (mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn))
                return;
        MDB_cursor *cursor;
        if (mdb_cursor_open(txn, c->dbi, &cursor) == 0) {
                MDB_val key, value;
                while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0 &&
                       each(context, text_of(key, c->has_nul), text_of(value, c->has_nul)))
                        ;
                mdb_cursor_close(cursor);
        }
        mdb_txn_abort(txn);
}

static size_t lmdb_count(const void *contents)
{
        const struct lmdb_contents *c = contents;
        MDB_txn *txn;
        MDB_stat stat = {0};
        if (mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn) == 0) {
                mdb_stat(txn, c->dbi, &stat);
                mdb_txn_abort(txn);
        }
        return stat.ms_entries;
}

const struct table_type table_type_lmdb = {
        .name = "lmdb",
        .source = SOURCE_FILE,
        .suffix = ".lmdb",
        .folds_key = true,
        .open = lmdb_map,
        .find = lmdb_query,
        .free = lmdb_unmap,
        .count = lmdb_count,
        .each = lmdb_visit,
};

/* ---- building ---- */

/*
 * A record and the first eight bytes of its key as a number: sorting touches the block only where
 * these are the same.
 */
struct sorted {
        uint64_t front;
        uint32_t offset;
};

struct writing {
        const struct text_map *map;
        struct sorted *sorted;
        size_t count;
};

static bool collect(void *context, struct str key, struct str value)
{
        struct writing *w = context;
        struct sorted *s = &w->sorted[w->count++];
        s->offset = (uint32_t)(key.ptr - w->map->block);
        s->front = 0;
        for (size_t i = 0; i < 8; i++)
                s->front = s->front << 8 | (i < key.len ? (unsigned char)key.ptr[i] : 0);
        return true;
}

/* As LMDB orders: bytes, then length; no key has a NUL. */
static int compare(const void *a, const void *b, void *block)
{
        const struct sorted *x = a;
        const struct sorted *y = b;
        if (x->front != y->front)
                return x->front < y->front ? -1 : 1;
        return strcmp((const char *)block + x->offset, (const char *)block + y->offset);
}

/* More than the file can become: records that fit half a page only, large values on pages of their own. */
static size_t file_bytes_max(const struct text_map *map)
{
        return map->block_len * 4 + (size_t)map->count * 64 + ((size_t)16 << 20);
}

static int put_all(MDB_txn *txn, const struct writing *w, struct why *why)
{
        MDB_dbi dbi;
        int rc = mdb_dbi_open(txn, NULL, 0, &dbi);
        for (size_t i = 0; rc == 0 && i < w->count; i++) {
                char *start = w->map->block + w->sorted[i].offset;
                size_t key_len = strlen(start);
                MDB_val key = {key_len + 1, start};
                MDB_val value = {strlen(start + key_len + 1) + 1, start + key_len + 1};
                rc = mdb_put(txn, dbi, &key, &value, MDB_APPEND);
                if (rc == MDB_BAD_VALSIZE)
                        return why_set(why, -EINVAL,
                                       "a key of %zu bytes: lmdb: has room for %d (use cdb:): "
                                       "\"%.60s\"",
                                       key_len, 510, start);
        }
        return rc ? why_set(why, rc > 0 ? -rc : -EIO, "lmdb: %s", mdb_strerror(rc)) : 0;
}

/* The file ends behind its last page: the map was made larger. */
static int fit_file(MDB_env *env, const char *path)
{
        MDB_envinfo info;
        MDB_stat stat;
        mdb_env_info(env, &info);
        mdb_env_stat(env, &stat);
        int rc = mdb_env_sync(env, 1);
        mdb_env_close(env);
        if (rc == 0 && truncate(path, (off_t)(info.me_last_pgno + 1) * stat.ms_psize) < 0)
                rc = errno;
        return rc;
}

static int write_env(const char *path, const struct writing *w, struct why *why)
{
        MDB_env *env;
        MDB_txn *txn;
        int rc = mdb_env_create(&env);
        if (rc)
                return why_set(why, -ENOMEM, "lmdb: %s", mdb_strerror(rc));
        rc = mdb_env_set_mapsize(env, file_bytes_max(w->map));
        if (rc == 0)
                rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_WRITEMAP | MDB_NOSYNC,
                                  0600);
        if (rc == 0)
                rc = mdb_txn_begin(env, NULL, 0, &txn);
        if (rc == 0) {
                int error = put_all(txn, w, why);
                if (error) {
                        mdb_txn_abort(txn);
                        mdb_env_close(env);
                        return error;
                }
                rc = mdb_txn_commit(txn);
        }
        if (rc == 0)
                rc = fit_file(env, path);
        else
                mdb_env_close(env);
        return rc ? why_set(why, rc > 0 ? -rc : -EIO, "cannot write %s: %s", path, mdb_strerror(rc))
                  : 0;
}

int lmdb_write(const char *path, const struct text_map *map, struct why *why)
{
        struct writing w = {.map = map};
        w.sorted = malloc(sizeof(*w.sorted) * (map->count + 1));
        if (!w.sorted)
                return why_set(why, -ENOMEM, "no memory to sort %u entries", map->count);
        text_map_each(map, collect, &w);
        qsort_r(w.sorted, w.count, sizeof(*w.sorted), compare, map->block);
        int error = write_env(path, &w, why);
        free(w.sorted);
        return error;
}
