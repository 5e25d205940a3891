/* segment_test.c - every truncation and every flipped byte of a small segment */
#include "spool/segment.h"

#include "base/crc32c.h"
#include "base/unit.h"
#include "spool/bytes.h"

#include <errno.h>

enum { RECORDS = 5 };

static struct buf segment;
static size_t begins[RECORDS + 1]; /* of each record, and the end of the last */
static uint32_t seed;

static void append(enum record_type type, uint64_t serial, struct str meta, struct str content)
{
        size_t at = segment.len;
        size_t bytes = record_bytes(meta.len, content.len);
        unsigned char *head = (unsigned char *)buf_reserve(&segment, bytes);
        memset(head, 0, bytes);
        record_head_make(head, type, serial, meta, content.len,
                         crc32c(0, content.ptr, content.len));
        record_head_seal(head, seed, at);
        if (meta.len)
                memcpy(head + RECORD_HEAD_BYTES, meta.ptr, meta.len);
        if (content.len)
                memcpy(head + RECORD_HEAD_BYTES + meta.len, content.ptr, content.len);
        buf_grow(&segment, bytes);
}

static int make(void **state)
{
        struct segment_header h = {.version = SEGMENT_VERSION, .number = 3, .salt = 0x1234};
        buf_init(&segment, 1 << 20);
        segment_header_encode(&h, (unsigned char *)buf_reserve(&segment, SEGMENT_HEADER_BYTES));
        buf_grow(&segment, SEGMENT_HEADER_BYTES);
        seed = segment_seed(&h);
        /* content that holds a whole record of this very segment must not bring it to life again */
        struct buf forged;
        buf_init(&forged, 4096);
        unsigned char head[RECORD_HEAD_BYTES];
        record_head_make(head, RECORD_DONE, 1, STR(""), 0, 0);
        record_head_seal(head, seed, 4096);
        assert_int_equal(buf_append(&forged, "12345678", 8), 0);
        assert_int_equal(buf_append(&forged, head, sizeof(head)), 0);
        const struct {
                enum record_type type;
                struct str meta, content;
        } records[RECORDS] = {
                {RECORD_MESSAGE, STR_INIT("one"), STR_INIT("Subject: one\r\n\r\ntext\r\n")},
                {RECORD_MESSAGE, STR_INIT("twelve bytes"), buf_str(&forged)},
                {RECORD_STATE, STR_INIT("state"), STR_INIT("")},
                {RECORD_DONE, STR_INIT(""), STR_INIT("")},
                {RECORD_MESSAGE, STR_INIT("last"), STR_INIT("Subject: last\r\n\r\n")},
        };
        for (size_t i = 0; i < RECORDS; i++) {
                begins[i] = segment.len;
                append(records[i].type, i + 1, records[i].meta, records[i].content);
        }
        begins[RECORDS] = segment.len;
        buf_done(&forged);
        return 0;
}

static int drop(void **state)
{
        buf_done(&segment);
        return 0;
}

/* Scans, and checks that what is found are records of ours in their order. Returns which as bits. */
static unsigned scan(struct str bytes, size_t *damages, struct segment_scan *s)
{
        struct record r;
        unsigned seen = 0;
        uint64_t last = 0;
        *damages = 0;
        segment_scan_init(s, bytes, seed);
        for (;;) {
                enum segment_found found = segment_scan_next(s, &r);
                if (found == SEGMENT_END)
                        return seen;
                if (found == SEGMENT_DAMAGE) {
                        assert_true(s->damage_bytes > 0);
                        assert_int_equal(s->damage_at + s->damage_bytes, s->at);
                        ++*damages;
                        continue;
                }
                assert_true(r.serial > last && r.serial <= RECORDS);
                last = r.serial;
                seen |= 1u << (r.serial - 1);
        }
}

static void test_whole(void **state)
{
        struct segment_scan s;
        size_t damages;
        assert_int_equal(scan(buf_str(&segment), &damages, &s), (1u << RECORDS) - 1);
        assert_int_equal(damages, 0);
        assert_int_equal(s.at, segment.len);
        assert_true(s.is_tail_blank);
}

static void test_truncated_anywhere(void **state)
{
        struct segment_scan s;
        size_t damages;
        for (size_t len = 0; len < segment.len; len++) {
                unsigned want = 0;
                size_t end = SEGMENT_HEADER_BYTES;
                for (size_t i = 0; i < RECORDS && begins[i + 1] <= len; i++) {
                        want |= 1u << i;
                        end = begins[i + 1];
                }
                assert_int_equal(scan(str_make(segment.ptr, len), &damages, &s), want);
                assert_int_equal(damages, 0);
                if (len >= SEGMENT_HEADER_BYTES)
                        assert_int_equal(s.at, end);
        }
}

