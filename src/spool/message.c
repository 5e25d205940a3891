/*
 * message.c - a message in the queue: what it is, where its recipients stand, how it ends
 *
 * One piece of memory a message: the struct, a place for each recipient, the id, the envelope's bytes. All of
 * it belongs to one loop.
 */
#include "spool/spool_private.h"

struct spool_message *message_new(struct side *side, uint64_t serial,
                                  const struct record_message *from)
{
        size_t bytes = sizeof(struct spool_message) + from->recipient_count * sizeof(struct place) +
                       from->id.len + 1 + from->envelope.len;
        struct spool_message *m = calloc(1, bytes);
        check(m);
        m->side = side;
        m->serial = serial;
        m->bytes = from->content_bytes;
        m->content_crc = from->content_crc;
        m->arrival_us = from->arrival_us;
        m->attempts = from->attempts;
        m->flags = from->flags & MESSAGE_RECORDED;
        m->recipient_count = from->recipient_count;
        m->id_bytes = (uint32_t)from->id.len;
        m->envelope_bytes = (uint32_t)from->envelope.len;
        list_init(&m->in_segment);
        list_init(&m->dirty);
        memcpy(message_id(m), from->id.ptr, from->id.len);
        if (from->envelope.len)
                memcpy(message_id(m) + m->id_bytes + 1, from->envelope.ptr, from->envelope.len);
        message_take_results(m, from->results);
        return m;
}

void message_set_segment(struct spool_message *m, struct segment *segment, uint64_t content_at,
                         size_t record_bytes)
{
        struct journal *j = &m->side->spool->journal;
        list_remove(&m->in_segment);
        if (m->segment)
                segment_release(j, m->segment, m->record_bytes);
        m->segment = segment;
        m->content_at = content_at;
        m->record_bytes = (uint32_t)record_bytes;
        if (segment)
                list_add_last(&segment->messages[m->side->number], &m->in_segment);
}

void message_free(struct spool_message **mp)
{
        struct spool_message *m = *mp;
        if (!m)
                return;
        struct side *side = m->side;
        side_unqueue(side, m);
        side_remove(side, m);
        list_remove(&m->dirty);
        for (size_t i = 0; i < m->recipient_count; i++) {
                reason_drop(&side->reasons, m->places[i].reason);
                m->places[i].reason = NULL;
        }
        hot_drop(side->spool, &m->hot);
        message_set_segment(m, NULL, 0, 0);
        *mp = NULL;
        if (m->pins)
                m->flags |= MESSAGE_GONE;
        else
                free(m);
}

struct spool_message *spool_message_pin(struct spool_message *m)
{
        m->pins++;
        return m;
}

void spool_message_unpin(struct spool_message **mp)
{
        struct spool_message *m = *mp;
        *mp = NULL;
        if (m && --m->pins == 0 && m->flags & MESSAGE_GONE)
                free(m);
}

/* ---- as bytes ---- */

static void set_place(struct spool_message *m, size_t i, uint8_t state, struct str reason)
{
        struct place *p = &m->places[i];
        struct reason *old = p->reason;
        p->reason = reason_take(&m->side->reasons, reason);
        reason_drop(&m->side->reasons, old);
        p->state = state;
}

void message_take_results(struct spool_message *m, struct str results)
{
        struct record_result r;
        while (record_result_next(&results, &r))
                if (r.recipient < m->recipient_count)
                        set_place(m, r.recipient, r.state, r.reason);
}

static struct str place_reason(const struct place *p)
{
        return p->reason ? str_make(p->reason->text, p->reason->bytes) : STR("");
}

static int encode_places(const struct spool_message *m, bool only_dirty, struct buf *out)
{
        for (uint32_t i = 0; i < m->recipient_count; i++) {
                const struct place *p = &m->places[i];
                if (only_dirty ? !p->is_dirty : !p->reason && p->state == SPOOL_WAITING)
                        continue;
                struct record_result r = {
                        .recipient = i, .state = p->state, .reason = place_reason(p)};
                if (record_result_append(out, &r) < 0)
                        return -ENOBUFS;
        }
        return 0;
}

