/* header_test.c - headers of those whose headers are rewritten: addresses, and what is missing */
#include "cleanup/cleanup_unit.h"

/* With the date left out. */
static const char *run(struct mill *m, const char *text)
{
        static char out[300000];
        snprintf(out, sizeof(out), "%s", mill_run(m, text));
        char *date = strstr(out, "Date: Thu, 1 Jan 1970");
        char *end = date ? strchr(date, '\n') : NULL;
        if (end)
                memmove(date + 6, end - 1, strlen(end - 1) + 1);
        return out;
}

static void only_some_clients_are_rewritten(void **state)
{
        static const struct {
                const char *lines, *client;
                bool is_rewritten;
        } rows[] = {
                {"", "192.0.2.1", false},
                {"", "127.0.0.1", true}, /* inet_interfaces */
                {"", "10.0.0.1", false},
                {"local_header_rewrite_clients = permit_mynetworks\n", "10.0.0.1", true},
                {"local_header_rewrite_clients = static:all\n", "192.0.2.1", true},
                {"local_header_rewrite_clients = check_address_map inline:{192.0.2.1=x}\n",
                 "192.0.2.1", true},
                {"local_header_rewrite_clients = check_address_map inline:{192.0.2.1=x}\n",
                 "192.0.2.2", false},
                {"local_header_rewrite_clients =\n", "127.0.0.1", false},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                mill_init(&m);
                mill_load(&m, rows[i].lines);
                rig_client(&m.rig, "x", rows[i].client);
                const char *expected = rows[i].is_rewritten
                                               ? "From: a@origin.example\r\nTo: b@c.example\r\n"
                                               : "From: a\r\nTo: b@c.example\r\n";
                const char *out = run(&m, "From: a\r\nTo: b@c.example\r\n\r\n");
                if (strncmp(out, expected, strlen(expected)) != 0)
                        fail_msg("%s%s: %s", rows[i].lines, rows[i].client, out);
                assert_int_equal(strstr(out, "\r\nMessage-Id: ") != NULL, rows[i].is_rewritten);
                mill_done(&m);
        }
}

