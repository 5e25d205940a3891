/*
 * header_check.c - header_checks: each field of a message's header against patterns
 * (header_checks(5))
 *
 * A field is asked as Postfix asks it: folds kept as line feeds, and no more of it than
 * header_size_limit. Only when an action changes something is the header copied; what no action
 * touches is passed on byte for byte.
 *
 * BCC, FILTER and REDIRECT are not there yet, and a word that nobody knows is a mistake: both
 * refuse the message for now with 451 4.3.5 and a line in the log. (Postfix lets the latter pass
 * with a warning.)
 */
#include "base/log.h"
#include "message/header.h"
#include "policy/policy_private.h"

enum {
        LOGGED_BYTES_MAX = 200,       /* of a field, in the log; as Postfix */
        HEADER_GROWTH_MAX = 64 << 10, /* that PREPEND and REPLACE may add altogether */
};

struct check_run {
        struct policy *p;
        const struct policy_facts *facts;
        struct arena *arena;
        struct policy_effects *effects;
        struct policy_header_result *out;
        struct str header; /* all of it */
        size_t copied;     /* of it, into out->header */
        bool is_over;      /* no more fields */
        bool is_too_large;
};

/* One field, and what its table said. */
struct field_action {
        struct check_run *run;
        struct str field;  /* as asked */
        size_t start, end; /* in run->header, with its line end */
        struct str word;
        struct str text;
};

/* ---- the header as it becomes ---- */

static void append(struct check_run *run, struct str s)
{
        if (buf_append_str(&run->out->header, s))
                run->is_too_large = true;
}

/* Copies what stands before `at` and was not copied yet. */
static void copy_until(struct check_run *run, size_t at)
{
        run->out->is_changed = true;
        append(run, str_part(run->header, run->copied, at - run->copied));
        run->copied = at;
}

/* A field given by a table: its line feeds become CR LF. */
static void append_field(struct check_run *run, struct str text)
{
        while (text.len) {
                struct str line = str_cut(&text, '\n');
                if (str_ends(line, STR("\r")))
                        line.len--;
                append(run, line);
                append(run, STR("\r\n"));
        }
}

/* ---- log ---- */

/* "reject: header Subject: ... from name[address]; from=<> to=<> proto=ESMTP helo=<>: text" */
static void log_action(const struct field_action *a, const char *what, struct str text)
{
        const struct policy_facts *facts = a->run->facts;
        struct arena *arena = a->run->arena;
        struct str to = {"", 0};
        if (facts->recipient.text.len)
                to = arena_printf(arena, " to=<%.*s>", STR_ARG(facts->recipient.text));
        const char *queue_id =
                facts->queue_id.len ? arena_str(arena, facts->queue_id).ptr : "NOQUEUE";
        log_mail(LOG_LEVEL_INFO, "cleanup", queue_id,
                 "%s: header %.*s from %.*s[%.*s]; from=<%.*s>%.*s proto=%.*s helo=<%.*s>%s%.*s",
                 what, STR_ARG(str_part(a->field, 0, LOGGED_BYTES_MAX)),
                 STR_ARG(facts->client_name), STR_ARG(facts->client_address),
                 STR_ARG(facts->sender.text), STR_ARG(to), STR_ARG(facts->protocol),
                 STR_ARG(facts->helo), text.len ? ": " : "", STR_ARG(text));
}

/* ---- actions ---- */

static void refuse(struct check_run *run, int code, const char *enhanced, struct str text)
{
        run->is_over = true;
        run->out->verdict.action = VERDICT_REFUSE;
        run->out->verdict.reply = smtp_reply_make(code, enhanced, text);
        run->out->verdict.source = STR("header_checks");
}

static void act_reject(const struct field_action *a)
{
        struct str text = a->text;
        const char *enhanced = access_enhanced(&text, "5.7.1", a->run->arena);
        if (str_is_empty(text))
                text = STR("message content rejected");
        int code = enhanced[0] == '4' ? 450 : 550;
        if (a->run->p->params->soft_bounce && code == 550) {
                code = 450;
                enhanced = arena_printf(a->run->arena, "4%s", enhanced + 1).ptr;
        }
        log_action(a, "reject", arena_printf(a->run->arena, "%s %.*s", enhanced, STR_ARG(text)));
        refuse(a->run, code, enhanced, text);
}

static void act_discard(const struct field_action *a)
{
        log_action(a, "discard", a->text);
        a->run->effects->is_discarded = true;
        a->run->is_over = true;
}

static void act_hold(const struct field_action *a)
{
        if (!a->run->effects->is_held)
                log_action(a, "hold", a->text);
        a->run->effects->is_held = true;
}

static void act_warn(const struct field_action *a)
{
        log_action(a, "warning", a->text);
}

static void act_info(const struct field_action *a)
{
        log_action(a, "info", a->text);
}

static void act_dunno(const struct field_action *a)
{
}

static void act_pass(const struct field_action *a)
{
        log_action(a, "pass", a->text);
        a->run->is_over = true;
}

