/* tls_fixture.c - for tests: a certificate and keys in a directory of their own */
#include "wire/tls_fixture.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

static int write_key(const char *path, EVP_PKEY *key)
{
        FILE *f = fopen(path, "w");
        if (!f)
                return -1;
        int ok = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
        return fclose(f) == 0 && ok ? 0 : -1;
}

static void fingerprint_of(X509 *cert, char out[32 * 3])
{
        unsigned char bytes[EVP_MAX_MD_SIZE];
        unsigned len = 0;
        X509_digest(cert, EVP_sha256(), bytes, &len);
        for (unsigned i = 0; i < len; i++)
                snprintf(out + 3 * i, 4, "%02X%s", bytes[i], i + 1 < len ? ":" : "");
}

static int write_cert(const char *path, EVP_PKEY *key, const char *common_name, const char *names,
                      char *fingerprint)
{
        X509 *cert = X509_new();
        X509_set_version(cert, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
        X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
        X509_gmtime_adj(X509_getm_notAfter(cert), 3600L * 24);
        X509_NAME *name = X509_get_subject_name(cert);
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1,
                                   -1, 0);
        X509_EXTENSION *others =
                names ? X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names) : NULL;
        if (others)
                X509_add_ext(cert, others, -1);
        X509_EXTENSION_free(others);
        X509_set_issuer_name(cert, name);
        X509_set_pubkey(cert, key);
        X509_sign(cert, key, EVP_sha256());
        if (fingerprint)
                fingerprint_of(cert, fingerprint);
        FILE *f = fopen(path, "w");
        int ok = f && PEM_write_X509(f, cert);
        X509_free(cert);
        return f && fclose(f) == 0 && ok ? 0 : -1;
}

int tls_fixture_make(struct tls_fixture *f)
{
        snprintf(f->dir, sizeof(f->dir), "/tmp/forepost-tls-XXXXXX");
        if (!mkdtemp(f->dir))
                return -1;
        snprintf(f->cert, sizeof(f->cert), "%s/cert.pem", f->dir);
        snprintf(f->key, sizeof(f->key), "%s/key.pem", f->dir);
        snprintf(f->other_key, sizeof(f->other_key), "%s/other.pem", f->dir);
        snprintf(f->named_cert, sizeof(f->named_cert), "%s/named.pem", f->dir);
        EVP_PKEY *key = EVP_EC_gen("P-256");
        EVP_PKEY *other = EVP_EC_gen("P-256");
        int rc =
                key && other && write_key(f->key, key) == 0 &&
                                write_cert(f->cert, key, "mx.example", NULL, f->fingerprint) == 0 &&
                                write_key(f->other_key, other) == 0 &&
                                write_cert(f->named_cert, other, "cn.example",
                                           "DNS:*.below.example,DNS:other.example", NULL) == 0
                        ? 0
                        : -1;
        EVP_PKEY_free(key);
        EVP_PKEY_free(other);
        return rc;
}

int tls_fixture_make_like(const char *parameters, const char *cert, const char *key)
{
        BIO *in = BIO_new_mem_buf(parameters, -1);
        EVP_PKEY *like = PEM_read_bio_Parameters(in, NULL);
        EVP_PKEY_CTX *context = like ? EVP_PKEY_CTX_new(like, NULL) : NULL;
        EVP_PKEY *made = NULL;
        int rc = -1;
        if (context && EVP_PKEY_keygen_init(context) == 1 && EVP_PKEY_keygen(context, &made) == 1 &&
            write_key(key, made) == 0)
                rc = write_cert(cert, made, "mx.example", NULL, NULL);
        EVP_PKEY_free(made);
        EVP_PKEY_CTX_free(context);
        EVP_PKEY_free(like);
        BIO_free(in);
        return rc;
}

void tls_fixture_remove(struct tls_fixture *f)
{
        unlink(f->cert);
        unlink(f->key);
        unlink(f->other_key);
        unlink(f->named_cert);
        rmdir(f->dir);
}
