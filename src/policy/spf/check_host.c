/*
 * check_host.c - from a domain to a result (RFC 7208 4), and the domain's explanation of a fail (6.2)
 *
 * Names that a mail address or a macro made are put into the DNS's presentation form before they are asked for:
 * a backslash in a local part is a byte like any other. What is not ASCII by then comes from a local part, and matches
 * nothing (RFC 8616 4).
 */
#include "policy/spf/spf_private.h"

#include "base/check.h"
#include "base/clock.h"

#include <idn2.h>
#include <stdlib.h>

const char *spf_result_name(enum spf_result result)
{
        static const char *const names[] = {
                [SPF_NONE] = "none",           [SPF_NEUTRAL] = "neutral",
                [SPF_PASS] = "pass",           [SPF_FAIL] = "fail",
                [SPF_SOFTFAIL] = "softfail",   [SPF_TEMPERROR] = "temperror",
                [SPF_PERMERROR] = "permerror",
        };
        return names[result];
}

/* What came from outside, fit to be shown. */
static struct str shown(struct spf_check *c, struct str text)
{
        size_t odd = 0;
        for (size_t i = 0; i < text.len; i++)
                odd += text.ptr[i] < ' ' || text.ptr[i] > '~';
        if (odd == 0)
                return text;
        char *copy = arena_array(&c->arena, char, text.len + 1);
        for (size_t i = 0; i < text.len; i++)
                copy[i] = text.ptr[i] >= ' ' && text.ptr[i] <= '~' ? text.ptr[i] : '?';
        return str_make(copy, text.len);
}

void spf_problem(struct spf_check *c, struct str text)
{
        if (str_is_empty(c->outcome.problem))
                c->outcome.problem = shown(c, text);
}

/* ---- questions ---- */

static bool is_ascii(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if ((unsigned char)s.ptr[i] >= 0x80)
                        return false;
        return true;
}

/* A name's bytes as the DNS room reads them. */
static struct str presentation(struct spf_check *c, struct str name)
{
        size_t extra = 0;
        for (size_t i = 0; i < name.len; i++)
                extra += name.ptr[i] <= ' ' || name.ptr[i] == '\\' || name.ptr[i] == 0x7f;
        if (extra == 0)
                return name;
        char *out = arena_array(&c->arena, char, name.len + 3 * extra + 1);
        size_t len = 0;
        for (size_t i = 0; i < name.len; i++) {
                unsigned char byte = (unsigned char)name.ptr[i];
                if (byte > ' ' && byte != '\\' && byte != 0x7f)
                        out[len++] = (char)byte;
                else
                        len += (size_t)snprintf(out + len, 5, "\\%03u", byte);
        }
        return str_make(out, len);
}

void spf_ask(struct spf_check *c, struct str name, enum dns_type type)
{
        if (is_ascii(name))
                dns_ask(c->questions, presentation(c, name), type);
}

const struct dns_answer *await_spf_answer(struct spf_check *c, struct str name, enum dns_type type)
{
        static const struct dns_answer nothing = {.result = DNS_NO_NAME};
        if (!is_ascii(name))
                return &nothing;
        return await_dns(c->questions, presentation(c, name), type, c->query.deadline_ms);
}

/* ---- steps ---- */

enum { NO_STEP = SPF_STEPS_MAX };

static size_t step_begin(struct spf_check *c, struct str domain, struct str term)
{
        struct spf_outcome *o = &c->outcome;
        if (o->step_count == SPF_STEPS_MAX) {
                o->steps_dropped++;
                return NO_STEP;
        }
        if (o->step_count == c->step_room) {
                size_t room = c->step_room ? c->step_room * 2 : 16;
                struct spf_step *more = arena_array(&c->arena, struct spf_step, room);
                if (o->step_count)
                        memcpy(more, c->steps, o->step_count * sizeof(*more));
                c->steps = more;
                c->step_room = room;
                o->steps = more;
        }
        c->steps[o->step_count] = (struct spf_step){
                .depth = c->depth,
                .domain = shown(c, domain),
                .term = shown(c, term),
                .took_us = clock_mono_us(),
        };
        return o->step_count++;
}

static void step_end(struct spf_check *c, size_t at, struct str target, struct str outcome,
                     struct str detail)
{
        if (at == NO_STEP)
                return;
        struct spf_step *step = &c->steps[at];
        step->target = shown(c, target);
        step->outcome = outcome;
        step->detail = shown(c, detail);
        step->took_us = clock_mono_us() - step->took_us;
}

/* ---- the record (4.3 to 4.5) ---- */

/* Has it more than one label, and is it something to ask for? */
static bool is_domain(struct str domain)
{
        return dns_name_is_valid(domain) && str_find(domain, '.') > 0 && domain.ptr[0] != '[' &&
               is_ascii(domain);
}

static enum spf_result none(struct str *detail, struct str text)
{
        *detail = text;
        return SPF_NONE;
}

static enum spf_result permerror(struct spf_check *c, struct str *detail, struct str text)
{
        *detail = text;
        spf_problem(c, text);
        return SPF_PERMERROR;
}

