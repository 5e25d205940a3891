/* tls_private.h - what wire.c needs of a TLS context */
#ifndef WIRE_TLS_PRIVATE_H
#define WIRE_TLS_PRIVATE_H

#include "wire/tls.h"

#include <openssl/ssl.h>

SSL_CTX *tls_context_ssl(struct tls_context *t);
/* The oldest error that OpenSSL remembers for this thread, as text; forgets all of them. */
const char *tls_error(char *out, size_t room);

#endif
