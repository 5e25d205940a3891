/* receive_override.c - receive_override_options: what a service leaves out */
#include "config/receive_override.h"

#include "config/config.h"

unsigned receive_overrides(struct str list, struct str *unknown)
{
        static const struct {
                struct str word;
                enum receive_override override;
        } words[] = {
                {STR_INIT("no_unknown_recipient_checks"), RECEIVE_NO_UNKNOWN_RECIPIENT_CHECKS},
                {STR_INIT("no_address_mappings"), RECEIVE_NO_ADDRESS_MAPPINGS},
                {STR_INIT("no_header_body_checks"), RECEIVE_NO_HEADER_BODY_CHECKS},
                {STR_INIT("no_milters"), RECEIVE_NO_MILTERS},
        };
        unsigned overrides = 0;
        struct str word;
        if (unknown)
                *unknown = STR("");
        while (config_list_next(&list, &word)) {
                unsigned found = 0;
                for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                        if (str_eq_nocase(word, words[i].word))
                                found = words[i].override;
                if (!found && unknown && str_is_empty(*unknown))
                        *unknown = word;
                overrides |= found;
        }
        return overrides;
}
