/*
 * table.h - look-up tables (Postfix DATABASE_README), one interface for all types
 *
 * hash:, btree: and texthash: read their *text source* into a compact map in memory. Every table
 * that comes from a file notices by itself when the file changes and swaps in the new contents at
 * once; a file that has become wrong keeps the old contents and says so in the log. Look-ups that
 * are under way keep what they found: values are copied into the caller's arena.
 *
 * Types from text: hash btree texthash inline static cidr regexp pcre pcre-utf8. Mapped, made by table_build()
 * (build.h) or Debian's postmap: cdb lmdb. Asked of a server: pgsql mysql sqlite ldap socketmap tcp
 * (server.h: cached, with a time limit, and what happens when it is down). Made of others: unionmap
 * pipemap. And randmap environ fail, and unix (this machine's users). proxy: is looked through. cidr, regexp and pcre may also have
 * their rules in main.cf: pcre:{ {/pattern/ result}, ... }. A type whose library was not there when the
 * program was built says so.
 *
 * Limits: a key of a hash-like table 1000 bytes, a value 1 MiB, a text of rules 16 MiB and 100,000
 * rules, a pattern 16 KiB, a value after $1 was put in 64 KiB. A match that needs too many steps
 * is TABLE_ERROR.
 *
 * Threads: look-ups from any thread, while another refreshes or opens. A table_set is freed when
 * nobody looks.
 * Waits:   await_* may suspend the task for types that ask a server, and types made of those. Without a
 *          task (tools, tests, the reading of a configuration) it blocks; not on a loop's own stack.
 */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

#include "base/arena.h"
#include "base/why.h"
#include "config/findings.h"

struct config;
struct table;
struct table_set;

enum table_result {
        TABLE_FOUND,
        TABLE_NOT_FOUND,
        TABLE_ERROR, /* the table cannot be asked now: a temporary failure for the mail */
};

/*
 * All tables of one configuration, and the lists made from them: they live as long as the set. The
 * same "type:name" is opened once. Relative file names are taken from `dir`. The set starts no
 * thread.
 */
struct table_set *table_set_new(const char *dir);
/*
 * Before the first table: where parameters (table_cache_ttl and its kin, NAME_setting of a table on a
 * server) are read. Without it they have their defaults, and a table of such settings is an error.
 */
void table_set_use_config(struct table_set *set, struct config *config);
/*
 * The set is counted: whatever keeps tables beyond its maker's life (a policy that a session holds
 * over a reload) holds the set too. table_set_free() gives one reference back; the last one frees.
 */
struct table_set *table_set_ref(struct table_set *set);
void table_set_free(struct table_set **set);

/*
 * Looks at all files now, and reloads those that changed since (by device, inode, size and times).
 * The owner calls it about once a second from a thread that may block; reload calls it too.
 *
 * A file that was renamed into place is read at once. One that is written in place is read when it
 * has been quiet for a second (or after five), so that half of it is never believed. A file that
 * is wrong or gone leaves the old contents; one warning is logged until it changes again.
 */
void table_set_refresh(struct table_set *set);

/*
 * Opens "type:name" (the set owns it). NULL, with *why: unknown type ("did you mean"), missing
 * file, a syntax error with its line. Doubts (duplicate keys, a missing value) go to *findings,
 * which may be NULL; `at` is where the configuration names the table.
 */
struct table *table_open(struct table_set *set, struct str spec, struct place at,
                         struct findings *findings, struct why *why);

/* What a table has done since it was opened, for the administrator. Views are valid during the call. */
struct table_figures {
        struct str name;
        bool has_entries; /* its type knows how many: */
        size_t entries;   /* or rules */
        uint64_t looks, errors;
        int64_t file_time_s; /* of the file that it was read from, since 1970; 0: none */
        bool is_old;         /* that file is wrong, or gone: what it said before stays */
        bool has_server;     /* it is asked of a server: */
        bool is_paused;      /* which does not answer, and is left alone for a while */
};
/* Each table of the set, in the order in which they were opened. */
void table_set_figures(struct table_set *set,
                       void (*each)(void *context, const struct table_figures *figures),
                       void *context);

/* The types that there are, for lists of them; NULL past the last. */
const char *table_type_name(size_t i);

/* "hash:/etc/x" as given */
struct str table_name(const struct table *t);
/* cidr, regexp and pcre: asked only whole addresses or strings, never parts of them */
bool table_is_pattern(const struct table *t);
/* static: answers for every key */
bool table_has_any_key(const struct table *t);

/*
 * One look-up. For hash-like tables the letters A-Z of the key are folded; `key` itself is not
 * changed. *value is a copy in `arena`, with a NUL behind it. *why is set with TABLE_ERROR alone,
 * and names the table.
 */
enum table_result await_table_find(struct table *t, struct str key, struct arena *arena,
                                   struct str *value, struct why *why);

/*
 * Where an answer is written, for those who explain it. All is empty when nothing was found; the pattern
 * is a copy in the arena of the look-up, the table's name lives as long as its set.
 */
