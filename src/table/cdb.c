/*
 * cdb.c - cdb: a constant database (CDB_README), mapped: two reads for an answer, however large it is
 *
 * As Postfix has it, keys and values without or with a NUL at their end: the first record tells.
 */
#include "base/check.h"
#include "table/table_private.h"

#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct cdb_contents {
        struct cdb cdb;
        int fd;
        struct mapped_file *file;
        size_t entries;
        bool has_nul;
};

/* A bound on all that cdb_get() gives out is the library's own; here only what a sum can tell. */
static int count_entries(struct cdb *cdb, size_t *entries)
{
        const unsigned char *heads = cdb_get(cdb, 2048, 0);
        if (!heads)
                return -EINVAL;
        *entries = 0;
        for (size_t i = 0; i < 256; i++) {
                const unsigned char *head = heads + i * 8;
                uint32_t at = 0;
                uint32_t slots = 0;
                for (int b = 3; b >= 0; b--) {
                        at = at << 8 | head[b];
                        slots = slots << 8 | head[4 + b];
                }
                if (slots && (uint64_t)at + (uint64_t)slots * 8 > cdb->cdb_fsize)
                        return -EINVAL;
                *entries += slots / 2;
        }
        return 0;
}

static bool first_has_nul(struct cdb *cdb)
{
        unsigned at;
        cdb_seqinit(&at, cdb);
        if (cdb_seqnext(&at, cdb) <= 0)
                return false;
        const char *key = cdb_getkey(cdb);
        size_t len = cdb_keylen(cdb);
        return key && len && key[len - 1] == '\0';
}

static void cdb_unmap(void *contents)
{
        struct cdb_contents *c = contents;
        cdb_free(&c->cdb);
        mapped_file_free(&c->file);
        close(c->fd);
        free(c);
}

struct first_look {
        struct cdb_contents *contents;
        int error;
};

static void look_first(void *context)
{
        struct first_look *look = context;
        struct cdb_contents *c = look->contents;
        look->error = count_entries(&c->cdb, &c->entries);
        if (!look->error)
                c->has_nul = first_has_nul(&c->cdb);
}

static int map_open_file(struct cdb_contents *c)
{
        struct first_look look = {.contents = c};
        c->file = mapped_file_new(c->fd, true);
        if (!c->file || cdb_init(&c->cdb, c->fd) < 0)
                return errno ? -errno : -ENOMEM;
        return mapped_file_look(c->file, look_first, &look) ? look.error : -EIO;
}

static int cdb_map(struct table_text *text, void **contents)
{
        char *path = strndup(text->at.file.ptr, text->at.file.len);
        if (!path)
                return text_fault(text, 0, -ENOMEM, "table-too-large", NULL, "out of memory");
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        int error = fd < 0 ? -errno : 0;
        free(path);
        if (error)
                return file_open_fault(text->fault, text->at.file, error);
        struct cdb_contents *c = calloc(1, sizeof(*c));
        check(c);
        c->fd = fd;
        error = map_open_file(c);
        if (error) {
                cdb_unmap(c);
                return text_fault(text, 0, error, "table-damaged",
                                  "make it anew: forepost map build cdb:FILE",
                                  "this is no whole cdb file");
        }
        *contents = c;
        return 0;
}

/* Without the NUL that postalias writes. */
static struct str text_of(const char *bytes, size_t len, bool has_nul)
{
        return str_make(bytes, len - (has_nul && len && bytes[len - 1] == '\0'));
}

struct look {
        const struct cdb_contents *contents;
        const struct table_query *query;
        enum table_result result;
};

