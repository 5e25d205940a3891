/* record_test.c - what is written is what is read, and nothing else is read */
#include "spool/record.h"

#include "base/unit.h"
#include "spool/bytes.h"

#include <errno.h>

static const struct str reason = STR_INIT("host mx[192.0.2.1] said: 451 later");

/* One record at `at` of a segment of zeros. */
static void place(struct buf *segment, size_t at, uint32_t seed, enum record_type type,
                  struct str meta, struct str content, uint32_t content_crc)
{
        buf_init(segment, 1 << 20);
        while (segment->len < at)
                assert_int_equal(buf_append_char(segment, 0), 0);
        size_t bytes = record_bytes(meta.len, content.len);
        unsigned char *head = (unsigned char *)buf_reserve(segment, bytes);
        memset(head, 0, bytes);
        record_head_make(head, type, 77, meta, content.len, content_crc);
        record_head_seal(head, seed, at);
        if (meta.len)
                memcpy(head + RECORD_HEAD_BYTES, meta.ptr, meta.len);
        if (content.len)
                memcpy(head + RECORD_HEAD_BYTES + meta.len, content.ptr, content.len);
        buf_grow(segment, bytes);
}

static void test_parse(void **state)
{
        struct buf segment;
        place(&segment, 4096, 5, RECORD_MESSAGE, STR("meta"), STR("123456789"), 0xe3069283);
        struct record r;
        assert_int_equal(record_parse(buf_str(&segment), 4096, 5, &r), 0);
        assert_int_equal(r.type, RECORD_MESSAGE);
        assert_int_equal(r.serial, 77);
        assert_int_equal(r.bytes, 56);
        assert_str_equal(r.meta, "meta");
        assert_str_equal(r.content, "123456789");
        assert_false(r.is_content_bad);

        /* neither with another seed, nor at another place, nor cut short */
        assert_int_equal(record_parse(buf_str(&segment), 4096, 6, &r), -EBADMSG);
        assert_int_equal(record_parse(str_tail(buf_str(&segment), 8), 4088, 5, &r), -EBADMSG);
        for (size_t len = 0; len < segment.len; len++)
                assert_int_equal(record_parse(str_make(segment.ptr, len), 4096, 5, &r), -EBADMSG);
        assert_int_equal(record_parse(buf_str(&segment), 4100, 5, &r), -EBADMSG);
        assert_int_equal(record_parse(buf_str(&segment), 1 << 20, 5, &r), -EBADMSG);

        segment.ptr[4096 + RECORD_HEAD_BYTES + 5] ^= 1;
        assert_int_equal(record_parse(buf_str(&segment), 4096, 5, &r), 0);
        assert_true(r.is_content_bad);
        segment.ptr[4096 + RECORD_HEAD_BYTES + 5] ^= 1;
        for (size_t i = 4096; i < 4096 + RECORD_HEAD_BYTES + 4; i++) {
                segment.ptr[i] ^= 0x10;
                assert_int_equal(record_parse(buf_str(&segment), 4096, 5, &r), -EBADMSG);
                segment.ptr[i] ^= 0x10;
        }
        buf_done(&segment);
}

static void test_append(void **state)
{
        struct buf out;
        buf_init(&out, 100);
        assert_int_equal(record_append(&out, RECORD_DONE, 9, STR("")), 0);
        assert_int_equal(out.len, RECORD_HEAD_BYTES);
        assert_int_equal(record_head_total((unsigned char *)out.ptr), RECORD_HEAD_BYTES);
        assert_int_equal(record_head_serial((unsigned char *)out.ptr), 9);
        assert_int_equal(record_append(&out, RECORD_STATE, 9, STR("123")), 0);
        assert_int_equal(out.len, 2 * RECORD_HEAD_BYTES + 8);
        assert_int_equal(record_append(&out, RECORD_DONE, 9, STR("")), -ENOBUFS);
        buf_done(&out);
}

