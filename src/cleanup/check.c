/*
 * check.c - header_checks, mime_header_checks, nested_header_checks, body_checks, and
 * decoded_header_checks: one field or line against its table, and what the table says done
 * (header_checks(5))
 *
 * A field is asked as Postfix asks it: folds kept as line feeds, and no more of it than
 * header_size_limit. decoded_header_checks asks for the same field as a reader sees it: unfolded,
 * RFC 2047 words decoded, UTF-8.
 *
 * A word that nobody knows is a mistake: the message is refused for now with 451 4.3.5 and a line in
 * the log, and so is what an action cannot use. (Postfix lets both pass with a warning.)
 */
#include "base/clock.h"
#include "base/log.h"
#include "cleanup/cleanup_private.h"
#include "message/encoded_word.h"

enum { LOGGED_BYTES_MAX = 200 }; /* of a field or line, in the log; as Postfix */

/* One field or line, and what its table said. */
struct match {
        struct cleanup *c;
        enum check_kind kind;
        const char *table;      /* the parameter; NULL: none is asked */
        struct table_rule rule; /* of the table: what answered */
        struct str text;        /* as asked */
        struct str word;        /* REJECT */
        struct str rest;        /* what follows it */
        struct str instead;
};

typedef enum check_result check_action(struct match *m);

/* ---- log ---- */

/* "pcre:/etc/checks:3", "pcre:{...}:1": the rule that answered, short enough for a log line; empty: none */
static struct str rule_place(const struct match *m)
{
        struct str table = str_part(m->rule.table, 0, LOGGED_BYTES_MAX);
        ptrdiff_t brace = str_find(table, '{');
        bool is_inside = brace >= 0; /* its rules stand in main.cf */
        if (is_inside)
                table.len = (size_t)brace;
        if (m->rule.line == 0)
                return is_inside ? STR("") : table;
        return arena_printf(m->c->arena, "%.*s%s:%d", STR_ARG(table), is_inside ? "{...}" : "",
                            m->rule.line);
}

/* "main.cf:7 header_checks (pcre:/etc/checks:3 /^Subject: x/)" */
static void announce(const struct match *m)
{
        struct str name = cleanup_rule_name(m->c, m->table);
        struct str place = rule_place(m);
        if (place.len)
                name = arena_printf(m->c->arena, "%.*s (%.*s%s%.*s)", STR_ARG(name), STR_ARG(place),
                                    m->rule.pattern.len ? " " : "", STR_ARG(m->rule.pattern));
        cleanup_announce(m->c, name);
}

/* " code=K3XQ1ZA rule=<pcre:/etc/checks:3>", each where there is one */
static struct str log_origin(const struct match *m)
{
        struct str code = m->c->work.facts->refusal_code;
        struct str place = rule_place(m);
        return arena_printf(m->c->arena, "%s%.*s%s%.*s%s", code.len ? " code=" : "", STR_ARG(code),
                            place.len ? " rule=<" : "", STR_ARG(place), place.len ? ">" : "");
}

/*
 * "reject: header Subject: ... from name[address]; from=<> to=<> proto=ESMTP helo=<> rule=<pcre:/etc/checks:3>: text": as
 * Postfix has it, but for the rule and, of a refusal, its code
 */
static void log_match(const struct match *m, const char *what, struct str text)
{
        static const char *const kinds[] = {"header", "header", "header",
                                            "body",   "header", "content"};
        const char *prefix = m->kind == CHECK_MADE ? "milter-header-" : "";
        const struct policy_facts *facts = m->c->work.facts;
        struct arena *arena = m->c->arena;
        struct str to = {"", 0};
        struct str from = smtp_address_log(facts->sender.text, facts->logs_internal, arena);
        struct str only = smtp_address_log(facts->recipient.text, facts->logs_internal, arena);
        if (only.len)
                to = arena_printf(arena, " to=<%.*s>", STR_ARG(only));
        struct str origin = log_origin(m);
        const char *queue_id =
                facts->queue_id.len ? arena_str(arena, facts->queue_id).ptr : "NOQUEUE";
        log_mail(LOG_LEVEL_INFO, "cleanup", queue_id,
                 "%s%s: %s %.*s from %.*s[%.*s]; from=<%.*s>%.*s proto=%.*s helo=<%.*s>%.*s%s%.*s",
                 prefix, what, kinds[m->kind], STR_ARG(str_part(m->text, 0, LOGGED_BYTES_MAX)),
                 STR_ARG(facts->client_name), STR_ARG(facts->client_address), STR_ARG(from),
                 STR_ARG(to), STR_ARG(facts->protocol), STR_ARG(facts->helo), STR_ARG(origin),
                 text.len ? ": " : "", STR_ARG(text));
}

