/*
 * pattern.c - regexp_table(5) and pcre_table(5), both on PCRE2
 *
 *   /pattern/flags result      !/pattern/flags result      if /pattern/flags ... endif
 *
 * pcre-utf8: is pcre: whose patterns and texts are UTF-8, so that /\p{Han}/ means what it says; a text
 * that is no UTF-8 does not match.
 *
 * Case does not matter unless the flag i says so, as in Postfix. In a result, $1 ${1} $(1) are
 * what a group matched, $$ is a dollar. regexp: patterns are translated first (posix.c).
 *
 * A pattern comes from the administrator, the text from a stranger: so a match has a limit of
 * steps and of memory (MATCH_STEPS_MAX and the others), and one that comes to it makes the look-up
 * an error, never an "it did not match". Postfix counts that as no match.
 *
 * Rules that Postfix skips with a warning (a flag that is not known, $2 without a second group)
 * are errors here, and so is a pattern without a result, which Postfix takes for an empty one: it
 * is a rule whose result was written on the next line.
 *
 * Threads: compiled rules never change; what a match needs besides is kept for each thread.
 */
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "smtp/command.h"
#include "table/table_private.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <pcre2.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
        PATTERN_BYTES_MAX = 16384,
        GROUPS_MAX = 99,           /* $99 */
        SHOWN_BYTES_MAX = 200,     /* of a pattern, for those who explain */
        MATCH_STEPS_MAX = 5000000, /* 5 to 60 ms */
        MATCH_HEAP_KIB_MAX = 8192,
        JIT_STACK_BYTES_MIN = 32 << 10,
        JIT_STACK_BYTES_MAX = 512 << 10,
};

/* A piece of a result: some text, or what a group matched. */
struct piece {
        struct str text;
        int group; /* 0: the text */
};

struct pattern_rule {
        enum rule_kind kind;
        bool is_negated;
        bool has_groups; /* $n in the result */
        int line;
        uint32_t endif;    /* of an if: where its endif stands */
        struct str source; /* "!/pattern/flags", as far as anybody wants to read */
        pcre2_code *code;
        struct piece *pieces;
        int piece_count;
};

struct pattern_table {
        struct arena arena;
        struct pattern_rule *rules;
        uint32_t count;
        bool is_posix;
        bool is_utf;                       /* characters, not bytes */
        atomic_bool *has_warned_of_groups; /* the one thing that a look-up may change */
};

/* ---- matching ---- */
struct scratch {
        pcre2_match_context *context;
        pcre2_match_data *data;
        pcre2_jit_stack *jit_stack;
};

static __thread struct scratch *thread_scratch;
static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void scratch_free(void *context)
{
        struct scratch *s = context;
        thread_scratch = NULL;
        pcre2_match_data_free(s->data);
        pcre2_match_context_free(s->context);
        pcre2_jit_stack_free(s->jit_stack);
        free(s);
}

static void scratch_key_make(void)
{
        check(pthread_key_create(&scratch_key, scratch_free) == 0);
}

/*
 * What this thread matches with. A stack for compiled code is given because without one it would
 * take 32 KiB of the caller's, and a task has 64.
 */
static struct scratch *scratch_get(void)
{
        if (thread_scratch)
                return thread_scratch;
        pthread_once(&scratch_once, scratch_key_make);
        struct scratch *s = calloc(1, sizeof(*s));
        check(s);
        s->context = pcre2_match_context_create(NULL);
        s->data = pcre2_match_data_create(GROUPS_MAX + 1, NULL);
        s->jit_stack = pcre2_jit_stack_create(JIT_STACK_BYTES_MIN, JIT_STACK_BYTES_MAX, NULL);
        check(s->context && s->data && s->jit_stack);
        pcre2_set_match_limit(s->context, MATCH_STEPS_MAX);
        pcre2_set_heap_limit(s->context, MATCH_HEAP_KIB_MAX);
        pcre2_jit_stack_assign(s->context, NULL, s->jit_stack);
        pthread_setspecific(scratch_key, s);
        thread_scratch = s;
        return s;
}

