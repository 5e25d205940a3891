/*
 * xclient.h - XCLIENT and XFORWARD: a trusted peer says on whose behalf it speaks (Postfix XCLIENT_README,
 * XFORWARD_README)
 *
 *      command = ( "XCLIENT" / "XFORWARD" ) 1*( SP name "=" xtext )
 *
 * XCLIENT makes the session one of that client: rules and logs are about it. XFORWARD is for logs alone. Pure.
 */
#ifndef SMTP_XCLIENT_H
#define SMTP_XCLIENT_H

#include "smtp/command.h"

enum smtp_attribute {
        SMTP_ATTRIBUTE_NAME,
        SMTP_ATTRIBUTE_ADDR,
        SMTP_ATTRIBUTE_PORT,
        SMTP_ATTRIBUTE_PROTO,
        SMTP_ATTRIBUTE_HELO,
        SMTP_ATTRIBUTE_REVERSE_NAME, /* XCLIENT alone, as LOGIN, DESTADDR and DESTPORT */
        SMTP_ATTRIBUTE_LOGIN,
        SMTP_ATTRIBUTE_DESTADDR,
        SMTP_ATTRIBUTE_DESTPORT,
        SMTP_ATTRIBUTE_IDENT, /* XFORWARD alone, as SOURCE */
        SMTP_ATTRIBUTE_SOURCE,
        SMTP_ATTRIBUTES
};

/* Bits are 1 << enum smtp_attribute. */
struct smtp_attributes {
        unsigned given;
        unsigned unknown;   /* [UNAVAILABLE] and [TEMPUNAVAIL]; the value is empty */
        unsigned temporary; /* [TEMPUNAVAIL] */
        /*
         * Decoded, in the arena. Addresses are printed as inet_ntop() does, names are valid host names, ports are
         * digits, PROTO of XCLIENT is SMTP or ESMTP, SOURCE is LOCAL or REMOTE. In the others what could mislead the reader
         * of a log or header is '?'.
         */
        struct str values[SMTP_ATTRIBUTES];
};

enum smtp_attribute_command { SMTP_OF_XCLIENT = 1, SMTP_OF_XFORWARD = 2 };

/*
 * 0, or -EBADMSG with *refusal (501 5.5.4). An attribute that comes twice has its last value. Values have at most 255 bytes,
 * PROTO of XFORWARD 64.
 */
int smtp_attributes_parse(struct str args, enum smtp_attribute_command command, struct arena *arena,
                          struct smtp_attributes *out, struct smtp_reply *refusal);

static inline bool smtp_attributes_has(const struct smtp_attributes *a, enum smtp_attribute one)
{
        return a->given & 1U << one;
}

#endif