/* What the table says cannot be done: the message waits for a person to mend it. */
static enum check_result fail_action(const struct match *m, const char *cure)
{
        log_warning("cleanup", "%s: \"%.*s%s%.*s\": %s", m->table, STR_ARG(m->word),
                    m->rest.len ? " " : "", STR_ARG(str_part(m->rest, 0, LOGGED_BYTES_MAX)), cure);
        announce(m);
        log_match(m, "reject", STR("4.3.5 Server configuration error"));
        cleanup_refuse(m->c, 451, "4.3.5", STR("Server configuration error"));
        return CHECK_KEEPS;
}

/* ---- actions ---- */

static enum check_result act_reject(struct match *m)
{
        struct arena *arena = m->c->arena;
        struct str text = m->rest;
        const char *enhanced = policy_enhanced_take(&text, "5.7.1", arena);
        if (str_is_empty(text))
                text = STR("message content rejected");
        int code = enhanced[0] == '4' ? 451 : 550;
        if (m->c->params->soft_bounce && code == 550) {
                code = 450;
                enhanced = arena_printf(arena, "4%s", enhanced + 1).ptr;
        }
        announce(m);
        log_match(m, "reject", arena_printf(arena, "%s %.*s", enhanced, STR_ARG(text)));
        cleanup_refuse(m->c, code, enhanced, text);
        return CHECK_KEEPS;
}

static enum check_result act_discard(struct match *m)
{
        log_match(m, "discard", m->rest);
        m->c->work.effects->is_discarded = true;
        m->c->is_passed = true;
        return CHECK_KEEPS;
}

static enum check_result act_hold(struct match *m)
{
        if (!m->c->work.effects->is_held)
                log_match(m, "hold", m->rest);
        m->c->work.effects->is_held = true;
        return CHECK_KEEPS;
}

static enum check_result act_warn(struct match *m)
{
        log_match(m, "warning", m->rest);
        return CHECK_KEEPS;
}

static enum check_result act_info(struct match *m)
{
        log_match(m, "info", m->rest);
        return CHECK_KEEPS;
}

static enum check_result act_dunno(struct match *m)
{
        return CHECK_KEEPS;
}

static enum check_result act_ignore(struct match *m)
{
        return CHECK_DROPS;
}

static enum check_result act_strip(struct match *m)
{
        log_match(m, "strip", m->rest);
        return CHECK_DROPS;
}

static enum check_result act_pass(struct match *m)
{
        log_match(m, "pass", m->rest);
        m->c->is_passed = true;
        return CHECK_KEEPS;
}

static enum check_result act_prepend(struct match *m)
{
        if (m->kind == CHECK_BODY ? m->rest.len == 0 : !field_is_one(m->rest))
                return fail_action(m, "a header line must follow, as in PREPEND X-Seen: yes");
        log_match(m, "prepend", m->rest);
        cleanup_put_lines(m->c, m->rest);
        return CHECK_KEEPS;
}

static enum check_result act_replace(struct match *m)
{
        if (m->kind == CHECK_BODY ? m->rest.len == 0 : !field_is_one(m->rest))
                return fail_action(m, "a header line must follow, as in REPLACE X-Seen: yes");
        log_match(m, "replace", m->rest);
        m->instead = m->rest;
        return CHECK_REPLACES;
}

