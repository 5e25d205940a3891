/* receive_override_test.c - the words of receive_override_options */
#include "config/fixture.h"
#include "config/receive_override.h"

static void words_are_bits(void **state)
{
        static const struct {
                const char *list;
                unsigned bits;
                const char *unknown;
        } rows[] = {
                {"", 0, ""},
                {"no_milters", RECEIVE_NO_MILTERS, ""},
                {"No_Milters,no_address_mappings\n no_header_body_checks",
                 RECEIVE_NO_MILTERS | RECEIVE_NO_ADDRESS_MAPPINGS | RECEIVE_NO_HEADER_BODY_CHECKS,
                 ""},
                {"no_unknown_recipient_checks no_unknown_recipient_checks",
                 RECEIVE_NO_UNKNOWN_RECIPIENT_CHECKS, ""},
                {"no_milter, no_milters nothing", RECEIVE_NO_MILTERS, "no_milter"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct str unknown;
                assert_int_equal(receive_overrides(str_from(rows[i].list), &unknown), rows[i].bits);
                assert_true(str_eq(unknown, str_from(rows[i].unknown)));
                assert_int_equal(receive_overrides(str_from(rows[i].list), NULL), rows[i].bits);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(words_are_bits),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
