/* crc32c_test.c - the examples of RFC 3720 B.4, and both ways against each other */
#include "base/crc32c.h"

#include "base/rand.h"
#include "base/unit.h"

static void test_examples(void **state)
{
        unsigned char bytes[32];
        const struct {
                int first, step;
                uint32_t crc;
        } cases[] = {
                {0, 0, 0x8a9136aa},
                {0xff, 0, 0x62a8ab43},
                {0, 1, 0x46dd794e},
                {31, -1, 0x113fdb5c},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                for (int k = 0; k < 32; k++)
                        bytes[k] = (unsigned char)(cases[i].first + k * cases[i].step);
                assert_int_equal(crc32c(0, bytes, 32), cases[i].crc);
                assert_int_equal(crc32c_by_table(0, bytes, 32), cases[i].crc);
        }
        assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
        assert_int_equal(crc32c(0, NULL, 0), 0);
}

static void test_pieces(void **state)
{
        unsigned char bytes[300];
        rand_bytes(bytes, sizeof(bytes));
        uint32_t whole = crc32c(0, bytes, sizeof(bytes));
        for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
                uint32_t crc = crc32c(0, bytes, cut);
                assert_int_equal(crc32c(crc, bytes + cut, sizeof(bytes) - cut), whole);
                assert_int_equal(crc32c_by_table(0, bytes, cut), crc);
                assert_int_equal(crc32c_by_table(crc, bytes + cut, sizeof(bytes) - cut), whole);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_examples),
                cmocka_unit_test(test_pieces),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
