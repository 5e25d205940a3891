/* spool_io.c - the system's own calls, until a test takes their place */
#include "spool/spool_io.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int real_openat(int dir, const char *name, int flags, mode_t mode)
{
        return openat(dir, name, flags, mode);
}

const struct spool_io spool_io_real = {
        .openat = real_openat,
        .pwritev = pwritev,
        .fallocate = fallocate,
        .ftruncate = ftruncate,
        .fdatasync = fdatasync,
        .fsync = fsync,
        .unlinkat = unlinkat,
        .renameat = renameat,
};

struct spool_io spool_io = {
        .openat = real_openat,
        .pwritev = pwritev,
        .fallocate = fallocate,
        .ftruncate = ftruncate,
        .fdatasync = fdatasync,
        .fsync = fsync,
        .unlinkat = unlinkat,
        .renameat = renameat,
};
