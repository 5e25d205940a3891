/*
 * spool_private.h - what the files of this room share
 *
 * Three kinds of threads, and what each owns:
 *   a loop       its struct side and the messages in it; sends requests to the writer, gets them back answered
 *   the writer   the list of segments and the end of the active one; writes and syncs (journal.c)
 *   the keeper   nothing; prepares the next segment and removes old files (keeper.c)
 * What two of them touch is atomic, or under journal.lock or side.answers_lock.
 */
#ifndef SPOOL_SPOOL_PRIVATE_H
#define SPOOL_SPOOL_PRIVATE_H

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/task.h"
#include "spool/segment.h"
#include "spool/spool.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
        SPOOL_READ_BYTES = 128 << 10,
        SPOOL_ENVELOPE_BYTES_MAX = 8 << 20,
        SPOOL_SEGMENT_BYTES_MIN = 64 << 10, /* what a prepared segment shrinks to on a small disk */
};

/* ---- the directory (directory.c) ---- */

struct directory {
        char *path; /* for words */
        int root;
        int journal;
        int large;
        int corrupt;
        int lock;
};

/* Makes what is missing, takes the lock. */
int directory_open(struct directory *d, struct str path, struct why *why);
/* The lock as a writer takes it; nothing is made but the lock's file and corrupt/. */
int directory_open_ours(struct directory *d, struct str path, struct why *why);
/* For reading only: nothing is made; the lock is shared. */
int directory_open_quietly(struct directory *d, struct str path, struct why *why);
void directory_close(struct directory *d);
/* Bytes that we could still write, or a negative errno value. */
int64_t directory_free_bytes(const struct directory *d);
/* Files of one subdirectory, in the order of their names; "." files are left out. */
struct names {
        char **names;
        size_t count;
};
int spool_names_read(int dir, struct names *out);
void spool_names_done(struct names *n);
/* The whole file. -EFBIG over bytes_max. */
int spool_file_read(int dir, const char *name, size_t bytes_max, struct buf *out);
/* Puts bytes into a new file of corrupt/, durably. Best effort: what fails is logged. */
void directory_set_aside(const struct directory *d, const char *name, struct str bytes);

/* ---- segments ---- */

struct segment {
        struct list link; /* in journal.segments */
        uint64_t number;
        uint32_t seed;
        int fd;          /* -1: not open for writing */
        uint64_t bytes;  /* up to here are records */
        uint64_t synced; /* up to here they are durable */
        uint64_t room;   /* what was prepared; beyond, the file grows */
        uint64_t ready_room;
        int64_t retired_ms;
        atomic_size_t live; /* messages whose record stands here, and requests that need it */
        atomic_llong live_bytes;
        struct list messages[]; /* one list a side; each is touched by its own loop only */
};

enum { SEGMENT_NAME_BYTES = 17 };
void segment_name(uint64_t number, char out[SEGMENT_NAME_BYTES]);
struct segment *segment_new(uint64_t number, size_t sides);
void segment_free(struct segment **s);

/* A file that may go. */
struct removal {
        struct removal *next;
        int dir;
        struct segment *segment; /* or NULL */
        int64_t bytes;
        char name[QUEUE_ID_BYTES_MAX];
};

/* ---- requests: from a loop to the writer, and back ---- */

enum request_kind {
        REQUEST_COMMIT, /* a message; the draft waits */
        REQUEST_COPY,   /* a message of an old segment, written anew */
        REQUEST_NOTES,  /* states and ends of messages; nobody waits */
};

struct request {
        struct request *next;
        enum request_kind kind;
        struct side *side;
        struct buf record;  /* COMMIT, COPY: head and meta; NOTES: whole records */
        struct str content; /* COMMIT: the draft's; COPY: filled in by the writer, ours to free */
        int64_t live_bytes; /* counted in the segment's favour */

        int result; /* 0 or a negative errno value */
        struct segment
                *segment; /* after 0: where it stands, with a hold that goes to the message */
        uint64_t at;

