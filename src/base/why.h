/*
 * why.h - the reason for an error of the world, in words for a person
 *
 * A function that can fail for reasons outside the program returns 0 or a negative errno value,
 * and says in *why what happened, where, and how to mend it. The caller who knows what the failure
 * means logs it or shows it.
 */
#ifndef BASE_WHY_H
#define BASE_WHY_H

struct why {
        char text[480];
};

/* Sets the text and returns `code`, so that a caller can write return why_set(why, -EIO, ...). */
int why_set(struct why *why, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Puts "text: " in front of what stands there, and returns `code`. */
int why_prefix(struct why *why, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* The C library's text for a negative (or positive) errno value; valid for ever. */
const char *why_errno(int code);

#endif
