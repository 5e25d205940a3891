/*
 * pattern_source.c - a pattern as it is written: !/pattern/flags, and what is doubtful about the
 * writing
 *
 * Nothing is compiled here. The delimiter may be any character but a letter, a digit, a blank, a
 * backslash and !; a backslash before it keeps it inside of the pattern.
 */
#include "table/table_private.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <pcre2.h>

static int pattern_flag(const struct table_text *text, int line, bool is_posix, char c,
                        struct pattern_source *p, int *doubts)
{
        switch (c) {
        case 'i':
                p->options ^= PCRE2_CASELESS;
                return 0;
        case 'm':
                p->posix.is_multi_line ^= true;
                p->options ^=
                        PCRE2_MULTILINE |
                        (is_posix ? PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX : 0);
                return 0;
        case 'x':
                p->posix.is_basic ^= true;
                p->options ^= is_posix ? 0 : PCRE2_EXTENDED;
                return 0;
        }
        if (!is_posix) {
                static const struct {
                        char flag;
                        uint32_t option;
                } flags[] = {
                        {'s', PCRE2_DOTALL},
                        {'A', PCRE2_ANCHORED},
                        {'E', PCRE2_DOLLAR_ENDONLY},
                        {'U', PCRE2_UNGREEDY},
                };
                for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
                        if (flags[i].flag != c)
                                continue;
                        p->options ^= flags[i].option;
                        return 0;
                }
                if (c == 'X') {
                        text_doubt(text, line, doubts, "pattern-flag", "take it away",
                                   "the flag X has no meaning any more: an unknown escape is "
                                   "always an error");
                        return 0;
                }
        }
        return text_fault(text, line, -EINVAL, "table-syntax",
                          is_posix ? "regexp: knows the flags i, m and x"
                                   : "pcre: knows the flags i, m, s, x, A, E and U",
                          c == '!' ? "a second pattern behind \"%c\"; write if !/second/ ... endif"
                                   : "\"%c\" is no flag of a pattern",
                          c);
}

int pattern_source_take(const struct table_text *text, int line, bool is_posix, struct str *rest,
                        struct pattern_source *p, int *doubts)
{
        *p = (struct pattern_source){.options = PCRE2_CASELESS | PCRE2_DOTALL};
        if (is_posix)
                p->options |= PCRE2_DOLLAR_ENDONLY;
        while (rest->len && (rest->ptr[0] == '!' || char_is_blank(rest->ptr[0]))) {
                p->is_negated ^= rest->ptr[0] == '!';
                *rest = str_tail(*rest, 1);
        }
        if (rest->len == 0 || char_is_alnum(rest->ptr[0]) || rest->ptr[0] == '\\')
                return text_fault(text, line, -EINVAL, "table-syntax",
                                  "write /pattern/ and, behind it on the same line, the result",
                                  "a pattern between two slashes (or if, endif) is missing");
        char delimiter = rest->ptr[0];
        size_t at = 1;
        while (at < rest->len && rest->ptr[at] != delimiter)
                at += rest->ptr[at] == '\\' ? 2 : 1;
        if (at >= rest->len)
                return text_fault(
                        text, line, -EINVAL, "table-syntax",
                        "write it behind the pattern; inside of it, put a backslash before",
                        "the pattern has no second \"%c\"", delimiter);
        p->text = str_part(*rest, 1, at - 1);
        *rest = str_tail(*rest, at + 1);
        while (rest->len && !char_is_blank(rest->ptr[0])) {
                int error = pattern_flag(text, line, is_posix, rest->ptr[0], p, doubts);
                if (error)
                        return error;
                *rest = str_tail(*rest, 1);
        }
        *rest = str_trim(*rest);
        return 0;
}

/* Does the source say =? with letters behind it, outside of brackets? As in /^Subject: =?big5?/ */
bool pattern_source_has_quantified_equals(struct str source)
{
        bool is_bracket = false;
        for (size_t i = 0; i + 2 < source.len; i++) {
                char c = source.ptr[i];
                if (c == '\\') {
                        i++;
                } else if (is_bracket) {
                        is_bracket = c != ']';
                } else if (c == '[') {
                        is_bracket = true;
                        i += source.ptr[i + 1] == ']' || source.ptr[i + 1] == '^';
                } else if (c == '=' && source.ptr[i + 1] == '?' &&
                           (char_is_alnum(source.ptr[i + 2]) || source.ptr[i + 2] == '(')) {
                        return true;
                }
        }
        return false;
}

char pattern_source_plain_escape(struct str source)
{
        bool is_bracket = false;
        for (size_t i = 0; i + 1 < source.len; i++) {
                char c = source.ptr[i];
                if (is_bracket) {
                        is_bracket = c != ']';
                } else if (c == '[') {
                        is_bracket = true;
                        i += source.ptr[i + 1] == ']' || source.ptr[i + 1] == '^';
                } else if (c == '\\') {
                        c = source.ptr[++i];
                        if (char_is_alnum(c) && !char_is_digit(c) && !strchr("wWsSbB", c))
                                return c;
                }
        }
        return '\0';
}

bool pattern_source_is_catch_all(struct str source)
{
        static const char *const sources[] = {"^", "^.*", "^.*$", ".*", ".*$", "^(.*)$", "(.*)"};
        for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
                if (str_eq(source, str_from(sources[i])))
                        return true;
        return false;
}
