/* internal_mail.c - internal_mail_filter_classes: which messages of our own are checked like others */
#include "config/internal_mail.h"

#include "config/config.h"

unsigned internal_mail_classes(struct str list, struct str *unknown)
{
        static const struct {
                struct str name;
                unsigned bit;
        } classes[] = {
                {STR_INIT("bounce"), INTERNAL_MAIL_BOUNCE},
                {STR_INIT("notify"), INTERNAL_MAIL_NOTIFY},
                {STR_INIT("forward"), 0},
                {STR_INIT("qmqpd"), 0},
                {STR_INIT("sendmail"), 0},
                {STR_INIT("smtpd"), 0},
                {STR_INIT("verify"), 0},
        };
        enum { CLASSES = sizeof(classes) / sizeof(classes[0]) };
        unsigned bits = 0;
        struct str word;
        if (unknown)
                *unknown = STR("");
        while (config_list_next(&list, &word)) {
                size_t i = 0;
                while (i < CLASSES && !str_eq_nocase(word, classes[i].name))
                        i++;
                if (i < CLASSES)
                        bits |= classes[i].bit;
                else if (unknown && !unknown->len)
                        *unknown = word;
        }
        return bits;
}
