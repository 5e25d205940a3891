/* filter.c - the connection to one filter: opened, negotiated, packets out, replies in */
#include "milter/milter_private.h"

#include <errno.h>

enum { OUT_BYTES_MAX = 12 * 1024 * 1024, FLUSH_BYTES = 64 * 1024 };

static int wire_failed(const struct filter *f, int rc, struct why *why)
{
        return why_set(why, rc, "%.*s: %s", STR_ARG(f->spec->endpoint.text),
                       rc == -EPIPE ? "the filter hung up" : why_errno(rc));
}

void filter_close(struct filter *f)
{
        wire_free(&f->wire);
        buf_done(&f->out);
        buf_done(&f->in);
        arena_done(&f->arena);
        f->taken = 0;
}

int await_filter_flush(struct filter *f, int64_t deadline_ms, struct why *why)
{
        struct str rest = buf_str(&f->out);
        int rc = 0;
        while (rest.len && rc == 0) {
                struct str piece = str_part(rest, 0, WIRE_OUT_BYTES_MAX / 2);
                rc = wire_put(f->wire, piece);
                if (rc == 0)
                        rc = await_wire_flush(f->wire, deadline_ms);
                rest = str_tail(rest, piece.len);
        }
        buf_clear(&f->out);
        return rc < 0 ? wire_failed(f, rc, why) : 0;
}

int await_filter_reply(struct filter *f, int64_t deadline_ms, struct milter_reply *reply,
                       struct why *why)
{
        buf_consume(&f->in, f->taken);
        f->taken = 0;
        for (;;) {
                struct str in = buf_str(&f->in);
                int rc = milter_reply_take(&in, reply, why);
                if (rc < 0)
                        return why_prefix(why, rc, "%.*s", STR_ARG(f->spec->endpoint.text));
                if (rc > 0) {
                        f->taken = f->in.len - in.len;
                        return 0;
                }
                struct str bytes;
                rc = await_wire_bytes(f->wire, deadline_ms, &bytes);
                if (rc < 0)
                        return wire_failed(f, rc, why);
                if (buf_append_str(&f->in, bytes) < 0)
                        return why_set(why, -EPROTO, "%.*s: too much at once",
                                       STR_ARG(f->spec->endpoint.text));
                wire_consume(f->wire, bytes.len);
        }
}

/* What is negotiated must outlive the packet that said it. */
static void keep(struct filter *f)
{
        for (size_t i = 0; i < MILTER_STAGES; i++)
                if (f->negotiated.has_macros[i])
                        f->negotiated.macros[i] = arena_str(&f->arena, f->negotiated.macros[i]);
}

static int await_negotiate(struct milters *m, struct filter *f, struct why *why)
{
        unsigned version = (unsigned)m->params->milter_protocol;
        int64_t deadline_ms = loop_now_ms() + f->spec->command_ms;
        struct milter_reply reply;
        size_t at = milter_packet_begin(&f->out, 'O');
        milter_put_number(&f->out, version);
        milter_put_number(&f->out, milter_version_actions(version));
        milter_put_number(&f->out, milter_version_protocol(version));
        int rc = milter_packet_end(&f->out, at);
        if (!rc)
                rc = await_filter_flush(f, deadline_ms, why);
        if (!rc)
                rc = await_filter_reply(f, deadline_ms, &reply, why);
        if (rc < 0)
                return rc;
        if (reply.command != 'O')
                return why_set(why, -EPROTO, "%.*s: it does not negotiate",
                               STR_ARG(f->spec->endpoint.text));
        rc = milter_negotiated_read(reply.data, version, &f->negotiated, why);
        if (rc < 0)
                return why_prefix(why, rc, "%.*s", STR_ARG(f->spec->endpoint.text));
        keep(f);
        return 0;
}

int await_filter_open(struct milters *m, struct filter *f, struct why *why)
{
        buf_init(&f->out, OUT_BYTES_MAX);
        buf_init(&f->in, 2 * MILTER_PACKET_BYTES_MAX);
        arena_init(&f->arena, 0);
        int rc = await_endpoint_connect(&f->spec->endpoint, loop_now_ms() + f->spec->connect_ms,
                                        &f->wire, why);
        return rc < 0 ? rc : await_negotiate(m, f, why);
}

void filter_put_macros(struct milters *m, struct filter *f, enum milter_stage stage,
                       const struct milter_args *args, char command)
{
        struct arena arena;
        struct str names = f->negotiated.has_macros[stage] ? f->negotiated.macros[stage]
                                                           : milter_macro_names(m->params, stage);
        struct str name;
        bool has_some = false;
        arena_init(&arena, 0);
        size_t at = milter_packet_begin(&f->out, 'D');
        buf_append_char(&f->out, command);
        while (str_next_word(&names, " \t\r\n,", &name)) {
                struct str value =
                        milter_macro_value(m->params, m->facts, stage, args, name, &arena);
                if (value.len == 0)
                        continue;
                milter_put_text(&f->out, name);
                milter_put_text(&f->out, value);
                has_some = true;
        }
        if (has_some)
                milter_packet_end(&f->out, at);
        else
                f->out.len = at;
        arena_done(&arena);
}
