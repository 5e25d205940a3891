/*
 * delivery_print.h - deliveries that are under way, as people and scripts see them
 *
 * Text: a line each, and one with their number at the end. JSON: one object a line. Texts are cut at 500 bytes.
 */
#ifndef OPS_DELIVERY_PRINT_H
#define OPS_DELIVERY_PRINT_H

#include "base/buf.h"
#include "delivery/delivery.h"

struct delivery_print {
        bool as_json;
        int64_t now_us; /* wall clock */
        size_t loop;    /* whose deliveries these are */
        struct buf *out;
        size_t count;
};

void delivery_print_one(struct delivery_print *p, const struct delivery_view *view);
/* Behind the last; `there` is how many there are, of which not all may have been shown. */
void delivery_print_end(struct delivery_print *p, size_t there);

#endif
