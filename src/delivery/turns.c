/*
 * turns.c - a destination's queue, in which senders take turns
 *
 * A newsletter of ten thousand messages to one destination must not keep the single message of somebody else
 * waiting behind it: jobs queue by the sender of their message, and the senders are served in a circle, one job
 * each. Postfix lets messages with few recipients overtake one with many (qmgr(8), delivery slots); here it does
 * not matter whether a sender's flood came as one message or as many.
 *
 * Nor must a flood fill the room that messages in delivery have (qmgr_message_active_limit): more jobs of one sender
 * for one destination than turns_has_room() allows wait in the spool (attempt.c parks them; revival.c calls them).
 *
 * A probe is answered to somebody who waits in a session: while there are some, every other turn is theirs.
 */
#include "base/check.h"
#include "delivery/delivery_private.h"

struct sender_queue {
        struct list link; /* in turns.circle */
        struct str key;
        struct list jobs;
        size_t count;
};

void turns_init(struct turns *t)
{
        *t = (struct turns){0};
        list_init(&t->circle);
        list_init(&t->probes);
        map_init(&t->senders);
}

void turns_done(struct turns *t)
{
        check(t->count == 0);
        map_done(&t->senders);
}

static struct str sender_of(const struct delivery_job *job)
{
        /* of the message: VERP's many senders are one */
        return job->attempt ? job->attempt->envelope.sender : job->envelope->sender;
}

void turns_add(struct turns *t, struct delivery_job *job)
{
        if (job->probe) {
                list_add_last(&t->probes, &job->link);
                t->count++;
                return;
        }
        struct str key = sender_of(job);
        struct sender_queue *q = map_find(&t->senders, key);
        if (!q) {
                q = malloc(sizeof(*q) + key.len);
                check(q);
                char *copy = (char *)(q + 1);
                if (key.len)
                        memcpy(copy, key.ptr, key.len);
                q->key = str_make(copy, key.len);
                q->count = 0;
                list_init(&q->jobs);
                list_add_last(&t->circle, &q->link);
                map_put(&t->senders, q->key, q);
        }
        list_add_last(&q->jobs, &job->link);
        q->count++;
        t->count++;
}

static struct delivery_job *take_probe(struct turns *t)
{
        struct delivery_job *job = list_of(t->probes.next, struct delivery_job, link);
        list_remove(&job->link);
        t->count--;
        return job;
}

struct delivery_job *turns_take(struct turns *t)
{
        check(t->count > 0);
        t->was_probe = !list_is_empty(&t->probes) && (!t->was_probe || list_is_empty(&t->circle));
        if (t->was_probe)
                return take_probe(t);
        struct sender_queue *q = list_of(t->circle.next, struct sender_queue, link);
        struct delivery_job *job = list_of(q->jobs.next, struct delivery_job, link);
        list_remove(&job->link);
        list_remove(&q->link);
        t->count--;
        if (--q->count) {
                list_add_last(&t->circle, &q->link);
        } else {
                map_remove(&t->senders, q->key);
                free(q);
        }
        return job;
}

bool turns_has_room(const struct turns *t, const struct delivery_job *job, size_t jobs_max)
{
        const struct sender_queue *q = map_find(&t->senders, sender_of(job));
        /* those who have none yet are let in, up to as much again */
        size_t senders = t->senders.count ? t->senders.count : 1;
        size_t mine = q ? q->count : 0;
        return t->count < jobs_max || (mine < jobs_max / senders && t->count < 2 * jobs_max);
}
