/* transcript_test.c - what the postmaster reads of a session, and what not */
#include "message/transcript.h"

#include "base/unit.h"

#include <errno.h>

static const struct transcript_notice notice = {
        .id = STR_INIT("4xyz"),
        .by = STR_INIT("mx1.example.com"),
        .from = STR_INIT("MAILER-DAEMON@example.com"),
        .to = STR_INIT("postmaster@example.com"),
        .mail_name = STR_INIT("Forepost"),
        .client = STR_INIT("client.test[192.0.2.1]"),
        .now_us = 0,
};

static struct transcript t;

static struct str lines(void)
{
        return buf_str(&t.lines);
}

static void lines_are_cleaned_and_folded(void **state)
{
        static const struct {
                const char *said, *shown;
        } rows[] = {
                {"EHLO client.test", " In:  EHLO client.test\r\n"},
                {"", " In:  \r\n"},
                {"MAIL  FROM:<a@b>\rX\n\x01\x80", " In:  MAIL  FROM:<a@b>?X???\r\n"},
                /* 72 characters and the label fill a line */
                {"RCPT TO:<12345678901234567890123456789012345678901234567890@example.org>",
                 " In:  RCPT TO:<12345678901234567890123456789012345678901234567890@example.org>\r\n"},
                {"RCPT TO:<12345678901234567890123456789012345678901234567890@example.org> NOTIFY=X",
                 " In:  RCPT TO:<12345678901234567890123456789012345678901234567890@example.org>\r\n"
                 "     NOTIFY=X\r\n"},
                {"NOOP12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                 " In:  NOOP12345678901234567890123456789012345678901234567890123456789012345678\r\n"
                 "    901234567890\r\n"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                transcript_init(&t);
                transcript_add(&t, TRANSCRIPT_IN, str_from(rows[i].said));
                if (!str_eq(lines(), str_from(rows[i].shown)))
                        fail_msg("%s: \"%.*s\"", rows[i].said, STR_ARG(lines()));
                transcript_done(&t);
        }
}

static void nobody_reads_a_password(void **state)
{
        static const char *const said[] = {"AUTH PLAIN AGEAc2VjcmV0", "auth login c2VjcmV0",
                                           "c2VjcmV0", "NOOP"};
        transcript_init(&t);
        for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
                transcript_add(&t, TRANSCRIPT_IN, str_from(said[i]));
        transcript_add(&t, TRANSCRIPT_OUT, STR("503 5.5.1 no"));
        assert_true(str_eq(lines(), STR(" In:  AUTH (not shown)\r\n In:  AUTH (not shown)\r\n"
                                        " In:  (not shown)\r\n In:  NOOP\r\n"
                                        " Out: 503 5.5.1 no\r\n")));
        /* and what is thrown away does not make it forgotten */
        transcript_clear(&t);
        transcript_add(&t, TRANSCRIPT_IN, STR("c2VjcmV0"));
        assert_true(str_eq(lines(), STR(" In:  (not shown)\r\n")));
        transcript_done(&t);
}

static void too_much_is_counted(void **state)
{
        struct buf out;
        buf_init(&out, 1 << 20);
        transcript_init(&t);
        for (int i = 0; i < TRANSCRIPT_LINES_MAX + 7; i++)
                transcript_add(&t, TRANSCRIPT_IN, STR("NOOP"));
        assert_int_equal(t.shown, TRANSCRIPT_LINES_MAX);
        assert_int_equal(transcript_format(&t, &notice, &out), 0);
        assert_true(str_find_str(buf_str(&out), STR("\r\n (7 more lines)\r\n")) > 0);
        transcript_done(&t);

        static char line[64 * 1024];
        memset(line, 'x', sizeof(line));
        transcript_init(&t);
        transcript_add(&t, TRANSCRIPT_IN, str_make(line, sizeof(line)));
        assert_in_range(t.lines.len, TRANSCRIPT_SHOWN_MAX, TRANSCRIPT_SHOWN_MAX + 200);
        assert_true(str_ends(lines(), STR("\r\n    ...\r\n")));
        for (int i = 0; i < 100; i++)
                transcript_add(&t, TRANSCRIPT_OUT, str_make(line, sizeof(line)));
        assert_int_equal(t.count, 101);
        assert_in_range(t.shown, 2, 100);
        assert_true(t.lines.len <= TRANSCRIPT_BYTES_MAX);
        transcript_done(&t);
        buf_done(&out);
}

static bool shows(const struct transcript *of, const char *text)
{
        struct buf out;
        buf_init(&out, 1 << 20);
        assert_int_equal(transcript_format(of, &notice, &out), 0);
        bool found = str_find_str(buf_str(&out), str_from(text)) > 0;
        buf_done(&out);
        return found;
}

static void what_many_hear_is_kept_once(void **state)
{
        static const char greeting[] = "220 mx1 ESMTP\r\n", offers[] = "250-mx1\r\n250 DSN\r\n";
        struct transcript_texts texts = {0};
        struct transcript other;
        transcript_init(&t);
        transcript_init(&other);
        struct transcript *const both[] = {&t, &other};
        for (size_t i = 0; i < 2; i++) {
                transcript_add_reply(both[i], &texts, str_from(greeting));
                transcript_add(both[i], TRANSCRIPT_IN, STR("EHLO \x01\x02\x03\x04"));
                transcript_add_reply(both[i], &texts, str_from(offers));
                transcript_add_reply(both[i], NULL, STR("500 5.5.2 no\r\n"));
                assert_int_equal(both[i]->count, 5);
                assert_int_equal(both[i]->shown, 5);
        }
        assert_ptr_equal(t.shared[0], other.shared[0]);
        assert_ptr_equal(t.shared[1], other.shared[1]);
        assert_null(t.shared[2]);
        transcript_texts_done(&texts);
        transcript_done(&other);
        assert_true(shows(&t, "\r\n\r\n Out: 220 mx1 ESMTP\r\n In:  EHLO ????\r\n Out: 250-mx1\r\n"
                              " Out: 250 DSN\r\n Out: 500 5.5.2 no\r\n\r\n"));
        transcript_clear(&t);
        assert_null(t.shared[0]);
        transcript_done(&t);
}

static void more_texts_than_are_shared(void **state)
{
        struct transcript_texts texts = {0};
        struct buf said;
        buf_init(&said, 1 << 20);
        transcript_init(&t);
        for (int i = 0; i < 3 * TRANSCRIPT_SHARED_MAX; i++) {
                buf_clear(&said);
                buf_printf(&said, "250-host\r\n250 X-%d\r\n", i);
                transcript_add_reply(&t, &texts, buf_str(&said));
        }
        assert_non_null(t.shared[TRANSCRIPT_SHARED_MAX - 1]);
        assert_int_equal(t.shown, 6 * TRANSCRIPT_SHARED_MAX);
        assert_true(shows(&t, " Out: 250 X-0\r\n Out: 250-host\r\n Out: 250 X-1\r\n"));
        assert_true(shows(&t, " Out: 250-host\r\n Out: 250 X-11\r\n\r\n"));

        /* the ceilings count what the notice will show */
        transcript_clear(&t);
        buf_clear(&said);
        for (int i = 0; i < 40; i++)
                buf_printf(&said, "250-%.*s\r\n", TRANSCRIPT_SHOWN_MAX - 4,
                           "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789");
        for (int i = 0; i < 1000; i++)
                transcript_add_reply(&t, &texts, buf_str(&said));
        assert_int_equal(t.count, 40000);
        assert_int_equal(t.shown, TRANSCRIPT_LINES_MAX);
        assert_true(shows(&t, " (39500 more lines)\r\n"));
        struct buf small;
        buf_init(&small, TRANSCRIPT_BYTES_MAX + 1024);
        assert_int_equal(transcript_format(&t, &notice, &small), 0);
        buf_done(&small);
        transcript_clear(&t);
        buf_clear(&said);
        for (int i = 0; i < 20; i++)
                buf_printf(&said, "250-%0*d\r\n", TRANSCRIPT_SHOWN_MAX - 4, i);
        for (int i = 0; i < 10; i++)
                transcript_add_reply(&t, &texts, buf_str(&said));
        assert_int_equal(t.count, 200);
        assert_in_range(t.shown, 40, 65);
        buf_init(&small, TRANSCRIPT_BYTES_MAX + 1024);
        assert_int_equal(transcript_format(&t, &notice, &small), 0);
        assert_true(small.len > TRANSCRIPT_BYTES_MAX - 1200);
        buf_done(&small);
        transcript_done(&t);
        transcript_texts_done(&texts);
        buf_done(&said);
}

static void the_notice_has_all(void **state)
{
        struct buf out;
        buf_init(&out, 1 << 20);
        transcript_init(&t);
        transcript_add(&t, TRANSCRIPT_IN, STR("FOO"));
        struct transcript_notice n = notice;
        n.reason = STR("timeout");
        n.untold = 12;
        assert_int_equal(transcript_format(&t, &n, &out), 0);
        assert_true(
                str_eq(buf_str(&out),
                       STR("Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
                           "From: Mail Delivery System <MAILER-DAEMON@example.com>\r\n"
                           "To: Postmaster <postmaster@example.com>\r\n"
                           "Subject: Forepost SMTP server: errors from client.test[192.0.2.1]\r\n"
                           "Auto-Submitted: auto-generated\r\n"
                           "Message-Id: <4xyz@mx1.example.com>\r\n"
                           "MIME-Version: 1.0\r\n"
                           "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
                           "Transcript of session follows.\r\n\r\n"
                           " In:  FOO\r\n\r\n"
                           "Session aborted, reason: timeout\r\n"
                           "Sessions with errors before this one that no notice told of: 12\r\n\r\n"
                           "The mail log has the rest.\r\n")));
        buf_done(&out);
        buf_init(&out, 100);
        assert_int_equal(transcript_format(&t, &notice, &out), -ENOBUFS);
        assert_int_equal(out.len, 0);
        transcript_done(&t);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_are_cleaned_and_folded),
                cmocka_unit_test(nobody_reads_a_password),
                cmocka_unit_test(too_much_is_counted),
                cmocka_unit_test(what_many_hear_is_kept_once),
                cmocka_unit_test(more_texts_than_are_shared),
                cmocka_unit_test(the_notice_has_all),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
