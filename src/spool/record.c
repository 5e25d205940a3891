/* record.c - records of the journal as bytes; their layout stands in record.h */
#include "spool/record.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "spool/bytes.h"

#include <errno.h>

enum {
        MAGIC = 0x31527046, /* "FpR1" */
        AT_MAGIC = 0,
        AT_HEAD_CRC = 4,
        AT_SERIAL = 8,
        AT_META_BYTES = 16,
        AT_META_CRC = 20,
        AT_CONTENT_BYTES = 24,
        AT_CONTENT_CRC = 28,
        AT_TYPE = 32,
        MESSAGE_FIXED_BYTES = 68,
        STATE_FIXED_BYTES = 28,
        SEAL_BYTES = 16,
        RESULT_FIXED_BYTES = 8,
};

static uint32_t head_crc(const unsigned char *head, uint32_t seed, uint64_t offset)
{
        unsigned char place[8];
        put_u64(place, offset);
        uint32_t crc = crc32c(seed, place, sizeof(place));
        return crc32c(crc, head + AT_SERIAL, RECORD_HEAD_BYTES - AT_SERIAL);
}

void record_head_make(unsigned char head[RECORD_HEAD_BYTES], enum record_type type, uint64_t serial,
                      struct str meta, size_t content_bytes, uint32_t content_crc)
{
        check(meta.len <= RECORD_META_BYTES_MAX);
        check(content_bytes <= RECORD_CONTENT_BYTES_MAX);
        memset(head, 0, RECORD_HEAD_BYTES);
        put_u32(head + AT_MAGIC, MAGIC);
        put_u64(head + AT_SERIAL, serial);
        put_u32(head + AT_META_BYTES, (uint32_t)meta.len);
        put_u32(head + AT_META_CRC, crc32c(0, meta.ptr, meta.len));
        put_u32(head + AT_CONTENT_BYTES, (uint32_t)content_bytes);
        put_u32(head + AT_CONTENT_CRC, content_crc);
        head[AT_TYPE] = (unsigned char)type;
}

void record_head_seal(unsigned char head[RECORD_HEAD_BYTES], uint32_t seed, uint64_t offset)
{
        put_u32(head + AT_HEAD_CRC, head_crc(head, seed, offset));
}

int record_append(struct buf *out, enum record_type type, uint64_t serial, struct str meta)
{
        size_t bytes = record_bytes(meta.len, 0);
        char *at = buf_reserve(out, bytes);
        if (!at)
                return -ENOBUFS;
        record_head_make((unsigned char *)at, type, serial, meta, 0, 0);
        if (meta.len)
                memcpy(at + RECORD_HEAD_BYTES, meta.ptr, meta.len);
        size_t used = RECORD_HEAD_BYTES + meta.len;
        memset(at + used, 0, bytes - used);
        buf_grow(out, bytes);
        return 0;
}

size_t record_head_total(const unsigned char head[RECORD_HEAD_BYTES])
{
        return record_bytes(get_u32(head + AT_META_BYTES), get_u32(head + AT_CONTENT_BYTES));
}

uint64_t record_head_serial(const unsigned char head[RECORD_HEAD_BYTES])
{
        return get_u64(head + AT_SERIAL);
}

int record_parse(struct str segment, size_t at, uint32_t seed, struct record *out)
{
        *out = (struct record){0};
        if (at % RECORD_ALIGN || at > segment.len || segment.len - at < RECORD_HEAD_BYTES)
                return -EBADMSG;
        const unsigned char *head = (const unsigned char *)segment.ptr + at;
        if (get_u32(head + AT_MAGIC) != MAGIC)
                return -EBADMSG;
        if (get_u32(head + AT_HEAD_CRC) != head_crc(head, seed, at))
                return -EBADMSG;
        size_t meta_bytes = get_u32(head + AT_META_BYTES);
        size_t content_bytes = get_u32(head + AT_CONTENT_BYTES);
        if (meta_bytes > RECORD_META_BYTES_MAX || content_bytes > RECORD_CONTENT_BYTES_MAX)
                return -EBADMSG;
        size_t bytes = record_bytes(meta_bytes, content_bytes);
        if (bytes > segment.len - at)
                return -EBADMSG;
        const char *meta = segment.ptr + at + RECORD_HEAD_BYTES;
        if (get_u32(head + AT_META_CRC) != crc32c(0, meta, meta_bytes))
                return -EBADMSG;
        *out = (struct record){
                .type = (enum record_type)head[AT_TYPE],
                .serial = get_u64(head + AT_SERIAL),
                .meta = str_make(meta, meta_bytes),
                .content = str_make(meta + meta_bytes, content_bytes),
                .content_crc = get_u32(head + AT_CONTENT_CRC),
                .bytes = bytes,
        };
        out->is_content_bad =
                content_bytes && crc32c(0, out->content.ptr, content_bytes) != out->content_crc;
        return 0;
}

