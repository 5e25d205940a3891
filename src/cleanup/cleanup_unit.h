/* cleanup_unit.h - a message that goes through the rules of a main.cf, for the tests of this room */
#ifndef CLEANUP_CLEANUP_UNIT_H
#define CLEANUP_CLEANUP_UNIT_H

#include "base/clock.h"
#include "cleanup/cleanup_private.h"
#include "policy/rig_unit.h"

struct mill {
        struct rig rig;
        struct cleanup_rules *rules;
        struct envelope envelope;
        struct cleanup *cleanup;
        struct arena arena; /* the message's */
        struct buf out;
        struct smtp_reply refusal;
};

/* `lines` come behind RIG_MAIN_CF; the message's client is a stranger. */
static inline void mill_init(struct mill *m)
{
        *m = (struct mill){0};
        rig_init(&m->rig);
}

static inline void mill_load(struct mill *m, const char *lines)
{
        char main_cf[8000];
        snprintf(main_cf, sizeof(main_cf), RIG_MAIN_CF "mydomain = example.com\n%s", lines);
        rig_load(&m->rig, main_cf);
        m->rules = cleanup_rules_new(m->rig.config, &m->rig.config->params, m->rig.tables,
                                     m->rig.policy, &m->rig.findings);
        rig_facts(&m->rig, "a@b.example", "user@relay.example");
        m->rig.facts.queue_id = STR("4gXyZ12abcz9");
}

static inline void mill_end(struct mill *m)
{
        cleanup_free(&m->cleanup);
        arena_done(&m->arena);
        buf_done(&m->out);
}

static inline void mill_begin(struct mill *m)
{
        mill_end(m);
        arena_init(&m->arena, 16 << 20);
        buf_init(&m->out, 64 << 20);
        memset(&m->rig.effects, 0, sizeof(m->rig.effects));
        m->envelope = (struct envelope){.sender = STR("a@b.example"), .arrival_us = 1};
        const struct cleanup_work work = {
                .rules = m->rules,
                .facts = &m->rig.facts,
                .effects = &m->rig.effects,
                .envelope = &m->envelope,
                .arena = &m->arena,
        };
        m->cleanup = cleanup_new(&work);
}

static inline void mill_done(struct mill *m)
{
        mill_end(m);
        cleanup_rules_unref(&m->rules);
        rig_done(&m->rig);
}

/* False: refused. */
static inline bool mill_push(struct mill *m, struct str text, bool is_all)
{
        enum cleanup_progress progress = CLEANUP_MORE;
        struct buf *input = cleanup_input(m->cleanup);
        assert_int_equal(buf_append_str(input ? input : &m->out, text), 0);
        while (progress == CLEANUP_MORE)
                progress = await_cleanup_content(m->cleanup, &m->out, is_all, &m->refusal);
        return progress == CLEANUP_DONE;
}

/* The message as it becomes, fed in pieces of `step` bytes; "550 5.7.1 text" when it is refused. */
static inline const char *mill_run_in(struct mill *m, struct str text, size_t step)
{
        static char out[300000];
        bool is_taken = true;
        mill_begin(m);
        while (is_taken && text.len) {
                is_taken = mill_push(m, str_part(text, 0, step), false);
                text = str_tail(text, step);
        }
        is_taken = is_taken && mill_push(m, STR(""), true);
        if (is_taken)
                snprintf(out, sizeof(out), "%.*s", STR_ARG(buf_str(&m->out)));
        else
                snprintf(out, sizeof(out), "%d %s %.*s", m->refusal.code, m->refusal.enhanced,
                         STR_ARG(m->refusal.text));
        return out;
}

/* However the text is cut into pieces, the same comes out. */
static inline const char *mill_run(struct mill *m, const char *text)
{
        static char whole[300000];
        snprintf(whole, sizeof(whole), "%s", mill_run_in(m, str_from(text), 65536));
        const char *in_bytes = mill_run_in(m, str_from(text), 1);
        if (strcmp(whole, in_bytes) != 0)
                fail_msg("at once \"%s\", byte by byte \"%s\"", whole, in_bytes);
        return whole;
}

#endif
