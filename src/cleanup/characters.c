/*
 * characters.c - message_reject_characters and message_strip_characters
 *
 * Of the text as it comes, header and body alike; what MIME has encoded is not looked into. A line goes through both sets
 * before anything else sees it, so that no check is misled by characters that are taken out. A character in both sets refuses.
 *
 * PASS, and whatever else ends the checks, ends both, as in Postfix: what it finds is told when the line behind it is there, and
 * that line has been through the sets by then. So lines are taken one at a time, however they came; one that is longer than Postfix's
 * records is taken in pieces of that size. (With force_mime_input_conversion all that is there is taken at once.)
 *
 * Line ends are never characters of a message here: a set may name \r and \n, which then do nothing. (Every bare one became a
 * line end on the way in.)
 */
#include "cleanup/cleanup_private.h"

/* One character off the front of *text, C's escapes undone. False: an escape that is none. */
static bool take_character(struct str *text, unsigned char *out)
{
        static const char names[] = "abfnrtv\\";
        static const char values[] = "\a\b\f\n\r\t\v\\";
        unsigned value = 0;
        size_t digits = 0;
        *out = (unsigned char)text->ptr[0];
        *text = str_tail(*text, 1);
        if (*out != '\\')
                return true;
        while (digits < 3 && digits < text->len && text->ptr[digits] >= '0' &&
               text->ptr[digits] <= '7')
                value = value * 8 + (unsigned)(text->ptr[digits++] - '0');
        *out = (unsigned char)value;
        if (digits) {
                *text = str_tail(*text, digits);
                return value <= 255;
        }
        const char *name = text->len && text->ptr[0] ? strchr(names, text->ptr[0]) : NULL;
        if (!name)
                return false;
        *out = (unsigned char)values[name - names];
        *text = str_tail(*text, 1);
        return true;
}

/* True: there is any character that matters. */
static bool read_set(struct cleanup_rules *r, const char *parameter, struct str text,
                     bool set[static 256], struct findings *findings)
{
        bool has_any = false;
        unsigned char c;
        while (text.len) {
                if (!take_character(&text, &c)) {
                        findings_add(
                                findings, SEVERITY_ERROR, "bad-character",
                                config_place(r->config, parameter),
                                "\\a \\b \\f \\n \\r \\t \\v \\\\ and up to three octal digits, at "
                                "most \\377, are known",
                                "%s: there is a \\ with no character behind it", parameter);
                        continue;
                }
                if (c == '\r' || c == '\n')
                        continue;
                set[c] = true;
                has_any = true;
        }
        return has_any;
}

void cleanup_characters_read(struct cleanup_rules *r, struct findings *findings)
{
        const struct params *p = r->params;
        r->has_rejected = read_set(r, "message_reject_characters", p->message_reject_characters,
                                   r->is_rejected, findings);
        r->has_stripped = read_set(r, "message_strip_characters", p->message_strip_characters,
                                   r->is_stripped, findings);
        for (size_t i = 0; i < 256; i++)
                r->is_stripped[i] = r->is_stripped[i] && !r->is_rejected[i];
        if (r->overrides & RECEIVE_NO_HEADER_BODY_CHECKS)
                r->has_rejected = r->has_stripped = false;
}

static bool wants_characters(const struct cleanup *c)
{
        return !c->is_passed && (c->rules->has_rejected || c->rules->has_stripped);
}

/* Of a line with its end, or of a piece of it; 0: it has not come whole. */
static size_t line_bytes(struct str raw, bool is_all)
{
        enum { PIECE_BYTES = 2048 };
        ptrdiff_t end = str_find(str_part(raw, 0, PIECE_BYTES + 2), '\n');
        if (end >= 0)
                return (size_t)end + 1;
        if (raw.len >= PIECE_BYTES + 2)
                return PIECE_BYTES;
        return is_all ? raw.len : 0;
}

static void check_line(struct cleanup *c, struct str line)
{
        for (size_t i = 0; c->rules->has_rejected && i < line.len; i++)
                if (c->rules->is_rejected[(unsigned char)line.ptr[i]]) {
                        cleanup_refuse_text(c, "message_reject_characters",
                                            field_without_line_end(line), "5.7.1",
                                            STR("disallowed character"));
                        return;
                }
}

void cleanup_input_begin(struct cleanup *c)
{
        if (c->seen > c->input.len)
                c->seen = c->input.len; /* it may have been emptied */
        c->raw = c->seen;
}

bool cleanup_input_take(struct cleanup *c, bool is_all)
{
        struct buf *in = &c->input;
        struct str raw = str_tail(buf_str(in), c->raw);
        bool wants = wants_characters(c);
        size_t len = wants ? line_bytes(raw, is_all) : raw.len;
        if (len == 0)
                return false;
        if (wants)
                check_line(c, str_part(raw, 0, len));
        if (!wants || !c->rules->has_stripped) {
                if (c->seen != c->raw)
                        memmove(in->ptr + c->seen, raw.ptr, len);
                c->seen += len;
        }
        for (size_t i = 0; wants && c->rules->has_stripped && i < len; i++)
                if (!c->rules->is_stripped[(unsigned char)raw.ptr[i]])
                        in->ptr[c->seen++] = raw.ptr[i];
        c->raw += len;
        return true;
}

void cleanup_input_end(struct cleanup *c, size_t left)
{
        struct buf *in = &c->input;
        size_t raw = in->len - c->raw;
        if (raw && c->raw != c->seen)
                memmove(in->ptr + c->seen, in->ptr + c->raw, raw);
        in->len = c->seen + raw;
        buf_consume(in, c->seen - left);
        c->seen = c->raw = left;
}
