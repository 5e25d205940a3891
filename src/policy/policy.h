/*
 * policy.h - may this be? Restriction lists and recipients: compiled once, asked often
 *
 * A struct policy is made from one service's parameters at load, is immutable and counted; a
 * session keeps its own over a reload. A refusal is data (struct verdict), not an error.
 *
 * Threads: ask from any loop. Waits: await_* may suspend (tables, DNS).
 * Memory:  verdict texts live in the arena given.
 * Not here: what a reply looks like on the wire (smtp/), when to ask (session/), what a message
 *           says (cleanup/).
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/buf.h"
#include "config/config.h"
#include "dns/dns.h"
#include "policy/dnsbl.h"
#include "policy/trace.h"
#include "smtp/command.h"
#include "state/verify.h"
#include "table/table.h"
#include "wire/tls.h"

struct policy;

/*
 * Compiles the restriction lists, tables and checks of `params` (the service's own, with its
 * overrides). Whatever is wrong or doubtful goes to *findings: unknown restriction ("did you
 * mean"), a missing table, an open relay (error "open-relay"), old names (note). Returns a policy also when there are
 * errors, for tools; it must not serve then.
 *
 * `params` is the configuration's own or that of one of its services. The policy keeps a reference
 * to the configuration, to the tables and to `dns` (NULL only in tests that ask none).
 */
struct policy *policy_new(struct config *c, const struct params *params, struct table_set *tables,
                          struct dns *dns, struct findings *findings);
struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy **p);

/* ---- restriction lists ---- */

enum policy_event {
        POLICY_AT_CONNECT,
        POLICY_AT_HELO,
        POLICY_AT_MAIL,
        POLICY_AT_RCPT,
        POLICY_AT_DATA,
        POLICY_AT_END_OF_DATA,
        POLICY_AT_ETRN,
        POLICY_AT_VRFY,
};

/* Of a client's name: as Postfix's smtpd_peer has it. */
enum client_name_status {
        CLIENT_NAME_OK,
        CLIENT_NAME_TEMPORARY, /* not to be known now */
        CLIENT_NAME_NONE,      /* there is none */
        CLIENT_NAME_FORGED, /* the name has other addresses, or none (never of the reverse name) */
};

/* What SPF (RFC 7208) said of a session's HELO name and sender, so that it is found out once. */
struct policy_spf;
struct policy_spf *policy_spf_new(void);
void policy_spf_free(struct policy_spf **m);

/* What a session knows so far. Views must stay valid during the call. */
struct policy_facts {
        struct str client_name; /* "unknown" when there is no verified one */
        enum client_name_status client_name_status;
        struct str
                reverse_client_name; /* what its address points to, verified or not; or "unknown" */
        enum client_name_status reverse_client_name_status;
        struct str client_address;                           /* printed */
        struct str client_port, server_address, server_port; /* printed */
        unsigned char client_bits[16];                       /* IPv4 as ::ffff:a.b.c.d */
        struct str protocol; /* SMTP, ESMTP, ESMTPS...; at HELO and EHLO: the one asked for */
        struct str helo;     /* empty before HELO */
        struct smtp_address sender;
        bool has_sender; /* MAIL was accepted (sender may be the null one) */
        struct smtp_address
                recipient;      /* at RCPT and VRFY: the one in question; later: the only one,
                                          empty when there are more */
        struct str etrn_name;   /* at ETRN: its argument */
        size_t recipient_count; /* accepted ones */
        bool has_early_input;   /* spoke before it was its turn: reject_unauth_pipelining */
        bool has_tls;
        const struct tls_peer *certificate; /* the client's, with has_tls; else NULL */
        struct str tls;         /* "TLSv1.3 with cipher X (256/256 bits)"; empty without */
        struct str instance;    /* the same for all that is asked about one message */
        int64_t declared_bytes; /* SIZE of MAIL; 0: not said */
        int64_t message_bytes;  /* at end of data */
        struct str queue_id;    /* for log lines; may be empty */
        /* the session's own; NULL only in tests: what needs it is then a failed look-up */
        struct dns_questions *dns;
        struct policy_spf *spf; /* likewise */
        struct verify *verify;  /* asks whether addresses take mail; NULL: likewise */
        struct policy_trace
                *trace; /* each rule that is asked is noted in it; NULL: nobody wants to know */
        size_t client_connections; /* of this client at once, with this one; 0: nobody counts them */
        bool is_offline; /* nobody's mail: policy servers and filters are not asked, no probes made, and the trace says so */
        /*
         * Would a route of its own refuse this recipient (error:, retry:, relocated_maps)? Then *reply says so, and counts before that the
         * recipient is in no map. NULL: nobody knows routes.
         */
        bool (*await_route_refuses)(void *context, struct smtp_reply *reply);
        void *route_context;
        bool logs_internal; /* info_log_address_format: log lines show local parts without quotes */
        struct str refusal_code;   /* shown in the log line of a refusal; may be empty */
        struct dnsbl_visit *visit; /* what lists in the DNS say about it; NULL: none is asked */
};