static int match_error(int code, const struct pattern_rule *rule, struct why *why)
{
        PCRE2_UCHAR text[120];
        switch (code) {
        case PCRE2_ERROR_MATCHLIMIT:
        case PCRE2_ERROR_DEPTHLIMIT:
        case PCRE2_ERROR_HEAPLIMIT:
        case PCRE2_ERROR_JIT_STACKLIMIT:
                return why_set(why, -E2BIG,
                               "line %d: the pattern needs too many steps for this text; "
                               "make it simpler (no repetition inside a repetition)",
                               rule->line);
        default:
                pcre2_get_error_message(code, text, sizeof(text));
                return why_set(why, -EIO, "line %d: %s", rule->line, (const char *)text);
        }
}

/* 1: the condition holds. 0: it does not. Negative: an error. */
static int rule_holds(const struct pattern_rule *rule, struct scratch *s, struct str key,
                      uint32_t options, struct why *why)
{
        int n = pcre2_match(rule->code, (PCRE2_SPTR)key.ptr, key.len, 0, options, s->data,
                            s->context);
        if (n >= 0)
                return !rule->is_negated;
        /* A pattern that begins with (*UTF) does not match what is not UTF-8. */
        bool is_other_text = n <= PCRE2_ERROR_UTF8_ERR1 && n >= PCRE2_ERROR_UTF8_ERR21;
        if (n == PCRE2_ERROR_NOMATCH || is_other_text)
                return rule->is_negated;
        return match_error(n, rule, why);
}

static struct str piece_text(const struct piece *piece, const struct scratch *s, struct str key)
{
        if (piece->group == 0)
                return piece->text;
        const PCRE2_SIZE *spans = pcre2_get_ovector_pointer(s->data);
        PCRE2_SIZE from = spans[2 * piece->group];
        PCRE2_SIZE to = spans[2 * piece->group + 1];
        if (from == PCRE2_UNSET || to < from)
                return STR("");
        return str_part(key, from, to - from);
}

static enum table_result expand(const struct pattern_rule *rule, const struct scratch *s,
                                const struct table_query *query)
{
        if (!rule->has_groups) {
                *query->value = arena_str(query->arena, rule->pieces[0].text);
                return TABLE_FOUND;
        }
        size_t len = 0;
        for (int i = 0; i < rule->piece_count; i++)
                len += piece_text(&rule->pieces[i], s, query->key).len;
        if (len > TABLE_RESULT_BYTES_MAX) {
                why_set(query->why, -E2BIG, "line %d: the result would have %zu bytes; at most %d",
                        rule->line, len, TABLE_RESULT_BYTES_MAX);
                return TABLE_ERROR;
        }
        char *out = arena_alloc(query->arena, len + 1);
        *query->value = str_make(out, len);
        for (int i = 0; i < rule->piece_count; i++) {
                struct str part = piece_text(&rule->pieces[i], s, query->key);
                if (part.len)
                        memcpy(out, part.ptr, part.len);
                out += part.len;
        }
        return TABLE_FOUND;
}

/* transport_maps do not take $1: the sender of a message could choose where it goes. */
static bool may_substitute(const struct pattern_table *table, const struct pattern_rule *rule,
                           const struct table_query *query)
{
        if (!rule->has_groups || !query->refuses_substitution)
                return true;
        if (!atomic_exchange_explicit(table->has_warned_of_groups, true, memory_order_relaxed))
                log_warning(NULL,
                            "line %d of a table of patterns: $number is not allowed here; "
                            "the rule is skipped",
                            rule->line);
        return false;
}

static enum table_result pattern_find(const void *contents, const struct table_query *query)
{
        const struct pattern_table *table = contents;
        struct scratch *s = scratch_get();
        /* looked at once, and not by each pattern */
        uint32_t options = table->is_utf && smtp_utf8_is_valid(query->key) ? PCRE2_NO_UTF_CHECK : 0;
        for (uint32_t i = 0; i < table->count; i++) {
                const struct pattern_rule *rule = &table->rules[i];
                if (rule->kind == RULE_ENDIF)
                        continue;
                int holds = rule_holds(rule, s, query->key, options, query->why);
                if (holds < 0)
                        return TABLE_ERROR;
                if (rule->kind == RULE_IF) {
                        if (!holds)
                                i = rule->endif;
                } else if (holds && may_substitute(table, rule, query)) {
                        table_query_note_rule(query, rule->line, rule->source);
                        return expand(rule, s, query);
                }
        }
        return TABLE_NOT_FOUND;
}

