/* cleanup_private.h - rules, and a message under way, as the files of this room share them */
#ifndef CLEANUP_CLEANUP_PRIVATE_H
#define CLEANUP_CLEANUP_PRIVATE_H

#include "cleanup/cleanup.h"
#include "cleanup/field.h"
#include "config/receive_override.h"
#include "message/mailbox_line.h"
#include "message/to_7bit.h"

/* What is rewritten by a map or by masquerading: canonical_classes and its kin. */
enum address_use {
        USE_ENVELOPE_SENDER = 1,
        USE_ENVELOPE_RECIPIENT = 2,
        USE_HEADER_SENDER = 4,
        USE_HEADER_RECIPIENT = 8,
};

struct cleanup_rules {
        unsigned refs;
        struct config *config;
        const struct params *params;
        struct policy *policy;
        struct table_set *tables;

        struct table_list *header_checks, *mime_header_checks, *nested_header_checks, *body_checks,
                *decoded_header_checks, *milter_header_checks;
        bool looks_at_parts; /* something wants to see what is behind the first header */
        unsigned faults_refused;
        unsigned overrides; /* enum receive_override */
        bool is_own;        /* for messages of our own: no copies, no content_filter */
        bool has_rejected, has_stripped;
        bool is_rejected[256], is_stripped[256]; /* message_reject_characters, message_strip_... */
        struct mime_limits limits;

        struct table_list *canonical_maps, *sender_canonical_maps, *recipient_canonical_maps,
                *sender_bcc_maps, *recipient_bcc_maps;
        unsigned canonical_uses, sender_canonical_uses, recipient_canonical_uses, masquerade_uses;
        bool propagates_extensions; /* propagate_unmatched_extensions has canonical */
        struct match_list *masquerade_exceptions;
        struct table_list *rewrite_tables; /* of local_header_rewrite_clients */
        bool rewrites_all, rewrites_own, rewrites_mynetworks;
};

/* How headers are completed: not at all, as mail of our own, or with remote_header_rewrite_domain */
enum rewrite_context { REWRITE_UNKNOWN, REWRITE_NONE, REWRITE_LOCAL, REWRITE_REMOTE };

/* header, MIME, nested, body, made by filters, decoded */
enum { CHECK_TABLES = 6 };
struct check_note;

/* ---- recipient_set.c: the recipients that there are, so that duplicates are found at once ---- */

/* Places in an array of recipients, by address and (where that counts) original; all memory is of an arena. */
struct recipient_set {
        uint32_t *slots; /* 1 + place; 0: free */
        size_t room;     /* a power of two, or 0 */
        size_t count;
};
/* Is there one with this address and, with `by_original`, asked for by this? Letters are folded. */
bool recipient_set_has(const struct recipient_set *set, const struct recipient *recipients,
                       struct str address, struct str original, bool by_original);
/* recipients[at] is one more. */
void recipient_set_add(struct recipient_set *set, const struct recipient *recipients, size_t at,
                       bool by_original, struct arena *arena);

struct cleanup {
        struct cleanup_work work;
        const struct cleanup_rules *rules;
        const struct params *params;
        struct arena *arena;
        size_t recipient_room;
        struct recipient_set known;   /* of recipients that were asked for: none comes twice */
        struct policy_effects copies; /* of it: bcc alone. What *_bcc_maps want */

        /* content */
        struct buf input;
        struct to_7bit *converter; /* force_mime_input_conversion; NULL: none */
        struct buf converted;      /* with it: what is taken apart instead of `input` */
        bool is_converted;         /* all of it has been */
        struct buf scratch;        /* a field without CR, or decoded */
        struct mime mime;
        enum rewrite_context context;
        struct mailbox_lines mailbox;
        bool has_header;      /* the first header is over */
        bool owes_blank;      /* no blank line has ended it: one is put in front of the body */
        bool has_utf8_header; /* and had bytes beyond ASCII */
        bool is_composite;    /* multipart or message: its parts' encodings are wanted */
        bool is_passed;       /* PASS, REDIRECT, DISCARD: nothing is checked any more */
        size_t seen, raw;     /* of the input: characters.c */
        bool drops_rest;      /* of a long field or line that was taken out */
        bool has_message_id, has_date, has_from, has_visible_recipient, is_resent;
        bool has_resent_message_id, has_resent_date, has_resent_from;
        size_t hops;
        size_t header_bytes;
        bool is_refused;
        struct smtp_reply refusal;
        bool is_out_full;
        struct buf *out;
        struct check_note *notes[CHECK_TABLES]; /* of the tables that were asked; in arena */
};

