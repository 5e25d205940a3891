/*
 * table_private.h - what the files of this room share: the face of a type, and the reading of text
 *
 * A type reads a text once (open) into contents that never change again; snapshot.c counts who is
 * looking at them, swaps in new contents when the file has changed, and frees the old ones after
 * the last look. So a type needs no lock, and its find() may run in any number of threads.
 */
#ifndef TABLE_PRIVATE_H
#define TABLE_PRIVATE_H

#include "base/buf.h"
#include "config/config.h"
#include "table/table.h"

#include <sys/stat.h>

enum {
        TABLE_KEY_BYTES_MAX = 1000,      /* longer keys are in no hash-like table */
        TABLE_VALUE_BYTES_MAX = 1 << 20, /* one value, as written */
        TABLE_RULES_MAX = 100000,        /* of one cidr, regexp or pcre table */
        TABLE_RESULT_BYTES_MAX = 65536,  /* a value after $1 was put in */
        TABLE_DOUBTS_MAX = 20,           /* findings of one kind for one file; then "and more" */
};

/* ---- what is wrong with a table: the place, the words, the cure ---- */
struct table_fault {
        int error;        /* negative errno */
        const char *code; /* of the finding */
        char file[256];   /* empty: the place that names the table */
        int line;         /* in `file`; 0: all of it */
        char text[300];
        char cure[200];
};

/* Fills the fault (`cure` may be NULL) and returns `error`. */
int fault_set(struct table_fault *fault, int error, const char *code, const char *cure,
              const char *format, ...) __attribute__((format(printf, 5, 6)));
/* "file:line: text (cure)" */
int fault_to_why(const struct table_fault *fault, struct why *why);
/* Adds it as an error; `at` when the fault has no place of its own. */
void fault_to_findings(const struct table_fault *fault, struct place at, struct findings *findings);

/* ---- the text that a table is made from ---- */
struct table_text {
        struct table_set *set;
        const struct table_type *type;
        struct str name; /* behind the colon */
        struct place at; /* file: the path, or where main.cf names it; line 0 */
        bool is_file;    /* else it stood in main.cf itself, one rule a line */
        int depth;       /* of files that name files */
        char *bytes; /* may be written to; bytes[len] is NUL, and no other. open() may take it */
        size_t len;
        struct findings *findings; /* for doubts; may be NULL */
        struct table_fault *fault; /* for the error */
};

/* An error at a line of this text. Returns `error`. */
int text_fault(const struct table_text *text, int line, int error, const char *code,
               const char *cure, const char *format, ...) __attribute__((format(printf, 6, 7)));
/*
 * A doubt at a line of this text; *count counts them, and past TABLE_DOUBTS_MAX they are dropped.
 */