        struct spool_draft *draft; /* COMMIT */
        struct {
                struct segment *segment; /* with a hold */
                uint64_t content_at;
                size_t content_bytes;
                uint32_t content_crc;
                uint64_t serial;
                bool is_rotten; /* the writer found that the content does not check out */
                char id[QUEUE_ID_BYTES_MAX];
        } from;                   /* COPY */
        struct removal *removals; /* NOTES: may go when these are durable */
        bool is_seals;            /* NOTES: of seals only; made anew rather than kept */
};

struct request *request_new(enum request_kind kind, struct side *side);
void request_free(struct request **r);

struct request_list {
        struct request *first;
        struct request *last;
};
void request_list_add(struct request_list *l, struct request *r);
/* Puts all of `more` in front (behind). */
void request_list_prepend(struct request_list *l, struct request_list *more);
void request_list_append(struct request_list *l, struct request_list *more);
struct request *request_list_take(struct request_list *l);

/* ---- the journal: its writer (journal.c) and its keeper (keeper.c) ---- */

struct journal {
        struct spool *spool;
        pthread_t writer;
        pthread_t keeper;
        bool is_running;

        pthread_mutex_t lock;
        pthread_cond_t writer_wake;
        pthread_cond_t keeper_wake;
        struct request_list queue;
        size_t queued_commits;
        int64_t first_queued_us;
        bool is_closing;
        bool is_keeper_closing;
        uint64_t next_number;
        bool wants_prepared; /* the writer to the keeper */
        bool is_hurried;
        int prepare_error;
        struct segment *prepared;
        struct removal *removals_first;
        struct removal *removals_last;

        /* the writer's own from here */
        struct list segments; /* oldest first; the active one, if any, is the last */
        struct segment *active;
        struct request_list carried; /* notes that could not be written yet */
        struct request_list written; /* notes that are written but not yet durable */
        struct record_seal *seals;   /* of segments that ended badly, not yet durable elsewhere */
        size_t seal_count;
        int64_t written_since_ms; /* the oldest of `written` */
        int64_t sync_began_us;
        int64_t error_until_ms; /* no new attempt before this */
        int error;
        int64_t sealed_bytes; /* in all segments but the active */
        struct segment *victim;
        int victim_fd;
        int64_t clean_at_ms;
        atomic_llong look_ms; /* how often segments are looked at */
        atomic_llong
                straggler_ms; /* how long a segment may hold a few messages before they are copied */

        atomic_int failing;            /* what the last commit met; 0 or a negative errno value */
        atomic_llong failing_until_ms; /* until then the next would meet the same */
        atomic_llong disk_bytes;
        atomic_llong live_bytes;
        atomic_ullong syncs;
        atomic_size_t copies; /* asked of loops, or under way */
};

void journal_init(struct journal *j, struct spool *s);
int journal_start(struct journal *j, struct why *why);
/* Writes what is queued, syncs, ends the threads. */
void journal_stop(struct journal *j);
void journal_done(struct journal *j);
/* From a loop: a chain of requests, `commits` of which are waited for. */
void journal_push(struct journal *j, struct request_list *requests, size_t commits);
/* Gives a message's hold on its segment back. From any thread. */
void segment_release(struct journal *j, struct segment *s, int64_t live_bytes);
void segment_hold(struct journal *j, struct segment *s, int64_t live_bytes);

void *keeper_main(void *journal);
/* With journal.lock held. */
void keeper_remove(struct journal *j, struct removal *first);
/* The writer takes the prepared segment, waiting for it as short as can be; NULL and *error. */
struct segment *keeper_take_segment(struct journal *j, int *error);

/* Asks the loops to copy messages of the oldest segment, when that pays (compact.c). On the writer. */
void compact_look(struct journal *j);
int64_t compact_next_ms(const struct journal *j);
/* The content of a COPY request; on the writer. */
int compact_read(struct journal *j, struct request *r);
/* One COPY request is through, or a loop had nothing to copy. */
void compact_answered(struct journal *j);

/* ---- one loop's part (side.c) ---- */

struct reason_table {
        struct reason **buckets;
        size_t room;
        size_t count;
};

struct side {
        struct spool *spool;
        struct loop *loop;
        size_t number;

