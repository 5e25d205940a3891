/* encoded_word_test.c */
#include "base/unit.h"

#include "message/encoded_word.h"

#include <errno.h>

static void decodes_words(void **state)
{
        static const struct {
                const char *value, *expected;
        } rows[] = {
                {"", ""},
                {"plain text", "plain text"},
                {"=?utf-8?Q?a_b=3D?=", "a b="},
                {"=?UTF-8?b?w6Q=?=", "\xc3\xa4"},
                {"=?utf-8*en?q?x?=", "x"},
                {"=?iso-8859-1?q?=E4?= b", "\xc3\xa4 b"},
                {"=?windows-1252?q?=80?=", "\xe2\x82\xac"},
                {"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac"},
                {"=?big5?B?pKSk5Q==?=", "\xe4\xb8\xad\xe6\x96\x87"},
                /* RFC 2047 8 */
                {"(=?ISO-8859-1?Q?a?=)", "(a)"},
                {"(=?ISO-8859-1?Q?a?= b)", "(a b)"},
                {"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"},
                {"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"},
                {"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"},
                {"(=?ISO-8859-1?Q?a_b?=)", "(a b)"},
                {"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"},
                /* a character in two words; padding that is missing, or in between */
                {"=?utf-8?Q?=C3?= =?utf-8?Q?=A4?=", "\xc3\xa4"},
                {"=?utf-8?B?w6Q?=", "\xc3\xa4"},
                {"=?utf-8?B?YQ==?= =?utf-8?B?Yg==?=", "ab"},
                /* folds, and bytes that are no UTF-8 */
                {"a\r\n b\r\n\tc", "a b\tc"},
                {"\xe4", "\xef\xbf\xbd"},
                {"\xc3\xa4\xed\xa0\x80", "\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                /* words wherever they stand */
                {"\"=?utf-8?q?x?=\" <a@b>", "\"x\" <a@b>"},
                {"name==?utf-8?q?x?=y", "name=xy"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct buf out;
                buf_init(&out, 1000);
                assert_int_equal(encoded_words_decode(str_from(rows[i].value), &out), 0);
                if (!str_eq(buf_str(&out), str_from(rows[i].expected)))
                        fail_msg("\"%s\": \"%.*s\"", rows[i].value, STR_ARG(buf_str(&out)));
                buf_done(&out);
        }
}

static void leaves_what_is_wrong(void **state)
{
        static const char *const values[] = {
                "=?no-such-charset?q?x?=",
                "=?utf-8?x?y?=",
                "=?utf-8?q?a",
                "=?utf-8?q?=4?=",
                "=?utf-8?q?=C3?=",
                "=?utf-8?b?*?=",
                "=?utf-8?q?a?b?=",
                "=?",
                "=??q?x?=",
                "= ?utf-8?q?x?=",
                "=?utf-8?q?=FF?= =?utf-8?q?=FE?=",
                "=?a\"b?q?x?=",
        };
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
                struct buf out;
                buf_init(&out, 1000);
                assert_int_equal(encoded_words_decode(str_from(values[i]), &out), 0);
                if (!str_eq(buf_str(&out), str_from(values[i])))
                        fail_msg("\"%s\": \"%.*s\"", values[i], STR_ARG(buf_str(&out)));
                buf_done(&out);
        }
        /* beside one that is wrong, others are right */
        struct buf out;
        buf_init(&out, 1000);
        encoded_words_decode(STR("=?utf-8?q?a?= =?utf-8?q?=FF?= =?utf-8?q?b?="), &out);
        assert_str_equal(buf_str(&out), "a =?utf-8?q?=FF?=b");
        buf_done(&out);
}

static void stays_in_its_room(void **state)
{
        struct buf out;
        buf_init(&out, 10);
        assert_int_equal(encoded_words_decode(STR("0123456789abcdef"), &out), -ENOBUFS);
        assert_true(out.len <= 10);
        buf_clear(&out);
        /* a word that has no room stays away, or as it stands; never over the ceiling */
        encoded_words_decode(STR("=?utf-8?q?0123456789abcdef?="), &out);
        assert_true(out.len <= 10);
        buf_done(&out);
        /* ten thousand words, one of them wrong: in no time that anybody would notice */
        struct buf in;
        buf_init(&in, 1 << 20);
        for (int i = 0; i < 10000; i++)
                buf_append_str(&in, i == 9999 ? STR("=?utf-8?q?=FF?=") : STR("=?utf-8?q?a?= "));
        buf_init(&out, 1 << 20);
        assert_int_equal(encoded_words_decode(buf_str(&in), &out), 0);
        assert_int_equal(out.len, 9999 + 16);
        buf_done(&in);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(decodes_words),
                cmocka_unit_test(leaves_what_is_wrong),
                cmocka_unit_test(stays_in_its_room),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
