/* roll.c - the sessions that are open on a loop */
#include "session/roll.h"

#include "session/session_private.h"

/* A loop's own. A cursor stands at a session; when that one ends it goes on to the next. */
static __thread struct {
        struct list sessions;
        struct list cursors;
        uint64_t count; /* that ever were */
} roll;

static void begin(void)
{
        if (roll.sessions.next)
                return;
        list_init(&roll.sessions);
        list_init(&roll.cursors);
}

static struct session *session_at(struct list *link)
{
        return link == &roll.sessions ? NULL : list_of(link, struct session, on_roll);
}

void session_roll_add(struct session *s)
{
        begin();
        s->number = ++roll.count;
        s->since_us = clock_wall_us();
        list_add_last(&roll.sessions, &s->on_roll);
}

void session_roll_remove(struct session *s)
{
        list_each (link, &roll.cursors) {
                struct session_cursor *c = list_of(link, struct session_cursor, link);
                if (c->next == s)
                        c->next = session_at(s->on_roll.next);
        }
        list_remove(&s->on_roll);
}

static void view(const struct session *s, struct session_view *v)
{
        const struct transaction *t = s->transaction;
        *v = (struct session_view){
                .client_name = s->facts.client_name,
                .client_address = s->facts.client_address,
                .client_port = s->facts.client_port,
                .server_address = s->facts.server_address,
                .server_port = s->facts.server_port,
                .service = s->service->parts.service->command,
                .helo = s->helo ? str_from(s->helo) : STR(""),
                .protocol = s->facts.protocol,
                .tls = s->facts.has_tls ? s->facts.tls : STR(""),
                .command = s->last_verb ? str_from(s->last_verb) : STR("CONNECT"),
                .messages = s->messages,
                .since_us = s->since_us,
                .is_local = s->is_local,
                .local_uid = s->local_uid,
        };
        if (t) {
                v->has_sender = true;
                v->sender = t->sender.text;
                v->recipients = t->rcpt_count;
        }
        task_describe(s->task, v->waits_for, sizeof(v->waits_for));
        v->waits_ms = task_waits_ms(s->task);
}

static void enter(struct session_cursor *c)
{
        begin();
        c->is_under_way = true;
        c->next = session_at(roll.sessions.next);
        c->last = roll.count;
        list_add_last(&roll.cursors, &c->link);
}

void session_roll_leave(struct session_cursor *c)
{
        if (c->is_under_way)
                list_remove(&c->link);
        c->is_under_way = false;
}

bool session_roll_page(struct session_cursor *c, size_t count,
                       void (*show)(void *context, const struct session_view *view), void *context)
{
        if (!c->is_under_way)
                enter(c);
        for (; count && c->next && c->next->number <= c->last; count--) {
                struct session_view v;
                view(c->next, &v);
                show(context, &v);
                c->next = session_at(c->next->on_roll.next);
        }
        if (c->next && c->next->number <= c->last)
                return true;
        session_roll_leave(c);
        return false;
}