/* Tells who wants to know what refuses the message; before it is logged. */
void cleanup_announce(struct cleanup *c, struct str rule);
/* The first refusal counts. */
void cleanup_refuse(struct cleanup *c, int code, const char *enhanced, struct str text);
/* It is over a ceiling. */
void cleanup_refuse_size(struct cleanup *c);
/* To the output; over its ceiling is a refusal. */
void cleanup_put(struct cleanup *c, struct str text);

/* ---- characters.c: message_reject_characters, message_strip_characters ---- */
void cleanup_characters_read(struct cleanup_rules *r, struct findings *findings);
/*
 * The input has two parts: up to `seen` lines have been through the sets, from `raw` on they have not. begin, any number of take, end:
 * of what was seen `left` bytes stay, and only then more may be appended.
 */
void cleanup_input_begin(struct cleanup *c);
/* One line more, or all that is there when no set is asked any more. False: there is none. The message may be refused. */
bool cleanup_input_take(struct cleanup *c, bool is_all);
void cleanup_input_end(struct cleanup *c, size_t left);

/* ---- check.c: one field or line against its table ---- */
enum check_result { CHECK_KEEPS, CHECK_DROPS, CHECK_REPLACES };
/*
 * `text` is what the table is asked, without a line end. CHECK_REPLACES: *instead is what to use, line
 * feeds in it for line ends. PREPENDed text is in the output already.
 */
enum check_result await_check_text(struct cleanup *c, enum check_kind kind, struct str text,
                                   struct str *instead);
/* decoded_header_checks for the same field. */
enum check_result await_check_decoded(struct cleanup *c, enum check_kind kind,
                                      const struct header_field *field, struct str *instead);
/* Lines of a table's text, with CR LF behind each. */
void cleanup_put_lines(struct cleanup *c, struct str text);
/* "reject: content Subject: ... from ...": the message is refused for what this text is, by this parameter. */
void cleanup_refuse_text(struct cleanup *c, const char *parameter, struct str text,
                         const char *enhanced, struct str words);
/* Refuses what strict rules do not let pass. */
void cleanup_refuse_fault(struct cleanup *c, unsigned faults, struct str text);

/* ---- note.c: for those who explain ---- */
struct check_look {
        const char *parameter; /* which lives for ever */
        struct str tables;     /* what main.cf has there */
        struct str text;       /* as asked */
        bool is_body;
        enum table_result found;
        struct str said; /* or why the table cannot be asked */
        const struct table_rule *rule;
        int64_t took_us;
};
void cleanup_note_look(struct cleanup *c, const struct check_look *look);
/* What came of it: "refuse", "hold", "ignore"... */
void cleanup_note_outcome(struct cleanup *c, const char *parameter, const char *outcome);
/* "main.cf:7 header_checks" */
struct str cleanup_rule_name(struct cleanup *c, const char *parameter);

/* ---- header.c ---- */
void await_clean_field(struct cleanup *c, const struct mime_unit *unit);
/* The first header is over: what is missing is added, what it said is logged. */
void await_clean_header_end(struct cleanup *c);

/* ---- address.c: what becomes of one address ---- */

/* A list of tables from addresses to addresses: canonical_maps and its kin, smtp_generic_maps. */
struct address_maps {
        const char *name;          /* the parameter */
        struct table_list *tables; /* NULL: they could not be opened */
        struct policy *policy;
        const struct params *params;
        bool propagates_extensions;
};
/* Asks once. TABLE_FOUND: *out is what the value makes of it, complete. TABLE_ERROR: *why. */
enum table_result await_address_map(const struct address_maps *maps,
                                    const struct smtp_address *address, struct arena *arena,
                                    struct smtp_address *out, struct why *why);
/* As a list of tables is asked for it. 0 or -EAGAIN. */
int await_address_key(struct policy *policy, const struct params *params,
                      const struct smtp_address *address, struct arena *arena,
                      struct table_address *key, struct why *why);

/* 0, or -EAGAIN with *why. The null address stays. */
int await_clean_address(struct cleanup *c, enum address_use use, const struct smtp_address *address,
                        struct smtp_address *out, struct why *why);
/* Which clients' headers are rewritten. */
enum rewrite_context await_rewrite_context(struct cleanup *c);

#endif
