/*
 * trace.c - where each part of each value was written
 *
 * Values are kept once, so the address of a part tells whose it is. A list sorted by address gives
 * its marks.
 */
#include "config/config_private.h"

#include "base/check.h"

void trace_add(struct config_private *p, struct str text, const struct marks *marks,
               struct place at)
{
        if (str_is_empty(text) || (marks->count == 0 && str_is_empty(at.file)))
                return;
        struct traced_list *t = &p->traced;
        if (t->count == t->room) {
                t->room = t->room ? t->room * 2 : 64;
                t->list = realloc(t->list, t->room * sizeof(*t->list));
                check(t->list);
        }
        struct marks kept = {.count = marks->count ? marks->count : 1};
        kept.list = arena_array(&p->arena, struct mark, kept.count);
        kept.list[0].at = at;
        if (marks->count)
                memcpy(kept.list, marks->list, marks->count * sizeof(*marks->list));
        t->list[t->count++] = (struct traced){text, kept};
}

void trace_settings(struct config_private *p, const struct settings *settings)
{
        for (const struct setting *s = settings->first; s; s = s->next)
                trace_add(p, s->raw, &s->marks, s->at);
}

static int compare_traced(const void *a, const void *b)
{
        const struct traced *one = a, *two = b;
        return one->text.ptr < two->text.ptr ? -1 : one->text.ptr > two->text.ptr;
}

void trace_sort(struct config_private *p)
{
        if (p->traced.count)
                qsort(p->traced.list, p->traced.count, sizeof(*p->traced.list), compare_traced);
}

struct place config_place_of(const struct config *c, struct str part)
{
        const struct traced_list *t = &c->private->traced;
        size_t low = 0, high = t->count;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (t->list[middle].text.ptr <= part.ptr)
                        low = middle + 1;
                else
                        high = middle;
        }
        struct place nowhere = {0};
        if (low == 0)
                return nowhere;
        const struct traced *found = &t->list[low - 1];
        size_t offset = (size_t)(part.ptr - found->text.ptr);
        return offset < found->text.len ? marks_find(&found->marks, offset, nowhere) : nowhere;
}

struct place config_place_or(const struct config *c, struct str part, struct place at)
{
        struct place found = config_place_of(c, part);
        return found.line ? found : at;
}
