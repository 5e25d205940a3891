/*
 * access.c - what an access table says, done (access(5))
 *
 * The look-up has found a value; here it is an action. What Postfix has for experiments only (DELAY,
 * HANGUP), and what nobody knows, is a temporary refusal with a line in the log: mail that a rule was made
 * for never passes as if there were no rule.
 */
#include "policy/policy_private.h"

/* ---- enhanced codes (RFC 3463) ---- */

const char *policy_enhanced_take(struct str *text, const char *other, struct arena *arena)
{
        char enhanced[SMTP_ENHANCED_BYTES];
        return smtp_enhanced_take(text, enhanced) ? arena_str(arena, str_from(enhanced)).ptr
                                                  : other;
}

/*
 * An X.1.Y code speaks of an address, and one table may serve senders and recipients: Y is changed
 * to what it means for the one that is refused; about clients and HELO names it says nothing
 * (X.0.0).
 */
const char *access_enhanced_fix(const char *enhanced, enum subject subject, struct arena *arena)
{
        static const struct {
                char detail;
                char sender, recipient;
        } meanings[] = {
                {'1', '7', '1'}, {'2', '8', '2'}, {'3', '7', '3'}, {'4', '7', '4'},
                {'5', '0', '5'}, {'6', '7', '6'}, {'7', '7', '3'}, {'8', '8', '2'},
        };
        if (memcmp(enhanced + 1, ".1.", 3) != 0)
                return enhanced;
        if (subject != SUBJECT_SENDER && subject != SUBJECT_RECIPIENT)
                return arena_printf(arena, "%c.0.0", enhanced[0]).ptr;
        char detail = '0';
        for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
                if (enhanced[4] == meanings[i].detail && enhanced[5] == '\0')
                        detail = subject == SUBJECT_SENDER ? meanings[i].sender
                                                           : meanings[i].recipient;
        return arena_printf(arena, "%c.1.%c", enhanced[0], detail).ptr;
}

/* ---- actions ---- */

struct action {
        struct judge *j;
        const struct step *step;
        enum subject subject;
        struct str word; /* REJECT */
        struct str text; /* what follows it */
};

static struct str text_or(struct str text, const char *other)
{
        return text.len ? text : str_from(other);
}

static enum outcome refuse(const struct action *a, int64_t code, const char *enhanced)
{
        struct str text = a->text;
        enhanced = policy_enhanced_take(&text, enhanced, a->j->arena);
        return judge_refuse_subject(a->j, a->subject, (int)code,
                                    access_enhanced_fix(enhanced, a->subject, a->j->arena),
                                    text_or(text, "Access denied"));
}

static enum outcome act_reject(const struct action *a)
{
        return refuse(a, a->j->params->access_map_reject_code, "5.7.1");
}

static enum outcome act_defer(const struct action *a)
{
        return refuse(a, a->j->params->access_map_defer_code, "4.7.1");
}

typedef enum outcome defer_if(struct judge *j, enum subject subject, int code, const char *enhanced,
                              struct str text);

static enum outcome act_defer_if(const struct action *a, defer_if *defer)
{
        struct str text = a->text;
        const char *enhanced = policy_enhanced_take(&text, "4.7.1", a->j->arena);
        return defer(a->j, a->subject, (int)a->j->params->access_map_defer_code,
                     access_enhanced_fix(enhanced, a->subject, a->j->arena),
                     text_or(text, "Service unavailable"));
}

static enum outcome act_defer_if_permit(const struct action *a)
{
        return act_defer_if(a, judge_defer_if_permit);
}

static enum outcome act_defer_if_reject(const struct action *a)
{
        return act_defer_if(a, judge_defer_if_reject);
}

/* A policy server has no table: it is named as it is written. */
static enum outcome await_act_permit(const struct action *a)
{
        struct str said_by = a->step->table ? table_name(a->step->table) : a->step->argument;
        return await_judge_permit_action(a->j, a->subject, a->word, said_by);
}

static enum outcome act_dunno(const struct action *a)
{
        return OUTCOME_DUNNO;
}

/* "<name>: Client host triggers HOLD action" */
static void log_trigger(const struct action *a, const char *what, const char *other)
{
        struct str name = judge_subject_name(a->j, a->subject);
        judge_log(a->j, what,
                  arena_printf(a->j->arena, "<%.*s>: %s %.*s", STR_ARG(name),
                               subject_words(a->subject), STR_ARG(text_or(a->text, other))));
}

static enum outcome act_hold(const struct action *a)
{
        log_trigger(a, "hold", "triggers HOLD action");
        a->j->effects->is_held = true;
        return OUTCOME_DUNNO;
}

static enum outcome act_discard(const struct action *a)
{
        log_trigger(a, "discard", "triggers DISCARD action");
        a->j->effects->is_discarded = true;
        return OUTCOME_PERMIT;
}

static enum outcome act_warn(const struct action *a)
{
        judge_log(a->j, "warn", a->text);
        return OUTCOME_DUNNO;
}

static enum outcome act_info(const struct action *a)
{
        judge_log(a->j, "info", a->text);
        return OUTCOME_DUNNO;
}

static bool is_header_line(struct str text)
{
        ptrdiff_t colon = str_find(text, ':');
        if (colon <= 0)
                return false;
        for (ptrdiff_t i = 0; i < colon; i++)
                if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
                        return false;
        return str_find(text, '\n') < 0 && str_find(text, '\r') < 0;
}

