/* receive_override.c - receive_override_options: what a service leaves out */
#include "config/receive_override.h"

#include "config/words.h"

unsigned receive_overrides(struct str list, struct str *unknown)
{
        static const struct config_word words[] = {
                {STR_INIT("no_unknown_recipient_checks"), RECEIVE_NO_UNKNOWN_RECIPIENT_CHECKS},
                {STR_INIT("no_address_mappings"), RECEIVE_NO_ADDRESS_MAPPINGS},
                {STR_INIT("no_header_body_checks"), RECEIVE_NO_HEADER_BODY_CHECKS},
                {STR_INIT("no_milters"), RECEIVE_NO_MILTERS},
                {STR_INIT(""), 0},
        };
        return config_words_read(list, words, unknown);
}
