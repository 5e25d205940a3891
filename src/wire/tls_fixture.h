/* tls_fixture.h - for tests: a certificate and keys in a directory of their own */
#ifndef WIRE_TLS_FIXTURE_H
#define WIRE_TLS_FIXTURE_H

struct tls_fixture {
        char dir[64];
        char cert[96];
        char key[96];
        char other_key[96];       /* does not belong to cert */
        char fingerprint[32 * 3]; /* of cert, SHA-256 */
        char named_cert[96];      /* for *.below.example and other.example, by other_key */
};

/* The certificate is for mx.example (common name) and is its own issuer. 0, or -1 when files cannot be made. */
int tls_fixture_make(struct tls_fixture *f);
/* A key by these parameters (PEM, of openssl dsaparam) and its certificate, in files of that name. 0 or -1. */
int tls_fixture_make_like(const char *parameters, const char *cert, const char *key);
/* The files and their directory. */
void tls_fixture_remove(struct tls_fixture *f);

#endif
