/*
 * explain.c - what was refused, and why: a code for the client, a trace for the administrator
 *
 * Each command begins with an empty trace, which the rules that are asked for it fill. A refusal gets a code of seven characters
 * (Crockford's base 32: no letter that is taken for a digit), random, so that it tells nothing and cannot be guessed. Errors of
 * protocol (500 to 504) have none: their text says it all.
 */
#include "base/rand.h"
#include "session/session_private.h"

void session_explain_begin(struct session *s)
{
        trace_begin(&s->trace, &s->arena);
        s->facts.trace = s->service->parts.hear ? &s->trace : NULL;
        s->facts.refusal_code = STR("");
        s->refusal_source = STR("");
        s->refusal_code[0] = 0;
        s->ended = NULL;
}

static bool wants_code(const struct session *s)
{
        return s->service->parts.hear && s->params->refusal_code;
}

static void make_code(struct session *s)
{
        static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        uint64_t random = rand_u64();
        for (int i = 0; i < REFUSAL_CODE_BYTES - 1; i++, random >>= 5)
                s->refusal_code[i] = digits[random & 31];
        s->refusal_code[REFUSAL_CODE_BYTES - 1] = 0;
        s->facts.refusal_code = str_from(s->refusal_code);
}

void session_explain_refusal(struct session *s, struct str source)
{
        s->refusal_source = arena_str(&s->arena, source);
        if (wants_code(s) && !s->refusal_code[0])
                make_code(s);
}

struct str session_rule_name(struct session *s, const char *parameter)
{
        return policy_rule_name(config_place(s->service->parts.config, parameter),
                                str_from(parameter), &s->arena);
}

void session_explain_step(struct session *s, const char *parameter, const char *outcome,
                          const struct trace_look *look)
{
        if (!s->facts.trace)
                return;
        const struct trace_note note = {.list = str_from(parameter),
                                        .source = session_rule_name(s, parameter),
                                        .outcome = outcome,
                                        .took_us = look->took_us,
                                        .looks = look,
                                        .look_count = 1};
        trace_note(s->facts.trace, &note);
}

void session_explain_content(void *session, struct str rule)
{
        session_explain_refusal(session, rule);
}

void session_explain_end(struct session *s)
{
        struct transaction *t = s->transaction;
        cleanup_explain(t->cleanup, s->facts.trace);
        struct policy_facts *f = arena_new(&s->arena, struct policy_facts);
        *f = s->facts;
        f->sender.text = arena_str(&s->arena, f->sender.text);
        f->recipient.text = arena_str(&s->arena, f->recipient.text);
        f->queue_id = arena_str(&s->arena, f->queue_id);
        s->ended = f;
}

static bool is_judgement(const struct smtp_reply *reply)
{
        return smtp_reply_refuses(reply) && (reply->code < 500 || reply->code > 504);
}

void session_explain_reply(struct session *s, struct smtp_reply *reply)
{
        const struct session_service_parts *parts = &s->service->parts;
        bool is_refusal = is_judgement(reply);
        session_record_reply(s, reply);
        if (!parts->hear || (!is_refusal && !parts->hears_all))
                return;
        if (is_refusal && wants_code(s)) {
                if (!s->refusal_code[0])
                        make_code(s);
        }
        struct policy_facts facts = s->ended ? *s->ended : s->facts;
        if (s->asked.len) /* RCPT that was refused is no recipient of the transaction */
                facts.recipient.text = s->asked;
        const struct session_judged judged = {
                .verb = s->last_verb,
                .facts = &facts,
                .trace = &s->trace,
                .reply = reply,
                .code = is_refusal ? s->facts.refusal_code : STR(""),
                .source = s->refusal_source,
        };
        parts->hear(parts->hear_context, &judged);
        if (parts->hears_all) /* what was told now is not told again with the next reply */
                trace_begin(&s->trace, &s->arena);
        if (judged.code.len)
                reply->text = arena_printf(&s->arena, "%.*s (%.*s)", STR_ARG(reply->text),
                                           STR_ARG(judged.code));
}
