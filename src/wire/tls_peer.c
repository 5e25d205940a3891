/* tls_peer.c - who is on the other side of a TLS connection, as far as certificates say */
#include "wire/tls_private.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

/* Printable ASCII as it is, all else as "?": it goes into logs, headers and tables. */
static void name_of(const X509_NAME *name, char out[TLS_NAME_BYTES_MAX])
{
        *out = 0;
        int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
        if (at < 0)
                at = X509_NAME_get_index_by_NID(name, NID_organizationName, -1);
        if (at < 0)
                return;
        unsigned char *text = NULL;
        int len =
                ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
        size_t used = 0;
        for (int i = 0; i < len && used + 1 < TLS_NAME_BYTES_MAX; i++)
                out[used++] = text[i] >= ' ' && text[i] < 0x7f ? (char)text[i] : '?';
        out[used] = 0;
        OPENSSL_free(text);
}

static void print_fingerprint(const unsigned char *bytes, unsigned len,
                              char out[TLS_FINGERPRINT_BYTES_MAX])
{
        static const char digits[] = "0123456789ABCDEF";
        char *to = out;
        for (unsigned i = 0; i < len && i < TLS_FINGERPRINT_BYTES_MAX / 3; i++) {
                if (i)
                        *to++ = ':';
                *to++ = digits[bytes[i] >> 4];
                *to++ = digits[bytes[i] & 15];
        }
        *to = 0;
}

static const EVP_MD *digest_find(struct str name)
{
        char text[32];
        snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
        const EVP_MD *digest = EVP_get_digestbyname(text);
        return digest ? digest : EVP_sha256();
}

static void fingerprints(X509 *certificate, const EVP_MD *digest, struct tls_peer *out)
{
        unsigned char bytes[EVP_MAX_MD_SIZE];
        unsigned len;
        if (X509_digest(certificate, digest, bytes, &len) == 1)
                print_fingerprint(bytes, len, out->fingerprint);
        unsigned char *key = NULL;
        int key_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
        if (key_len > 0 && EVP_Digest(key, (size_t)key_len, bytes, &len, digest, NULL) == 1)
                print_fingerprint(bytes, len, out->key_fingerprint);
        OPENSSL_free(key);
}

void wire_tls_peer(const struct wire *w, struct str digest, struct tls_peer *out)
{
        SSL *ssl = wire_ssl(w);
        *out = (struct tls_peer){.problem = "no TLS"};
        if (!ssl)
                return;
        out->is_resumed = SSL_session_reused(ssl);
        X509 *certificate = SSL_get0_peer_certificate(ssl);
        out->problem = "no certificate";
        if (!certificate)
                return;
        long result = SSL_get_verify_result(ssl);
        out->has_certificate = true;
        out->is_trusted = result == X509_V_OK;
        out->problem = X509_verify_cert_error_string(result);
        name_of(X509_get_subject_name(certificate), out->subject);
        name_of(X509_get_issuer_name(certificate), out->issuer);
        fingerprints(certificate, digest_find(digest), out);
}

bool wire_tls_peer_is(const struct wire *w, struct str name, bool star_is_many)
{
        SSL *ssl = wire_ssl(w);
        X509 *certificate = ssl ? SSL_get0_peer_certificate(ssl) : NULL;
        if (!certificate || name.len == 0)
                return false;
        unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
        if (star_is_many)
                flags |= X509_CHECK_FLAG_MULTI_LABEL_WILDCARDS;
        /* ".example.com" matches names below, which OpenSSL knows by the leading dot */
        return X509_check_host(certificate, name.ptr, name.len, flags, NULL) == 1;
}
