/* tls.c - what a TLS connection is made from */
#include "wire/tls.h"

#include "base/buf.h"
#include "base/check.h"
#include "wire/tls_private.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>

struct tls_context {
        SSL_CTX *ssl;
        struct tls_names *names; /* NULL: none by SNI */
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

/* ---- files ---- */

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

/* Authorities: each of the file's certificates ends a chain, be it an intermediate one or the peer's own. */
static int load_anchors(SSL_CTX *ssl, struct str file, struct why *why)
{
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
        return load(ssl, load_ca, file, "cannot use trust anchor file",
                    "it must be PEM and readable", why);
}

static int load_authorities(SSL_CTX *ssl, const struct tls_options *o, struct why *why)
{
        if (!str_is_empty(o->anchor_file))
                return load_anchors(ssl, o->anchor_file, why);
        int rc = 0;
        if (!str_is_empty(o->ca_file))
                rc = load(ssl, load_ca, o->ca_file, "cannot use CA file",
                          "it must be PEM and readable", why);
        if (rc == 0 && !str_is_empty(o->ca_dir))
                rc = load(ssl, load_ca_dir, o->ca_dir, "cannot use CA directory",
                          "it must be a directory that openssl rehash made", why);
        if (rc == 0 && o->has_default_ca)
                SSL_CTX_set_default_verify_paths(ssl);
        ERR_clear_error();
        return rc;
}

/* One more certificate, of another kind of key. */
static int load_other(SSL_CTX *ssl, struct str chain, struct str key, struct why *why)
{
        return str_is_empty(chain) ? 0 : load_pair(ssl, chain, key.len ? key : chain, why);
}

static int load_files(SSL_CTX *ssl, const struct tls_options *o, struct why *why)
{
        int rc = load_chains(ssl, o, why);
        if (rc == 0)
                rc = load_other(ssl, o->ec_chain_file, o->ec_key_file, why);
        if (rc == 0)
                rc = load_other(ssl, o->dsa_chain_file, o->dsa_key_file, why);
        if (rc == 0 && o->is_server && !SSL_CTX_get0_certificate(ssl))
                rc = why_set(why, -EINVAL,
                             "TLS needs a certificate (smtpd_tls_cert_file or "
                             "smtpd_tls_chain_files)");
        if (rc == 0)
                rc = load_authorities(ssl, o, why);
        return rc;
}

/* ---- ciphers and curves ---- */

enum { CIPHERS_BYTES_MAX = 64 * 1024 };

/* "HIGH" without "aNULL MD5" is "HIGH:!aNULL:!MD5"; NUL-terminated in *list. */
static void cipher_list(struct buf *list, struct str ciphers, struct str excluded)
{
        buf_init(list, CIPHERS_BYTES_MAX);
        buf_append_str(list, str_is_empty(ciphers) ? STR("DEFAULT") : ciphers);
        struct str name;
        for (struct str rest = excluded; str_next_word(&rest, ", \t\r\n:", &name);) {
                buf_append(list, ":!", 2);
                buf_append_str(list, name);
        }
}

static int set_ciphers(SSL_CTX *ssl, const struct tls_options *o, struct why *why)
{
        if (str_is_empty(o->ciphers) && str_is_empty(o->excluded))
                return 0;
        struct buf list;
        cipher_list(&list, o->ciphers, o->excluded);
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

static int load_dh(SSL_CTX *ssl, const char *path)
{
        BIO *in = BIO_new_file(path, "r");
        EVP_PKEY *parameters = in ? PEM_read_bio_Parameters(in, NULL) : NULL;
        BIO_free(in);
        if (parameters && SSL_CTX_set0_tmp_dh_pkey(ssl, parameters) == 1)
                return 1;
        EVP_PKEY_free(parameters);
        return 0;
}

/* As many bits as our key has, or those of the file: smtpd_tls_dh1024_param_file. */
static int set_dh(SSL_CTX *ssl, struct str file, struct why *why)
{
        if (str_is_empty(file) || str_eq_nocase(file, STR("auto"))) {
                SSL_CTX_set_dh_auto(ssl, 1);
                return 0;
        }
        return load(ssl, load_dh, file, "cannot use DH parameter file",
                    "make it by openssl dhparam -out FILE 2048", why);
}

/* What is wrong with a certificate is noted and ends no handshake: whoever needs a good one looks afterwards. */
static int note_and_go_on(int is_good, X509_STORE_CTX *store)
{
        return 1;
}

/*
 * A session may be resumed on any loop and after a reload, but not by a service that wants another kind of
 * client.
 */
static void set_up_server(SSL_CTX *ssl, const struct tls_options *o)
{
        static const unsigned char plain[] = "forepost";
        static const unsigned char asking[] = "forepost, with certificates";
        SSL_CTX_set_session_id_context(ssl, o->asks_certificate ? asking : plain,
                                       o->asks_certificate ? sizeof(asking) - 1
                                                           : sizeof(plain) - 1);
        if (o->asks_certificate)
                SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, note_and_go_on);
        tls_resume_server(ssl);
}

static void set_up_client(SSL_CTX *ssl)
{
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, note_and_go_on);
        tls_resume_client(ssl);
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
        if (o->depth_max)
                SSL_CTX_set_verify_depth(ssl, o->depth_max);
        if (o->is_server)
                set_up_server(ssl, o);
        else
                set_up_client(ssl);
        if (o->prefers_own_ciphers)
                SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
        rc = tls_bits_apply(ssl, o->ssl_options, o->workarounds_off, why);
        if (rc == 0)
                rc = set_ciphers(ssl, o, why);
        if (rc == 0 && o->is_server)
                rc = set_dh(ssl, o->dh_file, why);
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

int tls_context_add_name(struct tls_context *t, struct str name, struct str chain_files,
                         struct why *why)
{
        struct tls_options o = {.is_server = true, .chain_file = chain_files};
        SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
        check(ssl);
        ERR_clear_error();
        int rc = load_chains(ssl, &o, why);
        if (rc == 0 && !SSL_CTX_get0_certificate(ssl))
                rc = why_set(why, -EINVAL, "no certificate in %.*s", STR_ARG(chain_files));
        if (rc == 0) {
                rc = tls_names_add(&t->names, name, ssl);
                if (rc < 0)
                        why_set(why, rc, "\"%.*s\" is no name, or there are too many",
                                STR_ARG(name));
                else
                        tls_names_serve(t->ssl, t->names);
        }
        SSL_CTX_free(ssl); /* the names hold their own reference */
        return rc;
}

int64_t tls_context_expires(const struct tls_context *t)
{
        int64_t earliest = INT64_MAX;
        for (int rc = SSL_CTX_set_current_cert(t->ssl, SSL_CERT_SET_FIRST); rc == 1;
             rc = SSL_CTX_set_current_cert(t->ssl, SSL_CERT_SET_NEXT)) {
                struct tm end;
                X509 *certificate = SSL_CTX_get0_certificate(t->ssl);
                if (certificate && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1 &&
                    timegm(&end) < earliest)
                        earliest = timegm(&end);
        }
        return earliest;
}

int tls_request_apply(SSL *ssl, const struct tls_request *r, struct why *why)
{
        int oldest = 0;
        int newest = 0;
        int rc = 0;
        char host[256];
        if (r->name.len && r->name.len < sizeof(host)) {
                snprintf(host, sizeof(host), "%.*s", STR_ARG(r->name));
                SSL_set_tlsext_host_name(ssl, host);
        }
        if (r->anchors)
                tls_anchors_apply(ssl, r->anchors);
        if (r->protocols.len) {
                rc = parse_protocols(r->protocols, &oldest, &newest, why);
                if (rc < 0)
                        return rc;
                SSL_set_min_proto_version(ssl, protocol_names[oldest].version);
                SSL_set_max_proto_version(ssl, protocol_names[newest].version);
        }
        if (r->ciphers.len || r->excluded.len) {
                struct buf list;
                cipher_list(&list, r->ciphers, r->excluded);
                buf_append(&list, "", 1);
                if (SSL_set_cipher_list(ssl, list.ptr) != 1)
                        rc = fail(why, "no cipher in", buf_str(&list), "see openssl ciphers -v");
                buf_done(&list);
        }
        return rc;
}

bool tls_knows_digest(struct str digest)
{
        char name[32];
        if (digest.len == 0 || digest.len >= sizeof(name))
                return false;
        snprintf(name, sizeof(name), "%.*s", STR_ARG(digest));
        return EVP_get_digestbyname(name) != NULL;
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
        tls_names_free(&t->names);
        free(t);
}

SSL_CTX *tls_context_ssl(struct tls_context *t)
{
        return t->ssl;
}
