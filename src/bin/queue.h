/* queue.h - what the files of `forepost queue` share: which messages are meant */
#ifndef BIN_QUEUE_H
#define BIN_QUEUE_H

#include "bin/ask.h"
#include "ops/queue_directory.h"
#include "ops/queue_print.h"

#include <errno.h>

enum queue_flags {
        AS_JSON = 1,
        BY_SENDER = 2,
        BY_RECIPIENT = 4,
        BY_DESTINATION = 8,
        BY_REASON = 16,
        BY_QUEUE = 32,
        BY_AGE = 64,
        WAIT_AT_MOST = 128,
        AS_MAILQ = 256,
};

#define QUEUE_SELECT_FLAGS                                                                    \
        {"--sender", BY_SENDER, "from this address; @DOMAIN; <> the null sender", "ADDRESS"}, \
                {"--recipient", BY_RECIPIENT, "for this address, or @DOMAIN", "ADDRESS"},     \
                {"--destination", BY_DESTINATION,                                             \
                 "for this domain, or through this next hop ([core1]:25)", "DOMAIN"},         \
                {"--reason", BY_REASON, "that wait for a reason with these words", "WORDS"},  \
                {"--queue", BY_QUEUE, "in this queue: active, deferred or hold", "NAME"},     \
        {                                                                                     \
                "--older", BY_AGE, "that came so long ago: 90s, 30m, 12h, 3d, 1w", "TIME"     \
        }

/* What the options select. 0, or -EINVAL with *why. Views into the command line. */
int queue_selection(const struct args *args, struct queue_select *out, struct why *why);

#endif
