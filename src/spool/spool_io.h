/*
 * spool_io.h - every call by which this room changes the disk goes through here, so that tests can make
 * each of them fail, fall short, or be the last one before the power goes
 *
 * Threads: replaced only while no spool is open.
 */
#ifndef SPOOL_SPOOL_IO_H
#define SPOOL_SPOOL_IO_H

#include <sys/types.h>
#include <sys/uio.h>

/* As the system calls of the same names. */
struct spool_io {
        int (*openat)(int dir, const char *name, int flags, mode_t mode);
        ssize_t (*pwritev)(int fd, const struct iovec *iov, int count, off_t at);
        int (*fallocate)(int fd, int mode, off_t at, off_t len);
        int (*ftruncate)(int fd, off_t len);
        int (*fdatasync)(int fd);
        int (*fsync)(int fd);
        int (*unlinkat)(int dir, const char *name, int flags);
        int (*renameat)(int from_dir, const char *from, int to_dir, const char *to);
};

extern struct spool_io spool_io;
extern const struct spool_io spool_io_real;

#endif
