/*
 * refusals.h - the newest refusals, by their codes (forepost explain CODE)
 *
 * A ring of refusal_trace_size bytes in memory, or in the file refusal_trace_file, which a restart finds again. The oldest make
 * room for the newest. A record over the ring's quarter is not kept.
 *
 * Threads: from any loop; one lock, held for a copy.
 */
#ifndef OPS_REFUSALS_H
#define OPS_REFUSALS_H

#include "ops/explanation.h"

struct refusals;

/* `file` empty: memory alone. A file of another size or kind is begun anew. NULL with *why. */
struct refusals *refusals_new(size_t bytes, struct str file, struct why *why);
void refusals_free(struct refusals **r);

/* A session_hear. */
void refusals_hear(void *refusals, const struct session_judged *judged);
void refusals_add(struct refusals *r, struct str record);
/* Appends the record with this code (letters folded, O is 0, I and L are 1); false: it is not, or no more, there. */
bool refusals_find(struct refusals *r, struct str code, struct buf *out);
size_t refusals_count(struct refusals *r);

#endif
