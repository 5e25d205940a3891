/* clock.h - what time it is: monotonic for waiting, wall for writing down */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds / microseconds since some instant; never goes back. For deadlines and durations. */
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);

/* Microseconds since 1970 UTC. Jumps when the machine's clock is set. For dates. */
int64_t clock_wall_us(void);

/* A deadline that never comes. */
#define CLOCK_NEVER INT64_MAX

#endif
