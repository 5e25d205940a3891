/* mime_test.c - messages taken apart: what is a header of what, and what is text */
#include "base/unit.h"

#include "message/mime.h"

#include <stdio.h>

static const struct mime_limits wide = {.field_bytes_max = 1000,
                                        .line_bytes_max = 1000,
                                        .boundary_bytes_max = 70,
                                        .nesting_max = 5};

/* Each unit as a letter and its text: P primary, M part, N nested, R rest, E end, B body. */
static const char *take_apart(const struct mime_limits *limits, struct str text, size_t step)
{
        static char out[200000];
        size_t len = 0;
        struct mime m;
        struct mime_unit unit;
        size_t given = 0;
        enum mime_kind was = MIME_BODY_LINE;
        struct str rest = str_make(text.ptr, 0);
        mime_init(&m, limits);
        for (bool is_all = false;; is_all = true) {
                while (given < text.len || is_all) {
                        size_t more = text.len - given < step ? text.len - given : step;
                        given += more;
                        rest.len += more;
                        while (mime_next(&m, &rest, is_all, &unit)) {
                                /* the rest of a field comes as it comes: shown as one */
                                bool goes_on = unit.kind == MIME_FIELD_REST && was == unit.kind;
                                was = unit.kind;
                                len -= goes_on;
                                len += (size_t)snprintf(out + len, sizeof(out) - len,
                                                        goes_on ? "%.0s%.*s>%s" : "%.1s<%.*s>%s",
                                                        &"PMNREB"[unit.kind], STR_ARG(unit.raw),
                                                        unit.faults ? "!" : "");
                                assert_true(len < sizeof(out));
                        }
                        if (is_all)
                                break;
                }
                if (is_all)
                        break;
        }
        assert_int_equal(rest.len, 0);
        mime_done(&m);
        return out;
}

static void check_parts(const struct mime_limits *limits, const char *text, const char *expected)
{
        static char whole[200000];
        struct str all = str_from(text);
        snprintf(whole, sizeof(whole), "%s", take_apart(limits, all, all.len ? all.len : 1));
        if (strcmp(whole, expected) != 0)
                fail_msg("\"%s\": \"%s\", not \"%s\"", text, whole, expected);
        for (size_t step = 1; step < 20 && step <= all.len; step++) {
                const char *out = take_apart(limits, all, step);
                if (strcmp(out, whole) != 0)
                        fail_msg("in pieces of %zu: \"%s\", not \"%s\"", step, out, whole);
        }
}

