/*
 * control_sessions.c - forepost sessions: who is connected, what is being delivered, and what each waits for
 *
 * Each loop is asked in its turn, a page at a time, and a page is sent before the next is made: a hundred thousand
 * sessions stop nobody, and take no memory here.
 */
#include "ops/delivery_print.h"
#include "ops/errand.h"
#include "ops/ops_private.h"
#include "ops/session_print.h"

enum {
        PAGE_SESSIONS = 100,
        PAGE_BYTES_MAX = PAGE_SESSIONS * 16 * 1024,
        DELIVERIES_MAX = 1000, /* of a loop */
        DELIVERIES_BYTES_MAX = DELIVERIES_MAX * 8 * 1024,
};

struct page {
        struct session_print print;
        struct session_cursor cursor;
        struct buf text;
        bool has_more;
        bool is_given_up;
};

static void show(void *context, const struct session_view *view)
{
        session_print_one(context, view);
}

/* On the station's loop. */
static void list_page(void *arg)
{
        struct page *p = arg;
        if (p->is_given_up)
                session_roll_leave(&p->cursor);
        else
                p->has_more = session_roll_page(&p->cursor, PAGE_SESSIONS, show, &p->print);
}

static int await_list_station(struct conversation *c, struct page *p, struct station *s)
{
        int rc = 0;
        p->print.loop = s->index;
        p->cursor = (struct session_cursor){0};
        p->has_more = true;
        while (p->has_more) {
                p->is_given_up = rc < 0;
                await_errand(s->loop, list_page, p, "listing on");
                if (rc < 0)
                        return rc;
                rc = await_conversation_put(c, '|', buf_str(&p->text));
                buf_clear(&p->text);
        }
        return rc;
}

void await_control_sessions(struct conversation *c, const struct request *request)
{
        struct worker *w = conversation_worker(c);
        struct page p = {0};
        buf_init(&p.text, PAGE_BYTES_MAX);
        p.print = (struct session_print){
                .as_json = request->wants_json, .now_us = clock_wall_us(), .out = &p.text};
        int rc = 0;
        for (size_t i = 0; i < w->station_count && rc == 0; i++)
                rc = await_list_station(c, &p, &w->stations[i]);
        if (rc == 0) {
                session_print_end(&p.print);
                await_conversation_put(c, '|', buf_str(&p.text));
        }
        buf_done(&p.text);
}

/* ---- deliveries: there are no more of them than process limits allow ---- */

struct deliveries {
        struct delivery_print print;
        struct delivery *delivery;
        size_t count;
};

static void show_delivery(void *context, const struct delivery_view *view)
{
        delivery_print_one(context, view);
}

/* On the station's loop. */
static void list_deliveries(void *arg)
{
        struct deliveries *l = arg;
        l->count += delivery_each(l->delivery, DELIVERIES_MAX, show_delivery, &l->print);
}

void await_control_deliveries(struct conversation *c, const struct request *request)
{
        struct worker *w = conversation_worker(c);
        struct buf text;
        buf_init(&text, DELIVERIES_BYTES_MAX);
        struct deliveries l = {
                .print = {.as_json = request->wants_json, .now_us = clock_wall_us(), .out = &text}};
        int rc = 0;
        for (size_t i = 0; i < w->station_count && rc == 0; i++) {
                l.print.loop = i;
                l.delivery = w->stations[i].delivery;
                await_errand(w->stations[i].loop, list_deliveries, &l, "listing on");
                rc = await_conversation_put(c, '|', buf_str(&text));
                buf_clear(&text);
        }
        if (rc == 0) {
                delivery_print_end(&l.print, l.count);
                await_conversation_put(c, '|', buf_str(&text));
        }
        buf_done(&text);
}
