/*
 * posix_test.c - translated patterns match what the C library's regcomp() says they match
 *
 * Fixed cases, and some tens of thousands of patterns and texts made from a small alphabet.
 */
#include "base/buf.h"
#include "table/table_private.h"
#include "table/table_unit.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <regex.h>

enum { NO_PATTERN = -1 };

static uint32_t options_of(struct posix_flags flags)
{
        return PCRE2_CASELESS | (flags.is_multi_line ? PCRE2_MULTILINE | PCRE2_ALT_CIRCUMFLEX
                                                     : PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY);
}

/* 1: matches, 0: does not, NO_PATTERN. spans[0..1]: where. */
static int by_translation(const char *pattern, struct posix_flags flags, const char *text,
                          struct why *why)
{
        struct buf out;
        buf_init(&out, 65536);
        if (posix_to_pcre(str_from(pattern), flags, &out, why)) {
                buf_done(&out);
                return NO_PATTERN;
        }
        int problem;
        PCRE2_SIZE offset;
        pcre2_code *code = pcre2_compile((PCRE2_SPTR)buf_str(&out).ptr, out.len, options_of(flags),
                                         &problem, &offset, NULL);
        if (!code)
                fail_msg("%s -> %.*s: error %d at %zu", pattern, STR_ARG(buf_str(&out)), problem,
                         offset);
        buf_done(&out);
        pcre2_match_data *data = pcre2_match_data_create(20, NULL);
        int n = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, NULL);
        pcre2_match_data_free(data);
        pcre2_code_free(code);
        assert_true(n >= 0 || n == PCRE2_ERROR_NOMATCH);
        return n >= 0;
}

static int by_library(const char *pattern, struct posix_flags flags, const char *text)
{
        regex_t re;
        int options = REG_ICASE | REG_NOSUB | (flags.is_basic ? 0 : REG_EXTENDED) |
                      (flags.is_multi_line ? REG_NEWLINE : 0);
        if (regcomp(&re, pattern, options))
                return NO_PATTERN;
        int n = regexec(&re, text, 0, NULL, 0);
        regfree(&re);
        return n == 0;
}

static void agree(const char *pattern, struct posix_flags flags, const char *text)
{
        struct why why = {""};
        int ours = by_translation(pattern, flags, text, &why);
        int theirs = by_library(pattern, flags, text);
        if (ours != theirs)
                fail_msg("/%s/ (basic %d, lines %d) on \"%s\": %d, regcomp says %d: %s", pattern,
                         flags.is_basic, flags.is_multi_line, text, ours, theirs, why.text);
}

