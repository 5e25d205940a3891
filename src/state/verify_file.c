/*
 * verify_file.c - what was found out of addresses, as lines
 *
 *      ok|refused|deferred TAB seconds since 1970 TAB address TAB text LF
 *
 * A line that is appended counts more than those before it. After a crash the last one may be half: it is left out, as is
 * whatever else is no such line.
 */
#include "state/verify_private.h"

static const struct {
        enum verify_status status;
        struct str word;
} words[] = {{VERIFY_DELIVERABLE, STR_INIT("ok")},
             {VERIFY_UNDELIVERABLE, STR_INIT("refused")},
             {VERIFY_DEFERRED, STR_INIT("deferred")}};
enum { WORDS = sizeof(words) / sizeof(*words) };

static bool has_control(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if ((unsigned char)s.ptr[i] < ' ')
                        return true;
        return false;
}

static void put_text(struct buf *out, struct str text)
{
        for (size_t i = 0; i < text.len; i++)
                buf_append_char(out, (unsigned char)text.ptr[i] < ' ' ? ' ' : text.ptr[i]);
}

bool verify_line_put(struct buf *out, const struct verify_entry *e)
{
        if (has_control(e->address) || e->address.len > SMTP_PATH_BYTES_MAX)
                return true;
        if (out->bytes_max - out->len < VERIFY_LINE_BYTES_MAX)
                return false;
        for (size_t i = 0; i < WORDS; i++) {
                if (words[i].status != e->status)
                        continue;
                buf_printf(out, "%.*s\t%lld\t%.*s\t", STR_ARG(words[i].word),
                           (long long)e->updated_s, STR_ARG(e->address));
                put_text(out, e->text);
                buf_append_char(out, '\n');
        }
        return true;
}

bool verify_line_read(struct str line, struct verify_line *out)
{
        struct str word = str_cut(&line, '\t');
        struct str seconds = str_cut(&line, '\t');
        *out = (struct verify_line){.status = VERIFY_PENDING, .address = str_cut(&line, '\t')};
        out->text = line;
        for (size_t i = 0; i < WORDS; i++)
                if (str_eq(word, words[i].word))
                        out->status = words[i].status;
        return out->status != VERIFY_PENDING &&
               str_to_int64(seconds, 0, INT64_MAX, &out->updated_s) == 0 && out->address.len &&
               out->address.len <= SMTP_PATH_BYTES_MAX && out->text.len <= VERIFY_TEXT_BYTES_MAX &&
               !has_control(out->address) && !has_control(out->text);
}
