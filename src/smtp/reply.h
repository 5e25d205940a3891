/*
 * reply.h - SMTP replies (RFC 5321 4.2, RFC 2034, RFC 3463): writing ours, reading theirs
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "base/buf.h"

/* By value, like a view: enhanced and text point to constants or into somebody's arena. */
struct smtp_reply {
        int code;             /* 200..599 */
        const char *enhanced; /* "5.1.1", or NULL for a reply without one (220, 250 of EHLO, 354) */
        struct str text;      /* may hold LF: each part becomes a line of the reply */
};

static inline struct smtp_reply smtp_reply_make(int code, const char *enhanced, struct str text)
{
        return (struct smtp_reply){code, enhanced, text};
}

static inline bool smtp_reply_refuses(const struct smtp_reply *r)
{
        return r->code >= 400;
}

/*
 * An enhanced status code (RFC 3463 2) off the front of *text, and the blanks behind it: "5.1.2 text" leaves "text". False:
 * there is none, and *text is as it was.
 */
enum { SMTP_ENHANCED_BYTES = 12 };
bool smtp_enhanced_take(struct str *text, char out[SMTP_ENHANCED_BYTES]);

enum { SMTP_REPLY_LINE_BYTES_MAX = 512 };

/*
 * Appends the reply as sent: "550-5.1.1 one\r\n550 5.1.1 two\r\n". Lines are split so that none is
 * over 512 bytes; bytes that are neither printable ASCII nor UTF-8 become '?', so that text made of
 * a client's words can never hold a line break of its own. 0, or -ENOBUFS with `out` as it was.
 */
int smtp_reply_format(const struct smtp_reply *r, struct buf *out);

/*
 * Reads a peer's reply line by line. Feed each line without its CRLF.
 * Ceilings: 100 lines, SMTP_REPLY_TEXT_BYTES_MAX of text; what is over is dropped, not an error.
 */
enum { SMTP_REPLY_TEXT_BYTES_MAX = 4096, SMTP_REPLY_LINES_MAX = 100 };

struct smtp_reply_reader {
        int code;
        int lines;
        bool is_complete;  /* the next line begins a new reply */
        char enhanced[12]; /* of the first line, or ""; its class is that of the code */
        struct buf text;   /* lines joined by LF, without codes */
};

void smtp_reply_reader_init(struct smtp_reply_reader *r);
void smtp_reply_reader_done(struct smtp_reply_reader *r);
/*
 * 1: the reply is complete, in code, enhanced and text, until the next feed. 0: more lines are
 * needed. -EBADMSG: this is no SMTP reply (no code, codes that differ, over SMTP_REPLY_LINES_MAX
 * lines).
 */
int smtp_reply_reader_feed(struct smtp_reply_reader *r, struct str line);

#endif
