/* text_test.c - UTF-8 and xtext */
#include "base/unit.h"

#include "smtp/command.h"

static void utf8(void **state)
{
        static const struct {
                struct str text;
                bool is_valid;
        } cases[] = {
                {STR_INIT(""), true},
                {STR_INIT("plain, with a NUL \0 inside"), true},
                {STR_INIT("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"), true},
                {STR_INIT("\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), true},
                {STR_INIT("\x80"), false}, /* a tail alone */
                {STR_INIT("12345678\xbf"), false},
                {STR_INIT("\xc0\xaf"), false}, /* longer than needed */
                {STR_INIT("\xc1\xbf"), false},
                {STR_INIT("\xe0\x9f\xbf"), false},
                {STR_INIT("\xf0\x8f\xbf\xbf"), false},
                {STR_INIT("\xed\xa0\x80"), false},     /* a surrogate */
                {STR_INIT("\xf4\x90\x80\x80"), false}, /* past U+10FFFF */
                {STR_INIT("\xf5\x80\x80\x80"), false},
                {STR_INIT("\xff"), false},
                {STR_INIT("\xc3"), false}, /* cut */
                {STR_INIT("\xe2\x82"), false},
                {STR_INIT("\xf0\x9f\x93"), false},
                {STR_INIT("\xe2\x82x"), false},
                {STR_INIT("\xf0\x9f\x93\xc3"), false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_int_equal(smtp_utf8_is_valid(cases[i].text), cases[i].is_valid);
        assert_true(smtp_text_is_ascii(STR("")));
        assert_true(smtp_text_is_ascii(STR("twelve bytes\x7f")));
        assert_false(smtp_text_is_ascii(STR("\xc3\xa4")));
        assert_false(smtp_text_is_ascii(STR("0123456789\x80")));
}

static void xtext(void **state)
{
        struct arena a;
        arena_init(&a, 0);
        assert_true(smtp_xtext_is_valid(STR("")));
        assert_true(smtp_xtext_is_valid(STR("a@b+2B+3D+3d!~")));
        assert_false(smtp_xtext_is_valid(STR("a b")));
        assert_false(smtp_xtext_is_valid(STR("a=b")));
        assert_false(smtp_xtext_is_valid(STR("a+")));
        assert_false(smtp_xtext_is_valid(STR("a+2")));
        assert_false(smtp_xtext_is_valid(STR("a+2G")));
        assert_false(smtp_xtext_is_valid(STR("+")));
        assert_false(smtp_xtext_is_valid(STR("\xc3\xa4")));
        assert_str_equal(smtp_xtext_decode(STR("a+2Bb+3dc"), &a), "a+b=c");
        assert_str_equal(smtp_xtext_decode(STR("a+2"), &a), "a+2");
        assert_str_equal(smtp_xtext_decode(STR("+4"), &a), "+4");
        assert_str_equal(smtp_xtext_decode(STR(""), &a), "");
        assert_str_equal(smtp_xtext_encode(STR("a+b=c d\xc3"), &a), "a+2Bb+3Dc+20d+C3");
        char every[256];
        for (int i = 0; i < 256; i++)
                every[i] = (char)i;
        struct str armoured = smtp_xtext_encode(str_make(every, 256), &a);
        assert_true(smtp_xtext_is_valid(armoured));
        assert_true(str_eq(smtp_xtext_decode(armoured, &a), str_make(every, 256)));
        arena_done(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(utf8),
                cmocka_unit_test(xtext),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
