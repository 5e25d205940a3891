/* queue_select_test.c - a message of two recipients, and what selects it */
#include "ops/queue_select.h"

#include "base/unit.h"

#include <errno.h>

/* The two questions to the spool, answered here: the first recipient has its result. */
enum spool_state spool_message_state(const struct spool_message *m, size_t recipient)
{
        return recipient == 0 ? SPOOL_DELIVERED : SPOOL_WAITING;
}

struct str spool_message_reason(const struct spool_message *m, size_t recipient)
{
        return recipient == 0 ? STR("250 fine") : STR("connect to Core[192.0.2.1]: refused");
}

static struct recipient recipients[] = {
        {.address = STR_INIT("done@done.example")},
        {.address = STR_INIT("Waits@Example.org"), .original = STR_INIT("alias@relay.test")},
};

static const struct spool_info info = {
        .queue = SPOOL_QUEUE_DEFERRED,
        .arrival_us = 1000 * 1000000LL,
        .envelope = {.sender = STR_INIT("From@Client.test"),
                     .recipients = recipients,
                     .recipient_count = 2},
};

static const int64_t now_us = 1100 * 1000000LL;

static void test_each(void **state)
{
        static const struct {
                struct queue_select select;
                bool matches;
        } cases[] = {
                {{.sender = STR_INIT("from@client.test")}, true},
                {{.sender = STR_INIT("from@client.tes")}, false},
                {{.sender = STR_INIT("@client.TEST")}, true},
                {{.sender = STR_INIT("@lient.test")}, false},
                {{.sender = STR_INIT("<>")}, false},
                {{.recipient = STR_INIT("waits@example.org")}, true},
                {{.recipient = STR_INIT("alias@relay.test")}, true},
                {{.recipient = STR_INIT("done@done.example")}, false},
                {{.recipient = STR_INIT("@example.org")}, true},
                {{.destination = STR_INIT("EXAMPLE.org")}, true},
                {{.destination = STR_INIT("done.example")}, false},
                {{.destination = STR_INIT("[core1]:25")}, true}, /* not decided here */
                {{.reason = STR_INIT("TO core[192")}, true},
                {{.reason = STR_INIT("fine")}, false},
                {{.reason = STR_INIT("refused ")}, false},
                {{.queue = STR_INIT("deferred")}, true},
                {{.queue = STR_INIT("hold")}, false},
                {{.older_s = 100}, true},
                {{.older_s = 101}, false},
                {{.older_s = 50, .reason = STR_INIT("refused"), .sender = STR_INIT("@client.test")},
                 true},
                {{.older_s = 50, .reason = STR_INIT("refused"), .sender = STR_INIT("@other.test")},
                 false},
                {{.recipient = STR_INIT("alias@relay.test"), .destination = STR_INIT("relay.test")},
                 false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                assert_false(queue_select_is_empty(&cases[i].select));
                if (queue_select_matches(&cases[i].select, &info, now_us) != cases[i].matches)
                        fail_msg("case %zu", i);
        }
        const struct queue_select every = {0};
        assert_true(queue_select_is_empty(&every));
        assert_true(queue_select_matches(&every, &info, now_us));
}

static void test_null_sender(void **state)
{
        struct spool_info bounce = info;
        bounce.envelope.sender = STR("");
        assert_true(queue_select_matches(&(struct queue_select){.sender = STR_INIT("<>")}, &bounce,
                                         now_us));
        assert_false(queue_select_matches(
                &(struct queue_select){.sender = STR_INIT("@client.test")}, &bounce, now_us));
}

static void test_nexthop(void **state)
{
        static const char *const nexthops[] = {"[core1]", "[core1]:25", "core1:smtp",
                                               "[192.0.2.1]:2525"};
        for (size_t i = 0; i < 4; i++)
                assert_true(queue_select_is_nexthop(
                        &(struct queue_select){.destination = str_from(nexthops[i])}));
        assert_false(
                queue_select_is_nexthop(&(struct queue_select){.destination = STR("example.org")}));
        assert_false(queue_select_is_nexthop(&(struct queue_select){.sender = STR("a@b")}));
}

static void test_check(void **state)
{
        struct why why = {""};
        assert_int_equal(
                queue_select_check(&(struct queue_select){.queue = STR_INIT("incoming")}, &why),
                -EINVAL);
        assert_non_null(strstr(why.text, "active, deferred or hold"));
        assert_int_equal(
                queue_select_check(&(struct queue_select){.reason = STR_INIT("a\tb")}, &why),
                -EINVAL);
        assert_int_equal(
                queue_select_check(&(struct queue_select){.queue = STR_INIT("active")}, &why), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each),
                cmocka_unit_test(test_null_sender),
                cmocka_unit_test(test_nexthop),
                cmocka_unit_test(test_check),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
