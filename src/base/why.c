/* why.c - the reason for an error of the world, in words for a person */
#include "base/why.h"

#include <stdarg.h>

int why_set(struct why *why, int code, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        vsnprintf(why->text, sizeof(why->text), format, args);
        va_end(args);
        return code;
}

int why_prefix(struct why *why, int code, const char *format, ...)
{
        char front[sizeof(why->text)];
        va_list args;
        va_start(args, format);
        vsnprintf(front, sizeof(front), format, args);
        va_end(args);
        size_t used = strlen(front);
        size_t room = sizeof(front) - used;
        if (room > 3)
                snprintf(front + used, room, ": %.*s", (int)(room - 3), why->text);
        memcpy(why->text, front, sizeof(front));
        return code;
}

const char *why_errno(int code)
{
        const char *text = strerrordesc_np(code < 0 ? -code : code);
        return text ? text : "unknown error";
}