static void drop_field(const struct field_action *a)
{
        copy_until(a->run, a->start);
        a->run->copied = a->end;
}

static void act_ignore(const struct field_action *a)
{
        drop_field(a);
}

static void act_strip(const struct field_action *a)
{
        log_action(a, "strip", a->text);
        drop_field(a);
}

static void fail_action(const struct field_action *a, const char *why)
{
        log_warning("cleanup", "header_checks: %.*s: %s", STR_ARG(str_part(a->word, 0, 100)), why);
        log_action(a, "reject", STR("4.3.5 Server configuration error"));
        refuse(a->run, 451, "4.3.5", STR("Server configuration error"));
}

static bool is_field(struct str text)
{
        struct str header = text;
        struct header_field field;
        return header_next(&header, &field);
}

static void act_prepend(const struct field_action *a)
{
        if (!is_field(a->text)) {
                fail_action(a, "a header line must follow, as in PREPEND X-Seen: yes");
                return;
        }
        log_action(a, "prepend", a->text);
        copy_until(a->run, a->start);
        append_field(a->run, a->text);
}

static void act_replace(const struct field_action *a)
{
        if (!is_field(a->text)) {
                fail_action(a, "a header line must follow, as in REPLACE X-Seen: yes");
                return;
        }
        log_action(a, "replace", a->text);
        drop_field(a);
        append_field(a->run, a->text);
}

static void act_not_yet(const struct field_action *a)
{
        fail_action(a, "this action is not available");
}

static const struct {
        struct str word;
        void (*act)(const struct field_action *a);
} actions[] = {
        {STR_INIT("REJECT"), act_reject},    {STR_INIT("DISCARD"), act_discard},
        {STR_INIT("HOLD"), act_hold},        {STR_INIT("WARN"), act_warn},
        {STR_INIT("INFO"), act_info},        {STR_INIT("IGNORE"), act_ignore},
        {STR_INIT("PREPEND"), act_prepend},  {STR_INIT("REPLACE"), act_replace},
        {STR_INIT("STRIP"), act_strip},      {STR_INIT("PASS"), act_pass},
        {STR_INIT("DUNNO"), act_dunno},      {STR_INIT("OK"), act_dunno},
        {STR_INIT("BCC"), act_not_yet},      {STR_INIT("FILTER"), act_not_yet},
        {STR_INIT("REDIRECT"), act_not_yet}, {STR_INIT("DELAY"), act_not_yet},
};

static void act(struct field_action *a, struct str value)
{
        value = str_trim(value);
        str_next_word(&value, " \t", &a->word);
        a->text = str_trim(value);
        for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
                if (str_eq_nocase(a->word, actions[i].word)) {
                        actions[i].act(a);
                        return;
                }
        fail_action(a, "no such action");
}

/* ---- the run ---- */

static void await_check_field(struct check_run *run, struct str raw, size_t end)
{
        struct str text = header_for_checks(raw, run->arena);
        struct field_action a = {
                .run = run,
                .field = str_part(text, 0, (size_t)run->p->params->header_size_limit),
                .start = (size_t)(raw.ptr - run->header.ptr),
                .end = end,
        };
        struct str value;
        struct why why;
        switch (await_table_list_find(run->p->header_checks, a.field, run->arena, &value, &why)) {
        case TABLE_NOT_FOUND:
                return;
        case TABLE_FOUND:
                act(&a, value);
                return;
        case TABLE_ERROR:
                log_warning("cleanup", "header_checks: %s", why.text);
                log_action(&a, "reject", STR("4.3.0 Temporary lookup failure"));
                refuse(run, 451, "4.3.0", STR("Temporary lookup failure"));
                return;
        }
}

bool policy_has_header_checks(const struct policy *p)
{
        return !p->header_checks || !table_list_is_empty(p->header_checks);
}

void await_policy_check_header(struct policy *p, struct str header,
                               const struct policy_facts *facts, struct arena *arena,
                               struct policy_effects *effects, struct policy_header_result *out)
{
        *out = (struct policy_header_result){.verdict = {.action = VERDICT_PERMIT}};
        buf_init(&out->header, header.len + HEADER_GROWTH_MAX);
        struct check_run run = {.p = p,
                                .facts = facts,
                                .arena = arena,
                                .effects = effects,
                                .out = out,
                                .header = header};
        if (!p->header_checks) {
                refuse(&run, 451, "4.3.5", STR("Server configuration error"));
                return;
        }
        struct str rest = header;
        struct header_field field;
        while (!run.is_over && header_next(&rest, &field))
                await_check_field(&run, field.raw, (size_t)(rest.ptr - header.ptr));
        if (out->is_changed)
                copy_until(&run, header.len);
        if (run.is_too_large && out->verdict.action == VERDICT_PERMIT) {
                log_warning("cleanup", "header_checks: a header grew by more than %d bytes",
                            (int)HEADER_GROWTH_MAX);
                refuse(&run, 451, "4.3.5", STR("Server configuration error"));
        }
}
