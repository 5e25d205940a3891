/*
 * milters.c - the filters of a session, at the stages before the message
 *
 * A filter that fails, by silence, rubbish or death, is closed and stands for its default action until the session
 * ends. One that accepted hears no more of the message, or, before MAIL, of the session.
 */
#include "milter/milter_private.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

/* ---- what replies mean ---- */

static enum filter_result refuse(struct smtp_reply *refusal, int code, const char *enhanced,
                                 const char *text)
{
        *refusal = smtp_reply_make(code, enhanced, str_from(text));
        return FILTER_REFUSES;
}

enum filter_result filter_default(struct milters *m, struct filter *f, struct smtp_reply *refusal)
{
        switch (f->spec->default_action) {
        case MILTER_DEFAULT_ACCEPT:
                break;
        case MILTER_DEFAULT_QUARANTINE:
                m->is_held = true;
                break;
        case MILTER_DEFAULT_REJECT:
                return refuse(refusal, 550, "5.5.0", "Service unavailable");
        case MILTER_DEFAULT_TEMPFAIL:
                return refuse(refusal, 451, "4.7.1", "Service unavailable - try again later");
        case MILTER_DEFAULT_SHUTDOWN:
                return refuse(refusal, 421, "4.3.0", "Service unavailable - try again later");
        }
        return FILTER_GOES_ON;
}

enum filter_result filter_failed(struct milters *m, struct filter *f, const struct why *why,
                                 struct smtp_reply *refusal)
{
        log_warning("smtpd", "milter %s", why->text);
        f->answer = "failed";
        f->why = arena_str(&m->arena, str_from(why->text));
        filter_close(f);
        f->state = FILTER_FAILED;
        return filter_default(m, f, refusal);
}

int filter_take_verdict(struct milters *m, struct filter *f, enum milter_stage stage,
                        const struct milter_reply *reply, enum filter_result *result,
                        struct arena *arena, struct smtp_reply *refusal, struct why *why)
{
        *result = FILTER_GOES_ON;
        f->answer = milter_answer_words(reply->command);
        switch (reply->command) {
        case 'c':
                return 0;
        case 'a':
                f->state = stage == MILTER_CONNECT || stage == MILTER_HELO ? FILTER_HAS_SESSION
                                                                           : FILTER_HAS_MESSAGE;
                if (stage == MILTER_UNKNOWN)
                        f->state = FILTER_READY;
                return 0;
        case 's':
                *result = FILTER_SKIPS;
                return 0;
        case 'd':
                *result = FILTER_DISCARDS;
                return 0;
        case 'r':
                *result = refuse(refusal, 550, "5.7.1", "Command rejected");
                return 0;
        case 't':
                *result = refuse(refusal, 451, "4.7.1", "Service unavailable - try again later");
                return 0;
        case '4':
                *result = refuse(refusal, 421, "4.7.0", "Server closing connection");
                return 0;
        case 'y':
                if (milter_reply_code(reply->name, arena, refusal)) {
                        *result = FILTER_REFUSES;
                        return 0;
                }
                return why_set(why, -EPROTO, "%.*s: a reply code that is none: \"%.*s\"",
                               STR_ARG(f->spec->endpoint.text),
                               STR_ARG(str_part(reply->name, 0, 100)));
        default:
                return why_set(why, -EPROTO, "%.*s: a reply '%c' out of place",
                               STR_ARG(f->spec->endpoint.text), reply->command);
        }
}

/* ---- a stage ---- */

struct command {
        enum milter_stage stage;
        char letter;
        unsigned not_sent, no_reply, needed; /* bits of the negotiation */
        const struct milter_args *args;
        struct str text; /* its data */
        struct arena *arena;
        struct smtp_reply *refusal;
};

