/* xclient_fuzz.c - the attributes of XCLIENT and XFORWARD; the first byte chooses which */
#include "fuzz.h"

#include "smtp/xclient.h"

#include <arpa/inet.h>

static void check_value(enum smtp_attribute which, struct str value)
{
        char z[64];
        unsigned char bits[16];
        check(value.len <= 255 && !fuzz_has_control(value));
        snprintf(z, sizeof(z), "%.*s", STR_ARG(value));
        if (which == SMTP_ATTRIBUTE_ADDR || which == SMTP_ATTRIBUTE_DESTADDR)
                check(inet_pton(strchr(z, ':') ? AF_INET6 : AF_INET, z, bits) == 1);
        if (which == SMTP_ATTRIBUTE_NAME || which == SMTP_ATTRIBUTE_REVERSE_NAME)
                check(smtp_domain_is_valid(value));
        for (size_t i = 0; i < value.len; i++)
                check(!strchr(" <>()\\\";@", value.ptr[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str line = fuzz_str(data, size);
        enum smtp_attribute_command command =
                fuzz_byte(&line) & 1 ? SMTP_OF_XCLIENT : SMTP_OF_XFORWARD;
        struct smtp_attributes a;
        struct smtp_reply refusal = {0};
        struct arena arena;
        arena_init(&arena, 0);
        if (smtp_attributes_parse(line, command, &arena, &a, &refusal) == 0) {
                check(a.given != 0 && a.given < 1U << SMTP_ATTRIBUTES);
                check((a.unknown & ~a.given) == 0 && (a.temporary & ~a.unknown) == 0);
                for (int i = 0; i < SMTP_ATTRIBUTES; i++) {
                        if (!smtp_attributes_has(&a, (enum smtp_attribute)i) || a.unknown & 1U << i)
                                check(a.values[i].len == 0);
                        else
                                check_value((enum smtp_attribute)i, a.values[i]);
                }
        } else {
                check(refusal.code == 501 && refusal.text.len);
        }
        arena_done(&arena);
        return 0;
}
