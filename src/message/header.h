/*
 * header.h - a message's header (RFC 5322 2.2) taken apart, and the lines that we put in front
 *
 * Pure. Text is cleaned: lines end in CR LF.
 */
#ifndef MESSAGE_HEADER_H
#define MESSAGE_HEADER_H

#include "base/arena.h"
#include "base/buf.h"
#include "message/envelope.h"

struct header_field {
        struct str raw;   /* as it stands, with its folds, without the last CR LF */
        struct str name;  /* "Subject" */
        struct str value; /* after the colon and blanks, still folded */
};

/*
 * Where the header ends: *end is the offset behind the blank line, or of the first line that cannot
 * be part of a header (which may be the very first: 0); as in Postfix, the rest is then body.
 * False: the end is not in `text` yet. `from` is where the search goes on; give 0 first; it moves,
 * so that a header that comes in pieces is read once. With `is_all`, text is the whole message and
 * the end is always found (a message that is all header ends at its end).
 */
bool header_find_end(struct str text, size_t *from, bool is_all, size_t *end);

/* The next field of *header, which shrinks; false at the end. A line that is no field ends it. */
bool header_next(struct str *header, struct header_field *field);

/* The value of the first field with this name, unfolded and trimmed; false when there is none. */
bool header_find(struct str header, struct str name, struct arena *arena, struct str *value);

/* "CR LF blank" becomes "blank": what a pattern or a parser wants to see. */
struct str header_unfold(struct str value, struct arena *arena);
/* As Postfix gives it to header_checks: "CR LF" becomes "LF". */
struct str header_for_checks(struct str raw, struct arena *arena);

/* "Sun, 22 Nov 2026 10:53:01 +0000"; the zone is the machine's. */
enum { DATE_BYTES_MAX = 40 };
void date_format(int64_t wall_us, char out[DATE_BYTES_MAX]);

struct received_line {
        struct str by;   /* myhostname */
        struct str with; /* ESMTPS */
        struct str queue_id;
        struct str mail_name;  /* "Forepost" */
        struct str tls;        /* "TLSv1.3 with cipher X (256/256 bits)", or empty */
        struct str tls_client; /* "no client certificate requested"; with `tls` only */
        struct str for_one;    /* the recipient when there is just one, else empty */
};
/*
 * Received: from HELO (NAME [ADDRESS]) by BY (MAIL_NAME) with WITH id QUEUE_ID for <RCPT>; DATE
 * (RFC 5321 4.4), folded as Postfix folds it. Without a client's address nothing of "from", "with" and TLS. 0 or -ENOBUFS.
 */
int received_format(const struct envelope *e, const struct received_line *line, struct buf *out);

/* How many Received: and Delivered-To: lines: hopcount_limit. */
size_t header_count_hops(struct str header);

#endif
