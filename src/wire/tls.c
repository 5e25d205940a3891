/* tls.c - what a TLS connection is made from */
#include "wire/tls.h"

#include "base/buf.h"
#include "base/check.h"
#include "wire/tls_private.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

struct tls_context {
        SSL_CTX *ssl;
        unsigned refs;
};

static const struct {
        struct str name;
        int version;
} protocol_names[] = {
        {STR_INIT("SSLv3"), SSL3_VERSION},     {STR_INIT("TLSv1"), TLS1_VERSION},
        {STR_INIT("TLSv1.1"), TLS1_1_VERSION}, {STR_INIT("TLSv1.2"), TLS1_2_VERSION},
        {STR_INIT("TLSv1.3"), TLS1_3_VERSION},
};
enum { PROTOCOL_COUNT = sizeof(protocol_names) / sizeof(protocol_names[0]) };

static int protocol_index(struct str name)
{
        for (int i = 0; i < PROTOCOL_COUNT; i++)
                if (str_eq_nocase(protocol_names[i].name, name))
                        return i;
        /* SSLv2 is named in many configurations to be excluded; it is always */
        return str_eq_nocase(name, STR("SSLv2")) ? -2 : -1;
}

/*
 * Postfix's smtpd_tls_protocols: ">=TLSv1.2", "<=TLSv1.3", "!SSLv3", "TLSv1.2 TLSv1.3" (only these). Versions
 * with a hole between them are narrowed to the newest run, as OpenSSL can only have a range.
 */
static int parse_protocols(struct str text, int *oldest, int *newest, struct why *why)
{
        bool is_named[PROTOCOL_COUNT] = {0};
        bool is_excluded[PROTOCOL_COUNT] = {0};
        bool names_some = false;
        int at_least = 0;
        int at_most = PROTOCOL_COUNT - 1;
        struct str word;
        for (struct str rest = text; str_next_word(&rest, ", \t\r\n:", &word);) {
                struct str name = word;
                char sign = 0;
                if (str_starts(word, STR(">=")) || str_starts(word, STR("<="))) {
                        sign = word.ptr[0];
                        name = str_tail(word, 2);
                } else if (str_starts(word, STR("!"))) {
                        sign = '!';
                        name = str_tail(word, 1);
                }
                int i = protocol_index(name);
                if (i == -1)
                        return why_set(why, -EINVAL,
                                       "unknown TLS protocol \"%.*s\": use SSLv3, TLSv1, TLSv1.1, "
                                       "TLSv1.2 or TLSv1.3, with >=, <= or ! in front",
                                       STR_ARG(word));
                if (i == -2)
                        continue;
                if (sign == '>')
                        at_least = i;
                else if (sign == '<')
                        at_most = i;
                else if (sign == '!')
                        is_excluded[i] = true;
                else
                        names_some = is_named[i] = true;
        }
        *oldest = *newest = -1;
        for (int i = at_most; i >= at_least; i--) {
                if (is_excluded[i] || (names_some && !is_named[i])) {
                        if (*newest >= 0)
                                break;
                        continue;
                }
                if (*newest < 0)
                        *newest = i;
                *oldest = i;
        }
        if (*newest < 0)
                return why_set(why, -EINVAL, "\"%.*s\" leaves no TLS protocol", STR_ARG(text));
        return 0;
}

const char *tls_error(char *out, size_t room)
{
        unsigned long code = ERR_get_error();
        const char *reason = code ? ERR_reason_error_string(code) : NULL;
        if (ERR_SYSTEM_ERROR(code)) /* a file that is not there: OpenSSL has no words for these */
                reason = why_errno(ERR_GET_REASON(code));
        if (reason)
                snprintf(out, room, "%s", reason);
        else
                snprintf(out, room, "TLS error %lx", code);
        ERR_clear_error();
        return out;
}

static int fail(struct why *why, const char *what, struct str file, const char *cure)
{
        char text[200];
        return why_set(why, -EINVAL, "%s %.*s: %s (%s)", what, STR_ARG(file),
                       tls_error(text, sizeof(text)), cure);
}

static int load_chain(SSL_CTX *ssl, const char *path)
{
        return SSL_CTX_use_certificate_chain_file(ssl, path);
}

static int load_key(SSL_CTX *ssl, const char *path)
{
        return SSL_CTX_use_PrivateKey_file(ssl, path, SSL_FILETYPE_PEM);
}

static int load_ca(SSL_CTX *ssl, const char *path)
{
        return SSL_CTX_load_verify_file(ssl, path);
}

static int load_ca_dir(SSL_CTX *ssl, const char *path)
{
        return SSL_CTX_load_verify_dir(ssl, path);
}

static int load(SSL_CTX *ssl, int (*loader)(SSL_CTX *ssl, const char *path), struct str file,
                const char *what, const char *cure, struct why *why)
{
        char *path = strndup(file.ptr, file.len);
        check(path);
        int ok = loader(ssl, path);
        free(path);
        return ok == 1 ? 0 : fail(why, what, file, cure);
}

static int load_pair(SSL_CTX *ssl, struct str chain, struct str key, struct why *why)
{
        int rc = load(ssl, load_chain, chain, "cannot use certificate file",
                      "it must be PEM and readable: certificate first, then its issuers", why);
        if (rc == 0)
                rc = load(ssl, load_key, key, "cannot use key file",
                          "it must be PEM, without a pass phrase, readable, and belong to "
                          "the certificate",
                          why);
        if (rc == 0 && SSL_CTX_check_private_key(ssl) != 1)
                rc = fail(why, "the key does not belong to the certificate:", key,
                          "give the key that the certificate was made with");
        return rc;
}

