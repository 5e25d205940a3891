/* request.c - what loops ask of the writer, and the segments it is about */
#include "spool/spool_private.h"

void segment_name(uint64_t number, char out[SEGMENT_NAME_BYTES])
{
        snprintf(out, SEGMENT_NAME_BYTES, "%016llx", (unsigned long long)number);
}

struct segment *segment_new(uint64_t number, size_t sides)
{
        struct segment *s = calloc(1, sizeof(*s) + sides * sizeof(s->messages[0]));
        check(s);
        s->number = number;
        s->fd = -1;
        list_init(&s->link);
        for (size_t i = 0; i < sides; i++)
                list_init(&s->messages[i]);
        return s;
}

void segment_free(struct segment **s)
{
        free(*s);
        *s = NULL;
}

void segment_hold(struct journal *j, struct segment *s, int64_t live_bytes)
{
        atomic_fetch_add(&s->live, 1);
        atomic_fetch_add(&s->live_bytes, live_bytes);
        atomic_fetch_add(&j->live_bytes, live_bytes);
}

/* `live` is the last that is touched: at 0 the writer may free the segment. */
void segment_release(struct journal *j, struct segment *s, int64_t live_bytes)
{
        atomic_fetch_sub(&j->live_bytes, live_bytes);
        atomic_fetch_sub(&s->live_bytes, live_bytes);
        atomic_fetch_sub(&s->live, 1);
}

struct request *request_new(enum request_kind kind, struct side *side)
{
        struct request *r = calloc(1, sizeof(*r));
        check(r);
        r->kind = kind;
        r->side = side;
        buf_init(&r->record, SIZE_MAX / 2);
        return r;
}

void request_free(struct request **rp)
{
        struct request *r = *rp;
        if (!r)
                return;
        if (r->kind == REQUEST_COPY)
                free((char *)(uintptr_t)r->content.ptr);
        for (struct removal *rm = r->removals, *next; rm; rm = next) {
                next = rm->next;
                free(rm);
        }
        buf_done(&r->record);
        free(r);
        *rp = NULL;
}

void request_list_add(struct request_list *l, struct request *r)
{
        r->next = NULL;
        if (l->last)
                l->last->next = r;
        else
                l->first = r;
        l->last = r;
}

void request_list_append(struct request_list *l, struct request_list *more)
{
        if (!more->first)
                return;
        if (l->last)
                l->last->next = more->first;
        else
                l->first = more->first;
        l->last = more->last;
        *more = (struct request_list){0};
}

void request_list_prepend(struct request_list *l, struct request_list *more)
{
        request_list_append(more, l);
        *l = *more;
        *more = (struct request_list){0};
}

struct request *request_list_take(struct request_list *l)
{
        struct request *r = l->first;
        if (!r)
                return NULL;
        l->first = r->next;
        if (!l->first)
                l->last = NULL;
        r->next = NULL;
        return r;
}
