/* queue_id_test.c */
#include "base/unit.h"

#include "base/rand.h"
#include "message/queue_id.h"

#include <errno.h>

static void formats(void **state)
{
        static const struct {
                int64_t us;
                uint64_t number;
                const char *id;
        } cases[] = {
                {0, 0, "0000000000z0"},      {1, 1, "0000000001z1"},
                {52, 51, "0000000010z10"},   {1000000, 50, "0000010000zy"},
                {999999, 0, "00000075plz0"}, {1795344781123456, 123456, "4jXQs90sf8zvRh"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char id[QUEUE_ID_BYTES_MAX];
                queue_id_format(cases[i].us, cases[i].number, id);
                assert_string_equal(id, cases[i].id);
        }
}

static void reads_what_it_writes(void **state)
{
        for (int round = 0; round < 20000; round++) {
                int64_t us = (int64_t)(rand_u64() >> (1 + rand_below(60)));
                uint64_t number = rand_u64() >> rand_below(64);
                char id[QUEUE_ID_BYTES_MAX];
                int64_t us_again;
                uint64_t number_again;
                queue_id_format(us, number, id);
                assert_int_equal(queue_id_parse(str_from(id), &us_again, &number_again), 0);
                assert_true(us == us_again && number == number_again);
        }
        char id[QUEUE_ID_BYTES_MAX];
        queue_id_format(INT64_MAX, UINT64_MAX, id);
        assert_true(strlen(id) < QUEUE_ID_BYTES_MAX);
        int64_t us;
        uint64_t number;
        assert_int_equal(queue_id_parse(str_from(id), &us, &number), 0);
        assert_true(us == INT64_MAX && number == UINT64_MAX);
}

static void sorts_by_time(void **state)
{
        char before[QUEUE_ID_BYTES_MAX], after[QUEUE_ID_BYTES_MAX];
        int64_t us = 1795344781123456;
        queue_id_format(us, 7, before);
        assert_int_equal(strlen(before), 12);
        for (int i = 0; i < 10000; i++) {
                us += 1 + (int64_t)rand_below(1000000);
                queue_id_format(us, 7, after);
                assert_true(strcmp(before, after) < 0);
                memcpy(before, after, sizeof(before));
        }
}

static void refuses(void **state)
{
        static const struct str ids[] = {
                STR_INIT(""),
                STR_INIT("z"),
                STR_INIT("0000000000"),
                STR_INIT("0000000000z"),
                STR_INIT("000000000z0"),   /* too short */
                STR_INIT("00000000000z0"), /* a zero too many */
                STR_INIT("0000000000z00"),
                STR_INIT("0000000000z0z"),
                STR_INIT("000000A000z0"), /* a vowel */
                STR_INIT("000000000-z0"),
                STR_INIT("000000zzzzz0"),      /* 7,311,615 microseconds */
                STR_INIT("zzzzzzzzzzz0000z0"), /* more seconds than there are */
                STR_INIT("0000000000zyyyyyyyyyyyy"),
                STR_INIT("0000000000z0000000000000000000000000000000000000000"),
                STR_INIT("0000000000\0z0"),
                STR_INIT("../0000000000z0"),
                STR_INIT("4F1B21C0A5"), /* a short id */
        };
        for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
                int64_t us = -1;
                uint64_t number = 5;
                assert_int_equal(queue_id_parse(ids[i], &us, &number), -EINVAL);
                assert_true(us == -1 && number == 5);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(formats),
                cmocka_unit_test(reads_what_it_writes),
                cmocka_unit_test(sorts_by_time),
                cmocka_unit_test(refuses),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
