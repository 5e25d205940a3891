/* json_test.c - whatever the text, the result is JSON */
#include "ops/json.h"

#include "base/unit.h"

static void test_strings(void **state)
{
        static const struct {
                struct str text;
                const char *expected;
        } cases[] = {
                {STR_INIT(""), "\"\""},
                {STR_INIT("a b"), "\"a b\""},
                {STR_INIT("say \"x\""), "\"say \\\"x\\\"\""},
                {STR_INIT("a\\b"), "\"a\\\\b\""},
                {STR_INIT("a\r\nb\t\x7f"), "\"a\\u000d\\u000ab\\u0009\\u007f\""},
                {STR_INIT("nul\0nul"), "\"nul\\u0000nul\""},
                {STR_INIT("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\""},
                {STR_INIT("gr\xfc\xdf"), "\"gr\\u00fc\\u00df\""},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct buf out;
                struct json j;
                buf_init(&out, 1000);
                json_init(&j, &out);
                json_str(&j, NULL, cases[i].text);
                assert_false(json_is_cut(&j));
                assert_str_equal(buf_str(&out), cases[i].expected);
                buf_done(&out);
        }
}

static void test_commas(void **state)
{
        struct buf out;
        struct json j;
        buf_init(&out, 1000);
        json_init(&j, &out);
        json_open(&j, NULL, '{');
        json_int(&j, "a", -1);
        json_open(&j, "b", '[');
        json_open(&j, NULL, '{');
        json_close(&j, '}');
        json_bool(&j, NULL, true);
        json_close(&j, ']');
        json_open(&j, "c", '[');
        json_close(&j, ']');
        json_bool(&j, "d", false);
        json_close(&j, '}');
        json_end(&j);
        json_int(&j, NULL, 7);
        assert_str_equal(buf_str(&out),
                         "{\"a\": -1, \"b\": [{}, true], \"c\": [], \"d\": false}\n7");
        buf_done(&out);
}

static void test_over_the_ceiling(void **state)
{
        struct buf out;
        struct json j;
        buf_init(&out, 5);
        json_init(&j, &out);
        json_str(&j, NULL, STR("123456"));
        assert_true(json_is_cut(&j));
        assert_true(out.len <= 5);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_strings),
                cmocka_unit_test(test_commas),
                cmocka_unit_test(test_over_the_ceiling),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