/* SPF_PASS with *record, or what the whole comes to without one. */
static enum spf_result await_record(struct spf_check *c, struct str domain,
                                    struct spf_record *record, struct str *detail)
{
        if (!is_domain(domain))
                return none(detail, STR("that is no name with more than one label"));
        const struct dns_answer *answer = await_spf_answer(c, domain, DNS_TXT);
        if (answer->result == DNS_FAILED) {
                *detail = arena_printf(&c->arena, "TXT %.*s: %s", STR_ARG(domain),
                                       answer->why ? answer->why : "failed");
                spf_problem(c, *detail);
                return SPF_TEMPERROR;
        }
        const struct dns_record *found = NULL;
        for (size_t i = 0; answer->result == DNS_FOUND && i < answer->count; i++) {
                if (!spf_is_record(answer->records[i].text))
                        continue;
                if (found)
                        return permerror(c, detail,
                                         arena_printf(&c->arena,
                                                      "%.*s has more than one SPF record",
                                                      STR_ARG(domain)));
                found = &answer->records[i];
        }
        if (!found)
                return none(detail,
                            arena_printf(&c->arena, "%.*s has no SPF record", STR_ARG(domain)));
        *detail = found->text;
        struct str problem;
        if (spf_record_parse(found->text, &c->arena, record, &problem) == 0)
                return SPF_PASS;
        spf_problem(c, arena_printf(&c->arena, "%.*s: %.*s", STR_ARG(domain), STR_ARG(problem)));
        return SPF_PERMERROR;
}

/* ---- terms (4.6) ---- */

static const char *match_word(enum spf_match match)
{
        static const char *const words[] = {
                [SPF_NO_MATCH] = "no match",
                [SPF_MATCH] = "match",
                [SPF_TERM_TEMPERROR] = "temperror",
                [SPF_TERM_PERMERROR] = "permerror",
        };
        return words[match];
}

/* The first term that matches decides. False: none did. */
static bool await_terms(struct spf_check *c, const struct spf_record *record,
                        enum spf_result *result)
{
        for (size_t i = 0; i < record->count; i++) {
                const struct spf_term *term = &record->terms[i];
                struct str target = {"", 0};
                struct str detail = {"", 0};
                size_t step = step_begin(c, c->macros.domain, term->text);
                enum spf_match match = await_spf_mechanism(c, term, &target, &detail);
                step_end(c, step, target, str_from(match_word(match)), detail);
                if (match == SPF_NO_MATCH)
                        continue;
                *result = match == SPF_MATCH            ? term->on_match
                          : match == SPF_TERM_TEMPERROR ? SPF_TEMPERROR
                                                        : SPF_PERMERROR;
                if (match == SPF_MATCH && c->includes == 0)
                        c->outcome.mechanism = term->text;
                return true;
        }
        return false;
}

/* 6.1 */
static enum spf_result await_redirect(struct spf_check *c, const struct spf_record *record,
                                      struct spf_exp *exp)
{
        struct str target = {"", 0};
        enum spf_result result = SPF_PERMERROR;
        size_t step = step_begin(c, c->macros.domain, record->redirect_text);
        if (spf_count_term(c) && await_spf_target(c, record->redirect, &target))
                result = await_spf_check_host(c, target, exp);
        if (result == SPF_NONE) {
                spf_problem(c, arena_printf(&c->arena, "%.*s redirects to %.*s, which has none",
                                            STR_ARG(c->macros.domain), STR_ARG(target)));
                result = SPF_PERMERROR;
        }
        step_end(c, step, target, str_from(spf_result_name(result)), (struct str){"", 0});
        return result;
}

/* With macros.domain the domain of the record. */
static enum spf_result await_evaluate(struct spf_check *c, const struct spf_record *record,
                                      struct spf_exp *exp)
{
        enum spf_result result;
        if (await_terms(c, record, &result))
                return result;
        if (record->redirect.len)
                return await_redirect(c, record, exp);
        if (c->includes == 0)
                c->outcome.mechanism = STR("default");
        return SPF_NEUTRAL; /* 4.7 */
}

enum spf_result await_spf_check_host(struct spf_check *c, struct str domain, struct spf_exp *exp)
{
        struct spf_record record = {.count = 0};
        struct str detail = {"", 0};
        *exp = (struct spf_exp){.domain = domain};
        c->depth++;
        size_t step = step_begin(c, domain, (struct str){"", 0});
        enum spf_result result = await_record(c, domain, &record, &detail);
        step_end(c, step, domain,
                 result == SPF_PASS ? STR("record") : str_from(spf_result_name(result)), detail);
        if (result == SPF_PASS) {
                struct str outer = c->macros.domain;
                c->macros.domain = domain;
                c->has_name = false; /* which name is best depends on the domain */
                exp->spec = record.exp;
                result = await_evaluate(c, &record, exp);
                c->macros.domain = outer;
                c->has_name = false;
        } else if (c->includes && result == SPF_NONE) {
                spf_problem(c, detail);
        }
        c->depth--;
        return result;
}

