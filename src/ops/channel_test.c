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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_messages),
                cmocka_unit_test(test_not_a_message),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
