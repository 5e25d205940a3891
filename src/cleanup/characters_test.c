/* characters_test.c - characters that are taken out, and those that refuse a message; what else receive_override_options leaves out */
#include "cleanup/cleanup_unit.h"

#define HEADER "From: a@b.example\r\n"

static const char *run(const char *lines, struct str text)
{
        static char whole[4000];
        struct mill m;
        mill_init(&m);
        mill_load(&m, lines);
        assert_false(findings_has_errors(&m.rig.findings));
        snprintf(whole, sizeof(whole), "%s", mill_run_in(&m, text, 65536));
        const char *in_bytes = mill_run_in(&m, text, 1);
        assert_string_equal(whole, in_bytes);
        mill_done(&m);
        return whole;
}

#define REFUSED "550 5.7.1 disallowed character"

static void sets_hold(void **state)
{
        static const struct {
                const char *lines;
                struct str text;
                const char *expected;
        } rows[] = {
                {"message_strip_characters = x\\0\n", STR_INIT(HEADER "\r\nx1\0x2\0\r\nx\r\n"),
                 "From: a@b.eample\r\n\r\n12\r\n\r\n"},
                {"message_strip_characters = \\a\\b\\f\\t\\v\\\\\\101\n",
                 STR_INIT("S: 1\a2\b3\f4\t5\v6\\7A8\r\n\r\n"), "S: 12345678\r\n\r\n"},
                /* line ends are no characters; a strip can make a fold */
                {"message_strip_characters = \\r\\n!\n", STR_INIT("S: 1\r\n! 2\r\n\r\nb\r\n"),
                 "S: 1\r\n 2\r\n\r\nb\r\n"},
                {"message_strip_characters = \\0000\n", STR_INIT("S: 0\0\r\n\r\n"), "S: \r\n\r\n"},
                {"message_strip_characters = \\377\n", STR_INIT("S: \xff\xfe\r\n\r\n"),
                 "S: \xfe\r\n\r\n"},
                {"message_reject_characters = \\0\n", STR_INIT(HEADER "\r\nok\r\n"),
                 HEADER "\r\nok\r\n"},
                {"message_reject_characters = \\0\n", STR_INIT("S: \0\r\n\r\nx\r\n"), REFUSED},
                {"message_reject_characters = \\0\n", STR_INIT(HEADER "\r\nx\r\n\0\r\n"), REFUSED},
                {"message_reject_characters = \\r\\n\n", STR_INIT(HEADER "\r\nx\r\n"),
                 HEADER "\r\nx\r\n"},
                /* in both: refused. Strip first, then checks. */
                {"message_reject_characters = x\nmessage_strip_characters = xy\n",
                 STR_INIT(HEADER "\r\nyx\r\n"), "550 5.7.1 disallowed character"},
                {"message_strip_characters = -\nheader_checks = pcre:{{/^Subject: bad/ REJECT no}}\n",
                 STR_INIT("Sub-ject: b-ad\r\n\r\n"), "550 5.7.1 no"},
                {"message_reject_characters = x\nheader_checks = pcre:{{/^S:/ PASS}}\n",
                 STR_INIT("S: 1\r\n\r\nx\r\n"), "S: 1\r\n\r\nx\r\n"},
                {"message_reject_characters = x\nheader_checks = pcre:{{/^S:/ DISCARD}}\n",
                 STR_INIT("S: 1\r\n\r\nx\r\n"), "S: 1\r\n\r\nx\r\n"},
                {"message_strip_characters = x\nheader_checks = pcre:{{/^S:/ PASS}}\n",
                 STR_INIT("S: 1\r\n\r\nxy\r\n"), "S: 1\r\n\r\nxy\r\n"},
                /* the line behind has been read when a field passes; no other has */
                {"message_strip_characters = x\nheader_checks = pcre:{{/^S:/ PASS}}\n",
                 STR_INIT("T: x1\r\nS: 1\r\n x\r\n x\r\nT: x2\r\n x3\r\n\r\nxy\r\n"),
                 "T: 1\r\nS: 1\r\n \r\n \r\nT: 2\r\n x3\r\n\r\nxy\r\n"},
                {"message_reject_characters = x\nheader_checks = pcre:{{/^S:/ PASS}}\n",
                 STR_INIT("S: 1\r\nT: x\r\n\r\n"), REFUSED},
                {"message_reject_characters = x\nheader_checks = pcre:{{/^S:/ REDIRECT a@b.example}}\n",
                 STR_INIT("S: 1\r\nT: 1\r\n x\r\n\r\n"), "S: 1\r\nT: 1\r\n x\r\n\r\n"},
                {"message_strip_characters = x\nbody_checks = pcre:{{/^p/ PASS}}\n",
                 STR_INIT("S: x\r\n\r\n x\r\nxp\r\nx\r\n"), "S: \r\n\r\n \r\np\r\nx\r\n"},
                {"message_strip_characters = x\nforce_mime_input_conversion = yes\n",
                 STR_INIT("S: x1\r\n\r\nx2\r\nx"), "S: 1\r\n\r\n2\r\n"},
                {"message_reject_characters = x\nforce_mime_input_conversion = yes\n",
                 STR_INIT("S: 1\r\n\r\n2\r\nx"), REFUSED},
                {"soft_bounce = yes\nmessage_reject_characters = x\n", STR_INIT("S: x\r\n\r\n"),
                 "450 4.7.1 disallowed character"},
                /* left out */
                {"message_reject_characters = x\nmessage_strip_characters = y\n"
                 "header_checks = pcre:{{/./ REJECT}}\nbody_checks = pcre:{{/./ REJECT}}\n"
                 "decoded_header_checks = pcre:{{/./ REJECT}}\nstrict_8bitmime = yes\n"
                 "receive_override_options = no_header_body_checks\n",
                 STR_INIT("S: xy\r\n\r\nxy\xff\r\n"), "S: xy\r\n\r\nxy\xff\r\n"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                assert_string_equal(run(rows[i].lines, rows[i].text), rows[i].expected);
}

/* A line that is longer than a piece is taken in pieces, wherever the text is cut. */
static void long_lines_hold(void **state)
{
        static const size_t sizes[] = {2046, 2047, 2048, 2049, 2050,
                                       2051, 4095, 4096, 9000, 100000};
        static char text[300000], expected[300000];
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                struct mill m;
                mill_init(&m);
                mill_load(&m, "message_strip_characters = x\nbody_checks = pcre:{{/^p/ PASS}}\n");
                size_t len = (size_t)snprintf(text, sizeof(text), "S: 1\r\n\r\n");
                for (size_t n = 0; n < sizes[i]; n++)
                        text[len++] = n % 2 ? 'x' : 'y';
                snprintf(text + len, sizeof(text) - len, "\r\npx\r\nx\r\n");
                len = (size_t)snprintf(expected, sizeof(expected), "S: 1\r\n\r\n");
                for (size_t n = 0; n < sizes[i]; n += 2)
                        expected[len++] = 'y';
                snprintf(expected + len, sizeof(expected) - len, "\r\np\r\nx\r\n");
                assert_string_equal(mill_run_in(&m, str_from(text), 65536), expected);
                assert_string_equal(mill_run_in(&m, str_from(text), 61), expected);
                mill_done(&m);
        }
}

static void wrong_words_are_errors(void **state)
{
        static const char *const lines[] = {
                "message_strip_characters = \\x\n",
                "message_strip_characters = a\\\n \\\n",
                "message_reject_characters = \\777\n",
                "receive_override_options = no_milter\n",
        };
        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                struct mill m;
                mill_init(&m);
                mill_load(&m, lines[i]);
                if (!findings_has_errors(&m.rig.findings))
                        fail_msg("nothing found in %s", lines[i]);
                mill_done(&m);
        }
}

