/* mailbox_line.c - makes fields of a mailbox's "From " lines */
#include "message/mailbox_line.h"

/* False: there is no room. */
static bool insert(struct buf *text, size_t at, struct str what)
{
        if (!buf_reserve(text, what.len))
                return false;
        buf_grow(text, what.len);
        memmove(text->ptr + at + what.len, text->ptr + at, text->len - what.len - at);
        memcpy(text->ptr + at, what.ptr, what.len);
        return true;
}

static bool is_mailbox_line(struct str line)
{
        size_t marks = 0;
        while (marks < line.len && line.ptr[marks] == '>')
                marks++;
        return str_starts(str_tail(line, marks), STR("From "));
}

bool mailbox_lines_keep(struct mailbox_lines *m, struct buf *text, bool is_all)
{
        static const struct str name = STR_INIT("X-Mailbox-Line: ");
        while (!m->is_past) {
                struct str rest = str_tail(buf_str(text), m->at);
                ptrdiff_t end = str_find(rest, '\n');
                if (end < 0 && rest.len <= MAILBOX_LINE_BYTES_MAX && !is_all)
                        return false;
                bool is_kept = m->count < MAILBOX_LINES_MAX && is_mailbox_line(rest) &&
                               insert(text, m->at, name);
                m->is_past = !is_kept || end < 0;
                m->count++;
                m->at += name.len + (size_t)(end + 1);
        }
        return true;
}
