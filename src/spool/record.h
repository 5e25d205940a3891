/*
 * record.h - what stands in a journal segment, byte by byte. Pure: no I/O, no clock.
 *
 * All numbers are little-endian. A record begins on a multiple of 8 bytes and is padded with zeros to
 * the next. It has a head, a meta part and, for a message of ordinary size, its content:
 *
 *   at 0   u32 magic           "FpR1"
 *      4   u32 head's CRC32C   begun with the segment's seed (segment.h), over the record's offset in the
 *                              segment (u64) and bytes 8 to 39
 *      8   u64 serial          the message that it is about
 *     16   u32 meta bytes      24  u32 content bytes
 *     20   u32 meta's CRC32C   28  u32 content's CRC32C
 *     32   u8  type            33  7 bytes of zero
 *     40   meta, content, zeros
 *
 * The head's checksum cannot be right by chance or by malice in the bytes of a message: its seed is secret,
 * and differs for each segment and place. The checksums of the parts need no seed, because the head vouches
 * for them; so they are made on the thread that has the bytes, and the writer adds 36 bytes a record.
 */
#ifndef SPOOL_RECORD_H
#define SPOOL_RECORD_H

#include "base/buf.h"
#include "base/why.h"

enum {
        RECORD_ALIGN = 8,
        RECORD_HEAD_BYTES = 40,
        RECORD_META_BYTES_MAX = 16 << 20,
        RECORD_CONTENT_BYTES_MAX = 64 << 20,
        RECORD_ID_BYTES_MAX = 64,
        RECORD_REASON_BYTES_MAX = 500,
        RECORD_RECIPIENTS_MAX = 1 << 20,
};

enum record_type {
        RECORD_MESSAGE = 1, /* a message, whole: envelope, content, and where delivery stands */
        RECORD_STATE = 2,   /* where delivery of a message stands now: what has changed */
        RECORD_DONE = 3,    /* the message is gone */
        RECORD_SEAL = 4,    /* another segment counts only up to an offset */
};

struct record {
        enum record_type type;
        uint64_t serial;
        struct str meta;
        struct str content;
        uint32_t content_crc;
        bool is_content_bad; /* head and meta are right, the content is not */
        size_t bytes;        /* the whole record, padding too */
};

static inline size_t record_bytes(size_t meta_bytes, size_t content_bytes)
{
        size_t all = RECORD_HEAD_BYTES + meta_bytes + content_bytes;
        return (all + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

/* Fills in a head, all but its checksum. */
void record_head_make(unsigned char head[RECORD_HEAD_BYTES], enum record_type type, uint64_t serial,
                      struct str meta, size_t content_bytes, uint32_t content_crc);
/* Once its place is known: fills in the checksum. */
void record_head_seal(unsigned char head[RECORD_HEAD_BYTES], uint32_t seed, uint64_t offset);
/* Head, meta and padding at the end of `out`, not sealed, for a record without content; 0 or -ENOBUFS. */
int record_append(struct buf *out, enum record_type type, uint64_t serial, struct str meta);
/* The length of the record that this (our own, whole) head begins. */
size_t record_head_total(const unsigned char head[RECORD_HEAD_BYTES]);
uint64_t record_head_serial(const unsigned char head[RECORD_HEAD_BYTES]);

/*
 * The record that stands at `at` in `segment`. 0; -EBADMSG: there is none. With 0 but is_content_bad, its
 * length and meta can be relied on.
 */
int record_parse(struct str segment, size_t at, uint32_t seed, struct record *out);

/* ---- meta of RECORD_MESSAGE ---- */

enum record_flags {
        RECORD_FLAG_HOLD = 1,
        RECORD_FLAG_DELAY_TOLD = 2,
        RECORD_FLAG_LARGE = 4,   /* the content is in large/ID */
        RECORD_FLAG_DELETED = 8, /* an administrator removed it while it was active */
        RECORD_FLAG_STAGED =
                16, /* of an import that has not come whole (import.c); since version 2 */
        RECORD_FLAG_REPORTED = 32, /* the report that the envelope asks for is made */
        RECORD_FLAG_EXPIRED = 64, /* an administrator has given it up: it goes back to its sender */
};

struct record_message {
        struct str id;
        struct str envelope; /* as envelope_encode() made it */
        int64_t content_bytes;
        uint32_t content_crc;
        uint32_t recipient_count;
        int64_t arrival_us;
        int64_t written_us; /* wall clock when this was written: shows a clock that went back */
        int64_t next_us;    /* wall clock; 0: at once */
        uint32_t attempts;
        uint32_t flags;
        struct str results; /* see record_result_next() */
};

int record_message_encode(const struct record_message *m, struct buf *out);
/* Views into `meta`. 0, or -EBADMSG with *why; after 0 all results are well formed and in range. */
int record_message_decode(struct str meta, struct record_message *out, struct why *why);

/* ---- meta of RECORD_STATE: attempts, next attempt and flags as they are now, and results ---- */

struct record_state {
        int64_t written_us;
        int64_t next_us;
        uint32_t attempts;
        uint32_t flags;
        struct str results;
};

int record_state_encode(const struct record_state *s, struct buf *out);
/* Results are well formed, but their recipients' range is the caller's to check. */
int record_state_decode(struct str meta, struct record_state *out, struct why *why);

struct record_result {
        uint32_t recipient;
        uint8_t state; /* enum spool_state */
        struct str reason;
};

int record_result_append(struct buf *out, const struct record_result *r);
/* Takes the next off the front of *results; false at the end, or when it is malformed. */
bool record_result_next(struct str *results, struct record_result *out);

/* ---- meta of RECORD_SEAL ---- */

struct record_seal {
        uint64_t number; /* of the segment */
        uint64_t bytes;  /* what counts of it */
};

int record_seal_encode(const struct record_seal *s, struct buf *out);
int record_seal_decode(struct str meta, struct record_seal *out);

#endif
