/*
 * protocol.h - what the commands and the server say to each other over the control socket
 *
 * One connection, one request, one answer:
 *
 *      request   one line of words: "queue list json", "queue delete 4gXyZ12abcz9", "reload"; then, each
 *                behind a tab, what selects messages: "sender=a@b.example", "older=3600"
 *      answer    |text     a line of the result (standard output)
 *                !text     a line for the person at the keyboard (standard error)
 *                =0        the end: done;  "=1 text" failed, and why
 *
 * An answer without its last line was cut short, and the command says so. Text lines may hold any byte
 * but LF. Who may connect is a matter of the file system: the socket is the server's user's alone. The public
 * socket is everybody's: the kernel says who it is, and only "queue list", "queue flush" and "submit" are
 * answered there, to those whom authorized_mailq_users, authorized_flush_users and authorized_submit_users
 * name.
 */
#ifndef OPS_PROTOCOL_H
#define OPS_PROTOCOL_H

#include "base/buf.h"
#include "base/why.h"
#include "ops/queue_select.h"

/* The code of a failure: an ordinary one is 1. */
enum { ANSWER_NOT_PERMITTED = 2 };

enum { REQUEST_BYTES_MAX = 4096, REQUEST_WORDS_MAX = 4 };

enum request_verb {
        REQUEST_RELOAD,
        REQUEST_STOP,
        REQUEST_STATUS,
        REQUEST_DNSBL,
        REQUEST_SESSIONS,
        REQUEST_DELIVERIES,
        REQUEST_EXPLAIN,
        REQUEST_SUBMIT, /* on the public socket: what follows the answer is SMTP */
        REQUEST_QUEUE_LIST,
        REQUEST_QUEUE_SHOW,
        REQUEST_QUEUE_COUNT,
        REQUEST_QUEUE_FLUSH,
        REQUEST_QUEUE_DELETE,
        REQUEST_QUEUE_HOLD,
        REQUEST_QUEUE_RELEASE,
        REQUEST_QUEUE_REQUEUE,
        REQUEST_QUEUE_EXPIRE,
        REQUEST_QUEUE_DRAIN,
        REQUEST_QUEUE_ACCEPT,
};

struct request {
        enum request_verb verb;
        bool wants_json;
        bool wants_plain;           /* as Postfix's mailq, and nothing more */
        struct str id;              /* a view into the line; empty: none; "ALL" */
        struct queue_select select; /* views too */
};

/* 0, or -EINVAL with *why. An id is letters and digits only, at most 31. */
int request_parse(struct str line, struct request *out, struct why *why);
/* The line with its LF. */
void request_format(const struct request *request, struct buf *out);

/* Appends `text`, each of its lines with `mark` in front; a last line without LF gets one. */
int answer_lines(struct buf *out, char mark, struct str text);

/* Reads an answer as it comes in pieces. */
struct answer_reader {
        void (*text)(void *context, char mark, struct str piece); /* mark '|' or '!'; with its LF */
        void *context;
        char mark;      /* of the line that we are in; 0: at the start of a line */
        struct buf end; /* the line behind '=' */
        bool is_done;
        int code;
};

void answer_reader_init(struct answer_reader *r, void (*text)(void *, char, struct str),
                        void *context);
void answer_reader_done(struct answer_reader *r);
/* 0; is_done and code are set when the end has come. -EBADMSG: this is no answer. */
int answer_reader_feed(struct answer_reader *r, struct str piece);
/* The text of a failure; empty when there is none. */
struct str answer_reader_text(const struct answer_reader *r);

#endif
