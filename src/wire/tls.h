/*
 * tls.h - what a TLS connection is made from: protocol versions, ciphers, certificate and key
 *
 * A context is made at load from the configuration's files and shared by all loops; it is counted, and
 * connections keep theirs over a reload.
 */
#ifndef WIRE_TLS_H
#define WIRE_TLS_H

#include "base/str.h"
#include "base/why.h"

#include <stdbool.h>

struct tls_context;

struct tls_options {
        bool is_server;
        /*
         * PEM: certificate, then the others up to the root. Several files are several certificates, of
         * different kinds of key; a file with a key alone belongs to the one that follows it. Empty: none.
         */
        struct str chain_file;
        struct str key_file;      /* PEM; empty: in chain_file */
        struct str ec_chain_file; /* one more certificate, and its key */
        struct str ec_key_file;
        struct str ca_file;       /* authorities, PEM; empty: none */
        struct str ca_dir;        /* the same as a hashed directory */
        struct str protocols;     /* Postfix's: ">=TLSv1.2", "!SSLv3, !TLSv1" */
        struct str ciphers;       /* an OpenSSL list for TLS 1.2 and below; empty: OpenSSL's */
        struct str excluded;      /* names that are taken out of it: "aNULL, MD5" */
        struct str curves;        /* the best first; unknown ones are skipped; empty: OpenSSL's */
        bool prefers_own_ciphers; /* our order counts, not the client's */
};

/* NULL with *why: which file, what is wrong with it, how to mend it (a key that does not fit...). */
struct tls_context *tls_context_new(const struct tls_options *options, struct why *why);
struct tls_context *tls_context_ref(struct tls_context *t);
void tls_context_unref(struct tls_context **t);

#endif
