/* transcript.c - what was said in a session, for the postmaster */
#include "message/transcript.h"

#include "base/check.h"
#include "message/put.h"
#include "smtp/command.h"

enum {
        LINE_CHARACTERS = 78,
        FIRST_BYTES = 64, /* what a client says before it waits: EHLO and its name */
        REPLY_BYTES = 1024,
        MARK = 1, /* this byte and those behind it stand for the shared texts: put_clean() lets none through */
        NAME_SHOWN_MAX = 320, /* of an address or a name in a header field */
};

/* ---- texts that many share ---- */

struct transcript_text {
        unsigned refs;
        size_t lines;
        size_t len;
        char bytes[]; /* as it stands in a notice */
};

static void text_unref(struct transcript_text **text)
{
        if (*text && --(*text)->refs == 0)
                free(*text);
        *text = NULL;
}

void transcript_texts_done(struct transcript_texts *texts)
{
        for (size_t i = 0; i < sizeof(texts->latest) / sizeof(texts->latest[0]); i++)
                text_unref(&texts->latest[i]);
}

/* With a reference for the caller. */
static struct transcript_text *text_of(struct transcript_texts *texts, struct str bytes,
                                       size_t lines)
{
        enum { COUNT = sizeof(texts->latest) / sizeof(texts->latest[0]) };
        struct transcript_text *text;
        for (size_t i = 0; i < COUNT; i++) {
                text = texts->latest[i];
                if (text && str_eq(str_make(text->bytes, text->len), bytes)) {
                        text->refs++;
                        return text;
                }
        }
        text = malloc(sizeof(*text) + bytes.len);
        check(text);
        *text = (struct transcript_text){.refs = 2, .lines = lines, .len = bytes.len};
        memcpy(text->bytes, bytes.ptr, bytes.len);
        text_unref(&texts->latest[texts->next]);
        texts->latest[texts->next] = text;
        texts->next = (texts->next + 1) % COUNT;
        return text;
}

/* ---- a transcript ---- */

void transcript_init(struct transcript *t)
{
        *t = (struct transcript){0};
        buf_init(&t->lines, TRANSCRIPT_BYTES_MAX);
}

void transcript_done(struct transcript *t)
{
        for (size_t i = 0; i < TRANSCRIPT_SHARED_MAX; i++)
                text_unref(&t->shared[i]);
        buf_done(&t->lines);
}

void transcript_clear(struct transcript *t)
{
        transcript_done(t);
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

static void begin(struct transcript *t, size_t bytes)
{
        if (!t->lines.ptr)
                buf_start(&t->lines, bytes);
}

void transcript_add(struct transcript *t, enum transcript_speaker speaker, struct str line)
{
        t->count++;
        if (t->shown == TRANSCRIPT_LINES_MAX)
                return;
        begin(t, FIRST_BYTES);
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

static bool is_mark(char c)
{
        return c >= MARK && c < MARK + TRANSCRIPT_SHARED_MAX;
}

/* False: there is no room for it as a whole. Takes the reference, or leaves it. */
static bool share(struct transcript *t, struct transcript_text *text)
{
        size_t at = 0;
        while (at < TRANSCRIPT_SHARED_MAX && t->shared[at] && t->shared[at] != text)
                at++;
        if (at == TRANSCRIPT_SHARED_MAX || t->shown + text->lines > TRANSCRIPT_LINES_MAX ||
            t->lines.len + text->len + 1 > t->lines.bytes_max)
                return false;
        begin(t, FIRST_BYTES);
        if (buf_append_char(&t->lines, (char)(MARK + at)) < 0)
                return false;
        /* what it will take in the notice is taken from the ceiling */
        t->lines.bytes_max -= text->len;
        t->count += text->lines;
        t->shown += text->lines;
        if (t->shared[at])
                text->refs--;
        t->shared[at] = text;
        return true;
}

void transcript_add_reply(struct transcript *t, struct transcript_texts *texts, struct str lines)
{
        if (texts) {
                struct transcript one;
                transcript_init(&one);
                begin(&one, REPLY_BYTES);
                transcript_add_reply(&one, NULL, lines);
                struct transcript_text *text =
                        one.count == one.shown && one.count
                                ? text_of(texts, buf_str(&one.lines), one.count)
                                : NULL;
                transcript_done(&one);
                if (text && share(t, text))
                        return;
                text_unref(&text);
        }
        while (lines.len) {
                struct str line = str_cut(&lines, '\n');
                transcript_add(t, TRANSCRIPT_OUT, str_part(line, 0, line.len - 1)); /* without CR */
        }
}

static void put_lines(struct put *p, const struct transcript *t)
{
        struct str rest = buf_str(&t->lines);
        while (rest.len) {
                size_t len = 0;
                while (len < rest.len && !is_mark(rest.ptr[len]))
                        len++;
                put_str(p, str_part(rest, 0, len));
                rest = str_tail(rest, len);
                if (rest.len == 0)
                        break;
                const struct transcript_text *text = t->shared[rest.ptr[0] - MARK];
                put_str(p, str_make(text->bytes, text->len));
                rest = str_tail(rest, 1);
        }
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
        put_str(p, STR("\r\nAuto-Submitted: auto-generated\r\nMessage-Id: <"));
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
        put_lines(&p, t);
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