void text_doubt(const struct table_text *text, int line, int *count, const char *code,
                const char *cure, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* An error for NUL bytes, a doubt for a byte order mark, which is taken out. */
int text_examine(struct table_text *text);

/*
 * Logical lines: comments and blank lines are skipped, lines that begin with white space continue
 * the one before (they are joined in place, white space and all), the line's end is LF or CRLF.
 */
struct table_lines {
        char *at;
        char *end;
        int line; /* of the next physical line */
};
struct line {
        char *ptr;  /* first byte; not a blank unless starts_blank */
        size_t len; /* without white space at the end */
        int number;
        bool starts_blank; /* it continues nothing: the first of a file */
};
void table_lines_init(struct table_lines *r, char *bytes, size_t len);
bool table_lines_next(struct table_lines *r, struct line *line);

static inline bool char_is_blank(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * The next item of a list in main.cf: separated by comma and white space, but not inside braces.
 * Returns false at the end.
 */
bool item_next(struct str *rest, struct str *item);
/* The text between braces that enclose all of `s`, trimmed; false when they do not. */
bool braces_open(struct str s, struct str *inside);

/*
 * The next line of a table of rules (cidr, regexp, pcre) that has `count` by now. 1: *line has it, 0: there is none,
 * else the error that text_fault() returned: a line that continues nothing, or one rule more than TABLE_RULES_MAX.
 */
int rule_line_next(struct table_lines *r, const struct table_text *text, uint32_t count,
                   struct line *line);
/* The array with room for one more behind `count` rules of `rule_bytes` each; only ever grown by this. */
void *rule_room(void *rules, uint32_t count, size_t rule_bytes);

/* if and endif, for cidr, regexp and pcre: which rule follows when the condition does not hold. */
enum rule_kind { RULE_MATCH, RULE_IF, RULE_ENDIF };
enum { RULE_NESTING_MAX = 32 };
struct rule_nesting {
        uint32_t open[RULE_NESTING_MAX]; /* indices of the ifs */
        int line[RULE_NESTING_MAX];
        int depth;
};
int rule_nesting_if(struct rule_nesting *n, const struct table_text *text, uint32_t index,
                    int line);
int rule_nesting_endif(struct rule_nesting *n, const struct table_text *text, int line,
                       uint32_t *opened_by);
int rule_nesting_end(const struct rule_nesting *n, const struct table_text *text);
/* Takes "if" or "endif" off the front, in any case; RULE_MATCH when it is neither. */
enum rule_kind rule_kind_take(struct str *s);

/* ---- types ---- */
struct table_query {
        struct str key;
        bool refuses_substitution; /* rules with $1 do not count (transport_maps) */
        struct arena *arena;
        struct str *value;
        struct table_rule *rule; /* where the answer is written; NULL: nobody wants to know */
        struct why *why;
};
/* Of a table of rules: the rule that answers. */
void table_query_note_rule(const struct table_query *query, int line, struct str pattern);

enum table_source {
        SOURCE_FILE,          /* the name is a path */
        SOURCE_FILE_OR_RULES, /* a path, or { {rule}, {rule} } */
        SOURCE_SETTINGS,      /* a path when it begins with / or ., else parameters NAME_setting */
        SOURCE_NAME,          /* the name is the table */
};

struct table_type {
        const char *name;
        enum table_source source;
        bool folds_key; /* the key comes in lower case, and is at most TABLE_KEY_BYTES_MAX long */
        bool is_pattern;
        bool has_any_key;
        bool is_text;     /* read from the text that Postfix's file of this type was made from */
        size_t bytes_max; /* of the text */
        /*
         * Not NULL: the file is mapped and not read. Its name is the table's with this behind it; open()
         * gets no bytes.
         */
        const char *suffix;
        /* 0 and *contents, or a negative errno and the fault. */
        int (*open)(struct table_text *text, void **contents);
        /* The value is copied into the arena. NULL: never asked through await_table_find(). */
        enum table_result (*find)(const void *contents, const struct table_query *query);
        void (*free)(void *contents);
        /* For the log: how many entries or rules; may be NULL. */
        size_t (*count)(const void *contents);
        /* Called about once a second from a thread that may block; may be NULL. */
        void (*tend)(const void *contents);
        /* What table.c cannot know: of servers. May be NULL. */
        void (*figures)(const void *contents, struct table_figures *out);
        /* NULL: cannot be listed. */
        void (*each)(const void *contents, table_visit *each, void *context);
};

extern const struct table_type table_type_hash, table_type_btree, table_type_texthash;
extern const struct table_type table_type_inline, table_type_static, table_type_cidr;
extern const struct table_type table_type_regexp, table_type_pcre, table_type_pcre_utf8;
extern const struct table_type table_type_cdb, table_type_lmdb;
extern const struct table_type table_type_unionmap, table_type_pipemap, table_type_randmap;
extern const struct table_type table_type_environ, table_type_fail;
extern const struct table_type table_type_socketmap, table_type_tcp, table_type_unix;
extern const struct table_type table_type_pgsql, table_type_mysql, table_type_sqlite;
extern const struct table_type table_type_ldap;

/*
 * Splits "type:name", looking through "proxy:". NULL, with the fault: no such type (or not yet).
 */
const struct table_type *table_type_find(struct str spec, struct str *name,
                                         struct table_fault *fault);

/* ---- files that are mapped (mapped_file.c) ---- */
struct mapped_file;
#define MAPPED_FILE_CHANGED \
        "the file was changed or cut short while it was in use, or the disk has an error"

/*
 * Of an open file, the descriptor of which stays the caller's and open. `is_constant`: nobody ever writes into it; else it may
 * become longer. NULL with errno.
 */
struct mapped_file *mapped_file_new(int fd, bool is_constant);
void mapped_file_free(struct mapped_file **f);
/*
 * Calls look(context), as mapped_look(). False: the file is not what it was, and what was found is not to be
 * believed; that is so until it is opened anew.
 */
bool mapped_file_look(struct mapped_file *f, void (*look)(void *context), void *context);

/* A record that a look has found; kept from one to the next, so that what is shown is not in the map. */
struct mapped_record {
        struct buf bytes; /* the key, then the value */
        size_t key_len;
};
void mapped_record_set(struct mapped_record *r, struct str key, struct str value);
static inline bool mapped_record_show(const struct mapped_record *r, table_visit *each,
                                      void *context)
{
        return each(context, str_part(buf_str(&r->bytes), 0, r->key_len),
                    str_tail(buf_str(&r->bytes), r->key_len));
}

/* ---- the compact map of hash-like tables ---- */
struct text_slot {
        uint32_t hash;
        uint32_t offset; /* of the record; UINT32_MAX: free */
};
struct text_map {
        char *block; /* records: key NUL value NUL */
        size_t block_len;
        struct text_slot *slots;
        uint32_t slot_count;
        uint32_t count;
};
/* Room for `entries`; `block` becomes the map's. */
void text_map_init(struct text_map *m, char *block, size_t entries);
void text_map_done(struct text_map *m);
/*
 * Puts the record at `offset`, whose key is in lower case already. Returns the offset of the record
 * that has this key: another one when the key stood there before (then nothing is put).
 */
uint32_t text_map_put(struct text_map *m, uint32_t offset, size_t key_len);
/* Drops what is too much after the last put. `block_len` is what the records take. */
void text_map_shrink(struct text_map *m, size_t block_len);
bool text_map_find(const struct text_map *m, struct str key, struct str *value);
enum table_result text_map_query(const void *contents, const struct table_query *query);
void text_map_free(void *contents);
size_t text_map_count(const void *contents);
void text_map_each(const void *contents, table_visit *each, void *context);

/* ---- from a text to what is mapped (build.c) ---- */

/* "name: value", as postalias reads it; else like table_type_texthash.open(). */
int text_open_aliases(struct table_text *text, void **contents);
/* Writes all records into a file that is there and empty. 0 or a negative errno with *why. */
int cdb_write(const char *path, const struct text_map *map, struct why *why);
int lmdb_write(const char *path, const struct text_map *map, struct why *why);
/* Puts this text into the place of the file, at once and on disk, with its owner and permissions. */
int file_replace(const char *path, struct str text, struct why *why);

/* ---- POSIX regular expressions in PCRE2's words ---- */
struct posix_flags {
        bool is_basic;      /* the x flag of a regexp: table is off */
        bool is_multi_line; /* the m flag */
};
struct buf;
/* Appends to *out. -EINVAL with what is wrong, or -ENOBUFS. */
int posix_to_pcre(struct str pattern, struct posix_flags flags, struct buf *out, struct why *why);

/* ---- patterns as they are written ---- */
struct pattern_source {
        struct str text; /* between the delimiters */
        bool is_negated;
        uint32_t options; /* of PCRE2 */
        struct posix_flags posix;
};
/* Takes "!/pattern/flags", and the blanks behind, off the front of *rest. */
int pattern_source_take(const struct table_text *text, int line, bool is_posix, struct str *rest,
                        struct pattern_source *p, int *doubts);
/* Is there an =? with letters behind it, outside of brackets? As in /^Subject: =?big5?/ */
bool pattern_source_has_quantified_equals(struct str source);
/*
 * The letter of \d, \n and such in a regexp: pattern, which POSIX takes for the letter; NUL: none.
 */
char pattern_source_plain_escape(struct str source);
/* Does it say plainly that it takes every text? */
bool pattern_source_is_catch_all(struct str source);

/* pattern_examples.c: asks whether a rule holds for a text; 1, 0, or negative. */
struct pattern_probe {
        const void *rule;
        int (*holds)(const void *rule, struct str text);
};
/* The examples in the comment lines above this rule (doubt "pattern-example"). */
void pattern_examples_check(const struct table_text *text, const struct line *line,
                            const struct pattern_probe *probe, int *doubts);
/* Patterns that cannot match (doubt "pattern-matches-nothing"). */
void pattern_lint_nothing(const struct table_text *text, int line, const struct pattern_source *p,
                          bool is_utf, int *doubts);

/* ---- files ---- */
struct file_stamp {
        dev_t dev;
        ino_t ino;
        off_t size;
        struct timespec mtime;
        struct timespec changed; /* sees a copy that kept the old mtime */
};
bool file_stamp_eq(const struct file_stamp *a, const struct file_stamp *b);
/* Written to so lately that it may not be complete, or may change again without a new mtime. */
bool file_stamp_is_young(const struct file_stamp *s);
int file_stamp_get(const char *path, struct file_stamp *stamp);
/* Why a file could not be opened. Returns `error`. */
int file_open_fault(struct table_fault *fault, struct str path, int error);
/* `name`, in `dir` when it is relative; malloc'ed. */
char *path_make(const char *dir, struct str name);
/*
 * Reads all of it; *bytes is malloc'ed, with a NUL behind. *is_stable is false when the file
 * changed meanwhile. A negative errno with the fault: missing, not allowed, no ordinary file, too
 * large.
 */
int file_read(const char *path, size_t bytes_max, char **bytes, size_t *len,
              struct file_stamp *stamp, bool *is_stable, struct table_fault *fault);

/* ---- snapshots, for match_list.c ---- */
struct table_snapshot;
struct table_snapshot *table_snapshot_hold(struct table *t);
void table_snapshot_release(struct table_snapshot *s);
const void *table_snapshot_contents(const struct table_snapshot *s);

/* Opens or finds a table of a known type. NULL with the fault. */
struct table *table_set_open(struct table_set *set, const struct table_type *type, struct str name,
                             struct str spec, struct place at, int depth, struct findings *findings,
                             struct table_fault *fault);
/* The same from "type:name". */
struct table *table_set_open_spec(struct table_set *set, struct str spec, struct place at,
                                  int depth, struct findings *findings, struct table_fault *fault);
enum table_result await_table_query(struct table *t, const struct table_query *query);

/* Zeroed memory that is freed with the set. */
void *table_set_alloc(struct table_set *set, size_t bytes);
/* Calls done(context) when the set ends, before its tables do. */
void table_set_at_end(struct table_set *set, void (*done)(void *), void *context);

/* What table_set_use_config() gave, or NULL. */
const struct config *table_set_config(const struct table_set *set);

#endif
