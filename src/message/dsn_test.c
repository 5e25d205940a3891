/* dsn_test.c */
#include "base/unit.h"

#include "message/dsn.h"

#include <errno.h>

static const struct envelope original = {
        .sender = STR_INIT("s@t.example"),
        .envid = STR_INIT("id+2B1"),
        .arrival_us = 1795344781999999,
};

static const struct recipient plain = {
        .address = STR_INIT("a@b.example"),
        .original = STR_INIT("a@b.example"),
        .orcpt = STR_INIT("rfc822;o+2Bx@b.example"),
};
static const struct recipient aliased = {
        .address = STR_INIT("secret@home.example"),
        .original = STR_INIT("editor@b.example"),
};
static const struct recipient international = {
        .address = STR_INIT("\xc3\xa4@\xe6\x97\xa5.example"),
};

static const struct dsn_recipient failed[] = {
        {.recipient = &plain,
         .action = DSN_FAILED,
         .status = STR_INIT("5.1.1"),
         .diagnostic = STR_INIT("550-5.1.1 no such user here\n550 5.1.1 ask the postmaster of "
                                "this place, who knows where everybody went"),
         .is_smtp = true,
         .remote_mta = STR_INIT("mx.b.example")},
        {.recipient = &aliased,
         .action = DSN_FAILED,
         .status = STR_INIT("5.4.7"),
         .diagnostic = STR_INIT("message too old")},
};

static struct dsn make_dsn(void)
{
        return (struct dsn){
                .original = &original,
                .original_id = STR("4jXQs90sf8zv"),
                .reporting_mta = STR("mx1.example"),
                .from = STR("MAILER-DAEMON@mx1.example"),
                .mail_name = STR("Forepost"),
                .boundary_id = STR("4jXQt10sf8zw"),
                .now_us = 1795344782000000,
                .recipients = failed,
                .recipient_count = 2,
                .header = STR("Subject: x\r\nFrom: s@t.example\r\n\r\n"),
                .body = STR("body\r\n"),
                .returns_body = true,
        };
}

static const char failed_text[] =
        "Date: Sun, 22 Nov 2026 10:53:02 +0000\r\n"
        "From: Mail Delivery System <MAILER-DAEMON@mx1.example>\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        "To: s@t.example\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "Message-Id: <4jXQt10sf8zw@mx1.example>\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n"
        "\tboundary=\"4jXQt10sf8zw.0/mx1.example\"\r\n"
        "\r\n"
        "This is a report in several parts (MIME).\r\n"
        "\r\n"
        "--4jXQt10sf8zw.0/mx1.example\r\n"
        "Content-Description: Notification\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "\r\n"
        "This is the mail system of mx1.example.\r\n"
        "\r\n"
        "Your message did not reach the recipients below, and no further attempt\r\n"
        "will be made. Behind each stands the reason. Your message, or its header,\r\n"
        "is attached.\r\n"
        "\r\n"
        "If you ask the postmaster for help, please send this report along.\r\n"
        "\r\n"
        "<a@b.example>: host mx.b.example said: 550-5.1.1 no such user here 550\r\n"
        "    5.1.1 ask the postmaster of this place, who knows where everybody went\r\n"
        "\r\n"
        "<editor@b.example>: message too old\r\n"
        "\r\n"
        "                   Forepost\r\n"
        "\r\n"
        "--4jXQt10sf8zw.0/mx1.example\r\n"
        "Content-Description: Delivery report\r\n"
        "Content-Type: message/delivery-status\r\n"
        "\r\n"
        "Original-Envelope-Id: id+1\r\n"
        "Reporting-MTA: dns; mx1.example\r\n"
        "X-Forepost-Queue-ID: 4jXQs90sf8zv\r\n"
        "X-Forepost-Sender: rfc822; s@t.example\r\n"
        "Arrival-Date: Sun, 22 Nov 2026 10:53:01 +0000\r\n"
        "\r\n"
        "Original-Recipient: rfc822; o+x@b.example\r\n"
        "Final-Recipient: rfc822; a@b.example\r\n"
        "Action: failed\r\n"
        "Status: 5.1.1\r\n"
        "Remote-MTA: dns; mx.b.example\r\n"
        "Diagnostic-Code: smtp; 550-5.1.1 no such user here 550 5.1.1 ask the\r\n"
        "    postmaster of this place, who knows where everybody went\r\n"
        "\r\n"
        "Final-Recipient: rfc822; editor@b.example\r\n"
        "Action: failed\r\n"
        "Status: 5.4.7\r\n"
        "Diagnostic-Code: X-Forepost; message too old\r\n"
        "\r\n"
        "--4jXQt10sf8zw.0/mx1.example\r\n"
        "Content-Description: Undelivered Message\r\n"
        "Content-Type: message/rfc822\r\n"
        "\r\n"
        "Subject: x\r\n"
        "From: s@t.example\r\n"
        "\r\n"
        "body\r\n"
        "\r\n"
        "--4jXQt10sf8zw.0/mx1.example--\r\n";

