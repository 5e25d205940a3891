/* xclient.c - the attributes of XCLIENT and XFORWARD */
#include "smtp/xclient.h"

#include "smtp/grammar.h"

#include <arpa/inet.h>

enum { VALUE_BYTES_MAX = 255, PROTO_BYTES_MAX = 64, SHOWN_BYTES_MAX = 100 };

static const struct {
        struct str name;
        unsigned commands;
} attributes[SMTP_ATTRIBUTES] = {
        [SMTP_ATTRIBUTE_NAME] = {STR_INIT("NAME"), SMTP_OF_XCLIENT | SMTP_OF_XFORWARD},
        [SMTP_ATTRIBUTE_ADDR] = {STR_INIT("ADDR"), SMTP_OF_XCLIENT | SMTP_OF_XFORWARD},
        [SMTP_ATTRIBUTE_PORT] = {STR_INIT("PORT"), SMTP_OF_XCLIENT | SMTP_OF_XFORWARD},
        [SMTP_ATTRIBUTE_PROTO] = {STR_INIT("PROTO"), SMTP_OF_XCLIENT | SMTP_OF_XFORWARD},
        [SMTP_ATTRIBUTE_HELO] = {STR_INIT("HELO"), SMTP_OF_XCLIENT | SMTP_OF_XFORWARD},
        [SMTP_ATTRIBUTE_REVERSE_NAME] = {STR_INIT("REVERSE_NAME"), SMTP_OF_XCLIENT},
        [SMTP_ATTRIBUTE_LOGIN] = {STR_INIT("LOGIN"), SMTP_OF_XCLIENT},
        [SMTP_ATTRIBUTE_DESTADDR] = {STR_INIT("DESTADDR"), SMTP_OF_XCLIENT},
        [SMTP_ATTRIBUTE_DESTPORT] = {STR_INIT("DESTPORT"), SMTP_OF_XCLIENT},
        [SMTP_ATTRIBUTE_IDENT] = {STR_INIT("IDENT"), SMTP_OF_XFORWARD},
        [SMTP_ATTRIBUTE_SOURCE] = {STR_INIT("SOURCE"), SMTP_OF_XFORWARD},
};

static enum smtp_attribute attribute_find(struct str name, enum smtp_attribute_command command)
{
        for (int i = 0; i < SMTP_ATTRIBUTES; i++)
                if (attributes[i].commands & command && str_eq_nocase(name, attributes[i].name))
                        return (enum smtp_attribute)i;
        return SMTP_ATTRIBUTES;
}

/* What could end a word, a comment or a line where the value is shown later. */
static struct str neutered(struct str value, struct arena *arena)
{
        char *out = arena_alloc(arena, value.len + 1);
        for (size_t i = 0; i < value.len; i++) {
                char c = value.ptr[i];
                out[i] = char_is_control(c) || strchr(" <>()\\\";@", c) ? '?' : c;
        }
        return str_make(out, value.len);
}

/* "192.0.2.1", "IPv6:2001:db8::1" */
static bool address_parse(struct str text, struct arena *arena, struct str *out)
{
        static const struct str prefix = STR_INIT("IPv6:");
        bool is_ipv6 = str_starts_nocase(text, prefix);
        unsigned char bits[16];
        char z[INET6_ADDRSTRLEN];
        if (is_ipv6)
                text = str_tail(text, prefix.len);
        if (text.len == 0 || text.len >= sizeof(z) || str_find(text, '\0') >= 0)
                return false;
        snprintf(z, sizeof(z), "%.*s", STR_ARG(text));
        int family = is_ipv6 ? AF_INET6 : AF_INET;
        if (inet_pton(family, z, bits) != 1)
                return false;
        *out = arena_str(arena, str_from(inet_ntop(family, bits, z, sizeof(z))));
        return true;
}

static bool value_is_one_of(struct str *value, struct str a, struct str b)
{
        if (str_eq_nocase(*value, a))
                *value = a;
        else if (str_eq_nocase(*value, b))
                *value = b;
        else
                return false;
        return true;
}

