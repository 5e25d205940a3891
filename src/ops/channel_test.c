/* channel_test.c - messages and descriptors between two processes */
#include "ops/channel.h"

#include "base/unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_messages(void **state)
{
        int fds[2];
        struct why why;
        struct channel_message m = {.kind = CHANNEL_SOCKET, .loop = 7, .text = "127.0.0.1:25"};
        struct channel_message got;
        int fd;
        assert_int_equal(channel_open(fds, &why), 0);
        assert_int_equal(channel_receive(fds[1], &got, &fd, MSG_DONTWAIT), -EAGAIN);

        int ends[2];
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(channel_send(fds[0], &m, ends[1]), 0);
        m.kind = CHANNEL_DONE;
        assert_int_equal(channel_send(fds[0], &m, -1), 0);
        close(ends[1]);

        assert_int_equal(channel_receive(fds[1], &got, &fd, 0), 1);
        assert_int_equal(got.kind, CHANNEL_SOCKET);
        assert_int_equal(got.loop, 7);
        assert_string_equal(got.text, "127.0.0.1:25");
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "x", 1), 1); /* it is the pipe */
        char byte;
        assert_int_equal(read(ends[0], &byte, 1), 1);
        close(fd);
        close(ends[0]);

        assert_int_equal(channel_receive(fds[1], &got, &fd, 0), 1);
        assert_int_equal(got.kind, CHANNEL_DONE);
        assert_int_equal(fd, -1);

        close(fds[0]);
        assert_int_equal(channel_receive(fds[1], &got, &fd, 0), 0);
        assert_int_equal(channel_send(fds[1], &m, -1), -EPIPE);
        close(fds[1]);
}

static void test_not_a_message(void **state)
{
        int fds[2];
        struct why why;
        struct channel_message got;
        int fd;
        assert_int_equal(channel_open(fds, &why), 0);
        assert_int_equal(send(fds[0], "short", 5, 0), 5);
        assert_int_equal(channel_receive(fds[1], &got, &fd, 0), -EBADMSG);
        /* a text without its end is given one */
        struct channel_message full;
        memset(&full, 'x', sizeof(full));
        assert_int_equal(channel_send(fds[0], &full, -1), 0);
        assert_int_equal(channel_receive(fds[1], &got, &fd, 0), 1);
        assert_int_equal(strlen(got.text), sizeof(got.text) - 1);
        close(fds[0]);
        close(fds[1]);
}

/* How many messages the other side has without reading. */
static int fill(int channel)
{
        const struct channel_message m = {.kind = CHANNEL_RELOAD};
        int sent = 0;
        while (channel_send(channel, &m, -1) == 0)
                sent++;
        return sent;
}

static void test_nobody_waits_to_send(void **state)
{
        int fds[2];
        struct why why;
        struct channel_queue q;
        assert_int_equal(channel_open(fds, &why), 0);
        channel_queue_init(&q);
        int sent = fill(fds[0]);
        assert_in_range(sent, 1, 100000);
        struct channel_message m = {.kind = CHANNEL_SOCKET};
        assert_int_equal(channel_send(fds[0], &m, -1), -EAGAIN);

        /* what has no room waits, with a copy of its descriptor */
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(channel_queue_send(&q, fds[0], &m, ends[1]), 0);
        close(ends[1]);
        for (uint32_t i = 1; i < 500; i++) {
                m.loop = i;
                assert_int_equal(channel_queue_send(&q, fds[0], &m, -1), 0);
        }
        assert_int_equal(q.count, 500);
        assert_int_equal(channel_queue_flush(&q, fds[0]), -EAGAIN);

        /* and comes in order, behind what was sent before it */
        struct channel_message got;
        int fd;
        for (int i = 0; i < sent; i++) {
                assert_int_equal(channel_receive(fds[1], &got, &fd, MSG_DONTWAIT), 1);
                assert_int_equal(got.kind, CHANNEL_RELOAD);
        }
        m.loop = 500;
        assert_int_equal(channel_queue_send(&q, fds[0], &m, -1), 0); /* room, but others wait */
        for (uint32_t i = 0; i <= 500;) {
                int rc = channel_receive(fds[1], &got, &fd, MSG_DONTWAIT);
                if (rc == -EAGAIN) {
                        assert_true(q.count > 0);
                        channel_queue_flush(&q, fds[0]);
                        continue;
                }
                assert_int_equal(rc, 1);
                assert_int_equal(got.kind, CHANNEL_SOCKET);
                assert_int_equal(got.loop, i);
                assert_int_equal(fd >= 0, i == 0);
                if (fd >= 0) {
                        assert_int_equal(write(fd, "x", 1), 1);
                        close(fd);
                }
                i++;
        }
        char byte;
        assert_int_equal(read(ends[0], &byte, 1), 1);
        assert_int_equal(read(ends[0], &byte, 1), 0); /* no copy is left open */
        close(ends[0]);
        assert_int_equal(channel_queue_flush(&q, fds[0]), 0);
        close(fds[0]);
        close(fds[1]);
}

static void test_a_full_queue(void **state)
{
        int fds[2], ends[2];
        struct why why;
        struct channel_queue q;
        assert_int_equal(channel_open(fds, &why), 0);
        assert_int_equal(pipe(ends), 0);
        channel_queue_init(&q);
        fill(fds[0]);
        const struct channel_message m = {.kind = CHANNEL_RELOAD};
        assert_int_equal(channel_queue_send(&q, fds[0], &m, ends[1]), 0);
        for (int i = 1; i < CHANNEL_QUEUE_MAX; i++)
                assert_int_equal(channel_queue_send(&q, fds[0], &m, -1), 0);
        assert_int_equal(channel_queue_send(&q, fds[0], &m, -1), -ENOBUFS);
        assert_int_equal(q.count, CHANNEL_QUEUE_MAX);

        /* the other side ends: nothing waits for it any more, and no descriptor stays open */
        close(fds[1]);
        assert_int_equal(channel_queue_flush(&q, fds[0]), -ECONNRESET);
        assert_int_equal(q.count, 0);
        close(ends[1]);
        char byte;
        assert_int_equal(read(ends[0], &byte, 1), 0);
        close(ends[0]);
        assert_int_equal(channel_queue_send(&q, fds[0], &m, -1), -EPIPE);
        channel_queue_clear(&q);
        close(fds[0]);
}

static void test_numbers(void **state)
{
        struct channel_question q = {0};
        struct channel_message m = {.kind = CHANNEL_DONE};
        assert_false(channel_question_is_answer(&q, &m)); /* nothing was asked */
        m.number = channel_question_ask(&q);
        assert_true(channel_question_is_answer(&q, &m));
        channel_question_give_up(&q);
        assert_false(channel_question_is_answer(&q, &m));
        channel_question_reopen(&q);
        assert_true(channel_question_is_answer(&q, &m)); /* the rest of it */
        uint32_t second = channel_question_ask(&q);
        assert_false(channel_question_is_answer(&q, &m)); /* late: of the one that was given up */
        m.number = second;
        assert_true(channel_question_is_answer(&q, &m));
        m.number = 0;
        assert_false(channel_question_is_answer(&q, &m));
        /* after four thousand million of them too */
        q.number = UINT32_MAX;
        m.number = channel_question_ask(&q);
        assert_int_not_equal(m.number, 0);
        assert_true(channel_question_is_answer(&q, &m));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_messages),
                cmocka_unit_test(test_not_a_message),
                cmocka_unit_test(test_nobody_waits_to_send),
                cmocka_unit_test(test_a_full_queue),
                cmocka_unit_test(test_numbers),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
