/*
 * content.c - a message's content on its way out: from memory when it is hot, else from its segment or file
 *
 * A reader opens the file at its first piece and keeps it open: when the message is copied to another segment
 * meanwhile, the old file's bytes are still the same. The checksum is followed along, so that content that has
 * changed on the disk is never delivered as if it were whole: its last piece is an error.
 */
#include "base/crc32c.h"
#include "loop/pool.h"
#include "spool/spool_private.h"

#include <fcntl.h>
#include <unistd.h>

void hot_drop(struct spool *s, struct hot **hp)
{
        struct hot *h = *hp;
        *hp = NULL;
        if (!h || --h->uses)
                return;
        atomic_fetch_sub(&s->hot_bytes, (int64_t)h->room);
        free(h->bytes);
        free(h);
}

void spool_reader_init(struct spool_reader *r, struct spool_message *m)
{
        *r = (struct spool_reader){.message = m, .fd = -1};
        buf_init(&r->piece, SPOOL_READ_BYTES);
}

void spool_reader_done(struct spool_reader *r)
{
        if (r->fd >= 0)
                close(r->fd);
        r->fd = -1;
        hot_drop(r->message ? r->message->side->spool : NULL, &r->hot);
        buf_done(&r->piece);
}

struct piece_work {
        struct spool_reader *reader;
        int dir; /* -1: the file is open */
        char name[QUEUE_ID_BYTES_MAX];
        uint64_t at;
        size_t len;
};

static int read_piece(void *arg)
{
        struct piece_work *w = arg;
        struct spool_reader *r = w->reader;
        if (w->dir >= 0) {
                r->fd = openat(w->dir, w->name, O_RDONLY | O_CLOEXEC);
                if (r->fd < 0)
                        return -errno;
        }
        buf_clear(&r->piece);
        char *to = buf_reserve(&r->piece, w->len);
        if (!to)
                return -ENOMEM;
        while (r->piece.len < w->len) {
                ssize_t n = pread(r->fd, to + r->piece.len, w->len - r->piece.len,
                                  (off_t)(w->at + r->piece.len));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -EBADMSG;
                buf_grow(&r->piece, (size_t)n);
        }
        r->crc = crc32c(r->crc, r->piece.ptr, r->piece.len);
        return 0;
}

static int say_unreadable(const struct spool_reader *r, int code, struct why *why)
{
        const char *path = r->message->side->spool->directory.path;
        if (code == -EBADMSG)
                return why_set(why, code,
                               "the content of %s has changed on the disk under %s since it was "
                               "accepted; look for errors of the disk in the kernel's log",
                               message_id(r->message), path);
        return why_set(why, code, "cannot read the content of %s under %s: %s",
                       message_id(r->message), path, why_errno(code));
}

static int await_piece(struct spool_reader *r, struct why *why)
{
        struct spool_message *m = r->message;
        struct spool *s = m->side->spool;
        int64_t left = m->bytes - r->offset;
        struct piece_work w = {
                .reader = r,
                .dir = -1,
                .len = left < SPOOL_READ_BYTES ? (size_t)left : SPOOL_READ_BYTES,
        };
        bool is_large = m->flags & MESSAGE_LARGE;
        if (r->fd < 0 && m->flags & MESSAGE_GONE)
                return why_set(why, -ENOENT, "%s is no longer in the queue", message_id(m));
        struct segment *held = NULL;
        if (r->fd < 0) {
                if (is_large) {
                        w.dir = s->directory.large;
                        snprintf(w.name, sizeof(w.name), "%s", message_id(m));
                } else {
                        /* so that the file is there when the pool opens it */
                        held = m->segment;
                        segment_hold(&s->journal, held, 0);
                        w.dir = s->directory.journal;
                        segment_name(held->number, w.name);
                        r->base = m->content_at;
                }
        }
        w.at = r->base + (uint64_t)r->offset;
        int rc = await_pool_run("reading", str_from(message_id(m)), read_piece, &w);
        if (held)
                segment_release(&s->journal, held, 0);
        if (rc < 0)
                return say_unreadable(r, rc, why);
        r->offset += (int64_t)w.len;
        if (r->offset == m->bytes && r->crc != m->content_crc)
                return say_unreadable(r, -EBADMSG, why);
        return 0;
}

int await_spool_reader_next(struct spool_reader *r, struct str *piece, struct why *why)
{
        struct spool_message *m = r->message;
        *piece = STR("");
        if (r->offset == 0 && m->hot && !r->hot) {
                r->hot = m->hot;
                r->hot->uses++;
        }
        if (r->offset == m->bytes) {
                /* once is what most messages are read */
                if (r->hot)
                        hot_drop(m->side->spool, &m->hot);
                return 0;
        }
        if (r->hot) {
                *piece = str_make(r->hot->bytes, (size_t)m->bytes);
                r->offset = m->bytes;
                return 0;
        }
        int rc = await_piece(r, why);
        if (rc == 0)
                *piece = buf_str(&r->piece);
        return rc;
}
