/* backoff_test.c - waits, rests, feedback, and how delays are written */
#include "delivery/delivery_private.h"

#include "base/unit.h"

#include <errno.h>

#define S 1000000LL

static void delays(void **state)
{
        static const struct {
                int64_t us;
                const char *text;
        } cases[] = {
                {-5, "0"},       {0, "0"},         {4999, "0"},      {5000, "0.01"},
                {50000, "0.05"}, {123456, "0.12"}, {500000, "0.5"},  {994999, "0.99"},
                {995000, "1"},   {1040000, "1"},   {1050000, "1.1"}, {9940000, "9.9"},
                {9960000, "10"}, {12400000, "12"}, {12500000, "13"}, {432000 * S, "432000"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                char out[DELAY_BYTES];
                delay_format(cases[i].us, out);
                assert_string_equal(out, cases[i].text);
        }
}

static void next_attempts(void **state)
{
        static const struct {
                int64_t age_s;
                int64_t low_s, high_s;
        } cases[] = {
                {0, 270, 330},   {-50, 270, 330}, /* the clock went back */
                {300, 270, 330}, {1000, 900, 1100}, {4000, 3600, 4400}, {100000, 3600, 4400},
        };
        int64_t now = 1700000000 * S;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                int64_t least = INT64_MAX, most = 0;
                for (int n = 0; n < 2000; n++) {
                        int64_t next = backoff_next_us(now, now - cases[i].age_s * S, INT64_MAX,
                                                       300000, 4000000) -
                                       now;
                        least = next < least ? next : least;
                        most = next > most ? next : most;
                }
                assert_true(least >= cases[i].low_s * S && most <= cases[i].high_s * S);
                /* there is jitter, over most of the range */
                assert_true(most - least > (cases[i].high_s - cases[i].low_s) * S * 8 / 10);
        }
}

static void not_past_the_last_chance(void **state)
{
        int64_t now = 1700000000 * S;
        assert_int_equal(backoff_next_us(now, now, now + 100 * S, 300000, 4000000), now + 100 * S);
        /* when that has gone by, as usual */
        assert_true(backoff_next_us(now, now, now - S, 300000, 4000000) > now + 200 * S);
        assert_int_equal(backoff_next_us(now, now, INT64_MAX, 0, 0), now);
}

static void rests(void **state)
{
        int64_t ms = 0;
        static const int64_t expected[] = {10000, 20000, 40000, 80000, 160000, 225000, 225000};
        for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
                ms = backoff_rest_ms(ms, 300000);
                assert_int_equal(ms, expected[i]);
        }
        assert_int_equal(backoff_rest_ms(0, 2000), 1500);
}

static void feedbacks(void **state)
{
        static const struct {
                const char *text;
                double at_4; /* the amount at a concurrency of 4; negative: refused */
        } cases[] = {
                {"1", 1},
                {" 0.5 ", 0.5},
                {".25", 0.25},
                {"1/concurrency", 0.25},
                {"1 / sqrt_concurrency", 0.5},
                {"0", 0},
                {"", -1},
                {"/concurrency", -1},
                {"1/", -1},
                {"1/other", -1},
                {"-1", -1},
                {"2", -1},
                {"nan", -1},
                {"inf", -1},
                {"1x", -1},
                {"0.000000000000000000000000000000000000001", -1},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct feedback f;
                int rc = feedback_parse(str_from(cases[i].text), &f);
                if (cases[i].at_4 < 0) {
                        if (rc != -EINVAL)
                                fail_msg("taken: %s", cases[i].text);
                } else {
                        assert_int_equal(rc, 0);
                        assert_true(feedback_amount(&f, 4) == cases[i].at_4);
                        assert_true(feedback_amount(&f, 0) <= f.value);
                }
        }
}

static void who_wants_what(void **state)
{
        static const struct {
                unsigned notify;
                bool failed, delayed, relayed;
        } cases[] = {
                {0, true, true, false},
                {SMTP_NOTIFY_NEVER, false, false, false},
                {SMTP_NOTIFY_FAILURE, true, false, false},
                {SMTP_NOTIFY_DELAY, false, true, false},
                {SMTP_NOTIFY_SUCCESS, false, false, true},
                {SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE, true, false, true},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct recipient r = {.notify = cases[i].notify};
                assert_int_equal(bounce_is_wanted(&r, DSN_FAILED), cases[i].failed);
                assert_int_equal(bounce_is_wanted(&r, DSN_DELAYED), cases[i].delayed);
                assert_int_equal(bounce_is_wanted(&r, DSN_RELAYED), cases[i].relayed);
                assert_int_equal(bounce_is_wanted(&r, DSN_DELIVERED), cases[i].relayed);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(delays),
                cmocka_unit_test(next_attempts),
                cmocka_unit_test(not_past_the_last_chance),
                cmocka_unit_test(rests),
                cmocka_unit_test(feedbacks),
                cmocka_unit_test(who_wants_what),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
