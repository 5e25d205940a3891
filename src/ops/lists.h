/*
 * lists.h - the lists in the DNS, as the office sees them: tested when they are due, shown to who asks
 */
#ifndef OPS_LISTS_H
#define OPS_LISTS_H

#include "base/buf.h"
#include "ops/json.h"

/* One object with an array "lists", each with its figures (`forepost dnsbl --json`). */
void lists_put_json(struct buf *out);
/* The same as a table for people. */
void lists_put_text(struct buf *out);

/* For `status`: "lists" with counts and the names of those that are switched off. */
void lists_put_status_json(struct json *j);
/* A line when some list is off or silent; nothing when all are well. */
void lists_put_status_text(struct buf *out);

#endif
