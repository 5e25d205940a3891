/*
 * mime.c - a message as header fields and lines
 *
 *      message    = header [ CRLF body ]               field, fold: see header.c
 *      multipart  = [preamble] 1*( "--" boundary CRLF part ) "--" boundary "--" [epilogue]
 *      part       = [header] CRLF body                 its header may be empty
 *      message/rfc822: the body is a message           of type text/plain until it says otherwise
 *
 * A boundary closes all multiparts inside its own. It counts as soon as a line begins with it, as
 * mail programs take it; what follows on the line does not matter. As in Postfix, the type counts
 * and not the encoding: a multipart in base64 is looked into as if it were plain, and is a fault.
 */
#include "message/mime.h"

#include "base/check.h"

#include <stdlib.h>

struct mime_level {
        struct mime_level *outer;
        bool is_digest; /* its parts are messages unless they say otherwise (RFC 2046 5.1.5) */
        size_t len;
        char boundary[];
};

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

bool mime_is_own_field(struct str name)
{
        static const char *const names[] = {
                "Content-Description",       "Content-Disposition", "Content-ID",
                "Content-Transfer-Encoding", "Content-Type",        "MIME-Version",
        };
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (str_eq_nocase(name, str_from(names[i])))
                        return true;
        return false;
}

void mime_init(struct mime *m, const struct mime_limits *limits)
{
        *m = (struct mime){.limits = *limits, .place = MIME_PRIMARY_FIELD, .is_first = true};
        /* a boundary line is seen as one */
        if (m->limits.line_bytes_max < limits->boundary_bytes_max + 4)
                m->limits.line_bytes_max = limits->boundary_bytes_max + 4;
        check(limits->field_bytes_max > 0);
}

static void level_pop(struct mime *m)
{
        struct mime_level *level = m->inmost;
        m->inmost = level->outer;
        m->depth--;
        free(level);
}

void mime_done(struct mime *m)
{
        while (m->inmost)
                level_pop(m);
        free(m->candidate);
        m->candidate = NULL;
}

/* ---- what a header says of its body ---- */

/* Over blanks, line ends and comments. */
static void skip_space(struct str *in)
{
        size_t depth = 0;
        size_t i = 0;
        for (; i < in->len; i++) {
                char c = in->ptr[i];
                if (c == '(')
                        depth++;
                else if (c == ')' && depth)
                        depth--;
                else if (c == '\\' && depth && i + 1 < in->len)
                        i++;
                else if (!depth && !is_blank(c) && c != '\r' && c != '\n')
                        break;
        }
        *in = str_tail(*in, i);
}

static bool take_char(struct str *in, char c)
{
        skip_space(in);
        if (in->len == 0 || in->ptr[0] != c)
                return false;
        *in = str_tail(*in, 1);
        return true;
}

/* A token (RFC 2045 5.1), or empty. */
static struct str take_token(struct str *in)
{
        skip_space(in);
        size_t i = 0;
        while (i < in->len && (unsigned char)in->ptr[i] > ' ' && in->ptr[i] != 0x7f &&
               !strchr("()<>@,;:\\\"/[]?=", in->ptr[i]))
                i++;
        struct str token = str_part(*in, 0, i);
        *in = str_tail(*in, i);
        return token;
}

/* A token or a quoted string, unquoted, into out; how many bytes, at most `room`. */
static size_t take_value(struct str *in, char *out, size_t room)
{
        size_t len = 0;
        skip_space(in);
        if (in->len == 0 || in->ptr[0] != '"') {
                /* unquoted values hold what they should not: taken up to the next parameter */
                size_t i = 0;
                for (; i < in->len && !strchr("; \t\r\n", in->ptr[i]); i++)
                        if (len < room)
                                out[len++] = in->ptr[i];
                *in = str_tail(*in, i);
                return len;
        }
        size_t i = 1;
        for (; i < in->len && in->ptr[i] != '"'; i++) {
                if (in->ptr[i] == '\\' && i + 1 < in->len)
                        i++;
                if (in->ptr[i] != '\r' && in->ptr[i] != '\n' && len < room)
                        out[len++] = in->ptr[i];
        }
        *in = str_tail(*in, i + 1);
        return len;
}

