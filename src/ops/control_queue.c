/*
 * control_queue.c - the queue commands, answered while the server runs
 *
 * Each loop is asked in its turn, a page at a time, so that a queue of a million messages stops nobody.
 */
#include "base/check.h"
#include "base/log.h"
#include "ops/errand.h"
#include "ops/ops_private.h"
#include "ops/queue_print.h"

#include <errno.h>

enum {
        PAGE_MESSAGES = 50,
        PAGE_BYTES_MAX = 128 * 1024 * 1024, /* 50 messages of 1000 long recipients each fit */
};

static bool is_all(struct str id)
{
        return str_eq(id, STR("ALL"));
}

/* ---- list ---- */

struct page {
        struct station *station;
        struct queue_print print;
        struct buf text;
        uint64_t cursor;
        bool has_more;
};

static void print_one(void *context, const struct spool_info *info)
{
        struct page *p = context;
        queue_print_message(&p->print, info);
}

static void list_page(void *arg)
{
        struct page *p = arg;
        p->has_more = spool_list(p->station->worker->spool, p->station->loop, &p->cursor,
                                 PAGE_MESSAGES, print_one, p);
}

static void await_list(struct conversation *c, const struct request *request)
{
        struct worker *w = conversation_worker(c);
        struct page p = {.has_more = true};
        buf_init(&p.text, PAGE_BYTES_MAX);
        queue_print_begin(&p.print, request->wants_json, &p.text);
        int rc = 0;
        for (size_t i = 0; i < w->station_count && rc == 0; i++) {
                p.station = &w->stations[i];
                p.cursor = 0;
                p.has_more = true;
                while (p.has_more && rc == 0) {
                        await_errand(p.station->loop, list_page, &p, "listing on");
                        rc = await_conversation_put(c, '|', buf_str(&p.text));
                        buf_clear(&p.text);
                }
        }
        if (rc == 0) {
                queue_print_end(&p.print);
                await_conversation_put(c, '|', buf_str(&p.text));
        }
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

static void end_not_found(struct conversation *c, struct str id)
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
        end_not_found(c, request->id);
}

/* ---- flush, delete, hold, release ---- */

struct change {
        struct station *station;
        enum request_verb verb;
        struct str id; /* empty, "ALL": every message */
        size_t count;
        /* a page of all messages: their ids */
        char ids[PAGE_MESSAGES * 4][QUEUE_ID_BYTES_MAX];
        size_t id_count;
        uint64_t cursor;
        bool has_more;
};

static void note_id(void *context, const struct spool_info *info)
{
        struct change *c = context;
        if (c->id_count < sizeof(c->ids) / sizeof(*c->ids))
                snprintf(c->ids[c->id_count++], sizeof(c->ids[0]), "%s", info->id);
        else
                c->has_more = true; /* seen again in the next round */
}

static void change_one(struct change *c, struct str id)
{
        struct spool *spool = c->station->worker->spool;
        struct spool_message *m = spool_find(spool, c->station->loop, id);
        if (!m)
                return;
        char text[QUEUE_ID_BYTES_MAX];
        snprintf(text, sizeof(text), "%.*s", STR_ARG(id));
        c->count++;
        switch (c->verb) {
        case REQUEST_QUEUE_FLUSH:
                spool_flush(spool, c->station->loop, m);
                break;
        case REQUEST_QUEUE_DELETE:
                spool_delete(m);
                log_mail(LOG_LEVEL_INFO, "postsuper", text, "removed");
                break;
        case REQUEST_QUEUE_HOLD:
                spool_hold(m);
                log_mail(LOG_LEVEL_INFO, "postsuper", text, "placed on hold");
                break;
        default:
                spool_release(m);
                log_mail(LOG_LEVEL_INFO, "postsuper", text, "released from hold");
                break;
        }
}

static void change_here(void *arg)
{
        struct change *c = arg;
        if (c->id.len && !is_all(c->id)) {
                change_one(c, c->id);
                return;
        }
        struct spool *spool = c->station->worker->spool;
        if (c->verb == REQUEST_QUEUE_FLUSH) {
                c->count += spool_flush(spool, c->station->loop, NULL);
                return;
        }
        c->id_count = 0;
        c->has_more = spool_list(spool, c->station->loop, &c->cursor, PAGE_MESSAGES, note_id, c);
        for (size_t i = 0; i < c->id_count; i++)
                change_one(c, str_from(c->ids[i]));
}

static void await_change_messages(struct conversation *c, const struct request *request)
{
        static const char *const done[] = {
                [REQUEST_QUEUE_FLUSH] = "to be tried now",
                [REQUEST_QUEUE_DELETE] = "deleted",
                [REQUEST_QUEUE_HOLD] = "placed on hold",
                [REQUEST_QUEUE_RELEASE] = "released from hold",
        };
        struct worker *w = conversation_worker(c);
        struct change *change = calloc(1, sizeof(*change));
        check(change);
        change->verb = request->verb;
        change->id = request->id;
        for (size_t i = 0; i < w->station_count; i++) {
                change->station = &w->stations[i];
                change->cursor = 0;
                do {
                        change->has_more = false;
                        await_errand(change->station->loop, change_here, change, "changing on");
                } while (change->has_more);
        }
        size_t count = change->count;
        free(change);
        if (request->id.len && !is_all(request->id) && count == 0) {
                end_not_found(c, request->id);
                return;
        }
        char text[80];
        snprintf(text, sizeof(text), "%zu message%s %s\n", count, count == 1 ? "" : "s",
                 done[request->verb]);
        await_conversation_put(c, '!', str_from(text));
}

/* ---- all of them ---- */

static void await_count(struct conversation *c)
{
        struct spool_counts counts;
        spool_count(conversation_worker(c)->spool, &counts);
        char text[32];
        snprintf(text, sizeof(text), "%zu\n", counts.active + counts.deferred + counts.held);
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
        default:
                await_change_messages(c, request);
                break;
        }
}
