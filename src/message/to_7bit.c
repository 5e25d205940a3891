/* to_7bit.c - eight bits in seven */
#include "message/to_7bit.h"

#include <errno.h>

enum { COLUMN_MAX = 76, FIELD_BYTES = 64 << 10, LINE_BYTES = 16 << 10 };

void to_7bit_init(struct to_7bit *t)
{
        const struct mime_limits limits = {
                .field_bytes_max = FIELD_BYTES,
                .line_bytes_max = LINE_BYTES,
                .boundary_bytes_max = 2048,
                .nesting_max = 100,
        };
        *t = (struct to_7bit){0};
        mime_init(&t->mime, &limits);
        buf_init(&t->waiting, TO_7BIT_SPARE_BYTES);
}

void to_7bit_done(struct to_7bit *t)
{
        mime_done(&t->mime);
        buf_done(&t->waiting);
}

/* ---- quoted-printable ---- */

static int put_one(struct to_7bit *t, unsigned char c, bool is_literal, struct buf *out)
{
        static const char digits[] = "0123456789ABCDEF";
        size_t bytes = is_literal ? 1 : 3;
        if (t->column + bytes > COLUMN_MAX - 1) { /* room for the soft line break */
                if (buf_append(out, "=\r\n", 3) < 0)
                        return -ENOBUFS;
                t->column = 0;
        }
        t->column += bytes;
        if (is_literal)
                return buf_append_char(out, (char)c);
        const char coded[3] = {'=', digits[c >> 4], digits[c & 15]};
        return buf_append(out, coded, 3);
}

/* A line, or a piece of one that is very long. */
static int put_encoded(struct to_7bit *t, struct str line, struct buf *out)
{
        bool has_end = str_ends(line, STR("\r\n"));
        if (has_end)
                line.len -= 2;
        for (size_t i = 0; i < line.len; i++) {
                unsigned char c = (unsigned char)line.ptr[i];
                bool is_blank = c == ' ' || c == '\t'; /* never at the end of a line */
                bool is_literal =
                        (c > ' ' && c < 0x7f && c != '=') || (is_blank && i + 1 < line.len);
                if (put_one(t, c, is_literal, out) < 0)
                        return -ENOBUFS;
        }
        if (!has_end)
                return 0;
        t->column = 0;
        return buf_append(out, "\r\n", 2);
}

/* ---- units ---- */

static bool says_8bit(const struct header_field *field)
{
        if (!str_eq_nocase(field->name, STR("Content-Transfer-Encoding")))
                return false;
        struct str value = field->value;
        struct str word;
        return str_next_word(&value, " \t\r\n;(", &word) &&
               (str_eq_nocase(word, STR("8bit")) || str_eq_nocase(word, STR("binary")));
}

/* The blank line behind a header, with the encoding in front of it that its body has now. */
static int put_header_end(struct to_7bit *t, struct str raw, struct buf *out)
{
        const struct mime *m = &t->mime;
        bool is_leaf = m->place == MIME_BODY_LINE && m->type == MIME_TYPE_OTHER;
        t->is_encoding = t->has_8bit_field && is_leaf;
        t->column = 0;
        struct str field = STR("");
        if (t->has_8bit_field)
                field = is_leaf ? STR("Content-Transfer-Encoding: quoted-printable\r\n")
                                : STR("Content-Transfer-Encoding: 7bit\r\n");
        t->has_8bit_field = false;
        return buf_append_str(out, field) < 0 ? -ENOBUFS : buf_append_str(out, raw);
}

static int put_unit(struct to_7bit *t, const struct mime_unit *unit, struct buf *out)
{
        switch (unit->kind) {
        case MIME_PRIMARY_FIELD:
        case MIME_PART_FIELD:
        case MIME_NESTED_FIELD:
                t->drops_rest = says_8bit(&unit->field);
                if (t->drops_rest) {
                        t->has_8bit_field = true;
                        return 0;
                }
                return buf_append_str(out, unit->raw);
        case MIME_FIELD_REST:
                return t->drops_rest ? 0 : buf_append_str(out, unit->raw);
        case MIME_HEADER_END:
                return put_header_end(t, unit->raw, out);
        case MIME_BODY_LINE:
                /* a boundary: the machine has begun to count anew */
                if (t->mime.offset == 0 || t->mime.is_in_boundary)
                        t->is_encoding = false;
                return t->is_encoding ? put_encoded(t, unit->raw, out)
                                      : buf_append_str(out, unit->raw);
        }
        return 0;
}

int to_7bit_feed(struct to_7bit *t, struct str piece, bool is_all, struct buf *out)
{
        bool is_waiting = t->waiting.len > 0;
        if (is_waiting && buf_append_str(&t->waiting, piece) < 0)
                return -ENOBUFS;
        struct str text = is_waiting ? buf_str(&t->waiting) : piece;
        struct mime_unit unit;
        while (mime_next(&t->mime, &text, is_all, &unit))
                if (put_unit(t, &unit, out) < 0)
                        return -ENOBUFS;
        if (is_waiting) {
                buf_consume(&t->waiting, t->waiting.len - text.len);
                return 0;
        }
        return buf_append_str(&t->waiting, text);
}
