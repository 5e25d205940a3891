/* session_print.c - sessions as people and scripts see them */
#include "ops/session_print.h"

#include "ops/json.h"

#include <time.h>

enum { STRANGE_BYTES_MAX = 500 };

/* What a stranger wrote must not move a terminal's cursor. */
static void put_clean(struct buf *out, struct str text)
{
        size_t from = out->len;
        if (buf_append_str(out, str_part(text, 0, STRANGE_BYTES_MAX)) < 0)
                return;
        for (size_t i = from; i < out->len; i++)
                if ((unsigned char)out->ptr[i] < 0x20 || out->ptr[i] == 0x7f)
                        out->ptr[i] = '?';
}

static void print_json(struct session_print *p, const struct session_view *v)
{
        struct json j;
        json_init(&j, p->out);
        json_open(&j, NULL, '{');
        json_str(&j, "client_name", str_part(v->client_name, 0, STRANGE_BYTES_MAX));
        json_str(&j, "client_address", v->client_address);
        json_str(&j, "client_port", v->client_port);
        json_str(&j, "server_address", v->server_address);
        json_str(&j, "server_port", v->server_port);
        json_str(&j, "service", v->service);
        json_int(&j, "loop", (int64_t)p->loop);
        if (v->is_local)
                json_int(&j, "local_user", v->local_uid);
        json_str(&j, "helo", str_part(v->helo, 0, STRANGE_BYTES_MAX));
        json_str(&j, "protocol", v->protocol);
        json_str(&j, "tls", v->tls);
        json_bool(&j, "in_transaction", v->has_sender);
        json_str(&j, "sender", str_part(v->sender, 0, STRANGE_BYTES_MAX));
        json_int(&j, "recipients", (int64_t)v->recipients);
        json_int(&j, "messages", v->messages);
        json_int(&j, "since", v->since_us / 1000000);
        json_str(&j, "command", v->command);
        json_str(&j, "waits_for", str_from(v->waits_for));
        json_int(&j, "waits_since", p->now_us / 1000000 - v->waits_ms / 1000);
        json_close(&j, '}');
        json_end(&j);
}

static void print_text(struct session_print *p, const struct session_view *v)
{
        time_t since = (time_t)(v->since_us / 1000000);
        int64_t age_s = p->now_us > v->since_us ? (p->now_us - v->since_us) / 1000000 : 0;
        struct tm tm;
        char when[40];
        gmtime_r(&since, &tm);
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
        put_clean(p->out, v->client_name);
        buf_printf(p->out, "[%.*s]:%.*s", STR_ARG(v->client_address), STR_ARG(v->client_port));
        if (v->is_local)
                buf_printf(p->out, " (user %u)", v->local_uid);
        buf_printf(p->out, " since %s (%lld s), after %.*s: %s (for %lld s)\n", when,
                   (long long)age_s, STR_ARG(v->command), v->waits_for,
                   (long long)(v->waits_ms / 1000));
        buf_printf(p->out, "    %.*s, helo=<", STR_ARG(v->service));
        put_clean(p->out, v->helo);
        buf_printf(p->out, ">");
        if (v->has_sender) {
                buf_printf(p->out, ", from=<");
                put_clean(p->out, v->sender);
                buf_printf(p->out, ">, %zu recipient%s", v->recipients,
                           v->recipients == 1 ? "" : "s");
        }
        buf_printf(p->out, ", %u message%s so far, %s", v->messages, v->messages == 1 ? "" : "s",
                   v->tls.len ? "" : "no TLS");
        buf_printf(p->out, "%.*s\n", STR_ARG(v->tls));
}

void session_print_one(struct session_print *p, const struct session_view *v)
{
        if (p->as_json)
                print_json(p, v);
        else
                print_text(p, v);
        p->count++;
}

void session_print_end(struct session_print *p)
{
        if (p->as_json)
                return;
        if (p->count == 0)
                buf_printf(p->out, "no session is open\n");
        else
                buf_printf(p->out, "-- %zu session%s.\n", p->count, p->count == 1 ? "" : "s");
}