enum verdict_action { VERDICT_PERMIT, VERDICT_REFUSE };

struct verdict {
        enum verdict_action action;
        struct smtp_reply reply; /* of a refusal; 421 and 521 close the connection */
        struct str source; /* which rule: "main.cf:21 reject_unauth_destination"; may be empty */
};

/*
 * What rules ask for beside yes or no; gathers over a transaction, cleared with it. Without
 * smtpd_delay_reject there are rules at connect and HELO: what they ask for belongs to the
 * connection, and each transaction begins with a copy. Views point into the arenas given.
 */
struct policy_effects {
        bool is_held;
        bool is_discarded;
        struct str prepended[8]; /* PREPEND: whole header lines without CR LF */
        size_t prepended_count;
        size_t prepended_dropped;     /* over the ceiling above; the session logs it */
        struct str filter;            /* FILTER: "transport:nexthop"; the last one counts */
        struct smtp_address redirect; /* REDIRECT: instead of all recipients; the last one counts */
        struct smtp_address *bcc;     /* BCC: copies for these */
        size_t bcc_count;
        bool is_deferred; /* DEFER_IF_PERMIT: what would be permitted gets this instead */
        struct smtp_reply deferral;
        struct str deferral_source;
};

/*
 * All that is to be judged at this event, smtpd_delay_reject included: with it, the client, helo
 * and sender lists are asked at RCPT. WARN, INFO and the like are logged here, in Postfix's words.
 */
void await_policy_judge(struct policy *p, enum policy_event event, const struct policy_facts *facts,
                        struct arena *arena, struct policy_effects *effects, struct verdict *out);

/*
 * Starts all DNS questions that the lists will need and that can be asked now that `event` is reached: at connect those
 * about the client's address (and, with its name known, about that), at HELO, MAIL and RCPT those about the names given
 * there. Waits for nothing; call it before await_policy_judge(). For a client of mynetworks only what
 * stands in front of permit_mynetworks.
 */
void policy_prefetch(const struct policy *p, enum policy_event event,
                     const struct policy_facts *facts);

/* ---- postscreen's questions (the tests themselves are made by session/) ---- */

enum screen_access { SCREEN_DUNNO, SCREEN_PERMIT, SCREEN_REJECT };
/* postscreen_access_list. What cannot be asked says nothing, and is logged. */
enum screen_access await_policy_screen_access(struct policy *p, const struct policy_facts *facts,
                                              struct arena *arena);

/* postscreen_allowlist_interfaces: may a client earn at this address of ours (facts) that it is known? */
bool await_policy_screen_vouches(struct policy *p, const struct policy_facts *facts,
                                 struct arena *arena);
bool policy_has_screen_sites(const struct policy *p);
/* Starts the questions of postscreen_dnsbl_sites; does not wait. */
void policy_ask_screen(const struct policy *p, const struct policy_facts *facts);
struct screen_score {
        int64_t score;
        struct str shown; /* the list that weighs most, as a refusal shows it; empty: none */
        int64_t ttl_ms;   /* the shortest of all answers; 0: there was none */
};
void await_policy_screen_score(struct policy *p, const struct policy_facts *facts,
                               struct arena *arena, struct screen_score *out);
