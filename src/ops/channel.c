/* channel.c - what supervisor and worker say to each other */
#include "ops/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
};

int channel_open(int fds[2], struct why *why)
{
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return why_set(why, -errno, "cannot make a socket pair: %s", why_errno(errno));
        return 0;
}

int channel_send(int channel, const struct channel_message *message, int fd)
{
        struct iovec bytes = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message)};
        union control control = {.bytes = {0}};
        struct msghdr m = {.msg_iov = &bytes, .msg_iovlen = 1};
        if (fd >= 0) {
                m.msg_control = control.bytes;
                m.msg_controllen = sizeof(control.bytes);
                struct cmsghdr *c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(c), &fd, sizeof(int));
        }
        ssize_t n;
        do {
                n = sendmsg(channel, &m, MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

static int passed_descriptor(struct msghdr *m)
{
        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                int fd;
                memcpy(&fd, CMSG_DATA(c), sizeof(fd));
                return fd;
        }
        return -1;
}

int channel_receive(int channel, struct channel_message *message, int *fd, int flags)
{
        struct iovec bytes = {.iov_base = message, .iov_len = sizeof(*message)};
        union control control;
        struct msghdr m = {.msg_iov = &bytes,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof(control.bytes)};
        *fd = -1;
        ssize_t n;
        do {
                n = recvmsg(channel, &m, flags | MSG_CMSG_CLOEXEC);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == ECONNRESET ? 0 : -errno;
        if (n == 0)
                return 0;
        *fd = passed_descriptor(&m);
        if ((size_t)n != sizeof(*message)) {
                if (*fd >= 0)
                        close(*fd);
                return -EBADMSG;
        }
        message->text[sizeof(message->text) - 1] = 0;
        return 1;
}
