/* internal_mail_test.c - the words of internal_mail_filter_classes */
#include "config/internal_mail.h"

#include "base/unit.h"

static void words_become_bits(void **state)
{
        static const struct {
                const char *list;
                unsigned bits;
                const char *unknown;
        } rows[] = {
                {"", 0, ""},
                {"bounce", INTERNAL_MAIL_BOUNCE, ""},
                {"Notify, bounce", INTERNAL_MAIL_BOUNCE | INTERNAL_MAIL_NOTIFY, ""},
                {"smtpd sendmail qmqpd forward verify", 0, ""},
                {"notify, bounces, all", INTERNAL_MAIL_NOTIFY, "bounces"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct str unknown;
                unsigned bits = internal_mail_classes(str_from(rows[i].list), &unknown);
                if (bits != rows[i].bits || !str_eq(unknown, str_from(rows[i].unknown)))
                        fail_msg("%s: %x, \"%.*s\"", rows[i].list, bits, STR_ARG(unknown));
                assert_int_equal(internal_mail_classes(str_from(rows[i].list), NULL), bits);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(words_become_bits),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
