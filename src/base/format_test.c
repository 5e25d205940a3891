/* format_test.c - the same as the C library's, to the byte, also where it is cut */
#include "base/format.h"

#include "base/unit.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* In every room from none to more than enough. */
#define SAME(...)                                                                              \
        do {                                                                                   \
                char ours[300];                                                                \
                char theirs[300];                                                              \
                int all = snprintf(NULL, 0, __VA_ARGS__);                                      \
                assert_int_equal(format_print(NULL, 0, __VA_ARGS__), all);                     \
                for (size_t room = 1; room < (size_t)all + 3 && room < sizeof(ours); room++) { \
                        memset(ours, '#', sizeof(ours));                                       \
                        memset(theirs, '#', sizeof(theirs));                                   \
                        assert_int_equal(snprintf(theirs, room, __VA_ARGS__), all);            \
                        assert_int_equal(format_print(ours, room, __VA_ARGS__), all);          \
                        assert_memory_equal(ours, theirs, sizeof(ours));                       \
                }                                                                              \
        } while (0)

static void strings(void **state)
{
        SAME("plain");
        SAME("100%% of %s", "it");
        SAME("%s%s", "", "x");
        SAME("%c%s%c", '<', "a@b", '>');
        SAME("connect from %.*s[%.*s]", 7, "unknownXX", 9, "192.0.2.1/32");
        SAME("%.*s|%.3s|%.0s|%.s|", 20, "short", "longer", "gone", "gone");
        SAME("%.*s|", 0, (const char *)"");
}

static void numbers(void **state)
{
        static const long long values[] = {0,  1,   -1,      9,         10,        -10,
                                           99, 255, INT_MAX, LLONG_MAX, LLONG_MIN, 1234567890123};
        for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
                long long v = values[i];
                SAME("%d %u %x", (int)v, (unsigned)v, (unsigned)v);
                SAME("%ld %lu %lx %zu %zx", (long)v, (unsigned long)v, (unsigned long)v, (size_t)v,
                     (size_t)v);
                SAME("%lld %llu %llx.", v, (unsigned long long)v, (unsigned long long)v);
                SAME("[%5d] [%05d] [%03u] [%016llx] [%2x]", (int)v, (int)v, (unsigned)v,
                     (unsigned long long)v, (unsigned)v);
        }
}

/* What the C library does for us. */
static void others(void **state)
{
        SAME("%5s|%-5s|%s", "a", "b", "c");
        SAME("%.2f %s", 1.5, "after");
        SAME("%s %X %o %+d %#x", "before", 255u, 8u, 3, 255u);
        SAME("%hhu %hd", (unsigned char)3, (short)-3);
        SAME("%.3d|%*d", 7, 5, 3);
        SAME("%.*s|", -1, "all");
        char out[16];
        SAME("%p", (void *)out);
        const char *volatile none = NULL; /* an empty view has such a pointer */
        SAME("<%.*s>", 0, none);
        format_print(out, sizeof(out), "%.*s", 10, none);
        assert_string_equal(out, "(null)");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(strings),
                cmocka_unit_test(numbers),
                cmocka_unit_test(others),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