static bool has_certificate(struct str file)
{
        char *path = strndup(file.ptr, file.len);
        check(path);
        BIO *in = BIO_new_file(path, "r");
        free(path);
        X509 *certificate = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
        bool has_one = certificate || !in; /* a missing file is found where it is used */
        X509_free(certificate);
        BIO_free(in);
        ERR_clear_error();
        return has_one;
}

/* smtpd_tls_chain_files: "key certificate..." files, or a key's file in front of its certificate's */
static int load_chains(SSL_CTX *ssl, const struct tls_options *o, struct why *why)
{
        struct str key = o->key_file;
        struct str file;
        int rc = 0;
        for (struct str rest = o->chain_file; rc == 0 && str_next_word(&rest, ", \t\r\n", &file);) {
                struct str later = rest;
                struct str next;
                if (str_next_word(&later, ", \t\r\n", &next) && !has_certificate(file)) {
                        key = file;
                        continue;
                }
                rc = load_pair(ssl, file, key.len ? key : file, why);
                key = o->key_file;
        }
        return rc;
}

static int load_files(SSL_CTX *ssl, const struct tls_options *o, struct why *why)
{
        int rc = load_chains(ssl, o, why);
        if (rc == 0 && !str_is_empty(o->ec_chain_file))
                rc = load_pair(ssl, o->ec_chain_file,
                               o->ec_key_file.len ? o->ec_key_file : o->ec_chain_file, why);
        if (rc == 0 && o->is_server && !SSL_CTX_get0_certificate(ssl))
                rc = why_set(why, -EINVAL,
                             "TLS needs a certificate (smtpd_tls_cert_file or "
                             "smtpd_tls_chain_files)");
        if (rc == 0 && !str_is_empty(o->ca_file))
                rc = load(ssl, load_ca, o->ca_file, "cannot use CA file",
                          "it must be PEM and readable", why);
        if (rc == 0 && !str_is_empty(o->ca_dir))
                rc = load(ssl, load_ca_dir, o->ca_dir, "cannot use CA directory",
                          "it must be a directory that openssl rehash made", why);
        return rc;
}

/* ---- ciphers and curves ---- */

enum { CIPHERS_BYTES_MAX = 64 * 1024 };

/* "HIGH" without "aNULL MD5" is "HIGH:!aNULL:!MD5" */
static int set_ciphers(SSL_CTX *ssl, const struct tls_options *o, struct why *why)
{
        if (str_is_empty(o->ciphers) && str_is_empty(o->excluded))
                return 0;
        struct buf list;
        buf_init(&list, CIPHERS_BYTES_MAX);
        buf_append_str(&list, str_is_empty(o->ciphers) ? STR("DEFAULT") : o->ciphers);
        struct str name;
        for (struct str rest = o->excluded; str_next_word(&rest, ", \t\r\n:", &name);) {
                buf_append(&list, ":!", 2);
                buf_append_str(&list, name);
        }
        int rc = load(ssl, SSL_CTX_set_cipher_list, buf_str(&list), "no cipher in",
                      "see openssl ciphers -v", why);
        buf_done(&list);
        return rc;
}

static int set_curves(SSL_CTX *ssl, struct str names, struct why *why)
{
        enum { CURVES_MAX = 32 };
        int curves[CURVES_MAX];
        size_t count = 0;
        struct str word;
        for (struct str rest = names; str_next_word(&rest, ", \t\r\n:", &word);) {
                char name[64];
                snprintf(name, sizeof(name), "%.*s", STR_ARG(word));
                int id = EC_curve_nist2nid(name);
                if (id == NID_undef)
                        id = OBJ_sn2nid(name);
                if (id != NID_undef && count < CURVES_MAX)
                        curves[count++] = id;
        }
        ERR_clear_error();
        if (str_is_empty(names))
                return 0;
        if (count && SSL_CTX_set1_groups(ssl, curves, count) == 1)
                return 0;
        return fail(why, "no curve in", names,
                    "as X25519 prime256v1; see openssl ecparam -list_curves");
}

static int set_up(SSL_CTX *ssl, const struct tls_options *o, struct why *why)
{
        int oldest = 0;
        int newest = 0;
        int rc = parse_protocols(o->protocols, &oldest, &newest, why);
        if (rc < 0)
                return rc;
        SSL_CTX_set_min_proto_version(ssl, protocol_names[oldest].version);
        SSL_CTX_set_max_proto_version(ssl, protocol_names[newest].version);
        /* an idle connection then costs 16 KiB instead of 48 */
        SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        if (o->is_server) {
                static const unsigned char id[] = "forepost";
                SSL_CTX_set_session_id_context(ssl, id, sizeof(id) - 1);
        }
        if (o->prefers_own_ciphers)
                SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
        rc = set_ciphers(ssl, o, why);
        if (rc == 0)
                rc = set_curves(ssl, o->curves, why);
        return rc < 0 ? rc : load_files(ssl, o, why);
}

struct tls_context *tls_context_new(const struct tls_options *o, struct why *why)
{
        ERR_clear_error();
        SSL_CTX *ssl = SSL_CTX_new(o->is_server ? TLS_server_method() : TLS_client_method());
        check(ssl);
        if (set_up(ssl, o, why) < 0) {
                SSL_CTX_free(ssl);
                return NULL;
        }
        struct tls_context *t = calloc(1, sizeof(*t));
        check(t);
        t->ssl = ssl;
        t->refs = 1;
        return t;
}

struct tls_context *tls_context_ref(struct tls_context *t)
{
        if (t)
                __atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
        return t;
}

void tls_context_unref(struct tls_context **tp)
{
        struct tls_context *t = *tp;
        *tp = NULL;
        if (!t || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL))
                return;
        SSL_CTX_free(t->ssl);
        free(t);
}

SSL_CTX *tls_context_ssl(struct tls_context *t)
{
        return t->ssl;
}