static int await_ask(struct milters *m, struct filter *f, const struct command *c,
                     enum filter_result *result, struct why *why)
{
        int64_t deadline_ms = loop_now_ms() + f->spec->command_ms;
        filter_put_macros(m, f, c->stage, c->args, c->letter);
        size_t at = milter_packet_begin(&f->out, c->letter);
        milter_put_bytes(&f->out, c->text);
        int rc = milter_packet_end(&f->out, at);
        if (rc < 0)
                return why_set(why, rc, "%.*s: too much for a packet",
                               STR_ARG(f->spec->endpoint.text));
        *result = FILTER_GOES_ON;
        f->answer = "wants no answer";
        if (f->negotiated.protocol & c->no_reply)
                return 0; /* it goes out with the next that has one */
        rc = await_filter_flush(f, deadline_ms, why);
        struct milter_reply reply = {.command = 'p'};
        while (rc == 0 && reply.command == 'p') /* it still works */
                rc = await_filter_reply(f, loop_now_ms() + f->spec->command_ms, &reply, why);
        return rc < 0 ? rc
                      : filter_take_verdict(m, f, c->stage, &reply, result, c->arena, c->refusal,
                                            why);
}

static enum filter_result await_result(struct milters *m, struct filter *f, const struct command *c)
{
        struct why why;
        enum filter_result result;
        f->answer = NULL;
        if (m->facts->is_offline) {
                f->answer = "not asked";
                return FILTER_GOES_ON;
        }
        if (f->state == FILTER_FAILED) {
                if (c->needed)
                        return FILTER_GOES_ON;
                f->answer = "failed before";
                return filter_default(m, f, c->refusal);
        }
        if (f->state == FILTER_HAS_MESSAGE || f->state == FILTER_HAS_SESSION ||
            f->negotiated.protocol & c->not_sent ||
            (f->negotiated.protocol & c->needed) != c->needed)
                return FILTER_GOES_ON;
        if (c->stage == MILTER_MAIL)
                f->state = FILTER_IN_MESSAGE;
        return await_ask(m, f, c, &result, &why) < 0 ? filter_failed(m, f, &why, c->refusal)
                                                     : result;
}

static enum filter_result await_one(struct milters *m, struct filter *f, const struct command *c)
{
        int64_t began_us = m->facts->trace ? clock_mono_us() : 0;
        enum filter_result result = await_result(m, f, c);
        bool has_failed = f->state == FILTER_FAILED;
        const struct filter_note note = {
                .stage = c->stage,
                .answer = f->answer,
                .said = has_failed                 ? f->why
                        : result == FILTER_REFUSES ? c->refusal->text
                                                   : STR(""),
                .result = result,
                .took_us = m->facts->trace ? clock_mono_us() - began_us : 0,
        };
        if (f->answer)
                filter_note(m, f, &note);
        if (result == FILTER_REFUSES)
                m->refuser = f;
        return result;
}

static bool await_stage(struct milters *m, const struct command *c, struct policy_effects *effects)
{
        for (size_t i = 0; i < m->count && !m->is_discarded; i++) {
                enum filter_result result = await_one(m, &m->filters[i], c);
                if (c->needed) /* it was only told */
                        continue;
                if (result == FILTER_REFUSES)
                        return true;
                if (result == FILTER_DISCARDS && effects) {
                        m->is_discarded = true;
                        effects->is_discarded = true;
                }
        }
        if (m->is_held && effects)
                effects->is_held = true;
        return false;
}

/* ---- the session ---- */

static void drop(struct milters *m)
{
        for (size_t i = 0; i < m->count; i++)
                filter_close(&m->filters[i]);
        milter_set_unref(&m->set);
        arena_done(&m->arena);
        free(m);
}

/* smtpd_milter_maps: what is found for the client's address takes the place of smtpd_milters. 0 or an error. */
static int await_find_specs(struct milters *m, struct milter_specs *specs, struct why *why)
{
        struct str value;
        *specs = m->set->specs;
        if (!m->set->maps)
                return why_set(why, -EAGAIN, "it could not be opened");
        switch (await_table_list_find(m->set->maps, m->facts->client_address, &m->arena, &value,
                                      why)) {
        case TABLE_NOT_FOUND:
                return 0;
        case TABLE_ERROR:
                return -EAGAIN;
        case TABLE_FOUND:
                break;
        }
        m->parameter = "smtpd_milter_maps";
        if (!str_eq_nocase(str_trim(value), STR("DISABLE")))
                return milter_specs_parse(value, m->params, &m->arena, specs, why);
        specs->count = 0;
        return 0;
}

