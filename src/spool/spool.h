/*
 * spool.h - messages that we have promised to deliver
 *
 * A message enters as a draft and, from the moment await_spool_commit() returns 0, survives loss of
 * power. It leaves when every recipient has a final result. The states on disk, and what recovery does
 * with each, are in spool/README.md. Nothing else touches queue_directory.
 *
 * On disk: an append-only journal. Many sessions' records are written and made durable by one fdatasync.
 * Results are records too; they are written at once and become durable with the next group.
 * Why a journal and not a file per message: doc/decisions/0003-journal.md
 *
 * Threads: drafts are made on any loop; a queued message belongs to one loop (that of its draft; after
 *          a restart the one that its id hashes to) and all calls about it are made there. The journal's
 *          writer is a thread private to this room.
 * Waits:   only await_* suspends.
 * Memory:  the spool keeps copies; callers keep theirs. A queued message costs at most 300 bytes plus its
 *          envelope; content is read back from disk, hot content from a bounded cache.
 * Not here: where a message goes and how often it is tried (delivery/).
 */
#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H

#include "loop/loop.h"
#include "message/envelope.h"
#include "message/queue_id.h"

struct spool;
struct spool_draft;
struct spool_message;

struct spool_options {
        struct str directory; /* queue_directory; created (mode 0700) when it is missing */
        struct loop **loops;  /* who will own messages */
        size_t loop_count;
        int64_t segment_bytes;  /* spool_segment_size */
        int64_t large_bytes;    /* large_message_threshold: above, content has a file of its own */
        int64_t hot_bytes_max;  /* spool_memory_limit: content kept in memory, all loops together */
        int64_t free_bytes_min; /* queue_minfree */
        size_t active_max; /* qmgr_message_active_limit; 0: 20000. Messages handed out at once, all loops */
};

/* What one piece from the wire may have at most: the room that a draft's buf has over large_bytes. */
enum { SPOOL_PIECE_BYTES_MAX = 128 << 10 };

/*
 * Locks the directory (one writer), reads the journal, starts the writer. Errors in *why: in use by
 * another process, a newer format, exported to another host (move.h), a directory that cannot be made... A torn tail is cut; a damaged
 * record is set aside in corrupt/ with a log line. The loops need not run yet.
 */
int spool_open(const struct spool_options *options, struct spool **out, struct why *why);
/*
 * After the loops have stopped, before they are freed, and when no draft is left: writes what is left, stops
 * the writer, frees all.
 */
void spool_close(struct spool **s);

/*
 * While a spool is drained, who lets clients in sends them elsewhere; it lasts over restarts (a file "drained" in the directory),
 * until it is ended. The spool itself refuses nothing. 0, or a negative errno value with *why: what holds after a restart is then
 * open. spool_is_drained() looks at the disk: for the start.
 */
int await_spool_drain(struct spool *s, bool is_drained, struct why *why);
bool spool_is_drained(const struct spool *s);

/* Is there room for a message of `bytes`? 0, -ENOSPC (452) or -EIO (451). Cheap; looks once a second. */
int spool_check_room(struct spool *s, int64_t bytes);

/* ---- a message on its way in ---- */

/* Gives it its queue id; nothing is on disk yet. On a loop's thread. */
struct spool_draft *spool_draft_new(struct spool *s);
const char *spool_draft_id(const struct spool_draft *d);

/*
 * The content, lines ending in CR LF. Append to the buf (its ceiling leaves room for one piece from the
 * wire), then settle: content over large_bytes moves to its file meanwhile, and the buf is emptied.
 * `spool_draft_bytes` counts all of it.
 */
struct buf *spool_draft_buf(struct spool_draft *d);
int await_spool_draft_settle(struct spool_draft *d, struct why *why);
int64_t spool_draft_bytes(const struct spool_draft *d);

/*
 * What was written from `offset` on, at most `room` bytes of it; *got is 0 at the end. 0, or a negative errno value with
 * *why.
 */
int await_spool_draft_read(struct spool_draft *d, int64_t offset, char *out, size_t room,
                           size_t *got, struct why *why);
/* Gives `d` the content of `from`, which is freed, in the place of its own. After an error `d` is lost, too. */
int await_spool_draft_take(struct spool_draft *d, struct spool_draft **from, struct why *why);

/* Forgets the draft and its file; takes NULL, sets NULL. */
void spool_draft_free(struct spool_draft **d);

enum spool_commit_flags { SPOOL_HOLD = 1 };

/*
 * Makes it ours: 0 after envelope and content are on disk, for good; *d is then NULL and the message is
 * handed to its loop's `due` (see spool_serve) in this turn or the next, unless it is held.
 * Errors, with *why: -ENOSPC, -EIO, -EROFS, -EMFILE, -EDQUOT...: nothing was accepted, the draft is still
 * the caller's to free. The id stays spool_draft_id()'s: copy it before.
 */
int await_spool_commit(struct spool_draft **d, const struct envelope *e, unsigned flags,
                       struct why *why);

/* ---- a message that waits, or is being delivered; all on its own loop ---- */

/*
 * Starts handing out: `due` is called on the loop's own stack for each message that is to be tried now;
 * the message is then *active* until spool_message_settle(). Once for each loop, on its thread; with NULL for
 * `due` it stops: nothing is handed out any more, and what was stays as it is.
 */
void spool_serve(struct spool *s, struct loop *l,
                 void (*due)(void *context, struct spool_message *m), void *context);

const char *spool_message_id(const struct spool_message *m);
int64_t spool_message_bytes(const struct spool_message *m);
int64_t spool_message_arrival_us(const struct spool_message *m);
unsigned spool_message_attempts(const struct spool_message *m);
/* The envelope, all recipients, in `arena`. */
void spool_message_envelope(const struct spool_message *m, struct arena *arena,
                            struct envelope *out);

