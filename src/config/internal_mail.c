/* internal_mail.c - internal_mail_filter_classes: which messages of our own are checked like others */
#include "config/internal_mail.h"

#include "config/words.h"

unsigned internal_mail_classes(struct str list, struct str *unknown)
{
        static const struct config_word words[] = {
                {STR_INIT("bounce"), INTERNAL_MAIL_BOUNCE},
                {STR_INIT("notify"), INTERNAL_MAIL_NOTIFY},
                {STR_INIT("forward"), 0},
                {STR_INIT("qmqpd"), 0},
                {STR_INIT("sendmail"), 0},
                {STR_INIT("smtpd"), 0},
                {STR_INIT("verify"), 0},
                {STR_INIT(""), 0},
        };
        return config_words_read(list, words, unknown);
}
