/*
 * dot.h - message text on the wire (RFC 5321 4.5.2): dots added and taken away, line ends made
 * whole
 *
 * Only CR LF "." CR LF ends a message. Inside, every line comes out with CR LF: a bare LF is taken
 * for the end of a line (Postfix: smtpd_forbid_bare_newline = normalize), a bare CR becomes a blank
 * (Postfix: cleanup_replace_stray_cr_lf), NUL stays. So what comes out holds no bare CR and no bare
 * LF, and no server behind us can see an end where we saw none.
 *
 * Pure machines: feed bytes in pieces of any size.
 */
#ifndef SMTP_DOT_H
#define SMTP_DOT_H

#include "base/buf.h"

enum dot_state { DOT_LINE_START, DOT_TEXT, DOT_CR, DOT_DOT, DOT_DOT_CR };

struct dot_decoder {
        enum dot_state state;
        bool is_after_crlf; /* the line before ended in CR LF, or there is none */
        bool has_bare_lf;   /* any bare LF so far */
        bool has_bare_cr;
        bool is_done; /* CR LF "." CR LF was read */
};

void dot_decoder_init(struct dot_decoder *d);
/*
 * Takes bytes from the front of *in, and appends what they mean to `out`, until the input is used
 * up, the end is found (is_done; *in then holds what follows), or `out` is at its ceiling
 * (-ENOBUFS: in that case nothing is lost: *in holds what was not taken). An empty `out` with a
 * ceiling of 3 bytes or more always makes progress.
 */
int dot_decode(struct dot_decoder *d, struct str *in, struct buf *out);

/* The same cleaning of line ends for text that comes without dots (BDAT). */
struct crlf_cleaner {
        bool is_after_cr;
        bool has_bare_lf, has_bare_cr;
};
void crlf_cleaner_init(struct crlf_cleaner *c);
int crlf_clean(struct crlf_cleaner *c, struct str *in, struct buf *out);
/* At the end of the last chunk: a CR that still waits comes out. */
int crlf_clean_end(struct crlf_cleaner *c, struct buf *out);

/*
 * Towards the next hop: adds dots. Text given is cleaned (CR LF only). Start with at_line_start =
 * true, keep it over the pieces. 0, or -ENOBUFS with nothing of this piece taken.
 */
int dot_encode(bool *at_line_start, struct str in, struct buf *out);
/* What ends the text: CR LF "." CR LF, without the first CR LF at a line's start. */
struct str dot_end(bool at_line_start);

#endif
