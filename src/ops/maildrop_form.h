/*
 * maildrop_form.h - what a file of maildrop/ may hold
 *
 * Anybody can write one, so nothing of it is believed: it is whole, says MAIL, one RCPT or more and DATA, and ends where its one
 * message ends. The form is in maildrop.h. What addresses and parameters are worth, the session says that hears them.
 *
 * Pure: no waiting, no I/O. Fuzzed in tests/fuzz (maildrop).
 */
#ifndef OPS_MAILDROP_FORM_H
#define OPS_MAILDROP_FORM_H

#include "base/str.h"

enum {
        MAILDROP_HEAD_BYTES = 31,       /* "forepost-maildrop 1 0000000000\n" */
        MAILDROP_LINE_BYTES_MAX = 8192, /* of a command, with its end */
};

/* Writes the head of a file whose dialogue has so many bytes. */
void maildrop_head(size_t dialogue_bytes, char out[MAILDROP_HEAD_BYTES + 1]);

/*
 * Sets *commands (the MAIL and RCPT lines, with their ends) and *content (with the final dot), which point into `file`. NULL, or
 * what is wrong with it, as the end of a sentence.
 */
const char *maildrop_parse(struct str file, struct str *commands, struct str *content);

/* One line with CR LF off the front of *rest; false when there is none, it is too long, or has control characters. */
bool maildrop_take_line(struct str *rest, struct str *line);

/* The address of "MAIL FROM:<a@b> SIZE=3", for people and notices; empty when there is none. */
struct str maildrop_address(struct str line);

#endif
