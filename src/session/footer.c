/*
 * footer.c - smtpd_reject_footer: what every refusal says in addition
 *
 * "\\n" begins another line of the reply, and "\\c" in front continues the refusal's own line. The names are
 * Postfix's: $client $client_address $client_name $client_port $helo $localtime $recipient $sender
 * $server_address $server_name $server_port, also as ${name} and $(name), and "$$". Others stand for nothing.
 */
#include "session/session_private.h"

#include "base/clock.h"
#include "base/log.h"

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

static struct str value_of(struct session *s, struct str name)
{
        const struct policy_facts *f = &s->facts;
        if (str_eq(name, STR("client")))
                return arena_printf(&s->arena, "%.*s[%.*s]", STR_ARG(f->client_name),
                                    STR_ARG(f->client_address));
        if (str_eq(name, STR("client_address")))
                return f->client_address;
        if (str_eq(name, STR("client_name")))
                return f->client_name;
        if (str_eq(name, STR("client_port")))
                return arena_printf(&s->arena, "%u", s->peer.port);
        if (str_eq(name, STR("helo")))
                return f->helo;
        if (str_eq(name, STR("localtime")))
                return local_time(s);
        if (str_eq(name, STR("recipient")))
                return s->asked.len ? s->asked : f->recipient.text;
        if (str_eq(name, STR("sender")))
                return f->sender.text;
        if (str_eq(name, STR("server_name")))
                return s->params->myhostname;
        if (str_eq(name, STR("server_address")))
                return str_from(s->here.text);
        if (str_eq(name, STR("server_port")))
                return arena_printf(&s->arena, "%u", s->here.port);
        return STR("");
}

static bool is_of_name(char c)
{
        return char_is_digit(c) || c == '_' || (char_lower(c) >= 'a' && char_lower(c) <= 'z');
}

/* The name behind a dollar sign; *rest goes on behind it. */
static struct str take_name(struct str *rest)
{
        char open = rest->len ? rest->ptr[0] : 0;
        bool is_braced = open == '{' || open == '(';
        if (is_braced)
                *rest = str_tail(*rest, 1);
        size_t len = 0;
        while (len < rest->len && is_of_name(rest->ptr[len]))
                len++;
        struct str name = str_part(*rest, 0, len);
        *rest = str_tail(*rest, len);
        if (is_braced) {
                ptrdiff_t close = str_find(*rest, open == '{' ? '}' : ')');
                *rest = str_tail(*rest, close < 0 ? rest->len : (size_t)close + 1);
        }
        return name;
}

static void expand(struct session *s, struct str rest, struct buf *out)
{
        while (rest.len) {
                char c = rest.ptr[0];
                char next = rest.len > 1 ? rest.ptr[1] : 0;
                rest = str_tail(rest, 1);
                if (c == '\\' && next == 'n') {
                        buf_append_char(out, '\n');
                        rest = str_tail(rest, 1);
                } else if (c == '$' && next == '$') {
                        buf_append_char(out, '$');
                        rest = str_tail(rest, 1);
                } else if (c == '$') {
                        /* a client's words must not begin a line of ours */
                        struct str value = value_of(s, take_name(&rest));
                        for (size_t i = 0; i < value.len; i++)
                                buf_append_char(out, (unsigned char)value.ptr[i] < 0x20
                                                             ? '?'
                                                             : value.ptr[i]);
                } else {
                        buf_append_char(out, c);
                }
        }
}

enum { FOOTER_BYTES_MAX = 16 * 1024 };

/* The template for this refusal; empty: none. */
static struct str await_template(struct session *s, const struct smtp_reply *refusal)
{
        struct str found;
        struct why why;
        if (!policy_has_map(s->policy, POLICY_REJECT_FOOTER))
                return s->params->smtpd_reject_footer;
        struct str whole = arena_printf(&s->arena, "%d %s%s%.*s", refusal->code,
                                        refusal->enhanced ? refusal->enhanced : "",
                                        refusal->enhanced ? " " : "", STR_ARG(refusal->text));
        switch (await_policy_map_find(s->policy, POLICY_REJECT_FOOTER, whole, &s->arena, &found,
                                      &why)) {
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
        struct buf b;
        if (str_is_empty(footer))
                return refusal->text;
        buf_init(&b, FOOTER_BYTES_MAX);
        buf_append_str(&b, refusal->text);
        if (str_starts(footer, STR("\\c")))
                footer = str_tail(footer, 2);
        else
                buf_append_char(&b, '\n');
        expand(s, footer, &b);
        struct str all = arena_str(&s->arena, buf_str(&b));
        buf_done(&b);
        return all;
}
