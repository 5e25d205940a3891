/* buf_test.c */
#include "base/buf.h"
#include "base/unit.h"

#include <errno.h>

static void grows_to_its_ceiling(void **state)
{
        struct buf b;
        buf_init(&b, 100);
        for (int i = 0; i < 10; i++)
                assert_int_equal(buf_append(&b, "0123456789", 10), 0);
        assert_int_equal(b.len, 100);
        assert_int_equal(buf_append_char(&b, 'x'), -ENOBUFS);
        assert_null(buf_reserve(&b, 1));
        assert_int_equal(buf_printf(&b, "%s", "more"), -ENOBUFS);
        assert_int_equal(b.len, 100);
        buf_consume(&b, 95);
        assert_str_equal(buf_str(&b), "56789");
        assert_int_equal(buf_printf(&b, "-%d", 42), 0);
        assert_str_equal(buf_str(&b), "56789-42");
        buf_clear(&b);
        assert_int_equal(b.len, 0);
        buf_done(&b);
}

static void begins_as_small_as_it_is_told(void **state)
{
        struct buf b;
        buf_init(&b, 100);
        buf_start(&b, 8);
        assert_int_equal(b.room, 8);
        assert_int_equal(buf_append(&b, "0123456789", 10), 0);
        assert_int_equal(b.room, 16);
        assert_int_equal(buf_append(&b, "0123456789", 10), 0);
        assert_str_equal(buf_str(&b), "01234567890123456789");
        buf_done(&b);
}

static void prints_more_than_its_small_room(void **state)
{
        struct buf b;
        buf_init(&b, 4000);
        assert_int_equal(buf_printf(&b, "%1000d|", 7), 0);
        assert_int_equal(b.len, 1001);
        assert_int_equal(b.ptr[1000], '|');
        assert_int_equal(buf_printf(&b, "%3500d", 7), -ENOBUFS);
        assert_int_equal(b.len, 1001);
        buf_done(&b);
        assert_str_equal(buf_str(&b), "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(grows_to_its_ceiling),
                cmocka_unit_test(begins_as_small_as_it_is_told),
                cmocka_unit_test(prints_more_than_its_small_room),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
