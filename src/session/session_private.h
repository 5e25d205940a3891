/* session_private.h - the nouns of this room: session and transaction, and the verbs */
#ifndef SESSION_SESSION_PRIVATE_H
#define SESSION_SESSION_PRIVATE_H

#include "cleanup/cleanup.h"
#include "message/envelope.h"
#include "session/front_door.h"
#include "session/roll.h"
#include "session/screen_cache.h"
#include "session/session.h"
#include "wire/pace.h"
#include "wire/tls.h"
#include "wire/wire.h"

struct crlf_cleaner;
struct milters;
struct intake;
struct proxy_filter;
struct session_proxy;

/* From MAIL to the end of data, RSET, or the end of the session. */
struct transaction {
        struct arena arena; /* envelope and effects point into it */
        struct smtp_address sender;
        struct envelope envelope;
        struct cleanup *cleanup;        /* puts sender and recipients into it */
        size_t over_limit;              /* RCPTs over smtpd_recipient_limit */
        struct smtp_address first_rcpt; /* as accepted, before aliases */
        size_t rcpt_count;              /* RCPTs that were accepted */
        struct policy_effects effects;
        struct spool_draft *draft;   /* from the first accepted RCPT on */
        struct intake *intake;       /* from DATA, or the first BDAT, on */
        struct session_proxy *proxy; /* NULL: no filter in front of the queue */
};

enum session_greeting { NOT_GREETED, GREETED_HELO, GREETED_EHLO };

/* What XCLIENT said; the facts point in here. */
struct session_claim {
        char name[256];
        char reverse_name[256];
};

/* What rules before MAIL asked for: there are such without smtpd_delay_reject alone. */
struct session_early {
        struct policy_effects connection;
        struct policy_effects greeting; /* and of the last HELO with it */
};

struct session_forward; /* what XFORWARD said about the next message */

/* postscreen's tests of this client (screen.c) */
struct screen {
        bool is_on;  /* it is being tested, or was */
        bool is_old; /* it was known before */
        bool has_failed;
        bool is_vetoed; /* by postscreen_allowlist_interfaces: what it passes is not remembered */
        bool has_recipient; /* it came as far as RCPT */
        bool needs[SCREEN_TESTS];
        struct screen_passes passed; /* and not remembered yet */
        int64_t dnsbl_ttl_ms;
        bool is_denied; /* each recipient gets: */
        struct smtp_reply denial;
        const char *denied_by; /* the parameter that says so */
};

struct transcript_texts;
struct session_report; /* what the postmaster may be told (report.c) */

enum { REFUSAL_CODE_BYTES = 8 };

struct session {
        struct list link; /* in the listener's sessions */
        struct list on_roll;
        uint64_t number; /* of the loop's sessions */
        int64_t since_us;
        struct listener *listener;
        struct session_service *service;
        const struct params *params;
        struct policy *policy;
        struct wire *wire;
        struct task *task;
        struct front_door_client *client;
        struct front_door_service *seat;

        struct wire_address peer; /* the client; behind a balancer, the one that it tells of */
        struct wire_address here; /* the address that the client connected to */
        struct policy_facts facts;
        char peer_port[8], here_port[8]; /* as the facts show them */
        char instance[40];
        char *tls;                     /* what the facts show of it; NULL: in the clear */
        struct milters *milters;       /* NULL: no filter is asked */
        struct session_early *early;   /* NULL with smtpd_delay_reject */
        struct arena connection_arena; /* theirs */
        struct arena arena;            /* of the command that is being done */
        struct str asked;            /* of this command: the recipient that RCPT names; in arena */
        struct session_claim *claim; /* NULL: never */
        struct session_forward *forward; /* NULL: nothing */
        struct tls_peer *certificate;    /* with TLS, where certificates are asked for; else NULL */
        char *discards; /* smtpd_discard_ehlo_keyword_address_maps of this client; NULL: not in it */
        char *helo;
        enum session_greeting greeting;
        struct transaction *transaction;
        bool has_lost_chunk; /* a BDAT was refused: up to LAST or RSET the others are thrown away */

        struct screen screen;

