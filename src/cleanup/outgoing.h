/*
 * outgoing.h - what the SMTP and LMTP clients make of a message on its way out: smtp_generic_maps (generic(5)) and
 * smtp_header_checks with its kin (header_checks(5))
 *
 * The message in the spool is not changed: what is made here is for this one server, and is made anew at each attempt.
 * Bounces, the log and ORCPT have the addresses as they are in the queue.
 *
 * Content streams: no more of it is in memory than a header field, a line of a body and what was given last.
 *
 * Threads: rules are immutable and stay as long as the arena and the tables they were made in; the rest belongs to
 *          its task.
 * Waits:   await_* may suspend (tables).
 */
#ifndef CLEANUP_OUTGOING_H
#define CLEANUP_OUTGOING_H

#include "message/mime.h"
#include "policy/policy.h"

struct outgoing_rules;

/*
 * Of a service that runs smtp or lmtp, in `arena`; NULL: nothing is asked for, or a table could not be opened, which
 * *findings tells. `service` is who speaks in the log.
 */
struct outgoing_rules *outgoing_rules_new(const struct config *c, const struct params *params,
                                          bool is_lmtp, struct str service,
                                          struct table_set *tables, struct policy *policy,
                                          struct arena *arena, struct findings *findings);

/* Are addresses of the envelope mapped? */
bool outgoing_maps_envelope(const struct outgoing_rules *r);
/* smtp_generic_maps for one of them; the null address stays. 0, or -EAGAIN with *why. */
int await_outgoing_address(const struct outgoing_rules *r, struct str address, struct arena *arena,
                           struct str *out, struct why *why);

/* ---- content ---- */

struct outgoing {
        const struct outgoing_rules *rules;
        const char *queue_id;
        struct mime mime;
        struct buf input;
        struct buf scratch; /* a field without CR */
        struct arena arena; /* of one unit */
        bool has_header;    /* the first header is over */
        bool drops_rest;    /* of a long field that was taken out */
};

/* `queue_id` outlives it. */
void outgoing_init(struct outgoing *o, const struct outgoing_rules *r, const char *queue_id);
void outgoing_done(struct outgoing *o);

/* What is given at once to await_outgoing_content(), at most. */
enum { OUTGOING_PIECE_BYTES_MAX = 32 << 10 };
/* What `out` must have room for beside what is in it, at each call. */
enum { OUTGOING_ROOM_BYTES = 512 << 10 };

enum outgoing_progress {
        OUTGOING_DONE, /* of what there was */
        OUTGOING_MORE, /* `out` has grown by some KiB: send it, and call again with an empty piece */
        OUTGOING_FAILED, /* *why; the message cannot be sent now */
};
/* Takes a piece of the text (lines end in CR LF), and appends what becomes of it to `out`. With `is_all` nothing follows. */
enum outgoing_progress await_outgoing_content(struct outgoing *o, struct str piece, bool is_all,
                                              struct buf *out, struct why *why);

#endif
