/*
 * header.c - a message's header taken apart
 *
 *      fields     = *( field )                                         (RFC 5322 3.6, 2.2)
 *      field      = field-name *blank ":" unstructured CRLF            (blanks: obsolete syntax)
 *      field-name = 1*( %d33-57 / %d59-126 )
 *      fold       = CRLF, when a blank follows                         (2.2.3)
 *
 * A line of blanks alone continues the field above it, as in Postfix. What ends the header without
 * a blank line is kept for the body.
 */
#include "message/header.h"

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

/* Bytes of the field's name; 0: this line begins no field. *colon: offset of the colon. */
static size_t name_bytes(struct str line, size_t *colon)
{
        size_t i = 0;
        while (i < line.len && line.ptr[i] > ' ' && line.ptr[i] <= '~' && line.ptr[i] != ':')
                i++;
        size_t bytes = i;
        while (i < line.len && is_blank(line.ptr[i]))
                i++;
        *colon = i;
        return i < line.len && line.ptr[i] == ':' ? bytes : 0;
}

static struct str without_line_end(struct str line)
{
        if (str_ends(line, STR("\n")))
                line.len--;
        if (str_ends(line, STR("\r")))
                line.len--;
        return line;
}

enum line_kind { LINE_OF_HEADER, LINE_BLANK, LINE_OF_BODY };

static enum line_kind line_kind(struct str line, bool is_first)
{
        size_t colon;
        line = without_line_end(line);
        if (line.len == 0)
                return LINE_BLANK;
        if (is_blank(line.ptr[0]))
                return is_first ? LINE_OF_BODY : LINE_OF_HEADER;
        return name_bytes(line, &colon) ? LINE_OF_HEADER : LINE_OF_BODY;
}

bool header_find_end(struct str text, size_t *from, bool is_all, size_t *end)
{
        for (;;) {
                const char *lf =
                        *from < text.len ? memchr(text.ptr + *from, '\n', text.len - *from) : NULL;
                if (!lf && !is_all) {
                        *from = text.len;
                        return false;
                }
                /* a line is looked back over once, at its end: linear, however small the pieces */
                ptrdiff_t before = str_find_last(str_part(text, 0, *from), '\n');
                size_t start = (size_t)(before + 1);
                size_t next = lf ? (size_t)(lf - text.ptr) + 1 : text.len;
                enum line_kind kind = line_kind(str_part(text, start, next - start), start == 0);
                if (kind != LINE_OF_HEADER || !lf) {
                        *end = kind == LINE_OF_BODY ? start : next;
                        return true;
                }
                *from = next;
        }
}

bool header_next(struct str *header, struct header_field *field)
{
        size_t colon;
        size_t name = name_bytes(*header, &colon);
        if (name == 0)
                return false;
        const char *start = header->ptr, *end = header->ptr + header->len, *p = start;
        do {
                const char *lf = memchr(p, '\n', (size_t)(end - p));
                p = lf ? lf + 1 : end;
        } while (p < end && is_blank(*p));
        field->raw = without_line_end(str_make(start, (size_t)(p - start)));
        field->name = str_part(field->raw, 0, name);
        field->value = str_tail(field->raw, colon + 1);
        while (field->value.len && is_blank(field->value.ptr[0]))
                field->value = str_tail(field->value, 1);
        *header = str_tail(*header, (size_t)(p - start));
        return true;
}

bool header_find(struct str header, struct str name, struct arena *arena, struct str *value)
{
        struct header_field field;
        while (header_next(&header, &field))
                if (str_eq_nocase(field.name, name)) {
                        *value = str_trim(header_unfold(field.value, arena));
                        return true;
                }
        return false;
}

static struct str copy_without(struct str text, const char *unwanted, struct arena *arena)
{
        char *out = arena_alloc(arena, text.len + 1);
        size_t len = 0;
        for (size_t i = 0; i < text.len; i++)
                if (text.ptr[i] == '\0' || !strchr(unwanted, text.ptr[i]))
                        out[len++] = text.ptr[i];
        return str_make(out, len);
}

struct str header_unfold(struct str value, struct arena *arena)
{
        return copy_without(value, "\r\n", arena);
}

struct str header_for_checks(struct str raw, struct arena *arena)
{
        return copy_without(raw, "\r", arena);
}

size_t header_count_hops(struct str header)
{
        struct header_field field;
        size_t hops = 0;
        while (header_next(&header, &field))
                hops += str_eq_nocase(field.name, STR("Received")) ||
                        str_eq_nocase(field.name, STR("Delivered-To"));
        return hops;
}
