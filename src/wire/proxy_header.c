/*
 * proxy_header.c - reads the PROXY header
 *
 *      v1      = "PROXY" SP ( tcp / "UNKNOWN" *OCTET ) CR LF           at most 107 bytes
 *      tcp     = ( "TCP4" / "TCP6" ) SP source SP destination SP port SP port
 *      v2      = signature version-command family-transport length addresses *tlv
 *      tlv     = type length value                                     1, 2 and `length` bytes
 *
 * Numbers of version 2 are in network order. Until it is known how long the header is, bytes are taken one at a
 * time; then the rest at once.
 */
#include "wire/proxy_header.h"

#include "base/check.h"
#include "base/crc32c.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
static const char v1_begin[] = "PROXY ";

enum {
        SIGNATURE_BYTES = sizeof(signature) - 1,
        V1_BEGIN_BYTES = sizeof(v1_begin) - 1,
        V2_FIXED_BYTES = 16,
        TLV_HEAD_BYTES = 3,
        UNIX_PATH_BYTES = 108,
};

void proxy_reader_init(struct proxy_reader *r)
{
        r->is_done = false;
        buf_init(&r->bytes, PROXY_HEADER_BYTES_MAX);
}

void proxy_reader_done(struct proxy_reader *r)
{
        buf_done(&r->bytes);
}

/* ---- version 1 ---- */

/* A number without zeros in front, 0..65535. */
static bool port_parse(struct str text, uint16_t *port)
{
        int64_t n;
        if (text.len == 0 || (text.len > 1 && text.ptr[0] == '0') || !char_is_digit(text.ptr[0]) ||
            str_to_int64(text, 0, 65535, &n) < 0)
                return false;
        *port = (uint16_t)n;
        return true;
}

static void set_ipv4(struct proxy_end *end, const void *bytes)
{
        end->family = AF_INET;
        inet_ntop(AF_INET, bytes, end->text, sizeof(end->text));
}

static void set_ipv6(struct proxy_end *end, const struct in6_addr *address)
{
        if (IN6_IS_ADDR_V4MAPPED(address)) {
                set_ipv4(end, address->s6_addr + 12);
                return;
        }
        end->family = AF_INET6;
        inet_ntop(AF_INET6, address, end->text, sizeof(end->text));
}

/* inet_pton() takes neither zeros in front nor fewer than four numbers; dots have no place in TCP6. */
static bool address_parse(struct str text, int family, struct proxy_end *end)
{
        char z[sizeof(end->text)];
        struct in_addr v4;
        struct in6_addr v6;
        if (text.len == 0 || text.len >= sizeof(z) || str_find(text, '\0') >= 0)
                return false;
        memcpy(z, text.ptr, text.len);
        z[text.len] = 0;
        if (family == AF_INET) {
                if (inet_pton(AF_INET, z, &v4) != 1)
                        return false;
                set_ipv4(end, &v4);
        } else {
                if (str_find(text, '.') >= 0 || inet_pton(AF_INET6, z, &v6) != 1)
                        return false;
                set_ipv6(end, &v6);
        }
        return true;
}

/* Exactly one blank stands between two words. */
static struct str take_word(struct str *rest, bool *has_more)
{
        *has_more = str_find(*rest, ' ') >= 0;
        return str_cut(rest, ' ');
}

static int v1_parse(struct str line, struct proxy_header *out, struct why *why)
{
        bool has_more;
        out->version = 1;
        line = str_tail(line, V1_BEGIN_BYTES);
        struct str protocol = take_word(&line, &has_more);
        if (str_eq(protocol, STR("UNKNOWN"))) { /* whatever follows says nothing */
                out->origin = PROXY_FROM_UNKNOWN;
                return 0;
        }
        int family = str_eq(protocol, STR("TCP4"))   ? AF_INET
                     : str_eq(protocol, STR("TCP6")) ? AF_INET6
                                                     : AF_UNSPEC;
        if (family == AF_UNSPEC)
                return why_set(why, -EBADMSG, "its protocol is none of TCP4, TCP6, UNKNOWN");
        struct str words[4] = {0};
        for (int i = 0; i < 4 && has_more; i++)
                words[i] = take_word(&line, &has_more);
        if (has_more)
                return why_set(why, -EBADMSG, "there is more in it than addresses and ports");
        out->origin = PROXY_FROM_CLIENT;
        if (!address_parse(words[0], family, &out->source) ||
            !address_parse(words[1], family, &out->destination))
                return why_set(why, -EBADMSG, "an address in it is none");
        if (!port_parse(words[2], &out->source.port) ||
            !port_parse(words[3], &out->destination.port))
                return why_set(why, -EBADMSG, "a port in it is none");
        return 0;
}

