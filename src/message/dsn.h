/*
 * dsn.h - delivery status notifications (RFC 3461 to 3464, RFC 6533 for UTF-8)
 *
 * Builds the whole notification, header and body. It never shows what it is not given: the caller
 * passes only host names that may leave the network.
 */
#ifndef MESSAGE_DSN_H
#define MESSAGE_DSN_H

#include "message/envelope.h"

/* The last two are of a report that was asked for by sendmail -bv: words that Postfix has added to those of RFC 3464. */
enum dsn_action {
        DSN_FAILED,
        DSN_DELAYED,
        DSN_DELIVERED,
        DSN_RELAYED,
        DSN_EXPANDED,
        DSN_DELIVERABLE,
        DSN_UNDELIVERABLE
};

struct dsn_recipient {
        const struct recipient *recipient;
        enum dsn_action action;
        struct str status;     /* "5.1.1" */
        struct str diagnostic; /* "550 5.1.1 unknown user" (smtp) or our own words; may hold LF */
        bool is_smtp;          /* diagnostic is a peer's SMTP reply */
        struct str remote_mta; /* empty: not shown */
        struct str words;      /* for the person, in the place of the diagnostic; may be empty */
        int64_t will_retry_until_us; /* of a delayed one; 0: not shown */
};

/* An administrator's words in the place of ours; what is empty is ours. */
struct dsn_template {
        struct str charset; /* of `text`: us-ascii, utf-8... */
        struct str
                from; /* "MAILER-DAEMON (Mail Delivery System)"; without a domain it gets that of `from` */
        struct str subject;
        struct str postmaster_subject;
        struct str text; /* in front of the recipients; lines ending in CR LF */
};

/* What stands in front of the text, and outside_name, without a template. */
#define DSN_OPENING "This is the mail system of "
/* Our own words as a template, its text without DSN_OPENING: of a notice on this action, or of a report. */
void dsn_own_words(enum dsn_action action, bool is_report, struct dsn_template *out);

struct dsn {
        const struct envelope *original;
        struct str original_id;   /* queue id */
        struct str reporting_mta; /* myhostname */
        struct str from; /* "MAILER-DAEMON@mx.example.com" without brackets: shown in From: */
        struct str mail_name;
        struct str boundary_id; /* a queue id, to make the boundary and Message-ID unique */
        int64_t now_us;
        const struct dsn_recipient *recipients; /* all with one action, but for a report */
        size_t recipient_count;
        const struct dsn_template *template; /* NULL: none */
        struct str postmaster; /* it is a copy for this address; empty: the sender's own */
        struct str header;     /* of the original, always there */
        struct str body;       /* of the original, when it is returned whole; else empty */
        bool returns_body;
        bool is_report;   /* a user of this machine wants to know: it shows where aliases point */
        bool is_threaded; /* it names the original's Message-ID (References, In-Reply-To) */
};

/*
 * Appends the message, lines ending in CR LF. 0, or -ENOBUFS with `out` as it was.
 *
 * The original has a sender, or it is the postmaster's copy, and there is at least one recipient. A recipient that came from an
 * alias is shown by the address that the sender used (`original`), not by where the alias points.
 * Text from elsewhere is cleaned of control characters; the returned part is as it was, so the
 * notification is 8-bit when that is.
 */
int dsn_format(const struct dsn *d, struct buf *out);

#endif
