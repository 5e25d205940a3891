/*
 * field.h - private to cleanup/: what a header field is, and what it looks like to tables and after them
 *
 * Shared by what goes into the spool (header.c) and what leaves by SMTP (outgoing.c).
 */
#ifndef CLEANUP_FIELD_H
#define CLEANUP_FIELD_H

#include "base/buf.h"
#include "message/mime.h"
#include "smtp/command.h"

enum field_note {
        NOTE_NONE,
        NOTE_MESSAGE_ID,
        NOTE_DATE,
        NOTE_FROM,
        NOTE_VISIBLE_RECIPIENT,
        NOTE_RECEIVED,
        NOTE_RESENT_MESSAGE_ID,
        NOTE_RESENT_DATE,
        NOTE_RESENT_FROM,
        NOTE_RESENT,
};

struct known_field {
        struct str name;
        enum field_note note;
        unsigned use; /* USE_HEADER_SENDER or _RECIPIENT: addresses that are rewritten; else 0 */
};
/* NULL: none that we know. */
const struct known_field *field_find(struct str name);

/* Which checks see it (header_checks(5)): MIME's own fields are mime_header_checks' in every header. CHECK_CONTENT, either
 * of them, has no table. */
enum check_kind { CHECK_HEADER, CHECK_MIME, CHECK_NESTED, CHECK_BODY, CHECK_MADE, CHECK_CONTENT };
enum check_kind field_check_kind(const struct mime_unit *unit);

/* As Postfix gives it to checks: "CR LF" becomes "LF", none at the end, at most `limit` bytes. May be in `scratch`. */
struct str field_text_for_checks(struct str raw, size_t limit, struct buf *scratch);
/* A line that a check sees, or that stands in a table. */
struct str field_without_line_end(struct str line);
/* A field of a table's text: its line feeds become CR LF, and it ends in one. */
struct str field_from_table(struct str text, struct arena *arena);

/* May this be a field at all: what PREPEND and REPLACE put into a header? */
bool field_is_one(struct str text);

/*
 * Appends the field to `out` with each of its addresses as `await_address` makes it; what stands around them stays.
 * 0, -ENOBUFS, or what await_address said.
 */
typedef int await_field_address(void *context, const struct smtp_address *given,
                                struct smtp_address *out, struct why *why);
int await_field_rewrite(struct str raw, size_t value_at, await_field_address *await_address,
                        void *context, struct arena *arena, struct buf *out, struct why *why);

#endif