static void tells_headers_from_bodies(void **state)
{
        static const struct {
                const char *text, *expected;
        } rows[] = {
                {"", "E<>"},
                {"A: b\r\n\r\nc\r\n", "P<A: b\r\n>E<\r\n>B<c\r\n>"},
                {"A: b\r\n c\r\n\td\r\nE: f\r\n\r\n", "P<A: b\r\n c\r\n\td\r\n>P<E: f\r\n>E<\r\n>"},
                {"A: b\r\nno field\r\n\r\n", "P<A: b\r\n>E<>B<no field\r\n>B<\r\n>"},
                {" blank first\r\n", "E<>B< blank first\r\n>"},
                {"A: b", "P<A: b>E<>"},
                {"\r\nb", "E<\r\n>B<b>"},
                {"A: \xe4\r\n\r\n\xe4\r\n", "P<A: \xe4\r\n>!E<\r\n>B<\xe4\r\n>!"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                check_parts(&wide, rows[i].text, rows[i].expected);
}

#define MULTI(param)    "Content-Type: multipart/mixed; " param "\r\n\r\n"
#define IN_MULTI(param) "P<Content-Type: multipart/mixed; " param "\r\n>E<\r\n>"

static void finds_parts(void **state)
{
        static const struct {
                const char *text, *expected;
        } rows[] = {
                {MULTI("boundary=x") "pre\r\n--x\r\nA: b\r\n\r\nt\r\n--x--\r\npost\r\n",
                 IN_MULTI("boundary=x") "B<pre\r\n>B<--x\r\n>M<A: b\r\n>E<\r\n>B<t\r\n>B<--x--\r\n>"
                                        "B<post\r\n>"},
                /* a part without a header, and one without a blank line */
                {MULTI("boundary=x") "--x\r\n\r\nA: b\r\n--x\r\nt\r\n",
                 IN_MULTI("boundary=x") "B<--x\r\n>E<\r\n>B<A: b\r\n>B<--x\r\n>E<>B<t\r\n>"},
                /* how boundaries are written */
                {MULTI("charset=u; boundary=\"a b\\\"c\"") "--a b\"c\r\nA: b\r\n",
                 IN_MULTI("charset=u; boundary=\"a b\\\"c\"") "B<--a b\"c\r\n>M<A: b\r\n>E<>"},
                {MULTI("(comment; boundary=y) boundary=x (no)") "--y\r\nA: b\r\n--x\r\nA: b\r\n",
                 IN_MULTI("(comment; boundary=y) boundary=x (no)") "B<--y\r\n>B<A: b\r\n>B<--x\r\n>"
                                                                   "M<A: b\r\n>E<>"},
                {"CONTENT-TYPE:\r\n\tMultiPart/ALTERNATIVE;\r\n\tBOUNDARY=x\r\n\r\n--x\r\nA: b\r\n",
                 "P<CONTENT-TYPE:\r\n\tMultiPart/ALTERNATIVE;\r\n\tBOUNDARY=x\r\n>E<\r\n>B<--x\r\n>"
                 "M<A: b\r\n>E<>"},
                {MULTI("boundary=\"\"") "--\r\nA: b\r\n",
                 IN_MULTI("boundary=\"\"") "B<--\r\n>B<A: b\r\n>"},
                {MULTI("boundary=\"\"") "--x--\r\nA: b\r\n\r\n----\r\n--x\r\nA: b\r\n",
                 IN_MULTI("boundary=\"\"") "B<--x--\r\n>M<A: b\r\n>E<\r\n>B<----\r\n>B<--x\r\n>"
                                           "B<A: b\r\n>"},
                {MULTI("boundary=") "--x\r\nA: b\r\n",
                 IN_MULTI("boundary=") "B<--x\r\n>B<A: b\r\n>"},
                {"Content-Type: multipart/mixed\r\n\r\n--x\r\n",
                 "P<Content-Type: multipart/mixed\r\n>E<\r\n>B<--x\r\n>"},
                /* the first boundary that a line begins with counts */
                {MULTI("boundary=x") "--xy\r\nA: b\r\n",
                 IN_MULTI("boundary=x") "B<--xy\r\n>M<A: b\r\n>E<>"},
                /* an outer boundary ends what is inside */
                {MULTI("boundary=o") "--o\r\n" MULTI(
                         "boundary=i") "--i\r\nA: b\r\n\r\n--o\r\nC: d\r\n",
                 IN_MULTI(
                         "boundary=o") "B<--o\r\n>M<Content-Type: multipart/mixed; boundary=i\r\n>"
                                       "E<\r\n>B<--i\r\n>M<A: b\r\n>E<\r\n>B<--o\r\n>M<C: d\r\n>E<>"},
                {MULTI("boundary=o") "--o\r\n" MULTI(
                         "boundary=i") "--i--\r\n--i\r\nA: b\r\n--o\r\nC: d\r\n",
                 IN_MULTI(
                         "boundary=o") "B<--o\r\n>M<Content-Type: multipart/mixed; boundary=i\r\n>"
                                       "E<\r\n>B<--i--\r\n>B<--i\r\n>B<A: b\r\n>B<--o\r\n>M<C: d\r\n>"
                                       "E<>"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                check_parts(&wide, rows[i].text, rows[i].expected);
}

static void looks_into_messages(void **state)
{
        check_parts(&wide, "Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nt\r\n",
                    "P<Content-Type: message/rfc822\r\n>E<\r\n>N<A: b\r\n>E<\r\n>B<t\r\n>");
        check_parts(&wide, "Content-Type: message/rfc822\r\n\r\n",
                    "P<Content-Type: message/rfc822\r\n>E<\r\n>E<>");
        check_parts(&wide, "Content-Type: message/partial\r\n\r\nA: b\r\n",
                    "P<Content-Type: message/partial\r\n>E<\r\n>B<A: b\r\n>");
        check_parts(
                &wide, "Content-Type: message/rfc822\r\n\r\n" MULTI("boundary=x") "--x\r\nA: b\r\n",
                "P<Content-Type: message/rfc822\r\n>E<\r\n>"
                "N<Content-Type: multipart/mixed; boundary=x\r\n>E<\r\n>B<--x\r\n>M<A: b\r\n>E<>");
        check_parts(
                &wide,
                "Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\nA: b\r\n\r\n--x\r\n"
                "Content-Type: text/plain\r\n\r\nA: b\r\n",
                "P<Content-Type: multipart/digest; boundary=x\r\n>E<\r\n>B<--x\r\n>E<\r\n>"
                "N<A: b\r\n>E<\r\n>B<--x\r\n>M<Content-Type: text/plain\r\n>E<\r\n>B<A: b\r\n>");
}

static void has_limits(void **state)
{
        const struct mime_limits narrow = {.field_bytes_max = 20,
                                           .line_bytes_max = 10,
                                           .boundary_bytes_max = 2,
                                           .nesting_max = 1};
        check_parts(&narrow, "A: 45678901234567890123456789012\r\n f\r\nB: c\r\n\r\n",
                    "P<A: 45678901234567890>R<123456789012\r\n f\r\n>P<B: c\r\n>E<\r\n>");
        /* what does not begin within the limit is no field */
        check_parts(&narrow, "A2345678901234567890123: b\r\n",
                    "E<>B<A234567890>B<1234567890>B<123: b\r\n>");
        check_parts(&narrow, "\r\n12345678901234\r\n5\r\n",
                    "E<\r\n>B<1234567890>B<1234\r\n>B<5\r\n>");
        /* boundaries are told apart by as much as the limit says; behind them comes no header */
        const struct mime_limits one = {.field_bytes_max = 100,
                                        .line_bytes_max = 10,
                                        .boundary_bytes_max = 2,
                                        .nesting_max = 1};
        check_parts(&one, MULTI("boundary=abcdef") "--abxyz\r\nA: b\r\n",
                    IN_MULTI("boundary=abcdef") "B<--abxyz\r\n>M<A: b\r\n>E<>");
        check_parts(&one, MULTI("boundary=a") "--a4567890A: b\r\nC: d\r\n",
                    IN_MULTI("boundary=a") "B<--a4567890>B<A: b\r\n>M<C: d\r\n>E<>");
        check_parts(
                &one, MULTI("boundary=a") "--a\r\n" MULTI("boundary=b") "--b\r\nA: b\r\n",
                IN_MULTI("boundary=a") "B<--a\r\n>M<Content-Type: multipart/mixed; boundary=b\r\n>"
                                       "E<\r\n>!B<--b\r\n>B<A: b\r\n>");
        const struct mime_limits off = {.field_bytes_max = 100,
                                        .line_bytes_max = 10,
                                        .boundary_bytes_max = 2,
                                        .nesting_max = 1,
                                        .is_one_body = true};
        check_parts(&off, MULTI("boundary=a") "--a\r\nA: b\r\n",
                    IN_MULTI("boundary=a") "B<--a\r\n>B<A: b\r\n>");
}

static void finds_faults(void **state)
{
        static const struct {
                const char *type, *encoding, *body;
                unsigned faults;
        } rows[] = {
                {"text/plain", "7bit", "a", 0},
                {"text/plain", "8bit", "\xe4", 0},
                {"text/plain", "binary", "\xe4", 0},
                {"text/plain", "quoted-printable", "\xe4", 0},
                {"text/plain", "unknown", "\xe4", MIME_FAULT_8BIT_BODY},
                {"text/plain", "base64", "a", 0},
                {"multipart/mixed", "base64", "a", MIME_FAULT_ENCODING_DOMAIN},
                {"multipart/mixed", "8bit", "a", 0},
                {"message/rfc822", "quoted-printable", "a", MIME_FAULT_ENCODING_DOMAIN},
                {"message/partial", "binary", "a", MIME_FAULT_ENCODING_DOMAIN},
                {"message/partial", "8bit", "a", MIME_FAULT_ENCODING_DOMAIN},
                {"message/partial", "base64", "a", 0},
                {"message/delivery-status", "8bit", "a", 0},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char text[300];
                struct mime m;
                struct mime_unit unit;
                unsigned faults = 0;
                snprintf(text, sizeof(text),
                         "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s\r\n",
                         rows[i].type, rows[i].encoding, rows[i].body);
                struct str rest = str_from(text);
                mime_init(&m, &wide);
                while (mime_next(&m, &rest, true, &unit))
                        faults |= unit.faults;
                mime_done(&m);
                if (faults != rows[i].faults)
                        fail_msg("%s %s: %u", rows[i].type, rows[i].encoding, faults);
        }
}

static void counts_each_part_by_itself(void **state)
{
        struct str rest = STR(MULTI("boundary=x") "1234\r\n--x\r\n\r\n67\r\n8\r\n");
        static const uint64_t offsets[] = {0, 6, 0, 4};
        struct mime m;
        struct mime_unit unit;
        size_t n = 0;
        mime_init(&m, &wide);
        while (mime_next(&m, &rest, true, &unit))
                if (unit.kind == MIME_BODY_LINE)
                        assert_int_equal(unit.offset, offsets[n++]);
        assert_int_equal(n, 4);
        mime_done(&m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tells_headers_from_bodies),
                cmocka_unit_test(finds_parts),
                cmocka_unit_test(looks_into_messages),
                cmocka_unit_test(has_limits),
                cmocka_unit_test(finds_faults),
                cmocka_unit_test(counts_each_part_by_itself),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
