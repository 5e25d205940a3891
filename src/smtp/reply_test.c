/* reply_test.c */
#include "base/unit.h"

#include "smtp/reply.h"

#include <errno.h>

static void formats(void **state)
{
        static const struct {
                int code;
                const char *enhanced;
                struct str text;
                const char *out;
        } cases[] = {
                {220, NULL, STR_INIT("mx.example ESMTP"), "220 mx.example ESMTP\r\n"},
                {250, "2.1.5", STR_INIT("Ok"), "250 2.1.5 Ok\r\n"},
                {250, "2.0.0", STR_INIT(""), "250 2.0.0\r\n"},
                {250, NULL, STR_INIT(""), "250\r\n"},
                {250, NULL, STR_INIT("mx\nPIPELINING\nSIZE 100"),
                 "250-mx\r\n250-PIPELINING\r\n250 SIZE 100\r\n"},
                {550, "5.1.1", STR_INIT("one\r\ntwo\r\n"), "550-5.1.1 one\r\n550 5.1.1 two\r\n"},
                {550, "5.1.1", STR_INIT("one\n\ntwo"),
                 "550-5.1.1 one\r\n550-5.1.1 \r\n550 5.1.1 two\r\n"},
                {501, "5.5.4", STR_INIT("a\rb\0c\033[1m\x7f\td"), "501 5.5.4 a?b?c?[1m?\td\r\n"},
                {501, "5.5.4", STR_INIT("\xc3\xa4 ok"), "501 5.5.4 \xc3\xa4 ok\r\n"},
                {501, "5.5.4", STR_INIT("\xc3( bad"), "501 5.5.4 ?( bad\r\n"},
                {501, "5.5.4", STR_INIT("\xc2\x9b[1m"), "501 5.5.4 ??[1m\r\n"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct buf out;
                struct smtp_reply r =
                        smtp_reply_make(cases[i].code, cases[i].enhanced, cases[i].text);
                buf_init(&out, 4096);
                assert_int_equal(smtp_reply_format(&r, &out), 0);
                assert_str_equal(buf_str(&out), cases[i].out);
                buf_done(&out);
        }
}

/* Cuts text of every kind, and reads it back. */
static void splits_long_lines(void **state)
{
        static const char *const units[] = {"a", "\xc3\xa4", "\xf0\x9f\x93\xab", "word ", "\xff"};
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
                struct buf text, out;
                buf_init(&text, 4000);
                buf_init(&out, 8192);
                while (buf_append_str(&text, str_from(units[i])) == 0)
                        ;
                struct smtp_reply r = smtp_reply_make(550, "5.7.1", buf_str(&text));
                assert_int_equal(smtp_reply_format(&r, &out), 0);
                struct smtp_reply_reader reader;
                smtp_reply_reader_init(&reader);
                struct str rest = buf_str(&out);
                int code = 0;
                while (rest.len) {
                        assert_int_equal(code, 0);
                        struct str line = str_cut(&rest, '\n');
                        assert_true(line.len + 1 <= SMTP_REPLY_LINE_BYTES_MAX);
                        assert_true(str_ends(line, STR("\r")));
                        line.len--;
                        /* no character is cut in two */
                        if (i < 4)
                                assert_true(((unsigned char)line.ptr[10] & 0xc0) != 0x80);
                        code = smtp_reply_reader_feed(&reader, line);
                }
                assert_int_equal(code, 1);
                assert_string_equal(reader.enhanced, "5.7.1");
                smtp_reply_reader_done(&reader);
                buf_done(&text);
                buf_done(&out);
        }
}

static void keeps_the_ceiling(void **state)
{
        struct buf out;
        struct smtp_reply r = smtp_reply_make(250, "2.0.0", STR("one\ntwo"));
        buf_init(&out, 34);
        buf_append(&out, "x", 1);
        assert_int_equal(smtp_reply_format(&r, &out), 0);
        assert_int_equal(smtp_reply_format(&r, &out), -ENOBUFS);
        assert_str_equal(buf_str(&out), "x250-2.0.0 one\r\n250 2.0.0 two\r\n");
        buf_done(&out);
}