/* ---- results ---- */

int record_result_append(struct buf *out, const struct record_result *r)
{
        size_t len = r->reason.len;
        if (len > RECORD_REASON_BYTES_MAX)
                len = RECORD_REASON_BYTES_MAX;
        char *at = buf_reserve(out, RESULT_FIXED_BYTES + len);
        if (!at)
                return -ENOBUFS;
        put_u32(at, r->recipient);
        at[4] = (char)r->state;
        at[5] = 0;
        put_u16(at + 6, (uint16_t)len);
        if (len)
                memcpy(at + RESULT_FIXED_BYTES, r->reason.ptr, len);
        buf_grow(out, RESULT_FIXED_BYTES + len);
        return 0;
}

bool record_result_next(struct str *results, struct record_result *out)
{
        if (results->len < RESULT_FIXED_BYTES)
                return false;
        const char *at = results->ptr;
        size_t len = get_u16(at + 6);
        if (len > RECORD_REASON_BYTES_MAX || len > results->len - RESULT_FIXED_BYTES)
                return false;
        *out = (struct record_result){
                .recipient = get_u32(at),
                .state = (uint8_t)at[4],
                .reason = str_make(at + RESULT_FIXED_BYTES, len),
        };
        *results = str_tail(*results, RESULT_FIXED_BYTES + len);
        return true;
}

/* `recipient_count` 0: any recipient. States are those of enum spool_state: 0 to 3. */
static bool are_results_valid(struct str results, uint32_t recipient_count)
{
        struct record_result r;
        while (record_result_next(&results, &r))
                if (r.state > 3 || (recipient_count && r.recipient >= recipient_count))
                        return false;
        return results.len == 0;
}

/* ---- RECORD_MESSAGE ---- */

int record_message_encode(const struct record_message *m, struct buf *out)
{
        check(m->id.len > 0 && m->id.len <= RECORD_ID_BYTES_MAX);
        check(m->recipient_count <= RECORD_RECIPIENTS_MAX);
        size_t bytes = MESSAGE_FIXED_BYTES + m->id.len + m->envelope.len + m->results.len;
        if (bytes > RECORD_META_BYTES_MAX)
                return -ENOBUFS;
        char *at = buf_reserve(out, bytes);
        if (!at)
                return -ENOBUFS;
        put_u64(at, (uint64_t)m->content_bytes);
        put_u64(at + 8, (uint64_t)m->arrival_us);
        put_u64(at + 16, (uint64_t)m->written_us);
        put_u64(at + 24, (uint64_t)m->next_us);
        put_u32(at + 32, m->content_crc);
        put_u32(at + 36, m->recipient_count);
        put_u32(at + 40, m->attempts);
        put_u32(at + 44, m->flags);
        put_u32(at + 48, (uint32_t)m->id.len);
        put_u32(at + 52, (uint32_t)m->envelope.len);
        put_u32(at + 56, (uint32_t)m->results.len);
        put_u64(at + 60, 0); /* for later */
        at += MESSAGE_FIXED_BYTES;
        memcpy(at, m->id.ptr, m->id.len);
        at += m->id.len;
        if (m->envelope.len)
                memcpy(at, m->envelope.ptr, m->envelope.len);
        if (m->results.len)
                memcpy(at + m->envelope.len, m->results.ptr, m->results.len);
        buf_grow(out, bytes);
        return 0;
}

