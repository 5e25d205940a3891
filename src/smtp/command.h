/*
 * command.h - SMTP commands (RFC 5321 4.1): one line in, one command out
 *
 * Pure: no I/O, no clock. Views point into the line or into the arena given.
 */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include "base/arena.h"
#include "smtp/reply.h"

enum smtp_verb {
        SMTP_HELO,
        SMTP_EHLO,
        SMTP_MAIL,
        SMTP_RCPT,
        SMTP_DATA,
        SMTP_BDAT,
        SMTP_RSET,
        SMTP_NOOP,
        SMTP_VRFY,
        SMTP_HELP,
        SMTP_QUIT,
        SMTP_STARTTLS,
        SMTP_AUTH,
        SMTP_ETRN,
        SMTP_EXPN,
        SMTP_XCLIENT,
        SMTP_XFORWARD,
        SMTP_UNKNOWN,
};

struct smtp_command {
        enum smtp_verb verb;
        struct str word; /* the verb as it came */
        struct str args; /* the rest, without blanks around it */
};

/* Never fails: what is no command is SMTP_UNKNOWN. */
struct smtp_command smtp_command_parse(struct str line);
const char *smtp_verb_name(enum smtp_verb verb);

/* True for a line that a browser or another program sends: "GET / HTTP/1.1", "Host: x". */
bool smtp_command_is_foreign(struct str line);

/* ---- paths (RFC 5321 4.1.2) ---- */

/* One mailbox. All three views are in the arena; all are empty for the null path <>. */
struct smtp_address {
        struct str text;   /* as it is sent on: local part quoted where it must be, "@", domain */
        struct str local;  /* without quotes and backslashes: what maps are asked */
        struct str domain; /* as it came, letters not folded, without a final dot; may be empty */
};

struct smtp_path_rules {
        bool is_strict;   /* strict_rfc821_envelopes: <> needed, no comments, no display names */
        bool allows_null; /* MAIL FROM:<> */
        bool allows_no_domain;   /* RCPT TO:<postmaster>; true when policy refuses the others */
        bool allows_utf8;        /* SMTPUTF8 was asked for, or is not insisted on */
        bool refuses_minus;      /* allow_min_user = no: <-f@x> could be an option of a program */
        bool allows_null_domain; /* resolve_null_domain: <a@> is <a>, <a@b@> is <a@b> */
        bool allows_numeric_domain; /* resolve_numeric_domain: <a@192.0.2.1> is <a@[192.0.2.1]> */
        bool refuses_u_labels; /* SMTPUTF8 was not asked for: a domain is in A-labels (RFC 6531 3.2) */
};

/* RFC 5321 4.5.3.1 says 64, 255, 256; Postfix takes longer local parts, and so do we. */
enum { SMTP_PATH_BYTES_MAX = 1000, SMTP_DOMAIN_BYTES_MAX = 255 };

/*
 * Takes a path off the front of *text ("<a@b> SIZE=3" leaves " SIZE=3"): quoted local parts, source
 * routes (dropped, RFC 5321 appendix C), address literals [192.0.2.1] and [IPv6:...], UTF-8
 * checked. Always taken, as Postfix does: blanks inside the brackets, <<a@b>>, "a..b@c". Without
 * is_strict also: no brackets, a name in front, comments. The domain satisfies
 * smtp_domain_is_valid() or _is_literal(). Returns 0, or -EBADMSG with *text as it was and *refusal
 * filled in: 501 5.1.7 (where the null path is allowed: a sender) or 5.1.3 (a recipient), 500 5.5.2
 * bad UTF-8, 553 5.6.7 UTF-8 that is not allowed.
 */
int smtp_path_parse(struct str *text, const struct smtp_path_rules *rules, struct arena *arena,
                    struct smtp_address *out, struct smtp_reply *refusal);

/*
 * How log lines show such a text (info_log_address_format): as it is, or, when is_internal, with its local part not quoted:
 * "a b"@c is then a b@c, in the arena.
 */
struct str smtp_address_log(struct str text, bool is_internal, struct arena *arena);
/*
 * An address from a table or a command line, with the same grammar (not strict), brackets or none;
 * blanks around it are dropped. Empty, or "<>": the null address. 0, or -EBADMSG with *out empty.
 */
int smtp_address_parse(struct str text, struct arena *arena, struct smtp_address *out);
/*
 * Puts one together from an unquoted local part and a domain (which may be empty). Control
 * characters come out as '?' in `text`, so that no value can end a command.
 */
