/*
 * side.c - one loop's part of the spool: its messages, when they are due, what it sends to the writer
 *
 * Requests gather during a turn and go to the writer together before the loop sleeps. A message whose state
 * changes several times in a turn is noted once.
 *
 * Due times are kept on the monotonic clock, so that a jump of the wall clock neither stops the queue nor sets
 * all of it off; on disk they stand as wall clock. Messages that were never tried stand in a queue of their
 * own and take turns with those that come back, so that neither waits for the whole of the other.
 */
#include "base/map.h"
#include "spool/spool_private.h"

enum { HAND_OUT_A_TURN = 200, TIMER_MS_MAX = 3600 * 1000 };

/* ---- to the writer ---- */

static void note_dirty(struct side *side)
{
        struct buf meta;
        buf_init(&meta, RECORD_META_BYTES_MAX);
        while (!list_is_empty(&side->dirty)) {
                struct spool_message *m = list_of(side->dirty.next, struct spool_message, dirty);
                list_remove(&m->dirty);
                buf_clear(&meta);
                if (check_soft(message_encode_state(m, &meta) == 0))
                        side_note(side, RECORD_STATE, m->serial, buf_str(&meta));
        }
        buf_done(&meta);
}

static void submit(struct chore *c)
{
        struct side *side = list_of(c, struct side, submit);
        if (!list_is_empty(&side->dirty))
                note_dirty(side);
        if (side->notes)
                request_list_add(&side->pending, side->notes);
        side->notes = NULL;
        size_t commits = side->pending_commits;
        side->pending_commits = 0;
        journal_push(&side->spool->journal, &side->pending, commits);
}

static void submit_soon(struct side *side)
{
        loop_chore_add(side->loop, &side->submit);
}

void side_send(struct side *side, struct request *r)
{
        request_list_add(&side->pending, r);
        side->pending_commits += r->kind == REQUEST_COMMIT;
        submit_soon(side);
}

static struct request *notes(struct side *side)
{
        if (!side->notes)
                side->notes = request_new(REQUEST_NOTES, side);
        submit_soon(side);
        return side->notes;
}

void side_note(struct side *side, enum record_type type, uint64_t serial, struct str meta)
{
        check(record_append(&notes(side)->record, type, serial, meta) == 0);
}

void side_note_removal(struct side *side, struct removal *r)
{
        struct request *n = notes(side);
        r->next = n->removals;
        n->removals = r;
}

void side_touch(struct side *side, struct spool_message *m)
{
        if (list_is_empty(&m->dirty))
                list_add_last(&side->dirty, &m->dirty);
        submit_soon(side);
}

/* ---- from the writer ---- */

void side_answer(struct side *side, struct request_list *answered)
{
        pthread_mutex_lock(&side->answers_lock);
        request_list_append(&side->answers, answered);
        bool post = !side->is_letter_posted && !atomic_load(&side->spool->is_closing);
        if (post)
                side->is_letter_posted = true;
        pthread_mutex_unlock(&side->answers_lock);
        if (post)
                loop_post(side->loop, &side->letter);
}

static void open_answers(struct letter *letter)
{
        struct side *side = list_of(letter, struct side, letter);
        pthread_mutex_lock(&side->answers_lock);
        struct request_list answers = side->answers;
        side->answers = (struct request_list){0};
        side->is_letter_posted = false;
        pthread_mutex_unlock(&side->answers_lock);
        struct request *r;
        while ((r = request_list_take(&answers))) {
                if (r->kind == REQUEST_COMMIT)
                        draft_answered(r);
                else
                        side_copy_answered(side, r);
        }
}

/* ---- messages by id ---- */

static void grow(struct side *side)
{
        size_t room = side->room ? side->room * 2 : 64;
        struct spool_message **buckets = calloc(room, sizeof(struct spool_message *));
        check(buckets);
        for (size_t i = 0; i < side->room; i++)
                for (struct spool_message *m = side->buckets[i], *next; m; m = next) {
                        next = m->next;
                        uint64_t hash = hash_bytes(message_id(m), m->id_bytes);
                        struct spool_message **bucket = &buckets[hash & (room - 1)];
                        m->next = *bucket;
                        *bucket = m;
                }
        free(side->buckets);
        side->buckets = buckets;
        side->room = room;
}

static size_t count_all(const struct side *side)
{
        return atomic_load(&side->active) + atomic_load(&side->deferred) + atomic_load(&side->held);
}

struct spool_message *side_find(const struct side *side, struct str id)
{
        if (!side->room)
                return NULL;
        struct spool_message *m = side->buckets[hash_bytes(id.ptr, id.len) & (side->room - 1)];
        while (m && !str_eq(str_make(message_id(m), m->id_bytes), id))
                m = m->next;
        return m;
}

void side_add(struct side *side, struct spool_message *m)
{
        if (count_all(side) >= side->room)
                grow(side);
        uint64_t hash = hash_bytes(message_id(m), m->id_bytes);
        struct spool_message **bucket = &side->buckets[hash & (side->room - 1)];
        m->next = *bucket;
        *bucket = m;
}

void side_remove(struct side *side, struct spool_message *m)
{
        if (!side->room)
                return;
        uint64_t hash = hash_bytes(message_id(m), m->id_bytes);
        struct spool_message **at = &side->buckets[hash & (side->room - 1)];
        while (*at && *at != m)
                at = &(*at)->next;
        if (*at)
                *at = m->next;
}

/* ---- when they are due ---- */

