/* why_test.c */
#include "base/unit.h"
#include "base/why.h"

#include <errno.h>

static void tells_and_prefixes(void **state)
{
        struct why w;
        assert_int_equal(why_set(&w, -EIO, "disk %d", 3), -EIO);
        assert_string_equal(w.text, "disk 3");
        assert_int_equal(why_prefix(&w, -EIO, "%s", "reading spool"), -EIO);
        assert_string_equal(w.text, "reading spool: disk 3");
        assert_string_equal(why_errno(-ENOENT), "No such file or directory");
        assert_string_equal(why_errno(99999), "unknown error");
}

static void stays_in_its_room(void **state)
{
        struct why w;
        char big[2000];
        memset(big, 'x', sizeof(big));
        big[sizeof(big) - 1] = 0;
        why_set(&w, -1, "%s", big);
        assert_int_equal(strlen(w.text), sizeof(w.text) - 1);
        why_prefix(&w, -1, "front");
        assert_memory_equal(w.text, "front: xxx", 10);
        why_prefix(&w, -1, "%s", big);
        assert_int_equal(strlen(w.text), sizeof(w.text) - 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tells_and_prefixes),
                cmocka_unit_test(stays_in_its_room),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