/* A tail of which only some blocks reached the disk: the rest are the zeros of before. */
static void test_torn_anywhere(void **state)
{
        struct segment_scan s;
        size_t damages;
        char *copy = malloc(segment.len + 100);
        for (size_t cut = begins[RECORDS - 1]; cut < segment.len; cut++) {
                memset(copy, 0, segment.len + 100);
                memcpy(copy, segment.ptr, cut);
                unsigned seen = scan(str_make(copy, segment.len + 100), &damages, &s);
                assert_int_equal(damages, 0);
                /* the last bytes of a record are padding, which are zeros anyway */
                if (seen == (1u << RECORDS) - 1)
                        assert_true(memcmp(copy, segment.ptr, segment.len) == 0);
                else
                        assert_int_equal(seen, (1u << (RECORDS - 1)) - 1);
                if (cut == begins[RECORDS - 1])
                        assert_true(s.is_tail_blank);
        }
        free(copy);
}

static void test_every_flipped_byte(void **state)
{
        struct segment_scan s;
        size_t damages;
        for (size_t at = SEGMENT_HEADER_BYTES; at < segment.len; at++) {
                size_t hit = 0;
                while (begins[hit + 1] <= at)
                        hit++;
                segment.ptr[at] ^= 0x40;
                unsigned seen = scan(buf_str(&segment), &damages, &s);
                segment.ptr[at] ^= 0x40;
                unsigned all = (1u << RECORDS) - 1;
                if (seen == all)
                        continue; /* padding */
                assert_int_equal(seen, all & ~(1u << hit));
                assert_int_equal(damages, hit == RECORDS - 1 ? 0 : 1);
        }
}

static void test_header(void **state)
{
        struct segment_header h;
        struct why why;
        assert_int_equal(segment_header_decode(buf_str(&segment), &h, &why), 0);
        assert_int_equal(h.number, 3);
        assert_int_equal(h.salt, 0x1234);
        for (size_t at = 0; at < SEGMENT_HEADER_BYTES; at++) {
                segment.ptr[at] ^= 1;
                assert_int_equal(segment_header_decode(buf_str(&segment), &h, &why), 0);
                assert_int_equal(h.number, 3);
                segment.ptr[at] ^= 1;
        }
        segment.ptr[20] ^= 1;
        segment.ptr[2048 + 20] ^= 1;
        assert_int_equal(segment_header_decode(buf_str(&segment), &h, &why), -EBADMSG);
        segment.ptr[20] ^= 1;
        segment.ptr[2048 + 20] ^= 1;
        assert_int_equal(
                segment_header_decode(str_make(segment.ptr, SEGMENT_HEADER_BYTES - 1), &h, &why),
                -EBADMSG);

        unsigned char newer[SEGMENT_HEADER_BYTES];
        segment_header_encode(&(struct segment_header){.version = SEGMENT_VERSION + 1}, newer);
        assert_int_equal(segment_header_decode(str_make((char *)newer, sizeof(newer)), &h, &why),
                         -EPROTONOSUPPORT);
        assert_non_null(strstr(why.text, "version is 3"));
}

/* Stale records of another segment, or of another life of this number, do not count. */
static void test_seeds_differ(void **state)
{
        struct segment_header a = {.number = 1, .salt = 7};
        struct segment_header b = {.number = 2, .salt = 7};
        struct segment_header c = {.number = 1, .salt = 8};
        assert_int_not_equal(segment_seed(&a), segment_seed(&b));
        assert_int_not_equal(segment_seed(&a), segment_seed(&c));
        struct segment_scan s;
        struct record r;
        segment_scan_init(&s, buf_str(&segment), seed + 1);
        assert_int_equal(segment_scan_next(&s, &r), SEGMENT_END);
        assert_int_equal(s.at, SEGMENT_HEADER_BYTES);
        assert_false(s.is_tail_blank);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_whole, make, drop),
                cmocka_unit_test_setup_teardown(test_truncated_anywhere, make, drop),
                cmocka_unit_test_setup_teardown(test_torn_anywhere, make, drop),
                cmocka_unit_test_setup_teardown(test_every_flipped_byte, make, drop),
                cmocka_unit_test_setup_teardown(test_header, make, drop),
                cmocka_unit_test_setup_teardown(test_seeds_differ, make, drop),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
