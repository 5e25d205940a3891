/*
 * compact.c - messages that stay long are copied forward, so that their old segment can go
 *
 * Segments go in order, oldest first: then an end of a message can never vanish before the message itself. So
 * the oldest one must not stay for the sake of a few. Its messages are written anew, with all that is known of
 * them, when
 *   - few of its bytes are still needed (an eighth), some while after it was full; or
 *   - all segments together are more than twice as large as what is needed, and four segments more. This bounds
 *     the disk, and the copying: to free a byte, on average one is copied.
 *
 * The state belongs to the loops, the content is on disk: the writer asks each loop by letter, the loop encodes
 * the message's state and sends a request, the writer reads the content and appends all of it with its next
 * group. A round is bounded, and the next begins when it is through. What is noted about a message after its
 * copy was asked for comes after the copy in the journal too, for requests keep their order.
 */
#include "base/crc32c.h"
#include "spool/spool_private.h"

#include <fcntl.h>
#include <unistd.h>

enum {
        ROUND_BYTES_MAX = 256 << 10,
        ROUND_MESSAGES_MAX = 256,
};

static struct segment *oldest(const struct journal *j)
{
        if (list_is_empty(&j->segments))
                return NULL;
        struct segment *s = list_of(j->segments.next, struct segment, link);
        return s == j->active ? NULL : s;
}

static bool pays(const struct journal *j, const struct segment *s)
{
        int64_t live = atomic_load(&s->live_bytes);
        if (live * 8 <= (int64_t)s->bytes && clock_mono_ms() - s->retired_ms >= j->straggler_ms)
                return true;
        return j->sealed_bytes >
               2 * atomic_load(&j->live_bytes) + 4 * j->spool->options.segment_bytes;
}

void compact_look(struct journal *j)
{
        int64_t now_ms = clock_mono_ms();
        if (now_ms < j->clean_at_ms)
                return;
        j->clean_at_ms = now_ms + j->look_ms;
        struct segment *s = oldest(j);
        if (!s || j->error || atomic_load(&j->copies) || !pays(j, s) ||
            atomic_load(&j->spool->is_closing))
                return;
        for (size_t i = 0; i < j->spool->side_count; i++) {
                struct side *side = &j->spool->sides[i];
                atomic_fetch_add(&j->copies, 1);
                segment_hold(j, s, 0);
                side->copy_from = s;
                loop_post(side->loop, &side->copy_letter);
        }
}

int64_t compact_next_ms(const struct journal *j)
{
        return oldest(j) ? j->clean_at_ms : CLOCK_NEVER;
}

void compact_answered(struct journal *j)
{
        if (atomic_fetch_sub(&j->copies, 1) == 1)
                j->clean_at_ms = 0;
}

/* ---- on the loops ---- */

static void send_copy(struct side *side, struct spool_message *m)
{
        struct journal *j = &side->spool->journal;
        struct request *r = request_new(REQUEST_COPY, side);
        check(buf_reserve(&r->record, RECORD_HEAD_BYTES));
        buf_grow(&r->record, RECORD_HEAD_BYTES);
        if (message_encode(m, &r->record) < 0) {
                m->flags |= MESSAGE_NOT_COPYABLE;
                request_free(&r);
                return;
        }
        size_t content = m->flags & MESSAGE_LARGE ? 0 : (size_t)m->bytes;
        record_head_make((unsigned char *)r->record.ptr, RECORD_MESSAGE, m->serial,
                         str_tail(buf_str(&r->record), RECORD_HEAD_BYTES), content,
                         content ? m->content_crc : 0);
        r->live_bytes = (int64_t)record_bytes(r->record.len - RECORD_HEAD_BYTES, content);
        r->from.segment = m->segment;
        r->from.content_at = m->content_at;
        r->from.content_bytes = content;
        r->from.content_crc = m->content_crc;
        r->from.serial = m->serial;
        snprintf(r->from.id, sizeof(r->from.id), "%s", message_id(m));
        segment_hold(j, m->segment, 0);
        m->flags |= MESSAGE_COPYING;
        atomic_fetch_add(&j->copies, 1);
        side_send(side, r);
}

void side_copy_open(struct letter *letter)
{
        struct side *side = list_of(letter, struct side, copy_letter);
        struct journal *j = &side->spool->journal;
        struct segment *s = side->copy_from;
        int64_t bytes = 0;
        int messages = 0;
        list_each (link, &s->messages[side->number]) {
                struct spool_message *m = list_of(link, struct spool_message, in_segment);
                if (m->flags & (MESSAGE_COPYING | MESSAGE_NOT_COPYABLE))
                        continue;
                if (bytes >= ROUND_BYTES_MAX || messages >= ROUND_MESSAGES_MAX)
                        break;
                bytes += m->record_bytes;
                messages++;
                send_copy(side, m);
        }
        segment_release(j, s, 0);
        atomic_fetch_sub(&j->copies, 1);
}

void side_copy_answered(struct side *side, struct request *r)
{
        struct journal *j = &side->spool->journal;
        struct spool_message *m = side_find(side, str_from(r->from.id));
        if (m && m->serial != r->from.serial)
                m = NULL;
        if (m)
                m->flags &= ~(uint32_t)MESSAGE_COPYING;
        if (m && r->from.is_rotten && !(m->flags & MESSAGE_ROTTEN)) {
                m->flags |= MESSAGE_ROTTEN;
                log_mail(LOG_LEVEL_ERROR, "spool", r->from.id,
                         "its content has changed on the disk since it was accepted");
        }
        if (r->result == 0 && m)
                message_set_segment(m, r->segment, r->at + r->record.len, (size_t)r->live_bytes);
        else if (r->result == 0)
                segment_release(j, r->segment, r->live_bytes); /* it was done meanwhile */
        segment_release(j, r->from.segment, 0);
        request_free(&r);
}

/* ---- on the writer ---- */

static int open_victim(struct journal *j, struct segment *s)
{
        if (j->victim == s && j->victim_fd >= 0)
                return 0;
        if (j->victim_fd >= 0)
                close(j->victim_fd);
        char name[SEGMENT_NAME_BYTES];
        segment_name(s->number, name);
        j->victim = s;
        j->victim_fd = openat(j->spool->directory.journal, name, O_RDONLY | O_CLOEXEC);
        return j->victim_fd < 0 ? -errno : 0;
}

/*
 * Content that has rotted is copied as it is, with the checksum of what was accepted: it stays as damaged as it
 * was, whoever reads it is told, and the segments behind it need not wait for it.
 */
int compact_read(struct journal *j, struct request *r)
{
        int rc = open_victim(j, r->from.segment);
        if (rc == -EMFILE || rc == -ENFILE)
                return rc;
        size_t len = r->from.content_bytes;
        char *bytes = calloc(1, len);
        check(bytes);
        ssize_t n = rc < 0 ? -1 : pread(j->victim_fd, bytes, len, (off_t)r->from.content_at);
        r->from.is_rotten = n != (ssize_t)len || crc32c(0, bytes, len) != r->from.content_crc;
        r->content = str_make(bytes, len);
        return 0;
}