/* Checks, and puts into its usual form. */
static bool value_take(enum smtp_attribute which, enum smtp_attribute_command command,
                       struct str *value, struct arena *arena)
{
        int64_t port;
        switch (which) {
        case SMTP_ATTRIBUTE_NAME:
        case SMTP_ATTRIBUTE_REVERSE_NAME:
                return smtp_domain_is_valid(*value) && smtp_text_is_ascii(*value);
        case SMTP_ATTRIBUTE_ADDR:
        case SMTP_ATTRIBUTE_DESTADDR:
                return address_parse(*value, arena, value);
        case SMTP_ATTRIBUTE_PORT:
        case SMTP_ATTRIBUTE_DESTPORT:
                return value->len && value->len <= 5 && char_is_digit(value->ptr[0]) &&
                       str_to_int64(*value, 0, 65535, &port) == 0;
        case SMTP_ATTRIBUTE_PROTO:
                if (command == SMTP_OF_XCLIENT)
                        return value_is_one_of(value, STR("SMTP"), STR("ESMTP"));
                *value = neutered(*value, arena);
                return value->len <= PROTO_BYTES_MAX;
        case SMTP_ATTRIBUTE_SOURCE:
                return value_is_one_of(value, STR("LOCAL"), STR("REMOTE"));
        default:
                *value = neutered(*value, arena);
                return true;
        }
}

static int attribute_take(struct str word, enum smtp_attribute_command command, struct arena *arena,
                          struct smtp_attributes *out, struct smtp_reply *refusal)
{
        struct str value = word;
        struct str name = str_cut(&value, '=');
        struct str shown = str_part(word, 0, SHOWN_BYTES_MAX);
        if (name.len == word.len)
                return smtp_refuse(refusal, 501, "5.5.4", STR("Error: attribute=value expected"));
        enum smtp_attribute which = attribute_find(name, command);
        if (which == SMTP_ATTRIBUTES)
                return smtp_refuse(refusal, 501, "5.5.4",
                                   arena_printf(arena, "Bad %s attribute name: %.*s",
                                                command == SMTP_OF_XCLIENT ? "XCLIENT" : "XFORWARD",
                                                STR_ARG(str_part(name, 0, SHOWN_BYTES_MAX))));
        if (value.len == 0 || value.len > 3 * VALUE_BYTES_MAX || !smtp_xtext_is_valid(value) ||
            (value = smtp_xtext_decode(value, arena)).len > VALUE_BYTES_MAX)
                return smtp_refuse(
                        refusal, 501, "5.5.4",
                        arena_printf(arena, "Bad attribute value syntax: %.*s", STR_ARG(shown)));
        unsigned bit = 1U << which;
        bool is_temporary = str_eq_nocase(value, STR("[TEMPUNAVAIL]"));
        bool is_unknown = is_temporary || str_eq_nocase(value, STR("[UNAVAILABLE]"));
        if (is_unknown)
                value = STR("");
        else if (!value_take(which, command, &value, arena))
                return smtp_refuse(refusal, 501, "5.5.4",
                                   arena_printf(arena, "Bad %.*s syntax: %.*s",
                                                STR_ARG(attributes[which].name),
                                                STR_ARG(str_tail(shown, name.len + 1))));
        out->given |= bit;
        out->unknown = is_unknown ? out->unknown | bit : out->unknown & ~bit;
        out->temporary = is_temporary ? out->temporary | bit : out->temporary & ~bit;
        out->values[which] = value;
        return 0;
}

int smtp_attributes_parse(struct str args, enum smtp_attribute_command command, struct arena *arena,
                          struct smtp_attributes *out, struct smtp_reply *refusal)
{
        struct str word;
        *out = (struct smtp_attributes){0};
        if (str_is_empty(str_trim(args)))
                return smtp_refuse(refusal, 501, "5.5.4",
                                   command == SMTP_OF_XCLIENT
                                           ? STR("Syntax: XCLIENT attribute=value...")
                                           : STR("Syntax: XFORWARD attribute=value..."));
        while (str_next_word(&args, " \t", &word)) {
                int rc = attribute_take(word, command, arena, out, refusal);
                if (rc < 0)
                        return rc;
        }
        return 0;
}