enum spool_state {
        SPOOL_WAITING,   /* no final result yet */
        SPOOL_DELIVERED, /* final */
        SPOOL_BOUNCED,   /* final; the sender was told, or must not be */
        SPOOL_DISCARDED, /* final; by rule */
};
enum spool_state spool_message_state(const struct spool_message *m, size_t recipient);
/* Why it waits, from the last result; "" before the first. Valid until the next result. */
struct str spool_message_reason(const struct spool_message *m, size_t recipient);

struct spool_result {
        size_t recipient; /* index in the envelope */
        enum spool_state state;
        struct str reason; /* "host mx[192.0.2.1] said: 451 ..."; for our own log and queue list */
};

/* Records results as they come in. Written at once, durable with the next group; does not wait. */
void spool_message_record(struct spool_message *m, const struct spool_result *results,
                          size_t count);

/*
 * The attempt is over. When every recipient is final the message is done and gone; else it waits until
 * next_attempt_us (wall clock). *m is NULL after it.
 */
void spool_message_settle(struct spool_message **m, int64_t next_attempt_us);

/* It was handed out too early: not an attempt, nothing is written down, it comes back at that time. */
void spool_message_postpone(struct spool_message **m, int64_t next_attempt_us);

/* Was a delay notice sent? Set it once; survives a restart. */
bool spool_message_is_delay_told(const struct spool_message *m);
void spool_message_set_delay_told(struct spool_message *m);
/* The same for the report that the envelope asks for. */
bool spool_message_is_reported(const struct spool_message *m);
void spool_message_set_reported(struct spool_message *m);

/* Reads content, piece by piece, from memory or disk. Done before the message is settled. */
struct spool_reader {
        struct spool_message *message;
        int64_t offset;
        /* private: */
        struct buf piece;
        struct hot *hot;
        int fd;
        uint64_t base;
        uint32_t crc;
};
void spool_reader_init(struct spool_reader *r, struct spool_message *m);
void spool_reader_done(struct spool_reader *r);
/*
 * The next piece: a view until the next call; empty at the end. 0, or a negative errno value with *why: -EIO,
 * or -EBADMSG when the content is not what was accepted. The last piece is not given before all of the content
 * has checked out, so whoever passes pieces on must not end the message before the empty one has come.
 */
int await_spool_reader_next(struct spool_reader *r, struct str *piece, struct why *why);

/* ---- the queue as an administrator sees it: from any thread, answered by letters to each loop ---- */

enum spool_queue {
        SPOOL_QUEUE_ACTIVE,
        SPOOL_QUEUE_DEFERRED,
        SPOOL_QUEUE_HOLD,
        SPOOL_QUEUE_MAILDROP /* a file of ops/maildrop.h: not the spool's */
};

struct spool_info {
        const char *id;
        enum spool_queue queue;
        int64_t arrival_us;
        int64_t bytes;
        int64_t next_attempt_us; /* 0 while active or held */
        unsigned attempts;
        struct envelope envelope;
        struct spool_message *message; /* for spool_message_state and _reason */
};

/*
 * Calls `each` for about `count_max` messages of this loop, in no order, going on where *cursor stands (0: from
 * the start); returns false when all have been seen. Between two calls messages may come and go: those that
 * were there all the time are seen once. `each` changes nothing. On the loop's thread.
 */
bool spool_list(struct spool *s, struct loop *l, uint64_t *cursor, size_t count_max,
                void (*each)(void *context, const struct spool_info *info), void *context);
/* One message's; the envelope is in `arena`, the rest valid while the message is. */
void spool_message_info(const struct spool_message *m, struct arena *arena, struct spool_info *out);
/*
 * While it is pinned a message may be delivered and go, but its memory stays: for a reader that is not the
 * delivery's. All on the message's loop; unpin after spool_reader_done(). Reading what has gone is -ENOENT.
 */
struct spool_message *spool_message_pin(struct spool_message *m);
void spool_message_unpin(struct spool_message **m);
/* The message with this id on this loop, or NULL. */
struct spool_message *spool_find(struct spool *s, struct loop *l, struct str id);
/* Tries it now; 1, or 0 when it is being tried already, or held. */
size_t spool_flush(struct spool *s, struct loop *l, struct spool_message *m);
/* The same for somebody who wants it (sendmail -q, ETRN): its next attempt knows, until that is over. */
size_t spool_flush_asked(struct spool *s, struct loop *l, struct spool_message *m);
bool spool_message_is_asked(const struct spool_message *m);
/* An active message is removed as soon as its attempt settles. */
void spool_delete(struct spool_message *m);
void spool_hold(struct spool_message *m);
void spool_release(struct spool_message *m);
/* Released, and tried now; one that is being tried is tried again as soon as that is over. */
void spool_requeue(struct spool_message *m);

/* Its next attempt is none: who still waits has failed. True, or false when it was so already. Survives a restart. */
bool spool_expire(struct spool_message *m);
bool spool_message_is_expired(const struct spool_message *m);

struct spool_counts {
        size_t active;
        size_t deferred;
        size_t held;
        int64_t disk_bytes;
        uint64_t commits; /* messages accepted since the start */
        uint64_t syncs;   /* fdatasync calls since the start */
        size_t damaged;   /* records set aside at the start */
};
/* From any thread. */
void spool_count(struct spool *s, struct spool_counts *out);

/*
 * Reads a spool that nobody serves (`forepost queue list` with the service down): opens nothing for
 * writing and cuts nothing. 0, -EWOULDBLOCK (it is in use), or another error with *why.
 */
int spool_peek(struct str directory, void (*each)(void *context, const struct spool_info *info),
               void *context, struct why *why);

#endif
