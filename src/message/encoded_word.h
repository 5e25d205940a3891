/*
 * encoded_word.h - what a header field says to a reader (RFC 2047, RFC 2231 5)
 *
 * Encoded words become UTF-8, whatever their charset is (iconv); folds become blanks. What is
 * not right - an unknown charset, bytes that are none of it, a word that is no word - stays as it
 * was written, so that a rule can still see it.
 */
#ifndef MESSAGE_ENCODED_WORD_H
#define MESSAGE_ENCODED_WORD_H

#include "base/buf.h"

/*
 * Appends the text of `value` (a field's, with its folds) to `out`, always valid UTF-8: bytes that
 * are none come out as U+FFFD. 0, or -ENOBUFS with as much as there was room for.
 */
int encoded_words_decode(struct str value, struct buf *out);

#endif
