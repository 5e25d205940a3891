/* channel.c - what supervisor and worker say to each other */
#include "ops/channel.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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
                n = sendmsg(channel, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
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

/* ---- what waits to be sent ---- */

struct waiting {
        struct list link;
        struct channel_message message;
        int fd; /* our own copy; -1: none */
};

static void drop(struct channel_queue *q, struct waiting *w)
{
        list_remove(&w->link);
        q->count--;
        if (w->fd >= 0)
                close(w->fd);
        free(w);
}

void channel_queue_init(struct channel_queue *q)
{
        list_init(&q->waiting);
        q->count = 0;
}

void channel_queue_clear(struct channel_queue *q)
{
        list_each (link, &q->waiting) {
                drop(q, list_of(link, struct waiting, link));
        }
}

static int append(struct channel_queue *q, const struct channel_message *message, int fd)
{
        if (q->count >= CHANNEL_QUEUE_MAX)
                return -ENOBUFS;
        int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (fd >= 0 && copy < 0)
                return -errno;
        struct waiting *w = malloc(sizeof(*w));
        check(w);
        *w = (struct waiting){.message = *message, .fd = copy};
        list_add_last(&q->waiting, &w->link);
        q->count++;
        return 0;
}

int channel_queue_send(struct channel_queue *q, int channel, const struct channel_message *message,
                       int fd)
{
        if (q->count)
                return append(q, message, fd);
        int rc = channel_send(channel, message, fd);
        return rc == -EAGAIN ? append(q, message, fd) : rc;
}

int channel_queue_flush(struct channel_queue *q, int channel)
{
        while (q->count) {
                struct waiting *w = list_of(q->waiting.next, struct waiting, link);
                int rc = channel_send(channel, &w->message, w->fd);
                if (rc == -EAGAIN)
                        return rc;
                if (rc < 0) {
                        channel_queue_clear(q);
                        return rc;
                }
                drop(q, w);
        }
        return 0;
}

/* ---- questions ---- */

uint32_t channel_question_ask(struct channel_question *q)
{
        if (++q->number == 0) /* what is nobody's answer */
                q->number = 1;
        q->is_open = true;
        return q->number;
}

void channel_question_reopen(struct channel_question *q)
{
        q->is_open = true;
}

void channel_question_give_up(struct channel_question *q)
{
        q->is_open = false;
}

bool channel_question_is_answer(const struct channel_question *q,
                                const struct channel_message *message)
{
        return q->is_open && message->number == q->number;
}
