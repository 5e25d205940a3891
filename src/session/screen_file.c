/*
 * screen_file.c - who has passed postscreen's tests, kept over a restart
 *
 * A header, one record for each client, and a checksum over all; in the order of bytes of this machine, as the file stays
 * here. It is written beside its place and renamed, so there is always a whole one. What is no such file, or not whole, is
 * not believed at all: its clients are tested again, and that is all the harm.
 */
#include "base/crc32c.h"
#include "session/screen_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLICE = 4096 }; /* clients under the lock at a time */

struct file_head {
        char magic[16];
        uint32_t order; /* of bytes: ORDER */
        uint32_t record_bytes;
        uint64_t count;
};
struct file_record {
        unsigned char address[16];
        struct screen_passes passes;
        uint32_t forgotten_s;
};
static const char magic[16] = "forepost passes";
enum { ORDER = 0x01020304 };

/* ---- writing ---- */

struct writer {
        int fd;
        int64_t now_s;
        uint64_t count;
        uint32_t sum;
        struct file_record slice[SLICE];
        size_t used;
        int error;
};

static int write_all(int fd, const void *bytes, size_t len)
{
        const char *at = bytes;
        while (len) {
                ssize_t n = write(fd, at, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                at += n;
                len -= (size_t)n;
        }
        return 0;
}

/* Under the cache's lock: copies, and writes nothing. */
static void take(void *context, const unsigned char address[16], const struct screen_passes *passes,
                 uint32_t forgotten_s)
{
        struct writer *w = context;
        if (forgotten_s <= w->now_s)
                return;
        struct file_record *r = &w->slice[w->used++];
        memcpy(r->address, address, sizeof(r->address));
        r->passes = *passes;
        r->forgotten_s = forgotten_s;
}

static int write_records(struct screen_cache *c, struct writer *w)
{
        uint32_t at = 0;
        bool has_more = true;
        while (has_more && w->error == 0) {
                w->used = 0;
                has_more = screen_cache_slice(c, &at, SLICE, take, w);
                size_t bytes = w->used * sizeof(w->slice[0]);
                w->sum = crc32c(w->sum, w->slice, bytes);
                w->error = write_all(w->fd, w->slice, bytes);
                w->count += w->used;
        }
        return w->error;
}

static int write_file(struct screen_cache *c, struct writer *w)
{
        struct file_head head = {.order = ORDER, .record_bytes = sizeof(struct file_record)};
        memcpy(head.magic, magic, sizeof(magic));
        int rc = write_all(w->fd, &head, sizeof(head));
        if (rc == 0)
                rc = write_records(c, w);
        head.count = w->count;
        uint32_t sum = crc32c(w->sum, &head, sizeof(head));
        if (rc == 0)
                rc = write_all(w->fd, &sum, sizeof(sum));
        if (rc == 0 && pwrite(w->fd, &head, sizeof(head), 0) != sizeof(head))
                rc = -EIO;
        return rc == 0 && fsync(w->fd) < 0 ? -errno : rc;
}

int screen_cache_save(struct screen_cache *c, const char *path, int64_t now_s, struct why *why)
{
        char *temporary;
        struct writer *w = calloc(1, sizeof(*w));
        if (!w || asprintf(&temporary, "%s.new-XXXXXX", path) < 0) {
                free(w);
                return why_set(why, -ENOMEM, "%s: out of memory", path);
        }
        w->now_s = now_s;
        w->fd = mkostemp(temporary, O_CLOEXEC);
        int rc = w->fd < 0 ? -errno : write_file(c, w);
        if (w->fd >= 0 && close(w->fd) < 0 && rc == 0)
                rc = -errno;
        if (rc == 0 && rename(temporary, path) < 0)
                rc = -errno;
        if (rc < 0 && w->fd >= 0)
                unlink(temporary);
        free(temporary);
        free(w);
        return rc < 0 ? why_set(why, rc, "%s: %s", path, why_errno(rc)) : 0;
}

/* ---- reading ---- */

static int read_all(int fd, void *to, size_t len)
{
        char *at = to;
        while (len) {
                ssize_t n = read(fd, at, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EBADMSG;
                at += n;
                len -= (size_t)n;
        }
        return 0;
}

static bool head_is_sound(const struct file_head *head, off_t size)
{
        return memcmp(head->magic, magic, sizeof(magic)) == 0 && head->order == ORDER &&
               head->record_bytes == sizeof(struct file_record) &&
               head->count <= SCREEN_CLIENTS_MAX &&
               (uint64_t)size ==
                       sizeof(*head) + head->count * sizeof(struct file_record) + sizeof(uint32_t);
}

struct reader {
        int fd;
        struct file_head head;
        struct file_record slice[SLICE];
};

/* All records, once: into the cache, or with NULL for the checksum alone, which is then looked at. */
static int read_records(struct reader *r, struct screen_cache *into, int64_t now_s)
{
        uint32_t sum = 0;
        uint32_t expected;
        for (uint64_t left = r->head.count; left;) {
                size_t count = left < SLICE ? (size_t)left : SLICE;
                int rc = read_all(r->fd, r->slice, count * sizeof(r->slice[0]));
                if (rc < 0)
                        return rc;
                left -= count;
                if (!into)
                        sum = crc32c(sum, r->slice, count * sizeof(r->slice[0]));
                for (size_t i = 0; into && i < count; i++)
                        screen_cache_restore(into, r->slice[i].address, &r->slice[i].passes,
                                             r->slice[i].forgotten_s, now_s);
        }
        int rc = read_all(r->fd, &expected, sizeof(expected));
        if (rc < 0 || into)
                return rc;
        return crc32c(sum, &r->head, sizeof(r->head)) == expected ? 0 : -EBADMSG;
}

static int read_file(struct reader *r, struct screen_cache *c, int64_t now_s)
{
        struct stat st;
        if (fstat(r->fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        int rc = read_all(r->fd, &r->head, sizeof(r->head));
        if (rc == 0 && !head_is_sound(&r->head, st.st_size))
                rc = -EBADMSG;
        if (rc == 0)
                rc = read_records(r, NULL, now_s);
        if (rc == 0 && lseek(r->fd, sizeof(r->head), SEEK_SET) < 0)
                rc = -errno;
        return rc == 0 ? read_records(r, c, now_s) : rc;
}

int screen_cache_load(struct screen_cache *c, const char *path, int64_t now_s, struct why *why)
{
        struct reader *r = calloc(1, sizeof(*r));
        if (!r)
                return why_set(why, -ENOMEM, "%s: out of memory", path);
        r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        int rc = r->fd < 0 ? -errno : read_file(r, c, now_s);
        if (r->fd >= 0)
                close(r->fd);
        free(r);
        if (rc == -EBADMSG)
                return why_set(why, rc, "%s is not a whole file of ours", path);
        return rc < 0 ? why_set(why, rc, "%s: %s", path, why_errno(rc)) : 0;
}
