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
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TXNS = 16 };

/*
 * Transactions that were begun when the file was opened, and are begun anew for each look: that takes no memory, so that a
 * look may be broken off in the middle of it.
 */
struct txns {
        pthread_mutex_t lock;
        MDB_txn *idle[TXNS];
        size_t count; /* that are idle */
};

struct lmdb_contents {
        MDB_env *env;
        struct txns *txns;
        struct mapped_file *file;
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
        int fd;
        if (rc == 0)
                rc = mdb_env_open(c->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS,
                                  0600);
        if (rc == 0)
                rc = mdb_env_get_fd(c->env, &fd);
        if (rc)
                return rc;
        c->file = mapped_file_new(fd, false);
        return c->file ? 0 : errno;
}

/*
 * What the library is doing, kept where it is found when a look is broken off: the library itself reads the map, and what it
 * has begun is to be ended.
 */
struct look {
        const struct lmdb_contents *contents;
        const struct table_query *query;
        MDB_txn *txn;
        bool is_kept; /* one of `txns` */
        MDB_cursor *cursor;
        MDB_dbi dbi;
        bool has_nul;
        size_t entries;
        struct mapped_record record;
        int rc;
};

/* Before the first look. */
static void look_take_txn(struct look *look)
{
        struct txns *t = look->contents->txns;
        pthread_mutex_lock(&t->lock);
        if (t->count) {
                look->txn = t->idle[--t->count];
                look->is_kept = true;
        }
        pthread_mutex_unlock(&t->lock);
}

/* In a look. With more threads than TXNS, one of them may have none. */
static int look_begin(struct look *look)
{
        return look->is_kept ? mdb_txn_renew(look->txn)
                             : mdb_txn_begin(look->contents->env, NULL, MDB_RDONLY, &look->txn);
}

static void look_end(struct look *look)
{
        if (look->cursor)
                mdb_cursor_close(look->cursor);
        look->cursor = NULL;
        if (look->is_kept) {
                struct txns *t = look->contents->txns;
                mdb_txn_reset(look->txn);
                pthread_mutex_lock(&t->lock);
                t->idle[t->count++] = look->txn;
                pthread_mutex_unlock(&t->lock);
        } else if (look->txn) {
                mdb_txn_abort(look->txn);
        }
        look->is_kept = false;
        look->txn = NULL;
}

/* 0, or what the library says; EIO when the file is not what it was. Nothing is under way then. */
static int look_into(struct look *look, void (*what)(void *look))
{
        look->rc = 0;
        if (!look->txn)
                look_take_txn(look);
        bool is_whole = mapped_file_look(look->contents->file, what, look);
        if (!is_whole)
                look->rc = EIO;
        if (look->rc)
                look_end(look);
        return look->rc;
}

static void look_for_nothing(void *context)
{
        struct look *look = context;
        look->rc = look_begin(look);
}

/* Opens the one database of the file, and looks at its first record. */
static void look_first(void *context)
{
        struct look *look = context;
        MDB_val key, value;
        look->rc = look_begin(look);
        if (look->rc == 0)
                look->rc = mdb_dbi_open(look->txn, NULL, 0, &look->dbi);
        if (look->rc == 0)
                look->rc = mdb_cursor_open(look->txn, look->dbi, &look->cursor);
        if (look->rc == 0 && mdb_cursor_get(look->cursor, &key, &value, MDB_FIRST) == 0 &&
            key.mv_size)
                look->has_nul = ((const char *)key.mv_data)[key.mv_size - 1] == '\0';
}

static int look_inside(struct lmdb_contents *c)
{
        struct look look = {.contents = c};
        int rc = look_into(&look, look_first);
        if (rc)
                return rc;
        c->dbi = look.dbi;
        c->has_nul = look.has_nul;
        mdb_cursor_close(look.cursor);
        return mdb_txn_commit(look.txn); /* keeps the handle */
}

