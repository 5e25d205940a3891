/*
 * note.c - what the content checks were asked and found, for those who explain a refusal (forepost explain)
 *
 * A message may have fifty thousand fields and a million lines, so of what nothing was found for the first few fields are
 * kept, cut, and the rest is counted; body lines are counted alone. What was found is kept, the last of it always.
 */
#include "base/clock.h"
#include "cleanup/cleanup_private.h"

enum { LOOKS_MAX = 30, MISSES_MAX = 20, SHOWN_BYTES_MAX = 120 };

struct check_note {
        const char *table;                      /* the parameter */
        struct trace_look looks[LOOKS_MAX + 1]; /* and the count of what is not kept */
        size_t look_count, miss_count;          /* of looks */
        size_t missed;                          /* all that nothing was found for */
        const char *outcome;
        int64_t took_us;
};

static struct check_note *note_of(struct cleanup *c, const char *table)
{
        if (!c->work.facts->trace)
                return NULL;
        size_t i = 0;
        while (i < CHECK_TABLES && c->notes[i] && c->notes[i]->table != table)
                i++;
        if (i == CHECK_TABLES)
                return NULL;
        if (!c->notes[i]) {
                c->notes[i] = arena_new(c->arena, struct check_note);
                *c->notes[i] = (struct check_note){.table = table, .outcome = "dunno"};
        }
        return c->notes[i];
}

static struct str shown(struct cleanup *c, struct str text)
{
        return arena_str(c->arena, str_part(text, 0, SHOWN_BYTES_MAX));
}

static void note_miss(struct cleanup *c, struct check_note *note, const struct check_look *look)
{
        note->missed++;
        if (look->is_body || note->miss_count == MISSES_MAX || note->look_count == LOOKS_MAX)
                return;
        note->miss_count++;
        note->looks[note->look_count++] = (struct trace_look){.kind = "table",
                                                              .table = look->tables,
                                                              .asked = shown(c, look->text),
                                                              .result = "not found"};
}

void cleanup_note_look(struct cleanup *c, const struct check_look *look)
{
        struct check_note *note = note_of(c, look->parameter);
        if (!note)
                return;
        note->took_us += look->took_us;
        if (look->found == TABLE_NOT_FOUND) {
                note_miss(c, note, look);
                return;
        }
        if (note->look_count < LOOKS_MAX)
                note->look_count++;
        bool is_found = look->found == TABLE_FOUND;
        note->looks[note->look_count - 1] = (struct trace_look){
                .kind = "table",
                .table = is_found ? look->rule->table : look->tables,
                .asked = shown(c, look->text),
                .said = shown(c, look->said),
                .result = is_found ? "found" : "failed",
                .line = look->rule->line,
                .pattern = look->rule->pattern,
                .took_us = look->took_us,
        };
}

void cleanup_note_outcome(struct cleanup *c, const char *parameter, const char *outcome)
{
        struct check_note *note = note_of(c, parameter);
        if (note)
                note->outcome = outcome;
}

struct str cleanup_rule_name(struct cleanup *c, const char *parameter)
{
        struct place at = config_place(c->rules->config, parameter);
        return policy_rule_name(at, str_from(parameter), c->arena);
}

void cleanup_explain(struct cleanup *c, struct policy_trace *trace)
{
        for (size_t i = 0; trace && i < CHECK_TABLES && c->notes[i]; i++) {
                struct check_note *note = c->notes[i];
                size_t uncounted = note->missed - note->miss_count;
                size_t count = note->look_count;
                if (uncounted)
                        note->looks[count++] = (struct trace_look){
                                .kind = "table",
                                .table = str_from(note->table),
                                .asked = arena_printf(c->arena, "%zu %s", uncounted,
                                                      note->miss_count ? "more" : "lines"),
                                .result = "not found"};
                const struct trace_note step = {
                        .event = POLICY_AT_END_OF_DATA,
                        .list = str_from(note->table),
                        .source = cleanup_rule_name(c, note->table),
                        .outcome = note->outcome,
                        .took_us = note->took_us,
                        .looks = note->looks,
                        .look_count = count,
                };
                trace_note(trace, &step);
        }
}
