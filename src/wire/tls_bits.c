/* tls_bits.c - tls_ssl_options and tls_disable_workarounds: names of OpenSSL's options, or their bits (postconf(5)) */
#include "wire/tls_private.h"

#include <errno.h>

struct bit_name {
        struct str name;
        uint64_t bits; /* 0: OpenSSL 3 has no such thing any more */
};

static const struct bit_name options[] = {
        {STR_INIT("ENABLE_MIDDLEBOX_COMPAT"), SSL_OP_ENABLE_MIDDLEBOX_COMPAT},
        {STR_INIT("LEGACY_SERVER_CONNECT"), SSL_OP_LEGACY_SERVER_CONNECT},
        {STR_INIT("NO_TICKET"), SSL_OP_NO_TICKET},
        {STR_INIT("NO_COMPRESSION"), SSL_OP_NO_COMPRESSION},
        {STR_INIT("NO_RENEGOTIATION"), SSL_OP_NO_RENEGOTIATION},
        {STR_INIT("NO_SESSION_RESUMPTION_ON_RENEGOTIATION"),
         SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION},
        {STR_INIT("PRIORITIZE_CHACHA"), SSL_OP_PRIORITIZE_CHACHA},
};

static const struct bit_name workarounds[] = {
        {STR_INIT("CRYPTOPRO_TLSEXT_BUG"), SSL_OP_CRYPTOPRO_TLSEXT_BUG},
        {STR_INIT("DONT_INSERT_EMPTY_FRAGMENTS"), SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS},
        {STR_INIT("LEGACY_SERVER_CONNECT"), SSL_OP_LEGACY_SERVER_CONNECT},
        {STR_INIT("TLSEXT_PADDING"), SSL_OP_TLSEXT_PADDING},
        {STR_INIT("MICROSOFT_BIG_SSLV3_BUFFER"), 0},
        {STR_INIT("MICROSOFT_SESS_ID_BUG"), 0},
        {STR_INIT("MSIE_SSLV2_RSA_PADDING"), 0},
        {STR_INIT("CVE-2005-2969"), 0},
        {STR_INIT("NETSCAPE_CHALLENGE_BUG"), 0},
        {STR_INIT("NETSCAPE_REUSE_CIPHER_CHANGE_BUG"), 0},
        {STR_INIT("CVE-2010-4180"), 0},
        {STR_INIT("SSLEAY_080_CLIENT_DH_BUG"), 0},
        {STR_INIT("SSLREF2_REUSE_CERT_TYPE_BUG"), 0},
        {STR_INIT("TLS_BLOCK_PADDING_BUG"), 0},
        {STR_INIT("TLS_D5_BUG"), 0},
        {STR_INIT("TLS_ROLLBACK_BUG"), 0},
};

static bool parse_hex(struct str text, uint64_t *out)
{
        *out = 0;
        if (text.len < 3 || text.len > 18)
                return false;
        for (size_t i = 2; i < text.len; i++) {
                char c = char_lower(text.ptr[i]);
                bool is_letter = c >= 'a' && c <= 'f';
                if (!is_letter && !char_is_digit(c))
                        return false;
                *out = *out << 4 | (uint64_t)(is_letter ? c - 'a' + 10 : c - '0');
        }
        return true;
}

static bool find_name(const struct bit_name *names, size_t count, struct str word, uint64_t *bits)
{
        for (size_t i = 0; i < count; i++) {
                if (str_eq_nocase(names[i].name, word)) {
                        *bits = names[i].bits;
                        return true;
                }
        }
        return false;
}

static int parse(const char *parameter, const struct bit_name *names, size_t count, struct str text,
                 uint64_t *out, struct why *why)
{
        struct str word;
        *out = 0;
        while (str_next_word(&text, ", \t\r\n", &word)) {
                uint64_t bits;
                bool is_hex = str_starts_nocase(word, STR("0x"));
                if (is_hex ? !parse_hex(word, &bits) : !find_name(names, count, word, &bits))
                        return why_set(why, -EINVAL, "%s: there is no \"%.*s\"", parameter,
                                       STR_ARG(str_part(word, 0, 100)));
                *out |= bits;
        }
        return 0;
}

int tls_bits_apply(SSL_CTX *ssl, struct str set, struct str disabled, struct why *why)
{
        uint64_t on;
        uint64_t off;
        int rc = parse("tls_ssl_options", options, sizeof(options) / sizeof(options[0]), set, &on,
                       why);
        if (rc == 0)
                rc = parse("tls_disable_workarounds", workarounds,
                           sizeof(workarounds) / sizeof(workarounds[0]), disabled, &off, why);
        if (rc < 0)
                return rc;
        /* bits beyond the workarounds stay as they are: 0xFFFFFFFF is all workarounds */
        off &= SSL_OP_ALL | SSL_OP_LEGACY_SERVER_CONNECT;
        SSL_CTX_clear_options(ssl, off);
        SSL_CTX_set_options(ssl, (SSL_OP_ALL & ~off) | (on & ~SSL_OP_ALL));
        return 0;
}
