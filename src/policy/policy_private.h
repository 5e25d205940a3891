/*
 * policy_private.h - what the files of this room share: compiled lists, and a judgement under way
 *
 * A restriction list in main.cf is text. compile.c makes steps of it; judge.c asks them one after
 * the other; step_*.c are the answers; access.c does what an access table says. restriction_names.c
 * is the one place that knows every name.
 */
#ifndef POLICY_PRIVATE_H
#define POLICY_PRIVATE_H

#include "base/map.h"
#include "policy/dns_filter.h"
#include "policy/dnsbl.h"
#include "policy/policy.h"
#include "policy/template.h"

#include <netinet/in.h>

/* ---- networks ---- */

/* A parameter like mynetworks. Plain networks are compared here, without a look-up. */
struct networks {
        struct network_item {
                struct network network;
                bool is_negated;
        } * items;
        size_t count;
        struct match_list *others; /* the whole parameter, when it names tables or files */
};

/* Does this item of a list name a table or a file? */
bool networks_item_needs_table(struct str item);
/* "192.0.2.1", "2001:db8::1" */
struct str network_address_text(const unsigned char bits[16], char out[INET6_ADDRSTRLEN]);

/* ---- client_list.c: clients by name or address ---- */

struct client_list {
        struct client_item {
                bool is_negated;
                struct str name; /* "host.example.com", ".example.com"; empty: one of the others */
                struct network network;               /* where there is no table */
                struct match_list *addresses, *names; /* a table */
        } * items;
        size_t count;
        bool parents_match;
};
/* parents_match: example.com means its hosts too (parent_domain_matches_subdomains); else .example.com does. */
void client_list_compile(struct client_list *l, struct str text, bool parents_match,
                         struct place at, struct table_set *tables, struct arena *arena,
                         struct findings *findings);
/* `name` is the verified one; empty: there is none. */
enum table_result await_client_list_find(const struct client_list *l, const unsigned char bits[16],
                                         struct str name, struct arena *arena, struct why *why);

/* What is wrong goes to *findings (code "bad-network"). */
void networks_compile(struct networks *n, struct str text, struct place at,
                      struct table_set *tables, struct arena *arena, struct findings *findings);
/* TABLE_FOUND: it is in there. */
enum table_result await_networks_find(const struct networks *n, const unsigned char bits[16],
                                      struct arena *arena, struct why *why);
/* Our own addresses, by inet_interfaces and proxy_interfaces. */
void networks_own(struct networks *n, struct str inet_interfaces, struct str proxy_interfaces,
                  struct arena *arena);

/* ---- restrictions and steps ---- */

enum outcome { OUTCOME_DUNNO, OUTCOME_PERMIT, OUTCOME_REFUSE };

/* Of whom a rule speaks: replies begin "<name>: Client host rejected: ". */
enum subject {
        SUBJECT_CLIENT,
        SUBJECT_REVERSE_CLIENT, /* "Unverified Client host" */
        SUBJECT_HELO,
        SUBJECT_SENDER,
        SUBJECT_RECIPIENT,
        SUBJECT_DATA,
        SUBJECT_END_OF_DATA,
        SUBJECT_ETRN,
};

struct judge;
struct step;
typedef enum outcome restriction_ask(struct judge *j, const struct step *step);
/*
 * Starts (dns_ask) what the step will have to know and what can be asked at this event. Called for each event of a
 * session, also for the same one twice: what was asked is not asked again.
 */
typedef void restriction_prefetch(const struct policy *p, enum policy_event event,
                                  const struct policy_facts *facts, const struct step *step);

enum restriction_kind {
        KIND_READY,
        KIND_INERT,   /* nothing that it could see is there (SASL, client certificates): a note */
        KIND_NOT_YET, /* an error: without it more would come in than was meant */
        KIND_WARN,    /* warn_if_reject: changes the step after it */
};
enum restriction_argument {
        ARGUMENT_NONE,
        ARGUMENT_TABLE,
        ARGUMENT_CERTIFICATE_TABLE, /* a table, or { table, { search_order = ... } } */
        ARGUMENT_WORD,
        ARGUMENT_TIME,
        ARGUMENT_LIST,    /* domain[=filter] of a list in the DNS */
        ARGUMENT_SERVICE, /* a policy server with its options */
};

