/*
 * chosen.c - the ids of the messages that a selection asks for, a page at a time
 *
 * Ids, not messages: between the choice and what is done with them a message may be delivered and go.
 */
#include "ops/chosen.h"

#include "base/clock.h"

enum { PAGE_MESSAGES = 200, PAGE_IDS_MAX = 1 << 20 };

void chosen_init(struct chosen *c)
{
        *c = (struct chosen){0};
        buf_init(&c->ids, (size_t)PAGE_IDS_MAX * QUEUE_ID_BYTES_MAX);
}

void chosen_done(struct chosen *c)
{
        buf_done(&c->ids);
}

bool chosen_id(const struct chosen *c, size_t i, struct str *id)
{
        if ((i + 1) * QUEUE_ID_BYTES_MAX > c->ids.len)
                return false;
        *id = str_from(c->ids.ptr + i * QUEUE_ID_BYTES_MAX);
        return true;
}

static void note(void *context, const struct spool_info *info)
{
        struct chosen *c = context;
        char id[QUEUE_ID_BYTES_MAX] = "";
        if (!queue_select_matches(c->select, info, c->now_us))
                return;
        snprintf(id, sizeof(id), "%s", info->id);
        buf_append(&c->ids, id, sizeof(id));
}

/* Takes out those who do not go to the next hop that is asked for. */
static void await_keep_nexthop(struct chosen *c, struct station *s)
{
        struct str id;
        size_t kept = 0;
        for (size_t i = 0; chosen_id(c, i, &id); i++) {
                struct spool_message *m = spool_find(s->worker->spool, s->loop, id);
                if (!m)
                        continue;
                m = spool_message_pin(m);
                bool goes = await_delivery_goes_to(s->delivery, m, c->select->destination);
                spool_message_unpin(&m);
                if (goes)
                        memmove(c->ids.ptr + kept++ * QUEUE_ID_BYTES_MAX, id.ptr,
                                QUEUE_ID_BYTES_MAX);
        }
        c->ids.len = kept * QUEUE_ID_BYTES_MAX;
}

static void begin(struct chosen *c, const struct queue_select *select)
{
        c->select = select;
        c->now_us = clock_wall_us();
        buf_clear(&c->ids);
}

bool await_chosen_page(struct chosen *c, struct station *s, const struct queue_select *select,
                       uint64_t *cursor)
{
        begin(c, select);
        bool has_more = spool_list(s->worker->spool, s->loop, cursor, PAGE_MESSAGES, note, c);
        if (queue_select_is_nexthop(select))
                await_keep_nexthop(c, s);
        return has_more;
}

void await_chosen_one(struct chosen *c, struct station *s, const struct queue_select *select,
                      struct str id)
{
        begin(c, select);
        struct spool_message *m = spool_find(s->worker->spool, s->loop, id);
        if (!m)
                return;
        struct arena arena;
        struct spool_info info;
        arena_init(&arena, 0);
        spool_message_info(m, &arena, &info);
        note(c, &info);
        arena_done(&arena);
        if (queue_select_is_nexthop(select))
                await_keep_nexthop(c, s);
}