static enum check_result act_filter(struct match *m)
{
        if (!policy_filter_is_valid(m->rest))
                return fail_action(
                        m, "transport:nexthop must follow, as in FILTER smtp:[192.0.2.1]:10025");
        log_match(m, "filter", m->rest);
        m->c->work.effects->filter = m->rest;
        return CHECK_KEEPS;
}

static enum check_result act_redirect(struct match *m)
{
        struct smtp_address address;
        if (!policy_target_read(m->rest, m->c->arena, &address))
                return fail_action(m, "user@domain must follow");
        log_match(m, "redirect", m->rest);
        m->c->work.effects->redirect = address;
        m->c->is_passed = true;
        return CHECK_KEEPS;
}

static enum check_result act_bcc(struct match *m)
{
        struct smtp_address address;
        if (!policy_target_read(m->rest, m->c->arena, &address))
                return fail_action(m, "user@domain must follow");
        log_match(m, "bcc", m->rest);
        if (!policy_effects_add_bcc(&m->c->copies, &address, m->c->arena))
                return fail_action(m, "too many different BCC addresses for one message");
        return CHECK_KEEPS;
}

static const struct {
        struct str word;
        check_action *act;
        const char *outcome; /* for those who explain */
} actions[] = {
        {STR_INIT("REJECT"), act_reject, "refuse"},
        {STR_INIT("DISCARD"), act_discard, "discard"},
        {STR_INIT("HOLD"), act_hold, "hold"},
        {STR_INIT("WARN"), act_warn, "warn"},
        {STR_INIT("INFO"), act_info, "info"},
        {STR_INIT("IGNORE"), act_ignore, "ignore"},
        {STR_INIT("PREPEND"), act_prepend, "prepend"},
        {STR_INIT("REPLACE"), act_replace, "replace"},
        {STR_INIT("STRIP"), act_strip, "strip"},
        {STR_INIT("PASS"), act_pass, "pass"},
        {STR_INIT("DUNNO"), act_dunno, "dunno"},
        {STR_INIT("OK"), act_dunno, "dunno"},
        {STR_INIT("BCC"), act_bcc, "bcc"},
        {STR_INIT("FILTER"), act_filter, "filter"},
        {STR_INIT("REDIRECT"), act_redirect, "redirect"},
};

static enum check_result act(struct match *m, struct str value)
{
        value = str_trim(value);
        str_next_word(&value, " \t", &m->word);
        m->rest = str_trim(value);
        for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
                if (!str_eq_nocase(m->word, actions[i].word))
                        continue;
                enum check_result result = actions[i].act(m);
                cleanup_note_outcome(m->c, m->table,
                                     m->c->is_refused ? "refuse" : actions[i].outcome);
                return result;
        }
        enum check_result result = fail_action(m, "no such action");
        cleanup_note_outcome(m->c, m->table, "refuse");
        return result;
}

/* ---- a look-up ---- */

static enum check_result fail_look(const struct match *m, const struct why *why)
{
        log_warning("cleanup", "%s: %s", m->table, why->text);
        announce(m);
        log_match(m, "reject", STR("4.3.0 Temporary lookup failure"));
        cleanup_refuse(m->c, 451, "4.3.0", STR("Temporary lookup failure"));
        cleanup_note_outcome(m->c, m->table, "refuse");
        return CHECK_KEEPS;
}

static enum check_result await_look(struct match *m, struct table_list *tables, struct str names)
{
        struct str value = {"", 0};
        struct why why;
        if (!tables)
                return fail_action(m, "the table could not be opened");
        if (table_list_is_empty(tables))
                return CHECK_KEEPS;
        int64_t began_us = m->c->work.facts->trace ? clock_mono_us() : 0;
        struct check_look look = {.parameter = m->table,
                                  .tables = names,
                                  .text = m->text,
                                  .is_body = m->kind == CHECK_BODY,
                                  .rule = &m->rule};
        look.found =
                await_table_list_find_rule(tables, m->text, m->c->arena, &value, &m->rule, &why);
        look.said = look.found == TABLE_ERROR ? str_from(why.text) : value;
        look.took_us = m->c->work.facts->trace ? clock_mono_us() - began_us : 0;
        cleanup_note_look(m->c, &look);
        switch (look.found) {
        case TABLE_NOT_FOUND:
                break;
        case TABLE_FOUND:
                return act(m, value);
        case TABLE_ERROR:
                return fail_look(m, &why);
        }
        return CHECK_KEEPS;
}