static void what_is_missing_is_added(void **state)
{
#define ID "Message-Id: <4gXyZ12abcz9@mx1.example.com>\r\n"
        static const struct {
                const char *lines, *text, *expected;
        } rows[] = {
                {"always_add_missing_headers = yes\n", "Subject: x\r\n\r\nb\r\n",
                 "Subject: x\r\n" ID "Date: \r\nFrom: a@b.example\r\n\r\nb\r\n"},
                {"always_add_missing_headers = yes\n", "", ID "Date: \r\nFrom: a@b.example\r\n"},
                {"always_add_missing_headers = yes\nundisclosed_recipients_header = To: nobody:;\n",
                 "From: x@y\r\nDate: z\r\nMessage-Id: <1@2>\r\n\r\n",
                 "From: x@y\r\nDate: z\r\nMessage-Id: <1@2>\r\nTo: nobody:;\r\n\r\n"},
                {"always_add_missing_headers = yes\nundisclosed_recipients_header = To: nobody:;\n",
                 "From: x@y\r\nDate: z\r\nCC: a@b\r\nMESSAGE-ID: <1@2>\r\n\r\n",
                 "From: x@y\r\nDate: z\r\nCC: a@b\r\nMESSAGE-ID: <1@2>\r\n\r\n"},
                {"always_add_missing_headers = yes\n",
                 "From: x@y\r\nDate: z\r\nMessage-Id: <1@2>\r\nResent-To: a@b\r\nResent-Sender: c@d"
                 "\r\n\r\n",
                 "From: x@y\r\nDate: z\r\nMessage-Id: <1@2>\r\nResent-To: a@b\r\nResent-Sender: c@d"
                 "\r\nResent-" ID "Resent-Date: \r\nResent-From: a@b.example\r\n\r\n"},
                {"", "Subject: x\r\n\r\nb\r\n", "Subject: x\r\n\r\nb\r\n"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                mill_init(&m);
                mill_load(&m, rows[i].lines);
                const char *out = run(&m, rows[i].text);
                if (strcmp(out, rows[i].expected) != 0)
                        fail_msg("%s%s: \"%s\"", rows[i].lines, rows[i].text, out);
                mill_done(&m);
        }
}

static void addresses_are_rewritten(void **state)
{
#define LOCAL "local_header_rewrite_clients = static:all\nmasquerade_domains = b.example\n"
        static const struct {
                const char *lines, *field, *expected;
        } rows[] = {
                {LOCAL, "To: \"X, Y\" <a> (a@b), c@d.example,\r\n\te%f.example",
                 "To: \"X, Y\" <a@origin.example> (a@b), c@d.example,\r\n\te@f.example"},
                {LOCAL, "From: A <a@host.b.example>", "From: A <a@b.example>"},
                {LOCAL, "Reply-To: a@host.b.example", "Reply-To: a@b.example"},
                {LOCAL, "Cc: g: a@h.b.example, <c@d.example>;",
                 "Cc: g: a@b.example, <c@d.example>;"},
                {LOCAL, "Subject: a@host.b.example", "Subject: a@host.b.example"},
                {LOCAL, "To: undisclosed-recipients:;", "To: undisclosed-recipients:;"},
                {LOCAL, "To: not an address", "To: not an address"},
                {LOCAL "canonical_maps = inline:{a@b.example=x@y.example}\n",
                 "From: A <a@b.example>", "From: A <x@y.example>"},
                {LOCAL "canonical_classes = envelope_sender\n"
                       "canonical_maps = inline:{a@b.example=x@y.example}\n",
                 "From: A <a@b.example>", "From: A <a@b.example>"},
                {LOCAL "sender_canonical_maps = inline:{a@b.example=x@y.example}\n",
                 "To: a@b.example", "To: a@b.example"},
                {LOCAL "recipient_canonical_maps = inline:{a@b.example=x@y.example}\n",
                 "To: a@b.example", "To: x@y.example"},
                {"remote_header_rewrite_domain = remote.example\nappend_dot_mydomain = yes\n",
                 "To: a, b@host", "To: a@remote.example, b@host.remote.example"},
                {"canonical_maps = inline:{a@b.example=x@y.example}\n", "To: a@b.example",
                 "To: a@b.example"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                char text[1000];
                char expected[1000];
                mill_init(&m);
                mill_load(&m, rows[i].lines);
                snprintf(text, sizeof(text), "%s\r\n\r\n", rows[i].field);
                snprintf(expected, sizeof(expected), "%s\r\n", rows[i].expected);
                const char *out = run(&m, text);
                if (strncmp(out, expected, strlen(expected)) != 0)
                        fail_msg("%s%s: \"%s\"", rows[i].lines, rows[i].field, out);
                mill_done(&m);
        }
}

static void a_table_that_cannot_be_asked_refuses_for_now(void **state)
{
        struct mill m;
        mill_init(&m);
        mill_load(&m, LOCAL "canonical_maps = inline:{a@b.example=x@y.example}\n");
        assert_string_equal(run(&m, "From: broken@b.example\r\n\r\n"),
                            "451 4.3.0 Temporary lookup failure");
        mill_done(&m);
}

static void fields_are_dropped_and_hops_counted(void **state)
{
        struct mill m;
        mill_init(&m);
        mill_load(&m, "hopcount_limit = 4\n");
        assert_string_equal(
                run(&m, "Bcc: a@b,\r\n c@d\r\nX: y\r\nReturn-Path: <x@y>\r\n\r\nBcc: z\r\n"),
                "X: y\r\n\r\nBcc: z\r\n");
        assert_string_equal(run(&m, "Received: a\r\nReceived: b\r\n\r\nReceived: c\r\n"),
                            "Received: a\r\nReceived: b\r\n\r\nReceived: c\r\n");
        assert_string_equal(run(&m, "Received: a\r\nReceived: b\r\nDelivered-To: c\r\n\r\n"),
                            "Received: a\r\nReceived: b\r\nDelivered-To: c\r\n\r\n");
        assert_string_equal(run(&m, "Received: a\r\nReceived: b\r\nreceived: c\r\n\r\n"),
                            "554 5.4.0 Error: too many hops");
        mill_done(&m);
}

/* force_mime_input_conversion: checks see what is made of it, whatever the pieces that it comes in */
static void what_says_8bit_is_converted(void **state)
{
        static const char text[] =
                "Subject: x\r\nMIME-Version: 1.0\r\n"
                "Content-Type: multipart/mixed; boundary=b\r\n"
                "Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\n"
                "Content-Type: text/plain; charset=utf-8\r\n"
                "Content-Transfer-Encoding: 8bit\r\n\r\n"
                "gr\xc3\xbc\xc3\x9f dich\r\n--b\r\n\r\nplain = text\r\n--b--\r\n";
        struct mill m;
        mill_init(&m);
        mill_load(&m, "force_mime_input_conversion = yes\n"
                      "body_checks = pcre:{ {/^gr=C3=BC/ PREPEND seen} }\n");
        const char *out = mill_run(&m, text);
        assert_non_null(strstr(out, "seen\r\ngr=C3=BC=C3=9F dich\r\n"));
        assert_non_null(strstr(out, "Content-Transfer-Encoding: quoted-printable\r\n"));
        assert_non_null(strstr(out, "plain = text\r\n"));
        assert_null(strstr(out, ": 8bit"));
        mill_done(&m);

        /* lists that ask for nothing: it is converted to its end all the same */
        mill_init(&m);
        mill_load(&m, "force_mime_input_conversion = yes\n");
        out = mill_run(&m, text);
        assert_non_null(strstr(out, "\r\ngr=C3=BC=C3=9F dich\r\n"));
        mill_done(&m);

        /* who takes no parts apart converts none */
        mill_init(&m);
        mill_load(&m, "force_mime_input_conversion = yes\ndisable_mime_input_processing = yes\n");
        assert_non_null(strstr(mill_run(&m, text), "gr\xc3\xbc\xc3\x9f dich\r\n"));
        mill_done(&m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_says_8bit_is_converted),
                cmocka_unit_test(only_some_clients_are_rewritten),
                cmocka_unit_test(what_is_missing_is_added),
                cmocka_unit_test(addresses_are_rewritten),
                cmocka_unit_test(a_table_that_cannot_be_asked_refuses_for_now),
                cmocka_unit_test(fields_are_dropped_and_hops_counted),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
