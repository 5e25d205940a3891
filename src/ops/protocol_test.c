/* protocol_test.c - requests in and out; answers in pieces of every size */
#include "ops/protocol.h"

#include "base/unit.h"

#include <errno.h>

static void test_requests(void **state)
{
        static const struct {
                const char *line;
                enum request_verb verb;
                bool wants_json;
                const char *id;
        } cases[] = {
                {"reload", REQUEST_RELOAD, false, ""},
                {"stop\r\n", REQUEST_STOP, false, ""},
                {"status json", REQUEST_STATUS, true, ""},
                {"dnsbl", REQUEST_DNSBL, false, ""},
                {"dnsbl json", REQUEST_DNSBL, true, ""},
                {"sessions", REQUEST_SESSIONS, false, ""},
                {"sessions json", REQUEST_SESSIONS, true, ""},
                {"queue expire ALL", REQUEST_QUEUE_EXPIRE, false, "ALL"},
                {"deliveries json", REQUEST_DELIVERIES, true, ""},
                {"queue list", REQUEST_QUEUE_LIST, false, ""},
                {"queue list json\n", REQUEST_QUEUE_LIST, true, ""},
                {"queue show 4gXyZ12abcz9", REQUEST_QUEUE_SHOW, false, "4gXyZ12abcz9"},
                {"queue count", REQUEST_QUEUE_COUNT, false, ""},
                {"queue flush", REQUEST_QUEUE_FLUSH, false, ""},
                {"queue flush 4gXyZ12abcz9", REQUEST_QUEUE_FLUSH, false, "4gXyZ12abcz9"},
                {"queue delete ALL", REQUEST_QUEUE_DELETE, false, "ALL"},
                {"queue hold abc", REQUEST_QUEUE_HOLD, false, "abc"},
                {"queue release abc", REQUEST_QUEUE_RELEASE, false, "abc"},
                {"queue requeue ALL", REQUEST_QUEUE_REQUEUE, false, "ALL"},
                {"queue drain", REQUEST_QUEUE_DRAIN, false, ""},
                {"queue accept", REQUEST_QUEUE_ACCEPT, false, ""},
                {"queue delete\tsender=a@b.example\treason=too many\tolder=3600",
                 REQUEST_QUEUE_DELETE, false, ""},
                {"queue hold abc\tqueue=deferred\trecipient=@b", REQUEST_QUEUE_HOLD, false, "abc"},
                {"queue list json\tdestination=[core1]:25", REQUEST_QUEUE_LIST, true, ""},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct request r;
                struct why why;
                assert_int_equal(request_parse(str_from(cases[i].line), &r, &why), 0);
                assert_int_equal(r.verb, cases[i].verb);
                assert_int_equal(r.wants_json, cases[i].wants_json);
                assert_str_equal(r.id, cases[i].id);
                struct buf again;
                buf_init(&again, 1000);
                request_format(&r, &again);
                assert_int_equal(again.ptr[again.len - 1], '\n');
                struct request second;
                assert_int_equal(request_parse(buf_str(&again), &second, &why), 0);
                assert_int_equal(second.verb, r.verb);
                assert_int_equal(second.wants_json, r.wants_json);
                assert_true(str_eq(second.select.sender, r.select.sender));
                assert_true(str_eq(second.select.recipient, r.select.recipient));
                assert_true(str_eq(second.select.destination, r.select.destination));
                assert_true(str_eq(second.select.reason, r.select.reason));
                assert_true(str_eq(second.select.queue, r.select.queue));
                assert_int_equal(second.select.older_s, r.select.older_s);
                assert_int_equal(queue_select_is_empty(&r.select), !strchr(cases[i].line, '\t'));
                assert_true(str_eq(second.id, r.id));
                buf_done(&again);
        }
}

