/* milter_private.h - packets, settings and one filter's dialogue */
#ifndef MILTER_MILTER_PRIVATE_H
#define MILTER_MILTER_PRIVATE_H

#include "milter/milter.h"
#include "wire/endpoint.h"

/* ---- packet.c: pure. What is on the wire: length (4), command (1), data ---- */

enum milter_stage {
        MILTER_CONNECT,
        MILTER_HELO,
        MILTER_MAIL,
        MILTER_RCPT,
        MILTER_DATA,
        MILTER_END,
        MILTER_END_OF_HEADER,
        MILTER_UNKNOWN,
        MILTER_STAGES,
};

enum { /* what a filter may do: SMFIF_ */
       MILTER_ADDS_HEADERS = 0x1,
       MILTER_CHANGES_BODY = 0x2,
       MILTER_ADDS_RECIPIENTS = 0x4,
       MILTER_REMOVES_RECIPIENTS = 0x8,
       MILTER_CHANGES_HEADERS = 0x10,
       MILTER_QUARANTINES = 0x20,
       MILTER_CHANGES_SENDER = 0x40,
       MILTER_ADDS_RECIPIENTS_PAR = 0x80,
       MILTER_SETS_MACROS = 0x100,
};
enum { /* what it does not want to be sent, and what it does not answer: SMFIP_ */
       MILTER_NO_CONNECT = 0x1,
       MILTER_NO_HELO = 0x2,
       MILTER_NO_MAIL = 0x4,
       MILTER_NO_RCPT = 0x8,
       MILTER_NO_BODY = 0x10,
       MILTER_NO_HEADERS = 0x20,
       MILTER_NO_EOH = 0x40,
       MILTER_NR_HEADER = 0x80,
       MILTER_NO_UNKNOWN = 0x100,
       MILTER_NO_DATA = 0x200,
       MILTER_SKIPS = 0x400,
       MILTER_WANTS_REJECTED = 0x800,
       MILTER_NR_CONNECT = 0x1000,
       MILTER_NR_HELO = 0x2000,
       MILTER_NR_MAIL = 0x4000,
       MILTER_NR_RCPT = 0x8000,
       MILTER_NR_DATA = 0x10000,
       MILTER_NR_UNKNOWN = 0x20000,
       MILTER_NR_EOH = 0x40000,
       MILTER_NR_BODY = 0x80000,
       MILTER_LEADING_SPACE = 0x100000,
};

/* What a version knows of both: 2, 3, 4, 6. */
unsigned milter_version_actions(unsigned version);
unsigned milter_version_protocol(unsigned version);

/* A packet in `out`: begin, put, end. Over the buf's ceiling: milter_packet_end() is -ENOBUFS. */
size_t milter_packet_begin(struct buf *out, char command);
void milter_put_text(struct buf *out, struct str text); /* with its NUL; NULs inside become '?' */
void milter_put_bytes(struct buf *out, struct str bytes);
void milter_put_number(struct buf *out, uint32_t n);
int milter_packet_end(struct buf *out, size_t at);

struct milter_reply {
        char command;
        struct str data;
        uint32_t index;        /* of 'i' and 'm' */
        struct str name, text; /* of h, i, m: field; of others: the first text, the second */
};
/*
 * Takes a packet off the front of *in: 1, or 0 when it is not there yet, or -EPROTO with *why (too long, no such
 * reply, texts without end). Views point into *in.
 */
int milter_reply_take(struct str *in, struct milter_reply *out, struct why *why);

struct milter_negotiated {
        unsigned version, actions, protocol;
        bool has_macros[MILTER_STAGES];
        struct str macros[MILTER_STAGES]; /* views into the packet */
};
/* The filter's half of the negotiation; 0 or -EPROTO with *why. */
int milter_negotiated_read(struct str data, unsigned version, struct milter_negotiated *out,
                           struct why *why);
/* "550 5.7.1 text" of a filter, with "%%" and several lines. False: it is no such thing. */
bool milter_reply_code(struct str text, struct arena *arena, struct smtp_reply *out);

/* ---- edit.c: pure ---- */

bool milter_field_name_is_valid(struct str name);
/* "Name: value", raw: whatever the value contains, one field. `has_space`: the value brings its own leading blank. */
struct str milter_field_make(struct arena *arena, struct str name, struct str value,
                             bool has_space);
/* False: over the ceiling. Views are kept. */
bool milter_header_add(struct milter_header *h, const struct milter_made *made);
bool milter_header_insert(struct milter_header *h, uint32_t index, const struct milter_made *made);
/* The index-th (from 1) shown field with this name; an empty field takes it out. */
bool milter_header_change(struct milter_header *h, uint32_t index, struct str name,
                          const struct milter_made *made);

/* ---- spec.c ---- */

enum milter_default { /* the words of milter_default_action */
                      MILTER_DEFAULT_ACCEPT,
                      MILTER_DEFAULT_REJECT,
                      MILTER_DEFAULT_TEMPFAIL,
                      MILTER_DEFAULT_QUARANTINE,
                      MILTER_DEFAULT_SHUTDOWN,
};

