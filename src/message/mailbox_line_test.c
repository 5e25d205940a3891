/* mailbox_line_test.c - "From " lines in front of a header, whole and byte by byte */
#include "message/mailbox_line.h"

#include "base/unit.h"

static void keep(struct str text, size_t piece, size_t room, const char *front,
                 const char *expected)
{
        struct buf b;
        struct mailbox_lines m = {.at = strlen(front)};
        buf_init(&b, room);
        assert_int_equal(buf_append_str(&b, str_from(front)), 0);
        struct str rest = text;
        while (rest.len) {
                struct str one = str_part(rest, 0, piece);
                rest = str_tail(rest, one.len);
                assert_int_equal(buf_append_str(&b, one), 0);
                mailbox_lines_keep(&m, &b, false);
        }
        assert_true(mailbox_lines_keep(&m, &b, true));
        assert_true(m.is_past);
        assert_str_equal(buf_str(&b), expected);
        buf_done(&b);
}

#define LINE "X-Mailbox-Line: "

static void lines_become_fields(void **state)
{
        static const struct {
                const char *text, *expected;
        } rows[] = {
                {"From x\r\nS: 1\r\n", LINE "From x\r\nS: 1\r\n"},
                {">>From x\r\n\r\nx", LINE ">>From x\r\n\r\nx"},
                {"From x\r\nFrom y\r\nS: 1\r\nFrom z\r\n",
                 LINE "From x\r\n" LINE "From y\r\nS: 1\r\nFrom z\r\n"},
                {"From x", LINE "From x"},
                {"From: x\r\n", "From: x\r\n"},
                {"FROM x\r\n", "FROM x\r\n"},
                {"> From x\r\n", "> From x\r\n"},
                {"From\tx\r\n", "From\tx\r\n"},
                {"S: 1\r\nFrom x\r\n", "S: 1\r\nFrom x\r\n"},
                {"\r\nFrom x\r\n", "\r\nFrom x\r\n"},
                {">", ">"},
                {"", ""},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                for (size_t piece = 1; piece < 100; piece += 98)
                        keep(str_from(rows[i].text), piece, 4096, "", rows[i].expected);
}

static void lines_of_our_own_stay(void **state)
{
        keep(STR("From x\r\nS: 1\r\n"), 1, 4096, "From us\r\n",
             "From us\r\n" LINE "From x\r\nS: 1\r\n");
}

static void limits_hold(void **state)
{
        struct buf text, expected;
        buf_init(&text, 1 << 20);
        buf_init(&expected, 1 << 20);
        for (int i = 0; i < MAILBOX_LINES_MAX + 1; i++) {
                buf_printf(&text, "From x\r\n");
                buf_printf(&expected, "%sFrom x\r\n", i < MAILBOX_LINES_MAX ? LINE : "");
        }
        buf_append_char(&expected, '\0');
        keep(buf_str(&text), 1 << 20, 1 << 20, "", expected.ptr);
        keep(buf_str(&text), 7, 1 << 20, "", expected.ptr);
        /* no room for more than one: the rest stays, and nothing is lost */
        keep(STR("From x\r\nFrom y\r\n"), 100, 16 + sizeof(LINE) - 1, "",
             LINE "From x\r\nFrom y\r\n");
        /* a line without an end is not waited for for ever */
        buf_clear(&text);
        struct mailbox_lines m = {0};
        buf_append_str(&text, STR("From "));
        while (text.len <= MAILBOX_LINE_BYTES_MAX) {
                assert_false(mailbox_lines_keep(&m, &text, false));
                buf_append_char(&text, 'x');
        }
        assert_true(mailbox_lines_keep(&m, &text, false));
        assert_true(str_starts(buf_str(&text), STR(LINE "From x")));
        buf_done(&text);
        buf_done(&expected);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_become_fields),
                cmocka_unit_test(lines_of_our_own_stay),
                cmocka_unit_test(limits_hold),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
