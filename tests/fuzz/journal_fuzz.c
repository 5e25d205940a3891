/*
 * journal_fuzz.c - a segment of the journal: what stands there is found, nothing else is, damage costs one record
 *
 * First byte: 0 a segment as it is, 1 a record's meta, else a segment that is built from what follows, with right
 * checksums, of which one byte is then changed.
 */
#include "fuzz.h"

#include "base/crc32c.h"
#include "spool/segment.h"

#include <errno.h>

enum { RECORDS_MAX = 64 };

struct placed {
        size_t at;
        size_t bytes;
        struct str meta;
        struct str content;
};

static void check_meta(struct str meta)
{
        struct why why = {""};
        struct buf again;
        struct record_message m;
        struct record_state s;
        struct record_seal seal;
        buf_init(&again, RECORD_META_BYTES_MAX);
        if (record_message_decode(meta, &m, &why) == 0) {
                struct record_result r;
                struct str results = m.results;
                while (record_result_next(&results, &r))
                        check(r.recipient < m.recipient_count);
                check(results.len == 0);
                check(record_message_encode(&m, &again) == 0);
                struct record_message twice;
                check(record_message_decode(buf_str(&again), &twice, &why) == 0);
                check(str_eq(twice.id, m.id) && str_eq(twice.envelope, m.envelope));
                check(str_eq(twice.results, m.results) && twice.flags == m.flags);
        } else {
                check(why.text[0]);
        }
        buf_clear(&again);
        if (record_state_decode(meta, &s, &why) == 0) {
                check(record_state_encode(&s, &again) == 0);
                check(again.len == meta.len);
        }
        buf_clear(&again);
        if (record_seal_decode(meta, &seal) == 0) {
                check(record_seal_encode(&seal, &again) == 0);
                check(str_eq(buf_str(&again), meta));
        }
        buf_done(&again);
}

/* Goes to the end; the ranges follow each other without a gap. Returns how many records there are. */
static size_t scan(struct str bytes, uint32_t seed, const struct placed *placed, size_t count)
{
        struct segment_scan s;
        struct record r;
        size_t found = 0;
        segment_scan_init(&s, bytes, seed);
        for (;;) {
                size_t at = s.at;
                enum segment_found what = segment_scan_next(&s, &r);
                check(s.at <= bytes.len);
                if (what == SEGMENT_END)
                        return found;
                if (what == SEGMENT_DAMAGE) {
                        check(s.damage_at == at && s.damage_bytes > 0);
                        check(s.damage_at + s.damage_bytes == s.at);
                        continue;
                }
                check(s.at == at + r.bytes);
                check_meta(r.meta);
                found++;
                if (!placed)
                        continue;
                size_t i = 0;
                while (i < count && placed[i].at != at)
                        i++;
                check(i < count && placed[i].bytes == r.bytes);
                check(str_eq(placed[i].meta, r.meta) && str_eq(placed[i].content, r.content));
        }
}

static void scan_as_it_is(struct str in)
{
        struct segment_header h;
        struct why why = {""};
        int rc = segment_header_decode(in, &h, &why);
        if (rc < 0)
                check(why.text[0] && (rc == -EBADMSG || rc == -EPROTONOSUPPORT));
        else
                scan(in, segment_seed(&h), NULL, 0);
}

static void append(struct buf *out, uint32_t seed, struct str meta, struct str content,
                   struct placed *placed)
{
        *placed = (struct placed){.at = out->len,
                                  .bytes = record_bytes(meta.len, content.len),
                                  .meta = meta,
                                  .content = content};
        unsigned char *head = (unsigned char *)buf_reserve(out, placed->bytes);
        check(head);
        memset(head, 0, placed->bytes);
        record_head_make(head, RECORD_MESSAGE, out->len, meta, content.len,
                         crc32c(0, content.ptr, content.len));
        record_head_seal(head, seed, out->len);
        if (meta.len)
                memcpy(head + RECORD_HEAD_BYTES, meta.ptr, meta.len);
        if (content.len)
                memcpy(head + RECORD_HEAD_BYTES + meta.len, content.ptr, content.len);
        check(record_head_total(head) == placed->bytes);
        buf_grow(out, placed->bytes);
}

static void build_and_damage(struct str in)
{
        struct placed placed[RECORDS_MAX];
        size_t count = 0;
        struct segment_header h = {.version = SEGMENT_VERSION, .number = fuzz_byte(&in)};
        unsigned where = fuzz_byte(&in) | fuzz_byte(&in) << 8;
        unsigned change = fuzz_byte(&in);
        uint32_t seed = segment_seed(&h);
        struct buf out;
        buf_init(&out, 1 << 20);
        segment_header_encode(&h, (unsigned char *)buf_reserve(&out, SEGMENT_HEADER_BYTES));
        buf_grow(&out, SEGMENT_HEADER_BYTES);
        while (in.len && count < RECORDS_MAX) {
                size_t meta_bytes = fuzz_byte(&in);
                size_t content_bytes = fuzz_byte(&in);
                struct str meta = str_part(in, 0, meta_bytes);
                in = str_tail(in, meta_bytes);
                struct str content = str_part(in, 0, content_bytes);
                in = str_tail(in, content_bytes);
                append(&out, seed, meta, content, &placed[count++]);
        }
        check(scan(buf_str(&out), seed, placed, count) == count);
        size_t room = out.len - SEGMENT_HEADER_BYTES;
        if (room && change) {
                out.ptr[SEGMENT_HEADER_BYTES + where % room] ^= (char)change;
                check(scan(buf_str(&out), seed, placed, count) >= count - 1);
        }
        size_t cut = where % (out.len + 1);
        check(scan(str_make(out.ptr, cut), seed, placed, count) <= count);
        buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        switch (fuzz_byte(&in)) {
        case 0:
                scan_as_it_is(in);
                break;
        case 1:
                check_meta(in);
                break;
        default:
                build_and_damage(in);
        }
        return 0;
}
