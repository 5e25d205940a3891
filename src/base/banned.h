/*
 * banned.h - functions that are not used here, because each has a better one
 *
 * Included in front of every file by the build.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* macros, with some compilers */
#undef sprintf
#undef vsprintf

/* unbounded copies: buf_append, arena_printf, snprintf */
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets stpcpy
/* hidden static state: strtok_r-like loops over struct str, gmtime_r, localtime_r */
#pragma GCC poison strtok gmtime localtime ctime asctime
/* errors that nobody sees: str_to_int64 */
#pragma GCC poison atoi atol atoll

#endif