/* The score has refused this client: counts that for the lists that had it. */
void policy_note_screen_refusal(const struct policy *p, const struct policy_facts *facts);

/*
 * spf_header_type: Received-SPF and Authentication-Results for a message that is about to be accepted, whole lines with
 * CR LF; nothing for clients that SPF is not asked about.
 */
bool policy_wants_spf_fields(const struct policy *p);
void await_policy_spf_fields(struct policy *p, const struct policy_facts *facts,
                             struct arena *arena, struct buf *out);
/* A field of a stranger's header that claims to be a result of ours (authserv_id): to be taken out. */
bool policy_is_forged_result(const struct policy *p, const struct policy_facts *facts,
                             struct str name, struct str value);

/*
 * Writes Postfix's log line about a refusal (`what` is "reject"; this room's own lines have
 * "reject_warning", "warn", "info", "hold", "discard"), with NOQUEUE when there is no queue id:
 *   NOQUEUE: reject: RCPT from name[192.0.2.1]: 554 5.7.1 <a@b>: Relay access denied; from=<c@d>
 *   to=<a@b> proto=ESMTP helo=<e>
 * A reply with code 0 is shown as its text alone. Refusals by await_policy_judge() are the caller's
 * to log.
 */
void policy_log_refusal(const char *what, enum policy_event event, const struct policy_facts *facts,
                        const struct smtp_reply *reply);

/* "main.cf:21 header_checks": how a rule is named to people. Without a line the words alone. */
struct str policy_rule_name(struct place at, struct str words, struct arena *arena);

/* May this client speak to us at all? On a core: only core_relays may. Before the greeting. */
bool policy_lets_in(const struct policy *p, const unsigned char client_bits[16]);
/* hidden_clients: a Received line of ours must not show this one */
bool policy_hides(const struct policy *p, const unsigned char client_bits[16]);
/* The resolver that it was made with; may be NULL in tests. */
struct dns *policy_dns(const struct policy *p);
/* mynetworks */
bool policy_is_mynetwork(const struct policy *p, const unsigned char client_bits[16]);
/* Is this an address of ours: inet_interfaces, proxy_interfaces? */
bool policy_is_own(const struct policy *p, const unsigned char client_bits[16]);
/* smtpd_upstream_proxy_networks: may it say, in a PROXY header, who the client is? */
bool policy_is_balancer(const struct policy *p, const unsigned char client_bits[16]);
/*
 * Lists of clients, by address and verified name: smtpd_authorized_xclient_hosts, smtpd_authorized_xforward_hosts,
 * smtpd_authorized_verp_clients, smtpd_client_event_limit_exceptions (no limits), smtpd_forbid_bare_newline_exclusions
 */
bool policy_may_xclient(const struct policy *p, const struct policy_facts *facts);
bool policy_may_xforward(const struct policy *p, const struct policy_facts *facts);
bool policy_may_verp(const struct policy *p, const struct policy_facts *facts);
bool policy_is_unlimited(const struct policy *p, const struct policy_facts *facts);
/*
 * debug_peer_list with debug_peer_level over 0: is what is said with this peer to be logged? `name` is verified, or that of a
 * next hop; either may be empty.
 */
bool policy_debugs(const struct policy *p, struct str name, struct str address);
bool policy_may_end_lines_in_lf(const struct policy *p, const struct policy_facts *facts);
/*
 * Tables that a session asks: smtpd_command_filter by the whole line, smtpd_discard_ehlo_keyword_address_maps by the client's
 * address, smtpd_reject_footer_maps and smtpd_reject_filter_maps by the whole reply.
 */
enum policy_map {
        POLICY_COMMAND_FILTER,
        POLICY_DISCARD_EHLO,
        POLICY_REJECT_FOOTER,
        POLICY_REJECT_FILTER,
        POLICY_LOCAL_LOGIN, /* local_login_sender_maps, by login name */
        POLICY_MAPS
};
bool policy_has_map(const struct policy *p, enum policy_map map);
enum table_result await_policy_map_find(struct policy *p, enum policy_map map, struct str key,
                                        struct arena *arena, struct str *value, struct why *why);
