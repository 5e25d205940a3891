/*
 * message.c - one whole message shown to each filter, and what they make of it
 *
 * Header fields, end of header, body in pieces, end of message; then the filter's changes (change.c), up to its
 * verdict, with which they are made. The next filter sees the message with these changes.
 */
#include "milter/milter_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

enum { CHUNK_BYTES = 65535, FLUSH_BYTES = 128 * 1024 };

struct showing {
        struct milters *m;
        struct filter *f;
        struct milter_header *header;
        const struct milter_doors *doors;
        struct policy_effects *effects;
        struct arena *arena;
        struct smtp_reply *refusal;
        enum filter_result result;
        bool is_over;  /* the verdict is there before the end */
        bool has_body; /* it began a new one */
        struct milter_changes changes;
        struct why *why;
};

static int fail(struct showing *s, int code, const char *text)
{
        return why_set(s->why, code, "%.*s: %s", STR_ARG(s->f->spec->endpoint.text), text);
}

static int64_t command_deadline_ms(const struct showing *s)
{
        return loop_now_ms() + s->f->spec->command_ms;
}

/* ---- showing ---- */

/* What was put goes out, and its answer is read when it has one. */
static int await_answer(struct showing *s, enum milter_stage stage, bool has_answer)
{
        struct milter_reply reply = {.command = 'p'};
        if (!has_answer) {
                if (s->f->out.len < FLUSH_BYTES)
                        return 0;
                return await_filter_flush(s->f, command_deadline_ms(s), s->why);
        }
        int rc = await_filter_flush(s->f, command_deadline_ms(s), s->why);
        while (rc == 0 && reply.command == 'p')
                rc = await_filter_reply(s->f, command_deadline_ms(s), &reply, s->why);
        if (rc == 0)
                rc = filter_take_verdict(s->m, s->f, stage, &reply, &s->result, s->arena,
                                         s->refusal, s->why);
        s->is_over = rc == 0 && (s->f->state == FILTER_HAS_MESSAGE || s->result == FILTER_REFUSES ||
                                 s->result == FILTER_DISCARDS);
        return rc;
}

/* A value as filters see it: CR LF is LF; without the first blank, unless they asked for it. */
static void put_value(struct buf *out, struct str value, bool wants_space)
{
        if (!wants_space && value.len && (value.ptr[0] == ' ' || value.ptr[0] == '\t'))
                value = str_tail(value, 1);
        for (size_t i = 0; i < value.len; i++) {
                char c = value.ptr[i];
                if (c == '\r' && i + 1 < value.len && value.ptr[i + 1] == '\n')
                        continue;
                buf_append_char(out, c ? c : '?');
        }
        buf_append_char(out, '\0');
}

static int await_field(struct showing *s, struct str field)
{
        struct filter *f = s->f;
        struct str value = field;
        struct str name = str_trim(str_cut(&value, ':'));
        size_t at = milter_packet_begin(&f->out, 'L');
        milter_put_text(&f->out, name);
        put_value(&f->out, value, f->negotiated.protocol & MILTER_LEADING_SPACE);
        if (milter_packet_end(&f->out, at) < 0)
                return fail(s, -ENOBUFS, "a header field is too long for it");
        return await_answer(s, MILTER_END_OF_HEADER, !(f->negotiated.protocol & MILTER_NR_HEADER));
}

static int await_header(struct showing *s)
{
        struct filter *f = s->f;
        bool wants_fields = !(f->negotiated.protocol & MILTER_NO_HEADERS);
        for (size_t i = 0; wants_fields && i < s->header->count && !s->is_over; i++) {
                int rc = s->header->fields[i].is_hidden ? 0
                                                        : await_field(s, s->header->fields[i].raw);
                if (rc < 0)
                        return rc;
        }
        if (s->is_over || f->negotiated.protocol & MILTER_NO_EOH)
                return 0;
        filter_put_macros(s->m, f, MILTER_END_OF_HEADER, NULL, 'N');
        size_t at = milter_packet_begin(&f->out, 'N');
        if (milter_packet_end(&f->out, at) < 0)
                return fail(s, -ENOBUFS, "too much at once");
        return await_answer(s, MILTER_END_OF_HEADER, !(f->negotiated.protocol & MILTER_NR_EOH));
}

static int await_body(struct showing *s)
{
        struct filter *f = s->f;
        int64_t offset = 0;
        size_t got = 1;
        struct buf chunk;
        int rc = 0;
        buf_init(&chunk, CHUNK_BYTES);
        s->result = FILTER_GOES_ON;
        while (rc == 0 && !s->is_over && s->result != FILTER_SKIPS &&
               !(f->negotiated.protocol & MILTER_NO_BODY)) {
                char *room = buf_reserve(&chunk, CHUNK_BYTES);
                rc = s->doors->await_read(s->doors->context, offset, room, CHUNK_BYTES, &got,
                                          s->why);
                if (rc < 0 || got == 0)
                        break;
                offset += (int64_t)got;
                size_t at = milter_packet_begin(&f->out, 'B');
                milter_put_bytes(&f->out, str_make(room, got));
                rc = milter_packet_end(&f->out, at);
                if (rc == 0)
                        rc = await_answer(s, MILTER_END,
                                          !(f->negotiated.protocol & MILTER_NR_BODY));
        }
        buf_done(&chunk);
        return rc;
}

/* ---- changes ---- */

/* The bit of the negotiation that allows this reply. */
static unsigned action_of(char command)
{
        switch (command) {
        case 'h':
        case 'i':
                return MILTER_ADDS_HEADERS;
        case 'm':
                return MILTER_CHANGES_HEADERS;
        case 'b':
                return MILTER_CHANGES_BODY;
        case '+':
                return MILTER_ADDS_RECIPIENTS;
        case '2':
                return MILTER_ADDS_RECIPIENTS_PAR;
        case '-':
                return MILTER_REMOVES_RECIPIENTS;
        case 'e':
                return MILTER_CHANGES_SENDER;
        case 'q':
                return MILTER_QUARANTINES;
        default:
                return 0;
        }
}