struct milters *await_milters_new(struct milter_set *set, const struct policy_facts *facts,
                                  struct arena *arena, struct smtp_reply *refusal)
{
        struct milters *m = calloc(1, sizeof(*m));
        struct milter_specs specs;
        struct why why;
        check(m);
        arena_init(&m->arena, 0);
        m->set = milter_set_ref(set);
        m->params = set->params;
        m->parameter = set->parameter;
        m->facts = facts;
        *refusal = (struct smtp_reply){0};
        if (await_find_specs(m, &specs, &why) < 0) {
                log_warning("smtpd", "smtpd_milter_maps: %s", why.text);
                *refusal = smtp_reply_make(451, "4.3.0", STR("Temporary lookup failure"));
                specs.count = 0;
        }
        m->filters = arena_array(&m->arena, struct filter, specs.count + 1);
        for (size_t i = 0; i < specs.count; i++)
                m->filters[m->count++].spec = &specs.specs[i];
        if (m->count)
                return m;
        drop(m);
        return NULL;
}

void milters_free(struct milters **mp)
{
        struct milters *m = *mp;
        *mp = NULL;
        if (!m)
                return;
        for (size_t i = 0; i < m->count; i++) {
                struct filter *f = &m->filters[i];
                if (!f->wire)
                        continue;
                size_t at = milter_packet_begin(&f->out, 'Q');
                if (milter_packet_end(&f->out, at) == 0 && f->out.len < WIRE_OUT_BYTES_MAX)
                        wire_put(f->wire, buf_str(&f->out));
        }
        drop(m);
}

/* The address as the protocol has it: family, port, text. */
static void put_client(struct buf *out, const struct policy_facts *facts)
{
        static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        struct str address = facts->client_address;
        int64_t port = 0;
        bool is_ipv6 = str_find(address, ':') >= 0;
        bool is_ipv4 = memcmp(facts->client_bits, mapped, sizeof(mapped)) == 0;
        struct str name = facts->client_name;
        milter_put_text(out, str_eq(name, STR("unknown")) ? (struct str){address.ptr, address.len}
                                                          : name);
        if (!is_ipv4 && !is_ipv6) {
                buf_append_char(out, 'U');
                return;
        }
        str_to_int64(facts->client_port, 0, 65535, &port);
        buf_append_char(out, is_ipv6 ? '6' : '4');
        buf_append_char(out, (char)(port >> 8));
        buf_append_char(out, (char)port);
        if (is_ipv6)
                buf_append_str(out, STR("IPv6:"));
        milter_put_text(out, address);
}

enum { DATA_BYTES_MAX = 16 * 1024 };

static bool await_open_all(struct milters *m, struct smtp_reply *refusal)
{
        for (size_t i = 0; i < m->count && !m->facts->is_offline; i++) {
                struct filter *f = &m->filters[i];
                struct why why;
                if (await_filter_open(m, f, &why) == 0) {
                        f->state = FILTER_READY;
                        continue;
                }
                const struct filter_note note = {
                        .stage = MILTER_CONNECT,
                        .answer = "failed",
                        .said = str_from(why.text),
                        .result = filter_failed(m, f, &why, refusal),
                };
                filter_note(m, f, &note);
                if (note.result != FILTER_REFUSES)
                        continue;
                m->refuser = f;
                return true;
        }
        return false;
}

bool await_milters_connect(struct milters *m, struct arena *arena, struct smtp_reply *refusal)
{
        if (!m)
                return false;
        if (await_open_all(m, refusal))
                return true;
        struct buf data;
        buf_init(&data, DATA_BYTES_MAX);
        put_client(&data, m->facts);
        const struct command c = {.stage = MILTER_CONNECT,
                                  .letter = 'C',
                                  .not_sent = MILTER_NO_CONNECT,
                                  .no_reply = MILTER_NR_CONNECT,
                                  .text = buf_str(&data),
                                  .arena = arena,
                                  .refusal = refusal};
        bool is_refused = await_stage(m, &c, NULL);
        buf_done(&data);
        return is_refused;
}

/* A command whose data is texts; views of `words` up to the first that has no ptr. */
static bool await_texts(struct milters *m, struct command c, const struct str *words,
                        struct policy_effects *effects)
{
        struct buf data;
        buf_init(&data, DATA_BYTES_MAX);
        for (; words->ptr; words++)
                milter_put_text(&data, *words);
        c.text = buf_str(&data);
        bool is_refused = await_stage(m, &c, effects);
        buf_done(&data);
        return is_refused;
}

