/* authres_test.c - whose Authentication-Results is this? (RFC 8601 2.2, 5) */
#include "base/unit.h"
#include "message/authres.h"

static void the_id_is_found(void **state)
{
        static const struct {
                const char *value, *id;
        } rows[] = {
                {"mx1.example.com; spf=pass smtp.mailfrom=example.net", "mx1.example.com"},
                {"mx1.example.com 1; none", "mx1.example.com"},
                {"mx1.example.com;none", "mx1.example.com"},
                {"  (foo (bar \\) ) ) \r\n\t mx1.example.com (x)\r\n 1; none", "mx1.example.com"},
                {"\"mx1.example.com\" ; none", "mx1.example.com"},
                {"\"mx1\\.example.com\"; none", "mx1.example.com"},
                {"mx1.example.com(comment); none", "mx1.example.com"},
                {"mx1.example.com", "mx1.example.com"},
                {"", ""},
                {"(never closed mx1.example.com", ""},
                {"; none", ""},
                {"\"open", "open"},
                {"(x\\", ""},
                {"\"x\\", "x\\"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct arena arena;
                arena_init(&arena, 0);
                struct str id = authres_id(str_from(rows[i].value), &arena);
                if (!str_eq(id, str_from(rows[i].id)))
                        fail_msg("%s: \"%.*s\"", rows[i].value, STR_ARG(id));
                arena_done(&arena);
        }
}

static void a_field_is_of_one(void **state)
{
        static const struct {
                const char *name, *value;
                bool is_ours;
        } rows[] = {
                {"Authentication-Results", "mx1.example.com; spf=pass", true},
                {"AUTHENTICATION-results", "MX1.Example.COM.; spf=pass", true},
                {"Authentication-Results ", "mx1.example.com; spf=pass", true},
                {"Authentication-Results", "mx2.example.com; spf=pass", false},
                {"Authentication-Results", "a.mx1.example.com; spf=pass", false},
                {"Authentication-Results", "mx1.example.com.evil; spf=pass", false},
                {"X-Authentication-Results", "mx1.example.com; spf=pass", false},
                {"ARC-Authentication-Results", "mx1.example.com; spf=pass", false},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct arena arena;
                arena_init(&arena, 0);
                if (authres_is_of(str_from(rows[i].name), str_from(rows[i].value),
                                  STR("mx1.example.com"), &arena) != rows[i].is_ours)
                        fail_msg("%s: %s", rows[i].name, rows[i].value);
                arena_done(&arena);
        }
}

static void values_are_quoted_when_they_must(void **state)
{
        static const struct {
                const char *value, *out;
        } rows[] = {
                {"example.com", "example.com"},
                {"a@example.com", "\"a@example.com\""},
                {"", "\"\""},
                {"a \"b\" \\", "\"a \\\"b\\\" \\\\\""},
                {"x\r\ny", "\"x??y\""},
                {"\xc3\xa4", "\"\xc3\xa4\""},
                {"0123456789012345678901234567890123456789", "01234567890123456789"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct buf b;
                buf_init(&b, 100);
                assert_int_equal(authres_put_value(&b, str_from(rows[i].value), 20), 0);
                assert_str_equal(buf_str(&b), rows[i].out);
                buf_done(&b);
        }
        struct buf b;
        buf_init(&b, 3);
        assert_true(authres_put_value(&b, STR("a b"), 20) < 0);
        buf_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_id_is_found),
                cmocka_unit_test(a_field_is_of_one),
                cmocka_unit_test(values_are_quoted_when_they_must),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
