/*
 * findings.c - what is wrong, doubtful or worth knowing in a configuration
 *
 * A broken file can make as many findings as it has lines, so each severity shows its first
 * FINDINGS_MAX; the rest are counted, and an error that is not shown still is an error.
 */
#include "config/findings.h"

#include <stdarg.h>

enum {
        FINDINGS_MAX = 1000,
        TEXT_BYTES_MAX = 1000,
        ARENA_BYTES_MAX = 16 << 20,
};

static const char *const severity_words[] = {"note", "warning", "error"};

void findings_init(struct findings *f)
{
        *f = (struct findings){0};
        arena_init(&f->arena, ARENA_BYTES_MAX);
}

void findings_done(struct findings *f)
{
        arena_done(&f->arena);
        findings_init(f);
}

static bool stands_there(const struct findings *f, const struct finding *wanted)
{
        for (const struct finding *i = f->first; i; i = i->next)
                if (i->line == wanted->line && i->severity == wanted->severity &&
                    strcmp(i->code, wanted->code) == 0 && str_eq(i->text, wanted->text) &&
                    str_eq(i->file, wanted->file))
                        return true;
        return false;
}

/* Where a person reads on: by file and line, what has no place first, else as they come. */
static struct finding **position(struct findings *f, const struct finding *new)
{
        struct finding **at = &f->first;
        for (; *at; at = &(*at)->next) {
                int order = str_cmp((*at)->file, new->file);
                if (order > 0 || (order == 0 && (*at)->line > new->line))
                        break;
        }
        return at;
}

void findings_add(struct findings *f, enum severity severity, const char *code, struct place at,
                  const char *cure, const char *format, ...)
{
        char text[TEXT_BYTES_MAX];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);

        struct finding new = {
                .severity = severity,
                .code = code,
                .file = at.file,
                .line = at.line,
                .text = str_from(text),
                .cure = str_from(cure),
        };
        if (stands_there(f, &new))
                return;
        if (f->count[severity]++ >= FINDINGS_MAX || arena_is_over(&f->arena))
                return;
        struct finding *kept = arena_new(&f->arena, struct finding);
        *kept = new;
        kept->file = arena_str(&f->arena, new.file);
        kept->text = arena_str(&f->arena, new.text);
        kept->cure = arena_str(&f->arena, new.cure);
        struct finding **there = position(f, kept);
        kept->next = *there;
        *there = kept;
}

/* Adds at `at`, never past `room`; returns where it would end. Control characters become '?'. */
static size_t put(char *out, size_t room, size_t at, struct str s)
{
        for (size_t i = 0; i < s.len && at + i + 1 < room; i++) {
                unsigned char c = (unsigned char)s.ptr[i];
                out[at + i] = c < ' ' || c == 127 ? '?' : s.ptr[i];
        }
        return at + s.len;
}

size_t finding_format(const struct finding *finding, char *out, size_t room)
{
        if (room == 0)
                return 0;
        char number[16];
        size_t at = put(out, room, 0, finding->file);
        if (finding->line > 0) {
                snprintf(number, sizeof(number), "%s%d", at ? ":" : "line ", finding->line);
                at = put(out, room, at, str_from(number));
        }
        if (at)
                at = put(out, room, at, STR(": "));
        at = put(out, room, at, str_from(severity_words[finding->severity]));
        at = put(out, room, at, STR(": "));
        at = put(out, room, at, finding->text);
        if (!str_is_empty(finding->cure)) {
                at = put(out, room, at, STR(" ("));
                at = put(out, room, at, finding->cure);
                at = put(out, room, at, STR(")"));
        }
        at = put(out, room, at, STR(" ["));
        at = put(out, room, at, str_from(finding->code));
        at = put(out, room, at, STR("]"));
        /* the line ends with its line feed also when it had to be cut */
        if (at + 1 >= room)
                at = room >= 2 ? room - 2 : 0;
        if (room >= 2)
                out[at++] = '\n';
        out[at] = 0;
        return at;
}
