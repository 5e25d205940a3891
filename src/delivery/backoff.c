/*
 * backoff.c - when to try again, and how long things took
 *
 * Postfix's queue manager scans its deferred queue every queue_run_delay and gives each message a wait that is
 * its age. Here each message has its own time and nothing is scanned: of queue_run_delay remains that no message is
 * tried again sooner (closing.c).
 */
#include "delivery/delivery_private.h"

#include "base/rand.h"

enum { FIRST_REST_MS = 10 * 1000 };

static int64_t with_jitter(int64_t value)
{
        int64_t tenth = value / 10;
        return tenth ? value - tenth + (int64_t)rand_below((uint64_t)tenth * 2 + 1) : value;
}

int64_t backoff_next_us(int64_t now_us, int64_t arrival_us, int64_t expires_us, int64_t min_ms,
                        int64_t max_ms)
{
        int64_t wait_us = now_us - arrival_us;
        if (wait_us > max_ms * 1000)
                wait_us = max_ms * 1000;
        if (wait_us < min_ms * 1000)
                wait_us = min_ms * 1000;
        int64_t next_us = now_us + with_jitter(wait_us);
        return next_us > expires_us && expires_us > now_us ? expires_us : next_us;
}

int64_t backoff_rest_ms(int64_t last_rest_ms, int64_t backoff_ms)
{
        int64_t max_ms = backoff_ms / 4 * 3;
        int64_t rest_ms = last_rest_ms > 0 ? last_rest_ms * 2 : FIRST_REST_MS;
        return rest_ms < max_ms ? rest_ms : max_ms;
}

void delay_format(int64_t us, char out[DELAY_BYTES])
{
        if (us < 0)
                us = 0;
        int64_t hundredths = (us + 5000) / 10000;
        if (hundredths >= 1000) { /* 10 and more: whole seconds */
                snprintf(out, DELAY_BYTES, "%lld", (long long)((us + 500000) / 1000000));
                return;
        }
        if (hundredths >= 100) /* one digit behind the point makes two */
                hundredths = (us + 50000) / 100000 * 10;
        int whole = (int)(hundredths / 100);
        int rest = (int)(hundredths % 100);
        if (rest == 0)
                snprintf(out, DELAY_BYTES, "%d", whole);
        else if (rest % 10 == 0)
                snprintf(out, DELAY_BYTES, "%d.%d", whole, rest / 10);
        else
                snprintf(out, DELAY_BYTES, "%d.%02d", whole, rest);
}