static void arm(struct side *side)
{
        const struct heap_item *first = heap_first(&side->due);
        if (!first || !side->hand_out)
                return;
        int64_t now_ms = loop_now_ms();
        int64_t at_ms = first->key / 1000 + 1;
        if (at_ms > now_ms + TIMER_MS_MAX)
                at_ms = now_ms + TIMER_MS_MAX;
        loop_timer_set(side->loop, &side->timer, at_ms);
}

void side_queue(struct side *side, struct spool_message *m)
{
        m->flags |= MESSAGE_QUEUED;
        if (m->flags & MESSAGE_KEPT) {
                atomic_fetch_add(&side->held, 1);
                return;
        }
        atomic_fetch_add(&side->deferred, 1);
        if (m->flags & MESSAGE_FRESH) {
                heap_set(&side->fresh, &m->item, (int64_t)m->serial);
                side_serve_soon(side);
                return;
        }
        heap_set(&side->due, &m->item, m->item.key);
        if (heap_first(&side->due) == &m->item)
                arm(side);
}

void side_unqueue(struct side *side, struct spool_message *m)
{
        if (m->flags & MESSAGE_ACTIVE) {
                m->flags &= ~(uint32_t)MESSAGE_ACTIVE;
                atomic_fetch_sub(&side->active, 1);
        } else if (m->item.at) {
                heap_remove(m->flags & MESSAGE_FRESH ? &side->fresh : &side->due, &m->item);
                atomic_fetch_sub(&side->deferred, 1);
        } else if (m->flags & MESSAGE_QUEUED) {
                atomic_fetch_sub(&side->held, 1);
        }
        m->flags &= ~(uint32_t)MESSAGE_QUEUED;
}

/*
 * Whose turn it is. Messages that come back may fill active_max; those that are new may go on until twice
 * that, so that a queue full of slow destinations does not keep fresh mail waiting.
 */
static struct spool_message *pick(struct side *side, int64_t now_us, bool prefers_fresh)
{
        const struct spool *s = side->spool;
        size_t share = s->options.active_max / s->side_count;
        size_t active = atomic_load(&side->active);
        struct heap_item *fresh = active < 2 * share ? heap_first(&side->fresh) : NULL;
        struct heap_item *due = active < share ? heap_first(&side->due) : NULL;
        if (due && due->key > now_us)
                due = NULL;
        struct heap_item *item = fresh && (prefers_fresh || !due) ? fresh : due;
        return item ? heap_of(item, struct spool_message, item) : NULL;
}

static void serve(struct chore *c)
{
        struct side *side = list_of(c, struct side, serve);
        if (!side->hand_out)
                return;
        int64_t now_us = clock_mono_us();
        for (int n = 0; n < HAND_OUT_A_TURN; n++) {
                struct spool_message *m = pick(side, now_us, n % 2 == 0);
                if (!m) {
                        arm(side);
                        return;
                }
                side_unqueue(side, m);
                m->flags = (m->flags | MESSAGE_ACTIVE) & ~(uint32_t)MESSAGE_FRESH;
                atomic_fetch_add(&side->active, 1);
                side->hand_out(side->hand_out_context, m);
        }
        loop_timer_set(side->loop, &side->timer, loop_now_ms());
}

static void timer_due(struct timer *t)
{
        side_serve_soon(list_of(t, struct side, timer));
}

void side_serve_soon(struct side *side)
{
        if (side->hand_out)
                loop_chore_add(side->loop, &side->serve);
}

void spool_serve(struct spool *s, struct loop *l, void (*due)(void *, struct spool_message *),
                 void *context)
{
        struct side *side = side_self(s);
        check(side->loop == l && (!due || !side->hand_out));
        side->hand_out = due;
        side->hand_out_context = context;
        side_serve_soon(side);
}

/* ---- life ---- */

void side_init(struct side *side, struct spool *s, struct loop *l, size_t number)
{
        *side = (struct side){.spool = s, .loop = l, .number = number};
        buf_init(&side->scratch, SPOOL_ENVELOPE_BYTES_MAX);
        heap_init(&side->fresh);
        heap_init(&side->due);
        list_init(&side->dirty);
        list_init(&side->submit.link);
        list_init(&side->serve.link);
        side->submit.run = submit;
        side->serve.run = serve;
        side->timer.due = timer_due;
        side->letter.open = open_answers;
        side->copy_letter.open = side_copy_open;
        pthread_mutex_init(&side->answers_lock, NULL);
}

/* The loop has stopped: what it would have sent is sent now. */
void side_stop(struct side *side)
{
        list_remove(&side->submit.link);
        list_remove(&side->serve.link);
        loop_timer_cancel(side->loop, &side->timer);
        submit(&side->submit);
        list_remove(&side->submit.link);
}

void side_done(struct side *side)
{
        for (size_t i = 0; i < side->room; i++)
                while (side->buckets[i]) {
                        struct spool_message *m = side->buckets[i];
                        message_free(&m);
                }
        struct request *r;
        while ((r = request_list_take(&side->answers)))
                if (r->kind != REQUEST_COMMIT)
                        request_free(&r);
        free(side->buckets);
        buf_done(&side->scratch);
        heap_done(&side->fresh);
        heap_done(&side->due);
        reason_table_done(&side->reasons);
        pthread_mutex_destroy(&side->answers_lock);
}

struct side *side_self(struct spool *s)
{
        struct loop *l = loop_self();
        for (size_t i = 0; i < s->side_count; i++)
                if (s->sides[i].loop == l)
                        return &s->sides[i];
        check(!"called from a thread that runs none of the spool's loops");
        return NULL;
}
