/*
 * pattern_examples.c - what a pattern's author says of it, held against it; and patterns that match nothing
 *
 * In the comment lines right above a rule:
 *
 *      # matches: Subject: cheap pills
 *      # not: Subject: your invoice
 *      /^Subject:.*pills/ REJECT
 *
 * "\n" in an example is a line feed, as between the lines of a folded field. A rule that negates its
 * pattern matches when the rule holds. What stands around it (if, earlier rules) does not count.
 */
#include "table/table_private.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { EXAMPLE_BYTES_MAX = 1000, SHOWN_BYTES_MAX = 100 };

/* The physical line above the one that begins at *at. */
static bool line_above(const char *begin, const char **at, struct str *line)
{
        if (*at == begin)
                return false;
        const char *end = *at - 1;
        const char *start = end;
        while (start > begin && start[-1] != '\n')
                start--;
        *line = str_trim(str_make(start, (size_t)(end - start)));
        *at = start;
        return true;
}

/* "\n" becomes a line feed. */
static struct str read_example(struct str text, char out[EXAMPLE_BYTES_MAX])
{
        size_t len = 0;
        for (size_t i = 0; i < text.len && len < EXAMPLE_BYTES_MAX; i++) {
                bool is_feed = text.ptr[i] == '\\' && i + 1 < text.len && text.ptr[i + 1] == 'n';
                out[len++] = is_feed ? '\n' : text.ptr[i];
                i += is_feed;
        }
        return str_make(out, len);
}

static void check_one(const struct table_text *text, int number, struct str comment,
                      const struct pattern_probe *probe, int *doubts)
{
        char room[EXAMPLE_BYTES_MAX];
        bool is_match = str_starts_nocase(comment, STR("matches:"));
        if (!is_match && !str_starts_nocase(comment, STR("not:")))
                return;
        struct str example = str_trim(str_tail(comment, is_match ? 8 : 4));
        int holds = probe->holds(probe->rule, read_example(example, room));
        if (holds == is_match)
                return;
        text_doubt(text, number, doubts, "pattern-example", "mend the pattern, or its example",
                   "the pattern %s \"%.*s\", which its comment gives as an example of what it %s",
                   holds < 0 ? "cannot be tried on"
                   : holds   ? "matches"
                             : "does not match",
                   (int)(example.len > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : example.len),
                   example.ptr, is_match ? "matches" : "does not match");
}

void pattern_examples_check(const struct table_text *text, const struct line *line,
                            const struct pattern_probe *probe, int *doubts)
{
        const char *at = line->ptr;
        struct str above;
        int number = line->number;
        while (line_above(text->bytes, &at, &above) && above.len && above.ptr[0] == '#') {
                number--;
                while (above.len && above.ptr[0] == '#')
                        above = str_tail(above, 1);
                check_one(text, number, str_trim(above), probe, doubts);
        }
}

/* ---- patterns that match nothing ---- */

/* Does \p{NAME} stand for no byte at all? As \p{Han} in a table that sees bytes. */
static bool has_no_byte(struct str property)
{
        char text[64];
        int problem;
        PCRE2_SIZE offset;
        bool has_one = false;
        if (property.len >= sizeof(text) - 8)
                return false;
        snprintf(text, sizeof(text), "\\p{%.*s}", STR_ARG(property));
        pcre2_code *code =
                pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, &problem, &offset, NULL);
        if (!code)
                return false;
        pcre2_match_data *data = pcre2_match_data_create(1, NULL);
        for (int c = 0; c < 256 && data && !has_one; c++) {
                unsigned char byte = (unsigned char)c;
                has_one = pcre2_match(code, &byte, 1, 0, 0, data, NULL) >= 0;
        }
        pcre2_match_data_free(data);
        pcre2_code_free(code);
        return !has_one;
}

static bool finds_script(struct str source, struct str *name)
{
        for (size_t i = 0; i + 3 < source.len; i++) {
                if (source.ptr[i] != '\\')
                        continue;
                bool is_property = source.ptr[i + 1] == 'p' && source.ptr[i + 2] == '{';
                struct str rest = str_tail(source, i + 3);
                if (is_property && (*name = str_cut(&rest, '}')).len && has_no_byte(*name))
                        return true;
                i++;
        }
        return false;
}

/* A ^ behind a letter, a $ in front of one: a place where no line begins, or ends. */
static bool has_misplaced_anchor(struct str source)
{
        bool is_in_class = false;
        bool after_letter = false;
        for (size_t i = 0; i < source.len; i++) {
                char c = source.ptr[i];
                char next = i + 1 < source.len ? source.ptr[i + 1] : '\0';
                bool was_letter = after_letter;
                after_letter = false;
                if (c == '\\') {
                        i++;
                } else if (is_in_class) {
                        is_in_class = c != ']';
                } else if (c == '[') {
                        is_in_class = true;
                        i += next == ']' || next == '^';
                } else if (c == '^' && was_letter) {
                        return true;
                } else if (c == '$' && (char_is_alnum(next) || next == ':')) {
                        return true;
                } else {
                        /* what a quantifier makes optional says nothing */
                        after_letter = (char_is_alnum(c) || c == ':') && !strchr("*?{", next);
                }
        }
        return false;
}

void pattern_lint_nothing(const struct table_text *text, int line, const struct pattern_source *p,
                          bool is_utf, int *doubts)
{
        struct str name;
        bool is_plain = !(p->options & PCRE2_MULTILINE) && !(p->options & PCRE2_EXTENDED);
        if (is_plain && has_misplaced_anchor(p->text))
                text_doubt(
                        text, line, doubts, "pattern-matches-nothing",
                        "write \\^ or \\$ if the character itself is meant",
                        "the pattern wants the beginning or the end of the text in its middle: it "
                        "matches nothing");
        if (!is_utf && !str_starts(p->text, STR("(*UT")) && finds_script(p->text, &name))
                text_doubt(text, line, doubts, "pattern-matches-nothing",
                           "use decoded_header_checks, or a table pcre-utf8:",
                           "this table sees bytes, of which none is a \\p{%.*s}", STR_ARG(name));
}
