/*
 * client.h - one SMTP connection to a next hop, and messages through it (RFC 5321, RFC 2920)
 *
 * Opened with greeting, EHLO and STARTTLS behind it; then one message after the other; then closed. What goes
 * wrong is a struct trouble: data for a log line and a result, not an error.
 *
 * Waits: await_*; one task uses a client at a time.
 */
#ifndef DELIVERY_CLIENT_H
#define DELIVERY_CLIENT_H

#include "delivery/host.h"
#include "delivery/sasl.h"
#include "delivery/tls_rule.h"
#include "smtp/reply.h"
#include "spool/spool.h"
#include "wire/pace.h"
#include "wire/wire.h"

/* Why something was not done. Texts are in the arena that was given. */
struct trouble {
        bool is_permanent;
        char dsn[12];
        struct str text;  /* in Postfix's words, for our own log: shows names and addresses */
        struct str reply; /* the peer's words, with code; may hold LF; empty: it said nothing */
};

enum { CLIENT_NAMES_MAX = 2 };

struct client {
        struct wire *wire;
        const struct transport *transport; /* the owner sees to it that it stays */
        char host[MX_NAME_BYTES_MAX];
        char address[HOST_TEXT_BYTES];
        uint16_t port; /* 0: a unix-domain socket */
        bool is_lmtp;  /* LHLO, and a reply for each recipient at the end (RFC 2033) */
        const struct client_terms *terms;                     /* while it is opened */
        char relay[MX_NAME_BYTES_MAX + HOST_TEXT_BYTES + 10]; /* "host[address]:port" */
        char named[CLIENT_NAMES_MAX][MX_NAME_BYTES_MAX]; /* what it calls itself: greeting, EHLO */
        struct smtp_reply_reader reader;

        unsigned mechanisms;   /* of AUTH, that we know: sasl_offered() */
        bool has_auth;         /* whatever it offers */
        enum sasl_cover cover; /* what TLS came about */
        bool is_signed_in;
        bool is_without_esmtp; /* smtp_pix_workarounds: disable_esmtp */
        bool has_late_dot;     /* delay_dotcrlf */
        bool has_pipelining, has_size, has_8bitmime, has_smtputf8, has_dsn, has_starttls;
        int64_t size_max;  /* with has_size; 0: none said */
        int64_t rcpt_max;  /* LIMITS (RFC 9422): recipients of a message, messages of a session; */
        int64_t mail_max;  /* 0: none said */
        unsigned forwards; /* attributes of XFORWARD that it takes: 1 << enum smtp_attribute */

        struct pace pace; /* for the text of the message that is sent */

        bool is_debugged; /* debug_peer_list: what is said is logged */
        bool is_dead;     /* nothing more can be said; close it */
        bool is_lost;     /* dead by the peer: silence, the end, rubbish, 421 */
        bool needs_rset;  /* a transaction is open that came to nothing */
        bool is_stale;    /* a used connection was found closed before it took the message */
        int64_t opened_ms;
        int64_t message_count;
};

/* What a session is to come to before mail goes. */
struct client_terms {
        const struct tls_rule *rule;
        const struct sasl_login *login; /* without a user: we sign in as nobody */
        struct policy *policy;          /* for debug_peer_list; NULL: nobody is in it */
};

/*
 * Connects, and all up to the second EHLO and AUTH. 0 with *out, or a negative errno value with *trouble: -ECANCELED,
 * -ENOTCONN (there was no connection), -EPROTO (TLS did not come about; where the rule does not need it, try again
 * with one that has it not), others.
 */
int await_client_open(const struct transport *t, const struct host_address *a,
                      const struct client_terms *terms, struct arena *arena, struct client **out,
                      struct trouble *trouble);
/* Says QUIT when it can, without waiting for the answer. Takes NULL, sets NULL. */
void client_close(struct client **c);
/* Takes another message: alive, not too old, not used too often, and the peer has not hung up. */
bool client_is_usable(struct client *c);

enum client_verdict {
        CLIENT_NONE,   /* cancelled */
        CLIENT_SENT,   /* the peer has it */
        CLIENT_REFUSED /* see trouble */
};