/* ---- version 2 ---- */

enum { TLV_CRC32C = 0x03, TLV_UNIQUE_ID = 0x05, TLV_SSL = 0x20 };
enum { CRC_BYTES = 4, UNIQUE_ID_BYTES_MAX = 128, SSL_FIXED_BYTES = 5, SSL_CLIENT_HAS_TLS = 1 };

static unsigned u8_at(struct str s, size_t at)
{
        return (unsigned char)s.ptr[at];
}

static unsigned u16_at(struct str s, size_t at)
{
        return u8_at(s, at) << 8 | u8_at(s, at + 1);
}

static uint32_t u32_at(struct str s, size_t at)
{
        return (uint32_t)u16_at(s, at) << 16 | u16_at(s, at + 2);
}

/* 1: there it is. 0: no more. -EBADMSG: it reaches over the end. */
static int tlv_next(struct str *rest, unsigned *type, struct str *value)
{
        if (rest->len == 0)
                return 0;
        if (rest->len < TLV_HEAD_BYTES)
                return -EBADMSG;
        *type = u8_at(*rest, 0);
        size_t len = u16_at(*rest, 1);
        if (len > rest->len - TLV_HEAD_BYTES)
                return -EBADMSG;
        *value = str_part(*rest, TLV_HEAD_BYTES, len);
        *rest = str_tail(*rest, TLV_HEAD_BYTES + len);
        return 1;
}

/* The checksum is of the whole header, with zeros where it stands itself. */
static bool crc_is_right(struct str all, struct str value)
{
        static const char zeros[CRC_BYTES];
        size_t at = (size_t)(value.ptr - all.ptr);
        uint32_t crc = crc32c(0, all.ptr, at);
        crc = crc32c(crc, zeros, CRC_BYTES);
        crc = crc32c(crc, value.ptr + CRC_BYTES, all.len - at - CRC_BYTES);
        return crc == u32_at(value, 0);
}

static bool ssl_parse(struct str value, struct proxy_header *out)
{
        if (value.len < SSL_FIXED_BYTES)
                return false;
        out->had_tls = u8_at(value, 0) & SSL_CLIENT_HAS_TLS;
        struct str rest = str_tail(value, SSL_FIXED_BYTES);
        struct str one;
        unsigned type;
        int rc;
        while ((rc = tlv_next(&rest, &type, &one)) > 0)
                ;
        return rc == 0;
}

static int tlvs_parse(struct str all, struct str rest, struct proxy_header *out, struct why *why)
{
        struct str value;
        unsigned type;
        int rc;
        while ((rc = tlv_next(&rest, &type, &value)) > 0) {
                if (type == TLV_CRC32C) {
                        if (out->had_crc || value.len != CRC_BYTES || !crc_is_right(all, value))
                                return why_set(why, -EBADMSG, "its checksum is wrong");
                        out->had_crc = true;
                } else if (type == TLV_SSL && !ssl_parse(value, out)) {
                        return why_set(why, -EBADMSG, "what it says of TLS is cut off");
                } else if (type == TLV_UNIQUE_ID && value.len > UNIQUE_ID_BYTES_MAX) {
                        return why_set(why, -EBADMSG, "its unique id is longer than %d bytes",
                                       UNIQUE_ID_BYTES_MAX);
                }
        }
        return rc < 0 ? why_set(why, rc, "a field of it reaches over its end") : 0;
}

enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX };
enum { TRANSPORT_UNSPEC, TRANSPORT_STREAM, TRANSPORT_DATAGRAM };
enum { COMMAND_LOCAL, COMMAND_PROXY };

static void ends_parse(struct str a, unsigned family, struct proxy_header *out)
{
        struct in6_addr v6;
        out->origin = PROXY_FROM_CLIENT;
        if (family == FAMILY_INET) {
                set_ipv4(&out->source, a.ptr);
                set_ipv4(&out->destination, a.ptr + 4);
                out->source.port = (uint16_t)u16_at(a, 8);
                out->destination.port = (uint16_t)u16_at(a, 10);
                return;
        }
        memcpy(&v6, a.ptr, 16);
        set_ipv6(&out->source, &v6);
        memcpy(&v6, a.ptr + 16, 16);
        set_ipv6(&out->destination, &v6);
        out->source.port = (uint16_t)u16_at(a, 32);
        out->destination.port = (uint16_t)u16_at(a, 34);
}