        unsigned errors;   /* since the last message */
        unsigned junk;     /* NOOP, RSET, VRFY, ETRN since the last message */
        unsigned messages; /* accepted */
        struct {
                unsigned done;   /* commands of this kind that succeeded */
                unsigned failed; /* that were refused */
        } verbs[SMTP_UNKNOWN + 1];
        struct pace text_pace; /* how long the client may still take over this message's text */
        const char *last_verb; /* for "lost connection after RCPT" */
        bool is_postscreen; /* the service's command: postscreen_* says what smtpd_* says elsewhere */
        bool may_xclient;
        bool may_xforward;
        bool may_verp;
        bool is_local; /* a user of this machine: */
        unsigned local_uid;
        bool is_check;     /* a balancer's own connection, not logged before it begins a message */
        bool is_debugged;  /* debug_peer_list */
        bool says_secrets; /* since AUTH no command has come */
        bool is_excused;   /* the refusal that is being made is not the client's error */
        bool is_closing;   /* the reply that is being made is the last */
        struct policy_trace trace;     /* of this command; in `arena` */
        struct session_report *report; /* NULL: the postmaster wants to hear of nothing */
        struct buf *record;            /* for forepost replay; NULL: none is made */
        struct str refusal_source;     /* which rule refused it */
        struct policy_facts *ended; /* of the transaction that this command has ended; in `arena` */
        char refusal_code[REFUSAL_CODE_BYTES]; /* of this command; empty: none was needed yet */
        bool wants_to_leave;                   /* the service stops: no new transaction */
};

struct session_service {
        unsigned refs;
        struct session_service_parts parts;
        struct proxy_filter *proxy_filter; /* smtpd_proxy_filter; NULL: none */
        struct arena arena;                /* its words */
};

/* A task's function: one connection from greeting to close. Frees the session. */
void await_session(void *arg);

/* ---- verbs: each gets its arguments, and returns the reply ---- */
struct smtp_reply await_session_helo(struct session *s, enum smtp_verb verb, struct str args);
struct smtp_reply await_session_mail(struct session *s, struct str args);
struct smtp_reply await_session_rcpt(struct session *s, struct str args);
struct smtp_reply await_session_data(struct session *s, struct str args);
struct smtp_reply await_session_bdat(struct session *s, struct str args);
struct smtp_reply await_session_vrfy(struct session *s, struct str args);
struct smtp_reply await_session_starttls(struct session *s, struct str args);
struct smtp_reply await_session_etrn(struct session *s, struct str args);
struct smtp_reply await_session_xclient(struct session *s, struct str args);
struct smtp_reply session_xforward(struct session *s, struct str args);
struct smtp_reply session_rset(struct session *s, struct str args);
struct smtp_reply session_noop(struct session *s, struct str args);
struct smtp_reply session_help(struct session *s, struct str args);
struct smtp_reply session_quit(struct session *s, struct str args);

/* No reply: the session cannot go on (the wire is broken). is_closing is set. */
static inline struct smtp_reply session_no_reply(void)
{
        return smtp_reply_make(0, NULL, STR(""));
}

/* ---- client_name.c ---- */

/* Sets what is known of the client's names in s->facts. Starts what the lists will ask at connect. */
void await_session_client_name(struct session *s);

/* ---- what verbs share ---- */

/* The deadline for the next input of the client (smtpd_timeout). */
int64_t session_deadline_ms(const struct session *s);
/* s->peer says who the client is: its address becomes the facts'. */
void session_set_address(struct session *s);
/* Puts a reply into the wire's output; a refusal with smtpd_reject_footer behind it. */
void await_session_put_reply(struct session *s, const struct smtp_reply *reply);
/* "connect from"; once, and for a balancer's health check not before it is more. */
void session_log_connect(struct session *s);
/* The spool is being drained: 421, and the session ends. */
bool session_is_drained(struct session *s, struct smtp_reply *refusal);
/* Logs why the client is gone: "lost connection after DATA from unknown[192.0.2.1]". */
void session_log_loss(struct session *s, int error);
/* ESMTP, ESMTPS, SMTP, UTF8SMTP... (RFC 3848, RFC 6531) */
struct str session_protocol(const struct session *s, bool is_utf8);
/*
 * Asks the policy, and logs a refusal. True: it refused, and *reply is what to say; 421 and 521 close.
 */
bool await_session_refuses(struct session *s, enum policy_event event, struct smtp_reply *reply);
/* What policy servers know the next message by. */
void session_new_instance(struct session *s);
struct smtp_offers session_offers(const struct session *s);
/* Is a message being told in chunks, or was one, and its end has not come? */
static inline bool session_is_within_bdat(const struct session *s)
{
        return s->has_lost_chunk || (s->transaction && s->transaction->intake);
}
/* May this EHLO keyword be shown? smtpd_discard_ehlo_keywords */
bool session_offers_keyword(const struct session *s, struct str keyword);

/*
 * One more of these by this client: false when that is over rate_max in anvil_rate_time_unit (0: no limit);
 * the log then says that the limit of `what` is exceeded.
 */
bool session_rate_allows(struct session *s, enum front_door_event event, int64_t rate_max,
                         const char *what);
/* smtpd_tls_req_ccert, where TLS is required: elsewhere it says nothing (Postfix) */
bool session_needs_certificate(const struct params *p);
/* About the client's certificate, as Postfix writes it into Received lines; in s->arena. */
struct str session_certificate_words(struct session *s);
/* The TLS handshake of STARTTLS and of smtpd_tls_wrappermode. False: it failed, and was logged. */
bool await_session_handshake(struct session *s, int64_t deadline_ms);

