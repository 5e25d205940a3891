/* transcript.c - what was said in a session, for the postmaster */
#include "message/transcript.h"

#include "message/put.h"
#include "smtp/command.h"

enum {
        LINE_CHARACTERS = 78,
        NAME_SHOWN_MAX = 320, /* of an address or a name in a header field */
};

void transcript_init(struct transcript *t)
{
        *t = (struct transcript){0};
        buf_init(&t->lines, TRANSCRIPT_BYTES_MAX);
}

void transcript_done(struct transcript *t)
{
        buf_done(&t->lines);
}

void transcript_clear(struct transcript *t)
{
        buf_done(&t->lines);
        buf_init(&t->lines, TRANSCRIPT_BYTES_MAX);
        t->count = t->shown = 0;
}

/* How much of the text stands on a line with this room: up to the last blank, which the next line begins with. */
static size_t fitting(struct str text, size_t room)
{
        if (text.len <= room)
                return text.len;
        for (size_t i = room; i > 0; i--)
                if (text.ptr[i] == ' ')
                        return i;
        return room;
}

/* A blank stands in front of each: so none can be taken for a line of ours, or for a field of the header. */
static void put_folded(struct put *p, const char *label, struct str text)
{
        put_char(p, ' ');
        put_str(p, str_from(label));
        size_t room = LINE_CHARACTERS - 1 - strlen(label);
        while (text.len > room) {
                size_t len = fitting(text, room);
                put_clean(p, str_part(text, 0, len), PUT_ASCII, NULL);
                put_str(p, STR("\r\n    "));
                text = str_tail(text, len);
                room = LINE_CHARACTERS - 4;
        }
        put_clean(p, text, PUT_ASCII, NULL);
        put_str(p, STR("\r\n"));
}

/* Does a password stand here, or may it? */
static bool is_secret(struct transcript *t, const struct smtp_command *command)
{
        bool is_auth = command->verb == SMTP_AUTH;
        t->has_auth = t->has_auth || is_auth;
        return is_auth || (t->has_auth && command->verb == SMTP_UNKNOWN);
}

void transcript_add(struct transcript *t, enum transcript_speaker speaker, struct str line)
{
        t->count++;
        if (t->shown == TRANSCRIPT_LINES_MAX)
                return;
        struct put p = put_begin(&t->lines);
        const char *label = speaker == TRANSCRIPT_IN ? "In:  " : "Out: ";
        struct smtp_command command = {0};
        if (speaker == TRANSCRIPT_IN)
                command = smtp_command_parse(line);
        if (speaker == TRANSCRIPT_IN && is_secret(t, &command)) {
                put_folded(&p, label,
                           command.verb == SMTP_AUTH ? STR("AUTH (not shown)")
                                                     : STR("(not shown)"));
        } else {
                put_folded(&p, label, str_part(line, 0, TRANSCRIPT_SHOWN_MAX));
                if (line.len > TRANSCRIPT_SHOWN_MAX)
                        put_str(&p, STR("    ...\r\n"));
        }
        if (put_end(&p) == 0)
                t->shown++;
}

static void put_name(struct put *p, struct str text)
{
        put_clean(p, str_part(text, 0, NAME_SHOWN_MAX), PUT_ASCII, NULL);
}

static void put_header(struct put *p, const struct transcript_notice *n)
{
        put_str(p, STR("Date: "));
        put_date(p, n->now_us);
        put_str(p, STR("\r\nFrom: Mail Delivery System <"));
        put_name(p, n->from);
        put_str(p, STR(">\r\nTo: Postmaster <"));
        put_name(p, n->to);
        put_str(p, STR(">\r\nSubject: "));
        put_name(p, n->mail_name);
        put_str(p, STR(" SMTP server: errors from "));
        put_name(p, n->client);
        put_str(p, STR("\r\nAuto-Submitted: auto-generated\r\nMessage-ID: <"));
        put_name(p, n->id);
        put_char(p, '@');
        put_name(p, n->by);
        put_str(p, STR(">\r\nMIME-Version: 1.0\r\n"
                       "Content-Type: text/plain; charset=us-ascii\r\n\r\n"));
}

static void put_count(struct put *p, const char *before, size_t count, const char *after)
{
        char text[32];
        snprintf(text, sizeof(text), "%zu", count);
        put_str(p, str_from(before));
        put_str(p, str_from(text));
        put_str(p, str_from(after));
}

int transcript_format(const struct transcript *t, const struct transcript_notice *n,
                      struct buf *out)
{
        struct put p = put_begin(out);
        put_header(&p, n);
        put_str(&p, STR("Transcript of session follows.\r\n\r\n"));
        put_str(&p, buf_str(&t->lines));
        if (t->count > t->shown)
                put_count(&p, " (", t->count - t->shown, " more lines)\r\n");
        put_str(&p, STR("\r\n"));
        if (n->reason.len) {
                put_str(&p, STR("Session aborted, reason: "));
                put_name(&p, n->reason);
                put_str(&p, STR("\r\n"));
        }
        if (n->untold)
                put_count(&p, "Sessions with errors before this one that no notice told of: ",
                          n->untold, "\r\n");
        put_str(&p, STR("\r\nThe mail log has the rest.\r\n"));
        return put_end(&p);
}