bool await_milters_helo(struct milters *m, struct arena *arena, struct smtp_reply *refusal)
{
        if (!m)
                return false;
        const struct command c = {.stage = MILTER_HELO,
                                  .letter = 'H',
                                  .not_sent = MILTER_NO_HELO,
                                  .no_reply = MILTER_NR_HELO,
                                  .arena = arena,
                                  .refusal = refusal};
        const struct str words[] = {m->facts->helo, {NULL, 0}};
        return await_texts(m, c, words, NULL);
}

enum { WORDS_MAX = 40 };

/* "<address>" and the parameters, a text each. */
static bool await_path(struct milters *m, const struct command *c, struct str address,
                       struct policy_effects *effects)
{
        struct str words[WORDS_MAX + 2] = {arena_printf(c->arena, "<%.*s>", STR_ARG(address))};
        struct str rest = c->args->parameters;
        size_t count = 1;
        while (count < WORDS_MAX && str_next_word(&rest, " \t", &words[count]))
                count++;
        words[count] = (struct str){NULL, 0};
        return await_texts(m, *c, words, effects);
}

bool await_milters_mail(struct milters *m, const struct milter_args *args,
                        struct policy_effects *effects, struct arena *arena,
                        struct smtp_reply *refusal)
{
        if (!m)
                return false;
        m->is_discarded = m->is_held = false;
        const struct command c = {.stage = MILTER_MAIL,
                                  .letter = 'M',
                                  .not_sent = MILTER_NO_MAIL,
                                  .no_reply = MILTER_NR_MAIL,
                                  .args = args,
                                  .arena = arena,
                                  .refusal = refusal};
        return await_path(m, &c, m->facts->sender.text, effects);
}

bool await_milters_rcpt(struct milters *m, const struct milter_args *args,
                        struct policy_effects *effects, struct arena *arena,
                        struct smtp_reply *refusal)
{
        if (!m)
                return false;
        const struct command c = {.stage = MILTER_RCPT,
                                  .letter = 'R',
                                  .not_sent = MILTER_NO_RCPT,
                                  .no_reply = MILTER_NR_RCPT,
                                  .args = args,
                                  .arena = arena,
                                  .refusal = refusal};
        return await_path(m, &c, m->facts->recipient.text, effects);
}

void await_milters_rejected(struct milters *m, const struct milter_args *args, struct arena *arena)
{
        struct smtp_reply unheard;
        const struct command c = {.stage = MILTER_RCPT,
                                  .letter = 'R',
                                  .not_sent = MILTER_NO_RCPT,
                                  .no_reply = MILTER_NR_RCPT,
                                  .needed = MILTER_WANTS_REJECTED,
                                  .args = args,
                                  .arena = arena,
                                  .refusal = &unheard};
        if (m)
                await_path(m, &c, m->facts->recipient.text, NULL);
}

bool await_milters_data(struct milters *m, struct policy_effects *effects, struct arena *arena,
                        struct smtp_reply *refusal)
{
        if (!m)
                return false;
        const struct command c = {.stage = MILTER_DATA,
                                  .letter = 'T',
                                  .not_sent = MILTER_NO_DATA,
                                  .no_reply = MILTER_NR_DATA,
                                  .arena = arena,
                                  .refusal = refusal};
        return await_stage(m, &c, effects);
}

bool await_milters_unknown(struct milters *m, struct str command, struct arena *arena,
                           struct smtp_reply *refusal)
{
        if (!m)
                return false;
        const struct command c = {.stage = MILTER_UNKNOWN,
                                  .letter = 'U',
                                  .not_sent = MILTER_NO_UNKNOWN,
                                  .no_reply = MILTER_NR_UNKNOWN,
                                  .arena = arena,
                                  .refusal = refusal};
        const struct str words[] = {command, {NULL, 0}};
        return await_texts(m, c, words, NULL);
}

void milters_end_message(struct milters *m)
{
        for (size_t i = 0; m && i < m->count; i++) {
                struct filter *f = &m->filters[i];
                if (f->state == FILTER_HAS_MESSAGE || f->state == FILTER_IN_MESSAGE) {
                        /* it goes out with what comes next */
                        size_t at = milter_packet_begin(&f->out, 'A');
                        milter_packet_end(&f->out, at);
                        f->state = FILTER_READY;
                }
        }
        if (m)
                m->is_discarded = m->is_held = false;
}
