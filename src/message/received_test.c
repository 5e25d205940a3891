/* received_test.c - dates and Received lines, in a zone of our own */
#include "base/unit.h"

#include "message/header.h"

#include <errno.h>

static const int64_t arrival_us = 1795344781999999; /* 2026-11-22 10:53:01.999999 UTC */

static int set_zone(const char *zone)
{
        int code = setenv("TZ", zone, 1);
        tzset();
        return code;
}

static void formats_dates(void **state)
{
        static const struct {
                const char *zone;
                int64_t us;
                const char *date;
        } cases[] = {
                {"UTC0", 1795344781999999, "Sun, 22 Nov 2026 10:53:01 +0000"},
                {"XYZ-5:30", 1795344781000000, "Sun, 22 Nov 2026 16:23:01 +0530"},
                {"XYZ3:45", 1795344781000000, "Sun, 22 Nov 2026 07:08:01 -0345"},
                {"XYZ0:30", 1795344781000000, "Sun, 22 Nov 2026 10:23:01 -0030"},
                {"UTC0", 0, "Thu, 1 Jan 1970 00:00:00 +0000"},
                {"UTC0", -1, "Wed, 31 Dec 1969 23:59:59 +0000"},
                {"UTC0", INT64_MAX, "Sun, 10 Jan 294247 04:00:54 +0000"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char date[DATE_BYTES_MAX];
                assert_int_equal(set_zone(cases[i].zone), 0);
                date_format(cases[i].us, date);
                assert_string_equal(date, cases[i].date);
        }
        set_zone("UTC0");
}

#define DATE  "Sun, 22 Nov 2026 10:53:01 +0000\r\n"
#define BY_ID "\tby mx1.example (Forepost) with ESMTPS id 4jXQs90sf8zv"

static const struct received_line line = {
        .by = STR_INIT("mx1.example"),
        .with = STR_INIT("ESMTPS"),
        .queue_id = STR_INIT("4jXQs90sf8zv"),
        .mail_name = STR_INIT("Forepost"),
};

static void formats_received(void **state)
{
        static const struct {
                struct str helo, name, address, tls, for_one;
                bool smtputf8;
                const char *out;
        } cases[] = {
                {STR_INIT("mail.a.example"), STR_INIT("a.example"), STR_INIT("192.0.2.1"),
                 STR_INIT(""), STR_INIT("b@c.example"), false,
                 "Received: from mail.a.example (a.example [192.0.2.1])\r\n" BY_ID
                 "\r\n\tfor <b@c.example>; " DATE},
                {STR_INIT("a.example"), STR_INIT("unknown"), STR_INIT("2001:db8::1"),
                 STR_INIT("TLSv1.3 with cipher X (256/256 bits)"), STR_INIT(""), false,
                 "Received: from a.example (unknown [IPv6:2001:db8::1])\r\n"
                 "\t(using TLSv1.3 with cipher X (256/256 bits))\r\n" BY_ID ";\r\n\t" DATE},
                {STR_INIT("[192.0.2.1]"), STR_INIT(""), STR_INIT("192.0.2.1"), STR_INIT(""),
                 STR_INIT(""), false,
                 "Received: from [192.0.2.1] (unknown [192.0.2.1])\r\n" BY_ID ";\r\n\t" DATE},
                {STR_INIT(""), STR_INIT("a.example"), STR_INIT("192.0.2.1"), STR_INIT(""),
                 STR_INIT(""), false,
                 "Received: from a.example (a.example [192.0.2.1])\r\n" BY_ID ";\r\n\t" DATE},
                /* a client that wants a line of its own */
                {STR_INIT("x (good [192.0.2.9])\r\nX: \0y"), STR_INIT("a.example"),
                 STR_INIT("192.0.2.1"), STR_INIT(""), STR_INIT(""), false,
                 "Received: from x??good??192.0.2.9????X:??y (a.example [192.0.2.1])\r\n" BY_ID
                 ";\r\n\t" DATE},
                {STR_INIT("\xc3\xa4.example"), STR_INIT("a"), STR_INIT("192.0.2.1"), STR_INIT(""),
                 STR_INIT("\xc3\xa4@b.example"), false,
                 "Received: from ??.example (a [192.0.2.1])\r\n" BY_ID ";\r\n\t" DATE},
                {STR_INIT("\xc3\xa4.example"), STR_INIT("a"), STR_INIT("192.0.2.1"), STR_INIT(""),
                 STR_INIT("\xc3\xa4@b.example"), true,
                 "Received: from \xc3\xa4.example (a [192.0.2.1])\r\n" BY_ID
                 "\r\n\tfor <\xc3\xa4@b.example>; " DATE},
                /* mail of our own, or of a session that is not shown */
                {STR_INIT(""), STR_INIT(""), STR_INIT(""), STR_INIT(""), STR_INIT(""), false,
                 "Received: by mx1.example (Forepost)\r\n\tid 4jXQs90sf8zv; " DATE},
                {STR_INIT(""), STR_INIT(""), STR_INIT(""), STR_INIT("TLSv1.3 with cipher X"),
                 STR_INIT("b@c.example"), false,
                 "Received: by mx1.example (Forepost)\r\n\tid 4jXQs90sf8zv\r\n\tfor "
                 "<b@c.example>; " DATE},
        };
        set_zone("UTC0");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct envelope e = {
                        .helo = cases[i].helo,
                        .client_name = cases[i].name,
                        .client_address = cases[i].address,
                        .smtputf8 = cases[i].smtputf8,
                        .arrival_us = arrival_us,
                };
                struct received_line one = line;
                struct buf out;
                one.tls = cases[i].tls;
                one.for_one = cases[i].for_one;
                buf_init(&out, 4096);
                assert_int_equal(received_format(&e, &one, &out), 0);
                assert_str_equal(buf_str(&out), cases[i].out);
                buf_done(&out);
        }
}

/* Whatever comes in: one field, no control characters, no line over 998. */
static void keeps_lines_whole(void **state)
{
        static char every[3000];
        struct buf out;
        for (size_t i = 0; i < sizeof(every); i++)
                every[i] = (char)(i % 256);
        struct str wild = str_make(every, sizeof(every));
        struct envelope e = {
                .helo = wild, .client_name = wild, .client_address = wild, .smtputf8 = true};
        struct received_line one = line;
        one.tls = wild;
        one.for_one = wild;
        buf_init(&out, 8192);
        assert_int_equal(received_format(&e, &one, &out), 0);
        struct str rest = buf_str(&out);
        for (int lines = 0; rest.len; lines++) {
                struct str text = str_cut(&rest, '\n');
                assert_true(text.len > 0 && text.len <= 999);
                assert_true(lines == 0 || text.ptr[0] == '\t');
                for (size_t i = lines > 0; i + 1 < text.len; i++)
                        assert_true(text.ptr[i] >= ' ' && text.ptr[i] <= '~');
                assert_int_equal(text.ptr[text.len - 1], '\r');
        }
        size_t bytes = out.len;
        out.bytes_max = 2 * bytes - 1;
        assert_int_equal(received_format(&e, &one, &out), -ENOBUFS);
        assert_int_equal(out.len, bytes);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(formats_dates),
                cmocka_unit_test(formats_received),
                cmocka_unit_test(keeps_lines_whole),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
