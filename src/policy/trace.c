/* trace.c - how a judgement came about */
#include "policy/policy.h"

#include <string.h>

void trace_begin(struct policy_trace *t, struct arena *arena)
{
        *t = (struct policy_trace){.arena = arena};
}

struct str policy_rule_name(struct place at, struct str words, struct arena *arena)
{
        if (!at.line)
                return words;
        ptrdiff_t slash = str_find_last(at.file, '/');
        struct str file = str_tail(at.file, slash < 0 ? 0 : (size_t)slash + 1);
        return arena_printf(arena, "%.*s:%d %.*s", STR_ARG(file), at.line, STR_ARG(words));
}

/* `count` items of `size` bytes: room for one more; the old ones move. */
static void *grow(struct arena *arena, const void *items, size_t size, size_t count, size_t *room)
{
        *room = count ? 2 * count : TRACE_CHUNK;
        void *more = arena_alloc(arena, *room * size);
        if (count)
                memcpy(more, items, count * size);
        return more;
}

struct trace_step *trace_step_begin(struct policy_trace *t, int event, struct str list,
                                    struct str source, int depth, int64_t now_us)
{
        if (!t)
                return NULL;
        if (t->count == TRACE_STEPS_MAX) {
                t->is_cut = true;
                return NULL;
        }
        if (t->count == t->room)
                t->steps = grow(t->arena, t->steps, sizeof(*t->steps), t->count, &t->room);
        struct trace_step *s = arena_new(t->arena, struct trace_step);
        *s = (struct trace_step){.event = event,
                                 .list = list,
                                 /* those of access tables end with what the table said */
                                 .source = depth > 1 ? arena_str(t->arena, source) : source,
                                 .depth = depth,
                                 .outcome = "dunno",
                                 .took_us = -now_us};
        t->steps[t->count++] = s;
        t->now = s;
        return s;
}

void trace_step_end(struct policy_trace *t, struct trace_step *step, struct trace_step *outer,
                    const char *outcome, int64_t now_us)
{
        if (!t)
                return;
        t->now = outer;
        if (!step)
                return;
        step->outcome = outcome;
        step->took_us += now_us;
}

void trace_look(struct policy_trace *t, const struct trace_look *look)
{
        struct trace_step *s = t ? t->now : NULL;
        if (!s)
                return;
        if (t->looks == TRACE_LOOKS_MAX) {
                t->is_cut = true;
                return;
        }
        t->looks++;
        if (s->look_count == s->look_room)
                s->looks =
                        grow(t->arena, s->looks, sizeof(*s->looks), s->look_count, &s->look_room);
        struct trace_look *kept = &s->looks[s->look_count++];
        *kept = *look;
        kept->asked = arena_str(t->arena, str_part(look->asked, 0, TRACE_TEXT_MAX));
        kept->said = arena_str(t->arena, str_part(look->said, 0, TRACE_TEXT_MAX));
        if (look->pattern.len)
                kept->pattern = arena_str(t->arena, look->pattern);
}

void trace_note(struct policy_trace *t, const struct trace_note *note)
{
        if (!t)
                return;
        struct trace_step *outer = t->now;
        struct trace_step *step = trace_step_begin(t, note->event, arena_str(t->arena, note->list),
                                                   arena_str(t->arena, note->source), 1, 0);
        for (size_t i = 0; step && i < note->look_count; i++)
                trace_look(t, &note->looks[i]);
        trace_step_end(t, step, outer, note->outcome, note->took_us);
}
