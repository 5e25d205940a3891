/* spf_private.h - a record taken apart, macros, and an evaluation under way */
#ifndef POLICY_SPF_SPF_PRIVATE_H
#define POLICY_SPF_SPF_PRIVATE_H

#include "policy/spf/spf.h"

/* ---- record.c: pure ---- */

enum spf_kind {
        SPF_ALL,
        SPF_INCLUDE,
        SPF_A,
        SPF_MX,
        SPF_PTR,
        SPF_IP4,
        SPF_IP6,
        SPF_EXISTS,
};

struct spf_term {
        struct str text; /* as written */
        enum spf_kind kind;
        enum spf_result on_match; /* the qualifier: pass, fail, softfail, neutral */
        struct str domain;        /* domain-spec, with its macros; empty: the current domain */
        unsigned char address[16];
        int bits4, bits6; /* prefix lengths: 0..32, 0..128 */
};

struct spf_record {
        struct spf_term *terms;
        size_t count;
        struct str redirect, exp; /* domain-specs; empty: there is none */
        struct str redirect_text; /* as written */
};

/* "v=spf1" and nothing but a space or the end behind it (4.5). */
bool spf_is_record(struct str text);
/* 0, or -EBADMSG with *problem: what is wrong with which term. All views point into `text`. */
int spf_record_parse(struct str text, struct arena *arena, struct spf_record *out,
                     struct str *problem);

/* ---- macro.c: pure ---- */

/* What macro letters stand for (7.2). */
struct spf_macros {
        struct str sender, local, sender_domain; /* s l o */
        struct str domain;                       /* d */
        struct str helo;                         /* h */
        struct str name;                         /* p: validated, or "unknown" */
        struct str receiver;                     /* r */
        unsigned char address[16];               /* i v c */
        int64_t now_s;                           /* t */
};

/* May c, r and t be used? Only in an explanation; and may blanks? */
enum spf_macro_place { SPF_IN_NAME, SPF_IN_MODIFIER, SPF_IN_EXPLANATION };

bool spf_macro_string_is_valid(struct str text, enum spf_macro_place place);
/* domain-spec (7.1): a macro-string that ends in a macro or in a name's top label */
bool spf_domain_spec_is_valid(struct str text);
/* Is there a %{p}, which costs look-ups? */
bool spf_macro_wants_name(struct str text);
/* Expands what is valid. -ENOBUFS: over SPF_EXPANSION_BYTES_MAX. */
enum { SPF_EXPANSION_BYTES_MAX = 16 * 1024 };
int spf_macro_expand(struct str text, const struct spf_macros *macros, struct arena *arena,
                     struct str *out);
/* What is left of an expanded name: no final dot, labels dropped from the left above 253 bytes (7.3). */
struct str spf_fit_name(struct str name);

bool spf_is_ipv4(const unsigned char address[16]);
/* Does `address` lie in the network, whose prefix counts from the front of its own family? */
bool spf_address_matches(const unsigned char address[16], const unsigned char network[16],
                         int bits4, int bits6);

/* ---- an evaluation ---- */

struct spf_check {
        struct arena arena;
        struct dns_questions *questions;
        struct spf_query query;
        struct spf_macros macros; /* domain: of the record that is now asked */
        bool is_done;
        bool has_name;         /* macros.name was looked for */
        bool has_counted_name; /* and paid for, once for all */
        int depth;             /* of records in records */
        int includes;          /* of them: by include */
        struct spf_step *steps;
        size_t step_room;
        struct spf_outcome outcome;
};

/* What a term comes to. */
enum spf_match { SPF_NO_MATCH, SPF_MATCH, SPF_TERM_TEMPERROR, SPF_TERM_PERMERROR };

/* check_host.c */

/* Where an explanation would be, and for which domain's record. */
struct spf_exp {
        struct str spec;
        struct str domain;
};
enum spf_result await_spf_check_host(struct spf_check *c, struct str domain, struct spf_exp *exp);
/* Asks, and waits no longer than the whole may take. */
const struct dns_answer *await_spf_answer(struct spf_check *c, struct str name, enum dns_type type);
void spf_ask(struct spf_check *c, struct str name, enum dns_type type);
/* Remembers the first thing that went wrong. */
void spf_problem(struct spf_check *c, struct str text);

/* mechanism.c */

enum spf_match await_spf_mechanism(struct spf_check *c, const struct spf_term *term,
                                   struct str *target, struct str *detail);
/* One more term that asks the DNS: false, and a problem, when that is one too many. */
bool spf_count_term(struct spf_check *c);
/*
 * From a domain-spec to the name that is asked for. False, and a problem: it is too long, or its %{p} is one look-up
 * too many.
 */
bool await_spf_target(struct spf_check *c, struct str spec, struct str *target);
/* %{p} for macros.domain. */
void await_spf_name(struct spf_check *c);

#endif
