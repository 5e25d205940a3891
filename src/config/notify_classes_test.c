/* notify_classes_test.c - the words of notify_classes */
#include "config/notify_classes.h"

#include "base/unit.h"

static void words_become_bits(void **state)
{
        static const struct {
                const char *list;
                unsigned bits;
                const char *unknown;
        } rows[] = {
                {"", 0, ""},
                {"resource, software", NOTIFY_RESOURCE | NOTIFY_SOFTWARE, ""},
                {"bounce", NOTIFY_BOUNCE | NOTIFY_2BOUNCE, ""},
                {"2bounce delay", NOTIFY_2BOUNCE | NOTIFY_DELAY, ""},
                {"Policy,protocol,data", NOTIFY_POLICY | NOTIFY_PROTOCOL | NOTIFY_DATA, ""},
                {"delay, policies, all", NOTIFY_DELAY, "policies"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct str unknown;
                unsigned bits = notify_classes(str_from(rows[i].list), &unknown);
                if (bits != rows[i].bits || !str_eq(unknown, str_from(rows[i].unknown)))
                        fail_msg("%s: %x, \"%.*s\"", rows[i].list, bits, STR_ARG(unknown));
                assert_int_equal(notify_classes(str_from(rows[i].list), NULL), bits);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(words_become_bits)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
