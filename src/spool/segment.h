/*
 * segment.h - one file of the journal: a header, then records. Pure: no I/O, no clock.
 *
 * The header is written twice, at 0 and at 2048, so that one bad sector does not cost the segment:
 *
 *   at 0   "FOREPOST"
 *      8   u32 version    12  u32 CRC32C over bytes 0 to 11 and 16 to 63
 *     16   u64 number     its place in the order of segments, also its file's name (16 hex digits)
 *     24   u64 salt       by chance; with the number, the seed of all its records' checksums
 *     32   u64 created    microseconds since 1970
 *     40   24 bytes of zero
 *
 * Versions: 1 the first; 2 knows RECORD_FLAG_STAGED. This program writes 2 and reads both (samples/).
 *
 * Bytes 0 to 15, the length and the checksum stay as they are in every later version, so that an older
 * program can tell a newer format from a damaged header. Records begin at 4096.
 */
#ifndef SPOOL_SEGMENT_H
#define SPOOL_SEGMENT_H

#include "spool/record.h"

enum {
        SEGMENT_VERSION = 2,
        SEGMENT_HEADER_BYTES = 4096,
};

struct segment_header {
        uint32_t version;
        uint64_t number;
        uint64_t salt;
        int64_t created_us;
};

/* The segment's first SEGMENT_HEADER_BYTES. */
void segment_header_encode(const struct segment_header *h, unsigned char *out);
/*
 * 0; -EBADMSG: no header can be read; -EPROTONOSUPPORT: of a newer format; both with *why. Takes the second
 * copy when the first is damaged.
 */
int segment_header_decode(struct str bytes, struct segment_header *out, struct why *why);
/* What its records' checksums begin with. */
uint32_t segment_seed(const struct segment_header *h);

/*
 * Goes through a segment's records. Bytes that are no record are skipped up to the next record that checks
 * out, and told of as damage; when none follows, they are the tail.
 */
struct segment_scan {
        struct str bytes; /* the whole segment, from its header */
        uint32_t seed;
        size_t at;

        /* with SEGMENT_DAMAGE: */
        size_t damage_at;
        size_t damage_bytes;
        /* with SEGMENT_END: `at` is the end of the last record, and behind it is nothing but zeros, or not */
        bool is_tail_blank;

        size_t sound_at; /* private: no sound record stands between `at` and here */
};

enum segment_found { SEGMENT_RECORD, SEGMENT_DAMAGE, SEGMENT_END };

void segment_scan_init(struct segment_scan *s, struct str bytes, uint32_t seed);
/*
 * With SEGMENT_DAMAGE *out may still tell about the damaged record: out->bytes is not 0 when its head and meta
 * are right and only its content is bad.
 */
enum segment_found segment_scan_next(struct segment_scan *s, struct record *out);

#endif