        struct spool_message **buckets; /* by id; a power of two */
        size_t room;
        struct reason_table reasons;
        struct buf scratch; /* for an envelope's bytes */

        struct heap fresh; /* to be tried for the first time, by age */
        struct heap due;   /* to be tried again, by monotonic microseconds */
        struct timer timer;
        void (*hand_out)(void *context, struct spool_message *m);
        void *hand_out_context;
        atomic_size_t active;
        atomic_size_t deferred;
        atomic_size_t held;

        struct chore submit;
        struct request_list pending; /* for the writer, at the end of this turn */
        size_t pending_commits;
        struct request *notes; /* of this turn */
        struct list dirty;     /* messages whose state is to be noted */
        struct chore serve;

        pthread_mutex_t answers_lock;
        struct request_list answers;
        bool is_letter_posted;
        struct letter letter;

        struct letter copy_letter; /* "copy messages of journal.victim" */
        struct segment *copy_from;
        atomic_bool is_copy_posted;
};

void side_init(struct side *side, struct spool *s, struct loop *l, size_t number);
void side_stop(struct side *side);
void side_done(struct side *side);
/* The side of the loop that this thread runs. */
struct side *side_self(struct spool *s);
/* Sends it to the writer at the end of this turn. */
void side_send(struct side *side, struct request *r);
/* From the writer: answered requests of this side. */
void side_answer(struct side *side, struct request_list *answered);
/* A record without content about a message, written soon. */
void side_note(struct side *side, enum record_type type, uint64_t serial, struct str meta);
/* This large file may go when what was noted so far is durable. */
void side_note_removal(struct side *side, struct removal *r);
/* What is known of this message has changed: note it at the end of this turn. */
void side_touch(struct side *side, struct spool_message *m);
struct spool_message *side_find(const struct side *side, struct str id);
void side_add(struct side *side, struct spool_message *m);
void side_remove(struct side *side, struct spool_message *m);
/* Puts a message that is not active where it belongs: fresh, due or held. */
void side_queue(struct side *side, struct spool_message *m);
void side_unqueue(struct side *side, struct spool_message *m);
void side_serve_soon(struct side *side);
/* Opened on the loop: see compact.c. */
void side_copy_open(struct letter *letter);
void side_copy_answered(struct side *side, struct request *r);

/* ---- reasons: texts that many recipients share (reason.c) ---- */

struct reason {
        struct reason *next;
        uint64_t hash;
        uint32_t uses;
        uint32_t bytes;
        char text[];
};

struct reason *reason_take(struct reason_table *t, struct str text);
void reason_drop(struct reason_table *t, struct reason *r);
void reason_table_done(struct reason_table *t);

/* ---- messages (message.c) ---- */

struct place { /* where one recipient stands */
        struct reason *reason;
        uint8_t state; /* enum spool_state */
        bool is_dirty;
};

struct hot { /* content in memory */
        uint32_t uses;
        char *bytes;
        size_t room;
};

enum message_bits {
        MESSAGE_HOLD = RECORD_FLAG_HOLD,
        MESSAGE_DELAY_TOLD = RECORD_FLAG_DELAY_TOLD,
        MESSAGE_LARGE = RECORD_FLAG_LARGE,
        MESSAGE_DELETED = RECORD_FLAG_DELETED,
        MESSAGE_STAGED = RECORD_FLAG_STAGED,
        MESSAGE_REPORTED = RECORD_FLAG_REPORTED,
        MESSAGE_EXPIRED = RECORD_FLAG_EXPIRED,
        MESSAGE_KEPT = MESSAGE_HOLD | MESSAGE_STAGED, /* not tried */
        MESSAGE_RECORDED = 0xff,                      /* those that are written down */
        MESSAGE_ACTIVE = 0x100,
        MESSAGE_COPYING = 0x200,
        MESSAGE_NOT_COPYABLE = 0x400, /* its state is too large for a record */
        MESSAGE_FRESH = 0x800,        /* in side.fresh, not in side.due */
        MESSAGE_ROTTEN = 0x1000,      /* its content is damaged, and the log says so */
        MESSAGE_QUEUED = 0x2000,      /* fresh, due or held: counted */
        MESSAGE_GONE = 0x4000,        /* done, and pinned: out of every list */
        MESSAGE_AGAIN = 0x8000,       /* requeued while it is active */
        MESSAGE_ASKED = 0x10000,      /* somebody wants it tried; until an attempt is over */
};

