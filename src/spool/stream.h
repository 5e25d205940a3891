/*
 * stream.h - a spool as a stream of bytes, to be moved to another host. Pure: no I/O, no clock.
 *
 *      "FOREPOST-SPOOL 1\n", then frames; numbers are little-endian:
 *
 *   at 0   u8  type         'M' a message, 'C' a piece of the content of the message before, 'Z' the end
 *      1   3 bytes of zero
 *      4   u32 bytes        of the payload
 *      8   u32 CRC32C       begun with that of the frame before (the first: 0), over bytes 0 to 7 and the payload
 *     12   payload          M: as the meta part of a MESSAGE record (record.h); C: content, at most STREAM_PIECE_BYTES;
 *                           Z: u64 messages, u64 digest
 *
 * The checksums are a chain: a frame that is missing, doubled or out of place is found at the next. Only a stream with
 * its end counts. The digest is the sum of stream_message_digest() of all messages, whatever their order.
 */
#ifndef SPOOL_STREAM_H
#define SPOOL_STREAM_H

#include "spool/record.h"

#define STREAM_MAGIC "FOREPOST-SPOOL 1\n"
enum {
        STREAM_MAGIC_BYTES = sizeof(STREAM_MAGIC) - 1,
        STREAM_FRAME_BYTES = 12,
        STREAM_PIECE_BYTES = 128 << 10,
        STREAM_END_BYTES = 16,
};

enum stream_type { STREAM_MESSAGE = 'M', STREAM_CONTENT = 'C', STREAM_END = 'Z' };

struct stream_end {
        uint64_t messages;
        uint64_t digest;
};

/* Fills in the 12 bytes before `payload`, and goes on with the chain. */
void stream_frame_make(unsigned char head[STREAM_FRAME_BYTES], enum stream_type type,
                       struct str payload, uint32_t *chain);
/* 0: a type that is known, and the payload's length may be; -EBADMSG: this is no frame. */
int stream_frame_look(const unsigned char head[STREAM_FRAME_BYTES], enum stream_type *type,
                      size_t *bytes);
/* 0, and the chain goes on; -EBADMSG: something is missing or has changed. */
int stream_frame_check(const unsigned char head[STREAM_FRAME_BYTES], struct str payload,
                       uint32_t *chain);

void stream_end_make(const struct stream_end *end, unsigned char out[STREAM_END_BYTES]);
struct stream_end stream_end_read(const unsigned char in[STREAM_END_BYTES]);

/* What tells a message from every other, wherever it lies: "ID ARRIVAL BYTES CRC". */
enum { STREAM_KEY_BYTES = 128 };
void stream_key(struct str id, int64_t arrival_us, int64_t bytes, uint32_t crc,
                char out[STREAM_KEY_BYTES]);
/* Of a key. */
uint64_t stream_message_digest(const char *key);

#endif