/* ---- upstream.c: a balancer in front of us ---- */

/* Must a PROXY header come first? */
bool session_has_upstream(const struct session *s);
/* Reads it, and takes the client's address from it. False: nobody to talk to; that was logged where it matters. */
bool await_session_upstream(struct session *s);

/* ---- XCLIENT and XFORWARD ---- */

/* ", orig_queue_id=X, orig_client=NAME[ADDRESS]", or empty. */
struct str session_forward_log(struct session *s);
/* The message's origin becomes what XFORWARD said. */
void session_forward_apply(const struct session *s, struct envelope *e);
void session_forward_end(struct session *s);

/* ---- screen.c: postscreen's tests, for services of that name ---- */

/*
 * Those before the greeting, the first part of which it may put. False: the client is not let in; *reply says why, or
 * has no code when it is gone.
 */
bool await_session_screen(struct session *s, struct smtp_reply *reply);
/* A command that a test looks for: logged; true when it ends the session, with *reply. */
bool session_screen_command(struct session *s, enum screen_test test, struct str line,
                            struct smtp_reply *reply);
/* At each RCPT: true when a test has failed whose action is enforce; *reply says so, and was logged. */
bool session_screen_refuses(struct session *s, struct smtp_reply *reply);
/* The session is over: what was passed is remembered. */
void session_screen_end(struct session *s);

/* ---- pace.c: how long a client may take over the text of a message ---- */

/* DATA, or one BDAT, begins. */
void session_text_begin(struct session *s);
/* As await_wire_bytes(), with the deadline of smtpd_timeout and smtpd_min_data_rate. */
int await_session_text(struct session *s, struct str *bytes);

/* ---- explain.c: what was refused, and why ---- */

/* A command begins: nothing has been asked or refused for it yet. */
void session_explain_begin(struct session *s);
/* A rule has refused: makes the code, which the log line will show. */
void session_explain_refusal(struct session *s, struct str source);
/* The transaction is about to end, and what is judged last is about it. */
void session_explain_end(struct session *s);
/* "main.cf:7 postscreen_greet_action" in s->arena */
struct str session_rule_name(struct session *s, const char *parameter);
/* A step that is no rule of a list: what this parameter had looked at, and what came of it. */
void session_explain_step(struct session *s, const char *parameter, const char *outcome,
                          const struct trace_look *look);
/* As cleanup_work.refuses; the context is the session. */
void session_explain_content(void *session, struct str rule);
/*
 * The reply is about to be said: a refusal gets its code behind the text (in s->arena), and who wants to hear of it does.
 */
void session_explain_reply(struct session *s, struct smtp_reply *reply);

/* ---- report.c: transcripts of sessions with errors, for the postmaster (notify_classes) ---- */

/* Begins the transcript, when notify_classes asks for any. */
void session_report_begin(struct session *s);
void session_report_free(struct session *s);
/* What was said: a line of the client's; a reply, and the lines that it was put as. */
void session_report_line(struct session *s, struct str line);
void session_report_reply(struct session *s, const struct smtp_reply *reply, struct str lines);
/* An error of this class (config/notify_classes.h) whose reply does not tell it. */
void session_report_error(struct session *s, unsigned class);
/* Why the session ends: "timeout". */
void session_report_reason(struct session *s, const char *reason);
/* Somebody who writes or gets mail here: of double_bounce_sender nobody is told. */
void session_report_address(struct session *s, struct str address);
/* No message is under way: a transcript over smtpd_history_flush_threshold is sent, or begun anew. */
void await_session_report_part(struct session *s);
/* The session is over: tells the postmaster, when there was an error. */
void await_session_report_end(struct session *s);

/* ---- login_sender.c: local_login_sender_maps ---- */

/* True: this user of our machine may not name this sender; *refusal says so. */
bool await_session_login_refuses(struct session *s, const struct smtp_address *sender,
                                 struct smtp_reply *refusal);

/* ---- debug.c: debug_peer_list ---- */

/* The client is known: is what is said with it to be logged? */
void session_debug_begin(struct session *s);
void session_debug_line(struct session *s, struct str line);
void session_debug_reply(const struct session *s, struct str lines);

/* ---- record.c: a session's inputs and replies, for forepost replay ---- */

/* The client is known; the record begins, where one is wanted. */
void session_record_begin(struct session *s);
void session_record_reply(struct session *s, const struct smtp_reply *reply);
/* Hands it over, with the DNS's answers. */
void await_session_record_end(struct session *s);

/* ---- footer.c ---- */

