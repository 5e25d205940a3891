/*
 * cleanup.h - what is made of a message between its client and the spool (cleanup(8))
 *
 * The one place where a message is changed: its sender and recipients are completed and mapped
 * (canonical, masquerading, aliases, copies), its header and body are checked field by field and
 * line by line (header_checks(5)), and what rules, and filters, asked for is put into its envelope.
 * What leaves here is what the spool commits: nothing that was asked for is lost in a restart.
 *
 *      cleanup_new()
 *      await_cleanup_sender()          at MAIL
 *      await_cleanup_recipient()       at each RCPT
 *      await_cleanup_front()           with the lines that we put in front ourselves
 *      cleanup_input(), await_cleanup_content()    for each piece of the text
 *      await_cleanup_end()             when all is there, before the commit
 *      cleanup_free()
 *
 * Content streams: of a large message no more is in memory than a header field and a piece.
 *
 * Threads: a message's cleanup belongs to its loop; the rules are immutable and counted.
 * Waits:   await_* may suspend (tables).
 * Memory:  results live in the arena given.
 * Not here: may it be at all (policy/), where it goes (delivery/), the disk (spool/).
 */
#ifndef CLEANUP_CLEANUP_H
#define CLEANUP_CLEANUP_H

#include "message/envelope.h"
#include "policy/policy.h"

/* ---- rules: of one service, with its overrides ---- */

struct cleanup_rules;

/*
 * Opens the tables; what is wrong goes to *findings. Rules come out also when there are errors, for
 * tools. Takes references of its own.
 */
struct cleanup_rules *cleanup_rules_new(struct config *c, const struct params *params,
                                        struct table_set *tables, struct policy *policy,
                                        struct findings *findings);
/*
 * Rules for messages of our own, as Postfix has them: addresses are mapped, headers rewritten as those of local mail, and with `is_checked`
 * (internal_mail_filter_classes) the checks see them; no always_bcc and *_bcc_maps, no content_filter, whatever
 * receive_override_options says. Of what is wrong cleanup_rules_new() has told.
 */
struct cleanup_rules *cleanup_rules_new_own(struct config *c, struct table_set *tables,
                                            struct policy *policy, bool is_checked);
struct cleanup_rules *cleanup_rules_ref(struct cleanup_rules *r);
void cleanup_rules_unref(struct cleanup_rules **r);

/* ---- one message ---- */

struct cleanup;

/* What it works with; all outlive it. */
struct cleanup_work {
        struct cleanup_rules *rules;
        const struct policy_facts *facts; /* as they are when a function is called */
        struct policy_effects *effects;   /* hold, discard, filter, redirect, copies: rules may set
                                             them up to await_cleanup_end() */
        struct envelope *envelope;        /* sender and recipients are put in here */
        struct arena *arena;              /* for the envelope, too */
        /*
         * Called before a refusal by what the message says is logged, with what refuses it: "main.cf:7 header_checks
         * (pcre:/etc/checks:3 /^Subject: x/)". NULL: nobody wants to know.
         */
        void (*refuses)(void *context, struct str rule);
        void *context;
};

struct cleanup *cleanup_new(const struct cleanup_work *work);
void cleanup_free(struct cleanup **c);

/*
 * The sender as it goes into the envelope. Takes the place of an earlier one: a filter may change
 * it up to await_cleanup_end(). False: *refusal says why not (a table could not be asked).
 */
bool await_cleanup_sender(struct cleanup *c, const struct smtp_address *sender,
                          struct smtp_reply *refusal);

/*
 * What this recipient becomes goes into the envelope, each address once; a filter may add some up
 * to await_cleanup_end(). False: *refusal says why not, and nothing of it was added.
 */
bool await_cleanup_recipient(struct cleanup *c, const struct smtp_rcpt_command *rcpt,
                             struct smtp_reply *refusal);
/* Takes out all that this address became, as RCPT named it. How many there were. */
size_t cleanup_remove_recipient(struct cleanup *c, struct str address);

/*
 * The fields that we put in front of the client's text (PREPEND, Received:), each with CR LF behind it. They go to
 * `out` once header_checks have seen them, as in Postfix: an administrator may take the name of a client inside out
 * of our Received line. Nothing else is done with them. What refuses them, the first await_cleanup_content() tells.
 */
void await_cleanup_front(struct cleanup *c, struct str lines, struct buf *out);

/* The text comes in chunks (BDAT): a mailbox's "From " line is looked for in front of what comes by DATA alone (Postfix). */
void cleanup_expect_chunks(struct cleanup *c);

/*
 * Where the client's text goes (lines end in CR LF): append, then await_cleanup_content(). NULL:
 * nothing will be looked at any more, and what is left goes to the output as it is.
 */
struct buf *cleanup_input(struct cleanup *c);

enum cleanup_progress {
        CLEANUP_DONE, /* of what was there; what needs more text stays in the input */
        CLEANUP_MORE, /* the output has grown by some KiB: empty it, or not, and call again */
        CLEANUP_REFUSED,
};
/*
 * Moves text from the input to `out`, checked and changed. With `is_all`, nothing follows. Refused:
 * *refusal is the reply; the text is not wanted any more.
 */
enum { CLEANUP_STEP_BYTES = 16 << 10, CLEANUP_UNIT_BYTES_MAX = 108 << 10 };
enum cleanup_progress await_cleanup_content(struct cleanup *c, struct buf *out, bool is_all,
                                            struct smtp_reply *refusal);
/* The client's bytes that stand in the input and not in the output yet. */
size_t cleanup_waiting_bytes(const struct cleanup *c);

/* Is it of our own, by local_header_rewrite_clients? Logs when that cannot be asked; it is not then. */
bool await_cleanup_is_local(struct cleanup *c);

/* Does the message's own header, as it came, hold bytes beyond ASCII? */
bool cleanup_has_utf8_header(const struct cleanup *c);

/*
 * milter_header_checks for a field that a filter makes: raw with its folds, without its last CR LF. `field` becomes what
 * goes in, empty when nothing does; `before` a field to put in front of it, or empty. False: the message is refused.
 */
struct cleanup_made {
        struct str field, before;
};
bool await_cleanup_made(struct cleanup *c, struct cleanup_made *made, struct smtp_reply *refusal);

/*
 * Notes in the trace, as a step for each table of checks that was asked, what it was asked and found, and the rules
 * that answered. With facts->trace only.
 */
void cleanup_explain(struct cleanup *c, struct policy_trace *trace);

/*
 * The last word: copies (always_bcc, *_bcc_maps, BCC), REDIRECT, FILTER and content_filter go into
 * the envelope. False: *refusal says why the message cannot be taken now.
 */
bool await_cleanup_end(struct cleanup *c, struct smtp_reply *refusal);

#endif