struct spool_message {
        struct spool_message *next; /* in its bucket */
        struct side *side;
        struct segment *segment;
        struct list in_segment;
        struct list dirty;
        struct heap_item item; /* in side.fresh or side.due */
        struct hot *hot;
        uint64_t serial;
        uint64_t content_at; /* in its segment */
        int64_t bytes;
        int64_t arrival_us;
        uint32_t content_crc;
        uint32_t attempts;
        uint32_t envelope_bytes;
        uint32_t recipient_count;
        uint32_t flags;
        uint32_t record_bytes;
        uint32_t id_bytes;
        uint32_t pins; /* readers that outlive the message; then its memory stays */
        /* then: struct place[recipient_count], id with NUL, envelope */
        struct place places[];
};

static inline char *message_id(const struct spool_message *m)
{
        return (char *)(uintptr_t)(m->places + m->recipient_count);
}

static inline struct str message_envelope(const struct spool_message *m)
{
        return str_make(message_id(m) + m->id_bytes + 1, m->envelope_bytes);
}

struct spool_message *message_new(struct side *side, uint64_t serial,
                                  const struct record_message *from);
/* Takes it out of every list; its hold on the segment is given back. */
void message_free(struct spool_message **m);
/* The hold that came with the request becomes the message's. */
void message_set_segment(struct spool_message *m, struct segment *segment, uint64_t content_at,
                         size_t record_bytes);
void message_take_results(struct spool_message *m, struct str results);
/* All of its state as bytes: the meta of RECORD_MESSAGE, behind a head. -ENOBUFS. */
int message_encode(const struct spool_message *m, struct buf *out);
/* The dirty part: the meta of RECORD_STATE. */
int message_encode_state(struct spool_message *m, struct buf *out);
int64_t message_next_us(const struct spool_message *m);
enum spool_queue message_queue(const struct spool_message *m);

void hot_drop(struct spool *s, struct hot **h);

/* ---- drafts (draft.c) ---- */

/* On the loop's own stack, when the writer has answered. */
void draft_answered(struct request *r);

/* A message from elsewhere: with its arrival, attempts and results, staged. *from lives until the content is in. */
struct spool_draft *draft_adopt(struct spool *s, const struct record_message *from, const char *id);
int await_draft_adopt_commit(struct spool_draft **d, struct why *why);

/* ---- recovery (recovery.c) ---- */

struct recovery {
        struct spool *spool;
        bool is_quiet;                /* spool_peek: look, touch nothing */
        struct spool_message **table; /* by serial, open addressing */
        size_t room;
        size_t count;
        uint64_t last_serial;
        uint64_t last_number;
        size_t damaged;
        size_t damaged_before; /* of these, set aside by an earlier start */
};

int recovery_run(struct recovery *r, struct why *why);
void recovery_drop(struct recovery *r);
void recovery_done(struct recovery *r);
/* Can the envelope be read, and has it as many recipients as the record says? */
bool recovery_has_sound_envelope(const struct record_message *m, struct why *why);

/* ---- moving (export.c, import.c) ---- */

/* 0, or -EPERM with *why: the spool was exported. */
int export_refuses(const struct directory *d, struct why *why);
/* What is staged is released when its import was done. */
int import_settle(struct recovery *r, struct why *why);

/* ---- all of it ---- */

struct spool {
        struct spool_options options;
        struct directory directory;
        struct journal journal;
        struct side *sides;
        size_t side_count;
        atomic_ullong next_serial;
        atomic_size_t drafts; /* that may be committed soon */
        atomic_llong hot_bytes;
        atomic_ullong commits;
        size_t damaged;
        atomic_bool is_closing; /* no more letters */

        atomic_llong looked_ms; /* at the free space */
        atomic_llong free_bytes;
};

struct spool *spool_make(const struct spool_options *options);
void spool_drop(struct spool **s);

#endif
