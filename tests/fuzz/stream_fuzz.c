/*
 * stream_fuzz.c - streams of exported messages, made from the input and then changed by it
 *
 * The first bytes say what is done: frames are made and read back, or the input itself is read as frames. What is read
 * is in its bounds, a frame that was changed is found, and the chain goes through whole.
 */
#include "spool/stream.h"

#include "fuzz.h"

#include "base/check.h"

static void read_frames(struct str in)
{
        uint32_t chain = 0;
        while (in.len >= STREAM_FRAME_BYTES) {
                unsigned char head[STREAM_FRAME_BYTES];
                enum stream_type type;
                size_t bytes;
                memcpy(head, in.ptr, sizeof(head));
                in = str_tail(in, sizeof(head));
                if (stream_frame_look(head, &type, &bytes) < 0)
                        return;
                check(bytes > 0 && bytes <= RECORD_META_BYTES_MAX);
                check(type == STREAM_MESSAGE || type == STREAM_CONTENT || type == STREAM_END);
                struct str payload = str_part(in, 0, bytes);
                if (payload.len < bytes || stream_frame_check(head, payload, &chain) < 0)
                        return;
                struct record_message m;
                struct why why;
                if (type == STREAM_MESSAGE && record_message_decode(payload, &m, &why) == 0) {
                        char key[STREAM_KEY_BYTES];
                        stream_key(m.id, m.arrival_us, m.content_bytes, m.content_crc, key);
                        check(strlen(key) < STREAM_KEY_BYTES);
                        stream_message_digest(key);
                }
                in = str_tail(in, bytes);
        }
}

/* One frame, whole, and with a bit flipped anywhere. */
static void make_one(struct str payload, size_t flip)
{
        unsigned char head[STREAM_FRAME_BYTES];
        enum stream_type type;
        size_t bytes;
        uint32_t chain = (uint32_t)flip;
        uint32_t again = chain;
        if (payload.len == 0 || payload.len > STREAM_PIECE_BYTES)
                return;
        stream_frame_make(head, STREAM_CONTENT, payload, &chain);
        check(stream_frame_look(head, &type, &bytes) == 0 && type == STREAM_CONTENT &&
              bytes == payload.len);
        check(stream_frame_check(head, payload, &again) == 0 && again == chain);
        again = (uint32_t)flip;
        head[flip % STREAM_FRAME_BYTES] ^= (unsigned char)(1 << flip / STREAM_FRAME_BYTES % 8);
        if (stream_frame_look(head, &type, &bytes) == 0 && bytes == payload.len)
                check(stream_frame_check(head, payload, &again) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = str_make((const char *)data, size);
        read_frames(in);
        if (size > 1)
                make_one(str_tail(in, 1), data[0]);
        return 0;
}
