/*
 * envelope.h - who a message is from and for, and how it came
 *
 * The envelope is what session, spool and delivery hand to each other. Views point into one arena,
 * the owner's.
 */
#ifndef MESSAGE_ENVELOPE_H
#define MESSAGE_ENVELOPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/why.h"
#include "smtp/command.h"

struct recipient {
        struct str address;  /* where it goes: as sent on in RCPT TO */
        struct str original; /* what the client said, before aliases (X-Original-To, orig_to=) */
        struct str orcpt;    /* the client's ORCPT parameter, or empty */
        unsigned notify;     /* SMTP_NOTIFY_ bits; 0: not said */
        /*
         * An alias of several, who stand behind it without SUCCESS: nobody delivers to it, its sender is told that it was
         * expanded (RFC 3461 5.2.7.3).
         */
        bool is_expanded;
};

struct envelope {
        struct str sender; /* as sent on in MAIL FROM; empty: the null sender */
        struct recipient *recipients;
        size_t recipient_count;

        enum smtp_body body;
        bool smtputf8;
        enum smtp_ret ret;
        struct str envid;
        enum smtp_report report; /* of the first attempt, to the sender */
        struct str filter;       /* "transport:nexthop" that all of it goes through; empty: none */
        struct str
                verp; /* the delimiters of a sender for each recipient (verp.h); empty: one for all */

        /* how it came, for logs, Received and XFORWARD; all may be empty for mail of our own */
        struct str client_name;    /* verified name, or "unknown" */
        struct str client_address; /* printed: 192.0.2.1, 2001:db8::1 */
        struct str client_port;
        struct str helo;
        struct str protocol; /* SMTP, ESMTP, ESMTPS, UTF8SMTP... (RFC 3848, RFC 6531) */
        int64_t arrival_us;  /* wall clock */
        struct str first_id; /* its queue id at the server that XFORWARD told of; usually empty */
        bool is_local; /* of our own: local_header_rewrite_clients, or what XFORWARD said (SOURCE) */
        bool is_unanswered; /* a copy for the postmaster whose sender a table has mapped: nobody hears of its fate */
};

/* smtpd_recipient_limit is far below; aliases may add some. */
enum { ENVELOPE_RECIPIENTS_MAX = 100000 };

/*
 * The envelope as bytes, for the spool: a version byte, then tagged fields, so that a newer program
 * can add some. Encode: 0, or -ENOBUFS with `out` as it was (over its ceiling, or over
 * ENVELOPE_RECIPIENTS_MAX recipients). Decode: 0, or -EBADMSG with *why; never reads outside
 * `bytes`, keeps a copy of them in `arena`; unknown tags are an error (they may change what must be
 * done with the message).
 */
int envelope_encode(const struct envelope *e, struct buf *out);
int envelope_decode(struct str bytes, struct arena *arena, struct envelope *out, struct why *why);

/* A copy with everything in `arena`. */
void envelope_copy(const struct envelope *from, struct arena *arena, struct envelope *to);

#endif
