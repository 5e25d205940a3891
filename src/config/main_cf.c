/*
 * main_cf.c - "name = value" lines (postconf(5)) to settings
 *
 * Postfix stops at the first line that it cannot read. Here the rest is read too, so that all
 * mistakes are told at once.
 */
#include "config/config_private.h"

#include <errno.h>

void settings_init(struct settings *s)
{
        *s = (struct settings){0};
        map_init(&s->by_name);
        s->last = &s->first;
}

void settings_done(struct settings *s)
{
        map_done(&s->by_name);
        settings_init(s);
}

struct setting *settings_find(const struct settings *s, struct str name)
{
        return map_find(&s->by_name, name);
}

/* The marks of text[from...], in the arena. */
static struct marks keep_marks(struct arena *arena, const struct marks *marks, size_t from)
{
        struct marks kept = {0};
        if (!marks || marks->count < 2)
                return kept;
        kept.list = arena_array(arena, struct mark, marks->count);
        for (size_t i = 0; i < marks->count; i++) {
                struct mark m = marks->list[i];
                m.offset = m.offset > from ? m.offset - from : 0;
                if (kept.count && m.offset == kept.list[kept.count - 1].offset)
                        kept.count--;
                kept.list[kept.count++] = m;
        }
        kept.room = kept.count;
        return kept;
}

void settings_put(struct settings *s, struct arena *arena, struct str name, struct str raw,
                  struct place at, const struct marks *marks, size_t marks_from,
                  struct findings *findings)
{
        struct setting *setting = settings_find(s, name);
        if (!setting) {
                setting = arena_new(arena, struct setting);
                setting->name = arena_str(arena, name);
                *s->last = setting;
                s->last = &setting->next;
                map_put(&s->by_name, setting->name, setting);
        } else if (setting->at.line && findings) {
                findings_add(findings, SEVERITY_WARNING, "set-twice", at, "remove one of the two",
                             "%.*s is set here and in line %d; this one, the last, counts",
                             STR_ARG(name), setting->at.line);
        }
        setting->raw = arena_str(arena, raw);
        setting->at = at;
        setting->marks = keep_marks(arena, marks, marks_from);
}

int setting_split(struct str text, struct str *name, struct str *value, size_t *value_at,
                  struct why *why, const char **cure)
{
        *cure = "write: name = value";
        ptrdiff_t equals = str_find(text, '=');
        struct str before = str_trim(equals < 0 ? text : str_part(text, 0, (size_t)equals));
        struct str rest = before, word;
        str_next_word(&rest, " \t", &word);
        if (equals < 0 || !str_is_empty(rest)) {
                *cure = "begin the line with a blank: it continues the line before";
                return why_set(why, -EINVAL, "missing '=' after the name \"%.*s\"",
                               word.len < 80 ? (int)word.len : 80, word.ptr);
        }
        if (str_is_empty(before))
                return why_set(why, -EINVAL, "missing name before '='");
        size_t start = (size_t)equals + 1;
        while (start < text.len && (text.ptr[start] == ' ' || text.ptr[start] == '\t'))
                start++;
        *name = before;
        *value = str_trim(str_tail(text, start));
        *value_at = start;
        return 0;
}

void main_cf_read(struct settings *settings, struct arena *arena, struct str text, struct str file,
                  struct findings *findings)
{
        struct line_reader reader;
        line_reader_init(&reader, text, file, findings);
        while (line_reader_next(&reader)) {
                struct str name, value;
                size_t value_at;
                struct why why;
                const char *cure;
                if (setting_split(buf_str(&reader.text), &name, &value, &value_at, &why, &cure))
                        findings_add(findings, SEVERITY_ERROR, "syntax", reader.at, cure, "%s",
                                     why.text);
                else
                        settings_put(settings, arena, name, value, reader.at, &reader.marks,
                                     value_at, findings);
        }
        line_reader_done(&reader);
}