static int v2_parse(struct str all, struct proxy_header *out, struct why *why)
{
        static const size_t address_bytes[] = {
                [FAMILY_UNSPEC] = 0,
                [FAMILY_INET] = 2 * 4 + 2 * 2,
                [FAMILY_INET6] = 2 * 16 + 2 * 2,
                [FAMILY_UNIX] = 2 * UNIX_PATH_BYTES,
        };
        unsigned command = u8_at(all, 12) & 15;
        unsigned family = u8_at(all, 13) >> 4;
        unsigned transport = u8_at(all, 13) & 15;
        out->version = 2;
        if (command == COMMAND_LOCAL) { /* all that follows is to be dropped unseen */
                out->origin = PROXY_FROM_BALANCER;
                return 0;
        }
        if (command != COMMAND_PROXY)
                return why_set(why, -EBADMSG, "its command %u is not known", command);
        bool is_unspec = family == FAMILY_UNSPEC && transport == TRANSPORT_UNSPEC;
        bool is_known = family != FAMILY_UNSPEC && family <= FAMILY_UNIX &&
                        transport != TRANSPORT_UNSPEC && transport <= TRANSPORT_DATAGRAM;
        if (!is_unspec && !is_known)
                return why_set(why, -EBADMSG, "its address family 0x%02x is not known",
                               u8_at(all, 13));
        struct str rest = str_tail(all, V2_FIXED_BYTES);
        out->origin = PROXY_FROM_UNKNOWN;
        if (is_unspec) /* whatever follows is not to be interpreted */
                return 0;
        if (transport == TRANSPORT_DATAGRAM)
                return why_set(why, -EBADMSG, "it tells of datagrams, and this is a stream");
        if (rest.len < address_bytes[family])
                return why_set(why, -EBADMSG, "it is too short for its addresses");
        if (family != FAMILY_UNIX)
                ends_parse(rest, family, out);
        return tlvs_parse(all, str_tail(rest, address_bytes[family]), out, why);
}

/* ---- how much is needed ---- */

/* Could these bytes become a header of version 1 (2)? */
static bool may_begin(struct str have, const char *begin, size_t begin_bytes)
{
        return memcmp(have.ptr, begin, have.len < begin_bytes ? have.len : begin_bytes) == 0;
}

/* How many bytes there must be before more can be said; as many as there are: it is complete. 0: it is none. */
static size_t bytes_needed(struct str have, struct why *why)
{
        if (have.len == 0)
                return 1;
        if (may_begin(have, v1_begin, V1_BEGIN_BYTES)) {
                if (str_ends(have, STR("\r\n")))
                        return have.len;
                bool has_stray = have.ptr[have.len - 1] == '\n' ||
                                 (have.len > 1 && have.ptr[have.len - 2] == '\r');
                if (!has_stray && have.len < PROXY_V1_BYTES_MAX)
                        return have.len + 1;
                why_set(why, 0,
                        has_stray ? "its line does not end in CR LF" : "its line is too long");
                return 0;
        }
        if (!may_begin(have, signature, SIGNATURE_BYTES)) {
                why_set(why, 0, "the connection does not begin with a PROXY header");
                return 0;
        }
        if (have.len < V2_FIXED_BYTES)
                return have.len + 1;
        if (u8_at(have, 12) >> 4 != 2) {
                why_set(why, 0, "its version %u is not known", u8_at(have, 12) >> 4);
                return 0;
        }
        size_t all = V2_FIXED_BYTES + u16_at(have, 14);
        if (all > PROXY_HEADER_BYTES_MAX) {
                why_set(why, 0, "it is longer than %d bytes", PROXY_HEADER_BYTES_MAX);
                return 0;
        }
        return all;
}

int proxy_reader_feed(struct proxy_reader *r, struct str *in, struct proxy_header *out,
                      struct why *why)
{
        check(!r->is_done);
        *out = (struct proxy_header){0};
        for (;;) {
                size_t needed = bytes_needed(buf_str(&r->bytes), why);
                if (needed == 0)
                        return -EBADMSG;
                if (needed == r->bytes.len)
                        break;
                struct str part = str_part(*in, 0, needed - r->bytes.len);
                if (part.len == 0)
                        return 0;
                check(buf_append_str(&r->bytes, part) == 0);
                *in = str_tail(*in, part.len);
        }
        struct str all = buf_str(&r->bytes);
        r->is_done = true;
        int rc = all.ptr[0] == 'P' ? v1_parse(str_part(all, 0, all.len - 2), out, why)
                                   : v2_parse(all, out, why);
        return rc < 0 ? rc : 1;
}