static void test_bad_requests(void **state)
{
        static const struct {
                const char *line;
                const char *says;
        } cases[] = {
                {"", "unknown request"},
                {"queue", "unknown request"},
                {"queue listen", "unknown request"},
                {"reloads", "unknown request"},
                {"queue show", "which message"},
                {"queue delete", "which message"},
                {"queue show ../../etc/passwd", "not a queue id"},
                {"queue show abc def", "not a queue id"},
                {"queue show 0123456789012345678901234567890123456789", "not a queue id"},
                {"sessions abc", "not a queue id"},
                {"queue count json", "not a queue id"},
                {"reload now", "not a queue id"},
                {"queue hold", "which message"},
                {"queue requeue", "which message"},
                {"queue delete\tolder=0", "no age"},
                {"queue delete\tolder=", "no age"},
                {"queue delete\tolder=1h", "no age"},
                {"queue delete\tsize=3", "selects nothing"},
                {"queue delete\tqueue=lost", "is no queue"},
                {"queue show abc\tsender=a@b", "selects no messages"},
                {"queue delete\tsender=\x01", "control character"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct request r;
                struct why why = {""};
                assert_int_equal(request_parse(str_from(cases[i].line), &r, &why), -EINVAL);
                assert_non_null(strstr(why.text, cases[i].says));
        }
}

static void gather(void *context, char mark, struct str piece)
{
        struct buf *into = context;
        if (mark == '!')
                buf_append_char(into, '!');
        buf_append_str(into, piece);
}

static void test_answers_in_pieces(void **state)
{
        struct buf wire;
        buf_init(&wire, 1000);
        assert_int_equal(answer_lines(&wire, '|', STR("one\n\n=two\nlast")), 0);
        assert_int_equal(answer_lines(&wire, '!', STR("beware\n")), 0);
        buf_printf(&wire, "=1 it failed\n");
        assert_str_equal(buf_str(&wire), "|one\n|\n|=two\n|last\n!beware\n=1 it failed\n");

        for (size_t size = 1; size <= wire.len; size++) {
                struct answer_reader r;
                struct buf got;
                buf_init(&got, 1000);
                answer_reader_init(&r, gather, &got);
                for (size_t at = 0; at < wire.len; at += size) {
                        assert_false(r.is_done);
                        assert_int_equal(answer_reader_feed(&r, str_part(buf_str(&wire), at, size)),
                                         0);
                }
                assert_true(r.is_done);
                assert_int_equal(r.code, 1);
                assert_str_equal(answer_reader_text(&r), "it failed");
                assert_true(str_starts(buf_str(&got), STR("one\n\n=two\nlast\n!")));
                answer_reader_done(&r);
                buf_done(&got);
        }
        buf_done(&wire);
}

static void test_bad_answers(void **state)
{
        static const char *const answers[] = {
                "?\n", "\n", "=\n", "=x\n", "=12\n", "=0\nmore", "HTTP/1.1 200 OK\r\n",
        };
        for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
                struct answer_reader r;
                struct buf got;
                buf_init(&got, 1000);
                answer_reader_init(&r, gather, &got);
                assert_int_equal(answer_reader_feed(&r, str_from(answers[i])), -EBADMSG);
                answer_reader_done(&r);
                buf_done(&got);
        }
        /* a last line that never ends */
        struct answer_reader r;
        answer_reader_init(&r, gather, NULL);
        static char endless[REQUEST_BYTES_MAX + 10];
        memset(endless, '1', sizeof(endless));
        endless[0] = '=';
        assert_int_equal(answer_reader_feed(&r, str_make(endless, sizeof(endless))), -EBADMSG);
        answer_reader_done(&r);
}

static void test_no_end(void **state)
{
        struct answer_reader r;
        struct buf got;
        buf_init(&got, 1000);
        answer_reader_init(&r, gather, &got);
        assert_int_equal(answer_reader_feed(&r, STR("|half an ans")), 0);
        assert_false(r.is_done);
        assert_str_equal(buf_str(&got), "half an ans");
        assert_str_equal(answer_reader_text(&r), "");
        answer_reader_done(&r);
        buf_done(&got);
}

static void test_lines_over_the_ceiling(void **state)
{
        struct buf out;
        buf_init(&out, 8);
        assert_int_equal(answer_lines(&out, '|', STR("12345\n67890\n")), -ENOBUFS);
        assert_str_equal(buf_str(&out), "|12345\n");
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_requests),
                cmocka_unit_test(test_bad_requests),
                cmocka_unit_test(test_answers_in_pieces),
                cmocka_unit_test(test_bad_answers),
                cmocka_unit_test(test_no_end),
                cmocka_unit_test(test_lines_over_the_ceiling),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
