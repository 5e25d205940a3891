/* environment_test.c */
#include "ops/environment.h"

#include "base/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void keeps_what_is_named(void **state)
{
        struct why why;
        setenv("KEPT", "as it was", 1);
        setenv("CHANGED", "old", 1);
        setenv("FORGOTTEN", "x", 1);
        setenv("EMPTY", "", 1);
        assert_int_equal(environment_import(STR("KEPT, NEVER CHANGED=a=b {SPACED = x}"
                                                " { BLANKS=one, two } EMPTY SET= TWICE=1 TWICE=2"),
                                            &why),
                         0);
        assert_string_equal(getenv("KEPT"), "as it was");
        assert_string_equal(getenv("CHANGED"), "a=b");
        assert_string_equal(getenv("BLANKS"), "one, two");
        assert_string_equal(getenv("EMPTY"), "");
        assert_string_equal(getenv("SET"), "");
        assert_string_equal(getenv("TWICE"), "2");
        assert_string_equal(getenv("SPACED"), "x");
        assert_null(getenv("FORGOTTEN"));
        assert_null(getenv("NEVER"));
        assert_null(getenv("PATH"));
        size_t count = 0;
        while (environ[count])
                count++;
        assert_int_equal(count, 7);
}

static void leaves_it_when_a_name_is_missing(void **state)
{
        struct why why;
        setenv("KEPT", "x", 1);
        assert_int_equal(environment_import(STR("A=b =c"), &why), -EINVAL);
        assert_non_null(strstr(why.text, "\"=c\" has no name"));
        assert_string_equal(getenv("KEPT"), "x");
        assert_null(getenv("A"));
}

static void empties_it(void **state)
{
        struct why why;
        setenv("KEPT", "x", 1);
        assert_int_equal(environment_import(STR(""), &why), 0);
        assert_null(getenv("KEPT"));
        /* and again, from nothing */
        assert_int_equal(environment_import(STR("KEPT A=b"), &why), 0);
        assert_null(getenv("KEPT"));
        assert_string_equal(getenv("A"), "b");
}

static int hour(void)
{
        time_t noon = 12 * 3600;
        struct tm tm;
        localtime_r(&noon, &tm);
        return tm.tm_hour;
}

static void changes_the_time_zone(void **state)
{
        struct why why;
        assert_int_equal(environment_import(STR("TZ=XYZ-3"), &why), 0);
        assert_int_equal(hour(), 15);
        assert_int_equal(environment_import(STR("TZ=XYZ+2"), &why), 0);
        assert_int_equal(hour(), 10);
        assert_int_equal(environment_import(STR("TZ"), &why), 0);
        assert_int_equal(hour(), 10);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keeps_what_is_named),
                cmocka_unit_test(leaves_it_when_a_name_is_missing),
                cmocka_unit_test(empties_it),
                cmocka_unit_test(changes_the_time_zone),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