static void test_message(void **state)
{
        struct buf results;
        struct buf out;
        buf_init(&results, 4096);
        buf_init(&out, 4096);
        struct record_result one = {.recipient = 0, .state = 1, .reason = STR("")};
        struct record_result two = {.recipient = 2, .state = 0, .reason = reason};
        assert_int_equal(record_result_append(&results, &one), 0);
        assert_int_equal(record_result_append(&results, &two), 0);
        struct record_message m = {
                .id = STR("4gXyZ12abcz9"),
                .envelope = STR("\1envelope\0bytes"),
                .content_bytes = 5 << 20,
                .content_crc = 0x89abcdef,
                .recipient_count = 3,
                .arrival_us = 1795000000000000,
                .written_us = 1795000000000001,
                .next_us = 1795000000000002,
                .attempts = 4,
                .flags = RECORD_FLAG_HOLD | RECORD_FLAG_LARGE,
                .results = buf_str(&results),
        };
        assert_int_equal(record_message_encode(&m, &out), 0);
        struct record_message back;
        struct why why;
        assert_int_equal(record_message_decode(buf_str(&out), &back, &why), 0);
        assert_true(str_eq(back.id, m.id));
        assert_true(str_eq(back.envelope, m.envelope));
        assert_int_equal(back.content_bytes, m.content_bytes);
        assert_int_equal(back.content_crc, m.content_crc);
        assert_int_equal(back.recipient_count, 3);
        assert_int_equal(back.arrival_us, m.arrival_us);
        assert_int_equal(back.written_us, m.written_us);
        assert_int_equal(back.next_us, m.next_us);
        assert_int_equal(back.attempts, 4);
        assert_int_equal(back.flags, m.flags);
        struct record_result r;
        assert_true(record_result_next(&back.results, &r));
        assert_int_equal(r.recipient, 0);
        assert_int_equal(r.state, 1);
        assert_true(record_result_next(&back.results, &r));
        assert_int_equal(r.recipient, 2);
        assert_true(str_eq(r.reason, reason));
        assert_false(record_result_next(&back.results, &r));

        for (size_t len = 0; len < out.len; len++)
                assert_int_equal(record_message_decode(str_make(out.ptr, len), &back, &why),
                                 -EBADMSG);
        put_u32(out.ptr + 36, 2); /* a result for the third of two recipients */
        assert_int_equal(record_message_decode(buf_str(&out), &back, &why), -EBADMSG);
        put_u32(out.ptr + 36, RECORD_RECIPIENTS_MAX + 1);
        assert_int_equal(record_message_decode(buf_str(&out), &back, &why), -EBADMSG);
        put_u32(out.ptr + 36, 3);
        put_u64(out.ptr, (uint64_t)-1);
        assert_int_equal(record_message_decode(buf_str(&out), &back, &why), -EBADMSG);
        put_u64(out.ptr, 1);
        out.ptr[68] = '/';
        assert_int_equal(record_message_decode(buf_str(&out), &back, &why), -EBADMSG);

        buf_clear(&out);
        static char big[RECORD_META_BYTES_MAX];
        m.envelope = str_make(big, sizeof(big));
        assert_int_equal(record_message_encode(&m, &out), -ENOBUFS);
        buf_done(&out);
        buf_done(&results);
}

static void test_state(void **state)
{
        struct buf results;
        struct buf out;
        buf_init(&results, 4096);
        buf_init(&out, 4096);
        static const char long_text[RECORD_REASON_BYTES_MAX + 1] = "x";
        struct record_result long_one = {
                .recipient = 9, .state = 2, .reason = str_make(long_text, sizeof(long_text))};
        assert_int_equal(record_result_append(&results, &long_one), 0);
        struct record_state s = {.written_us = 1,
                                 .next_us = 2,
                                 .attempts = 3,
                                 .flags = RECORD_FLAG_DELAY_TOLD,
                                 .results = buf_str(&results)};
        assert_int_equal(record_state_encode(&s, &out), 0);
        struct record_state back;
        struct why why;
        assert_int_equal(record_state_decode(buf_str(&out), &back, &why), 0);
        assert_int_equal(back.written_us, 1);
        assert_int_equal(back.next_us, 2);
        assert_int_equal(back.attempts, 3);
        assert_int_equal(back.flags, RECORD_FLAG_DELAY_TOLD);
        struct record_result r;
        assert_true(record_result_next(&back.results, &r));
        assert_int_equal(r.reason.len, RECORD_REASON_BYTES_MAX); /* cut to what is kept */
        assert_int_equal(back.results.len, 0);
        for (size_t len = 0; len < out.len; len++)
                if (len != 28) /* a state without results */
                        assert_int_equal(record_state_decode(str_make(out.ptr, len), &back, &why),
                                         -EBADMSG);
        out.ptr[28 + 4] = 4; /* no such state */
        assert_int_equal(record_state_decode(buf_str(&out), &back, &why), -EBADMSG);
        buf_done(&out);
        buf_done(&results);
}

static void test_seal(void **state)
{
        struct buf out;
        buf_init(&out, 4096);
        struct record_seal s = {.number = 0x123456789, .bytes = 8192};
        struct record_seal back;
        assert_int_equal(record_seal_encode(&s, &out), 0);
        assert_int_equal(record_seal_decode(buf_str(&out), &back), 0);
        assert_int_equal(back.number, s.number);
        assert_int_equal(back.bytes, s.bytes);
        assert_int_equal(record_seal_decode(str_make(out.ptr, 15), &back), -EBADMSG);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),   cmocka_unit_test(test_append),
                cmocka_unit_test(test_message), cmocka_unit_test(test_state),
                cmocka_unit_test(test_seal),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
