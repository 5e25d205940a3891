/* json_line_test.c - flat JSON objects, and what is none (RFC 8259) */
#include "base/unit.h"
#include "ops/json_line.h"

static void objects_are_read(void **state)
{
        static const struct {
                const char *line, *value;
        } rows[] = {
                {"{\"k\": \"v\"}", "v"},
                {" { \"a\" : 1 , \"k\":\"v\", \"b\":null }\r\n", "v"},
                {"{\"k\":\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"}", "a\"\\/\b\f\n\r\tz"},
                {"{\"k\":\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00\"}",
                 "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
                {"{\"k\":\"\xc3\xa4\"}", "\xc3\xa4"},
                {"{\"k\":\"first\",\"k\":\"last\"}", "last"},
                {"{\"\\u006b\":\"v\"}", "v"},
                {"{\"k\":\"\"}", ""},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct arena arena;
                struct json_line line;
                struct why why;
                struct str value;
                arena_init(&arena, 0);
                if (json_line_read(str_from(rows[i].line), &arena, &line, &why))
                        fail_msg("%s: %s", rows[i].line, why.text);
                assert_true(json_line_text(&line, "k", &value));
                assert_str_equal(value, rows[i].value);
                arena_done(&arena);
        }
}

static void others_are_refused(void **state)
{
        static const char *const rows[] = {
                "",
                "{",
                "}",
                "[]",
                "x",
                "{k:1}",
                "{\"k\"}",
                "{\"k\":}",
                "{\"k\":1,}",
                "{\"k\":1}x",
                "{,}",
                "{\"k\":\"v}",
                "{\"k\":\"\\x\"}",
                "{\"k\":\"\\u12\"}",
                "{\"k\":\"\\ud83d\"}",
                "{\"k\":\"\\ude00\"}",
                "{\"k\":\"\\ud83d\\u0041\"}",
                "{\"k\":\"a\nb\"}",
                "{\"k\":{}}",
                "{\"k\":[1]}",
                "{\"k\":\"v\\",
                "{\"k\" \"v\"}",
                "{\"a\":1 \"b\":2}",
                "{}{}",
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct arena arena;
                struct json_line line;
                struct why why;
                arena_init(&arena, 0);
                if (json_line_read(str_from(rows[i]), &arena, &line, &why) == 0)
                        fail_msg("%s was taken", rows[i]);
                assert_non_null(strstr(why.text, "byte "));
                arena_done(&arena);
        }
}

static void members_have_a_ceiling(void **state)
{
        char text[2000] = "{";
        size_t len = 1;
        for (int i = 0; i <= JSON_MEMBERS_MAX; i++)
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\"m%d\":%d",
                                        i ? "," : "", i, i);
        snprintf(text + len, sizeof(text) - len, "}");
        struct arena arena;
        struct json_line line;
        struct why why;
        struct str value;
        arena_init(&arena, 0);
        assert_int_not_equal(json_line_read(str_from(text), &arena, &line, &why), 0);
        assert_int_equal(json_line_read(STR("{}"), &arena, &line, &why), 0);
        assert_false(json_line_text(&line, "k", &value));
        assert_int_equal(json_line_read(STR("{\"k\":1}"), &arena, &line, &why), 0);
        assert_false(json_line_text(&line, "k", &value));
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(objects_are_read),
                cmocka_unit_test(others_are_refused),
                cmocka_unit_test(members_have_a_ceiling),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
