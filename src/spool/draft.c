/*
 * draft.c - a message on its way in, and the instant at which it becomes ours
 *
 * Ordinary content stays in the draft's buf, from which the writer takes it without a copy, and which then
 * becomes the message's hot content. Content over large_bytes goes to large/ID, piece by piece, by the pool's
 * threads; the file and its name are durable before the record that names it is written. A file that no
 * record names is a draft that never became a message: recovery removes it.
 */
#include "base/crc32c.h"
#include "loop/pool.h"
#include "spool/spool_io.h"
#include "spool/spool_private.h"

#include <fcntl.h>
#include <unistd.h>

enum { FILE_PIECE_BYTES = 64 << 10, FILE_ROOM_KEPT_BYTES = 128 << 10 };

struct spool_draft {
        struct spool *spool;
        struct side *side;
        uint64_t serial;
        int64_t began_us;
        struct buf content; /* what is not in the file */
        int fd;             /* of large/ID, or -1 */
        int64_t file_bytes;
        uint32_t crc;    /* of all content so far */
        bool is_counted; /* in spool.drafts */
        bool has_failed; /* its file; it cannot be committed any more */

        struct task *task; /* that waits for the commit */
        bool is_answered;
        struct request request;
        struct spool_message *message; /* made beforehand, so that nothing can fail afterwards */
        unsigned commit_flags;
        char id[QUEUE_ID_BYTES_MAX];

        struct record_message adopted; /* of a message from elsewhere; else adopted.id is empty */
        struct buf adopted_parts;      /* what its views point to */
};

struct spool_draft *spool_draft_new(struct spool *s)
{
        struct spool_draft *d = calloc(1, sizeof(*d));
        check(d);
        d->spool = s;
        d->side = side_self(s);
        d->fd = -1;
        d->serial = atomic_fetch_add(&s->next_serial, 1);
        d->began_us = clock_wall_us();
        queue_id_format(d->began_us < 0 ? 0 : d->began_us, d->serial, d->id);
        buf_init(&d->content, (size_t)s->options.large_bytes + SPOOL_PIECE_BYTES_MAX);
        buf_init(&d->request.record, SIZE_MAX / 2);
        d->is_counted = true;
        atomic_fetch_add(&s->drafts, 1);
        return d;
}

const char *spool_draft_id(const struct spool_draft *d)
{
        return d->id;
}

struct buf *spool_draft_buf(struct spool_draft *d)
{
        return &d->content;
}

int64_t spool_draft_bytes(const struct spool_draft *d)
{
        return d->file_bytes + (int64_t)d->content.len;
}

void spool_draft_free(struct spool_draft **dp)
{
        struct spool_draft *d = *dp;
        if (!d)
                return;
        if (d->is_counted)
                atomic_fetch_sub(&d->spool->drafts, 1);
        if (d->fd >= 0) {
                close(d->fd);
                struct removal *r = calloc(1, sizeof(*r));
                check(r);
                r->dir = d->spool->directory.large;
                r->bytes = d->file_bytes;
                snprintf(r->name, sizeof(r->name), "%s", d->id);
                struct journal *j = &d->spool->journal;
                pthread_mutex_lock(&j->lock);
                keeper_remove(j, r);
                pthread_mutex_unlock(&j->lock);
        }
        message_free(&d->message);
        buf_done(&d->content);
        buf_done(&d->request.record);
        if (d->adopted.id.len)
                buf_done(&d->adopted_parts);
        free(d);
        *dp = NULL;
}

/* ---- large content; on the pool's threads ---- */

