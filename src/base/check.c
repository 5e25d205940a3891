/* check.c - what must hold, in production too */
#include "base/check.h"

#include "base/log.h"

void (*check_epitaph)(void);

void check_fail(const char *file, int line, const char *text)
{
        log_write(LOG_LEVEL_PANIC, NULL, "%s:%d: check failed: %s", file, line, text);
        if (check_epitaph)
                check_epitaph();
        log_flush();
        log_sync(1000);
        abort();
}

bool check_soft_fail(const char *file, int line, const char *text, unsigned *count)
{
        if (__atomic_fetch_add(count, 1, __ATOMIC_RELAXED) == 0)
                log_write(LOG_LEVEL_ERROR, NULL, "%s:%d: unexpected: not %s (said once)", file,
                          line, text);
        return false;
}
