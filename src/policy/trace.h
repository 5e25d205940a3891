/*
 * trace.h - how a judgement came about: each rule that was asked, what it looked up, what came back
 *
 * A session that may have to explain itself gives its judgements a trace (policy_facts.trace). Nothing is formatted
 * here: that is for whoever wants to read it. Over the ceilings nothing is noted any more, and `is_cut` says so.
 *
 * Memory: in the arena given to trace_begin(). What was asked and said is copied; parameters and rules are views of
 * the policy, which must live as long. trace_note() copies all.
 */
#ifndef POLICY_TRACE_H
#define POLICY_TRACE_H

#include "base/arena.h"
#include "base/str.h"

#include <stdint.h>

enum { TRACE_STEPS_MAX = 200, TRACE_LOOKS_MAX = 400, TRACE_CHUNK = 16, TRACE_TEXT_MAX = 400 };

/* One look-up. */
struct trace_look {
        const char *
                kind; /* "table", "dns", "list", "spf", "policy", "milter", "client", "probe", "proxy"; lives for ever */
        struct str table;   /* "hash:/etc/access"; the server of a policy service or filter */
        struct str asked;   /* the key, the name, the stage */
        const char *type;   /* of a DNS question: "MX"; else NULL */
        struct str said;    /* the value, the first record; empty: not found */
        int line;           /* of a table of rules: the one that answered; else 0 */
        struct str pattern; /* likewise, as it is written */
        const char *result; /* "found", "not found", "failed"... */
        int64_t took_us;
        bool was_cached;
};

/* One rule. */
struct trace_step {
        int event;         /* enum policy_event */
        struct str list;   /* the parameter or class that it stands in */
        struct str source; /* "main.cf:21 reject_rbl_client zen.example" */
        int depth;         /* 1: of a list; more: of classes and access tables in it */
        const char *
                outcome; /* "dunno", "permit", "refuse"; with "warn" only a log line came of a refusal */
        int64_t took_us;
        struct trace_look *looks; /* in chunks of the arena */
        size_t look_count, look_room;
};

struct policy_trace {
        struct arena *arena;
        struct trace_step **steps;
        size_t count, room;
        size_t looks;
        struct trace_step *now; /* the one that is being asked; NULL between rules */
        bool is_cut;
};

void trace_begin(struct policy_trace *t, struct arena *arena);
/* All of these do nothing when `t` is NULL. Steps may contain others. NULL: over the ceiling. */
struct trace_step *trace_step_begin(struct policy_trace *t, int event, struct str list,
                                    struct str source, int depth, int64_t now_us);
void trace_step_end(struct policy_trace *t, struct trace_step *step, struct trace_step *outer,
                    const char *outcome, int64_t now_us);
void trace_look(struct policy_trace *t, const struct trace_look *look);
/* A step that is over: noted whole, at depth 1. */
struct trace_note {
        int event;
        struct str list, source;
        const char *outcome;
        int64_t took_us;
        const struct trace_look *looks;
        size_t look_count;
};
void trace_note(struct policy_trace *t, const struct trace_note *note);

#endif