static int make_txns(struct lmdb_contents *c)
{
        for (int i = 0; i < TXNS; i++) {
                struct look look = {.contents = c};
                int rc = look_into(&look, look_for_nothing);
                if (rc)
                        return rc;
                mdb_txn_reset(look.txn);
                c->txns->idle[i] = look.txn;
        }
        c->txns->count = TXNS;
        return 0;
}

static void lmdb_unmap(void *contents)
{
        struct lmdb_contents *c = contents;
        for (int i = 0; i < TXNS; i++)
                if (c->txns->idle[i])
                        mdb_txn_abort(c->txns->idle[i]);
        pthread_mutex_destroy(&c->txns->lock);
        free(c->txns);
        mapped_file_free(&c->file);
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
        c->txns = calloc(1, sizeof(*c->txns));
        check(c->txns);
        pthread_mutex_init(&c->txns->lock, NULL);
        int rc = open_env(c, path);
        if (rc == 0)
                rc = look_inside(c);
        if (rc == 0)
                rc = make_txns(c);
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

static void look_for_key(void *context)
{
        struct look *look = context;
        const struct lmdb_contents *c = look->contents;
        const struct table_query *query = look->query;
        char bytes[TABLE_KEY_BYTES_MAX + 1];
        MDB_val key = {query->key.len + c->has_nul, bytes};
        MDB_val value;
        memcpy(bytes, query->key.ptr, query->key.len);
        bytes[query->key.len] = '\0';
        look->rc = look_begin(look);
        if (look->rc == 0)
                look->rc = mdb_get(look->txn, c->dbi, &key, &value);
        if (look->rc == 0)
                *query->value = arena_str(query->arena, text_of(value, c->has_nul));
}

static enum table_result lmdb_query(const void *contents, const struct table_query *query)
{
        const struct lmdb_contents *c = contents;
        struct look look = {.contents = c, .query = query};
        size_t key_bytes = query->key.len + c->has_nul;
        if (query->key.len == 0 || key_bytes > c->key_bytes_max ||
            query->key.len > TABLE_KEY_BYTES_MAX)
                return TABLE_NOT_FOUND; /* no such key can be in the file */
        int rc = look_into(&look, look_for_key);
        look_end(&look);
        if (rc == 0)
                return TABLE_FOUND;
        if (rc == MDB_NOTFOUND)
                return TABLE_NOT_FOUND;
        why_set(query->why, -EIO, "%s", rc == EIO ? MAPPED_FILE_CHANGED : mdb_strerror(rc));
        return TABLE_ERROR;
}

static void look_at_next(void *context)
{
        struct look *look = context;
        const struct lmdb_contents *c = look->contents;
        MDB_val key, value;
        if (!look->cursor)
                look->rc = look_begin(look);
        if (look->rc == 0 && !look->cursor)
                look->rc = mdb_cursor_open(look->txn, c->dbi, &look->cursor);
        if (look->rc == 0)
                look->rc = mdb_cursor_get(look->cursor, &key, &value, MDB_NEXT);
        if (look->rc == 0)
                mapped_record_set(&look->record, text_of(key, c->has_nul),
                                  text_of(value, c->has_nul));
}

static void lmdb_visit(const void *contents, table_visit *each, void *context)
{
        const struct lmdb_contents *c = contents;
        struct look look = {.contents = c};
        while (look_into(&look, look_at_next) == 0 &&
               mapped_record_show(&look.record, each, context))
                ;
        look_end(&look);
        buf_done(&look.record.bytes);
}

static void look_how_many(void *context)
{
        struct look *look = context;
        const struct lmdb_contents *c = look->contents;
        MDB_stat stat = {0};
        look->rc = look_begin(look);
        if (look->rc == 0)
                look->rc = mdb_stat(look->txn, c->dbi, &stat);
        look->entries = stat.ms_entries;
}

static size_t lmdb_count(const void *contents)
{
        const struct lmdb_contents *c = contents;
        struct look look = {.contents = c};
        look_into(&look, look_how_many);
        look_end(&look);
        return look.entries;
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
