/* xclient_test.c - the attributes of XCLIENT and XFORWARD, good and bad */
#include "smtp/xclient.h"

#include "base/unit.h"

#include <errno.h>

static struct arena arena;

static int setup(void **state)
{
        arena_init(&arena, 0);
        return 0;
}

static int teardown(void **state)
{
        arena_done(&arena);
        return 0;
}

static struct smtp_attributes good(enum smtp_attribute_command command, const char *text)
{
        struct smtp_attributes a;
        struct smtp_reply refusal = {0};
        int rc = smtp_attributes_parse(str_from(text), command, &arena, &a, &refusal);
        if (rc)
                fail_msg("%s: %.*s", text, STR_ARG(refusal.text));
        return a;
}

static void bad(enum smtp_attribute_command command, const char *text, const char *reason)
{
        struct smtp_attributes a;
        struct smtp_reply refusal = {0};
        assert_int_equal(smtp_attributes_parse(str_from(text), command, &arena, &a, &refusal),
                         -EBADMSG);
        assert_int_equal(refusal.code, 501);
        assert_string_equal(refusal.enhanced, "5.5.4");
        assert_str_equal(refusal.text, reason);
}

static void takes_all(void **state)
{
        struct smtp_attributes a =
                good(SMTP_OF_XCLIENT,
                     "NAME=client.example ADDR=192.0.2.7 PORT=25 PROTO=esmtp HELO=a+20b+0A@c "
                     "REVERSE_NAME=r.example LOGIN=fred DESTADDR=ipv6:2001:DB8::1 DESTPORT=0");
        assert_str_equal(a.values[SMTP_ATTRIBUTE_NAME], "client.example");
        assert_str_equal(a.values[SMTP_ATTRIBUTE_ADDR], "192.0.2.7");
        assert_str_equal(a.values[SMTP_ATTRIBUTE_PORT], "25");
        assert_str_equal(a.values[SMTP_ATTRIBUTE_PROTO], "ESMTP");
        assert_str_equal(a.values[SMTP_ATTRIBUTE_HELO], "a?b??c");
        assert_str_equal(a.values[SMTP_ATTRIBUTE_REVERSE_NAME], "r.example");
        assert_str_equal(a.values[SMTP_ATTRIBUTE_DESTADDR], "2001:db8::1");
        assert_int_equal(a.unknown, 0);
        a = good(SMTP_OF_XFORWARD, "ident=4jXWRv43JRz1 source=remote PROTO=SMTP/ESMTPS");
        assert_str_equal(a.values[SMTP_ATTRIBUTE_SOURCE], "REMOTE");
        assert_str_equal(a.values[SMTP_ATTRIBUTE_PROTO], "SMTP/ESMTPS");
        assert_false(smtp_attributes_has(&a, SMTP_ATTRIBUTE_NAME));
        a = good(SMTP_OF_XCLIENT, "NAME=[TEMPUNAVAIL] ADDR=[UNAVAILABLE] NAME=[unavailable]");
        assert_int_equal(a.unknown, 1U << SMTP_ATTRIBUTE_NAME | 1U << SMTP_ATTRIBUTE_ADDR);
        assert_int_equal(a.temporary, 0);
        assert_true(smtp_attributes_has(&a, SMTP_ATTRIBUTE_NAME));
        a = good(SMTP_OF_XCLIENT, "NAME=[TEMPUNAVAIL]");
        assert_int_equal(a.temporary, 1U << SMTP_ATTRIBUTE_NAME);
        a = good(SMTP_OF_XCLIENT, "ADDR=[UNAVAILABLE] ADDR=192.0.2.1");
        assert_int_equal(a.unknown, 0);
}

static void refuses_others(void **state)
{
        bad(SMTP_OF_XCLIENT, "", "Syntax: XCLIENT attribute=value...");
        bad(SMTP_OF_XFORWARD, "", "Syntax: XFORWARD attribute=value...");
        bad(SMTP_OF_XCLIENT, "NAME", "Error: attribute=value expected");
        bad(SMTP_OF_XCLIENT, "NAME=", "Bad attribute value syntax: NAME=");
        bad(SMTP_OF_XCLIENT, "NAME=+zz", "Bad attribute value syntax: NAME=+zz");
        bad(SMTP_OF_XCLIENT, "IDENT=a", "Bad XCLIENT attribute name: IDENT");
        bad(SMTP_OF_XFORWARD, "LOGIN=a", "Bad XFORWARD attribute name: LOGIN");
        bad(SMTP_OF_XCLIENT, "NAME=a..b", "Bad NAME syntax: a..b");
        bad(SMTP_OF_XCLIENT, "ADDR=2001:db8::1", "Bad ADDR syntax: 2001:db8::1");
        bad(SMTP_OF_XCLIENT, "ADDR=1.2.3", "Bad ADDR syntax: 1.2.3");
        bad(SMTP_OF_XCLIENT, "ADDR=1.2.3.4+00", "Bad ADDR syntax: 1.2.3.4+00");
        bad(SMTP_OF_XCLIENT, "PORT=65536", "Bad PORT syntax: 65536");
        bad(SMTP_OF_XCLIENT, "PORT=-1", "Bad PORT syntax: -1");
        bad(SMTP_OF_XCLIENT, "PROTO=LMTP", "Bad PROTO syntax: LMTP");
        bad(SMTP_OF_XFORWARD, "SOURCE=here", "Bad SOURCE syntax: here");
        char text[400] = "HELO=";
        memset(text + 5, 'x', 256);
        struct smtp_attributes a;
        struct smtp_reply refusal;
        assert_int_equal(
                smtp_attributes_parse(str_from(text), SMTP_OF_XCLIENT, &arena, &a, &refusal),
                -EBADMSG);
        text[5 + 255] = 0;
        good(SMTP_OF_XCLIENT, text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(takes_all, setup, teardown),
                cmocka_unit_test_setup_teardown(refuses_others, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