static void read_boundary(struct mime *m, struct str value)
{
        size_t room = m->limits.boundary_bytes_max;
        while (value.len) {
                if (!take_char(&value, ';')) {
                        value = str_tail(value, 1);
                        continue;
                }
                struct str name = take_token(&value);
                if (!take_char(&value, '='))
                        continue;
                bool is_boundary = str_eq_nocase(name, STR("boundary"));
                struct mime_level *level = malloc(sizeof(*level) + room);
                check(level);
                *level = (struct mime_level){.is_digest = m->is_digest};
                skip_space(&value);
                bool is_quoted = str_starts(value, STR("\""));
                level->len = take_value(&value, level->boundary, is_boundary ? room : 0);
                if (is_boundary && (level->len || is_quoted)) {
                        free(m->candidate);
                        m->candidate = level;
                        return;
                }
                free(level);
        }
}

static void read_type(struct mime *m, struct str value)
{
        struct str type = take_token(&value);
        struct str subtype = {"", 0};
        if (take_char(&value, '/'))
                subtype = take_token(&value);
        m->type = MIME_TYPE_OTHER;
        m->is_digest = false;
        free(m->candidate);
        m->candidate = NULL;
        if (str_eq_nocase(type, STR("message"))) {
                bool is_whole = str_eq_nocase(subtype, STR("rfc822")) ||
                                str_eq_nocase(subtype, STR("global"));
                bool is_partial = str_eq_nocase(subtype, STR("partial"));
                m->type = is_whole     ? MIME_TYPE_RFC822
                          : is_partial ? MIME_TYPE_PARTIAL
                                       : MIME_TYPE_MESSAGE;
        } else if (str_eq_nocase(type, STR("multipart"))) {
                m->type = MIME_TYPE_MULTIPART;
                m->is_digest = str_eq_nocase(subtype, STR("digest"));
                read_boundary(m, value);
        }
}

static void read_encoding(struct mime *m, struct str value)
{
        static const struct {
                struct str name;
                enum mime_domain domain;
        } names[] = {
                {STR_INIT("7bit"), MIME_7BIT},
                {STR_INIT("8bit"), MIME_8BIT},
                {STR_INIT("binary"), MIME_BINARY},
                {STR_INIT("base64"), MIME_ENCODED},
                {STR_INIT("quoted-printable"), MIME_ENCODED},
        };
        struct str token = take_token(&value);
        m->encoding = MIME_7BIT;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (str_eq_nocase(token, names[i].name))
                        m->encoding = names[i].domain;
}

static void read_field(struct mime *m, const struct header_field *field)
{
        if (m->limits.is_one_body)
                return;
        if (str_eq_nocase(field->name, STR("Content-Type")))
                read_type(m, field->value);
        else if (str_eq_nocase(field->name, STR("Content-Transfer-Encoding")))
                read_encoding(m, field->value);
}

static bool is_encoding_wrong(const struct mime *m)
{
        switch (m->type) {
        case MIME_TYPE_OTHER:
                return false;
        case MIME_TYPE_MULTIPART:
        case MIME_TYPE_RFC822:
                return m->encoding == MIME_ENCODED;
        case MIME_TYPE_PARTIAL: /* RFC 2046 5.2.2: seven bits */
                return m->encoding == MIME_8BIT || m->encoding == MIME_BINARY;
        case MIME_TYPE_MESSAGE: /* the others say nothing of it, and Postfix lets them pass */
                return false;
        }
        return false;
}

static void header_begin(struct mime *m, enum mime_kind place, enum mime_type type)
{
        m->place = place;
        m->is_first = true;
        m->is_in_field = false;
        m->type = type;
        m->encoding = MIME_7BIT;
        m->is_digest = false;
        free(m->candidate);
        m->candidate = NULL;
}

