/* words.h - parameters whose value is a list of words, each of which stands for bits */
#ifndef CONFIG_WORDS_H
#define CONFIG_WORDS_H

#include "base/str.h"

struct config_word {
        struct str name;
        unsigned bits; /* 0: a word that changes nothing */
};

/*
 * The bits of all words in `list`, in any case of letters; `words` ends with an empty name. The first word that is none of them goes to
 * *unknown, which is empty otherwise and may be NULL.
 */
unsigned config_words_read(struct str list, const struct config_word *words, struct str *unknown);

#endif
