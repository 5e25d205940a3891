/* pace.c - how long a peer may take over one request */
#include "wire/pace.h"

void pace_begin(struct pace *p, int64_t limit_ms, int64_t bytes_per_s)
{
        *p = (struct pace){.limit_ms = limit_ms, .left_ms = limit_ms, .bytes_per_s = bytes_per_s};
}

void pace_note(struct pace *p, int64_t waited_ms, size_t bytes)
{
        p->left_ms -= waited_ms;
        if (p->bytes_per_s <= 0)
                return;
        p->unpaid += (int64_t)bytes;
        int64_t ms = p->unpaid * 1000 / p->bytes_per_s;
        p->unpaid -= ms * p->bytes_per_s / 1000;
        p->left_ms += ms;
        if (p->left_ms > p->limit_ms)
                p->left_ms = p->limit_ms;
}