/* ---- reading: the pattern ---- */
static int pattern_compile_error(const struct table_text *text, int line, int code, size_t offset)
{
        PCRE2_UCHAR words[160];
        pcre2_get_error_message(code, words, sizeof(words));
        return text_fault(text, line, -EINVAL, "table-pattern", NULL,
                          "the pattern is wrong at byte %zu: %s", offset, (const char *)words);
}

/* The pattern in PCRE2's words; `posix` holds it when it had to be translated. */
static int pattern_words(const struct table_text *text, int line, bool is_posix,
                         const struct pattern_source *p, struct buf *posix, struct str *words)
{
        if (p->text.len > PATTERN_BYTES_MAX)
                return text_fault(text, line, -E2BIG, "table-pattern", NULL,
                                  "a pattern of %zu bytes; at most %d are possible", p->text.len,
                                  PATTERN_BYTES_MAX);
        *words = p->text;
        if (!is_posix)
                return 0;
        struct why why = {"the pattern is too long"};
        if (posix_to_pcre(p->text, p->posix, posix, &why))
                return text_fault(text, line, -EINVAL, "table-pattern", NULL,
                                  "the pattern is wrong: %s", why.text);
        *words = buf_str(posix);
        return 0;
}

static int pattern_compile(const struct table_text *text, int line, bool is_posix,
                           const struct pattern_source *p, pcre2_code **code)
{
        struct buf posix;
        struct str words;
        buf_init(&posix, PATTERN_BYTES_MAX * 8);
        int error = pattern_words(text, line, is_posix, p, &posix, &words);
        if (error) {
                buf_done(&posix);
                return error;
        }
        int problem;
        PCRE2_SIZE offset;
        *code = pcre2_compile((PCRE2_SPTR)words.ptr, words.len,
                              p->options | PCRE2_NEVER_BACKSLASH_C, &problem, &offset, NULL);
        buf_done(&posix);
        if (!*code)
                return pattern_compile_error(text, line, problem, offset);
#ifndef FOREPOST_VALGRIND
        /*
         * Where there is no JIT, the interpreter does the same, slower, under the same limits. valgrind reports jumps inside the
         * code that the JIT makes, and with the interpreter and the same texts none.
         */
        pcre2_jit_compile(*code, PCRE2_JIT_COMPLETE);
#endif
        return 0;
}

/* ---- reading: the result ---- */

/* The name behind a '$': "1", "{1}", "(1)"; takes it off the front. */
static struct str group_name_take(struct str *rest)
{
        char open = rest->len ? rest->ptr[0] : '\0';
        char close = open == '{' ? '}' : open == '(' ? ')' : '\0';
        if (close) {
                *rest = str_tail(*rest, 1);
                return str_cut(rest, close);
        }
        size_t len = 0;
        while (len < rest->len && (char_is_alnum(rest->ptr[len]) || rest->ptr[len] == '_'))
                len++;
        struct str name = str_part(*rest, 0, len);
        *rest = str_tail(*rest, len);
        return name;
}

static int group_number(const struct table_text *text, const struct pattern_rule *rule,
                        struct str name, int groups, int *number)
{
        int64_t n = 0;
        size_t digits = 0;
        while (digits < name.len && char_is_digit(name.ptr[digits]))
                digits++;
        if (digits < name.len && digits > 0)
                return text_fault(text, rule->line, -EINVAL, "table-result",
                                  "put braces around the number: ${1}text",
                                  "\"$%.*s\" is not the number of a group",
                                  (int)(name.len > 60 ? 60 : name.len), name.ptr);
        if (digits == 0)
                return text_fault(text, rule->line, -EINVAL, "table-result",
                                  "write $$ for a dollar, $1 for the first group",
                                  "a \"$\" without a number in the result");
        if (str_to_int64(name, 1, groups, &n))
                return text_fault(text, rule->line, -EINVAL, "table-result",
                                  "put ( ) around the part that is meant",
                                  "the result says $%.*s, but the pattern has %d group%s",
                                  (int)(name.len > 20 ? 20 : name.len), name.ptr, groups,
                                  groups == 1 ? "" : "s");
        if (n > GROUPS_MAX)
                return text_fault(text, rule->line, -E2BIG, "table-result", NULL,
                                  "at most $%d is possible", GROUPS_MAX);
        if (rule->is_negated)
                return text_fault(
                        text, rule->line, -EINVAL, "table-result", "take it out",
                        "the result of a negated pattern cannot have $%d: nothing matched", (int)n);
        *number = (int)n;
        return 0;
}

