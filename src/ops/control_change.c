/*
 * control_change.c - the queue commands that change something: flush, delete, hold, release, requeue, expire, drain
 *
 * Each loop is asked in its turn, a page at a time, so that a queue of a million messages stops nobody.
 *
 * What a person asks for is really tried: a flush and a requeue end the rests of destinations.
 */
#include "base/log.h"
#include "ops/chosen.h"
#include "ops/errand.h"
#include "session/front_door.h"

struct change {
        struct station *station;
        enum request_verb verb;
        const struct queue_select *select;
        struct str id; /* empty: all that are selected */
        struct chosen chosen;
        size_t count;
        uint64_t cursor;
        bool has_more;
};

static void log_change(struct str id, const char *what)
{
        char text[QUEUE_ID_BYTES_MAX];
        snprintf(text, sizeof(text), "%.*s", STR_ARG(id));
        log_mail(LOG_LEVEL_INFO, "postsuper", text, "%s", what);
}

static void change_one(struct change *c, struct spool_message *m, struct str id)
{
        struct spool *spool = c->station->worker->spool;
        switch (c->verb) {
        case REQUEST_QUEUE_FLUSH:
        case REQUEST_QUEUE_DRAIN:
                c->count += spool_flush_asked(spool, c->station->loop, m);
                return;
        case REQUEST_QUEUE_DELETE:
                spool_delete(m);
                log_change(id, "removed");
                break;
        case REQUEST_QUEUE_HOLD:
                spool_hold(m);
                log_change(id, "placed on hold");
                break;
        case REQUEST_QUEUE_REQUEUE:
                spool_requeue(m);
                log_change(id, "requeued");
                break;
        case REQUEST_QUEUE_EXPIRE:
                if (!spool_expire(m))
                        return;
                log_change(id, "expired");
                break;
        default:
                spool_release(m);
                log_change(id, "released from hold");
                break;
        }
        c->count++;
}

static void await_change_page(void *arg)
{
        struct change *c = arg;
        struct station *s = c->station;
        if (c->cursor == 0 && (c->verb == REQUEST_QUEUE_FLUSH || c->verb == REQUEST_QUEUE_DRAIN ||
                               c->verb == REQUEST_QUEUE_REQUEUE))
                delivery_end_rests(s->delivery);
        if (c->id.len)
                await_chosen_one(&c->chosen, s, c->select, c->id);
        else
                c->has_more = await_chosen_page(&c->chosen, s, c->select, &c->cursor);
        struct str id;
        for (size_t i = 0; chosen_id(&c->chosen, i, &id); i++) {
                struct spool_message *m = spool_find(s->worker->spool, s->loop, id);
                if (m)
                        change_one(c, m, id);
        }
}

static size_t await_change_all(struct worker *w, enum request_verb verb, struct str id,
                               const struct queue_select *select)
{
        struct change change = {.verb = verb, .select = select, .id = id};
        chosen_init(&change.chosen);
        for (size_t i = 0; i < w->station_count; i++) {
                change.station = &w->stations[i];
                change.cursor = 0;
                do {
                        change.has_more = false;
                        await_errand(change.station->loop, await_change_page, &change,
                                     "changing on");
                } while (change.has_more);
        }
        chosen_done(&change.chosen);
        return change.count;
}

size_t await_queue_flush(struct worker *w, struct str domain)
{
        const struct queue_select select = {.destination = domain};
        return await_change_all(w, REQUEST_QUEUE_FLUSH, STR(""), &select);
}

void await_control_change(struct conversation *c, const struct request *request)
{
        static const char *const done[] = {
                [REQUEST_QUEUE_FLUSH] = "to be tried now",
                [REQUEST_QUEUE_DELETE] = "deleted",
                [REQUEST_QUEUE_HOLD] = "placed on hold",
                [REQUEST_QUEUE_RELEASE] = "released from hold",
                [REQUEST_QUEUE_REQUEUE] = "requeued",
                [REQUEST_QUEUE_EXPIRE] = "given up",
        };
        bool is_all = str_eq(request->id, STR("ALL"));
        struct str id = is_all ? STR("") : request->id;
        size_t count =
                await_change_all(conversation_worker(c), request->verb, id, &request->select);
        if (id.len && count == 0 && request->verb != REQUEST_QUEUE_FLUSH) {
                conversation_end_not_found(c, request->id);
                return;
        }
        char text[80];
        snprintf(text, sizeof(text), "%zu message%s %s\n", count, count == 1 ? "" : "s",
                 done[request->verb]);
        await_conversation_put(c, '!', str_from(text));
}

void await_control_drain(struct conversation *c, const struct request *request)
{
        struct worker *w = conversation_worker(c);
        bool drains = request->verb == REQUEST_QUEUE_DRAIN;
        const struct queue_select every = {0};
        struct why why;
        if (await_spool_drain(w->spool, drains, &why) < 0) {
                conversation_end(c, 1, why.text);
                return;
        }
        front_door_close(w->door, drains);
        log_info("master", drains ? DRAINING : "clients are served again");
        if (drains)
                await_change_all(w, REQUEST_QUEUE_DRAIN, STR(""), &every);
}