static enum outcome act_prepend(const struct action *a)
{
        struct policy_effects *effects = a->j->effects;
        if (!is_header_line(a->text))
                return judge_fail_config(a->j, "PREPEND needs a header line, as in "
                                               "PREPEND X-Seen: yes");
        if (a->j->event == POLICY_AT_END_OF_DATA) {
                judge_warn(a->j, "PREPEND comes too late at the end of the message");
                return OUTCOME_DUNNO;
        }
        /* One rule may speak at each recipient: its line is wanted once. */
        for (size_t i = 0; i < effects->prepended_count; i++)
                if (str_eq(effects->prepended[i], a->text))
                        return OUTCOME_DUNNO;
        if (effects->prepended_count ==
            sizeof(effects->prepended) / sizeof(effects->prepended[0])) {
                effects->prepended_dropped++;
                return OUTCOME_DUNNO;
        }
        effects->prepended[effects->prepended_count++] = arena_str(a->j->arena, a->text);
        return OUTCOME_DUNNO;
}

/* "<name>: Client host triggers FILTER smtp:x" */
static void log_target(const struct action *a, const char *what, const char *name)
{
        struct str subject = judge_subject_name(a->j, a->subject);
        judge_log(a->j, what,
                  arena_printf(a->j->arena, "<%.*s>: %s triggers %s %.*s", STR_ARG(subject),
                               subject_words(a->subject), name, STR_ARG(a->text)));
}

static enum outcome act_filter(const struct action *a)
{
        if (!policy_filter_is_valid(a->text))
                return judge_fail_config(a->j, "FILTER needs transport:nexthop, as in "
                                               "FILTER smtp:[192.0.2.1]:10025");
        log_target(a, "filter", "FILTER");
        a->j->effects->filter = arena_str(a->j->arena, a->text);
        return OUTCOME_DUNNO;
}

static enum outcome act_redirect(const struct action *a)
{
        struct smtp_address address;
        if (!policy_target_read(a->text, a->j->arena, &address))
                return judge_fail_config(a->j, "REDIRECT needs user@domain");
        log_target(a, "redirect", "REDIRECT");
        a->j->effects->redirect = address;
        return OUTCOME_DUNNO;
}

static enum outcome act_bcc(const struct action *a)
{
        struct smtp_address address;
        if (!policy_target_read(a->text, a->j->arena, &address))
                return judge_fail_config(a->j, "BCC needs user@domain");
        log_target(a, "bcc", "BCC");
        if (!policy_effects_add_bcc(a->j->effects, &address, a->j->arena))
                return judge_fail_config(a->j, "too many different BCC addresses for one message");
        return OUTCOME_DUNNO;
}

static enum outcome act_not_yet(const struct action *a)
{
        return judge_fail_config(a->j, "the action %.*s is not available", STR_ARG(a->word));
}

static const struct {
        struct str word;
        enum outcome (*act)(const struct action *a);
} actions[] = {
        {STR_INIT("OK"), await_act_permit},
        {STR_INIT("REJECT"), act_reject},
        {STR_INIT("DUNNO"), act_dunno},
        {STR_INIT("RELAY"), await_act_permit},
        {STR_INIT("DEFER"), act_defer},
        {STR_INIT("DEFER_IF_PERMIT"), act_defer_if_permit},
        {STR_INIT("DEFER_IF_REJECT"), act_defer_if_reject},
        {STR_INIT("HOLD"), act_hold},
        {STR_INIT("DISCARD"), act_discard},
        {STR_INIT("PREPEND"), act_prepend},
        {STR_INIT("WARN"), act_warn},
        {STR_INIT("INFO"), act_info},
        {STR_INIT("REDIRECT"), act_redirect},
        {STR_INIT("BCC"), act_bcc},
        {STR_INIT("FILTER"), act_filter},
        {STR_INIT("DELAY"), act_not_yet},
        {STR_INIT("HANGUP"), act_not_yet},
};

static bool is_all_digits(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if (!char_is_digit(s.ptr[i]))
                        return false;
        return s.len > 0;
}

/* "550 no" refuses; "554" alone is a number, and numbers permit. */
static bool is_code(struct str word)
{
        return word.len == 3 && (word.ptr[0] == '4' || word.ptr[0] == '5') && is_all_digits(word);
}

/* Restrictions and classes, as they would stand in main.cf. */
static enum outcome await_act_list(const struct action *a, struct str value)
{
        struct step_list list;
        struct why why;
        struct str source = judge_source(a->j);
        if (policy_compile_action(a->j->policy, value, source, a->j->arena, &list, &why))
                return judge_fail_config(a->j, "action \"%.*s\": %s",
                                         STR_ARG(str_part(value, 0, 100)), why.text);
        enum subject subject = a->j->subject;
        a->j->subject = a->subject;
        enum outcome outcome = await_judge_list(a->j, &list);
        a->j->subject = subject;
        return outcome;
}

enum outcome await_access_act(struct judge *j, const struct step *step, enum subject subject,
                              struct str value)
{
        struct str rest = str_trim(value);
        struct action a = {.j = j, .step = step, .subject = subject};
        str_next_word(&rest, " \t", &a.word);
        a.text = str_trim(rest);
        for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
                if (str_eq_nocase(a.word, actions[i].word))
                        return actions[i].act(&a);
        if (is_all_digits(str_trim(value)))
                return await_act_permit(&a);
        if (is_code(a.word)) {
                int code = (a.word.ptr[0] - '0') * 100 + (a.word.ptr[1] - '0') * 10 +
                           (a.word.ptr[2] - '0');
                return refuse(&a, code, code >= 500 ? "5.7.1" : "4.7.1");
        }
        if (str_is_empty(a.word))
                return judge_fail_config(j, "there is no action");
        return await_act_list(&a, str_trim(value));
}