struct smtp_address smtp_address_make(struct str local, struct str domain, struct arena *arena);

/*
 * Names: letters, digits, hyphens, dots by RFC 1123, underscores, and UTF-8 labels (RFC 6531);
 * never digits and dots alone, nor a final dot: what Postfix's valid_hostname() takes. [literals]
 * are something else.
 */
bool smtp_domain_is_valid(struct str domain);   /* syntax: labels of 1..63, in all 1..255 */
bool smtp_domain_is_fqdn(struct str domain);    /* valid, and has a dot inside */
bool smtp_domain_is_literal(struct str domain); /* [192.0.2.1], [IPv6:2001:db8::1]: valid ones */

/* ---- MAIL and RCPT with their parameters ---- */

enum {
        SMTP_NOTIFY_NEVER = 1,
        SMTP_NOTIFY_SUCCESS = 2,
        SMTP_NOTIFY_FAILURE = 4,
        SMTP_NOTIFY_DELAY = 8
};
enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME };
enum smtp_ret { SMTP_RET_UNSET, SMTP_RET_FULL, SMTP_RET_HDRS };
/* A report by mail about each recipient, which a user of this machine may ask for (sendmail -bv and -v). */
enum smtp_report {
        SMTP_REPORT_NONE,
        SMTP_REPORT_VERIFY,   /* whether they would take it: nothing is delivered */
        SMTP_REPORT_DELIVERY, /* what came of the first attempt */
};

/* What the server offers now; a parameter of an extension that is not offered is refused (555). */
struct smtp_offers {
        bool size, eightbitmime, smtputf8, dsn;
        bool report;                /* XREPORT, our own: for users of this machine */
        bool refuses_dsn;           /* this client is not to have it: 501 5.7.1, as in Postfix */
        bool verp;                  /* XVERP, of Postfix: a sender for each recipient */
        struct str verp_delimiters; /* of XVERP alone */
        struct str verp_filter;     /* what delimiters may be */
};

struct smtp_mail_command {
        struct smtp_address sender;
        int64_t size; /* bytes; 0: not said */
        enum smtp_body body;
        bool smtputf8;
        enum smtp_ret ret;
        enum smtp_report report;
        struct str envid; /* xtext, printable, at most 100 bytes; a bare "=" came out as "+3D" */
        struct str verp;  /* two delimiters; empty: not said */
};

struct smtp_rcpt_command {
        struct smtp_address recipient;
        unsigned notify;  /* SMTP_NOTIFY_ bits; 0: not said */
        struct str orcpt; /* "rfc822;xtext", as envid, at most 500 bytes; empty: not said */
};

/*
 * `args` is what follows the verb: "FROM:<a@b> SIZE=3". 0, or -EBADMSG with *refusal: 501 5.5.4 bad
 * syntax or parameter value, 555 5.5.4 unknown parameter, and those of smtp_path_parse(). SIZE
 * beyond int64_t is INT64_MAX. For MAIL, rules->allows_utf8 = false lets UTF-8 pass when the
 * command itself says SMTPUTF8.
 */
int smtp_mail_parse(struct str args, const struct smtp_path_rules *rules,
                    const struct smtp_offers *offers, struct arena *arena,
                    struct smtp_mail_command *out, struct smtp_reply *refusal);
int smtp_rcpt_parse(struct str args, const struct smtp_path_rules *rules,
                    const struct smtp_offers *offers, struct arena *arena,
                    struct smtp_rcpt_command *out, struct smtp_reply *refusal);

/* The delimiters of XVERP: two characters, both of `filter` (verp_delimiter_filter)? */
enum { SMTP_VERP_BYTES = 2 };
bool smtp_verp_is_valid(struct str delimiters, struct str filter);

/* "1000 LAST" (RFC 3030). 0, or -EBADMSG with *refusal (501 5.5.4). */
int smtp_bdat_parse(struct str args, int64_t *bytes, bool *is_last, struct smtp_reply *refusal);

/* xtext (RFC 3461 4); decoding leaves what is no xtext as it is */
bool smtp_xtext_is_valid(struct str text);
struct str smtp_xtext_decode(struct str text, struct arena *arena);
struct str smtp_xtext_encode(struct str text, struct arena *arena);

/* RFC 3629: nothing overlong, no surrogates. Control characters and NUL are valid. */
bool smtp_utf8_is_valid(struct str text);
bool smtp_text_is_ascii(struct str text);

#endif
