/* words.c - see words.h */
#include "config/words.h"

#include "config/config.h"

unsigned config_words_read(struct str list, const struct config_word *words, struct str *unknown)
{
        unsigned bits = 0;
        struct str item;
        if (unknown)
                *unknown = STR("");
        while (config_list_next(&list, &item)) {
                const struct config_word *w = words;
                while (w->name.len && !str_eq_nocase(item, w->name))
                        w++;
                if (w->name.len)
                        bits |= w->bits;
                else if (unknown && str_is_empty(*unknown))
                        *unknown = item;
        }
        return bits;
}