static int set_utc(void **state)
{
        return setenv("TZ", "UTC0", 1);
}

static void assert_has(const struct buf *out, const char *text)
{
        if (str_find_str(buf_str(out), str_from(text)) < 0)
                fail_msg("not there: %s", text);
}

static void assert_has_not(const struct buf *out, const char *text)
{
        if (str_find_str(buf_str(out), str_from(text)) >= 0)
                fail_msg("should not be there: %s", text);
}

/* Every line ends in CR LF, is short enough, and holds no other control character. */
static void assert_lines(const struct buf *out)
{
        struct str rest = buf_str(out);
        assert_true(str_ends(rest, STR("--\r\n")));
        while (rest.len) {
                struct str line = str_cut(&rest, '\n');
                assert_true(str_ends(line, STR("\r")) && line.len <= 999);
                for (size_t i = 0; i + 1 < line.len; i++)
                        assert_true((unsigned char)line.ptr[i] >= ' ' || line.ptr[i] == '\t');
        }
}

static void formats_failed(void **state)
{
        struct dsn d = make_dsn();
        struct buf out;
        buf_init(&out, 65536);
        assert_int_equal(dsn_format(&d, &out), 0);
        assert_str_equal(buf_str(&out), failed_text);
        assert_has_not(&out, "secret@home");
        assert_lines(&out);
        size_t len = out.len;
        out.bytes_max = 2 * len - 1;
        assert_int_equal(dsn_format(&d, &out), -ENOBUFS);
        assert_int_equal(out.len, len);
        buf_done(&out);
}