/* What a list in the DNS is asked about. */
enum list_subject {
        LIST_OF_NOTHING,
        LIST_OF_ADDRESSES,
        LIST_OF_CLIENT_NAMES,
        LIST_OF_REVERSE_NAMES,
        LIST_OF_HELO_NAMES,
        LIST_OF_SENDERS,
        LIST_OF_RECIPIENTS,
};

/* What it can do for a stranger's mail to somebody else's domain (lint/open_relay.c). */
enum reach {
        REACH_NONE,
        REACH_PERMITS, /* it may permit that */
        REACH_STOPS,   /* it never lets that pass */
        REACH_LIST,    /* what its list does: a class */
};

struct restriction {
        const char *name;
        enum restriction_kind kind;
        enum restriction_argument argument;
        enum reach reach;
        restriction_ask *await_ask;
        const char *missed;             /* what does not happen while it is not there */
        restriction_prefetch *prefetch; /* NULL: asks no DNS */
        enum list_subject list_subject; /* of one that asks a list in the DNS */
};

/* Names compare without case. An old name gives the restriction of the new one, and *is_old. */
const struct restriction *restriction_find(struct str name, bool *is_old);
/* The known name that looks most like this one, classes included; empty: none does. */
struct str restriction_nearest(struct str name, const struct map *classes);
/* Each known one in turn, for the test that wants them all; NULL behind the last. */
const struct restriction *restriction_at(size_t i);
/* The step that asks a class's list. */
extern const struct restriction restriction_of_class;
/* A bare type:table inside a class: the access check of the list that asks the class. */
extern const struct restriction restriction_of_table;

/* What of a client's certificate check_ccert_access asks its table for, one after the other. */
enum certificate_key { CERTIFICATE_FINGERPRINT, CERTIFICATE_KEY_FINGERPRINT };
enum { CERTIFICATE_KEYS_MAX = 2 };
struct certificate_search {
        struct str table; /* as written */
        enum certificate_key keys[CERTIFICATE_KEYS_MAX];
        size_t count;
};
/*
 * "type:table" (the certificate's fingerprint, then its key's) or "{ type:table, { search_order = NAME, NAME } }". 0, or
 * -EINVAL with *why.
 */
int certificate_search_parse(struct str argument, struct certificate_search *out, struct why *why);

struct step {
        const struct restriction *restriction;
        struct str argument; /* as written; empty: none */
        struct table *table;
        struct step_list *list; /* of a class */
        const struct policy_service *service;
        int64_t time_ms;
        const struct dnsbl_site *site;                /* of a list in the DNS, as written */
        struct dnsbl_list *dnsbl;                     /* and its record; NULL: no such step */
        struct certificate_search certificate_search; /* of check_ccert_access */
        bool is_warning;                              /* after warn_if_reject */
        struct place at;
        struct str source; /* "main.cf:21 reject_unauth_destination" */
};

struct step_list {
        struct str name; /* the parameter or class */
        struct place at;
        struct step *steps;
        size_t count;
        bool is_broken; /* has an error in *findings */
        int mark;       /* of the search for loops */
};

enum list_index {
        LIST_CLIENT,
        LIST_HELO,
        LIST_SENDER,
        LIST_RELAY,
        LIST_RECIPIENT,
        LIST_DATA,
        LIST_END_OF_DATA,
        LIST_ETRN,
        LIST_COUNT,
};

enum { LIST_STEPS_MAX = 1000, JUDGE_DEPTH_MAX = 12 };

/* ---- postscreen ---- */

enum { SCREEN_SITES_MAX = 60 };

/* Of postscreen_access_list. */
struct screen_item {
        bool is_mynetworks;
        struct table *table;
        enum screen_access word; /* when it is neither */
};

struct screen_site {
        struct dnsbl_site site;
        struct dnsbl_list *list;
};

/* ---- the policy ---- */

struct policy {
        unsigned refs;
        struct arena arena;
        struct config *config;
        const struct params *params;
        struct table_set *tables;
        struct dns *dns;

        struct step_list lists[LIST_COUNT];
        struct map classes;            /* name -> struct step_list */
        struct step_list **class_list; /* the same in their order */
        size_t class_count;

        struct networks mynetworks, own, mx_backup, core_relays, hidden, balancers;
        struct client_list xclient, xforward, verp, unlimited, bare_newline, debug_peers;

