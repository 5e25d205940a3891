/*
 * chosen.h - private to ops/: the ids of the messages that a selection asks for, a page at a time
 */
#ifndef OPS_CHOSEN_H
#define OPS_CHOSEN_H

#include "ops/ops_private.h"

struct chosen {
        struct buf ids; /* QUEUE_ID_BYTES_MAX each */
        const struct queue_select *select;
        int64_t now_us;
};

void chosen_init(struct chosen *c);
void chosen_done(struct chosen *c);

/*
 * Goes on at *cursor (0: the beginning) among the station's messages, and keeps the ids of those that are asked
 * for; false when all have been seen. On the station's loop; may wait for the routes' tables.
 */
bool await_chosen_page(struct chosen *c, struct station *s, const struct queue_select *select,
                       uint64_t *cursor);
/* One message of this loop, by its id, when it is there and asked for. */
void await_chosen_one(struct chosen *c, struct station *s, const struct queue_select *select,
                      struct str id);
/* The i-th id; false behind the last. Its message may have gone meanwhile. */
bool chosen_id(const struct chosen *c, size_t i, struct str *id);

#endif
