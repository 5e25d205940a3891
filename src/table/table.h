/*
 * table.h - look-up tables (Postfix DATABASE_README), one interface for all types
 *
 * hash:, btree: and texthash: read their *text source* into a compact map in memory. Every table that
 * comes from a file notices by itself when the file changes and swaps in the new contents at once;
 * a file that has become wrong keeps the old contents and says so in the log. Look-ups that are under
 * way keep what they found: values are copied into the caller's arena.
 *
 * Types: hash btree texthash inline static cidr regexp pcre. (More to come behind the same face.)
 *
 * Threads: look-ups from any thread. A table_set is opened and closed by one.
 * Waits:   await_* may suspend the task for types that ask a server; the types above never do, and
 *          for those it may be called without a task (tools, tests).
 */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

#include "base/arena.h"
#include "base/why.h"
#include "config/findings.h"

struct table;
struct table_set;

enum table_result {
        TABLE_FOUND,
        TABLE_NOT_FOUND,
        TABLE_ERROR, /* the table cannot be asked now: a temporary failure for the mail */
};

/*
 * All tables of one configuration; the same "type:name" is opened once. Relative file names are
 * taken from `dir`. The set starts nothing: table_set_watch() does.
 */
struct table_set *table_set_new(const char *dir);
void table_set_free(struct table_set **set);

/*
 * Looks at all files now, and reloads those that changed since (by device, inode, size and mtime).
 * The owner calls it about once a second from a thread that may block; reload calls it too.
 */
void table_set_refresh(struct table_set *set);

/*
 * Opens "type:name" (the set owns it). NULL, with *why: unknown type ("did you mean"), missing file,
 * a syntax error with its line. Doubts (duplicate keys, a missing value) go to *findings, which may
 * be NULL; `at` is where the configuration names the table.
 */
struct table *table_open(struct table_set *set, struct str spec, struct place at,
                         struct findings *findings, struct why *why);

/* "hash:/etc/x" as given */
struct str table_name(const struct table *t);
/* cidr, regexp and pcre: asked only whole addresses or strings, never parts of them */
bool table_is_pattern(const struct table *t);
/* static: answers for every key */
bool table_has_any_key(const struct table *t);

/*
 * One look-up. Keys of hash-like tables are folded to lower case; `key` itself is not changed.
 * *value is a copy in `arena`.
 */
enum table_result await_table_find(struct table *t, struct str key, struct arena *arena,
                                   struct str *value, struct why *why);

/* ---- several tables, asked in order: "hash:/a, pcre:/b" (a *_maps parameter) ---- */
struct table_list;

/* `text` as in main.cf. NULL only with an error in *findings. An empty list finds nothing. */
struct table_list *table_list_open(struct table_set *set, struct str text, struct place at,
                                   struct findings *findings);
bool table_list_is_empty(const struct table_list *list);
enum table_result await_table_list_find(struct table_list *list, struct str key,
                                        struct arena *arena, struct str *value, struct why *why);

/*
 * Postfix's order for an address (mail_addr_find(3)): user+ext@domain, user@domain, then user+ext and
 * user (only for a domain that is `is_local`), then @domain. Patterns are asked the whole address only.
 * `delimiters` is recipient_delimiter; empty: no extensions. When the match left out the extension,
 * *extension is it with its delimiter ("+ext"), else empty; may be NULL.
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

/* The same with more keys, as transport(5) wants: ... user@domain, domain, .parent, "*". */
enum table_result await_table_list_find_transport(struct table_list *list,
                                                  const struct table_address *address,
                                                  bool parent_matches_subdomains,
                                                  struct arena *arena, struct str *value,
                                                  struct why *why);

/* ---- match lists: relay_domains, mynetworks: names, !names, /files and tables mixed ---- */
struct match_list;

enum match_kind {
        MATCH_DOMAIN, /* domain and, with parent_matches, its subdomains; .domain subdomains only */
        MATCH_STRING, /* the whole string, letters folded */
        MATCH_ADDRESS, /* IPv4 and IPv6 addresses and networks */
};

struct match_list *match_list_open(struct table_set *set, struct str text, enum match_kind kind,
                                   bool parent_matches_subdomains, struct place at,
                                   struct findings *findings);
bool match_list_is_empty(const struct match_list *list);
/*
 * TABLE_FOUND when an item matches (and is not negated). *value, which may be NULL, is what the table
 * said, or empty.
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