static int groups_of(const pcre2_code *code)
{
        uint32_t count = 0;
        pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &count);
        return (int)count;
}

/* Takes the result apart. Neighbouring text, and $$, are joined into one piece. */
static int result_parse(const struct table_text *text, struct arena *arena,
                        struct pattern_rule *rule, struct str result)
{
        size_t dollars = 0;
        for (size_t i = 0; i < result.len; i++)
                dollars += result.ptr[i] == '$';
        rule->pieces = arena_array(arena, struct piece, dollars * 2 + 1);
        char *literal = arena_alloc(arena, result.len + 1);
        struct piece *last = &rule->pieces[0];
        last->text = str_make(literal, 0);
        int groups = groups_of(rule->code);

        while (result.len) {
                char c = result.ptr[0];
                result = str_tail(result, 1);
                bool is_text = c != '$' || (result.len && result.ptr[0] == '$');
                if (c == '$' && is_text)
                        result = str_tail(result, 1);
                if (is_text) {
                        *literal++ = c;
                        last->text.len++;
                        continue;
                }
                int group = 0;
                int error = group_number(text, rule, group_name_take(&result), groups, &group);
                if (error)
                        return error;
                rule->has_groups = true;
                (++last)->group = group;
                (++last)->text = str_make(literal, 0);
        }
        rule->piece_count = (int)(last - rule->pieces) + 1;
        return 0;
}

/* ---- doubts ---- */

/* Does it match texts that have nothing in common? */
static bool matches_all(const struct pattern_rule *rule)
{
        static const char *const texts[] = {"", "\x01", "q~\x02 9", "Zx\n@"};
        struct scratch *s = scratch_get();
        struct why why;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                if (rule_holds(rule, s, str_from(texts[i]), 0, &why) != 1)
                        return false;
        return true;
}

struct pattern_doubts {
        int quantifier;
        int matches_all;
        int matches_nothing;
        int example;
        int escape;
        int other;
};

static int probe_holds(const void *rule, struct str text)
{
        struct why why;
        return rule_holds(rule, scratch_get(), text, 0, &why);
}

static void pattern_lint(const struct table_text *text, const struct pattern_source *p,
                         bool is_posix, const struct pattern_rule *rule,
                         struct pattern_doubts *doubts)
{
        if (!text->findings)
                return;
        char letter = is_posix ? pattern_source_plain_escape(p->text) : '\0';
        if (letter)
                text_doubt(text, rule->line, &doubts->escape, "pattern-escape",
                           "use a pcre: table, or a class such as [0-9]",
                           "\"\\%c\" has no meaning in a regexp: table: it is the letter %c",
                           letter, letter);
        if (pattern_source_has_quantified_equals(p->text))
                text_doubt(text, rule->line, &doubts->quantifier, "pattern-quantifier",
                           "for an encoded word write =\\?charset\\?",
                           "\"=?\" makes the = optional and does not match a question mark");
        if (str_is_empty(p->text))
                text_doubt(text, rule->line, &doubts->matches_all, "pattern-matches-all",
                           "write the pattern, or /.*/ if every text is meant",
                           rule->is_negated ? "an empty pattern matches everything, so this rule "
                                              "never holds"
                                            : "an empty pattern matches everything");
        else if (!rule->is_negated && !pattern_source_is_catch_all(p->text) && matches_all(rule))
                text_doubt(text, rule->line, &doubts->matches_all, "pattern-matches-all",
                           "write .* if every text is meant, or make a part of it obligatory",
                           "the pattern matches everything, also an empty text");
}

/* ---- reading: the rules ---- */
static int rule_parse(struct table_text *text, const struct line *line, struct pattern_table *table,
                      struct rule_nesting *nesting, struct pattern_doubts *doubts)
{
        struct pattern_rule *rule = &table->rules[table->count];
        struct str rest = str_make(line->ptr, line->len);
        *rule = (struct pattern_rule){.kind = rule_kind_take(&rest), .line = line->number};
        table->count++; /* from here on the table frees it */