/* What smtpd_reject_filter_maps has instead of this refusal; its text is in s->arena. 421 and 521 close. */
void await_session_filter_refusal(struct session *s, struct smtp_reply *refusal);
/*
 * The text of this refusal with what smtpd_reject_footer_maps or smtpd_reject_footer has behind it, $names filled in; in
 * s->arena.
 */
struct str await_session_footer_add(struct session *s, const struct smtp_reply *refusal);

void session_transaction_begin(struct session *s, const struct smtp_mail_command *mail);
/* Its message gets an id, unless it has one, and the log tells of it: at MAIL or at the first recipient (smtpd_delay_open_until_valid_rcpt). */
void session_open_draft(struct session *s);
/* Ends it, accepted or not; NULL is fine. */
void session_transaction_end(struct session *s);

/* ---- listener.c: what a session tells its listener ---- */
struct front_door *listener_door(const struct listener *li);
struct session_counts *listener_counts(struct listener *li);
/* What its sessions' transcripts share. */
struct transcript_texts *listener_texts(struct listener *li);
/* How many sessions the descriptors suffice for. */
int64_t listener_sessions_max(const struct listener *li);
/* The last that a session does: its memory is the listener's again. */
void listener_session_ended(struct listener *li, struct session *s);

/* ---- session_milter.c: the filters are asked; true: refused, logged, with what to say ---- */
bool await_session_milters_connect(struct session *s, struct smtp_reply *reply);
bool await_session_milters_helo(struct session *s, struct smtp_reply *reply);
bool await_session_milters_mail(struct session *s, struct str args, struct smtp_reply *reply);
bool await_session_milters_rcpt(struct session *s, struct str args, struct smtp_reply *reply);
/* A recipient that is refused already: those that want to hear of it are told. */
void await_session_milters_rejected(struct session *s, struct str args,
                                    const struct smtp_reply *rejection);
bool await_session_milters_data(struct session *s, struct smtp_reply *reply);
bool await_session_milters_unknown(struct session *s, struct str line, struct smtp_reply *reply);
/* The whole message, from byte `ours` on the client's; changes draft and envelope. */
bool await_session_milters_message(struct session *s, size_t ours, struct smtp_reply *reply);

/* ---- session_proxy.c: smtpd_proxy_filter ---- */

/* The filter that answers for this session's messages; NULL: they are ours. */
const struct proxy_filter *session_proxy_filter(const struct session *s);
/* MAIL was taken: the filter will hear of it with the first recipient. False: it must not; *reply says why. */
bool session_proxy_begin(struct session *s, struct str args, struct smtp_reply *reply);
void session_proxy_free(struct session_proxy **p);
/* MAIL, before there is a recipient (smtpd_delay_open_until_valid_rcpt). True: the filter does not take it, logged, with what to say. */
bool await_session_proxy_mail(struct session *s, struct smtp_reply *reply);
/* A recipient that we take; DATA. True: the filter does not, logged, with what to say. */
bool await_session_proxy_rcpt(struct session *s, struct str args, struct smtp_reply *reply);
bool await_session_proxy_data(struct session *s, struct smtp_reply *reply);
/*
 * What is in the draft's buf goes on: to the filter, or to where it waits for that. 0, -EPIPE (the filter is gone; logged), or an error of
 * the spool with *why.
 */
int await_session_proxy_text(struct session *s, struct why *why);
/* Bytes of the text so far. */
int64_t session_proxy_bytes(const struct transaction *t);
/* All of it is there, and we have nothing against it: the filter's answer. */
struct smtp_reply await_session_proxy_end(struct session *s);

/* ---- intake.c: content on its way into the draft, for DATA and BDAT ---- */

/* Writes PREPENDed lines and Received: in front. */
void await_intake_begin(struct session *s);
/* The text comes by BDAT: a mailbox's line in front of it ends the header (Postfix). */
void intake_expect_chunks(struct session *s);
void intake_free(struct intake **in);
/* The content goes in here; then tell. */
struct buf *intake_buf(struct session *s);
/* After each piece: looks at the header when it is complete, at the size; moves large content to disk. */
void await_intake_piece(struct session *s);
/* Refuse in the end, whatever else comes; the first refusal counts. */
void intake_refuse(struct session *s, struct smtp_reply reply);
/* Is it refused already, and with what? */
bool intake_refuses(const struct session *s, struct smtp_reply *reply);
/* The content is complete: judges, commits, and ends the transaction. */
struct smtp_reply await_intake_end(struct session *s);
/* Some line of the client's ended in LF alone. */
void intake_note_bare_lf(struct session *s);
/* smtpd_forbid_bare_newline = reject, and the client is not in smtpd_forbid_bare_newline_exclusions: with the reply */
bool session_refuses_bare_lf(const struct session *s, struct smtp_reply *reply);
/* BDAT's state between chunks. */
struct crlf_cleaner *intake_cleaner(struct session *s);

#endif