#define PARTS "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"

static void an_encoding_says_8bit(void **state)
{
        static const struct {
                const char *lines, *text;
                bool is_8bit;
        } rows[] = {
                {"", "S: \xe4\r\n\r\n\xe4\r\n", false},
                {"", "Content-Transfer-Encoding: 8bit\r\n\r\nx\r\n", true},
                {"", "CONTENT-TRANSFER-ENCODING:\r\n Binary \r\n\r\nx\r\n", true},
                {"", "Content-Transfer-Encoding: 7bit\r\n\r\nx\r\n", false},
                {"", "Content-Transfer-Encoding: base64\r\n\r\nx\r\n", false},
                {"", "S: x\r\n\r\nContent-Transfer-Encoding: 8bit\r\n", false},
                {"", PARTS "Content-Transfer-Encoding: 8bit\r\n\r\nx\r\n--b--\r\n", true},
                {"", PARTS "\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n--b--\r\n", false},
                {"disable_mime_input_processing = yes\n",
                 PARTS "Content-Transfer-Encoding: 8bit\r\n\r\nx\r\n--b--\r\n", false},
                {"",
                 "Content-Type: message/rfc822\r\n\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n",
                 true},
                {"detect_8bit_encoding_header = no\n",
                 "Content-Transfer-Encoding: 8bit\r\n\r\nx\r\n", false},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                mill_init(&m);
                mill_load(&m, rows[i].lines);
                mill_run(&m, rows[i].text);
                assert_int_equal(m.envelope.body,
                                 rows[i].is_8bit ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT);
                /* what the client said stays */
                mill_begin(&m);
                m.envelope.body = SMTP_BODY_8BITMIME;
                assert_true(mill_push(&m, str_from(rows[i].text), true));
                assert_int_equal(m.envelope.body, SMTP_BODY_8BITMIME);
                mill_done(&m);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sets_hold),
                cmocka_unit_test(long_lines_hold),
                cmocka_unit_test(wrong_words_are_errors),
                cmocka_unit_test(an_encoding_says_8bit),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
