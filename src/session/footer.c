/*
 * footer.c - what refusals say in addition (smtpd_reject_footer), and otherwise (smtpd_reject_filter_maps)
 *
 * "\\n" begins another line of the reply, and "\\c" in front continues the refusal's own line. The names are
 * Postfix's, in the forms of policy/template.h; others stand for nothing. $recipient is there at RCPT too, where
 * Postfix has none yet.
 */
#include "session/session_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "policy/template.h"

#include <time.h>

static struct str local_time(struct session *s)
{
        time_t now = (time_t)(clock_wall_us() / 1000000);
        struct tm tm;
        char text[64];
        localtime_r(&now, &tm);
        size_t len = strftime(text, sizeof(text), "%b %d %H:%M:%S", &tm);
        return arena_str(&s->arena, str_make(text, len));
}

/* The null sender is one, too. */
static struct str sender_or_null(const struct policy_facts *f, struct str part)
{
        return f->has_sender && str_is_empty(f->sender.text) ? STR("<>") : part;
}

static struct str value_of(struct session *s, struct str name)
{
        const struct policy_facts *f = &s->facts;
        const struct {
                struct str name, value;
        } plain[] = {
                {STR_INIT("client_address"), f->client_address},
                {STR_INIT("client_name"), f->client_name},
                {STR_INIT("reverse_client_name"), f->reverse_client_name},
                {STR_INIT("helo_name"), f->helo},
                {STR_INIT("recipient"), s->asked.len ? s->asked : f->recipient.text},
                {STR_INIT("recipient_name"), f->recipient.local},
                {STR_INIT("recipient_domain"), f->recipient.domain},
                {STR_INIT("sender"), sender_or_null(f, f->sender.text)},
                {STR_INIT("sender_name"), sender_or_null(f, f->sender.local)},
                {STR_INIT("sender_domain"), f->sender.domain},
                {STR_INIT("server_name"), s->params->myhostname},
                {STR_INIT("server_address"), str_from(s->here.text)},
        };
        for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
                if (str_eq(name, plain[i].name))
                        return plain[i].value;
        if (str_eq(name, STR("client")))
                return arena_printf(&s->arena, "%.*s[%.*s]", STR_ARG(f->client_name),
                                    STR_ARG(f->client_address));
        if (str_eq(name, STR("client_port")))
                return arena_printf(&s->arena, "%u", s->peer.port);
        if (str_eq(name, STR("localtime")))
                return local_time(s);
        if (str_eq(name, STR("server_port")))
                return arena_printf(&s->arena, "%u", s->here.port);
        return STR("");
}

/* A client's words must not begin a line of ours. */
static struct str clean_value_of(void *context, struct str name)
{
        struct session *s = context;
        struct str value = value_of(s, name);
        char *clean = arena_alloc(&s->arena, value.len + 1);
        for (size_t i = 0; i < value.len; i++)
                clean[i] = (unsigned char)value.ptr[i] < 0x20 ? '?' : value.ptr[i];
        return str_make(clean, value.len);
}

/* Each "\\n" as the end of a line. */
static struct str with_line_ends(struct session *s, struct str text)
{
        char *out = arena_alloc(&s->arena, text.len + 1);
        size_t len = 0;
        for (size_t i = 0; i < text.len; i++) {
                bool is_end = str_starts(str_tail(text, i), STR("\\n"));
                out[len++] = is_end ? '\n' : text.ptr[i];
                i += is_end;
        }
        return str_make(out, len);
}

/* "550 5.1.1 text": what tables are asked for */
static struct str whole_text(struct session *s, const struct smtp_reply *refusal)
{
        return arena_printf(&s->arena, "%d %s%s%.*s", refusal->code,
                            refusal->enhanced ? refusal->enhanced : "",
                            refusal->enhanced ? " " : "", STR_ARG(refusal->text));
}

/* ---- smtpd_reject_filter_maps ---- */

/* Reads such a text, which must be that of a refusal. The class of its enhanced code is made that of the code. */
static bool read_refusal(struct session *s, struct str text, struct smtp_reply *out)
{
        char enhanced[SMTP_ENHANCED_BYTES];
        struct str code = str_part(text, 0, 3);
        int64_t number;
        if (text.len < 4 || text.ptr[3] != ' ' || str_to_int64(code, 400, 599, &number))
                return false;
        text = str_trim(str_tail(text, 4));
        *out = smtp_reply_make((int)number, NULL, STR(""));
        if (smtp_enhanced_take(&text, enhanced)) {
                enhanced[0] = code.ptr[0];
                out->enhanced = arena_str(&s->arena, str_from(enhanced)).ptr;
        }
        out->text = arena_str(&s->arena, text);
        return text.len > 0;
}

void await_session_filter_refusal(struct session *s, struct smtp_reply *refusal)
{
        struct str found;
        struct smtp_reply other;
        struct why why;
        if (!policy_has_map(s->policy, POLICY_REJECT_FILTER))
                return;
        enum table_result result = await_policy_map_find(
                s->policy, POLICY_REJECT_FILTER, whole_text(s, refusal), &s->arena, &found, &why);
        if (result == TABLE_ERROR) {
                log_warning("smtpd", "smtpd_reject_filter_maps: %s", why.text);
        } else if (result == TABLE_FOUND && !read_refusal(s, found, &other)) {
                log_warning("smtpd",
                            "smtpd_reject_filter_maps: \"%.*s\" is no refusal (write \"550 5.7.1 "
                            "text\"): what was to be said is said",
                            STR_ARG(str_part(found, 0, 200)));
        } else if (result == TABLE_FOUND) {
                *refusal = other;
                if (other.code == 421 || other.code == 521)
                        s->is_closing = true;
        }
}

/* ---- the footer ---- */

/* The template for this refusal; empty: none. */
static struct str await_template(struct session *s, const struct smtp_reply *refusal)
{
        struct str found;
        struct why why;
        if (!policy_has_map(s->policy, POLICY_REJECT_FOOTER))
                return s->params->smtpd_reject_footer;
        switch (await_policy_map_find(s->policy, POLICY_REJECT_FOOTER, whole_text(s, refusal),
                                      &s->arena, &found, &why)) {
        case TABLE_FOUND:
                return found;
        case TABLE_ERROR: /* a refusal is one without its footer too */
                log_warning("smtpd", "smtpd_reject_footer_maps: %s", why.text);
                break;
        case TABLE_NOT_FOUND:
                break;
        }
        return s->params->smtpd_reject_footer;
}

struct str await_session_footer_add(struct session *s, const struct smtp_reply *refusal)
{
        struct str footer = await_template(s, refusal);
        if (str_is_empty(footer))
                return refusal->text;
        bool is_continued = str_starts(footer, STR("\\c"));
        if (is_continued)
                footer = str_tail(footer, 2);
        footer = template_expand(with_line_ends(s, footer), clean_value_of, s, &s->arena);
        return arena_printf(&s->arena, "%.*s%s%.*s", STR_ARG(refusal->text),
                            is_continued ? "" : "\n", STR_ARG(footer));
}
