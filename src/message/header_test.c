/* header_test.c */
#include "base/unit.h"

#include "message/header.h"

static void finds_the_end(void **state)
{
        static const struct {
                struct str text;
                ptrdiff_t end; /* -1: not here yet */
                size_t end_of_all;
        } cases[] = {
                {STR_INIT("A: b\r\n\r\nbody"), 8, 8},
                {STR_INIT("\r\nbody"), 2, 2},
                {STR_INIT("A: b\r\n c\r\n\td: e\r\n\r\nbody"), 19, 19},
                {STR_INIT("A: b\r\nno field\r\n\r\nbody"), 6, 6},
                {STR_INIT("no field\r\n"), 0, 0},
                {STR_INIT(" leading blank\r\nA: b\r\n\r\n"), 0, 0},
                {STR_INIT("A: b\r\n \t \r\nC: d\r\n\r\n"), 19, 19}, /* blanks alone continue */
                {STR_INIT("Subject : x\r\n\r\n"), 15, 15},
                {STR_INIT(": x\r\n\r\n"), 0, 0},
                {STR_INIT("A b: x\r\n\r\n"), 0, 0},
                {STR_INIT("A\0: x\r\n\r\n"), 0, 0},
                {STR_INIT("\xc3\xa4: x\r\n\r\n"), 0, 0},
                {STR_INIT("From a@b Sun\r\nA: b\r\n\r\n"), 0, 0},
                {STR_INIT(""), -1, 0},
                {STR_INIT("A: b"), -1, 4},
                {STR_INIT("A: b\r\n"), -1, 6},
                {STR_INIT("A: b\r\n c"), -1, 8},
                {STR_INIT("A: b\r\nbody without end"), -1, 6},
                {STR_INIT("body"), -1, 0},
                {STR_INIT("A: b\r\n\r"), -1, 7},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                size_t from = 0, end = 99;
                bool is_found = header_find_end(cases[i].text, &from, false, &end);
                assert_int_equal(is_found ? (ptrdiff_t)end : -1, cases[i].end);
                from = 0;
                assert_true(header_find_end(cases[i].text, &from, true, &end));
                assert_int_equal(end, cases[i].end_of_all);
                /* byte by byte, `from` kept: the same */
                from = 0;
                is_found = false;
                for (size_t n = 0; n <= cases[i].text.len && !is_found; n++)
                        is_found =
                                header_find_end(str_part(cases[i].text, 0, n), &from, false, &end);
                assert_int_equal(is_found ? (ptrdiff_t)end : -1, cases[i].end);
        }
}

/* Many small pieces must not cost the square of the header. */
static void finds_the_end_in_linear_time(void **state)
{
        enum { BYTES = 2000000 };
        char *text = malloc(BYTES);
        size_t from = 0, end;
        assert_non_null(text);
        memset(text, 'x', BYTES);
        text[1] = ':';
        memcpy(text + BYTES - 4, "\r\n\r\n", 4);
        for (size_t n = 1; n < BYTES; n += 7)
                assert_false(header_find_end(str_make(text, n), &from, false, &end));
        assert_true(header_find_end(str_make(text, BYTES), &from, false, &end));
        assert_int_equal(end, BYTES);
        free(text);
}

static void takes_fields_apart(void **state)
{
        struct str header = STR("Subject:  a\r\n b\r\nX-Empty:\r\nOld : c\r\n\r\nbody: no\r\n");
        struct header_field f;
        assert_true(header_next(&header, &f));
        assert_str_equal(f.raw, "Subject:  a\r\n b");
        assert_str_equal(f.name, "Subject");
        assert_str_equal(f.value, "a\r\n b");
        assert_true(header_next(&header, &f));
        assert_str_equal(f.name, "X-Empty");
        assert_str_equal(f.value, "");
        assert_true(header_next(&header, &f));
        assert_str_equal(f.name, "Old");
        assert_str_equal(f.value, "c");
        assert_false(header_next(&header, &f));
        assert_true(str_starts(header, STR("\r\nbody")));

        header = STR("Last: without end");
        assert_true(header_next(&header, &f));
        assert_str_equal(f.value, "without end");
        assert_false(header_next(&header, &f));
        header = STR("no field\r\nA: b\r\n");
        assert_false(header_next(&header, &f));
}

static void finds_and_unfolds(void **state)
{
        struct str header = STR("A: 1\r\nsubject: x\r\n\t y \r\nSUBJECT: z\r\n\r\nTo: body\r\n");
        struct str value;
        struct arena a;
        arena_init(&a, 0);
        assert_true(header_find(header, STR("Subject"), &a, &value));
        assert_str_equal(value, "x\t y");
        assert_false(header_find(header, STR("To"), &a, &value));
        assert_str_equal(header_unfold(STR("a\r\n b\r\n\tc\r\n"), &a), "a b\tc");
        assert_str_equal(header_for_checks(STR("S: a\r\n b"), &a), "S: a\n b");
        assert_int_equal(header_unfold(STR("a\0b"), &a).len, 3);
        arena_done(&a);
}

static void counts_hops(void **state)
{
        assert_int_equal(
                header_count_hops(STR("Received: a\r\n b\r\nReceived-SPF: x\r\nreceived: c\r\n"
                                      "Delivered-To: d\r\nX: Received: e\r\n\r\n"
                                      "Received: body\r\n")),
                3);
        assert_int_equal(header_count_hops(STR("")), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(finds_the_end),
                cmocka_unit_test(finds_the_end_in_linear_time),
                cmocka_unit_test(takes_fields_apart),
                cmocka_unit_test(finds_and_unfolds),
                cmocka_unit_test(counts_hops),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
