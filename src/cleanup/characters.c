/*
 * characters.c - message_reject_characters and message_strip_characters
 *
 * Of the text as it comes, header and body alike; what MIME has encoded is not looked into. Characters are
 * taken out in front of all else, so that no check is misled by them; a message is refused at the field or
 * line that has one it may not have. A character in both sets refuses.
 *
 * Line ends are never characters of a message here: a set may name \r and \n, which then do nothing. (Every
 * bare one became a line end on the way in.) PASS ends the refusing, not the taking out, as it does in Postfix: what
 * came in one piece with the field that passes is stripped already, and chance must not decide.
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

void cleanup_strip(struct cleanup *c)
{
        const bool *is_stripped = c->rules->is_stripped;
        struct buf *in = &c->input;
        if (!c->rules->has_stripped)
                return;
        size_t from = c->stripped < in->len ? c->stripped : in->len; /* it may have been emptied */
        size_t kept = from;
        for (size_t i = from; i < in->len; i++)
                if (!is_stripped[(unsigned char)in->ptr[i]])
                        in->ptr[kept++] = in->ptr[i];
        in->len = c->stripped = kept;
}

void cleanup_check_characters(struct cleanup *c, struct str text)
{
        if (!c->rules->has_rejected || c->is_passed)
                return;
        for (size_t i = 0; i < text.len; i++)
                if (c->rules->is_rejected[(unsigned char)text.ptr[i]]) {
                        cleanup_refuse_text(c, "message_reject_characters", text, "5.7.1",
                                            STR("disallowed character"));
                        return;
                }
}