        bool transport_has_parents; /* parent_domain_matches_subdomains has transport_maps */
        bool access_has_parents;    /* parent_domain_matches_subdomains has smtpd_access_maps */
        struct match_list *mydestination, *virtual_alias_domains, *virtual_mailbox_domains,
                *relay_domains, *fast_flush_domains, *forbidden_commands, *logged_permits;
        struct table_list *maps[POLICY_MAPS];
        struct table_list *canonical_maps, *sender_canonical_maps, *recipient_canonical_maps;
        struct table_list *virtual_alias_maps, *alias_maps, *transport_maps, *virtual_mailbox_maps,
                *local_recipient_maps, *relay_recipient_maps, *relay_clientcerts, *rbl_reply_maps,
                *postscreen_dnsbl_reply_map;
        struct table_list *mailbox_transport_maps, *fallback_transport_maps;
        struct table_list *system_users;     /* NULL: local(8) sends nobody on */
        struct template_filter reply_filter; /* smtpd_expansion_filter */
        struct dns_filter *dns_filter;       /* smtpd_dns_reply_filter; NULL: none */
        struct table **spf_exceptions;
        size_t spf_exception_count;
        struct match_list *screen_interfaces; /* postscreen_allowlist_interfaces */
        struct screen_item *screen_access;
        size_t screen_access_count;
        struct screen_site *screen_sites;
        size_t screen_site_count;
        struct dnsbl_list **dnsbl_lists; /* references that are given back with the policy */
        size_t dnsbl_list_count, dnsbl_list_room;
        struct dnsbl_rules dnsbl_rules;
        bool propagates_extensions; /* propagate_unmatched_extensions has virtual */
};

/* Where this part of a parameter's value stands, else where the parameter is set. */
struct place policy_place(const struct policy *p, const char *parameter, struct str part);

/* compile.c: the next item of a list, its braces kept: what stands inside braces is not taken apart. */
bool policy_item_next(struct str *rest, struct str *item);
/* All lists and classes. */
void policy_compile(struct policy *p, struct findings *findings);
/* One list out of an access table; 0, or -EINVAL with *why. Opens no tables. */
int policy_compile_action(struct policy *p, struct str text, struct str source, struct arena *arena,
                          struct step_list *out, struct why *why);

/* The record of a list, which the policy keeps. NULL when there are too many. */
struct dnsbl_list *policy_dnsbl(struct policy *p, struct str domain, enum dnsbl_kind kind);

/* alias.c: does this value of alias_maps name what only local(8) could follow? *what says which kind. */
bool policy_alias_is_foreign(struct str value, const char **what);

/* screen.c */
void policy_compile_screen(struct policy *p, struct findings *findings);

/* refusal_log.c: "RCPT", "END-OF-MESSAGE": as logs and policy servers name an event. */
const char *policy_event_words(enum policy_event event, const struct policy_facts *facts);

/* lint/ */
void policy_lint_open_relay(struct policy *p, struct findings *findings);
void policy_lint_unreachable(struct policy *p, struct findings *findings);
void policy_lint_verification(struct policy *p, struct findings *findings);
void policy_lint_role_addresses(struct policy *p, struct findings *findings);
void policy_lint_foreign_aliases(struct policy *p, struct findings *findings);

/* ---- recipients ---- */

/* The domain, or myorigin for an address without one. */
struct str policy_domain(const struct policy *p, const struct smtp_address *address);
enum listed_as { LISTED_SENDER, LISTED_RECIPIENT };
/* await_policy_recipient() with the class known, also for a sender: each has canonical maps of his own. */
int await_policy_listed(struct policy *p, const struct smtp_address *recipient, enum listed_as as,
                        enum address_class class, struct arena *arena, bool *is_listed,
                        struct why *why);
/* A route inside its local part that Postfix would follow: user%elsewhere@our.domain. */
bool policy_address_is_routed(const struct policy *p, const struct smtp_address *address);
/* "user" of "user+ext"; false when there is no extension. */
bool extension_split(struct str local, struct str delimiters, struct str *bare);

/* ---- a judgement ---- */

struct deferral {
        bool is_set;
        struct smtp_reply reply;
        struct str source;
};

struct judge {
        struct policy *policy;
        const struct params *params;
        const struct policy_facts *facts;
        enum policy_event event;
        struct arena *arena;
        struct policy_effects *effects;
        struct verdict *out;

