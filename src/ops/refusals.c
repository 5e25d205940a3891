/*
 * refusals.c - the newest refusals, by their codes
 *
 * The ring: a header, then records one behind the other, each a length of 4 bytes and the text; a length of 0 means "go on at
 * the beginning". `tail` is the oldest record, `head` where the next one goes. Between head and tail there is always a gap, so
 * that head == tail means empty.
 */
#include "ops/refusals.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD_BYTES_USUAL = 1024 }; /* of one record, for a start */

struct ring {
        char magic[16];
        uint64_t bytes; /* of `data` */
        uint64_t head, tail;
        char data[];
};
static const char magic[16] = "forepost ring 1";

struct refusals {
        pthread_mutex_t lock;
        struct ring *ring;
        size_t mapped;
};

/* ---- the ring ---- */

static uint32_t length_at(const struct ring *ring, uint64_t at)
{
        uint32_t length = 0;
        if (at + sizeof(length) <= ring->bytes)
                memcpy(&length, ring->data + at, sizeof(length));
        return length;
}

/* The record at *at, which moves behind it; false: there is none. What no writer left here ends it all. */
static bool next(const struct ring *ring, uint64_t *at, struct str *record)
{
        if (*at == ring->head)
                return false;
        uint32_t length = length_at(ring, *at);
        if (length == 0) {
                *at = 0;
                if (ring->head == 0)
                        return false;
                length = length_at(ring, 0);
        }
        if (length == 0 || length > ring->bytes - sizeof(length) - *at)
                return false;
        *record = str_make(ring->data + *at + sizeof(length), length);
        *at += sizeof(length) + length;
        return true;
}

static void drop_oldest(struct ring *ring)
{
        struct str record;
        if (!next(ring, &ring->tail, &record))
                ring->tail = ring->head;
}

/* Room for `need` bytes in one piece at `head`, which may go to the beginning for it. */
static void make_room(struct ring *ring, uint64_t need)
{
        if (ring->head + need + sizeof(uint32_t) > ring->bytes) {
                while (ring->tail > ring->head)
                        drop_oldest(ring);
                uint32_t end = 0;
                if (ring->head + sizeof(end) <= ring->bytes)
                        memcpy(ring->data + ring->head, &end, sizeof(end));
                if (ring->tail == 0)
                        drop_oldest(ring); /* head comes to 0, and must not meet it there */
                if (ring->tail == ring->head)
                        ring->tail = 0;
                ring->head = 0;
        }
        while (ring->tail > ring->head && ring->tail <= ring->head + need)
                drop_oldest(ring);
}

void refusals_add(struct refusals *r, struct str record)
{
        struct ring *ring = r->ring;
        uint32_t length = (uint32_t)record.len;
        uint64_t need = sizeof(length) + record.len;
        if (record.len == 0 || need > ring->bytes / 4)
                return;
        pthread_mutex_lock(&r->lock);
        make_room(ring, need);
        memcpy(ring->data + ring->head, &length, sizeof(length));
        memcpy(ring->data + ring->head + sizeof(length), record.ptr, record.len);
        ring->head += need;
        pthread_mutex_unlock(&r->lock);
}

void refusals_hear(void *refusals, const struct session_judged *judged)
{
        if (judged->code.len == 0)
                return;
        struct buf record;
        buf_init(&record, EXPLANATION_BYTES_MAX);
        buf_reserve(&record, RECORD_BYTES_USUAL);
        explanation_write(&record, judged, clock_wall_us());
        refusals_add(refusals, buf_str(&record));
        buf_done(&record);
}

/* ---- looking ---- */

static char code_digit(char c)
{
        c = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        return (char)(c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c);
}

static bool is_code(struct str a, struct str b)
{
        if (a.len != b.len)
                return false;
        for (size_t i = 0; i < a.len; i++)
                if (code_digit(a.ptr[i]) != code_digit(b.ptr[i]))
                        return false;
        return true;
}

bool refusals_find(struct refusals *r, struct str code, struct buf *out)
{
        struct str record;
        bool is_found = false;
        pthread_mutex_lock(&r->lock);
        for (uint64_t at = r->ring->tail; !is_found && next(r->ring, &at, &record);) {
                is_found = code.len && is_code(explanation_code(record), code);
                if (is_found)
                        buf_append_str(out, record);
        }
        pthread_mutex_unlock(&r->lock);
        return is_found;
}

size_t refusals_count(struct refusals *r)
{
        struct str record;
        size_t count = 0;
        pthread_mutex_lock(&r->lock);
        for (uint64_t at = r->ring->tail; next(r->ring, &at, &record);)
                count++;
        pthread_mutex_unlock(&r->lock);
        return count;
}

/* ---- life ---- */

/* What a file holds is believed only when all of it makes sense. */
static bool is_sound(const struct ring *ring, uint64_t bytes)
{
        struct str record;
        if (memcmp(ring->magic, magic, sizeof(magic)) != 0 || ring->bytes != bytes ||
            ring->head > bytes || ring->tail > bytes)
                return false;
        uint64_t at = ring->tail;
        for (uint64_t seen = 0; next(ring, &at, &record); seen += record.len)
                if (seen > bytes)
                        return false;
        return at == ring->head || (ring->head == 0 && at == 0);
}

static int open_file(struct str file, size_t mapped, struct why *why)
{
        char *path = strndup(file.ptr, file.len);
        check(path);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        free(path);
        struct stat s;
        int rc = fd < 0 || fstat(fd, &s) < 0 ? -errno : 0;
        if (rc == 0 && !S_ISREG(s.st_mode))
                rc = -EINVAL;
        if (rc == 0 && (uint64_t)s.st_size != mapped &&
            (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)mapped) < 0))
                rc = -errno;
        if (rc == 0)
                rc = -posix_fallocate(fd, 0,
                                      (off_t)mapped); /* a full disk shows here, not as a signal */
        if (rc == 0)
                return fd;
        if (fd >= 0)
                close(fd);
        return why_set(why, rc, "refusal_trace_file %.*s: %s", STR_ARG(file), why_errno(rc));
}

struct refusals *refusals_new(size_t bytes, struct str file, struct why *why)
{
        size_t mapped = sizeof(struct ring) + bytes;
        int fd = -1;
        if (file.len && (fd = open_file(file, mapped, why)) < 0)
                return NULL;
        struct ring *ring = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
                                 fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
        int error = errno;
        if (fd >= 0)
                close(fd);
        if (ring == MAP_FAILED) {
                why_set(why, -error, "refusal_trace_size: %s", why_errno(error));
                return NULL;
        }
        struct refusals *r = calloc(1, sizeof(*r));
        check(r);
        check(pthread_mutex_init(&r->lock, NULL) == 0);
        r->ring = ring;
        r->mapped = mapped;
        if (!is_sound(ring, bytes)) {
                memcpy(ring->magic, magic, sizeof(magic));
                ring->bytes = bytes;
                ring->head = ring->tail = 0;
        }
        return r;
}

void refusals_free(struct refusals **rp)
{
        struct refusals *r = *rp;
        *rp = NULL;
        if (!r)
                return;
        munmap(r->ring, r->mapped);
        pthread_mutex_destroy(&r->lock);
        free(r);
}