struct client_result {
        enum client_verdict verdict;
        struct trouble *trouble; /* of a refusal; several recipients may share one */
        struct str reply;        /* of what was sent: "250 2.0.0 Ok" */
        char dsn[12];            /* of what was sent */
        bool is_final; /* refused for now, but it may have arrived: not to be tried elsewhere at once */
};

struct client_message {
        struct spool_message *message; /* NULL: a probe */
        const struct envelope *envelope;
        const size_t *recipients; /* indices into the envelope */
        size_t recipient_count;
        struct arena *arena;
        struct client_result *results; /* to be filled in; one for each of `recipients` */
};

/* Sends one message: all results are set. Then look at is_dead and is_stale. */
void await_client_send(struct client *c, struct client_message *m);

/*
 * Asks whether its one recipient would be taken, as far as smtp_address_verify_target says: MAIL, RCPT, perhaps DATA, and no
 * message. CLIENT_SENT: yes.
 */
enum { ADDRESS_VERIFY_RCPT, ADDRESS_VERIFY_DATA }; /* the words of smtp_address_verify_target */
void await_client_probe(struct client *c, struct client_message *m);

/* ---- shared by client.c and client_send.c ---- */

enum client_stage {
        AT_GREETING,
        AT_EHLO,
        AT_HELO,
        AT_STARTTLS,
        AT_AUTH,
        AT_RSET,
        AT_XFORWARD,
        AT_MAIL,
        AT_RCPT,
        AT_DATA,
        AT_BODY,
        AT_DOT,
};

/* With is_debugged: lines in the log, with ">" or "<" in front; `lines` have CR LF between them, or none. */
void client_debug(const struct client *c, char direction, struct str lines);
/* A command, with its CR LF. 0, or as wire_put(). */
int client_put(struct client *c, struct str command);
/*
 * The next reply, into c->reader. 0, or a negative errno value; -EBADMSG: no SMTP. The client is dead then. The time is for all of
 * it with smtp_per_request_deadline, else for each line.
 */
int await_client_reply(struct client *c, int64_t timeout_ms);
/*
 * The text of a message begins; from then on this sends what was put, in smtp_data_xfer_timeout: for all of the text with
 * smtp_per_request_deadline and smtp_min_data_rate, else for each write.
 */
void client_text_begin(struct client *c);
int await_client_text(struct client *c);
/* "550 5.1.1 text"; lines joined by `joint`. */
struct str client_reply_text(const struct client *c, char joint, struct arena *arena);
/* The peer's enhanced code, or the plain one of its class: "5.0.0". */
void client_reply_dsn(const struct client *c, char out[12]);
/* Trouble from the reply that stands in c->reader, or from an error of the wire. */
struct trouble *client_trouble_reply(const struct client *c, enum client_stage stage,
                                     struct arena *arena);
struct trouble *client_trouble_lost(const struct client *c, enum client_stage stage, int error,
                                    struct arena *arena);
struct trouble *client_trouble_say(bool is_permanent, const char *dsn, struct str text,
                                   struct arena *arena);

/* ---- client_pix.c: firewalls in between ---- */

/* The greeting has come: is something to be done for this server? */
void await_client_pix(struct client *c);
/* The end of this message comes next: does it have to wait? 0, or an error: then the connection is lost, AT_BODY. */
int await_client_pix_dot(struct client *c, int64_t arrival_us);

/* ---- client_auth.c: AUTH ---- */

/* Signs in, where we have a login and the server offers AUTH. 0, or an error with *trouble. */
int await_client_sign_in(struct client *c, const struct sasl_login *login, struct arena *arena,
                         struct trouble *trouble);

/* ---- client_forward.c: XFORWARD ---- */

/* The attributes behind the keyword. */
unsigned client_forward_offer(struct str words);
/* The commands for this message into the wire; how many replies will come. */
size_t client_forward_put(struct client *c, const struct client_message *m);

/* ---- what a content is made of ---- */

struct content_scan {
        bool has_8bit;        /* anywhere */
        bool has_8bit_header; /* in the header */
};
/* Reads all of it. 0, or an error of the spool with *why. */
int await_content_scan(struct spool_message *m, struct content_scan *out, struct why *why);

#endif