static int append_to_file(void *arg)
{
        struct spool_draft *d = arg;
        if (d->fd < 0) {
                d->fd = spool_io.openat(d->spool->directory.large, d->id,
                                        O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (d->fd < 0)
                        return -errno;
        }
        size_t done = 0;
        while (done < d->content.len) {
                struct iovec v = {.iov_base = d->content.ptr + done,
                                  .iov_len = d->content.len - done};
                ssize_t n = spool_io.pwritev(d->fd, &v, 1, d->file_bytes + (off_t)done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                done += (size_t)n;
        }
        d->crc = crc32c(d->crc, d->content.ptr, d->content.len);
        return 0;
}

static int finish_file(void *arg)
{
        struct spool_draft *d = arg;
        int rc = append_to_file(d);
        if (rc == 0 &&
            (spool_io.fdatasync(d->fd) < 0 || spool_io.fsync(d->spool->directory.large) < 0))
                rc = -errno;
        return rc;
}

static int await_file(struct spool_draft *d, int (*work)(void *), struct why *why)
{
        size_t bytes = d->content.len;
        if (d->has_failed)
                return why_set(why, -EIO, "%s/large/%s could not be written before",
                               d->spool->directory.path, d->id);
        int rc = await_pool_run("writing a large message to", str_from(d->id), work, d);
        if (rc < 0) {
                /* what was written is in doubt */
                d->has_failed = true;
                return why_set(why, rc, "cannot write %s/large/%s: %s", d->spool->directory.path,
                               d->id, why_errno(rc));
        }
        d->file_bytes += (int64_t)bytes;
        atomic_fetch_add(&d->spool->journal.disk_bytes, (int64_t)bytes);
        /* what gathered before there was a file is not needed for its pieces */
        if (d->content.room > FILE_ROOM_KEPT_BYTES)
                buf_done(&d->content);
        else
                buf_clear(&d->content);
        return 0;
}

int await_spool_draft_settle(struct spool_draft *d, struct why *why)
{
        bool wants_file = d->fd >= 0 ? d->content.len >= FILE_PIECE_BYTES
                                     : (int64_t)d->content.len > d->spool->options.large_bytes;
        return wants_file || d->has_failed ? await_file(d, append_to_file, why) : 0;
}

/* ---- content that a filter looks at, and changes ---- */

struct reading {
        struct spool_draft *draft;
        int64_t offset;
        char *out;
        size_t room, got;
};

static int read_file(void *arg)
{
        struct reading *r = arg;
        ssize_t n;
        do
                n = pread(r->draft->fd, r->out, r->room, r->offset);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        r->got = (size_t)n;
        return n == 0 ? -EIO : 0; /* it is shorter than what was written */
}

int await_spool_draft_read(struct spool_draft *d, int64_t offset, char *out, size_t room,
                           size_t *got, struct why *why)
{
        *got = 0;
        if (d->has_failed)
                return why_set(why, -EIO, "%s/large/%s could not be written before",
                               d->spool->directory.path, d->id);
        if (offset >= d->file_bytes) {
                struct str rest = str_tail(buf_str(&d->content), (size_t)(offset - d->file_bytes));
                *got = rest.len < room ? rest.len : room;
                if (*got)
                        memcpy(out, rest.ptr, *got);
                return 0;
        }
        struct reading r = {.draft = d, .offset = offset, .out = out, .room = room};
        if ((int64_t)room > d->file_bytes - offset)
                r.room = (size_t)(d->file_bytes - offset);
        int rc = await_pool_run("reading a large message", str_from(d->id), read_file, &r);
        if (rc < 0)
                return why_set(why, rc, "cannot read %s/large/%s: %s", d->spool->directory.path,
                               d->id, why_errno(rc));
        *got = r.got;
        return 0;
}

struct taking {
        struct spool_draft *to, *from;
};

/* The file of `to` makes place for that of `from`, or for none. */
static int take_file(void *arg)
{
        struct taking *t = arg;
        int dir = t->to->spool->directory.large;
        if (t->from->fd >= 0)
                return renameat(dir, t->from->id, dir, t->to->id) < 0 ? -errno : 0;
        return unlinkat(dir, t->to->id, 0) < 0 ? -errno : 0;
}

int await_spool_draft_take(struct spool_draft *d, struct spool_draft **fromp, struct why *why)
{
        struct spool_draft *from = *fromp;
        struct taking t = {.to = d, .from = from};
        check(!d->has_failed && !from->has_failed);
        if (d->fd >= 0 || from->fd >= 0) {
                int rc = await_pool_run("changing a large message", str_from(d->id), take_file, &t);
                if (rc < 0) {
                        d->has_failed = true;
                        return why_set(why, rc, "cannot change %s/large/%s: %s",
                                       d->spool->directory.path, d->id, why_errno(rc));
                }
        }
        if (d->fd >= 0) {
                close(d->fd);
                atomic_fetch_sub(&d->spool->journal.disk_bytes, d->file_bytes);
        }
        buf_done(&d->content);
        d->content = from->content;
        d->fd = from->fd;
        d->file_bytes = from->file_bytes;
        d->crc = from->crc;
        from->fd = -1;
        from->file_bytes = 0;
        buf_init(&from->content, 0);
        spool_draft_free(fromp);
        return 0;
}

/* ---- the commit ---- */

struct spool_draft *draft_adopt(struct spool *s, const struct record_message *from, const char *id)
{
        struct spool_draft *d = spool_draft_new(s);
        snprintf(d->id, sizeof(d->id), "%s", id);
        struct buf *parts = &d->adopted_parts;
        buf_init(parts, 2 * (size_t)RECORD_META_BYTES_MAX);
        check(buf_append_str(parts, from->envelope) == 0 &&
              buf_append_str(parts, from->results) == 0);
        d->adopted = *from;
        d->adopted.id = str_from(d->id);
        d->adopted.envelope = str_part(buf_str(parts), 0, from->envelope.len);
        d->adopted.results = str_tail(buf_str(parts), from->envelope.len);
        return d;
}

/* A message of our own: all that is known of it is in the envelope. */
static int make_record(struct spool_draft *d, const struct envelope *e, struct record_message *out,
                       struct why *why)
{
        struct buf *envelope = &d->side->scratch;
        buf_clear(envelope);
        int rc = envelope_encode(e, envelope);
        if (rc < 0 || e->recipient_count > RECORD_RECIPIENTS_MAX)
                return why_set(why, -E2BIG, "the envelope is larger than %d bytes",
                               SPOOL_ENVELOPE_BYTES_MAX);
        bool is_large = d->fd >= 0;
        *out = (struct record_message){
                .id = str_from(d->id),
                .envelope = buf_str(envelope),
                .content_bytes = spool_draft_bytes(d),
                .content_crc = is_large ? d->crc : crc32c(0, d->content.ptr, d->content.len),
                .recipient_count = (uint32_t)e->recipient_count,
                .arrival_us = e->arrival_us ? e->arrival_us : d->began_us,
                .written_us = clock_wall_us(),
                .flags = (d->commit_flags & SPOOL_HOLD ? RECORD_FLAG_HOLD : 0) |
                         (is_large ? RECORD_FLAG_LARGE : 0),
        };
        return 0;
}

/* One from elsewhere: 0, or -EBADMSG when its content is not what was accepted there. */
static int make_adopted(struct spool_draft *d, struct record_message *out, struct why *why)
{
        bool is_large = d->fd >= 0;
        uint32_t crc = is_large ? d->crc : crc32c(0, d->content.ptr, d->content.len);
        if (crc != d->adopted.content_crc || spool_draft_bytes(d) != d->adopted.content_bytes)
                return why_set(why, -EBADMSG, "%s: its content is not what was accepted", d->id);
        *out = d->adopted;
        out->written_us = clock_wall_us();
        out->flags = (out->flags & ~(uint32_t)RECORD_FLAG_LARGE) | RECORD_FLAG_STAGED |
                     (is_large ? RECORD_FLAG_LARGE : 0);
        return 0;
}

static int encode_record(struct spool_draft *d, const struct envelope *e, struct why *why)
{
        struct record_message m;
        int rc = e ? make_record(d, e, &m, why) : make_adopted(d, &m, why);
        if (rc < 0)
                return rc;
        bool is_large = d->fd >= 0;
        struct buf *envelope = &d->side->scratch;
        struct buf *out = &d->request.record;
        buf_clear(out);
        check(buf_reserve(out, RECORD_HEAD_BYTES));
        buf_grow(out, RECORD_HEAD_BYTES);
        rc = record_message_encode(&m, out);
        if (rc == 0) {
                record_head_make((unsigned char *)out->ptr, RECORD_MESSAGE, d->serial,
                                 str_tail(buf_str(out), RECORD_HEAD_BYTES),
                                 is_large ? 0 : d->content.len, is_large ? 0 : m.content_crc);
                d->message = message_new(d->side, d->serial, &m);
        }
        if (envelope->room > SPOOL_READ_BYTES)
                buf_done(envelope);
        if (rc < 0)
                return why_set(why, -E2BIG, "the envelope is larger than %d bytes",
                               RECORD_META_BYTES_MAX);
        return 0;
}

/* Freshly written content stays in memory until it is read, when there is room for it. */
static void keep_hot(struct spool_draft *d, struct spool_message *m)
{
        struct spool *s = d->spool;
        int64_t room = (int64_t)d->content.room;
        if (!d->content.ptr || d->fd >= 0)
                return;
        if (atomic_fetch_add(&s->hot_bytes, room) + room > s->options.hot_bytes_max) {
                atomic_fetch_sub(&s->hot_bytes, room);
                return;
        }
        struct hot *h = malloc(sizeof(*h));
        check(h);
        *h = (struct hot){.uses = 1, .bytes = d->content.ptr, .room = d->content.room};
        m->hot = h;
        buf_init(&d->content, d->content.bytes_max);
}

void draft_answered(struct request *r)
{
        struct spool_draft *d = r->draft;
        d->is_answered = true;
        if (r->result == 0) {
                struct spool_message *m = d->message;
                d->message = NULL;
                size_t content = d->fd < 0 ? d->content.len : 0;
                uint64_t content_at = r->at + r->record.len;
                message_set_segment(m, r->segment, content_at,
                                    record_bytes(r->record.len - RECORD_HEAD_BYTES, content));
                keep_hot(d, m);
                m->flags |= MESSAGE_FRESH;
                if (m->flags & MESSAGE_KEPT)
                        m->flags &= ~(uint32_t)MESSAGE_FRESH;
                side_add(d->side, m);
                side_queue(d->side, m);
                atomic_fetch_add(&d->spool->commits, 1);
                if (d->fd >= 0)
                        close(d->fd);
                d->fd = -1; /* the file is the message's now */
        }
        task_wake(d->task);
}

static int say_refused(const struct spool_draft *d, int code, struct why *why)
{
        return why_set(why, code, "%s: cannot commit to %s/journal: %s", d->id,
                       d->spool->directory.path, why_errno(code));
}

int await_spool_commit(struct spool_draft **dp, const struct envelope *e, unsigned flags,
                       struct why *why)
{
        struct spool_draft *d = *dp;
        struct spool *s = d->spool;
        check(d->side == side_self(s));
        int rc = await_spool_draft_settle(d, why);
        if (rc == 0 && d->fd >= 0)
                rc = await_file(d, finish_file, why);
        if (rc < 0)
                return rc;
        d->commit_flags = flags;
        message_free(&d->message); /* of a commit that was refused */
        rc = encode_record(d, e, why);
        if (rc < 0)
                return rc;
        struct request *r = &d->request;
        r->kind = REQUEST_COMMIT;
        r->side = d->side;
        r->draft = d;
        r->content = d->fd < 0 ? buf_str(&d->content) : STR("");
        r->live_bytes = (int64_t)record_bytes(r->record.len - RECORD_HEAD_BYTES, r->content.len);
        if (!d->is_counted)
                atomic_fetch_add(&s->drafts, 1);
        d->is_counted = false; /* the answer takes it off */
        d->is_answered = false;
        d->task = task_self();
        check(d->task);
        side_send(d->side, r);
        bool was_woken = false; /* a wake that was meant for the caller's next wait is passed on */
        while (!d->is_answered) {
                await_wake_always("committing", str_from(d->id), CLOCK_NEVER);
                was_woken = was_woken || !d->is_answered;
        }
        if (was_woken)
                task_wake(d->task);
        if (r->result < 0)
                return say_refused(d, r->result, why);
        spool_draft_free(dp);
        return 0;
}

int await_draft_adopt_commit(struct spool_draft **d, struct why *why)
{
        return await_spool_commit(d, NULL, 0, why);
}
