/*
 * control_queue.c - the queue commands that look, answered while the server runs
 *
 * Each loop is asked in its turn, a page at a time, so that a queue of a million messages stops nobody.
 */
#include "base/clock.h"
#include "loop/pool.h"
#include "ops/chosen.h"
#include "ops/errand.h"
#include "ops/maildrop.h"
#include "ops/queue_print.h"

#include <errno.h>

enum {
        PAGE_MESSAGES = 50,
        PAGE_BYTES_MAX = 128 * 1024 * 1024, /* 50 messages of 1000 long recipients each fit */
};

/* ---- list ---- */

struct page {
        const struct queue_select *select;
        int64_t now_us;
        struct station *station;
        struct queue_print print;
        struct buf text;
        struct chosen chosen;
        uint64_t cursor;
        bool has_more;
};

static void print_one(void *context, const struct spool_info *info)
{
        struct page *p = context;
        if (queue_select_matches(p->select, info, p->now_us))
                queue_print_message(&p->print, info);
}

static void await_list_page(void *arg)
{
        struct page *p = arg;
        struct spool *spool = p->station->worker->spool;
        if (!queue_select_is_nexthop(p->select)) {
                p->has_more = spool_list(spool, p->station->loop, &p->cursor, PAGE_MESSAGES,
                                         print_one, p);
                return;
        }
        p->has_more = await_chosen_page(&p->chosen, p->station, p->select, &p->cursor);
        struct arena arena;
        arena_init(&arena, 0);
        struct str id;
        for (size_t i = 0; chosen_id(&p->chosen, i, &id); i++) {
                struct spool_message *m = spool_find(spool, p->station->loop, id);
                struct spool_info info;
                if (!m)
                        continue;
                spool_message_info(m, &arena, &info);
                queue_print_message(&p->print, &info);
                arena_clear(&arena);
        }
        arena_done(&arena);
}

/* What is refused for now in maildrop/ waits too. */
struct left {
        struct page *page;
        struct config *config;
        char id[QUEUE_ID_BYTES_MAX];
};

static int list_left(void *arg)
{
        struct left *l = arg;
        maildrop_list_one(l->config, l->id, print_one, l->page);
        return 0;
}

static int await_list_left(struct conversation *c, struct page *p)
{
        struct worker *w = conversation_worker(c);
        struct left l = {.page = p, .config = config_ref(w->site->config)};
        int rc = 0;
        /* a look between changes the list */
        for (size_t i = 0; i < w->left_ids.len && rc == 0; i += sizeof(l.id)) {
                memcpy(l.id, w->left_ids.ptr + i, sizeof(l.id));
                rc = await_pool_run("reading", str_from(l.id), list_left, &l);
                if (rc == 0)
                        rc = await_conversation_put(c, '|', buf_str(&p->text));
                buf_clear(&p->text);
        }
        config_unref(&l.config);
        return rc;
}

static void await_list(struct conversation *c, const struct request *request)
{
        struct worker *w = conversation_worker(c);
        struct page p = {.select = &request->select, .now_us = clock_wall_us()};
        buf_init(&p.text, PAGE_BYTES_MAX);
        chosen_init(&p.chosen);
        queue_print_begin(&p.print, request->wants_json, &p.text);
        p.print.is_plain = request->wants_plain;
        int rc = 0;
        for (size_t i = 0; i < w->station_count && rc == 0; i++) {
                p.station = &w->stations[i];
                p.cursor = 0;
                p.has_more = true;
                while (p.has_more && rc == 0) {
                        await_errand(p.station->loop, await_list_page, &p, "listing on");
                        rc = await_conversation_put(c, '|', buf_str(&p.text));
                        buf_clear(&p.text);
                }
        }
        if (rc == 0 && !queue_select_is_nexthop(p.select))
                rc = await_list_left(c, &p);
        if (rc == 0) {
                queue_print_end(&p.print);
                await_conversation_put(c, '|', buf_str(&p.text));
        }
        chosen_done(&p.chosen);
        buf_done(&p.text);
}

/* ---- show ---- */

/* One message, read on its own loop piece by piece; pinned, so that it may be delivered meanwhile. */
struct showing {
        struct station *station;
        struct str id;
        struct spool_message *message; /* NULL: not on this loop */
        struct spool_reader reader;
        struct buf text;
        bool is_at_end;
        int error;
        struct why why;
};

