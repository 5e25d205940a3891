/*
 * check.h - what must hold, in production too
 *
 * check(x) dies at the line: for our own bugs only, never for what the world or a client sent.
 * check_soft(x) counts and logs once per place, and gives x, so that the caller can recover.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdbool.h>

_Noreturn void check_fail(const char *file, int line, const char *text);
bool check_soft_fail(const char *file, int line, const char *text, unsigned *count);

#define check(x)                                            \
        do {                                                \
                if (__builtin_expect(!(x), 0))              \
                        check_fail(__FILE__, __LINE__, #x); \
        } while (0)

#define check_soft(x)                                                               \
        __extension__({                                                             \
                static unsigned check_soft_count;                                   \
                __builtin_expect(!!(x), 1) ||                                       \
                        check_soft_fail(__FILE__, __LINE__, #x, &check_soft_count); \
        })

/* Called with its argument before check_fail() aborts: tells what the task was doing. */
extern void (*check_epitaph)(void);

#endif
