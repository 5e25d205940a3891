/* full_name_test.c - the From: field with a person's name, in both forms and encoded */
#include "bin/full_name.h"

#include "base/unit.h"

static void names_are_quoted_and_encoded(void **state)
{
        static const struct {
                bool is_obsolete;
                const char *charset, *name, *expected;
        } rows[] = {
                {false, "utf-8", "", "From: a@b\n"},
                {true, "utf-8", "", "From: a@b\n"},
                {false, "utf-8", "Jo Doe", "From: Jo Doe <a@b>\n"},
                {true, "utf-8", "Jo Doe", "From: a@b (Jo Doe)\n"},
                {false, "utf-8", "Jo \"X\" Doe, Jr.", "From: \"Jo \\\"X\\\" Doe, Jr.\" <a@b>\n"},
                {true, "utf-8", "Jo (X\\", "From: a@b (Jo \\(X\\\\)\n"},
                {false, "utf-8", "Jo\r\nBcc: x", "From: \"JoBcc: x\" <a@b>\n"},
                {false, "utf-8", "J\xc3\xbcrgen M.", "From: =?utf-8?Q?J=C3=BCrgen_M=2E?= <a@b>\n"},
                {true, "utf-8", "J\xc3\xbcrgen", "From: a@b (=?utf-8?Q?J=C3=BCrgen?=)\n"},
                {false, "iso-8859-1", "J\xfcrgen", "From: =?iso-8859-1?Q?J=FCrgen?= <a@b>\n"},
                {false, "", "J\xc3\xbcrgen", "From: J\xc3\xbcrgen <a@b>\n"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct buf out;
                struct full_name_rules rules = {rows[i].is_obsolete, str_from(rows[i].charset)};
                buf_init(&out, 4096);
                full_name_put_from(&rules, str_from(rows[i].name), STR("a@b"), &out);
                assert_str_equal(buf_str(&out), rows[i].expected);
                buf_done(&out);
        }
}

/* RFC 2047 2: words of at most 75 characters, and no character in two of them (5) */
static void long_names_are_several_words(void **state)
{
        char name[600];
        for (size_t i = 0; i < sizeof(name); i += 3)
                memcpy(name + i, "\xe4\xbd\xa0", 3);
        /* what is no UTF-8 has an end too */
        memset(name + 300, '\x80', 300);
        struct buf out;
        struct full_name_rules rules = {false, STR("UTF-8")};
        buf_init(&out, 16384);
        full_name_put_from(&rules, str_make(name, sizeof(name)), STR("a@b"), &out);
        struct str rest = buf_str(&out);
        size_t words = 0;
        rest = str_tail(rest, strlen("From: "));
        while (rest.len) {
                struct str line = str_trim(str_cut(&rest, '\n'));
                struct str word;
                str_next_word(&line, " ", &word);
                assert_true(word.len <= 75);
                assert_true(str_starts(word, STR("=?UTF-8?Q?=")) && str_ends(word, STR("?=")));
                if (words < 10)
                        assert_true(str_starts(str_tail(word, 10), STR("=E4=BD=A0")));
                words++;
        }
        assert_in_range(words, 24, 40);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_are_quoted_and_encoded),
                cmocka_unit_test(long_names_are_several_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
