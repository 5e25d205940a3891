/* notify_classes.c - notify_classes: what the postmaster hears of */
#include "config/notify_classes.h"

#include "config/words.h"

unsigned notify_classes(struct str list, struct str *unknown)
{
        static const struct config_word words[] = {
                {STR_INIT("bounce"), NOTIFY_BOUNCE | NOTIFY_2BOUNCE},
                {STR_INIT("2bounce"), NOTIFY_2BOUNCE},
                {STR_INIT("data"), NOTIFY_DATA},
                {STR_INIT("delay"), NOTIFY_DELAY},
                {STR_INIT("policy"), NOTIFY_POLICY},
                {STR_INIT("protocol"), NOTIFY_PROTOCOL},
                {STR_INIT("resource"), NOTIFY_RESOURCE},
                {STR_INIT("software"), NOTIFY_SOFTWARE},
                {STR_INIT(""), 0},
        };
        return config_words_read(list, words, unknown);
}
