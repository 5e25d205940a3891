/* refusals_test.c - the ring keeps the newest, whole, also over a restart */
#include "ops/refusals.h"

#include "base/unit.h"

#include <unistd.h>

static void add(struct refusals *r, int number, size_t filler)
{
        struct buf record;
        buf_init(&record, EXPLANATION_BYTES_MAX);
        buf_printf(&record, "R\tCODE%03d\t0\tRCPT\t554\t5.7.1\tno\t\n", number);
        for (size_t i = 0; i < filler; i++)
                buf_append_char(&record, 'x');
        refusals_add(r, buf_str(&record));
        buf_done(&record);
}

static bool has(struct refusals *r, int number)
{
        char code[16];
        struct buf out;
        snprintf(code, sizeof(code), "code%03d", number);
        buf_init(&out, EXPLANATION_BYTES_MAX);
        bool is_found = refusals_find(r, str_from(code), &out);
        if (is_found) {
                struct explanation_reply reply;
                assert_true(explanation_reply(buf_str(&out), &reply));
                assert_int_equal(reply.code, 554);
        }
        buf_done(&out);
        return is_found;
}

static void the_newest_stay(void **state)
{
        struct why why;
        struct refusals *r = refusals_new(65536, STR(""), &why);
        assert_non_null(r);
        assert_int_equal(refusals_count(r), 0);
        assert_false(has(r, 1));
        /* sizes that meet the end of the ring in every way */
        for (int i = 0; i < 20000; i++) {
                add(r, i % 1000, (size_t)(i * 37 % 900));
                assert_true(has(r, i % 1000));
                if (i % 500 == 499) {
                        size_t count = refusals_count(r);
                        assert_in_range(count, 50, 900);
                        assert_true(has(r, (i - 40) % 1000)); /* some dozens back, too */
                }
        }
        /* over a quarter: not kept, and nothing else is lost */
        add(r, 7, 20000);
        assert_true(has(r, 19999 % 1000));
        refusals_free(&r);
}

static void a_file_is_found_again(void **state)
{
        char path[] = "/tmp/forepost-ring-XXXXXX";
        int fd = mkstemp(path);
        struct why why;
        assert_true(fd >= 0);
        struct refusals *r = refusals_new(65536, str_from(path), &why);
        assert_non_null(r);
        for (int i = 0; i < 500; i++)
                add(r, i, 100);
        refusals_free(&r);
        r = refusals_new(65536, str_from(path), &why);
        assert_true(has(r, 499) && has(r, 400) && !has(r, 0));
        refusals_free(&r);
        /* another size, or rubbish: begun anew */
        r = refusals_new(131072, str_from(path), &why);
        assert_int_equal(refusals_count(r), 0);
        add(r, 1, 10);
        refusals_free(&r);
        for (off_t at = 0; at < 200; at += 8) {
                assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, at), 8);
                r = refusals_new(131072, str_from(path), &why);
                assert_non_null(r);
                add(r, 2, 10);
                assert_true(has(r, 2));
                refusals_free(&r);
        }
        close(fd);
        unlink(path);
        assert_null(refusals_new(65536, STR("/nonexistent/ring"), &why));
        assert_non_null(strstr(why.text, "/nonexistent/ring"));
}

static void records_are_read_back(void **state)
{
        static const char text[] =
                "R\tABC1234\t1000000\tRCPT\t554\t5.7.1\tno way\tmain.cf:3 reject\n"
                "F\tclient\t192.0.2.1\nS\t1\tsmtpd_client_restrictions\tmain.cf:3 check_client_access hash:x\tdunno\t12\n"
                "L\ttable\thash:x\t192.0.2.1\t\tnot found\t\t0\t0\nL\tdns\t\tx.test\tMX\tfound\tmx.x.test\t99\t1\n"
                "S\t1\tsmtpd_client_restrictions\tmain.cf:3 reject\trefuse\t1\nX\n";
        struct buf out;
        struct json j;
        buf_init(&out, EXPLANATION_BYTES_MAX);
        json_init(&j, &out);
        json_open(&j, NULL, '{');
        explanation_put_json(&j, str_from(text));
        json_close(&j, '}');
        buf_append_char(&out, 0);
        assert_non_null(strstr(out.ptr, "\"code\":554") ?: strstr(out.ptr, "\"code\": 554"));
        assert_non_null(strstr(out.ptr, "mx.x.test"));
        assert_non_null(strstr(out.ptr, "not found"));
        buf_clear(&out);
        explanation_put_text(&out, str_from(text), STR(""));
        buf_append_char(&out, 0);
        assert_non_null(strstr(out.ptr, "RCPT: 554 5.7.1 no way"));
        assert_non_null(strstr(out.ptr, "dns MX x.test: found, mx.x.test (cached)"));
        assert_non_null(strstr(out.ptr, "refuse  main.cf:3 reject"));
        assert_non_null(strstr(out.ptr, "more than is kept"));
        buf_done(&out);
        /* rubbish is no crash */
        static const char *const rubbish[] = {"",       "\n",        "R",       "R\t\n",
                                              "L\ta\n", "S\nS\nL\n", "\t\t\t\n"};
        for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
                buf_init(&out, EXPLANATION_BYTES_MAX);
                json_init(&j, &out);
                json_open(&j, NULL, '{');
                explanation_put_json(&j, str_from(rubbish[i]));
                json_close(&j, '}');
                explanation_put_text(&out, str_from(rubbish[i]), STR(""));
                buf_done(&out);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_newest_stay),
                cmocka_unit_test(a_file_is_found_again),
                cmocka_unit_test(records_are_read_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
