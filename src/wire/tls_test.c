/* tls_test.c - contexts from files, and what is said when the files are wrong */
#include "wire/tls.h"

#include "base/unit.h"
#include "wire/tls_fixture.h"
#include "wire/tls_private.h"

#include <unistd.h>

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
        assert_non_null(strstr(why.text, "No such file"));
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

static bool has_cipher(struct tls_context *t, const char *part)
{
        STACK_OF(SSL_CIPHER) *list = SSL_CTX_get_ciphers(tls_context_ssl(t));
        for (int i = 0; i < sk_SSL_CIPHER_num(list); i++)
                if (strstr(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(list, i)), part))
                        return true;
        return false;
}

static void takes_ciphers_out(void **state)
{
        static const struct {
                const char *ciphers;
                const char *excluded;
                const char *there; /* NULL: the list is refused */
                const char *gone;
        } cases[] = {
                {"HIGH", "", "CAMELLIA", "no such"},
                {"HIGH", "CAMELLIA, ARIA", "AES256", "CAMELLIA"},
                {"HIGH", "CAMELLIA ARIA", "AES256", "ARIA"},
                {"", "AES256", "AES128", "AES256"},
                {"HIGH", "ALL", NULL, NULL},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct why why;
                struct tls_options o = server_options();
                o.ciphers = str_from(cases[i].ciphers);
                o.excluded = str_from(cases[i].excluded);
                struct tls_context *t = tls_context_new(&o, &why);
                assert_int_equal(t != NULL, cases[i].there != NULL);
                if (!t)
                        continue;
                /* the names of TLS 1.3 stay whatever the list says: look only where both may be */
                assert_true(has_cipher(t, cases[i].there));
                if (strcmp(cases[i].gone, "AES256") != 0)
                        assert_false(has_cipher(t, cases[i].gone));
                else
                        assert_false(has_cipher(t, "AES256-SHA"));
                tls_context_unref(&t);
        }
}

