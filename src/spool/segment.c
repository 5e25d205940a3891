/*
 * segment.c - a segment's header, and the way through its records
 *
 * After a bad place the scan tries every multiple of 8. It never looks for records inside the content of a
 * record whose head is right: content is what strangers wrote.
 */
#include "spool/segment.h"

#include "base/crc32c.h"
#include "spool/bytes.h"

#include <errno.h>

enum { HEADER_COPY_BYTES = 64, SECOND_COPY_AT = 2048 };

static const char magic[8] = {'F', 'O', 'R', 'E', 'P', 'O', 'S', 'T'};

static uint32_t header_crc(const unsigned char *copy)
{
        return crc32c(crc32c(0, copy, 12), copy + 16, HEADER_COPY_BYTES - 16);
}

void segment_header_encode(const struct segment_header *h, unsigned char *out)
{
        memset(out, 0, SEGMENT_HEADER_BYTES);
        memcpy(out, magic, sizeof(magic));
        put_u32(out + 8, h->version);
        put_u64(out + 16, h->number);
        put_u64(out + 24, h->salt);
        put_u64(out + 32, (uint64_t)h->created_us);
        put_u32(out + 12, header_crc(out));
        memcpy(out + SECOND_COPY_AT, out, HEADER_COPY_BYTES);
}

static int decode_copy(const unsigned char *copy, struct segment_header *out)
{
        if (memcmp(copy, magic, sizeof(magic)) || get_u32(copy + 12) != header_crc(copy))
                return -EBADMSG;
        *out = (struct segment_header){
                .version = get_u32(copy + 8),
                .number = get_u64(copy + 16),
                .salt = get_u64(copy + 24),
                .created_us = (int64_t)get_u64(copy + 32),
        };
        return 0;
}

int segment_header_decode(struct str bytes, struct segment_header *out, struct why *why)
{
        *out = (struct segment_header){0};
        const unsigned char *at = (const unsigned char *)bytes.ptr;
        if (bytes.len < SEGMENT_HEADER_BYTES)
                return why_set(why, -EBADMSG, "is shorter than its header");
        if (decode_copy(at, out) && decode_copy(at + SECOND_COPY_AT, out))
                return why_set(why, -EBADMSG, "both copies of its header are damaged");
        if (out->version == 0 || out->version > SEGMENT_VERSION)
                return why_set(
                        why, -EPROTONOSUPPORT,
                        "its format version is %u, and this program knows versions up to %d; "
                        "start the newer program, let it deliver what is queued, or give "
                        "this one another queue_directory",
                        out->version, SEGMENT_VERSION);
        return 0;
}

uint32_t segment_seed(const struct segment_header *h)
{
        unsigned char both[16];
        put_u64(both, h->number);
        put_u64(both + 8, h->salt);
        return crc32c(0, both, sizeof(both));
}

void segment_scan_init(struct segment_scan *s, struct str bytes, uint32_t seed)
{
        *s = (struct segment_scan){.bytes = bytes, .seed = seed, .at = SEGMENT_HEADER_BYTES};
        if (s->at > bytes.len)
                s->at = bytes.len;
}

static bool is_blank(struct str bytes)
{
        return bytes.len == 0 ||
               (bytes.ptr[0] == 0 && memcmp(bytes.ptr, bytes.ptr + 1, bytes.len - 1) == 0);
}

/* Where the next sound record begins, from `at` on; the segment's length when there is none. */
static size_t find_sound(struct segment_scan *s, size_t at)
{
        struct record r;
        if (at < s->sound_at)
                return s->sound_at;
        while (at < s->bytes.len) {
                if (record_parse(s->bytes, at, s->seed, &r))
                        at += RECORD_ALIGN;
                else if (r.is_content_bad)
                        at += r.bytes;
                else
                        break;
        }
        s->sound_at = at < s->bytes.len ? at : s->bytes.len;
        return s->sound_at;
}

enum segment_found segment_scan_next(struct segment_scan *s, struct record *out)
{
        int rc = record_parse(s->bytes, s->at, s->seed, out);
        if (rc == 0 && !out->is_content_bad) {
                s->at += out->bytes;
                return SEGMENT_RECORD;
        }
        struct str rest = str_tail(s->bytes, s->at);
        s->is_tail_blank = is_blank(rest);
        if (s->is_tail_blank)
                return SEGMENT_END;
        if (rc == 0) {
                /* told one by one, so that the log can name each message */
                if (find_sound(s, s->at + out->bytes) >= s->bytes.len)
                        return SEGMENT_END;
                s->damage_at = s->at;
                s->damage_bytes = out->bytes;
        } else {
                *out = (struct record){0};
                size_t next = find_sound(s, s->at + RECORD_ALIGN);
                if (next >= s->bytes.len)
                        return SEGMENT_END;
                s->damage_at = s->at;
                s->damage_bytes = next - s->at;
        }
        s->at += s->damage_bytes;
        return SEGMENT_DAMAGE;
}