static void look_for_key(void *context)
{
        struct look *look = context;
        const struct cdb_contents *c = look->contents;
        const struct table_query *query = look->query;
        struct cdb cdb = c->cdb; /* the library keeps in it what it found */
        char key[TABLE_KEY_BYTES_MAX + 1];
        memcpy(key, query->key.ptr, query->key.len);
        key[query->key.len] = '\0';
        int found = cdb_find(&cdb, key, (unsigned)(query->key.len + c->has_nul));
        look->result = found == 0 ? TABLE_NOT_FOUND : TABLE_FOUND;
        if (found == 0)
                return;
        const char *value = found > 0 ? cdb_getdata(&cdb) : NULL;
        if (value)
                *query->value =
                        arena_str(query->arena, text_of(value, cdb_datalen(&cdb), c->has_nul));
        else
                look->result = TABLE_ERROR;
}

static enum table_result cdb_query(const void *contents, const struct table_query *query)
{
        const struct cdb_contents *c = contents;
        struct look look = {.contents = c, .query = query};
        if (query->key.len > TABLE_KEY_BYTES_MAX)
                return TABLE_NOT_FOUND;
        if (!mapped_file_look(c->file, look_for_key, &look)) {
                why_set(query->why, -EIO, MAPPED_FILE_CHANGED);
                return TABLE_ERROR;
        }
        if (look.result == TABLE_ERROR)
                why_set(query->why, -EIO, "the cdb file is damaged");
        return look.result;
}

struct walk {
        struct cdb cdb;
        unsigned at;
        bool has_nul;
        bool has_one;
        struct mapped_record record;
};

static void look_at_next(void *context)
{
        struct walk *w = context;
        w->has_one = false;
        if (cdb_seqnext(&w->at, &w->cdb) <= 0)
                return;
        const char *key = cdb_getkey(&w->cdb);
        size_t key_len = cdb_keylen(&w->cdb);
        const char *value = cdb_getdata(&w->cdb);
        if (!key || !value)
                return;
        mapped_record_set(&w->record, text_of(key, key_len, w->has_nul),
                          text_of(value, cdb_datalen(&w->cdb), w->has_nul));
        w->has_one = true;
}

static void cdb_visit(const void *contents, table_visit *each, void *context)
{
        const struct cdb_contents *c = contents;
        struct walk w = {.cdb = c->cdb, .has_nul = c->has_nul};
        cdb_seqinit(&w.at, &w.cdb);
        while (mapped_file_look(c->file, look_at_next, &w) && w.has_one &&
               mapped_record_show(&w.record, each, context))
                ;
        buf_done(&w.record.bytes);
}

static size_t cdb_count(const void *contents)
{
        const struct cdb_contents *c = contents;
        return c->entries;
}

const struct table_type table_type_cdb = {
        .name = "cdb",
        .source = SOURCE_FILE,
        .suffix = ".cdb",
        .folds_key = true,
        .open = cdb_map,
        .find = cdb_query,
        .free = cdb_unmap,
        .count = cdb_count,
        .each = cdb_visit,
};

/* ---- building ---- */
struct writing {
        struct cdb_make make;
        int error;
};

static bool write_record(void *context, struct str key, struct str value)
{
        struct writing *w = context;
        if (cdb_make_add(&w->make, key.ptr, (unsigned)key.len, value.ptr, (unsigned)value.len) < 0)
                w->error = errno ? -errno : -EIO;
        return !w->error;
}

int cdb_write(const char *path, const struct text_map *map, struct why *why)
{
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return why_set(why, -errno, "%s: %s", path, why_errno(errno));
        static __thread struct writing w; /* large for a frame */
        w.error = 0;
        errno = 0;
        if (cdb_make_start(&w.make, fd) < 0)
                w.error = errno ? -errno : -EIO;
        if (!w.error)
                text_map_each(map, write_record, &w);
        if (cdb_make_finish(&w.make) < 0 && !w.error)
                w.error = errno ? -errno : -EIO;
        close(fd);
        if (w.error == -ENOMEM || w.error == -EFBIG)
                return why_set(why, w.error, "a cdb file may have at most 4 GB; use lmdb:");
        if (w.error)
                return why_set(why, w.error, "cannot write %s: %s", path, why_errno(w.error));
        return 0;
}