static void matches_as_the_library(void **state)
{
        static const struct {
                const char *pattern;
                const char *text;
        } cases[] = {
                {"^Subject: =?big5?", "Subject: =?big5?B?pKQ=?="},
                {"^Subject: =?big5?", "Subject: Big sale"},
                {"^Subject: =?big5?", "Subject: =big5 sale"},
                {"a*?b", "b"},
                {"a++", "a"},
                {"^a{2}{3}$", "aaaaaa"},
                {"^a{2}{3}$", "aaaaa"},
                {"^a{,2}$", "aa"},
                {"^a{,2}$", "aaa"},
                {"^[\\d]+$", "d\\"},
                {"^[\\d]+$", "7"},
                {"^[a\\]b$", "\\b"},
                {"^\\D$", "D"},
                {"^\\D$", "7"},
                {"^\\w\\W\\s\\S$", "a. x"},
                {"\\<cat\\>", "a cat."},
                {"\\<cat\\>", "concat"},
                {"\\`a.\\'", "ab"},
                {"[]x]", "]"},
                {"[^]x]", "]"},
                {"[[:upper:]]", "a"},
                {"[[.-.]x]", "-"},
                {"[[=a=]]", "a"},
                {"[a-]", "-"},
                {"[%--]", "+"},
                {"[!-~]", "#"},
                {"a|", "zzz"},
                {"()", ""},
                {"(|a)b", "b"},
                {"a)", "a)"},
                {"a}", "a}"},
                {"(a)\\1", "xaa"},
                {"x$", "x\n"},
                {"^y", "x\ny"},
                {"a.b", "a\nb"},
                {"[^x]b", "\nb"},
                {"(?:a)", "a"},
                {"*a", "*a"},
                {"a{1", "a{1"},
                {"a{2,1}", "aa"},
                {"[a", "a"},
                {"[z-a]", "a"},
                {"[[:nope:]]", "n"},
                {"(a", "a"},
                {"\\(a\\)", "(a)"},
                {"\\(a\\|b\\)*c", "ababc"},
                {"a\\{2\\}", "aa"},
                {"a\\+b\\?", "aa"},
                {"a+b", "a+b"},
                {"^*a", "*a"},
                {"^^a", "^a"},
                {"a$b", "a$b"},
                {"\\(*a\\)", "*a"},
                {"\\(^a\\)", "a"},
                {"a\\{1", "a"},
                {"a\\)", "a)"},
                {"#  x", "#  x"},
                {"(*FAIL)", "x"},
                {"a\\Qb*\\E", "aQbE"},
                {"\xe9", "\xe9"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                for (int flags = 0; flags < 4; flags++)
                        agree(cases[i].pattern,
                              (struct posix_flags){.is_basic = flags & 1,
                                                   .is_multi_line = flags & 2},
                              cases[i].text);
}

static uint32_t seed = 20261122;
static uint32_t chance(uint32_t limit)
{
        seed = seed * 1664525 + 1013904223;
        return (seed >> 8) % limit;
}

static void compose(char *out, size_t room, const char *const pieces[], size_t count, size_t steps)
{
        size_t used = 0;
        out[0] = '\0';
        for (size_t i = 0; i < steps; i++) {
                const char *piece = pieces[chance((uint32_t)count)];
                if (used + strlen(piece) + 1 > room)
                        return;
                memcpy(out + used, piece, strlen(piece) + 1);
                used += strlen(piece);
        }
}

static void made_up_patterns_agree(void **state)
{
        static const char *const pieces[] = {"a",   "b",    "a",    "b",   ".",       "*",
                                             "+",   "?",    "|",    "(",   ")",       "^",
                                             "$",   "[ab]", "[^a]", "{2}", "{,2}",    "{1,2}",
                                             "\\(", "\\)",  "\\|",  "\\*", "\\{2\\}", "[[:alpha:]]",
                                             "\\<", "\\>",  "\\w",  "\\b", "=?",      "\\?"};
        /*
         * The last is for the m flag alone: without it, the library lets ^ match behind a line
         * end.
         */
        static const char *const letters[] = {"a", "b", "a", "b", " ", "(",
                                              "*", "=", "?", "B", "\n"};
        char pattern[64];
        char text[32];
        for (int i = 0; i < 40000; i++) {
                compose(pattern, sizeof(pattern), pieces, sizeof(pieces) / sizeof(pieces[0]),
                        1 + chance(8));
                struct posix_flags flags = {.is_basic = chance(4) == 0,
                                            .is_multi_line = chance(3) == 0};
                size_t count = sizeof(letters) / sizeof(letters[0]) - !flags.is_multi_line;
                compose(text, sizeof(text), letters, count, chance(9));
                agree(pattern, flags, text);
        }
}

static void says_what_is_wrong(void **state)
{
        static const struct {
                const char *pattern;
                const char *why;
        } cases[] = {
                {"*a", "nothing before \"*\""},
                {"(+a)", "nothing before \"+\""},
                {"a{x}", "\"{\" needs a count"},
                {"a{99999}", "more than 32767"},
                {"a{3,1}", "runs backwards"},
                {"[z-a]", "runs backwards"},
                {"[abc", "without ']'"},
                {"[[:nope:]]", "\"[:nope:]\" is no class"},
                {"[[.space.]]", "only known around one character"},
                {"(a", "'(' without ')'"},
                {"a\\", "backslash at the end"},
                {"\\2(a)", "names a group that is not there"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct buf out;
                struct why why = {""};
                buf_init(&out, 4096);
                assert_int_equal(posix_to_pcre(str_from(cases[i].pattern), (struct posix_flags){0},
                                               &out, &why),
                                 -EINVAL);
                buf_done(&out);
                if (!strstr(why.text, cases[i].why))
                        fail_msg("%s: %s", cases[i].pattern, why.text);
        }
}

static void depth_and_size_have_limits(void **state)
{
        char many[1001];
        memset(many, '(', sizeof(many) - 1);
        many[sizeof(many) - 1] = '\0';
        struct buf out;
        struct why why = {""};
        buf_init(&out, 4096);
        assert_int_equal(posix_to_pcre(str_from(many), (struct posix_flags){0}, &out, &why),
                         -EINVAL);
        assert_non_null(strstr(why.text, "more than 100 groups"));
        buf_done(&out);
        buf_init(&out, 10);
        assert_int_equal(posix_to_pcre(STR("aaaaaaaaaaa"), (struct posix_flags){0}, &out, &why),
                         -ENOBUFS);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(matches_as_the_library),
                cmocka_unit_test(made_up_patterns_agree),
                cmocka_unit_test(says_what_is_wrong),
                cmocka_unit_test(depth_and_size_have_limits),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
