/* unit.h - what every unit test includes: cmocka, with the headers that it forgets */
#ifndef BASE_UNIT_H
#define BASE_UNIT_H

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Under a sanitizer: memory is not what it is without, and all takes several times as long. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

#define assert_str_equal(s, literal)                                               \
        do {                                                                       \
                struct str unit_str = (s);                                         \
                static char unit_text[4096];                                       \
                snprintf(unit_text, sizeof(unit_text), "%.*s", STR_ARG(unit_str)); \
                assert_string_equal(unit_text, literal);                           \
        } while (0)

#endif
