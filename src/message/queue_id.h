/*
 * queue_id.h - the name of a message in the queue, in Postfix's long form
 *
 *      4jXQs9 0sf8 z vRh       seconds (6 or more digits, base 52), microseconds (4 digits,
 *                              base 52), "z", a number (base 51)
 *
 * Postfix: enable_long_queue_ids. Digits are 0-9 and the letters without vowels, so that no id is a
 * word; base 51 lacks the "z". Ids of the same length sort by time. In Postfix the number is that
 * of an inode; here the caller gives one that tells messages of the same microsecond apart.
 */
#ifndef MESSAGE_QUEUE_ID_H
#define MESSAGE_QUEUE_ID_H

#include "base/str.h"

/* With the NUL. */
enum { QUEUE_ID_BYTES_MAX = 32 };

/* wall_us >= 0: microseconds since 1970 UTC. */
void queue_id_format(int64_t wall_us, uint64_t number, char out[QUEUE_ID_BYTES_MAX]);

/* 0, or -EINVAL for what queue_id_format() never writes: an id has one spelling. */
int queue_id_parse(struct str id, int64_t *wall_us, uint64_t *number);

#endif
