/* verify_private.h - private to state/: what is remembered of addresses, and its file */
#ifndef STATE_VERIFY_PRIVATE_H
#define STATE_VERIFY_PRIVATE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "state/verify.h"

/* ---- verify_cache.c: bounded; those who were refused are forgotten before those who are known ---- */

struct verify_entry {
        struct list
                use; /* in known or refused: the one that was not asked for the longest is first */
        struct list order; /* in all; see verify_cache_each_part() */
        unsigned round;
        enum verify_status status;
        int64_t updated_s; /* wall clock: when it was found out */
        int64_t probed_s;  /* when the last probe began; 0: it has ended */
        struct str address;
        struct str text;
};

struct verify_cache {
        struct map entries;
        struct list known, refused;
        struct list all;
        unsigned round;
        size_t entry_max;
};

void verify_cache_init(struct verify_cache *c, size_t entry_max);
void verify_cache_done(struct verify_cache *c);
void verify_cache_set_max(struct verify_cache *c, size_t entry_max);
/* NULL: not there. It was asked for now. */
struct verify_entry *verify_cache_find(struct verify_cache *c, struct str address);
/* Takes the place of what is there. `text` is cut at VERIFY_TEXT_BYTES_MAX. */
struct verify_entry *verify_cache_put(struct verify_cache *c, struct str address,
                                      enum verify_status status, struct str text,
                                      int64_t updated_s);
void verify_cache_remove(struct verify_cache *c, struct verify_entry *e);
/*
 * Visits all, some at a time: begin a round, then call this until it returns false; between two calls the cache may change.
 * What is put meanwhile is not visited.
 */
void verify_cache_begin_round(struct verify_cache *c);
typedef void verify_visit(void *context, const struct verify_entry *e);
bool verify_cache_each_part(struct verify_cache *c, size_t count, verify_visit *visit,
                            void *context);

/* ---- verify_file.c: a line for each thing that was found out; a later one counts ---- */

enum { VERIFY_LINE_BYTES_MAX = 64 + SMTP_PATH_BYTES_MAX + 64 + VERIFY_TEXT_BYTES_MAX };

/* Appends the line; nothing when the buffer is full or the address has a tab or a line end. False: it is full. */
bool verify_line_put(struct buf *out, const struct verify_entry *e);
struct verify_line {
        enum verify_status status;
        int64_t updated_s;
        struct str address, text;
};
bool verify_line_read(struct str line, struct verify_line *out);

#endif