static void show_begin(void *arg)
{
        struct showing *s = arg;
        struct spool_message *m = spool_find(s->station->worker->spool, s->station->loop, s->id);
        if (!m)
                return;
        struct arena arena;
        struct spool_info info;
        arena_init(&arena, 0);
        spool_message_info(m, &arena, &info);
        queue_print_details(&s->text, &info);
        arena_done(&arena);
        buf_append_char(&s->text, '\n');
        s->message = spool_message_pin(m);
        spool_reader_init(&s->reader, m);
}

/* The stored CR LF becomes LF. */
static int append_lines(struct buf *out, struct str piece)
{
        if (!buf_reserve(out, piece.len))
                return -ENOBUFS;
        while (piece.len) {
                const char *lf = memchr(piece.ptr, '\n', piece.len);
                size_t n = lf ? (size_t)(lf - piece.ptr) + 1 : piece.len;
                buf_append(out, piece.ptr, n);
                if (out->len >= 2 && lf && out->ptr[out->len - 2] == '\r') {
                        out->len--;
                        out->ptr[out->len - 1] = '\n';
                }
                piece = str_tail(piece, n);
        }
        return 0;
}

static void show_more(void *arg)
{
        struct showing *s = arg;
        struct str piece;
        s->error = await_spool_reader_next(&s->reader, &piece, &s->why);
        s->is_at_end = s->error == 0 && piece.len == 0;
        if (s->error == 0 && append_lines(&s->text, piece) < 0)
                s->error = why_set(&s->why, -ENOBUFS, "a line is too long to be shown");
}

static void show_end(void *arg)
{
        struct showing *s = arg;
        spool_reader_done(&s->reader);
        spool_message_unpin(&s->message);
}

/* Puts the whole lines that are there; what is left is the beginning of the next. */
static int await_put_whole_lines(struct conversation *c, struct showing *s)
{
        ptrdiff_t lf =
                s->is_at_end ? (ptrdiff_t)s->text.len - 1 : str_find_last(buf_str(&s->text), '\n');
        if (lf < 0)
                return 0;
        int rc = await_conversation_put(c, '|', str_part(buf_str(&s->text), 0, (size_t)lf + 1));
        buf_consume(&s->text, (size_t)lf + 1);
        return rc;
}

static void await_show_message(struct conversation *c, struct showing *s)
{
        int rc = await_put_whole_lines(c, s);
        while (rc == 0 && s->error == 0 && !s->is_at_end) {
                await_errand(s->station->loop, show_more, s, "reading on");
                if (s->error == 0)
                        rc = await_put_whole_lines(c, s);
        }
        await_errand(s->station->loop, show_end, s, "reading on");
        if (s->error < 0)
                conversation_end(c, 1, s->why.text);
}

void conversation_end_not_found(struct conversation *c, struct str id)
{
        char text[128];
        snprintf(text, sizeof(text), "no message %.*s in the queue", STR_ARG(id));
        conversation_end(c, 1, text);
}

static void await_show(struct conversation *c, const struct request *request)
{
        struct worker *w = conversation_worker(c);
        struct showing s = {.id = request->id};
        buf_init(&s.text, PAGE_BYTES_MAX);
        for (size_t i = 0; i < w->station_count && !s.message; i++) {
                s.station = &w->stations[i];
                await_errand(s.station->loop, show_begin, &s, "looking on");
                if (s.message) {
                        await_show_message(c, &s);
                        buf_done(&s.text);
                        return;
                }
        }
        buf_done(&s.text);
        conversation_end_not_found(c, request->id);
}

/* ---- all of them ---- */

static void await_count(struct conversation *c)
{
        struct spool_counts counts;
        spool_count(conversation_worker(c)->spool, &counts);
        char text[32];
        snprintf(text, sizeof(text), "%zu\n",
                 counts.active + counts.deferred + counts.held +
                         conversation_worker(c)->left_ids.len / QUEUE_ID_BYTES_MAX);
        await_conversation_put(c, '|', str_from(text));
}

void await_control_queue(struct conversation *c, const struct request *request)
{
        switch (request->verb) {
        case REQUEST_QUEUE_LIST:
                await_list(c, request);
                break;
        case REQUEST_QUEUE_SHOW:
                await_show(c, request);
                break;
        case REQUEST_QUEUE_COUNT:
                await_count(c);
                break;
        case REQUEST_QUEUE_DRAIN:
        case REQUEST_QUEUE_ACCEPT:
                await_control_drain(c, request);
                break;
        default:
                await_control_change(c, request);
                break;
        }
}
