/*
 * sink.c - a next hop that takes every message and keeps none: it counts
 *
 *   forepost-sink ADDRESS PORT FILE
 *
 * FILE becomes an array of four 64-bit numbers, in the machine's order, that are always current:
 * messages, bytes of their text, connections, and when the last message came (CLOCK_MONOTONIC,
 * nanoseconds). SIGTERM ends it.
 *
 * One thread, epoll. Offers PIPELINING, SIZE, 8BITMIME, SMTPUTF8, DSN, ENHANCEDSTATUSCODES. Listens on
 * loopback only; with the address 0.0.0.0 on all of 127.0.0.0/8, and nobody else is served.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_BYTES_MAX = 65536, OUT_BYTES_MAX = 16384 };

struct counts {
        uint64_t messages, bytes, connections, last_ns;
};

struct connection {
        int fd;
        bool is_in_text;
        unsigned end_seen; /* of CR LF "." CR LF: how much was there at the last byte */
        size_t in_length, out_length;
        char in[IN_BYTES_MAX];
        char out[OUT_BYTES_MAX];
};

static volatile struct counts *counts;

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "forepost-sink: %s: %s\n", what, strerror(errno));
        exit(2);
}

static void say(struct connection *c, const char *line)
{
        size_t length = strlen(line);
        if (c->out_length + length + 2 > sizeof(c->out))
                return; /* a client that pipelines thousands of commands and reads nothing */
        memcpy(c->out + c->out_length, line, length);
        memcpy(c->out + c->out_length + length, "\r\n", 2);
        c->out_length += length + 2;
}

static void count_message(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        counts->last_ns = (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
        counts->messages++;
}

/* Reads text until CR LF "." CR LF; returns how many bytes belong to it. */
static size_t text_take(struct connection *c, const char *data, size_t length)
{
        static const char end[] = "\r\n.\r\n";
        size_t i = 0;
        while (i < length) {
                if (c->end_seen == 0) {
                        const char *cr = memchr(data + i, '\r', length - i);
                        if (!cr)
                                return length;
                        i = (size_t)(cr - data);
                }
                if (data[i] == end[c->end_seen])
                        c->end_seen++;
                else
                        c->end_seen = data[i] == '\r';
                i++;
                if (c->end_seen == sizeof(end) - 1) {
                        c->is_in_text = false;
                        break;
                }
        }
        return i;
}

static bool is_verb(const char *line, size_t length, const char *verb)
{
        return length >= 4 && strncasecmp(line, verb, 4) == 0;
}

/* One command. False: the client said QUIT. */
static bool on_command(struct connection *c, const char *line, size_t length)
{
        if (is_verb(line, length, "EHLO")) {
                say(c, "250-sink.test\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n"
                       "250-SMTPUTF8\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES");
        } else if (is_verb(line, length, "DATA")) {
                say(c, "354 go on");
                c->is_in_text = true;
                c->end_seen = 2; /* as after CR LF: an empty text is "." at once */
        } else if (is_verb(line, length, "QUIT")) {
                say(c, "221 2.0.0 bye");
                return false;
        } else {
                say(c, "250 2.0.0 ok");
        }
        return true;
}

/* All that has come. False: the connection is over. */
static bool on_input(struct connection *c)
{
        size_t at = 0;
        bool goes_on = true;
        while (at < c->in_length && goes_on) {
                if (c->is_in_text) {
                        size_t taken = text_take(c, c->in + at, c->in_length - at);
                        counts->bytes += taken;
                        at += taken;
                        if (!c->is_in_text) {
                                count_message();
                                say(c, "250 2.0.0 taken");
                        }
                        continue;
                }
                const char *newline = memchr(c->in + at, '\n', c->in_length - at);
                if (!newline)
                        break;
                size_t length = (size_t)(newline - (c->in + at)) + 1;
                goes_on = on_command(c, c->in + at, length);
                at += length;
        }
        c->in_length -= at;
        memmove(c->in, c->in + at, c->in_length);
        return goes_on && c->in_length < sizeof(c->in);
}

/* Replies are short and the peer waits for them: a full socket buffer means that it does not. */
static bool flush(struct connection *c)
{
        size_t done = 0;
        while (done < c->out_length) {
                ssize_t n = send(c->fd, c->out + done, c->out_length - done, MSG_NOSIGNAL);
                if (n <= 0)
                        return false;
                done += (size_t)n;
        }
        c->out_length = 0;
        return true;
}

static void on_connection(int poll_fd, int listener)
{
        for (;;) {
                struct sockaddr_in peer = {0};
                socklen_t length = sizeof(peer);
                int fd = accept4(listener, (struct sockaddr *)&peer, &length,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0)
                        return;
                if (ntohl(peer.sin_addr.s_addr) >> 24 != 127) {
                        close(fd);
                        continue;
                }
                struct connection *c = malloc(sizeof(*c));
                if (!c)
                        die("memory");
                c->fd = fd;
                c->is_in_text = false;
                c->in_length = c->out_length = 0;
                int one = 1;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                counts->connections++;
                say(c, "220 sink.test ESMTP");
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
                if (!flush(c) || epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
                        close(fd);
                        free(c);
                }
        }
}

static void on_readable(struct connection *c)
{
        ssize_t n = recv(c->fd, c->in + c->in_length, sizeof(c->in) - c->in_length, 0);
        if (n < 0 && errno == EAGAIN)
                return;
        bool goes_on = n > 0;
        if (goes_on) {
                c->in_length += (size_t)n;
                goes_on = on_input(c);
                goes_on = flush(c) && goes_on;
        }
        if (!goes_on) {
                close(c->fd);
                free(c);
        }
}

static void counts_open(const char *path)
{
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0 || ftruncate(fd, sizeof(*counts)) < 0)
                die(path);
        counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (counts == MAP_FAILED)
                die(path);
        close(fd);
}

static int listener_open(const char *address, const char *port)
{
        struct sockaddr_in here = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
        if (inet_pton(AF_INET, address, &here.sin_addr) != 1 ||
            (here.sin_addr.s_addr && ntohl(here.sin_addr.s_addr) >> 24 != 127)) {
                fprintf(stderr, "forepost-sink: listens on loopback addresses only, not %s\n",
                        address);
                exit(2);
        }
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int one = 1;
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
            bind(fd, (const struct sockaddr *)&here, sizeof(here)) < 0 || listen(fd, 4096) < 0)
                die("listen");
        return fd;
}

int main(int argc, char **argv)
{
        if (argc != 4) {
                fprintf(stderr, "usage: forepost-sink ADDRESS PORT FILE\n");
                return 2;
        }
        counts_open(argv[3]);
        int listener = listener_open(argv[1], argv[2]);
        int poll_fd = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[64];
        if (poll_fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event) < 0)
                die("epoll");
        for (;;) {
                int n = epoll_wait(poll_fd, events, 64, -1);
                if (n < 0 && errno != EINTR)
                        die("epoll_wait");
                for (int i = 0; i < n; i++) {
                        if (events[i].data.ptr)
                                on_readable(events[i].data.ptr);
                        else
                                on_connection(poll_fd, listener);
                }
        }
}
