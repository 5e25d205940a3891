/*
 * queue_print.h - messages of the queue as people and scripts see them
 *
 * Text as Postfix's mailq prints it, with the next attempt and a reason for whoever waits; JSON as postqueue -j does (queue_name, queue_id, arrival_time,
 * message_size, forced_expire, sender, recipients), with attempts and next_attempt (0: now; on hold: when it is
 * released) added, one object a line. Every recipient that waits has its reason.
 * The null sender is MAILER-DAEMON in both.
 */
#ifndef OPS_QUEUE_PRINT_H
#define OPS_QUEUE_PRINT_H

#include "base/buf.h"
#include "spool/spool.h"

struct queue_print {
        bool as_json;
        bool is_plain; /* text without what mailq does not have: the next attempt, reasons of our own */
        struct buf *out;
        size_t count;
        int64_t bytes;
};

void queue_print_begin(struct queue_print *p, bool as_json, struct buf *out);
void queue_print_message(struct queue_print *p, const struct spool_info *info);
/* The line with the totals; "Mail queue is empty" in front of nothing else. */
void queue_print_end(struct queue_print *p);

/* All that is known about one message, but its content: `forepost queue show`. */
void queue_print_details(struct buf *out, const struct spool_info *info);

#endif
