/*
 * reply_reader.c - a peer's reply, line by line
 *
 * Taken beyond the grammar of reply.c: a code with nothing behind it on any line. The enhanced code
 * is class "." subject "." detail (RFC 3463 2), and counts only when its class is the reply's first
 * digit.
 */
#include "smtp/grammar.h"

void smtp_reply_reader_init(struct smtp_reply_reader *r)
{
        *r = (struct smtp_reply_reader){.is_complete = true};
        buf_init(&r->text, SMTP_REPLY_TEXT_BYTES_MAX);
}

void smtp_reply_reader_done(struct smtp_reply_reader *r)
{
        buf_done(&r->text);
}

static size_t digits_at(struct str s, size_t at)
{
        size_t n = 0;
        while (at + n < s.len && char_is_digit(s.ptr[at + n]))
                n++;
        return n;
}

/* How many bytes of an enhanced code of this class stand in front; 0: none. */
static size_t enhanced_bytes(struct str text, char class)
{
        if (text.len < 5 || text.ptr[0] != class || !strchr("245", class) || text.ptr[1] != '.')
                return 0;
        size_t subject = digits_at(text, 2);
        size_t dot = 2 + subject;
        if (subject == 0 || subject > 3 || dot >= text.len || text.ptr[dot] != '.')
                return 0;
        size_t detail = digits_at(text, dot + 1);
        size_t end = dot + 1 + detail;
        if (detail == 0 || detail > 3 || (end < text.len && !char_is_blank(text.ptr[end])))
                return 0;
        return end;
}

static int code_parse(struct str line)
{
        if (line.len < 3 || line.ptr[0] < '2' || line.ptr[0] > '5' || digits_at(line, 0) != 3 ||
            (line.len > 3 && line.ptr[3] != ' ' && line.ptr[3] != '-'))
                return -EBADMSG;
        return (line.ptr[0] - '0') * 100 + (line.ptr[1] - '0') * 10 + (line.ptr[2] - '0');
}

/* What goes over the ceiling is dropped. */
static void text_add(struct smtp_reply_reader *r, struct str text)
{
        size_t room = r->text.bytes_max - r->text.len;
        if (r->lines > 1 && room > 0) {
                buf_append_char(&r->text, '\n');
                room--;
        }
        buf_append_str(&r->text, str_part(text, 0, room));
}

int smtp_reply_reader_feed(struct smtp_reply_reader *r, struct str line)
{
        if (r->is_complete) {
                r->is_complete = false;
                r->code = 0;
                r->lines = 0;
                r->enhanced[0] = '\0';
                buf_clear(&r->text);
        }
        int code = code_parse(line);
        if (code < 0 || (r->lines && code != r->code) || r->lines == SMTP_REPLY_LINES_MAX) {
                r->is_complete = true;
                return -EBADMSG;
        }
        struct str text = str_tail(line, 4);
        size_t bytes = enhanced_bytes(text, line.ptr[0]);
        if (r->lines == 0) {
                memcpy(r->enhanced, text.ptr, bytes);
                r->enhanced[bytes] = '\0';
        }
        if (bytes && str_eq(str_part(text, 0, bytes), str_from(r->enhanced)))
                text = str_trim(str_tail(text, bytes));
        r->code = code;
        r->lines++;
        text_add(r, text);
        r->is_complete = line.len == 3 || line.ptr[3] == ' ';
        return r->is_complete;
}
