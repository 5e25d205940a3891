/* tls_anchors.c - certificates that end a chain for one connection (tafile= of a TLS policy) */
#include "base/buf.h"
#include "base/check.h"
#include "wire/tls_private.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

enum { CERTIFICATES_MAX = 1000 };

struct tls_anchors {
        X509_STORE *store;
};

/* How many were read, or -1: what stands there is none. */
static int read_certificates(X509_STORE *store, BIO *in)
{
        for (int count = 0; count < CERTIFICATES_MAX; count++) {
                X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
                if (!certificate) {
                        bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
                        ERR_clear_error();
                        return is_end ? count : -1;
                }
                int is_added = X509_STORE_add_cert(store, certificate);
                X509_free(certificate);
                if (is_added != 1)
                        return -1;
        }
        return -1;
}

static int load_file(X509_STORE *store, struct str file, struct why *why)
{
        char text[200];
        char *path = strndup(file.ptr, file.len);
        check(path);
        ERR_clear_error();
        BIO *in = BIO_new_file(path, "r");
        free(path);
        if (!in)
                return why_set(why, -ENOENT, "cannot use trust anchor file %.*s: %s", STR_ARG(file),
                               tls_error(text, sizeof(text)));
        int count = read_certificates(store, in);
        BIO_free(in);
        if (count > 0)
                return 0;
        return why_set(why, -EINVAL,
                       "cannot use trust anchor file %.*s: it must be certificates in PEM, at "
                       "most %d",
                       STR_ARG(file), (int)CERTIFICATES_MAX);
}

struct tls_anchors *tls_anchors_load(struct str files, struct why *why)
{
        struct tls_anchors *a = calloc(1, sizeof(*a));
        struct str file;
        int rc = 0;
        check(a);
        a->store = X509_STORE_new();
        check(a->store);
        while (rc == 0 && str_next_word(&files, ", \t\r\n", &file))
                rc = load_file(a->store, file, why);
        if (rc < 0)
                tls_anchors_free(&a);
        return a;
}

void tls_anchors_free(struct tls_anchors **ap)
{
        struct tls_anchors *a = *ap;
        *ap = NULL;
        if (!a)
                return;
        X509_STORE_free(a->store);
        free(a);
}

void tls_anchors_apply(SSL *ssl, const struct tls_anchors *a)
{
        check(SSL_set1_verify_cert_store(ssl, a->store) == 1);
        X509_VERIFY_PARAM_set_flags(SSL_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
}
