/*
 * transcript.h - what was said in a session, for the postmaster (notify_classes)
 *
 * Lines of both sides, in order, cleaned and folded as they come, up to a ceiling; what is over it is counted. The notice has a
 * form like that of Postfix's smtpd, so that whoever reads such mail by program can go on doing so.
 *
 * It holds commands and replies, never the text of a message. Of AUTH only the verb is shown, and of what nobody
 * understands behind it nothing: nobody can sign in here, but some try, with a password.
 *
 * What the server says to nearly every client in the same words, its greeting and its reply to EHLO, is kept once for many
 * transcripts (struct transcript_texts): a session that waits then holds what its client has said, and no more.
 *
 * Pure: no I/O, no clock. Threads: transcripts that share texts belong to one thread.
 */
#ifndef MESSAGE_TRANSCRIPT_H
#define MESSAGE_TRANSCRIPT_H

#include "base/buf.h"

enum {
        TRANSCRIPT_LINES_MAX = 500,
        TRANSCRIPT_BYTES_MAX = 64 * 1024, /* as they stand in the notice */
        TRANSCRIPT_SHOWN_MAX = 1000,      /* bytes of one line; behind them stands "..." */
        TRANSCRIPT_SHARED_MAX = 4,        /* texts that one transcript shares with others */
};

enum transcript_speaker { TRANSCRIPT_IN, TRANSCRIPT_OUT };

struct transcript_text;

/* The texts that were shared last. Zeroed: none. */
struct transcript_texts {
        struct transcript_text *latest[2 * TRANSCRIPT_SHARED_MAX];
        size_t next; /* that one is given up for the next new text */
};

/* No transcript is ended by it. */
void transcript_texts_done(struct transcript_texts *texts);

struct transcript {
        struct buf lines; /* with a mark where a shared text stands */
        struct transcript_text *shared[TRANSCRIPT_SHARED_MAX];
        size_t count; /* lines that were said, shown or not */
        size_t shown;
        bool has_auth; /* the client has tried to sign in */
};

void transcript_init(struct transcript *t);
void transcript_done(struct transcript *t);
/* What was said is forgotten, and its memory given back. */
void transcript_clear(struct transcript *t);
/* A line without its end. */
void transcript_add(struct transcript *t, enum transcript_speaker speaker, struct str line);
/* The lines of a reply, each with its CR LF. With `texts`: one that other clients may get in the same words. */
void transcript_add_reply(struct transcript *t, struct transcript_texts *texts, struct str lines);

struct transcript_notice {
        struct str id; /* the notice's queue id */
        struct str by; /* the host that Message-ID names */
        struct str from, to;
        struct str mail_name;
        struct str client; /* "name[address]" */
        struct str reason; /* why the session ended: "timeout"; empty: it did not, or by QUIT */
        size_t untold;     /* sessions before this one, of which there was no notice */
        int64_t now_us;
};

/* Appends the message, lines ending in CR LF. 0, or -ENOBUFS with `out` as it was. */
int transcript_format(const struct transcript *t, const struct transcript_notice *n,
                      struct buf *out);

#endif
