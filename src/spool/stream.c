/* stream.c - a spool as a stream of bytes; its layout stands in stream.h */
#include "spool/stream.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "spool/bytes.h"

#include <errno.h>
#include <stdio.h>

static uint32_t frame_crc(const unsigned char *head, struct str payload, uint32_t chain)
{
        return crc32c(crc32c(chain, head, 8), payload.ptr, payload.len);
}

void stream_frame_make(unsigned char head[STREAM_FRAME_BYTES], enum stream_type type,
                       struct str payload, uint32_t *chain)
{
        check(payload.len <= RECORD_META_BYTES_MAX);
        memset(head, 0, STREAM_FRAME_BYTES);
        head[0] = (unsigned char)type;
        put_u32(head + 4, (uint32_t)payload.len);
        *chain = frame_crc(head, payload, *chain);
        put_u32(head + 8, *chain);
}

int stream_frame_look(const unsigned char head[STREAM_FRAME_BYTES], enum stream_type *type,
                      size_t *bytes)
{
        size_t bytes_max = 0;
        *type = (enum stream_type)head[0];
        *bytes = get_u32(head + 4);
        if (*type == STREAM_MESSAGE)
                bytes_max = RECORD_META_BYTES_MAX;
        else if (*type == STREAM_CONTENT)
                bytes_max = STREAM_PIECE_BYTES;
        else if (*type == STREAM_END)
                bytes_max = STREAM_END_BYTES;
        bool is_odd = head[1] || head[2] || head[3] || *bytes == 0 || *bytes > bytes_max ||
                      (*type == STREAM_END && *bytes != STREAM_END_BYTES);
        return is_odd ? -EBADMSG : 0;
}

int stream_frame_check(const unsigned char head[STREAM_FRAME_BYTES], struct str payload,
                       uint32_t *chain)
{
        uint32_t crc = frame_crc(head, payload, *chain);
        if (crc != get_u32(head + 8))
                return -EBADMSG;
        *chain = crc;
        return 0;
}

void stream_end_make(const struct stream_end *end, unsigned char out[STREAM_END_BYTES])
{
        put_u64(out, end->messages);
        put_u64(out + 8, end->digest);
}

struct stream_end stream_end_read(const unsigned char in[STREAM_END_BYTES])
{
        return (struct stream_end){.messages = get_u64(in), .digest = get_u64(in + 8)};
}

void stream_key(struct str id, int64_t arrival_us, int64_t bytes, uint32_t crc,
                char out[STREAM_KEY_BYTES])
{
        snprintf(out, STREAM_KEY_BYTES, "%.*s %lld %lld %08x",
                 STR_ARG(str_part(id, 0, RECORD_ID_BYTES_MAX)), (long long)arrival_us,
                 (long long)bytes, crc);
}

uint64_t stream_message_digest(const char *key)
{
        uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
        for (; *key; key++)
                hash = (hash ^ (unsigned char)*key) * 0x100000001b3;
        return hash;
}
