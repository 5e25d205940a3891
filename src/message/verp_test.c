/* verp_test.c */
#include "base/unit.h"

#include "message/verp.h"

static void puts_the_recipient_into_the_sender(void **state)
{
        static const struct {
                const char *sender, *original, *address, *expected;
        } cases[] = {
                {"list@origin.test", "user@domain.test", "user@domain.test",
                 "list+user=domain.test@origin.test"},
                /* who the sender wrote to; nobody was written to by somebody's own bcc map */
                {"list@origin.test", "alias@domain.test", "user@elsewhere.test",
                 "list+alias=domain.test@origin.test"},
                {"list@origin.test", "", "user@elsewhere.test",
                 "list+user=elsewhere.test@origin.test"},
                /* parts that are not there */
                {"list", "user@domain.test", "x", "list+user=domain.test"},
                {"list@origin.test", "user", "x", "list+user@origin.test"},
                /* quotes where they must be, and no two of them */
                {"\"a b\"@origin.test", "\"c d\"@domain.test", "x",
                 "\"a b+c d=domain.test\"@origin.test"},
                {"list@origin.test", "\"a@b\"@domain.test", "x",
                 "\"list+a@b=domain.test\"@origin.test"},
                {"list@origin.test", "user@[192.0.2.1]", "x",
                 "\"list+user=[192.0.2.1]\"@origin.test"},
                {"list@[192.0.2.1]", "user@domain.test", "x", "list+user=domain.test@[192.0.2.1]"},
                /* what is no address */
                {"list@origin.test", "us er)@domain.test", "x",
                 "\"list+us er)=domain.test\"@origin.test"},
        };
        struct arena a;
        arena_init(&a, 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const struct recipient r = {.original = str_from(cases[i].original),
                                            .address = str_from(cases[i].address)};
                struct str got = verp_sender(str_from(cases[i].sender), &r, STR("+="), &a);
                assert_string_equal(got.ptr, cases[i].expected);
        }
        const struct recipient r = {.original = STR("user@domain.test")};
        assert_string_equal(verp_sender(STR("list@origin.test"), &r, STR("-*"), &a).ptr,
                            "list-user*domain.test@origin.test");
        arena_done(&a);
}

/* The longest addresses that a session lets in. */
static void takes_long_ones(void **state)
{
        struct arena a;
        char sender[SMTP_PATH_BYTES_MAX + 1];
        char to[SMTP_PATH_BYTES_MAX + 1];
        memset(sender, 's', sizeof(sender));
        memset(to, 'r', sizeof(to));
        memcpy(sender + sizeof(sender) - 8, "@s.test", 8);
        memcpy(to + sizeof(to) - 8, "@r.test", 8);
        const struct recipient r = {.original = str_from(to)};
        arena_init(&a, 0);
        struct str got = verp_sender(str_from(sender), &r, STR("+="), &a);
        assert_int_equal(got.len, 2 * SMTP_PATH_BYTES_MAX + 1);
        assert_true(str_starts(got, STR("sss")));
        assert_string_equal(got.ptr + got.len - 15, "r=r.test@s.test");
        arena_done(&a);
}

static void is_never_for_the_null_sender(void **state)
{
        assert_true(
                verp_is_wanted(&(struct envelope){.sender = STR("a@b.test"), .verp = STR("+=")}));
        assert_false(verp_is_wanted(&(struct envelope){.sender = STR("a@b.test")}));
        assert_false(verp_is_wanted(&(struct envelope){.verp = STR("+=")}));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(puts_the_recipient_into_the_sender),
                cmocka_unit_test(takes_long_ones),
                cmocka_unit_test(is_never_for_the_null_sender),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
