/*
 * record.c - a session's inputs and replies, for forepost replay
 *
 * Opt-in (session_record_file), compact, and without any content: lines of fields between tabs.
 *
 *      S microseconds address port tls     the client; time since 1970
 *      C code enhanced                     what it was told in place of, or with, the greeting
 *      H name code enhanced                HELO, EHLO
 *      M sender code enhanced              MAIL; "<>" is the null sender
 *      R recipient code enhanced           RCPT
 *      D code enhanced                     the end of the text
 *      N line                              an answer of the DNS, as a line of a zone
 *      .                                   the end
 */
#include "base/check.h"
#include "base/clock.h"
#include "session/session_private.h"

enum { RECORD_BYTES_MAX = 256 * 1024 };

static void put(struct buf *out, struct str value)
{
        buf_append_char(out, '\t');
        for (size_t i = 0; i < value.len; i++) {
                unsigned char c = (unsigned char)value.ptr[i];
                buf_append_char(out, c < ' ' || c == 0x7f ? ' ' : (char)c);
        }
}

void session_record_begin(struct session *s)
{
        if (!s->service->parts.await_record || s->is_check)
                return;
        s->record = calloc(1, sizeof(*s->record));
        check(s->record);
        buf_init(s->record, RECORD_BYTES_MAX);
        buf_printf(s->record, "S\t%lld", (long long)clock_wall_us());
        put(s->record, s->facts.client_address);
        put(s->record, s->facts.client_port);
        buf_append_char(s->record, '\n');
}

/* What each verb's line begins with; 0: nothing that replay could decide again. */
static char kind_of(const struct session *s)
{
        static const struct {
                const char *verb;
                char kind;
        } kinds[] = {{"CONNECT", 'C'}, {"HELO", 'H'}, {"EHLO", 'H'}, {"MAIL", 'M'},
                     {"RCPT", 'R'},    {"DATA", 'D'}, {"BDAT", 'D'}, {"STARTTLS", 'T'}};
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                if (strcmp(kinds[i].verb, s->last_verb) == 0)
                        return kinds[i].kind;
        return 0;
}

void session_record_reply(struct session *s, const struct smtp_reply *reply)
{
        char kind = s->record ? kind_of(s) : 0;
        if (!kind || reply->code == 354 || reply->code == 503)
                return;
        buf_append_char(s->record, kind);
        if (kind == 'H')
                put(s->record, s->facts.helo);
        else if (kind == 'M')
                put(s->record, s->facts.sender.text.len ? s->facts.sender.text : STR("<>"));
        else if (kind == 'R')
                put(s->record, s->asked);
        buf_printf(s->record, "\t%d\t%s\n", reply->code, reply->enhanced ? reply->enhanced : "");
}

/* ---- the DNS's answers ---- */

static void put_line(struct buf *out, struct str name, const char *text)
{
        buf_append(out, "N\t", 2);
        buf_append_str(out, name);
        buf_append_char(out, ' ');
        buf_append_str(out, str_from(text));
}

static void put_text(struct buf *out, struct str text)
{
        buf_append_str(out, STR(" \""));
        for (size_t i = 0; i < text.len; i++) {
                char c = text.ptr[i];
                if (c == '"' || c == '\\')
                        buf_append_char(out, '\\');
                buf_append_char(out, (unsigned char)c < ' ' ? ' ' : c);
        }
        buf_append_char(out, '"');
}

static void put_record(struct buf *out, struct str name, enum dns_type type,
                       const struct dns_record *r)
{
        put_line(out, name, dns_type_name(type));
        if (type == DNS_MX)
                buf_printf(out, " %u", r->preference);
        if (type == DNS_SRV)
                buf_printf(out, " %u %u %u", r->preference, r->weight, r->port);
        if (type == DNS_TXT) {
                put_text(out, r->text);
        } else {
                buf_append_char(out, ' ');
                struct str value = r->name.len ? r->name : r->text;
                buf_append_str(out, value.len ? value : STR("."));
        }
        buf_append_char(out, '\n');
}

static void put_answer(void *context, struct str name, enum dns_type type,
                       const struct dns_answer *a)
{
        struct buf *out = context;
        if (!a || a->result == DNS_FAILED) {
                put_line(out, name, "SERVFAIL\n");
                return;
        }
        for (size_t i = 0; i < a->count; i++)
                put_record(out, name, type, &a->records[i]);
}

void await_session_record_end(struct session *s)
{
        if (!s->record)
                return;
        if (s->facts.dns)
                dns_questions_each(s->facts.dns, put_answer, s->record);
        buf_append_str(s->record, STR(".\n"));
        const struct session_service_parts *parts = &s->service->parts;
        if (s->record->len >= 2 && memcmp(s->record->ptr + s->record->len - 2, ".\n", 2) == 0)
                parts->await_record(parts->record_context, buf_str(s->record));
        buf_done(s->record);
        free(s->record);
        s->record = NULL;
}
