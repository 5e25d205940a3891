/*
 * lines.c - the logical lines of main.cf and master.cf (postconf(5))
 *
 * A line that begins with a blank continues the one before. Comments (# first) and empty lines
 * between them do not end it. Lines may end in CRLF.
 */
#include "config/config_private.h"

#include "base/check.h"

void marks_add(struct marks *m, size_t offset, struct place at)
{
        if (m->count && m->list[m->count - 1].offset == offset)
                m->count--;
        if (m->count && m->list[m->count - 1].at.line == at.line &&
            m->list[m->count - 1].at.file.ptr == at.file.ptr)
                return;
        if (m->count == m->room) {
                m->room = m->room ? m->room * 2 : 8;
                m->list = realloc(m->list, m->room * sizeof(*m->list));
                check(m->list);
        }
        m->list[m->count++] = (struct mark){offset, at};
}

void marks_done(struct marks *m)
{
        free(m->list);
        *m = (struct marks){0};
}

size_t marks_after(const struct marks *m, size_t offset)
{
        size_t low = 0, high = m->count;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (m->list[middle].offset <= offset)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct place marks_find(const struct marks *m, size_t offset, struct place other)
{
        size_t after = marks_after(m, offset);
        return after ? m->list[after - 1].at : other;
}

void line_reader_init(struct line_reader *r, struct str text, struct str file,
                      struct findings *findings)
{
        *r = (struct line_reader){.rest = text, .next = {file, 1}, .findings = findings};
        buf_init(&r->text, LINE_BYTES_MAX);
}

void line_reader_done(struct line_reader *r)
{
        buf_done(&r->text);
        marks_done(&r->marks);
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

/* Takes one physical line, without its line end. */
static struct str take_line(struct line_reader *r)
{
        struct str line = str_cut(&r->rest, '\n');
        r->next.line++;
        if (line.len && line.ptr[line.len - 1] == '\r')
                line.len--;
        return line;
}

static bool is_nothing(struct str line)
{
        struct str text = str_trim(line);
        return str_is_empty(text) || text.ptr[0] == '#';
}

/* The next physical line that says something, without taking it. */
static bool skip_nothing(struct line_reader *r)
{
        while (r->rest.len) {
                struct line_reader before = *r;
                if (!is_nothing(take_line(r))) {
                        r->rest = before.rest;
                        r->next = before.next;
                        return true;
                }
        }
        return false;
}

/* Adds the physical line that comes next; false when the logical line is full. */
static bool add_line(struct line_reader *r)
{
        struct place at = r->next;
        struct str line = take_line(r);
        while (line.len && is_blank(line.ptr[line.len - 1]))
                line.len--;
        marks_add(&r->marks, r->text.len, at);
        return buf_append_str(&r->text, line) == 0;
}

bool line_reader_next(struct line_reader *r)
{
        while (skip_nothing(r)) {
                buf_clear(&r->text);
                r->marks.count = 0;
                r->at = r->next;
                bool is_orphan = is_blank(r->rest.ptr[0]);
                bool fits = add_line(r);
                while (skip_nothing(r) && is_blank(r->rest.ptr[0]))
                        fits = add_line(r) && fits;
                if (is_orphan)
                        findings_add(r->findings, SEVERITY_ERROR, "stray-continuation", r->at,
                                     "remove the blanks in front of it",
                                     "this line begins with a blank, but there is nothing before "
                                     "it to continue");
                else if (!fits)
                        findings_add(r->findings, SEVERITY_ERROR, "line-too-long", r->at,
                                     "put the list into a table file",
                                     "this line, with its continuation lines, is longer than %d "
                                     "bytes",
                                     LINE_BYTES_MAX);
                else
                        return true;
        }
        return false;
}