static void formats_other_actions(void **state)
{
        static const struct {
                enum dsn_action action;
                const char *subject, *field, *returned;
        } cases[] = {
                {DSN_DELAYED, "Subject: Delayed Mail (still being retried)\r\n",
                 "Action: delayed\r\n", "Content-Description: Delayed Message Headers\r\n"},
                {DSN_DELIVERED, "Subject: Successful Mail Delivery Report\r\n",
                 "Action: delivered\r\n", "Content-Description: Message Headers\r\n"},
                {DSN_RELAYED, "Subject: Successful Mail Delivery Report\r\n", "Action: relayed\r\n",
                 "Content-Description: Message Headers\r\n"},
                {DSN_EXPANDED, "Subject: Successful Mail Delivery Report\r\n",
                 "Action: expanded\r\n", "Content-Description: Message Headers\r\n"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct dsn_recipient one = {
                        .recipient = &plain,
                        .action = cases[i].action,
                        .status = STR("2.0.0"),
                        .will_retry_until_us = 1795344782000000,
                };
                struct dsn d = make_dsn();
                struct buf out;
                d.recipients = &one;
                d.recipient_count = 1;
                d.returns_body = false;
                buf_init(&out, 65536);
                assert_int_equal(dsn_format(&d, &out), 0);
                assert_has(&out, cases[i].subject);
                assert_has(&out, cases[i].field);
                assert_has(&out, cases[i].returned);
                assert_has(&out, "Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n");
                assert_has_not(&out, "body\r\n");
                assert_has_not(&out, "Diagnostic-Code");
                if (cases[i].action == DSN_DELAYED)
                        assert_has(&out, "Will-Retry-Until: Sun, 22 Nov 2026 10:53:02 +0000\r\n");
                else
                        assert_has_not(&out, "Will-Retry-Until");
                assert_lines(&out);
                buf_done(&out);
        }
}

static void speaks_utf8(void **state)
{
        struct dsn_recipient one = {
                .recipient = &international, .action = DSN_FAILED, .status = STR("5.1.1")};
        struct envelope utf8 = original;
        struct dsn d = make_dsn();
        struct buf out;
        d.recipients = &one;
        d.recipient_count = 1;
        buf_init(&out, 65536);
        /* a recipient that ASCII mail was sent to all the same */
        assert_int_equal(dsn_format(&d, &out), 0);
        assert_has(&out, "Content-Type: message/delivery-status\r\n\r\n");
        assert_has(&out, "Final-Recipient: utf-8; \\x{E4}@\\x{65E5}.example\r\n");
        assert_has(&out, "charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n");
        assert_has(&out, "<\xc3\xa4@\xe6\x97\xa5.example>");
        assert_has(&out, "Content-Type: message/rfc822\r\n\r\n");
        buf_clear(&out);

        utf8.smtputf8 = true;
        utf8.sender = STR("\xc3\xb6@t.example");
        d.original = &utf8;
        assert_int_equal(dsn_format(&d, &out), 0);
        assert_has(&out, "To: \xc3\xb6@t.example\r\n");
        assert_has(&out, "Content-Type: message/global-delivery-status\r\n"
                         "Content-Transfer-Encoding: 8bit\r\n");
        assert_has(&out, "Final-Recipient: utf-8; \xc3\xa4@\xe6\x97\xa5.example\r\n");
        assert_has(&out, "Content-Type: message/global\r\n");
        buf_clear(&out);

        d.returns_body = false;
        assert_int_equal(dsn_format(&d, &out), 0);
        assert_has(&out, "Content-Type: message/global-headers\r\n");
        buf_done(&out);
}

static void returns_bytes_as_they_were(void **state)
{
        struct dsn d = make_dsn();
        struct buf out;
        d.header = STR("Subject: \xe4\r\n");
        d.body = STR("8 bit: \xe4\xff, no end");
        buf_init(&out, 65536);
        assert_int_equal(dsn_format(&d, &out), 0);
        assert_has(&out, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                         "Subject: \xe4\r\n\r\n8 bit: \xe4\xff, no end\r\n\r\n--");
        assert_has(&out, "mx1.example\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        buf_clear(&out);
        /* no header at all */
        d.header = STR("");
        d.body = STR("only body\r\n");
        assert_int_equal(dsn_format(&d, &out), 0);
        assert_has(&out, "message/rfc822\r\n\r\n\r\nonly body\r\n\r\n--");
        buf_done(&out);
}

static void avoids_its_boundary(void **state)
{
        struct dsn d = make_dsn();
        struct buf out, body;
        d.header = STR("X: --4jXQt10sf8zw.0/mx1.example\r\n\r\n");
        d.body = STR("\r\n--4jXQt10sf8zw.1/mx1.example--\r\n");
        buf_init(&out, 65536);
        assert_int_equal(dsn_format(&d, &out), 0);
        assert_has(&out, "boundary=\"4jXQt10sf8zw.2/mx1.example\"\r\n");
        buf_clear(&out);
        /* somebody who guessed them all gets nothing */
        buf_init(&body, 65536);
        for (int i = 0; i < 100; i++)
                assert_int_equal(buf_printf(&body, "4jXQt10sf8zw.%d/mx1.example\r\n", i), 0);
        d.body = buf_str(&body);
        assert_int_equal(dsn_format(&d, &out), -ENOBUFS);
        assert_int_equal(out.len, 0);
        d.body = STR("");
        d.boundary_id = STR("a b\"c\r\nd");
        assert_int_equal(dsn_format(&d, &out), 0);
        assert_has(&out, "boundary=\"a_b_c__d.0/mx1.example\"\r\n");
        assert_lines(&out);
        buf_done(&out);
        buf_done(&body);
}

/* Text of strangers makes no lines and no fields of its own. */
static void cleans_text(void **state)
{
        static char long_word[3000];
        memset(long_word, 'w', sizeof(long_word));
        struct recipient r = {
                .address = STR("a@b.example"),
                .orcpt = STR("rfc822;x+0D+0AEvil: 1"),
        };
        struct dsn_recipient some[] = {
                {.recipient = &r,
                 .action = DSN_FAILED,
                 .status = STR("5.0.0\r\nEvil: 2"),
                 .diagnostic = STR("550 a\r\n\r\nEvil: 3\033[1m\0\xff"),
                 .remote_mta = STR("m\r\nEvil: 4")},
                {.recipient = &r,
                 .action = DSN_FAILED,
                 .status = STR("5.0.0"),
                 .diagnostic = str_make(long_word, sizeof(long_word))},
        };
        struct envelope e = original;
        struct dsn d = make_dsn();
        struct buf out;
        e.envid = STR("x+0D+0AEvil: 5");
        e.sender = STR("s@t\r\nEvil: 6");
        d.original = &e;
        d.recipients = some;
        buf_init(&out, 65536);
        assert_int_equal(dsn_format(&d, &out), 0);
        assert_has_not(&out, "\nEvil");
        assert_lines(&out);
        buf_clear(&out);
        e.sender = str_make(long_word, 1000);
        assert_int_equal(dsn_format(&d, &out), 0);
        assert_has(&out, "To: undisclosed-recipients:;\r\n");
        assert_lines(&out);
        buf_clear(&out);
        /* all of it long */
        static char long_utf8[1000];
        for (size_t i = 0; i < sizeof(long_utf8); i += 2)
                memcpy(long_utf8 + i, "\xc3\xa4", 2);
        r.address = str_make(long_utf8, sizeof(long_utf8));
        r.orcpt = str_make(long_word, sizeof(long_word));
        some[0].remote_mta = str_make(long_word, sizeof(long_word));
        assert_int_equal(dsn_format(&d, &out), 0);
        assert_lines(&out);
        buf_done(&out);
}

/* The original's Message-ID as it is, or nothing. */
static void names_its_original(void **state)
{
        static char long_id[1001];
        snprintf(long_id, sizeof(long_id), "<%0998d>", 1);
        static const struct {
                const char *value;
                bool smtputf8;
                const char *id;
        } cases[] = {
                {"<1@t.example>", false, "<1@t.example>"},
                {"(one) <1@t.example> (two)", false, "<1@t.example>"},
                {"", false, NULL},
                {"1@t.example", false, NULL},
                {"> <1@t.example", false, NULL},
                {"<1 2@t.example>", false, NULL},
                {"<1\x01@t.example>", false, NULL},
                {"<\xc3\xa4@t.example>", false, NULL},
                {"<\xc3\xa4@t.example>", true, "<\xc3\xa4@t.example>"},
                {"<\xff@t.example>", true, NULL},
                {long_id, false, NULL},
        };
        struct buf out, header, expected;
        buf_init(&out, 65536);
        buf_init(&header, 65536);
        buf_init(&expected, 65536);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct envelope e = original;
                struct dsn d = make_dsn();
                e.smtputf8 = cases[i].smtputf8;
                buf_clear(&out);
                buf_clear(&header);
                buf_clear(&expected);
                buf_printf(&header, "Subject: x\r\nMessage-ID:\r\n %s\r\n\r\n", cases[i].value);
                buf_printf(&expected, "\r\nReferences: %s\r\nIn-Reply-To: %s\r\n",
                           cases[i].id ? cases[i].id : "", cases[i].id ? cases[i].id : "");
                buf_append(&expected, "", 1);
                d.original = &e;
                d.header = buf_str(&header);
                d.is_threaded = true;
                assert_int_equal(dsn_format(&d, &out), 0);
                if (cases[i].id)
                        assert_has(&out, expected.ptr);
                else
                        assert_has_not(&out, "References");
                buf_clear(&out);
                d.is_threaded = false;
                assert_int_equal(dsn_format(&d, &out), 0);
                assert_has_not(&out, "References");
                assert_has_not(&out, "In-Reply-To");
        }
        buf_done(&out);
        buf_done(&header);
        buf_done(&expected);
}

/* A report has an action for each, and shows where an alias points. */
static void reports(void **state)
{
        static const struct dsn_recipient both[] = {
                {.recipient = &plain,
                 .action = DSN_DELIVERABLE,
                 .status = STR_INIT("2.1.5"),
                 .diagnostic = STR_INIT("250 2.1.5 ok"),
                 .words = STR_INIT("delivery via mx[192.0.2.1]:25: 250 2.1.5 ok"),
                 .is_smtp = true},
                {.recipient = &aliased,
                 .action = DSN_UNDELIVERABLE,
                 .status = STR_INIT("5.1.2"),
                 .diagnostic = STR_INIT("no way")},
        };
        struct dsn d = make_dsn();
        struct buf out;
        buf_init(&out, 65536);
        d.recipients = both;
        d.is_report = true;
        d.returns_body = false;
        assert_int_equal(dsn_format(&d, &out), 0);
        static const char *const parts[] = {
                "Subject: Mail Delivery Status Report\r\n",
                "\r\n<a@b.example>: delivery via mx[192.0.2.1]:25: 250 2.1.5 ok\r\n",
                "\r\n<secret@home.example> (expanded from <editor@b.example>): no way\r\n",
                ("Final-Recipient: rfc822; a@b.example\r\nAction: deliverable\r\nStatus: 2.1.5\r\n"
                 "Diagnostic-Code: smtp; 250 2.1.5 ok\r\n"),
                "Final-Recipient: rfc822; secret@home.example\r\nAction: undeliverable\r\n",
                "Content-Description: Message Headers\r\n",
        };
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
                if (str_find_str(buf_str(&out), str_from(parts[i])) < 0)
                        fail_msg("not there: %s", parts[i]);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(formats_failed),      cmocka_unit_test(formats_other_actions),
                cmocka_unit_test(speaks_utf8),         cmocka_unit_test(returns_bytes_as_they_were),
                cmocka_unit_test(avoids_its_boundary), cmocka_unit_test(cleans_text),
                cmocka_unit_test(names_its_original),  cmocka_unit_test(reports),
        };
        return cmocka_run_group_tests(tests, set_utc, NULL);
}