/* A header is over: what is its body? */
static unsigned header_over(struct mime *m)
{
        unsigned faults = is_encoding_wrong(m) ? MIME_FAULT_ENCODING_DOMAIN : 0;
        m->is_in_line = false;
        m->offset = 0;
        if (m->type == MIME_TYPE_RFC822) {
                header_begin(m, MIME_NESTED_FIELD, MIME_TYPE_OTHER);
                return faults;
        }
        m->place = MIME_BODY_LINE;
        if (!m->candidate)
                return faults;
        if (m->depth >= m->limits.nesting_max) {
                free(m->candidate);
                m->candidate = NULL;
                return faults | MIME_FAULT_NESTING;
        }
        m->candidate->outer = m->inmost;
        m->inmost = m->candidate;
        m->candidate = NULL;
        m->depth++;
        return faults;
}

/* ---- units ---- */

static bool has_8bit(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if ((unsigned char)s.ptr[i] & 0x80)
                        return true;
        return false;
}

/* The line at the front with its line end. False: its end is not there, nor `max` bytes of it. */
static bool line_end(struct str text, size_t from, size_t max, bool is_all, size_t *end)
{
        size_t room = text.len > from ? text.len - from : 0;
        if (room > max)
                room = max;
        const char *lf = room ? memchr(text.ptr + from, '\n', room) : NULL;
        *end = lf ? (size_t)(lf - text.ptr) + 1 : from + room;
        return lf || room == max || is_all;
}

/* Where the field at the front ends, at most field_bytes_max. False: not to be seen yet. */
static bool field_end(const struct mime *m, struct str text, bool is_all, size_t *end)
{
        size_t max = m->limits.field_bytes_max;
        for (*end = 0; *end < max;) {
                if (!line_end(text, *end, max - *end, is_all, end))
                        return false;
                if (*end >= max)
                        break;
                if (*end == text.len)
                        return is_all;
                if (!is_blank(text.ptr[*end]))
                        return true;
        }
        return true;
}

static void take(struct mime_unit *out, struct str *text, size_t bytes, enum mime_kind kind)
{
        out->kind = kind;
        out->raw = str_part(*text, 0, bytes);
        *text = str_tail(*text, bytes);
}

/* More of a long field. 1: a unit; 0: the field is over; -1: more text is needed. */
static int take_rest(struct mime *m, struct str *text, bool is_all, struct mime_unit *out)
{
        size_t end;
        if (text->len == 0 && !is_all)
                return -1;
        if (text->len == 0 || (!m->is_in_line && !is_blank(text->ptr[0]))) {
                m->is_in_field = false;
                return 0;
        }
        line_end(*text, 0, m->limits.field_bytes_max, true, &end);
        take(out, text, end, MIME_FIELD_REST);
        m->is_in_line = !str_ends(out->raw, STR("\n"));
        if (has_8bit(out->raw))
                out->faults |= MIME_FAULT_8BIT_HEADER;
        return 1;
}

enum front { FRONT_UNKNOWN, FRONT_FIELD, FRONT_BLANK, FRONT_BODY };

/* What stands at the front of a header's text? */
static enum front front_of(const struct mime *m, struct str text, bool is_all, size_t *bytes)
{
        size_t end;
        if (text.len == 0)
                return is_all ? FRONT_BODY : FRONT_UNKNOWN;
        if (!line_end(text, 0, m->limits.field_bytes_max, is_all, &end))
                return FRONT_UNKNOWN;
        struct str line = str_part(text, 0, end);
        *bytes = end;
        if (str_eq(line, STR("\r\n")) || str_eq(line, STR("\n")))
                return FRONT_BLANK;
        struct header_field field;
        if (is_blank(line.ptr[0]) || !header_next(&line, &field))
                return FRONT_BODY;
        return field_end(m, text, is_all, bytes) ? FRONT_FIELD : FRONT_UNKNOWN;
}