enum check_result await_check_text(struct cleanup *c, enum check_kind kind, struct str text,
                                   struct str *instead)
{
        const struct cleanup_rules *r = c->rules;
        static const char *const names[] = {"header_checks", "mime_header_checks",
                                            "nested_header_checks", "body_checks",
                                            "milter_header_checks"};
        struct table_list *const tables[] = {r->header_checks, r->mime_header_checks,
                                             r->nested_header_checks, r->body_checks,
                                             r->milter_header_checks};
        const struct str shown[] = {r->params->header_checks, r->params->mime_header_checks,
                                    r->params->nested_header_checks, r->params->body_checks,
                                    r->params->milter_header_checks};
        struct match m = {.c = c, .kind = kind, .table = names[kind], .text = text};
        enum check_result result = await_look(&m, tables[kind], shown[kind]);
        *instead = m.instead;
        return result;
}

enum check_result await_check_decoded(struct cleanup *c, enum check_kind kind,
                                      const struct header_field *field, struct str *instead)
{
        const struct cleanup_rules *r = c->rules;
        if (r->decoded_header_checks && table_list_is_empty(r->decoded_header_checks))
                return CHECK_KEEPS;
        buf_clear(&c->scratch);
        buf_append_str(&c->scratch, field->name);
        buf_append_str(&c->scratch, STR(": "));
        /* what does not fit stays away: the text is cut, as header_checks cuts it */
        encoded_words_decode(field->value, &c->scratch);
        struct match m = {.c = c,
                          .kind = kind,
                          .table = "decoded_header_checks",
                          .text = buf_str(&c->scratch)};
        enum check_result result =
                await_look(&m, r->decoded_header_checks, r->params->decoded_header_checks);
        *instead = m.instead;
        return result;
}

/* ---- without a table ---- */

static void refuse_text(struct cleanup *c, enum check_kind kind, const char *parameter,
                        struct str text, const char *what, const char *enhanced, struct str words)
{
        struct match m = {.c = c, .kind = kind, .table = parameter, .text = text};
        bool is_soft = c->params->soft_bounce;
        if (is_soft)
                enhanced = arena_printf(c->arena, "4%s", enhanced + 1).ptr;
        announce(&m);
        log_match(&m, what, arena_printf(c->arena, "%s %.*s", enhanced, STR_ARG(words)));
        cleanup_refuse(c, is_soft ? 450 : 550, enhanced, words);
}

void cleanup_refuse_text(struct cleanup *c, const char *parameter, struct str text,
                         const char *enhanced, struct str words)
{
        refuse_text(c, CHECK_CONTENT, parameter, text, "reject", enhanced, words);
}

void cleanup_refuse_fault(struct cleanup *c, unsigned faults, struct str text)
{
        bool is_all = c->params->strict_8bitmime;
        const struct {
                unsigned fault;
                const char *parameter;
                const char *text;
        } faults_known[] = {
                {MIME_FAULT_NESTING, "mime_nesting_limit", "MIME nesting exceeds safety limit"},
                {MIME_FAULT_8BIT_HEADER, is_all ? "strict_8bitmime" : "strict_7bit_headers",
                 "improper use of 8-bit data in message header"},
                {MIME_FAULT_8BIT_BODY, is_all ? "strict_8bitmime" : "strict_8bitmime_body",
                 "improper use of 8-bit data in message body"},
                {MIME_FAULT_ENCODING_DOMAIN, "strict_mime_encoding_domain",
                 "invalid message/* or multipart/* encoding domain"},
        };
        for (size_t i = 0; i < sizeof(faults_known) / sizeof(faults_known[0]); i++) {
                if (!(faults & faults_known[i].fault))
                        continue;
                refuse_text(c, CHECK_HEADER, faults_known[i].parameter, text, "reject: mime-error",
                            "5.6.0", str_from(faults_known[i].text));
                return;
        }
}