int64_t message_next_us(const struct spool_message *m)
{
        if (!m->item.at || m->flags & MESSAGE_FRESH)
                return 0;
        return clock_wall_us() + (m->item.key - clock_mono_us());
}

int message_encode(const struct spool_message *m, struct buf *out)
{
        struct buf results;
        buf_init(&results, RECORD_META_BYTES_MAX);
        struct record_message record = {
                .id = str_make(message_id(m), m->id_bytes),
                .envelope = message_envelope(m),
                .content_bytes = m->bytes,
                .content_crc = m->content_crc,
                .recipient_count = m->recipient_count,
                .arrival_us = m->arrival_us,
                .written_us = clock_wall_us(),
                .next_us = message_next_us(m),
                .attempts = m->attempts,
                .flags = m->flags & MESSAGE_RECORDED,
        };
        int rc = encode_places(m, false, &results);
        record.results = buf_str(&results);
        if (rc == 0)
                rc = record_message_encode(&record, out);
        buf_done(&results);
        return rc;
}

int message_encode_state(struct spool_message *m, struct buf *out)
{
        struct buf results;
        buf_init(&results, RECORD_META_BYTES_MAX);
        int rc = encode_places(m, true, &results);
        struct record_state state = {
                .written_us = clock_wall_us(),
                .next_us = message_next_us(m),
                .attempts = m->attempts,
                .flags = m->flags & MESSAGE_RECORDED,
                .results = buf_str(&results),
        };
        if (rc == 0)
                rc = record_state_encode(&state, out);
        if (rc == 0)
                for (size_t i = 0; i < m->recipient_count; i++)
                        m->places[i].is_dirty = false;
        buf_done(&results);
        return rc;
}

/* ---- what the delivering room asks and says ---- */

const char *spool_message_id(const struct spool_message *m)
{
        return message_id(m);
}

int64_t spool_message_bytes(const struct spool_message *m)
{
        return m->bytes;
}

int64_t spool_message_arrival_us(const struct spool_message *m)
{
        return m->arrival_us;
}

unsigned spool_message_attempts(const struct spool_message *m)
{
        return m->attempts;
}

void spool_message_envelope(const struct spool_message *m, struct arena *arena,
                            struct envelope *out)
{
        struct why why;
        /* it was encoded here, or has been decoded by recovery */
        check(envelope_decode(message_envelope(m), arena, out, &why) == 0);
}

enum spool_state spool_message_state(const struct spool_message *m, size_t recipient)
{
        check(recipient < m->recipient_count);
        return (enum spool_state)m->places[recipient].state;
}

struct str spool_message_reason(const struct spool_message *m, size_t recipient)
{
        check(recipient < m->recipient_count);
        return place_reason(&m->places[recipient]);
}

void spool_message_record(struct spool_message *m, const struct spool_result *results, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                check(results[i].recipient < m->recipient_count);
                set_place(m, results[i].recipient, (uint8_t)results[i].state, results[i].reason);
                m->places[results[i].recipient].is_dirty = true;
        }
        if (count)
                side_touch(m->side, m);
}

/* Gone: noted, and its large file goes when the note is durable. */
static void finish(struct spool_message **m)
{
        struct spool_message *gone = *m;
        struct side *side = gone->side;
        side_note(side, RECORD_DONE, gone->serial, STR(""));
        if (gone->flags & MESSAGE_LARGE) {
                struct removal *r = calloc(1, sizeof(*r));
                check(r);
                r->dir = side->spool->directory.large;
                r->bytes = gone->bytes;
                snprintf(r->name, sizeof(r->name), "%s", message_id(gone));
                side_note_removal(side, r);
        }
        message_free(m);
}

static bool is_final(const struct spool_message *m)
{
        for (size_t i = 0; i < m->recipient_count; i++)
                if (m->places[i].state == SPOOL_WAITING)
                        return false;
        return true;
}

/* Sets its due time from the wall clock; the past is now. */
static void set_next(struct spool_message *m, int64_t next_us)
{
        int64_t wait_us = next_us - clock_wall_us();
        m->item.key = clock_mono_us() + (wait_us > 0 ? wait_us : 0);
}

