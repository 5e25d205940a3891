/*
 * authres.h - Authentication-Results (RFC 8601): whose field is it, and the words of ours
 *
 * Pure. What others wrote under our name is forged, so it must be known whose a field is, whatever comments and quotes
 * stand around the name.
 */
#ifndef MESSAGE_AUTHRES_H
#define MESSAGE_AUTHRES_H

#include "base/arena.h"
#include "base/buf.h"

/*
 * The authserv-id of a field's value, folds and all, quotes taken off; in the arena. Empty: it has none that can be read.
 */
struct str authres_id(struct str value, struct arena *arena);
/* Is the field `name` with `value` one that claims to be of `id`? Letters compare without case. */
bool authres_is_of(struct str name, struct str value, struct str id, struct arena *arena);

/*
 * A value as a token (RFC 2045 5.1) or, when it is none, a quoted string; control characters become '?'. At most
 * `bytes_max` of its bytes. 0 or -ENOBUFS.
 */
int authres_put_value(struct buf *out, struct str value, size_t bytes_max);

#endif
