/* tls_test.c - contexts from files, and what is said when the files are wrong */
#include "wire/tls.h"

#include "base/unit.h"
#include "wire/tls_fixture.h"

static struct tls_fixture files;

static int make_files(void **state)
{
        return tls_fixture_make(&files);
}

static int remove_files(void **state)
{
        tls_fixture_remove(&files);
        return 0;
}

static struct tls_options server_options(void)
{
        return (struct tls_options){.is_server = true,
                                    .chain_file = str_from(files.cert),
                                    .key_file = str_from(files.key),
                                    .protocols = STR(">=TLSv1.2")};
}

static void loads_good_files(void **state)
{
        struct why why;
        struct tls_options o = server_options();
        struct tls_context *t = tls_context_new(&o, &why);
        assert_non_null(t);
        struct tls_context *again = tls_context_ref(t);
        tls_context_unref(&t);
        assert_null(t);
        tls_context_unref(&again);
        tls_context_unref(&again);
}

static void reads_protocol_lists(void **state)
{
        static const struct {
                const char *text;
                bool is_good;
        } cases[] = {
                {">=TLSv1.2", true},
                {"!SSLv2, !SSLv3", true},
                {"!SSLv2 !SSLv3 !TLSv1 !TLSv1.1", true},
                {"TLSv1.2 TLSv1.3", true},
                {"<=TLSv1.2", true},
                {"", true},
                {"!TLSv1.2", true}, /* a hole: only 1.3 is left */
                {"TLSv9", false},
                {">=TLSv1.3 !TLSv1.3", false},
                {"!SSLv3 !TLSv1 !TLSv1.1 !TLSv1.2 !TLSv1.3", false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct why why;
                struct tls_options o = {.protocols = str_from(cases[i].text)};
                struct tls_context *t = tls_context_new(&o, &why);
                assert_int_equal(t != NULL, cases[i].is_good);
                tls_context_unref(&t);
        }
}

static void says_what_is_wrong(void **state)
{
        struct why why;
        struct tls_options o = server_options();
        o.key_file = str_from(files.other_key);
        assert_null(tls_context_new(&o, &why));
        assert_non_null(strstr(why.text, files.other_key));
        o = server_options();
        o.chain_file = STR("/nonexistent/cert.pem");
        assert_null(tls_context_new(&o, &why));
        assert_non_null(strstr(why.text, "/nonexistent/cert.pem"));
        o = server_options();
        o.chain_file = STR("");
        assert_null(tls_context_new(&o, &why));
        assert_non_null(strstr(why.text, "smtpd_tls_cert_file"));
        o = server_options();
        o.ciphers = STR("NO-SUCH-CIPHER");
        assert_null(tls_context_new(&o, &why));
        o = server_options();
        o.ca_file = str_from(files.key);
        assert_null(tls_context_new(&o, &why));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(loads_good_files),
                cmocka_unit_test(reads_protocol_lists),
                cmocka_unit_test(says_what_is_wrong),
        };
        return cmocka_run_group_tests(tests, make_files, remove_files);
}
