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
        struct str dsa_chain_file; /* and another */
        struct str dsa_key_file;
        struct str ca_file; /* authorities, PEM; empty: none */
        struct str ca_dir;  /* the same as a hashed directory */
        struct str
                anchor_file; /* certificates that end a chain, whoever signed them; instead of all others */
        bool has_default_ca; /* OpenSSL's own authorities beside them */
        int depth_max;       /* certificates between the peer's and its authority; 0: OpenSSL's */
        bool asks_certificate; /* of a client. It may give none; who needs one looks at struct tls_peer */
        struct str protocols; /* Postfix's: ">=TLSv1.2", "!SSLv3, !TLSv1" */
        struct str ciphers;   /* an OpenSSL list for TLS 1.2 and below; empty: OpenSSL's */
        struct str excluded;  /* names that are taken out of it: "aNULL, MD5" */
        struct str
                curves; /* groups too, the best first; unknown ones are skipped; empty: OpenSSL's */
        struct str dh_file;     /* parameters of DHE below TLS 1.3, PEM; empty: OpenSSL's own */
        struct str ssl_options; /* tls_ssl_options: names, or bits as 0x... */
        struct str
                workarounds_off; /* tls_disable_workarounds: what is not to be done for faulty peers */
        bool prefers_own_ciphers; /* our order counts, not the client's */
};

/*
 * Before anything else of TLS, once in a process: tls_config_file ("default", "none", a file) and tls_config_name. 0, or an
 * error with *why.
 */
int tls_library_begin(struct str config_file, struct str config_name, struct why *why);

/* NULL with *why: which file, what is wrong with it, how to mend it (a key that does not fit...). */
struct tls_context *tls_context_new(const struct tls_options *options, struct why *why);
/*
 * A server's certificate for clients that ask for `name` (SNI, RFC 6066 3): "www.example.com", or ".example.com" for
 * all below it. `chain_files` as tls_options.chain_file. Only before the context serves. 0, or an error with *why.
 */
int tls_context_add_name(struct tls_context *t, struct str name, struct str chain_files,
                         struct why *why);
/* The earliest end of the certificates in it, in seconds since 1970; INT64_MAX: there are none. */
int64_t tls_context_expires(const struct tls_context *t);
struct tls_context *tls_context_ref(struct tls_context *t);
void tls_context_unref(struct tls_context **t);

/*
 * Certificates that end a chain for one connection (struct tls_request), whoever signed them; instead of the context's
 * authorities. `files` are PEM, with blanks or commas between. Reads them: not on a loop. NULL with *why.
 */
struct tls_anchors;
struct tls_anchors *tls_anchors_load(struct str files, struct why *why);
void tls_anchors_free(struct tls_anchors **a);

/* Who is on the other side, as far as certificates say. */
enum { TLS_NAME_BYTES_MAX = 256, TLS_FINGERPRINT_BYTES_MAX = 64 * 3 };
struct tls_peer {
        bool has_certificate;
        bool is_trusted; /* its chain ends at an authority of the context, and all in it is valid now */
        const char *problem;              /* why not; lives for ever */
        bool is_resumed;                  /* the session of an earlier connection */
        char subject[TLS_NAME_BYTES_MAX]; /* its common name, printable; may be empty */
        char issuer[TLS_NAME_BYTES_MAX];
        char fingerprint[TLS_FINGERPRINT_BYTES_MAX];     /* of the certificate, "AB:CD:..." */
        char key_fingerprint[TLS_FINGERPRINT_BYTES_MAX]; /* of its public key */
};

/* Is there such a digest? "sha256", "md5": smtpd_tls_fingerprint_digest. */
bool tls_knows_digest(struct str digest);

/* How long sessions may be resumed, over all contexts and loops of this process (smtpd_tls_session_cache_timeout). */
void tls_set_session_lifetime(int64_t ms);

#endif
