/* unit.h - what every unit test includes: cmocka, with the headers that it forgets */
#ifndef BASE_UNIT_H
#define BASE_UNIT_H

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_str_equal(s, literal)                                               \
        do {                                                                       \
                struct str unit_str = (s);                                         \
                static char unit_text[4096];                                       \
                snprintf(unit_text, sizeof(unit_text), "%.*s", STR_ARG(unit_str)); \
                assert_string_equal(unit_text, literal);                           \
        } while (0)

#endif
