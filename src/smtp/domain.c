/*
 * domain.c - names of hosts and domains, and address literals
 *
 *      Domain     = sub-domain *("." sub-domain)                       (RFC 5321 4.1.2)
 *      sub-domain = Let-dig [Ldh-str] / U-label                        (RFC 6531 3.3)
 *      Let-dig    = ALPHA / DIGIT
 *      Ldh-str    = *( ALPHA / DIGIT / "-" ) Let-dig
 *      literal    = "[" ( IPv4-address / "IPv6:" IPv6-address ) "]"    (RFC 5321 4.1.3)
 *
 * As Postfix's valid_hostname(): an underscore passes for a letter, since such names are in use; a
 * name of digits and dots alone is an address that lost its brackets, and no name.
 *
 * A label in UTF-8 is not checked by IDNA's tables: whether such a name exists is for the DNS to
 * say, and there its A-label counts. Its length is measured in characters.
 */
#include "smtp/grammar.h"

#include <arpa/inet.h>

enum { LABEL_CHARACTERS_MAX = 63 };

static bool is_utf8_byte(char c)
{
        return (unsigned char)c & 0x80;
}

static bool label_is_valid(struct str label, bool *is_numeric)
{
        size_t characters = 0;
        for (size_t i = 0; i < label.len; i++) {
                char c = label.ptr[i];
                if (!char_is_alnum(c) && c != '_' && c != '-' && !is_utf8_byte(c))
                        return false;
                if (!char_is_digit(c))
                        *is_numeric = false;
                characters += ((unsigned char)c & 0xc0) != 0x80;
        }
        return characters >= 1 && characters <= LABEL_CHARACTERS_MAX && label.ptr[0] != '-' &&
               label.ptr[label.len - 1] != '-';
}

bool smtp_domain_is_valid(struct str domain)
{
        if (domain.len == 0 || domain.len > SMTP_DOMAIN_BYTES_MAX ||
            domain.ptr[domain.len - 1] == '.')
                return false;
        if (!smtp_text_is_ascii(domain) &&
            (!smtp_utf8_is_valid(domain) || smtp_text_has_control(domain)))
                return false;
        bool is_numeric = true;
        while (domain.len)
                if (!label_is_valid(str_cut(&domain, '.'), &is_numeric))
                        return false;
        return !is_numeric;
}

bool smtp_domain_is_fqdn(struct str domain)
{
        return str_find(domain, '.') >= 0 && smtp_domain_is_valid(domain);
}

bool smtp_domain_is_literal(struct str domain)
{
        char text[INET6_ADDRSTRLEN];
        unsigned char address[16];
        if (domain.len < 2 || domain.ptr[0] != '[' || domain.ptr[domain.len - 1] != ']')
                return false;
        struct str inner = str_part(domain, 1, domain.len - 2);
        int family = AF_INET;
        if (str_starts_nocase(inner, STR("IPv6:"))) {
                inner = str_tail(inner, 5);
                family = AF_INET6;
        }
        if (inner.len >= sizeof(text) || memchr(inner.ptr, '\0', inner.len))
                return false;
        memcpy(text, inner.ptr, inner.len);
        text[inner.len] = '\0';
        return inet_pton(family, text, address) == 1;
}