struct milter_spec {
        struct endpoint endpoint;
        int64_t connect_ms, command_ms, content_ms;
        enum milter_default default_action;
};
struct milter_specs {
        struct milter_spec *specs;
        size_t count;
};
int milter_specs_parse(struct str text, const struct params *params, struct arena *arena,
                       struct milter_specs *out, struct why *why);

struct milter_set {
        unsigned refs;
        const char *parameter; /* that specs come from */
        struct arena arena;
        struct config *config;
        const struct params *params;
        struct table_set *tables;
        struct milter_specs specs;
        struct table_list *maps;
};

/* ---- macro.c ---- */

/* The macro's value for this event; empty: it has none, and is not sent. */
struct str milter_macro_value(const struct params *params, const struct policy_facts *facts,
                              enum milter_stage stage, const struct milter_args *args,
                              struct str name, struct arena *arena);
struct str milter_macro_names(const struct params *params, enum milter_stage stage);

/* ---- filter.c: the dialogue with one filter ---- */

enum filter_state {
        FILTER_NEW,
        FILTER_READY,
        FILTER_IN_MESSAGE,
        FILTER_HAS_MESSAGE, /* accepted this message: nothing more of it */
        FILTER_HAS_SESSION, /* accepted all of the session */
        FILTER_FAILED,
};

struct filter {
        const struct milter_spec *spec;
        struct wire *wire;
        enum filter_state state;
        struct milter_negotiated negotiated;
        struct arena arena; /* what negotiated points to */
        struct buf out, in;
        size_t taken;       /* of in */
        const char *answer; /* to the last question, for those who explain; NULL: there was none */
        struct str why;     /* of a filter that failed; in the arena of all filters */
};

struct milters {
        struct milter_set *set;
        struct arena arena;
        const struct params *params;
        const struct policy_facts *facts;
        const char *parameter; /* that names them: smtpd_milters */
        struct filter *filters;
        size_t count;
        const struct filter *refuser; /* the last one that refused, or NULL */
        bool is_discarded;            /* this message */
        bool is_held;                 /* likewise, by a default action */
};

/* Connects and negotiates. 0 or a negative errno value with *why. */
int await_filter_open(struct milters *m, struct filter *f, struct why *why);
void filter_close(struct filter *f);
void filter_put_macros(struct milters *m, struct filter *f, enum milter_stage stage,
                       const struct milter_args *args, char command);
/* Sends what was put. */
int await_filter_flush(struct filter *f, int64_t deadline_ms, struct why *why);
/* The next reply; *reply is valid until the next call. */
int await_filter_reply(struct filter *f, int64_t deadline_ms, struct milter_reply *reply,
                       struct why *why);

/* ---- milters.c ---- */

enum filter_result { FILTER_GOES_ON, FILTER_REFUSES, FILTER_DISCARDS, FILTER_SKIPS };
/* What a reply that ends a command means. Anything else is -EPROTO with *why. */
int filter_take_verdict(struct milters *m, struct filter *f, enum milter_stage stage,
                        const struct milter_reply *reply, enum filter_result *result,
                        struct arena *arena, struct smtp_reply *refusal, struct why *why);
/* It does not work: logged; what its default action makes of it. */
enum filter_result filter_failed(struct milters *m, struct filter *f, const struct why *why,
                                 struct smtp_reply *refusal);
enum filter_result filter_default(struct milters *m, struct filter *f, struct smtp_reply *refusal);

/* ---- change.c ---- */

struct milter_change;
struct milter_changes {
        struct arena *arena;
        struct milter_change *first, **last;
        size_t count, bytes;
};
void milter_changes_init(struct milter_changes *c, struct arena *arena);
/* Keeps this reply for later. NULL, or what is wrong with it. */
const char *milter_changes_add(struct milter_changes *c, const struct milter_reply *r);

/* What changes are made in. */
struct milter_apply {
        const struct milter_changes *changes;
        struct str filter; /* its name */
        const struct policy_facts *facts;
        struct milter_header *header;
        const struct milter_doors *doors;
        struct policy_effects *effects;
        struct smtp_reply *refusal;
        bool has_space; /* MILTER_LEADING_SPACE */
        bool has_body;  /* a new one waits */
};
/*
 * Makes all of them. *result becomes FILTER_REFUSES with *refusal, or FILTER_DISCARDS, when what they make may not be, or
 * cannot be made now. A negative errno value with *why: the filter's own fault, and nothing has been made.
 */
int await_milter_changes(const struct milter_apply *a, enum filter_result *result, struct why *why);

/* ---- note.c: for those who explain ---- */

struct filter_note {
        enum milter_stage stage;
        const char *answer; /* "continue", "failed", "not asked"...; lives for ever */
        struct str said;    /* the reply's text, what was changed, why it failed */
        enum filter_result result;
        int64_t took_us;
};
void filter_note(struct milters *m, const struct filter *f, const struct filter_note *note);
/* 'c': "continue" */
const char *milter_answer_words(char command);

#endif
