/*
 * mapped_file.c - a table's file that is mapped, and that somebody may write to in place
 *
 * Such a file is to be made beside its name and renamed, as `map build` and postmap do it. Who writes into it nevertheless
 * (cp, an editor, a disk that is full) changes the table under those who look: what is missing is SIGBUS, what is zero or
 * half reads as "no such key", and a user who exists would be refused for good. So after each look-up the file is
 * looked at: 0.2 us. Once it has been changed nothing more is believed, and who asks is to come again later, until
 * table_set_refresh() has read the file as it is then.
 *
 * A change that leaves size and time of change of a cdb as they were is not seen, nor one of an lmdb file that was never
 * shorter than before: LMDB itself writes in place, and its readers are meant to go on.
 */
#include "base/check.h"
#include "base/mapped.h"
#include "table/table_private.h"

#include <stdatomic.h>
#include <unistd.h>

struct mapped_file {
        int fd;
        bool is_constant;
        struct timespec changed;
        atomic_llong bytes; /* the most that was seen */
        atomic_bool is_broken;
};

struct mapped_file *mapped_file_new(int fd, bool is_constant)
{
        struct stat st;
        if (fstat(fd, &st) < 0)
                return NULL;
        struct mapped_file *f = calloc(1, sizeof(*f));
        check(f);
        f->fd = fd;
        f->is_constant = is_constant;
        f->changed = st.st_mtim;
        atomic_init(&f->bytes, st.st_size);
        return f;
}

void mapped_file_free(struct mapped_file **fp)
{
        free(*fp);
        *fp = NULL;
}

static bool has_changed(struct mapped_file *f)
{
        struct stat st;
        if (fstat(f->fd, &st) < 0)
                return true;
        long long most = atomic_load_explicit(&f->bytes, memory_order_relaxed);
        if (f->is_constant)
                return st.st_size != most || st.st_mtim.tv_sec != f->changed.tv_sec ||
                       st.st_mtim.tv_nsec != f->changed.tv_nsec;
        while (st.st_size > most &&
               !atomic_compare_exchange_weak(&f->bytes, &most, (long long)st.st_size))
                ;
        return st.st_size < most;
}

void mapped_record_set(struct mapped_record *r, struct str key, struct str value)
{
        if (!r->bytes.bytes_max)
                buf_init(&r->bytes, SIZE_MAX / 2);
        buf_clear(&r->bytes);
        check(buf_append_str(&r->bytes, key) == 0 && buf_append_str(&r->bytes, value) == 0);
        r->key_len = key.len;
}

bool mapped_file_look(struct mapped_file *f, void (*look)(void *context), void *context)
{
        if (atomic_load_explicit(&f->is_broken, memory_order_relaxed))
                return false;
        bool is_whole = mapped_look(look, context);
        if (!has_changed(f))
                return is_whole;
        atomic_store_explicit(&f->is_broken, true, memory_order_relaxed);
        return false;
}
