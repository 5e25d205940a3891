/* notify_classes.c - notify_classes: what the postmaster hears of */
#include "config/notify_classes.h"

#include "config/config.h"

unsigned notify_classes(struct str list, struct str *unknown)
{
        static const struct {
                const char *name;
                unsigned bits;
        } classes[] = {
                {"bounce", NOTIFY_BOUNCE | NOTIFY_2BOUNCE},
                {"2bounce", NOTIFY_2BOUNCE},
                {"data", NOTIFY_DATA},
                {"delay", NOTIFY_DELAY},
                {"policy", NOTIFY_POLICY},
                {"protocol", NOTIFY_PROTOCOL},
                {"resource", NOTIFY_RESOURCE},
                {"software", NOTIFY_SOFTWARE},
        };
        enum { CLASSES = sizeof(classes) / sizeof(classes[0]) };
        unsigned bits = 0;
        struct str word;
        if (unknown)
                *unknown = STR("");
        while (config_list_next(&list, &word)) {
                size_t i = 0;
                while (i < CLASSES && !str_eq_nocase(word, str_from(classes[i].name)))
                        i++;
                if (i < CLASSES)
                        bits |= classes[i].bits;
                else if (unknown && !unknown->len)
                        *unknown = word;
        }
        return bits;
}