static void give_back(struct spool_message *m, int64_t next_attempt_us)
{
        struct side *side = m->side;
        if (m->flags & MESSAGE_DELETED || is_final(m)) {
                finish(&m);
        } else {
                side_unqueue(side, m);
                hot_drop(side->spool, &m->hot);
                set_next(m, m->flags & MESSAGE_AGAIN ? 0 : next_attempt_us);
                m->flags &= ~(uint32_t)MESSAGE_AGAIN;
                side_queue(side, m);
        }
        /* an active place is free */
        if (heap_first(&side->fresh) || heap_first(&side->due))
                side_serve_soon(side);
}

void spool_message_settle(struct spool_message **mp, int64_t next_attempt_us)
{
        struct spool_message *m = *mp;
        check(m->flags & MESSAGE_ACTIVE);
        *mp = NULL;
        m->attempts++;
        m->flags &= ~(uint32_t)MESSAGE_ASKED;
        side_touch(m->side, m); /* unless it is gone when the turn ends */
        give_back(m, next_attempt_us);
}

void spool_message_postpone(struct spool_message **mp, int64_t next_attempt_us)
{
        struct spool_message *m = *mp;
        check(m->flags & MESSAGE_ACTIVE);
        *mp = NULL;
        give_back(m, next_attempt_us);
}

bool spool_message_is_delay_told(const struct spool_message *m)
{
        return m->flags & MESSAGE_DELAY_TOLD;
}

void spool_message_set_delay_told(struct spool_message *m)
{
        m->flags |= MESSAGE_DELAY_TOLD;
        side_touch(m->side, m);
}

bool spool_message_is_reported(const struct spool_message *m)
{
        return m->flags & MESSAGE_REPORTED;
}

void spool_message_set_reported(struct spool_message *m)
{
        m->flags |= MESSAGE_REPORTED;
        side_touch(m->side, m);
}

/* ---- what an administrator says ---- */

void spool_delete(struct spool_message *m)
{
        if (!(m->flags & MESSAGE_ACTIVE)) {
                finish(&m);
                return;
        }
        m->flags |= MESSAGE_DELETED;
        side_touch(m->side, m);
}

/* Moves a waiting message to another queue. */
static void move(struct spool_message *m, uint32_t set, uint32_t clear)
{
        bool is_waiting = !(m->flags & MESSAGE_ACTIVE);
        if (is_waiting)
                side_unqueue(m->side, m);
        m->flags = (m->flags | set) & ~clear;
        if (is_waiting) {
                m->item.key = clock_mono_us();
                side_queue(m->side, m);
        }
}

void spool_hold(struct spool_message *m)
{
        if (m->flags & MESSAGE_HOLD)
                return;
        move(m, MESSAGE_HOLD, MESSAGE_FRESH);
        side_touch(m->side, m);
}

void spool_release(struct spool_message *m)
{
        if (!(m->flags & MESSAGE_HOLD))
                return;
        move(m, 0, MESSAGE_HOLD);
        side_touch(m->side, m);
}

void spool_requeue(struct spool_message *m)
{
        if (m->flags & MESSAGE_ACTIVE)
                m->flags |= MESSAGE_AGAIN;
        bool was_held = m->flags & MESSAGE_HOLD;
        move(m, 0, MESSAGE_HOLD);
        if (was_held)
                side_touch(m->side, m);
}

bool spool_expire(struct spool_message *m)
{
        if (m->flags & MESSAGE_EXPIRED)
                return false;
        m->flags |= MESSAGE_EXPIRED;
        side_touch(m->side, m);
        return true;
}

bool spool_message_is_expired(const struct spool_message *m)
{
        return m->flags & MESSAGE_EXPIRED;
}

size_t spool_flush_asked(struct spool *s, struct loop *l, struct spool_message *m)
{
        size_t count = spool_flush(s, l, m);
        if (count)
                m->flags |= MESSAGE_ASKED;
        return count;
}

bool spool_message_is_asked(const struct spool_message *m)
{
        return m->flags & MESSAGE_ASKED;
}

size_t spool_flush(struct spool *s, struct loop *l, struct spool_message *m)
{
        check(side_self(s)->loop == l);
        if (m->flags & (MESSAGE_KEPT | MESSAGE_ACTIVE))
                return 0;
        move(m, 0, 0);
        return 1;
}