static void reads(void **state)
{
        static const struct {
                const char *lines[4];
                int result, code;
                const char *enhanced, *text;
        } cases[] = {
                {{"250 2.1.0 Ok"}, 1, 250, "2.1.0", "Ok"},
                {{"250"}, 1, 250, "", ""},
                {{"250 "}, 1, 250, "", ""},
                {{"354 go ahead"}, 1, 354, "", "go ahead"},
                {{"250-mx", "250-SIZE 10", "250 DSN"}, 1, 250, "", "mx\nSIZE 10\nDSN"},
                {{"550-5.1.1 no", "550-5.1.1 such", "550 5.1.1 user"},
                 1,
                 550,
                 "5.1.1",
                 "no\nsuch\nuser"},
                {{"550-5.1.1 no", "550 5.2.2 other"}, 1, 550, "5.1.1", "no\n5.2.2 other"},
                /* what is no enhanced code of this class stays text */
                {{"550 4.1.1 x"}, 1, 550, "", "4.1.1 x"},
                {{"550 5.1.1x"}, 1, 550, "", "5.1.1x"},
                {{"550 5.1111.1 x"}, 1, 550, "", "5.1111.1 x"},
                {{"550 5.1. x"}, 1, 550, "", "5.1. x"},
                {{"550 5.123.456"}, 1, 550, "5.123.456", ""},
                {{"354 3.0.0 x"}, 1, 354, "", "3.0.0 x"},
                {{"250-a"}, 0, 250, "", "a"},
                {{"250-a", "251 b"}, -EBADMSG, 0, NULL, NULL},
                {{"25"}, -EBADMSG, 0, NULL, NULL},
                {{""}, -EBADMSG, 0, NULL, NULL},
                {{"2500"}, -EBADMSG, 0, NULL, NULL},
                {{"250x"}, -EBADMSG, 0, NULL, NULL},
                {{"199 x"}, -EBADMSG, 0, NULL, NULL},
                {{"600 x"}, -EBADMSG, 0, NULL, NULL},
                {{"hello"}, -EBADMSG, 0, NULL, NULL},
        };
        struct smtp_reply_reader r;
        smtp_reply_reader_init(&r);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int result = 0;
                for (int n = 0; cases[i].lines[n]; n++) {
                        assert_int_equal(result, 0);
                        result = smtp_reply_reader_feed(&r, str_from(cases[i].lines[n]));
                }
                assert_int_equal(result, cases[i].result);
                if (result >= 0) {
                        assert_int_equal(r.code, cases[i].code);
                        assert_string_equal(r.enhanced, cases[i].enhanced);
                        assert_str_equal(buf_str(&r.text), cases[i].text);
                }
                /* whatever came before, a new reply is a new reply */
                if (result == 0)
                        assert_int_equal(smtp_reply_reader_feed(&r, STR("250 end")), 1);
        }
        smtp_reply_reader_done(&r);
}

static void reads_within_limits(void **state)
{
        struct smtp_reply_reader r;
        char line[600] = "250-";
        smtp_reply_reader_init(&r);
        memset(line + 4, 'x', sizeof(line) - 4);
        for (int i = 0; i < SMTP_REPLY_LINES_MAX; i++)
                assert_int_equal(smtp_reply_reader_feed(&r, str_make(line, sizeof(line))), 0);
        assert_int_equal(r.text.len, SMTP_REPLY_TEXT_BYTES_MAX);
        assert_int_equal(smtp_reply_reader_feed(&r, STR("250 one too many")), -EBADMSG);
        /* the last that is allowed */
        for (int i = 0; i < SMTP_REPLY_LINES_MAX - 1; i++)
                assert_int_equal(smtp_reply_reader_feed(&r, STR("250-x")), 0);
        assert_int_equal(smtp_reply_reader_feed(&r, STR("250 x")), 1);
        assert_int_equal(r.lines, SMTP_REPLY_LINES_MAX);
        smtp_reply_reader_done(&r);
}

static void enhanced_codes(void **state)
{
        static const struct {
                const char *text, *code, *rest; /* code NULL: none */
        } cases[] = {
                {"5.1.2 no such domain", "5.1.2", "no such domain"},
                {" 4.123.999\tlater", "4.123.999", "later"},
                {"2.0.0", "2.0.0", ""},
                {"3.1.1 x", NULL, "3.1.1 x"},
                {"5.1 x", NULL, "5.1 x"},
                {"5.1.1.1 x", NULL, "5.1.1.1 x"},
                {"5.1.1x", NULL, "5.1.1x"},
                {"5.1234.1 x", NULL, "5.1234.1 x"},
                {"51.1.1", NULL, "51.1.1"},
                {"", NULL, ""},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct str text = str_from(cases[i].text);
                char code[SMTP_ENHANCED_BYTES] = "";
                assert_int_equal(smtp_enhanced_take(&text, code), cases[i].code != NULL);
                assert_string_equal(code, cases[i].code ? cases[i].code : "");
                assert_str_equal(text, cases[i].rest);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(formats),
                cmocka_unit_test(splits_long_lines),
                cmocka_unit_test(keeps_the_ceiling),
                cmocka_unit_test(reads),
                cmocka_unit_test(reads_within_limits),
                cmocka_unit_test(enhanced_codes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
