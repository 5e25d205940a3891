/* put.c - writing text into a buf, with one error at the end */
#include "message/put.h"

#include "message/header.h"

#include <errno.h>

/* A word that is longer is cut: no line of a message is over 998 characters (RFC 5322 2.1.1). */
enum { LINE_CHARACTERS = 75, WORD_BYTES_MAX = 900 };

int put_end(struct put *p)
{
        if (p->code)
                p->out->len = p->start;
        return p->code;
}

void put_str(struct put *p, struct str text)
{
        if (p->code == 0)
                p->code = buf_append_str(p->out, text);
}

void put_char(struct put *p, char c)
{
        put_str(p, str_make(&c, 1));
}

void put_date(struct put *p, int64_t wall_us)
{
        char date[DATE_BYTES_MAX];
        date_format(wall_us, date);
        put_str(p, str_from(date));
}

void put_clean(struct put *p, struct str text, enum put_charset charset, const char *avoid)
{
        bool passes_8bit =
                charset == PUT_UTF8 && (smtp_text_is_ascii(text) || smtp_utf8_is_valid(text));
        size_t before = p->out->len;
        put_str(p, text);
        if (p->code)
                return;
        char *at = p->out->ptr + before;
        for (size_t i = 0; i < text.len; i++) {
                unsigned char c = (unsigned char)at[i];
                /* U+0080..U+009F are control characters too */
                bool is_control =
                        c < 0x20 || c == 0x7f ||
                        (c == 0xc2 && i + 1 < text.len && (unsigned char)at[i + 1] < 0xa0);
                if (is_control && c == 0xc2)
                        at[i + 1] = '?';
                if (is_control || (c >= 0x80 && !passes_8bit) || (avoid && strchr(avoid, c)))
                        at[i] = '?';
        }
}

void put_wrapped(struct put *p, struct str text, size_t column, enum put_charset charset)
{
        struct str word;
        bool is_first = true;
        while (str_next_word(&text, " \t\r\n", &word)) {
                while (word.len) {
                        struct str part = str_part(word, 0, WORD_BYTES_MAX);
                        word = str_tail(word, part.len);
                        if (column + 1 + part.len > LINE_CHARACTERS && !(is_first && column < 5)) {
                                put_str(p, STR("\r\n    "));
                                column = 4;
                        } else if (!is_first) {
                                put_char(p, ' ');
                                column++;
                        }
                        put_clean(p, part, charset, NULL);
                        column += part.len;
                        is_first = false;
                }
        }
}