int record_message_decode(struct str meta, struct record_message *out, struct why *why)
{
        *out = (struct record_message){0};
        if (meta.len < MESSAGE_FIXED_BYTES)
                return why_set(why, -EBADMSG, "a message record of %zu bytes is too short",
                               meta.len);
        const char *at = meta.ptr;
        size_t id_bytes = get_u32(at + 48);
        size_t envelope_bytes = get_u32(at + 52);
        size_t result_bytes = get_u32(at + 56);
        struct record_message m = {
                .content_bytes = (int64_t)get_u64(at),
                .arrival_us = (int64_t)get_u64(at + 8),
                .written_us = (int64_t)get_u64(at + 16),
                .next_us = (int64_t)get_u64(at + 24),
                .content_crc = get_u32(at + 32),
                .recipient_count = get_u32(at + 36),
                .attempts = get_u32(at + 40),
                .flags = get_u32(at + 44),
        };
        if (id_bytes == 0 || id_bytes > RECORD_ID_BYTES_MAX ||
            id_bytes + envelope_bytes + result_bytes != meta.len - MESSAGE_FIXED_BYTES)
                return why_set(why, -EBADMSG, "a message record's parts do not fit its length");
        if (m.content_bytes < 0 || m.recipient_count > RECORD_RECIPIENTS_MAX)
                return why_set(
                        why, -EBADMSG,
                        "a message record has impossible figures (%lld bytes, %u recipients)",
                        (long long)m.content_bytes, m.recipient_count);
        m.id = str_part(meta, MESSAGE_FIXED_BYTES, id_bytes);
        m.envelope = str_part(meta, MESSAGE_FIXED_BYTES + id_bytes, envelope_bytes);
        m.results = str_tail(meta, MESSAGE_FIXED_BYTES + id_bytes + envelope_bytes);
        for (size_t i = 0; i < m.id.len; i++)
                if (!char_is_alnum(m.id.ptr[i]))
                        return why_set(why, -EBADMSG, "a message record has an impossible id");
        if (m.results.len &&
            (m.recipient_count == 0 || !are_results_valid(m.results, m.recipient_count)))
                return why_set(why, -EBADMSG, "%.*s: its results are malformed", STR_ARG(m.id));
        *out = m;
        return 0;
}

/* ---- RECORD_STATE ---- */

int record_state_encode(const struct record_state *s, struct buf *out)
{
        if (STATE_FIXED_BYTES + s->results.len > RECORD_META_BYTES_MAX)
                return -ENOBUFS;
        char *at = buf_reserve(out, STATE_FIXED_BYTES + s->results.len);
        if (!at)
                return -ENOBUFS;
        put_u64(at, (uint64_t)s->written_us);
        put_u64(at + 8, (uint64_t)s->next_us);
        put_u32(at + 16, s->attempts);
        put_u32(at + 20, s->flags);
        put_u32(at + 24, 0); /* for later */
        if (s->results.len)
                memcpy(at + STATE_FIXED_BYTES, s->results.ptr, s->results.len);
        buf_grow(out, STATE_FIXED_BYTES + s->results.len);
        return 0;
}

int record_state_decode(struct str meta, struct record_state *out, struct why *why)
{
        *out = (struct record_state){0};
        if (meta.len < STATE_FIXED_BYTES)
                return why_set(why, -EBADMSG, "a state record of %zu bytes is too short", meta.len);
        struct str results = str_tail(meta, STATE_FIXED_BYTES);
        if (!are_results_valid(results, 0))
                return why_set(why, -EBADMSG, "a state record's results are malformed");
        const char *at = meta.ptr;
        *out = (struct record_state){
                .written_us = (int64_t)get_u64(at),
                .next_us = (int64_t)get_u64(at + 8),
                .attempts = get_u32(at + 16),
                .flags = get_u32(at + 20),
                .results = results,
        };
        return 0;
}

/* ---- RECORD_SEAL ---- */

int record_seal_encode(const struct record_seal *s, struct buf *out)
{
        char *at = buf_reserve(out, SEAL_BYTES);
        if (!at)
                return -ENOBUFS;
        put_u64(at, s->number);
        put_u64(at + 8, s->bytes);
        buf_grow(out, SEAL_BYTES);
        return 0;
}

int record_seal_decode(struct str meta, struct record_seal *out)
{
        if (meta.len != SEAL_BYTES)
                return -EBADMSG;
        *out = (struct record_seal){.number = get_u64(meta.ptr), .bytes = get_u64(meta.ptr + 8)};
        return 0;
}