/* smtpd_forbidden_commands: is this word of a command in it? */
enum table_result await_policy_forbids(struct policy *p, struct str word, struct arena *arena,
                                       struct why *why);
/* fast_flush_domains: may the mail that waits for this domain be flushed by ETRN? */
enum table_result await_policy_flushes(struct policy *p, struct str domain, struct arena *arena,
                                       struct why *why);

/* ---- recipients ---- */

/* ADDRESS_CLASS_README */
enum address_class {
        CLASS_DEFAULT, /* somebody else's: not for us */
        CLASS_LOCAL,
        CLASS_VIRTUAL_ALIAS,
        CLASS_VIRTUAL_MAILBOX,
        CLASS_RELAY,
};

/* 0, or -EAGAIN with *why when a table cannot be asked. */
int await_policy_class(struct policy *p, struct str domain, struct arena *arena,
                       enum address_class *out, struct why *why);

/*
 * What is missing is put on: user is user@origin (append_at_myorigin), user%domain and site!user are
 * what they say, user@host is user@host.domain (append_dot_mydomain). The null address stays.
 */
struct smtp_address policy_complete(const struct params *params, struct str origin,
                                    struct str domain, const struct smtp_address *address,
                                    struct arena *arena);
/*
 * user%elsewhere@here, elsewhere!user@here, "user@elsewhere"@here becomes what it says, for a domain
 * of mydestination. Restrictions let it pass only from those who may relay. 0, -EAGAIN or -ELOOP.
 */
int await_policy_unroute(struct policy *p, struct smtp_address *address, struct arena *arena,
                         struct why *why);

/*
 * Is this recipient (unlisted, in no map) one that its class does not know? 0 with *is_listed, or
 * -EAGAIN. Postmaster of one of our domains is always listed (RFC 5321 4.5.1), and so is
 * <postmaster>.
 */
int await_policy_recipient(struct policy *p, const struct smtp_address *recipient,
                           struct arena *arena, bool *is_listed, struct why *why);

/*
 * virtual_alias_maps, and alias_maps and luser_relay for who would go to local(8), to the end: what `recipient`
 * becomes. The result is in `arena`: at least one address; itself when no map names it; no address twice. 0, -EAGAIN (a table cannot be asked), or
 * -ELOOP (over virtual_alias_expansion_limit or virtual_alias_recursion_limit; a loop through
 * itself is fine). <postmaster> without a domain becomes postmaster@$myorigin.
 */
struct policy_expansion {
        struct smtp_address *addresses;
        size_t count;
};
int await_policy_expand(struct policy *p, const struct smtp_address *recipient, struct arena *arena,
                        struct policy_expansion *out, struct why *why);

/* What becomes of a user of mydestination for whom local(8) is the transport, and no alias stands. */
enum local_end {
        LOCAL_MAILBOX, /* one of this machine's users, and nobody delivers to those */
        LOCAL_BY_TRANSPORT,
        LOCAL_BY_ADDRESS,
        LOCAL_UNKNOWN,
};
struct policy_local {
        enum local_end end;
        const char *parameter; /* who says so: "mailbox_transport_maps" */
        struct str value;      /* "transport:nexthop", or an address */
};
/* 0, or -EAGAIN with *why when a table cannot be asked. */
int await_policy_local(struct policy *p, const struct smtp_address *recipient, struct arena *arena,
                       struct policy_local *out, struct why *why);
/* Is one of mailbox_transport, fallback_transport, their maps and luser_relay set? */
bool policy_local_sends_on(const struct params *params);

/* ---- what rules ask for, in words ---- */

/* "transport:", "transport:nexthop" */
bool policy_filter_is_valid(struct str text);
/* "user@domain": both parts are needed. */
bool policy_target_read(struct str text, struct arena *arena, struct smtp_address *out);
/* Each address once. False: there are too many already. */
bool policy_effects_add_bcc(struct policy_effects *effects, const struct smtp_address *address,
                            struct arena *arena);
/* An enhanced code in front of a text ("5.7.1 no"): taken off, or `other`; in the arena. */
const char *policy_enhanced_take(struct str *text, const char *other, struct arena *arena);

#endif