        if (rule->kind == RULE_ENDIF) {
                uint32_t opened_by;
                int error = rule_nesting_endif(nesting, text, line->number, &opened_by);
                if (error)
                        return error;
                table->rules[opened_by].endif = table->count - 1;
        } else {
                struct pattern_source p;
                struct str whole = rest;
                int error = pattern_source_take(text, line->number, table->is_posix, &rest, &p,
                                                &doubts->other);
                rule->source = arena_str(
                        &table->arena, str_part(str_trim(str_part(whole, 0, whole.len - rest.len)),
                                                0, SHOWN_BYTES_MAX));
                if (error == 0 && table->is_utf)
                        p.options |= PCRE2_UTF | PCRE2_UCP;
                if (error == 0)
                        error = pattern_compile(text, line->number, table->is_posix, &p,
                                                &rule->code);
                if (error)
                        return error;
                rule->is_negated = p.is_negated;
                pattern_lint(text, &p, table->is_posix, rule, doubts);
                const struct pattern_probe probe = {rule, probe_holds};
                if (text->findings) {
                        pattern_examples_check(text, line, &probe, &doubts->example);
                        pattern_lint_nothing(text, line->number, &p, table->is_utf,
                                             &doubts->matches_nothing);
                }
        }
        if (rule->kind == RULE_MATCH && str_is_empty(rest))
                return text_fault(text, line->number, -EINVAL, "pattern-no-result",
                                  "write the result behind the pattern, on the same line or on the "
                                  "next one after a blank",
                                  "a pattern without a result");
        if (rule->kind == RULE_MATCH)
                return result_parse(text, &table->arena, rule, rest);
        if (!str_is_empty(rest))
                text_doubt(text, line->number, &doubts->other, "table-extra-text", "take it away",
                           "text behind an if or endif is ignored");
        return rule->kind == RULE_IF
                       ? rule_nesting_if(nesting, text, table->count - 1, line->number)
                       : 0;
}

static int rules_parse(struct table_text *text, struct pattern_table *table)
{
        struct table_lines reader;
        struct line line;
        struct rule_nesting nesting = {0};
        struct pattern_doubts doubts = {0};
        table_lines_init(&reader, text->bytes, text->len);
        int more;
        while ((more = rule_line_next(&reader, text, table->count, &line)) > 0) {
                table->rules = rule_room(table->rules, table->count, sizeof(*table->rules));
                int error = rule_parse(text, &line, table, &nesting, &doubts);
                if (error)
                        return error;
        }
        return more < 0 ? more : rule_nesting_end(&nesting, text);
}

static void pattern_free(void *contents)
{
        struct pattern_table *table = contents;
        for (uint32_t i = 0; i < table->count; i++)
                pcre2_code_free(table->rules[i].code);
        arena_done(&table->arena);
        free(table->rules);
        free(table);
}

static int pattern_open(struct table_text *text, void **contents, bool is_posix, bool is_utf)
{
        struct pattern_table *table = calloc(1, sizeof(*table));
        check(table);
        table->is_posix = is_posix;
        table->is_utf = is_utf;
        arena_init(&table->arena, 0);
        table->has_warned_of_groups = arena_alloc(&table->arena, sizeof(atomic_bool));
        int error = rules_parse(text, table);
        if (error) {
                pattern_free(table);
                return error;
        }
        *contents = table;
        return 0;
}

static int regexp_open(struct table_text *text, void **contents)
{
        return pattern_open(text, contents, true, false);
}

static int pcre_open(struct table_text *text, void **contents)
{
        return pattern_open(text, contents, false, false);
}

static int pcre_utf8_open(struct table_text *text, void **contents)
{
        return pattern_open(text, contents, false, true);
}

static size_t pattern_count(const void *contents)
{
        const struct pattern_table *table = contents;
        return table->count;
}

#define PATTERN_TYPE(type_name, type_open)                                             \
        {                                                                              \
                .name = type_name, .source = SOURCE_FILE_OR_RULES, .is_pattern = true, \
                .bytes_max = 16 << 20, .open = type_open, .find = pattern_find,        \
                .free = pattern_free, .count = pattern_count,                          \
        }

const struct table_type table_type_regexp = PATTERN_TYPE("regexp", regexp_open);
const struct table_type table_type_pcre = PATTERN_TYPE("pcre", pcre_open);
const struct table_type table_type_pcre_utf8 = PATTERN_TYPE("pcre-utf8", pcre_utf8_open);
