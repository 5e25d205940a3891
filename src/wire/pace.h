/*
 * pace.h - how long a peer may take over one request: a time limit of which bytes buy some back
 *
 * A deadline for each read or write lets a peer hold us for ever with one byte a minute; one for the whole of a large message
 * sends those away whose line is slow. So it is one time limit for the whole, each wait takes its time
 * away from what is left, and `bytes_per_s` bytes give a second back, never over the limit. Our own work between two
 * waits does not count. (Postfix: smtpd_per_request_deadline, smtpd_min_data_rate, and smtp_ of both.)
 *
 * Pure: no clock, no I/O.
 */
#ifndef WIRE_PACE_H
#define WIRE_PACE_H

#include <stddef.h>
#include <stdint.h>

struct pace {
        int64_t limit_ms;
        int64_t left_ms;     /* 0 or less: it is over */
        int64_t bytes_per_s; /* 0: bytes buy nothing */
        int64_t unpaid;      /* bytes that have not bought a millisecond yet */
};

void pace_begin(struct pace *p, int64_t limit_ms, int64_t bytes_per_s);
/* A wait of that long has brought so many bytes. */
void pace_note(struct pace *p, int64_t waited_ms, size_t bytes);

#endif
