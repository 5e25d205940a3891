/* tls_private.h - what wire.c needs of a TLS context */
#ifndef WIRE_TLS_PRIVATE_H
#define WIRE_TLS_PRIVATE_H

#include "wire/tls.h"

#include <openssl/ssl.h>

#include "wire/wire.h"

SSL_CTX *tls_context_ssl(struct tls_context *t);
SSL *wire_ssl(const struct wire *w);

/* What one connection as a client wants (tls.c). 0, or an error with *why. */
int tls_request_apply(SSL *ssl, const struct tls_request *r, struct why *why);

/* tls_bits.c: OpenSSL's workarounds less some, and options beside them. 0, or -EINVAL with *why. */
int tls_bits_apply(SSL_CTX *ssl, struct str set, struct str disabled, struct why *why);

/* tls_anchors.c */
void tls_anchors_apply(SSL *ssl, const struct tls_anchors *a);

/* tls_resume.c: tickets with keys that all server contexts share, and a store of sessions as a client. */
void tls_resume_server(SSL_CTX *ssl);
void tls_resume_client(SSL_CTX *ssl);
void tls_resume_begin(SSL *ssl, struct str key);

/* tls_names.c: certificates by SNI. */
struct tls_names;
int tls_names_add(struct tls_names **names, struct str name, SSL_CTX *ssl);
void tls_names_serve(SSL_CTX *ssl, const struct tls_names *names);
void tls_names_free(struct tls_names **names);

/* The oldest error that OpenSSL remembers for this thread, as text; forgets all of them. */
const char *tls_error(char *out, size_t room);

#endif