        enum subject subject;    /* that the list now asked is about */
        const struct step *step; /* under way */
        struct str key;          /* what an access table was asked when it answered; else empty */
        struct deferral if_reject;
        int depth;
        bool warns_only;
        bool has_warned; /* this step refused, and was only a warning */
        bool is_sender_listed_asked;
        bool is_recipient_listed_asked;
        bool has_class;
        enum address_class recipient_class;
        struct dnsbl_visit *visit; /* facts->visit; NULL: no list is asked */
};

enum outcome await_judge_list(struct judge *j, const struct step_list *list);

/* "name[address]", the HELO name, an address: what stands in <> in front of a reply. */
struct str judge_subject_name(const struct judge *j, enum subject subject);
const char *subject_words(enum subject subject);

/*
 * Refuses, or only logs it after warn_if_reject (OUTCOME_DUNNO). The enhanced code takes its first
 * digit from `code`. `text` is in the arena or for ever.
 */
enum outcome judge_refuse(struct judge *j, int code, const char *enhanced, struct str text);
/* "<name>: Client host rejected: text" */
enum outcome judge_refuse_subject(struct judge *j, enum subject subject, int code,
                                  const char *enhanced, struct str text);
/* For what cannot be asked, or is wrong in the configuration: never only a warning. Logs why. */
enum outcome judge_fail_lookup(struct judge *j, struct str name, const struct why *why);
enum outcome judge_fail_config(struct judge *j, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/* What a rule wants and cannot have, where the mail does not depend on it. */
void judge_warn(struct judge *j, const char *text);
/* DEFER_IF_PERMIT, DEFER_IF_REJECT: "<name>: Client host rejected: text". */
enum outcome judge_defer_if_permit(struct judge *j, enum subject subject, int code,
                                   const char *enhanced, struct str text);
enum outcome judge_defer_if_reject(struct judge *j, enum subject subject, int code,
                                   const char *enhanced, struct str text);
/* ... with a name that is not all of the subject's: an address, a domain */
enum outcome judge_defer_name_if_reject(struct judge *j, struct str name, enum subject subject,
                                        int code, const char *enhanced, struct str text);
/* "NOQUEUE: warn: RCPT from ..." */
void judge_log(const struct judge *j, const char *what, struct str text);
/* The recipient's class, asked once. 0 or -EAGAIN. */
int await_judge_class(struct judge *j, enum address_class *out, struct why *why);
/* What a rule has looked up goes into the trace, if there is one. `value`: of what was found, else empty. */
void judge_note_table(struct judge *j, const struct table *t, struct str key,
                      enum table_result found, struct str value, const struct table_rule *rule);
void judge_note_dns(struct judge *j, struct str name, enum dns_type type,
                    const struct dns_answer *a);
/* NULL: nobody was asked. */
void judge_note_probe(struct judge *j, struct str address, const struct verify_answer *answer,
                      int64_t took_us);
/* "main.cf:21 check_client_access hash:/etc/access (192.0.2)" */
struct str judge_source(const struct judge *j);

/*
 * OUTCOME_PERMIT, by the restriction that is asked; with a line in the log when smtpd_log_access_permit_actions has its name, and
 * nothing that was said before overrules it. `subject` is what it looked at.
 */
enum outcome await_judge_permit(struct judge *j, enum subject subject);
/* The same when the recipient's mail is ours to take; else OUTCOME_DUNNO, or a refusal when that cannot be found out. */
enum outcome await_judge_destination(struct judge *j, enum subject subject);
/* await_judge_permit() by an `action` (OK, RELAY) that a table or server has said. */
enum outcome await_judge_permit_action(struct judge *j, enum subject subject, struct str action,
                                       struct str said_by);

/* Does what an access table says (access(5)). */
enum outcome await_access_act(struct judge *j, const struct step *step, enum subject subject,
                              struct str value);

/* X.1.Y codes as they fit the one who is refused (access(5)) */
const char *access_enhanced_fix(const char *enhanced, enum subject subject, struct arena *arena);

/*
 * Asks the step's table for a name and its parents, or for an address and its networks (step_access.c). True: it had an
 * answer, and *out is what comes of it.
 */
bool await_access_name(struct judge *j, const struct step *step, enum subject subject,
                       struct str name, enum outcome *out);
bool await_access_address(struct judge *j, const struct step *step, enum subject subject,
                          struct str address, enum outcome *out);
/* The table said OK where a stranger chooses the key: 451 4.3.5. */
enum outcome access_forbids_ok(struct judge *j, const struct step *step);

/* ---- DNS (step_dns.c) ---- */

/* Never NULL. What cannot be a host's name is DNS_NO_NAME. */
const struct dns_answer *await_judge_dns(struct judge *j, struct str name, enum dns_type type);
/* Asks, unless it can be no host's name. */
void prefetch_dns(const struct policy_facts *facts, struct str name, enum dns_type type);
/* A look-up has failed: by a parameter like reject_tempfail_action ("defer", else defer_if_permit). */
enum outcome judge_dns_failed(struct judge *j, enum subject subject, struct str action, int code,
                              const char *enhanced, struct str text);
/* Of HELO: a name's syntax, in A-labels (RFC 5321 4.1.1.1, RFC 6531 3.7.1; step_syntax.c). */
bool helo_is_host_name(struct str name);
/* "[192.0.2.1]" as a HELO name (step_syntax.c) */
enum outcome judge_helo_literal(struct judge *j, struct str name);

/* ---- the steps ---- */
restriction_ask await_permit, await_reject, await_defer, await_defer_if_permit,
        await_defer_if_reject, await_class, await_sleep_step, await_permit_mynetworks,
        await_permit_inet_interfaces, await_reject_unauth_pipelining,
        await_reject_multi_recipient_bounce, await_reject_plaintext_session, await_permit_mx_backup,
        await_permit_tls_clientcerts, await_permit_tls_all_clientcerts, await_check_ccert_access;
restriction_ask await_reject_non_fqdn_helo, await_reject_invalid_helo, await_reject_non_fqdn_sender,
        await_reject_non_fqdn_recipient;
restriction_ask await_check_client_access, await_check_helo_access, await_check_sender_access,
        await_check_recipient_access, await_check_etrn_access, await_check_list_access;
restriction_ask await_check_reverse_client_access;
restriction_ask await_check_client_a_access, await_check_client_mx_access,
        await_check_client_ns_access, await_check_reverse_client_a_access,
        await_check_reverse_client_mx_access, await_check_reverse_client_ns_access,
        await_check_helo_a_access, await_check_helo_mx_access, await_check_helo_ns_access,
        await_check_sender_a_access, await_check_sender_mx_access, await_check_sender_ns_access,
        await_check_recipient_a_access, await_check_recipient_mx_access,
        await_check_recipient_ns_access;
restriction_prefetch prefetch_client_a_access, prefetch_client_mx_access, prefetch_client_ns_access,
        prefetch_reverse_client_a_access, prefetch_reverse_client_mx_access,
        prefetch_reverse_client_ns_access, prefetch_helo_a_access, prefetch_helo_mx_access,
        prefetch_helo_ns_access, prefetch_sender_a_access, prefetch_sender_mx_access,
        prefetch_sender_ns_access, prefetch_recipient_a_access, prefetch_recipient_mx_access,
        prefetch_recipient_ns_access;
restriction_ask await_reject_unknown_client, await_reject_unknown_reverse_client,
        await_reject_unknown_helo, await_reject_unknown_sender_domain,
        await_reject_unknown_recipient_domain;
restriction_prefetch prefetch_unknown_helo, prefetch_unknown_sender, prefetch_unknown_recipient;
restriction_ask await_permit_auth_destination, await_reject_unauth_destination,
        await_defer_unauth_destination, await_reject_unlisted_sender,
        await_reject_unlisted_recipient;
restriction_ask await_reject_unverified_sender, await_reject_unverified_recipient;
restriction_ask await_check_policy_service;
restriction_ask await_reject_spf_fail, await_reject_spf_softfail, await_reject_spf_none,
        await_reject_spf_permerror, await_defer_spf_softfail, await_defer_spf_temperror,
        await_reject_spf_helo_fail, await_reject_spf_helo_softfail, await_reject_spf_helo_permerror,
        await_defer_spf_helo_temperror;
restriction_prefetch policy_spf_prefetch;
restriction_ask await_reject_listed, await_permit_listed;
restriction_prefetch policy_prefetch_list;

#endif
