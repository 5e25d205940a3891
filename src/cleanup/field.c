/* field.c - what a header field is, and what it looks like to tables and after them */
#include "cleanup/field.h"

#include "cleanup/cleanup_private.h"
#include "message/address_list.h"

#include <errno.h>

static const struct known_field known_fields[] = {
        {STR_INIT("Received"), NOTE_RECEIVED, 0},
        {STR_INIT("Message-ID"), NOTE_MESSAGE_ID, 0},
        {STR_INIT("Date"), NOTE_DATE, 0},
        {STR_INIT("From"), NOTE_FROM, USE_HEADER_SENDER},
        {STR_INIT("Sender"), NOTE_NONE, USE_HEADER_SENDER},
        {STR_INIT("Reply-To"), NOTE_NONE, USE_HEADER_SENDER},
        {STR_INIT("Errors-To"), NOTE_NONE, USE_HEADER_SENDER},
        {STR_INIT("Return-Receipt-To"), NOTE_NONE, USE_HEADER_SENDER},
        {STR_INIT("Disposition-Notification-To"), NOTE_NONE, USE_HEADER_SENDER},
        {STR_INIT("Mail-Followup-To"), NOTE_NONE, USE_HEADER_SENDER},
        {STR_INIT("Resent-From"), NOTE_RESENT_FROM, USE_HEADER_SENDER},
        {STR_INIT("Resent-Sender"), NOTE_RESENT, USE_HEADER_SENDER},
        {STR_INIT("Resent-Reply-To"), NOTE_RESENT, USE_HEADER_SENDER},
        {STR_INIT("Resent-Date"), NOTE_RESENT_DATE, 0},
        {STR_INIT("Resent-Message-ID"), NOTE_RESENT_MESSAGE_ID, 0},
        {STR_INIT("To"), NOTE_VISIBLE_RECIPIENT, USE_HEADER_RECIPIENT},
        {STR_INIT("Cc"), NOTE_VISIBLE_RECIPIENT, USE_HEADER_RECIPIENT},
        {STR_INIT("Bcc"), NOTE_NONE, USE_HEADER_RECIPIENT},
        {STR_INIT("Apparently-To"), NOTE_NONE, USE_HEADER_RECIPIENT},
        {STR_INIT("Resent-To"), NOTE_VISIBLE_RECIPIENT, USE_HEADER_RECIPIENT},
        {STR_INIT("Resent-Cc"), NOTE_VISIBLE_RECIPIENT, USE_HEADER_RECIPIENT},
        {STR_INIT("Resent-Bcc"), NOTE_RESENT, USE_HEADER_RECIPIENT},
};

const struct known_field *field_find(struct str name)
{
        for (size_t i = 0; i < sizeof(known_fields) / sizeof(known_fields[0]); i++)
                if (str_eq_nocase(name, known_fields[i].name))
                        return &known_fields[i];
        return NULL;
}

enum check_kind field_check_kind(const struct mime_unit *unit)
{
        if (unit->kind == MIME_PART_FIELD || mime_is_own_field(unit->field.name))
                return CHECK_MIME;
        return unit->kind == MIME_NESTED_FIELD ? CHECK_NESTED : CHECK_HEADER;
}

struct str field_text_for_checks(struct str raw, size_t limit, struct buf *scratch)
{
        raw = str_part(raw, 0, limit);
        if (!memchr(raw.ptr, '\r', raw.len))
                return raw;
        buf_clear(scratch);
        for (size_t i = 0; i < raw.len; i++)
                if (raw.ptr[i] != '\r')
                        buf_append_char(scratch, raw.ptr[i]);
        return buf_str(scratch);
}

struct str field_without_line_end(struct str line)
{
        if (str_ends(line, STR("\n")))
                line.len--;
        if (str_ends(line, STR("\r")))
                line.len--;
        return line;
}

struct str field_from_table(struct str text, struct arena *arena)
{
        char *out = arena_alloc(arena, text.len * 2 + 2);
        size_t len = 0;
        while (text.len) {
                struct str line = str_cut(&text, '\n');
                if (str_ends(line, STR("\r")))
                        line.len--;
                if (line.len)
                        memcpy(out + len, line.ptr, line.len);
                len += line.len;
                out[len++] = '\r';
                out[len++] = '\n';
        }
        return str_make(out, len);
}

bool field_is_one(struct str text)
{
        struct header_field field;
        return header_next(&text, &field);
}

int await_field_rewrite(struct str raw, size_t value_at, await_field_address *await_address,
                        void *context, struct arena *arena, struct buf *out, struct why *why)
{
        struct str value = str_tail(raw, value_at);
        struct address_span span;
        size_t at = 0;
        size_t done = 0;
        int rc = buf_append_str(out, str_part(raw, 0, value_at));
        while (rc == 0 && address_list_next(value, &at, arena, &span)) {
                struct smtp_address mapped;
                rc = await_address(context, &span.address, &mapped, why);
                if (rc < 0)
                        return rc;
                if (str_eq(mapped.text, span.address.text))
                        continue;
                rc = buf_append_str(out, str_part(value, done, span.from - done));
                if (rc == 0)
                        rc = buf_append_str(out, mapped.text);
                done = span.to;
        }
        return rc < 0 ? rc : buf_append_str(out, str_tail(value, done));
}
