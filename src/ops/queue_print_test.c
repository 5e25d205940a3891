/* queue_print_test.c - the queue as text and as JSON; what strangers wrote moves no cursor */
#include "ops/queue_print.h"

#include "base/unit.h"

/* The questions to the spool, answered here. */
static const char *reasons[8];
static enum spool_state states[8];

enum spool_state spool_message_state(const struct spool_message *m, size_t recipient)
{
        return states[recipient];
}

struct str spool_message_reason(const struct spool_message *m, size_t recipient)
{
        return str_from(reasons[recipient]);
}

static bool is_expired;

bool spool_message_is_expired(const struct spool_message *m)
{
        return is_expired;
}

static struct recipient recipients[] = {
        {.address = STR_INIT("a@example.com"), .original = STR_INIT("alias@example.com")},
        {.address = STR_INIT("b@example.com"), .original = STR_INIT("b@example.com")},
        {.address = STR_INIT("c\x1b[2J@example.com")},
};

static struct spool_info sample(void)
{
        return (struct spool_info){
                .id = "4gXyZ12abcz9",
                .queue = SPOOL_QUEUE_DEFERRED,
                .arrival_us = 1795344781 * 1000000LL,
                .bytes = 311,
                .next_attempt_us = 1795345081 * 1000000LL,
                .attempts = 2,
                .envelope = {.sender = STR("from@client.test"),
                             .recipients = recipients,
                             .recipient_count = 3,
                             .client_name = STR("client.test"),
                             .client_address = STR("192.0.2.1")},
        };
}

static void set_up(void)
{
        setenv("TZ", "UTC", 1);
        tzset();
        reasons[0] = reasons[1] = "connect to core: refused\n(twice)";
        reasons[2] = "";
        states[0] = states[1] = states[2] = SPOOL_WAITING;
}

static void test_text(void **state)
{
        set_up();
        struct buf out;
        struct queue_print p;
        buf_init(&out, 10000);
        queue_print_begin(&p, false, &out);
        struct spool_info info = sample();
        queue_print_message(&p, &info);
        info.queue = SPOOL_QUEUE_HOLD;
        info.envelope.sender = STR("");
        static int a_message; /* nobody looks into it */
        info.message = (struct spool_message *)&a_message;
        is_expired = true;
        states[0] = SPOOL_DELIVERED; /* who has it is not listed */
        states[1] = SPOOL_BOUNCED;
        queue_print_message(&p, &info);
        queue_print_end(&p);
        assert_str_equal(buf_str(&out),
                         "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"
                         "4gXyZ12abcz9           311 Sun Nov 22 10:53:01 from@client.test\n"
                         "    (next attempt: Sun Nov 22 10:58:01)\n"
                         "    (connect to core: refused (twice))\n"
                         "                                               a@example.com\n"
                         "                                               b@example.com\n"
                         "    (waiting for its first attempt)\n"
                         "                                               c?[2J@example.com\n"
                         "\n"
                         "4gXyZ12abcz9!#         311 Sun Nov 22 10:53:01 MAILER-DAEMON\n"
                         "    (next attempt: when it is released from hold)\n"
                         "    (put on hold before its first attempt)\n"
                         "                                               c?[2J@example.com\n"
                         "\n"
                         "-- 1 Kbytes in 2 Requests.\n");
        buf_done(&out);
        is_expired = false;
}

static void test_empty(void **state)
{
        struct buf out;
        struct queue_print p;
        buf_init(&out, 10000);
        queue_print_begin(&p, false, &out);
        queue_print_end(&p);
        assert_str_equal(buf_str(&out), "Mail queue is empty\n");
        buf_clear(&out);
        queue_print_begin(&p, true, &out);
        queue_print_end(&p);
        assert_str_equal(buf_str(&out), "");
        buf_done(&out);
}

static void test_json(void **state)
{
        set_up();
        struct buf out;
        struct queue_print p;
        buf_init(&out, 10000);
        queue_print_begin(&p, true, &out);
        struct spool_info info = sample();
        info.envelope.recipient_count = 2;
        states[1] = SPOOL_DELIVERED;
        queue_print_message(&p, &info);
        queue_print_end(&p);
        assert_str_equal(buf_str(&out),
                         "{\"queue_name\": \"deferred\", \"queue_id\": \"4gXyZ12abcz9\", "
                         "\"arrival_time\": 1795344781, \"message_size\": 311, "
                         "\"forced_expire\": false, \"sender\": \"from@client.test\", "
                         "\"attempts\": 2, \"next_attempt\": 1795345081, \"recipients\": "
                         "[{\"address\": \"a@example.com\", \"delay_reason\": "
                         "\"connect to core: refused\\u000a(twice)\"}]}\n");
        buf_done(&out);
}

static void test_details(void **state)
{
        set_up();
        states[1] = SPOOL_DELIVERED;
        reasons[1] = "";
        struct buf out;
        buf_init(&out, 10000);
        struct spool_info info = sample();
        info.envelope.recipient_count = 2;
        queue_print_details(&out, &info);
        assert_str_equal(buf_str(&out), "queue_id: 4gXyZ12abcz9\n"
                                        "queue_name: deferred\n"
                                        "arrival_time: Sun Nov 22 10:53:01 2026 +0000\n"
                                        "message_size: 311\n"
                                        "attempts: 2\n"
                                        "next_attempt: Sun Nov 22 10:58:01 2026 +0000\n"
                                        "sender: <from@client.test>\n"
                                        "client_name: client.test\n"
                                        "client_address: 192.0.2.1\n"
                                        "recipient: a@example.com\n"
                                        "  original: alias@example.com\n"
                                        "  state: waiting\n"
                                        "  reason: connect to core: refused (twice)\n"
                                        "recipient: b@example.com\n"
                                        "  state: delivered\n");
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_details),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
