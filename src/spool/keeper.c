/*
 * keeper.c - the thread that prepares the next segment and removes what is no longer needed
 *
 * A prepared segment has a durable header and name, and its room is allocated and filled with zeros: then an
 * fdatasync of records only writes data, and has no metadata to commit (by half faster on ext4; figures in
 * doc/decisions/0003-journal.md). All this happens before the segment is needed. When the writer comes too
 * early, the filling stops where it is and the rest of the file grows as it is written.
 *
 * On a small disk a segment is an eighth of what is free. Without room for the smallest one a segment is just
 * its header and grows; then the write says whether there is room.
 *
 * Segments are removed in the order in which they are asked for, oldest first, and each removal is made
 * durable before the next: an end of a message must not vanish before the message.
 */
#include "base/rand.h"
#include "spool/spool_io.h"
#include "spool/spool_private.h"

#include <fcntl.h>
#include <unistd.h>

enum { FILL_BYTES = 1 << 20, ROOM_ALIGN = 64 << 10, ROOM_SHARE = 8 };

static const char zeros[FILL_BYTES];

static int write_all(int fd, const void *bytes, size_t len, off_t at)
{
        while (len) {
                struct iovec v = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
                ssize_t n = spool_io.pwritev(fd, &v, 1, at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                bytes = (const char *)bytes + n;
                len -= (size_t)n;
                at += n;
        }
        return 0;
}

static bool is_hurried(struct journal *j)
{
        pthread_mutex_lock(&j->lock);
        bool hurried = j->is_hurried;
        pthread_mutex_unlock(&j->lock);
        return hurried;
}

/* What a new segment may take of the disk; 0: it grows as it is written. */
static uint64_t choose_room(const struct journal *j)
{
        uint64_t want = (uint64_t)j->spool->options.segment_bytes;
        int64_t left = directory_free_bytes(&j->spool->directory);
        if (left < 0)
                return 0;
        uint64_t share = (uint64_t)left / ROOM_SHARE / ROOM_ALIGN * ROOM_ALIGN;
        return want <= share ? want : share;
}

/* Fills with zeros as far as there is time and room. Never an error: it only makes later syncs faster. */
static void fill(struct journal *j, struct segment *s, uint64_t room)
{
        if (room <= SEGMENT_HEADER_BYTES || spool_io.fallocate(s->fd, 0, 0, (off_t)room) < 0)
                return;
        uint64_t at = SEGMENT_HEADER_BYTES;
        while (at < room && !is_hurried(j)) {
                size_t len = room - at < FILL_BYTES ? (size_t)(room - at) : FILL_BYTES;
                /* in pieces, so that commits meanwhile do not wait behind one long flush */
                if (write_all(s->fd, zeros, len, (off_t)at) < 0 || spool_io.fdatasync(s->fd) < 0)
                        break;
                at += len;
        }
        s->ready_room = at;
}

static int prepare(struct journal *j, uint64_t number, struct segment **out)
{
        struct directory *d = &j->spool->directory;
        char name[SEGMENT_NAME_BYTES];
        segment_name(number, name);
        int fd = spool_io.openat(d->journal, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        struct segment *s = segment_new(number, j->spool->side_count);
        s->fd = fd;
        struct segment_header h = {
                .version = SEGMENT_VERSION, .number = number, .created_us = clock_wall_us()};
        rand_bytes(&h.salt, sizeof(h.salt));
        s->seed = segment_seed(&h);
        static __thread unsigned char bytes[SEGMENT_HEADER_BYTES];
        segment_header_encode(&h, bytes);
        int rc = write_all(fd, bytes, sizeof(bytes), 0);
        if (rc == 0 && spool_io.fdatasync(fd) < 0)
                rc = -errno;
        if (rc == 0 && spool_io.fsync(d->journal) < 0)
                rc = -errno;
        if (rc < 0) {
                close(fd);
                spool_io.unlinkat(d->journal, name, 0);
                segment_free(&s);
                return rc;
        }
        s->bytes = s->synced = s->ready_room = SEGMENT_HEADER_BYTES;
        uint64_t room = choose_room(j);
        fill(j, s, room);
        s->room = room > SPOOL_SEGMENT_BYTES_MIN ? room : SPOOL_SEGMENT_BYTES_MIN;
        if (s->room > (uint64_t)j->spool->options.segment_bytes)
                s->room = (uint64_t)j->spool->options.segment_bytes;
        *out = s;
        return 0;
}

static void remove_file(struct journal *j, struct removal *r)
{
        struct directory *d = &j->spool->directory;
        if (spool_io.unlinkat(r->dir, r->name, 0) < 0 && errno != ENOENT)
                log_warning("spool", "cannot remove %s/%s/%s: %s", d->path,
                            r->segment ? "journal" : "large", r->name, why_errno(errno));
        else
                atomic_fetch_sub(&j->disk_bytes, r->bytes);
        if (r->segment) {
                spool_io.fsync(d->journal);
                if (r->segment->fd >= 0)
                        close(r->segment->fd);
                segment_free(&r->segment);
        }
        free(r);
}

void keeper_remove(struct journal *j, struct removal *first)
{
        while (first) {
                struct removal *next = first->next;
                first->next = NULL;
                if (j->removals_last)
                        j->removals_last->next = first;
                else
                        j->removals_first = first;
                j->removals_last = first;
                first = next;
        }
        pthread_cond_signal(&j->keeper_wake);
}

static void keep_prepared(struct journal *j)
{
        uint64_t number = j->next_number++;
        pthread_mutex_unlock(&j->lock);
        struct segment *s = NULL;
        int rc = prepare(j, number, &s);
        if (s)
                atomic_fetch_add(&j->disk_bytes, (int64_t)s->ready_room);
        pthread_mutex_lock(&j->lock);
        j->wants_prepared = false;
        j->is_hurried = false;
        j->prepared = s;
        j->prepare_error = rc;
        pthread_cond_signal(&j->writer_wake);
}

void *keeper_main(void *arg)
{
        struct journal *j = arg;
        pthread_mutex_lock(&j->lock);
        for (;;) {
                struct removal *r = j->removals_first;
                if (j->wants_prepared && !j->prepared) {
                        keep_prepared(j);
                } else if (r) {
                        j->removals_first = r->next;
                        if (!r->next)
                                j->removals_last = NULL;
                        pthread_mutex_unlock(&j->lock);
                        remove_file(j, r);
                        pthread_mutex_lock(&j->lock);
                } else if (j->is_keeper_closing) {
                        break;
                } else {
                        pthread_cond_wait(&j->keeper_wake, &j->lock);
                }
        }
        pthread_mutex_unlock(&j->lock);
        return NULL;
}

struct segment *keeper_take_segment(struct journal *j, int *error)
{
        pthread_mutex_lock(&j->lock);
        if (!j->prepared) {
                j->wants_prepared = true;
                j->is_hurried = true;
                pthread_cond_signal(&j->keeper_wake);
                while (j->wants_prepared)
                        pthread_cond_wait(&j->writer_wake, &j->lock);
        }
        struct segment *s = j->prepared;
        *error = s ? 0 : j->prepare_error;
        j->prepared = NULL;
        pthread_mutex_unlock(&j->lock);
        return s;
}
