/*
 * network.c - addresses and networks
 *
 * Both families are kept as 16 bytes, IPv4 in the mapped form. The mapped block ::ffff:0:0/96 *is*
 * IPv4 here: a shorter IPv6 prefix such as ::/0 does not reach into it, as in Postfix.
 */
#include "table/table.h"

#include <arpa/inet.h>
#include <errno.h>

enum { MAPPED_BITS = 96 };

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_mapped(const unsigned char address[16])
{
        return memcmp(address, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

/* An address alone, without brackets. */
static bool bare_address_parse(struct str text, unsigned char address[16], bool *is_ipv4)
{
        char copy[INET6_ADDRSTRLEN];
        if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
                return false;
        memcpy(copy, text.ptr, text.len);
        copy[text.len] = '\0';
        *is_ipv4 = !memchr(copy, ':', text.len);
        if (!*is_ipv4)
                return inet_pton(AF_INET6, copy, address) == 1;
        memcpy(address, mapped_prefix, sizeof(mapped_prefix));
        return inet_pton(AF_INET, copy, address + sizeof(mapped_prefix)) == 1;
}

bool network_address_parse(struct str text, unsigned char address[16])
{
        if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
                text = str_part(text, 1, text.len - 2);
        bool wants_ipv6 = str_starts_nocase(text, STR("IPv6:"));
        if (wants_ipv6)
                text = str_tail(text, 5);
        bool is_ipv4;
        return bare_address_parse(text, address, &is_ipv4) && !(wants_ipv6 && is_ipv4);
}

bool network_has(const struct network *n, const unsigned char address[16])
{
        if (n->prefix_bits < MAPPED_BITS && is_mapped(address))
                return false;
        int bytes = n->prefix_bits / 8;
        int bits = n->prefix_bits % 8;
        if (memcmp(n->address, address, (size_t)bytes) != 0)
                return false;
        if (bits == 0)
                return true;
        unsigned mask = 0xffu << (8 - bits);
        return ((n->address[bytes] ^ address[bytes]) & mask) == 0;
}

/* Sets the bits behind the prefix to 0; true when there was one. */
static bool host_bits_clear(struct network *n)
{
        bool had = false;
        for (int i = 0; i < 16; i++) {
                int keep = n->prefix_bits - i * 8;
                unsigned mask = keep >= 8 ? 0xff : keep <= 0 ? 0 : 0xffu << (8 - keep) & 0xff;
                had |= (n->address[i] & ~mask) != 0;
                n->address[i] &= (unsigned char)mask;
        }
        return had;
}

static int bad_address(struct str text, struct str address, struct why *why)
{
        size_t dots = 0;
        size_t plain = 0;
        for (size_t i = 0; i < address.len; i++) {
                dots += address.ptr[i] == '.';
                plain += char_is_digit(address.ptr[i]) || address.ptr[i] == '.';
        }
        bool is_plain = plain == address.len && address.len > 0;
        const char *cure = is_plain && dots < 3
                                   ? "; an IPv4 network has four numbers, as 192.0.2.0/24"
                           : is_plain ? "; each number is 0 to 255, without leading zeros"
                                      : "; a network is written as 192.0.2.0/24 or [2001:db8::]/32";
        return why_set(why, -EINVAL, "\"%.*s\" is not an address%s",
                       (int)(text.len > 100 ? 100 : text.len), text.ptr, cure);
}

/* The number of bits from a netmask like 255.255.255.0; -1 when it is none. */
static int netmask_bits(struct str text)
{
        unsigned char mask[16];
        bool is_ipv4;
        if (!bare_address_parse(text, mask, &is_ipv4) || !is_ipv4)
                return -1;
        uint32_t bits = (uint32_t)mask[12] << 24 | (uint32_t)mask[13] << 16 |
                        (uint32_t)mask[14] << 8 | mask[15];
        int count = bits ? __builtin_clz(~bits | 1) : 0;
        if (bits == UINT32_MAX)
                count = 32;
        return count == 32 || bits << count == 0 ? count : -1;
}

static int prefix_parse(struct str text, struct str address, struct str prefix, bool is_ipv4,
                        int *bits, struct why *why)
{
        int64_t value;
        int bits_max = is_ipv4 ? 32 : 128;
        int error = str_to_int64(prefix, 0, bits_max, &value);
        if (error == 0 && char_is_digit(prefix.ptr[0])) {
                *bits = (int)value + (is_ipv4 ? MAPPED_BITS : 0);
                return 0;
        }
        int mask = is_ipv4 ? netmask_bits(prefix) : -1;
        if (mask >= 0)
                return why_set(why, -EINVAL, "\"%.*s\": write the netmask as a number: %.*s/%d",
                               STR_ARG(text), STR_ARG(address), mask);
        return why_set(why, -EINVAL, "\"%.*s\": the prefix is a number from 0 to %d",
                       (int)(text.len > 100 ? 100 : text.len), text.ptr, bits_max);
}

static int host_bits_error(struct str text, const struct network *n, bool is_ipv4, struct why *why)
{
        char meant[INET6_ADDRSTRLEN];
        inet_ntop(is_ipv4 ? AF_INET : AF_INET6, n->address + (is_ipv4 ? 12 : 0), meant,
                  sizeof(meant));
        int bits = n->prefix_bits - (is_ipv4 ? MAPPED_BITS : 0);
        char network[sizeof(meant) + 8];
        snprintf(network, sizeof(network), is_ipv4 ? "%s/%d" : "[%s]/%d", meant, bits);
        return why_set(why, -EINVAL, "\"%.*s\" has host bits behind its prefix; the network is %s",
                       STR_ARG(text), network);
}

int network_parse(struct str text, struct network *out, struct why *why)
{
        struct str rest = text;
        struct str address;
        /* "[2001:db8::]/32", "[2001:db8::/32]", "2001:db8::/32" */
        bool is_enclosed = rest.len >= 2 && rest.ptr[0] == '[' && rest.ptr[rest.len - 1] == ']';
        if (is_enclosed)
                rest = str_part(rest, 1, rest.len - 2);
        ptrdiff_t slash = str_find(rest, '/');
        address = slash < 0 ? rest : str_part(rest, 0, (size_t)slash);
        if (!is_enclosed && address.len >= 2 && address.ptr[0] == '[' &&
            address.ptr[address.len - 1] == ']')
                address = str_part(address, 1, address.len - 2);

        bool is_ipv4;
        struct network n = {.prefix_bits = 128};
        if (!bare_address_parse(address, n.address, &is_ipv4))
                return bad_address(text, address, why);
        if (slash >= 0) {
                int error = prefix_parse(text, address, str_tail(rest, (size_t)slash + 1), is_ipv4,
                                         &n.prefix_bits, why);
                if (error)
                        return error;
        }
        if (host_bits_clear(&n))
                return host_bits_error(text, &n, is_ipv4, why);
        *out = n;
        return 0;
}