struct table_rule {
        struct str table;   /* "pcre:/etc/x": the one that answered */
        int line;           /* of its text; 0: a table without rules (hash:, cdb:, servers) */
        struct str pattern; /* as it is written: "/^Subject: x/i", "!192.0.2.0/24"; else empty */
};
/* The same, with *rule. */
enum table_result await_table_find_rule(struct table *t, struct str key, struct arena *arena,
                                        struct str *value, struct table_rule *rule,
                                        struct why *why);

/*
 * Calls `each` for every entry, in an order that is always the same for the same text, until it
 * returns false. For checks of a configuration, not for mail. Returns false, without a call, for
 * a table that has no list of its keys (patterns, static:). Views are valid during the call.
 */
typedef bool table_visit(void *context, struct str key, struct str value);
bool table_each(struct table *t, table_visit *each, void *context);

/*
 * Before a loop ends, in a task of its own: waits for questions to servers that are under way (each has
 * its time limit), and closes connections that are kept.
 */
void await_tables_idle(void);

/* ---- several tables, asked in order: "hash:/a, pcre:/b" (a *_maps parameter) ---- */
struct table_list;

/*
 * `text` as in main.cf. NULL only with an error in *findings (at `at`, or at the line of the
 * table's file). An empty list finds nothing.
 */
struct table_list *table_list_open(struct table_set *set, struct str text, struct place at,
                                   struct findings *findings);
bool table_list_is_empty(const struct table_list *list);
enum table_result await_table_list_find(struct table_list *list, struct str key,
                                        struct arena *arena, struct str *value, struct why *why);
/* The same; rules of patterns with $1 in their result are skipped. */
enum table_result await_table_list_find_plain(struct table_list *list, struct str key,
                                              struct arena *arena, struct str *value,
                                              struct why *why);
/* The same, with the rule that answered. */
enum table_result await_table_list_find_rule(struct table_list *list, struct str key,
                                             struct arena *arena, struct str *value,
                                             struct table_rule *rule, struct why *why);
/* What main.cf names, one after the other: "pcre:/etc/a", "hash:/etc/b"; NULL past the last. */
const struct table *table_list_table(const struct table_list *list, size_t i);

/*
 * Postfix's order for an address (mail_addr_find(3)): user+ext@domain, user@domain, then user+ext
 * and user (only for a domain that is `is_local`), then @domain. Patterns are asked the whole
 * address only. Each key goes to all tables before the next one is tried. A local part that needs
 * quotes is asked with them, and then without. postmaster, mailer-daemon and double-bounce, and
 * with a "-" owner-x and x-request, have no extension. `delimiters` is recipient_delimiter; empty:
 * no extensions. When the match left out the extension, *extension is it with its delimiter
 * ("+ext"), else empty; may be NULL.
 */
struct table_address {
        struct str local; /* unquoted */
        struct str domain;
        bool is_local;
        struct str delimiters;
};
enum table_result await_table_list_find_address(struct table_list *list,
                                                const struct table_address *address,
                                                struct arena *arena, struct str *value,
                                                struct str *extension, struct why *why);

/*
 * As transport(5) wants: user+ext@domain, user@domain, domain, .parent (with
 * `parent_matches_subdomains`: parent) and so on up, "*". Rules of patterns with $1 in their
 * result are skipped.
 */
enum table_result await_table_list_find_transport(struct table_list *list,
                                                  const struct table_address *address,
                                                  bool parent_matches_subdomains,
                                                  struct arena *arena, struct str *value,
                                                  struct why *why);

/* ---- match lists: relay_domains, mynetworks: names, !names, /files and tables mixed ---- */
struct match_list;

enum match_kind {
        MATCH_DOMAIN,  /* domain; its subdomains by .domain or, with parent_matches, by domain */
        MATCH_STRING,  /* the whole string, letters folded */
        MATCH_ADDRESS, /* IPv4 and IPv6 addresses and networks */
};

/*
 * NULL only with an error in *findings. The first item that matches decides; files are watched
 * like tables. Of a table, MATCH_DOMAIN asks the name and then its parents (.parent, or with
 * parent_matches parent).
 */
struct match_list *match_list_open(struct table_set *set, struct str text, enum match_kind kind,
                                   bool parent_matches_subdomains, struct place at,
                                   struct findings *findings);
bool match_list_is_empty(const struct match_list *list);
/*
 * TABLE_FOUND when an item matches (and is not negated). *value, which may be NULL, is what the
 * table said, or empty.
 */
enum table_result await_match_list_find(struct match_list *list, struct str key,
                                        struct arena *arena, struct str *value, struct why *why);

/* ---- networks ---- */
struct network {
        unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d */
        int prefix_bits;           /* of 128 */
};
/* "192.0.2.0/24", "[2001:db8::]/32", "192.0.2.1"; host bits that are set are an error. */
int network_parse(struct str text, struct network *out, struct why *why);
/* A printed address, with or without brackets or "IPv6:"; false when it is none. */
bool network_address_parse(struct str text, unsigned char address[16]);
bool network_has(const struct network *n, const unsigned char address[16]);

#endif
