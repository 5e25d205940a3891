/* note.c - what filters were asked and what they answered, for those who explain (forepost explain) */
#include "milter/milter_private.h"

static const char *const stage_words[MILTER_STAGES] = {
        [MILTER_CONNECT] = "CONNECT",
        [MILTER_HELO] = "HELO",
        [MILTER_MAIL] = "MAIL",
        [MILTER_RCPT] = "RCPT",
        [MILTER_DATA] = "DATA",
        [MILTER_END] = "end of message",
        [MILTER_END_OF_HEADER] = "end of header",
        [MILTER_UNKNOWN] = "unknown command",
};

static const enum policy_event stage_events[MILTER_STAGES] = {
        [MILTER_CONNECT] = POLICY_AT_CONNECT,
        [MILTER_HELO] = POLICY_AT_HELO,
        [MILTER_MAIL] = POLICY_AT_MAIL,
        [MILTER_RCPT] = POLICY_AT_RCPT,
        [MILTER_DATA] = POLICY_AT_DATA,
        [MILTER_END] = POLICY_AT_END_OF_DATA,
        [MILTER_END_OF_HEADER] = POLICY_AT_END_OF_DATA,
        [MILTER_UNKNOWN] = POLICY_AT_CONNECT,
};

const char *milter_answer_words(char command)
{
        switch (command) {
        case 'c':
                return "continue";
        case 'a':
                return "accept";
        case 'd':
                return "discard";
        case 's':
                return "skip";
        case 'r':
                return "reject";
        case 't':
                return "tempfail";
        case '4':
                return "shutdown";
        case 'y':
                return "reply code";
        default:
                return "?";
        }
}

static const char *outcome_of(const struct filter *f, enum filter_result result)
{
        switch (result) {
        case FILTER_REFUSES:
                return "refuse";
        case FILTER_DISCARDS:
                return "discard";
        case FILTER_GOES_ON:
        case FILTER_SKIPS:
                break;
        }
        return f->state == FILTER_HAS_MESSAGE || f->state == FILTER_HAS_SESSION ? "permit"
                                                                                : "dunno";
}

static struct str rule_of(const struct milters *m, const struct filter *f, struct arena *arena)
{
        struct str words =
                arena_printf(arena, "%s %.*s", m->parameter, STR_ARG(f->spec->endpoint.text));
        return policy_rule_name(config_place(m->set->config, m->parameter), words, arena);
}

void filter_note(struct milters *m, const struct filter *f, const struct filter_note *note)
{
        struct policy_trace *trace = m->facts->trace;
        if (!trace)
                return;
        const struct trace_look look = {.kind = "milter",
                                        .table = f->spec->endpoint.text,
                                        .asked = str_from(stage_words[note->stage]),
                                        .said = note->said,
                                        .result = note->answer,
                                        .took_us = note->took_us};
        const struct trace_note step = {.event = (int)stage_events[note->stage],
                                        .list = str_from(m->parameter),
                                        .source = rule_of(m, f, trace->arena),
                                        .outcome = outcome_of(f, note->result),
                                        .took_us = note->took_us,
                                        .looks = &look,
                                        .look_count = 1};
        trace_note(trace, &step);
}

struct str milters_refuser(const struct milters *m, struct arena *arena)
{
        return m && m->refuser ? rule_of(m, m->refuser, arena) : STR("smtpd_milter_maps");
}