static int await_body_piece(struct showing *s, struct str bytes)
{
        if (!s->has_body) {
                int rc = s->doors->body_begin(s->doors->context, s->why);
                if (rc < 0)
                        return rc;
                s->has_body = true;
        }
        return s->doors->await_body_add(s->doors->context, bytes, s->why);
}

static int await_change(struct showing *s, const struct milter_reply *r)
{
        if (!(s->f->negotiated.actions & action_of(r->command)))
                return fail(s, -EPROTO, "it does what was not negotiated");
        if (r->command == 'b')
                return await_body_piece(s, r->data);
        const char *fault = milter_changes_add(&s->changes, r);
        return fault ? fail(s, -EPROTO, fault) : 0;
}

/* The turn is over, and the message goes on. */
static int await_apply(struct showing *s)
{
        const struct milter_apply apply = {
                .changes = &s->changes,
                .filter = s->f->spec->endpoint.text,
                .facts = s->m->facts,
                .header = s->header,
                .doors = s->doors,
                .effects = s->effects,
                .refusal = s->refusal,
                .has_space = s->f->negotiated.protocol & MILTER_LEADING_SPACE,
                .has_body = s->has_body,
        };
        return s->changes.count || s->has_body ? await_milter_changes(&apply, &s->result, s->why)
                                               : 0;
}

static int await_end(struct showing *s)
{
        struct filter *f = s->f;
        struct milter_reply reply;
        filter_put_macros(s->m, f, MILTER_END, NULL, 'E');
        size_t at = milter_packet_begin(&f->out, 'E');
        int rc = milter_packet_end(&f->out, at);
        if (rc == 0)
                rc = await_filter_flush(f, command_deadline_ms(s), s->why);
        while (rc == 0) {
                rc = await_filter_reply(f, loop_now_ms() + f->spec->content_ms, &reply, s->why);
                if (rc < 0)
                        return rc;
                if (reply.command == 'p')
                        continue;
                if (!action_of(reply.command))
                        break;
                rc = await_change(s, &reply);
        }
        if (rc == 0)
                rc = filter_take_verdict(s->m, f, MILTER_END, &reply, &s->result, s->arena,
                                         s->refusal, s->why);
        if (rc == 0 && s->result != FILTER_REFUSES && s->result != FILTER_DISCARDS)
                rc = await_apply(s);
        return rc;
}

static int await_show(struct showing *s)
{
        int rc = await_header(s);
        if (rc == 0 && !s->is_over)
                rc = await_body(s);
        if (rc == 0 && !s->is_over) {
                rc = await_end(s);
                if (rc == 0)
                        s->f->state = FILTER_READY; /* nothing is left to be aborted */
        }
        return rc;
}

/* "3 changes and a new body" */
static struct str describe(const struct showing *s)
{
        if (s->result == FILTER_REFUSES)
                return s->refusal->text;
        if (s->changes.count == 0)
                return s->has_body ? STR("a new body") : STR("");
        return arena_printf(s->arena, "%zu change%s%s", s->changes.count,
                            s->changes.count == 1 ? "" : "s", s->has_body ? " and a new body" : "");
}

static void note_message(struct showing *s, int64_t began_us)
{
        const struct filter_note note = {
                .stage = MILTER_END,
                .answer = s->f->answer,
                .said = s->f->state == FILTER_FAILED ? s->f->why : describe(s),
                .result = s->result,
                .took_us = s->m->facts->trace ? clock_mono_us() - began_us : 0,
        };
        if (s->f->answer)
                filter_note(s->m, s->f, &note);
}

static enum filter_result await_filter_message(struct milters *m, struct filter *f,
                                               struct milter_header *header,
                                               const struct milter_doors *doors,
                                               struct policy_effects *effects, struct arena *arena,
                                               struct smtp_reply *refusal)
{
        struct why why;
        int64_t began_us = m->facts->trace ? clock_mono_us() : 0;
        struct showing s = {.m = m,
                            .f = f,
                            .header = header,
                            .doors = doors,
                            .effects = effects,
                            .arena = arena,
                            .refusal = refusal,
                            .why = &why};
        milter_changes_init(&s.changes, arena);
        f->answer = NULL;
        if (m->facts->is_offline) {
                f->answer = "not asked";
        } else if (f->state == FILTER_FAILED) {
                f->answer = "failed before";
                s.result = filter_default(m, f, refusal);
        } else if (f->state != FILTER_HAS_MESSAGE && f->state != FILTER_HAS_SESSION &&
                   await_show(&s) < 0) {
                s.result = filter_failed(m, f, &why, refusal);
        }
        note_message(&s, began_us);
        if (s.result == FILTER_REFUSES)
                m->refuser = f;
        return s.result;
}

bool await_milters_message(struct milters *m, struct milter_header *header,
                           const struct milter_doors *doors, struct policy_effects *effects,
                           struct arena *arena, struct smtp_reply *refusal)
{
        for (size_t i = 0; m && i < m->count && !m->is_discarded; i++) {
                switch (await_filter_message(m, &m->filters[i], header, doors, effects, arena,
                                             refusal)) {
                case FILTER_REFUSES:
                        return true;
                case FILTER_DISCARDS:
                        m->is_discarded = true;
                        effects->is_discarded = true;
                        break;
                case FILTER_GOES_ON:
                case FILTER_SKIPS:
                        break;
                }
        }
        if (m && m->is_held)
                effects->is_held = true;
        return false;
}