static void has_curves_and_order(void **state)
{
        static const struct {
                const char *curves;
                bool is_good;
        } cases[] = {
                {"", true},
                {"X25519 P-256", true},
                {"X25519 X448 prime256v1 secp521r1 secp384r1", true},
                {"not-invented-yet, prime256v1", true},
                {"not-invented-yet", false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct why why;
                struct tls_options o = server_options();
                o.curves = str_from(cases[i].curves);
                o.prefers_own_ciphers = i % 2;
                struct tls_context *t = tls_context_new(&o, &why);
                assert_int_equal(t != NULL, cases[i].is_good);
                if (t) {
                        uint64_t set = SSL_CTX_get_options(tls_context_ssl(t));
                        assert_int_equal((set & SSL_OP_CIPHER_SERVER_PREFERENCE) != 0,
                                         o.prefers_own_ciphers);
                } else {
                        assert_non_null(strstr(why.text, cases[i].curves));
                }
                tls_context_unref(&t);
        }
}

static void has_options_and_workarounds(void **state)
{
        static const struct {
                const char *on, *off;
                bool is_good;
                uint64_t set, clear;
        } cases[] = {
                {"", "", true, SSL_OP_ALL, SSL_OP_NO_TICKET},
                {"NO_TICKET", "", true, SSL_OP_ALL | SSL_OP_NO_TICKET, 0},
                {"no_ticket, Prioritize_ChaCha", "", true,
                 SSL_OP_NO_TICKET | SSL_OP_PRIORITIZE_CHACHA, 0},
                {"0x4000", "", true, SSL_OP_NO_TICKET, 0},
                {"", "TLSEXT_PADDING TLS_D5_BUG CVE-2010-4180", true,
                 SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS, SSL_OP_TLSEXT_PADDING},
                {"", "0xFFFFFFFF", true, 0, SSL_OP_TLSEXT_PADDING | SSL_OP_CRYPTOPRO_TLSEXT_BUG},
                /* what is not named stays out of reach */
                {"", "0x80000000", true, SSL_OP_TLSEXT_PADDING, 0},
                {"NO_SUCH_OPTION", "", false, 0, 0},
                {"TLSEXT_PADDING", "", false, 0, 0},
                {"", "NO_TICKET", false, 0, 0},
                {"0x", "", false, 0, 0},
                {"0x12345678901234567", "", false, 0, 0},
                {"0xno", "", false, 0, 0},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct why why;
                struct tls_options o = server_options();
                o.ssl_options = str_from(cases[i].on);
                o.workarounds_off = str_from(cases[i].off);
                struct tls_context *t = tls_context_new(&o, &why);
                if ((t != NULL) != cases[i].is_good)
                        fail_msg("\"%s\", \"%s\"", cases[i].on, cases[i].off);
                if (!t) {
                        assert_non_null(strstr(why.text, "there is no \""));
                        continue;
                }
                uint64_t bits = SSL_CTX_get_options(tls_context_ssl(t));
                assert_true((bits & cases[i].set) == cases[i].set);
                assert_true((bits & cases[i].clear) == 0);
                assert_true(bits & SSL_OP_NO_RENEGOTIATION);
                tls_context_unref(&t);
        }
}

static void has_parameters_for_dhe(void **state)
{
        struct why why;
        struct tls_options o = server_options();
        o.dh_file = STR("auto");
        struct tls_context *t = tls_context_new(&o, &why);
        assert_non_null(t);
        tls_context_unref(&t);
        o.dh_file = str_from(files.cert);
        assert_null(tls_context_new(&o, &why));
        assert_non_null(strstr(why.text, "cannot use DH parameter file"));
        o.dh_file = STR("/nonexistent.pem");
        assert_null(tls_context_new(&o, &why));
        assert_non_null(strstr(why.text, "No such file"));
        o.dh_file = STR("/nonexistent.pem");
        o.is_server = false; /* clients take the server's */
        t = tls_context_new(&o, &why);
        assert_non_null(t);
        tls_context_unref(&t);
}

static void reads_trust_anchors(void **state)
{
        struct why why;
        char both[300];
        snprintf(both, sizeof(both), " %s, %s", files.cert, files.named_cert);
        struct tls_anchors *a = tls_anchors_load(str_from(both), &why);
        assert_non_null(a);
        tls_anchors_free(&a);
        assert_null(a);
        tls_anchors_free(&a);
        assert_null(tls_anchors_load(str_from(files.key), &why));
        assert_non_null(strstr(why.text, "it must be certificates in PEM"));
        snprintf(both, sizeof(both), "%s /nonexistent.pem", files.cert);
        assert_null(tls_anchors_load(str_from(both), &why));
        assert_non_null(strstr(why.text, "/nonexistent.pem: No such file"));
}

/* A key in a file of its own in front of its certificate; two pairs; both kinds in one file. */
static void reads_several_chains(void **state)
{
        static const struct {
                const char *files; /* c: certificate, k: its key, o: another key, n: not there */
                bool is_good;
        } cases[] = {
                {"kc", true},  {"kckc", true}, {"c", false}, /* no key in it */
                {"oc", false}, {"k", false},   {"kcn", false}, {"kcnc", false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char text[600] = "";
                for (const char *c = cases[i].files; *c; c++) {
                        size_t len = strlen(text);
                        snprintf(text + len, sizeof(text) - len, "%s, ",
                                 *c == 'c'   ? files.cert
                                 : *c == 'k' ? files.key
                                 : *c == 'o' ? files.other_key
                                             : "/nonexistent.pem");
                }
                struct why why;
                struct tls_options o = {.is_server = true,
                                        .chain_file = str_from(text),
                                        .protocols = STR(">=TLSv1.2")};
                struct tls_context *t = tls_context_new(&o, &why);
                assert_int_equal(t != NULL, cases[i].is_good);
                tls_context_unref(&t);
        }
        struct why why;
        struct tls_options o = {.is_server = true,
                                .ec_chain_file = str_from(files.cert),
                                .ec_key_file = str_from(files.key)};
        struct tls_context *t = tls_context_new(&o, &why);
        assert_non_null(t);
        tls_context_unref(&t);
        o.ec_key_file = str_from(files.other_key);
        assert_null(tls_context_new(&o, &why));
        o.ec_key_file = str_from(files.key);
        o.ca_dir = STR("/etc/ssl/certs");
        t = tls_context_new(&o, &why);
        assert_non_null(t);
        tls_context_unref(&t);
}

/* A third certificate: kept beside the other, and of no use with the wrong key. */
static const char dsa_parameters[] =
        "-----BEGIN DSA PARAMETERS-----\n"
        "MIICKAKCAQEAp/+mPTVPOFFOQbpi6n6MyTL+tyqwfpZRzguesVMq7lR6Iih0nNg9\n"
        "s7YI7JYWE8WzXG+6gtTaUXVdYZUp1RBDB/Hw1LIKDpGVlZcSZf870PrmcGUOGWrj\n"
        "L7e7pLTPPSITxZ8wXTmUqDDKzyF1AMjM6JYO2mE6JcXef7S4aX3ns0+fXjek2+JU\n"
        "Ihqp67Q5EZldBDj4TD/hdNDWFyfVqx73gOdIk2kyagOnBm+8NJjhkZDcFKINVlu8\n"
        "E3mwzsfBwin6tBDo6wUepkKtNL3PDvCDOoXyj574QYRdHLHN1tOdzxVOqZlD9vX1\n"
        "wXcBO46jkDt7lbIsXfLo+Yt5tjux45w18wIdALzVyjU2pQ/tTURofp2qxthXBUQA\n"
        "Q/oaT/kAqqkCggEAMNd1h8EFv+BbSaca0tLfX7IuimpfmIxWoufYUuboGiPr8ROM\n"
        "/w/vgHGU5yMEEPP9W6vfVY/LPjyPvxuCJcuiXnKpc0HE1DHvoVKgmPsgHvNAzx64\n"
        "UQwYfyLh5tfKD3tJJlozbcrE4qeNHxe6ZvzH/49HYvmMdqwvFQOnyTtHKdqs4Pl9\n"
        "T2j/sFUtvmPCu+79Ntw3Z6FhtB7wFJixE0xvfzsrqkPT4hLLqy8uplQy0P5wRIyB\n"
        "XGZPhtxm2ETycnsMSPOxVHz6mUCK/XYLdt7XzVE3G052+e2xTn2Gnt18CTK+tkn/\n"
        "58DUQlY1wj3jmtsiPeT6VHka8LbopawZwqkETA==\n"
        "-----END DSA PARAMETERS-----\n";

static void has_a_dsa_certificate(void **state)
{
        char cert[160], key[160];
        struct why why;
        snprintf(cert, sizeof(cert), "%s/dsa.pem", files.dir);
        snprintf(key, sizeof(key), "%s/dsa.key", files.dir);
        assert_int_equal(tls_fixture_make_like(dsa_parameters, cert, key), 0);
        struct tls_options o = {.is_server = true,
                                .chain_file = str_from(files.cert),
                                .key_file = str_from(files.key),
                                .dsa_chain_file = str_from(cert),
                                .dsa_key_file = str_from(key)};
        struct tls_context *t = tls_context_new(&o, &why);
        assert_non_null(t);
        SSL_CTX *ssl = tls_context_ssl(t);
        int kinds[2] = {0};
        assert_int_equal(SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST), 1);
        kinds[0] = EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(ssl));
        assert_int_equal(SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_NEXT), 1);
        kinds[1] = EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(ssl));
        assert_true(kinds[0] != kinds[1]);
        assert_true(kinds[0] == EVP_PKEY_DSA || kinds[1] == EVP_PKEY_DSA);
        tls_context_unref(&t);
        o.dsa_key_file = str_from(files.other_key);
        assert_null(tls_context_new(&o, &why));
        o.dsa_key_file = STR("/nonexistent.pem");
        assert_null(tls_context_new(&o, &why));
        unlink(cert);
        unlink(key);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(loads_good_files),
                cmocka_unit_test(reads_protocol_lists),
                cmocka_unit_test(says_what_is_wrong),
                cmocka_unit_test(takes_ciphers_out),
                cmocka_unit_test(has_curves_and_order),
                cmocka_unit_test(has_options_and_workarounds),
                cmocka_unit_test(has_parameters_for_dhe),
                cmocka_unit_test(reads_trust_anchors),
                cmocka_unit_test(has_a_dsa_certificate),
                cmocka_unit_test(reads_several_chains),
        };
        return cmocka_run_group_tests(tests, make_files, remove_files);
}