/* ---- the explanation (6.2): whatever is wrong with it, there is none ---- */

static struct str await_explanation(struct spf_check *c, const struct spf_exp *exp,
                                    struct str *target, struct str *detail)
{
        struct str text = {"", 0};
        c->macros.domain = exp->domain;
        c->has_name = false;
        if (spf_macro_wants_name(exp->spec))
                await_spf_name(c);
        if (spf_macro_expand(exp->spec, &c->macros, &c->arena, target))
                return text;
        *target = spf_fit_name(*target);
        *detail = STR("there must be one TXT record");
        if (!dns_name_is_valid(*target))
                return text;
        const struct dns_answer *answer = await_spf_answer(c, *target, DNS_TXT);
        if (answer->result != DNS_FOUND || answer->count != 1)
                return text;
        struct str raw = answer->records[0].text;
        *detail = raw;
        if (!spf_macro_string_is_valid(raw, SPF_IN_EXPLANATION))
                return text;
        if (spf_macro_wants_name(raw))
                await_spf_name(c);
        if (spf_macro_expand(raw, &c->macros, &c->arena, &text))
                return (struct str){"", 0};
        return shown(c, str_part(text, 0, SPF_EXPLANATION_BYTES_MAX));
}

static void await_explain(struct spf_check *c, const struct spf_exp *exp)
{
        if (str_is_empty(exp->spec))
                return;
        struct str target = {"", 0};
        struct str detail = {"", 0};
        size_t step =
                step_begin(c, exp->domain, arena_printf(&c->arena, "exp=%.*s", STR_ARG(exp->spec)));
        c->outcome.explanation = await_explanation(c, exp, &target, &detail);
        step_end(c, step, target, c->outcome.explanation.len ? STR("explanation") : STR("ignored"),
                 detail);
}

/* ---- a check ---- */

/* U-labels to A-labels (4.3); what cannot be converted stays, and is no domain. */
static struct str to_ascii(struct spf_check *c, struct str domain)
{
        char *ascii = NULL;
        struct str z = arena_str(&c->arena, domain);
        if (is_ascii(z))
                return z;
        if (idn2_to_ascii_8z(z.ptr, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
                return z;
        z = arena_str(&c->arena, str_from(ascii));
        idn2_free(ascii);
        return z;
}

static struct str without_final_dot(struct str name)
{
        return name.len && name.ptr[name.len - 1] == '.' ? str_part(name, 0, name.len - 1) : name;
}

static void set_macros(struct spf_check *c, const struct spf_query *query)
{
        struct arena *a = &c->arena;
        struct spf_macros *m = &c->macros;
        bool is_helo = query->identity == SPF_HELO || str_is_empty(query->sender);
        ptrdiff_t at = is_helo ? -1 : str_find_last(query->sender, '@');
        struct str domain = is_helo ? query->helo : query->sender;
        if (at >= 0)
                domain = str_tail(query->sender, (size_t)at + 1);
        m->sender_domain = to_ascii(c, without_final_dot(domain));
        m->local = at > 0 ? arena_str(a, str_part(query->sender, 0, (size_t)at))
                          : STR("postmaster"); /* 4.3 */
        m->sender = arena_printf(a, "%.*s@%.*s", STR_ARG(m->local), STR_ARG(m->sender_domain));
        m->domain = m->sender_domain;
        m->helo = arena_str(a, query->helo);
        m->receiver = query->receiver.len ? arena_str(a, query->receiver) : STR("unknown");
        m->name = STR("unknown");
        m->now_s = query->now_s;
        memcpy(m->address, query->address, sizeof(m->address));
        c->outcome.domain = m->domain;
        c->outcome.sender = m->sender;
        c->outcome.is_helo = is_helo;
}

struct spf_check *spf_check_new(struct dns *dns, const struct spf_query *query)
{
        struct spf_check *c = calloc(1, sizeof(*c));
        check(c);
        arena_init(&c->arena, 0);
        c->query = *query;
        c->depth = -1;
        c->questions = dns_questions_new(dns);
        c->outcome.steps = c->steps;
        set_macros(c, query);
        if (is_domain(c->macros.domain))
                spf_ask(c, c->macros.domain, DNS_TXT);
        return c;
}

void spf_check_free(struct spf_check **cp)
{
        struct spf_check *c = *cp;
        if (!c)
                return;
        dns_questions_free(&c->questions);
        arena_done(&c->arena);
        free(c);
        *cp = NULL;
}

const struct spf_outcome *await_spf(struct spf_check *c)
{
        if (c->is_done)
                return &c->outcome;
        struct spf_exp exp;
        c->outcome.result = await_spf_check_host(c, c->macros.domain, &exp);
        if (c->outcome.result == SPF_FAIL) {
                c->depth = 0;
                await_explain(c, &exp);
        }
        if (c->outcome.result == SPF_NONE && str_is_empty(c->outcome.problem) &&
            c->outcome.step_count)
                spf_problem(c, c->steps[0].detail);
        c->is_done = true;
        return &c->outcome;
}