static bool take_of_header(struct mime *m, struct str *text, bool is_all, struct mime_unit *out)
{
        size_t bytes = 0;
        if (m->is_in_field) {
                int rc = take_rest(m, text, is_all, out);
                if (rc)
                        return rc > 0;
        }
        switch (front_of(m, *text, is_all, &bytes)) {
        case FRONT_UNKNOWN:
                return false;
        case FRONT_FIELD:
                take(out, text, bytes, m->place);
                out->is_cut =
                        bytes >= m->limits.field_bytes_max &&
                        (!str_ends(out->raw, STR("\n")) || (text->len && is_blank(text->ptr[0])));
                m->is_in_field = bytes >= m->limits.field_bytes_max;
                m->is_in_line = !str_ends(out->raw, STR("\n"));
                struct str field = out->raw;
                check(header_next(&field, &out->field));
                if (has_8bit(out->raw))
                        out->faults |= MIME_FAULT_8BIT_HEADER;
                read_field(m, &out->field);
                return true;
        case FRONT_BLANK:
                take(out, text, bytes, MIME_HEADER_END);
                break;
        case FRONT_BODY:
                take(out, text, 0, MIME_HEADER_END);
                break;
        }
        out->faults |= header_over(m);
        return true;
}

/* `rest` is what follows "--". The boundary "" is that of any line, but for one that has nothing there (Postfix). */
static bool begins_with_boundary(struct str rest, const struct mime_level *level)
{
        if (level->len == 0)
                return rest.len && rest.ptr[0] != '\r' && rest.ptr[0] != '\n';
        return str_starts(rest, str_make(level->boundary, level->len));
}

/* Does this line end a part? */
static void look_for_boundary(struct mime *m, struct str line)
{
        if (!m->inmost || !str_starts(line, STR("--")))
                return;
        struct str rest = str_tail(line, 2);
        struct mime_level *level = m->inmost;
        while (level && !begins_with_boundary(rest, level))
                level = level->outer;
        if (!level)
                return;
        while (m->inmost != level)
                level_pop(m);
        m->is_in_boundary = m->is_in_line;
        m->is_in_line = false;
        m->offset = 0;
        m->encoding = MIME_7BIT;
        bool is_last = str_starts(str_tail(rest, level->len), STR("--"));
        if (is_last)
                level_pop(m);
        else
                header_begin(m, MIME_PART_FIELD,
                             level->is_digest ? MIME_TYPE_RFC822 : MIME_TYPE_OTHER);
}

static bool take_line(struct mime *m, struct str *text, bool is_all, struct mime_unit *out)
{
        size_t end;
        if (text->len == 0 || !line_end(*text, 0, m->limits.line_bytes_max, is_all, &end))
                return false;
        take(out, text, end, MIME_BODY_LINE);
        out->offset = m->offset;
        out->begins_line = !m->is_in_line;
        m->offset += end;
        m->is_in_line = !str_ends(out->raw, STR("\n"));
        if (!m->limits.is_one_body && m->encoding == MIME_7BIT && has_8bit(out->raw))
                out->faults |= MIME_FAULT_8BIT_BODY;
        if (out->begins_line)
                look_for_boundary(m, out->raw);
        return true;
}

/* What follows on a boundary's line. False: there is none yet. */
static bool take_boundary_rest(struct mime *m, struct str *text, bool is_all, struct mime_unit *out)
{
        size_t end;
        if (text->len == 0 || !line_end(*text, 0, m->limits.line_bytes_max, is_all, &end))
                return false;
        take(out, text, end, MIME_BODY_LINE);
        m->is_in_boundary = !str_ends(out->raw, STR("\n"));
        return true;
}

bool mime_next(struct mime *m, struct str *text, bool is_all, struct mime_unit *out)
{
        *out = (struct mime_unit){0};
        if (m->is_in_boundary) {
                if (text->len || !is_all)
                        return take_boundary_rest(m, text, is_all, out);
                m->is_in_boundary = false;
        }
        return m->place == MIME_BODY_LINE ? take_line(m, text, is_all, out)
                                          : take_of_header(m, text, is_all, out);
}
