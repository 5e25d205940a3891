/*
 * revival.c - a next hop that was gone is back: who waited for it need not wait any longer
 *
 * A message whose next hop cannot be reached is given its own time for the next attempt (backoff.c): five
 * minutes and more. So that mail does not lie here for minutes after a core has come back, a destination
 * remembers who failed with it, and sends one of them ahead after 10 s, 20 s, 40 s ... (as long as it rests).
 * When a session succeeds, by that one or by any other, all of them are tried at once.
 *
 * In the same way a destination remembers who found no room in its queue (turns.c), and calls them, the oldest first,
 * when there is.
 *
 * What is remembered is ids: a message may be gone, deleted or held when its turn comes. Over the ceiling
 * messages are not remembered and come back by their own time, as all do after a restart.
 */
#include "base/check.h"
#include "base/clock.h"
#include "delivery/delivery_private.h"
#include "message/queue_id.h"

enum { STRANDED_MAX = 100 * 1000, PARKED_MAX = 1000 * 1000, LOOK_AT_PARKED = 32 };

static struct str take_first(struct destination *dest, char id[QUEUE_ID_BYTES_MAX])
{
        memcpy(id, dest->stranded.ptr, QUEUE_ID_BYTES_MAX);
        buf_consume(&dest->stranded, QUEUE_ID_BYTES_MAX);
        return str_from(id);
}

/* True when it will be tried; its result comes back to this destination. */
static bool send_ahead(struct destination *dest, struct str id)
{
        struct delivery *d = dest->delivery;
        struct spool_message *m = spool_find(d->spool, d->loop, id);
        return m && spool_flush(d->spool, d->loop, m) > 0;
}

static void probe_due(struct timer *t)
{
        struct destination *dest = heap_of(t, struct destination, probe);
        char id[QUEUE_ID_BYTES_MAX];
        if (dest->window == 0 &&
            dest->rests_until_ms > loop_now_ms()) { /* it would be deferred unseen */
                loop_timer_set(dest->delivery->loop, t, dest->rests_until_ms);
                return;
        }
        while (dest->stranded.len && !dest->delivery->is_stopping)
                if (send_ahead(dest, take_first(dest, id)))
                        return; /* and when it fails it is noted again */
        destination_let_go(dest);
}

void revival_init(struct destination *dest)
{
        buf_init(&dest->parked, (size_t)PARKED_MAX * QUEUE_ID_BYTES_MAX);
        buf_init(&dest->stranded, (size_t)STRANDED_MAX * QUEUE_ID_BYTES_MAX);
        dest->probe.due = probe_due;
}

void revival_free(struct destination *dest)
{
        loop_timer_cancel(dest->delivery->loop, &dest->probe);
        buf_done(&dest->stranded);
        buf_done(&dest->parked);
}

bool revival_has_parked(const struct destination *dest)
{
        return dest->parked_at < dest->parked.len;
}

/* What stands before parked_at is done with; it is moved out of the way when it is half of all. */
static void tidy_parked(struct destination *dest)
{
        while (revival_has_parked(dest) && !dest->parked.ptr[dest->parked_at])
                dest->parked_at += QUEUE_ID_BYTES_MAX;
        if (!revival_has_parked(dest))
                buf_done(&dest->parked);
        else if (dest->parked_at > dest->parked.len / 2)
                buf_consume(&dest->parked, dest->parked_at);
        else
                return;
        dest->parked_at = 0;
}

/*
 * One that nobody called comes back by its own time, in the order in which all were parked: then its id stands at the
 * front, and is not to stand there twice.
 */
static void forget_parked(struct destination *dest, const char *id)
{
        size_t seen = 0;
        for (size_t at = dest->parked_at; at < dest->parked.len && seen < LOOK_AT_PARKED;
             at += QUEUE_ID_BYTES_MAX, seen++)
                if (memcmp(dest->parked.ptr + at, id, QUEUE_ID_BYTES_MAX) == 0)
                        dest->parked.ptr[at] = 0;
        tidy_parked(dest);
}

bool revival_park(struct destination *dest, const struct spool_message *m)
{
        char id[QUEUE_ID_BYTES_MAX] = "";
        snprintf(id, sizeof(id), "%s", spool_message_id(m));
        forget_parked(dest, id);
        return buf_append(&dest->parked, id, sizeof(id)) == 0;
}

void revival_unpark(struct destination *dest, size_t count)
{
        for (; count && revival_has_parked(dest); dest->parked_at += QUEUE_ID_BYTES_MAX)
                count -= send_ahead(dest, str_from(dest->parked.ptr + dest->parked_at));
        tidy_parked(dest);
}

void revival_note(struct destination *dest, const struct spool_message *m)
{
        struct delivery *d = dest->delivery;
        if (d->is_stopping || !m)
                return;
        char id[QUEUE_ID_BYTES_MAX] = "";
        snprintf(id, sizeof(id), "%s", spool_message_id(m));
        buf_append(&dest->stranded, id, sizeof(id));
        if (dest->probe.item.at)
                return;
        dest->probe_ms =
                backoff_rest_ms(dest->probe_ms, dest->transport->params->minimal_backoff_time);
        loop_timer_set(d->loop, &dest->probe, loop_now_ms() + dest->probe_ms);
}

void revival_tell(struct destination *dest)
{
        dest->probe_ms = 0;
        if (!dest->stranded.len)
                return;
        loop_timer_cancel(dest->delivery->loop, &dest->probe);
        /* none of them can be noted again meanwhile: attempts begin in tasks of their own */
        struct str ids = buf_str(&dest->stranded);
        for (size_t at = 0; at < ids.len; at += QUEUE_ID_BYTES_MAX)
                send_ahead(dest, str_from(ids.ptr + at));
        buf_done(&dest->stranded);
}
