/*
 * load.c - an SMTP client that is many: sends messages as fast as a server takes them
 *
 *   forepost-load [OPTION...] ADDRESS PORT
 *     -n N       messages (or refused sessions) in all (1000)
 *     -c N       connections at once (20)
 *     -s BYTES   size of a message, header and all (4096)
 *     -d         keep connections: each sends messages until all are sent; else one a connection
 *     -r         the recipients are unknown: expect a 5xx to RCPT, and send nothing
 *     -g         the client is refused in the greeting: expect a 5xx there, and send nothing
 *     -b ADDR    the address to come from, in 127.0.0.0/8
 *     -t ADDR    recipient; "{n}" in it is the message's number, modulo -u (user{n}@relay.test)
 *     -u N       so many different recipients (1000)
 *     -f ADDR    sender (load@client.test)
 *     -o FILE    write the number of each message that got its 250, one a line
 *     -R N       begin at most N messages a second, in even steps: the same load for servers of any speed
 *     -k SECONDS go on: what fails is sent again, until so long after it was begun
 *     -T SECONDS give up altogether (300)
 *
 * Prints one JSON object; median_ms and p99_ms are of whole messages, dot_... from the last byte of the text to
 * its 250. Exit 0 when every message got what was expected.
 *
 * Every message tells what it must hold: "X-Load: NUMBER SHA256", the digest of its body with LF for
 * CR LF. With -o each body is a different one; without, all are the same, so that little of the machine
 * is spent here. Bodies have lines that begin with a dot and with "From ".
 *
 * One thread, epoll. Waits for every reply (no pipelining), as most clients do. Only loopback is spoken
 * to.
 */
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
        CLIENTS_MAX = 10000,
        MESSAGE_BYTES_MAX = 64 << 20,
        REPLY_BYTES_MAX = 4096,
        HEADER_ROOM = 1024,
};

enum stage {
        STAGE_IDLE, /* no connection */
        STAGE_CONNECT,
        STAGE_GREETING,
        STAGE_EHLO,
        STAGE_MAIL,
        STAGE_RCPT,
        STAGE_DATA,
        STAGE_TEXT,
        STAGE_RSET,
        STAGE_QUIT,
};

struct client {
        int fd;
        enum stage stage;
        long number;        /* of the message it sends, from 1; 0: none */
        int64_t begin_ns;   /* of this attempt */
        int64_t dot_ns;     /* when the last byte of the text was sent */
        int64_t not_before; /* when to try again */
        char *out;          /* what is being sent */
        size_t out_room, out_length, out_done;
        char in[REPLY_BYTES_MAX];
        size_t in_length;
};

static struct {
        struct sockaddr_in server;
        long messages, connections, recipients;
        size_t bytes;
        bool keeps_connections, expects_refusal, expects_no_greeting, has_own_bodies;
        struct sockaddr_in source; /* family 0: any */
        const char *to, *from;
        FILE *record;
        int64_t retry_ns, limit_ns;
        long rate; /* 0: as fast as it goes */
} options = {
        .messages = 1000,
        .connections = 20,
        .recipients = 1000,
        .bytes = 4096,
        .to = "user{n}@relay.test",
        .from = "load@client.test",
        .limit_ns = 300 * INT64_C(1000000000),
};

static struct {
        long next; /* number of the next message to begin */
        long accepted, refused, failed, retried;
        int64_t *took_ns; /* of each message that came through */
        int64_t *dot_ns;
        int64_t begin_ns;
        char failure[256]; /* the first one */
} totals = {.next = 1};

static int poll_fd;
static struct client *clients;
static char *common_body;
static size_t common_body_length;
static char common_digest[2 * SHA256_DIGEST_LENGTH + 1];

static int64_t now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "forepost-load: %s: %s\n", what, strerror(errno));
        exit(2);
}

/* ---- messages ---- */

static uint64_t random_next(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

/* Text of about `bytes` bytes that depends on `seed` alone: lines of up to 70 letters, with CR LF. */
static size_t body_make(char *out, size_t bytes, uint64_t seed)
{
        static const char letters[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
        size_t at = 0;
        while (at < bytes) {
                size_t line = bytes - at > 72 ? 70 : bytes - at;
                uint64_t kind = random_next(&state) % 16;
                for (size_t i = 0; i < line; i += 10) {
                        uint64_t word = random_next(&state);
                        for (size_t j = i; j < line && j < i + 10; j++, word >>= 6)
                                out[at + j] = letters[word & 63];
                }
                if (kind == 0)
                        out[at] = '.';
                else if (kind == 1 && line > 5)
                        memcpy(out + at, "From ", 5);
                at += line;
                out[at++] = '\r';
                out[at++] = '\n';
        }
        return at;
}

/* The digest of the body with LF for CR LF, as it will lie in a Maildir. */
static void body_digest(const char *body, size_t length,
                        char hex[static 2 * SHA256_DIGEST_LENGTH + 1])
{
        static char *plain;
        static size_t room;
        if (room < length) {
                room = length;
                plain = realloc(plain, room);
                if (!plain)
                        die("memory");
        }
        size_t n = 0;
        for (size_t i = 0; i < length; i++) {
                if (body[i] != '\r')
                        plain[n++] = body[i];
        }
        unsigned char digest[SHA256_DIGEST_LENGTH];
        SHA256((const unsigned char *)plain, n, digest);
        for (size_t i = 0; i < sizeof(digest); i++)
                snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void out_append(struct client *c, const char *data, size_t length)
{
        if (c->out_length + length > c->out_room) {
                c->out_room = 2 * (c->out_length + length);
                c->out = realloc(c->out, c->out_room);
                if (!c->out)
                        die("memory");
        }
        memcpy(c->out + c->out_length, data, length);
        c->out_length += length;
}

static void out_append_stuffed(struct client *c, const char *body, size_t length)
{
        const char *end = body + length;
        while (body < end) {
                const char *newline = memchr(body, '\n', (size_t)(end - body));
                const char *next = newline ? newline + 1 : end;
                if (*body == '.')
                        out_append(c, ".", 1);
                out_append(c, body, (size_t)(next - body));
                body = next;
        }
}

/* The recipient of a message: options.to with "{n}" filled in. */
static void recipient_format(long number, char *out, size_t room)
{
        const char *mark = strstr(options.to, "{n}");
        if (!mark)
                snprintf(out, room, "%s", options.to);
        else
                snprintf(out, room, "%.*s%ld%s", (int)(mark - options.to), options.to,
                         1 + (number - 1) % options.recipients, mark + 3);
}

static void message_append(struct client *c)
{
        static char *own_body;
        const char *body = common_body;
        size_t length = common_body_length;
        char own_digest[2 * SHA256_DIGEST_LENGTH + 1], to[256];
        static char header[HEADER_ROOM];
        const char *digest = common_digest;
        if (options.has_own_bodies) {
                if (!own_body && !(own_body = malloc(options.bytes + 100)))
                        die("memory");
                length = body_make(own_body, options.bytes, (uint64_t)c->number);
                body_digest(own_body, length, own_digest);
                body = own_body;
                digest = own_digest;
        }
        recipient_format(c->number, to, sizeof(to));
        int n = snprintf(header, sizeof(header),
                         "From: <%s>\r\nTo: <%s>\r\nSubject: load %ld\r\n"
                         "Message-ID: <%ld.%ld@load.test>\r\nX-Load: %ld %s\r\n\r\n",
                         options.from, to, c->number, c->number, (long)getpid(), c->number, digest);
        out_append(c, header, (size_t)n);
        out_append_stuffed(c, body, length);
        out_append(c, ".\r\n", 3);
}

/* ---- connections ---- */

static void client_watch(struct client *c, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.ptr = c};
        if (epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
                die("epoll_ctl");
}

static void client_close(struct client *c)
{
        if (c->fd >= 0)
                close(c->fd);
        c->fd = -1;
        c->stage = STAGE_IDLE;
        c->in_length = c->out_length = c->out_done = 0;
}

/* This attempt is over without its result. Is it made again? */
static void client_fail(struct client *c, const char *why, const char *detail)
{
        int64_t now = now_ns();
        client_close(c);
        if (!c->number)
                return; /* after QUIT: its messages have their results */
        if (!*totals.failure)
                snprintf(totals.failure, sizeof(totals.failure), "message %ld: %s%s", c->number,
                         why, detail);
        if (now - c->begin_ns < options.retry_ns) {
                totals.retried++;
                c->not_before = now + INT64_C(20000000);
        } else {
                totals.failed++;
                c->number = 0;
        }
}

static void client_begin_message(struct client *c)
{
        if (c->number || totals.next > options.messages)
                return;
        if (options.rate && (double)(now_ns() - totals.begin_ns) / 1e9 * (double)options.rate <
                                    (double)(totals.next - 1))
                return;
        c->number = totals.next++;
        c->begin_ns = now_ns();
}

static void client_connect(struct client *c)
{
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (c->fd < 0)
                die("socket");
        int one = 1;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
        if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
                die("epoll_ctl");
        c->stage = STAGE_CONNECT;
        const struct sockaddr *source = (const struct sockaddr *)&options.source;
        if (options.source.sin_family) {
                /* the port is chosen at connect: the same one may be used towards several servers */
                setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
                if (bind(c->fd, source, sizeof(options.source)) < 0)
                        die("bind");
        }
        const struct sockaddr *server = (const struct sockaddr *)&options.server;
        if (connect(c->fd, server, sizeof(options.server)) < 0 && errno != EINPROGRESS)
                client_fail(c, "connect: ", strerror(errno));
}

static void client_flush(struct client *c)
{
        while (c->out_done < c->out_length) {
                ssize_t n = send(c->fd, c->out + c->out_done, c->out_length - c->out_done,
                                 MSG_NOSIGNAL);
                if (n < 0 && errno == EAGAIN) {
                        client_watch(c, EPOLLIN | EPOLLOUT);
                        return;
                }
                if (n < 0) {
                        client_fail(c, "send: ", strerror(errno));
                        return;
                }
                c->out_done += (size_t)n;
        }
        c->out_length = c->out_done = 0;
        c->dot_ns = now_ns();
        client_watch(c, EPOLLIN);
}

static void __attribute__((format(printf, 3, 4)))
client_say(struct client *c, enum stage stage, const char *format, ...)
{
        static char line[1024]; /* one thread */
        va_list arguments;
        va_start(arguments, format);
        int n = vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        out_append(c, line, (size_t)n);
        c->stage = stage;
        client_flush(c);
}

/* ---- the conversation ---- */

static void client_count(struct client *c)
{
        int64_t now = now_ns();
        totals.took_ns[totals.accepted + totals.refused] = now - c->begin_ns;
        totals.dot_ns[totals.accepted + totals.refused] = now - c->dot_ns;
        if (options.expects_refusal) {
                totals.refused++;
        } else {
                totals.accepted++;
                if (options.record)
                        fprintf(options.record, "%ld\n", c->number);
        }
        c->number = 0;
}

static void client_say_mail(struct client *c)
{
        client_say(c, STAGE_MAIL, "MAIL FROM:<%s>\r\n", options.from);
}

/* What follows a message: the next one on this connection, or the end of it. */
static void client_go_on(struct client *c)
{
        if (options.keeps_connections)
                client_begin_message(c);
        if (!c->number)
                client_say(c, STAGE_QUIT, "QUIT\r\n");
        else if (options.expects_refusal)
                client_say(c, STAGE_RSET, "RSET\r\n");
        else
                client_say_mail(c);
}

static void client_on_rcpt(struct client *c, int code, const char *line)
{
        if (options.expects_refusal) {
                if (code / 100 != 5) {
                        client_fail(c, "not refused: ", line);
                        return;
                }
                client_count(c);
                client_go_on(c);
        } else if (code / 100 == 2) {
                client_say(c, STAGE_DATA, "DATA\r\n");
        } else {
                client_fail(c, "RCPT: ", line);
        }
}

static void client_on_reply(struct client *c, int code, const char *line)
{
        char to[256];
        bool is_ok = code / 100 == 2;
        switch (c->stage) {
        case STAGE_GREETING:
                if (options.expects_no_greeting && code / 100 == 5) {
                        client_count(c);
                        client_say(c, STAGE_QUIT, "QUIT\r\n");
                        return;
                }
                if (is_ok)
                        client_say(c, STAGE_EHLO, "EHLO load.client.test\r\n");
                break;
        case STAGE_EHLO:
        case STAGE_RSET:
                if (is_ok)
                        client_say_mail(c);
                break;
        case STAGE_MAIL:
                recipient_format(c->number, to, sizeof(to));
                if (is_ok)
                        client_say(c, STAGE_RCPT, "RCPT TO:<%s>\r\n", to);
                break;
        case STAGE_RCPT:
                client_on_rcpt(c, code, line);
                return;
        case STAGE_DATA:
                is_ok = code == 354;
                if (is_ok) {
                        message_append(c);
                        c->stage = STAGE_TEXT;
                        client_flush(c);
                }
                break;
        case STAGE_TEXT:
                if (is_ok) {
                        client_count(c);
                        client_go_on(c);
                }
                break;
        case STAGE_QUIT:
                client_close(c);
                return;
        case STAGE_IDLE:
        case STAGE_CONNECT:
                return;
        }
        if (!is_ok)
                client_fail(c, "refused: ", line);
}

/* Takes whole replies off the front of what came. Lines "250-..." are skipped. */
static void client_read_replies(struct client *c)
{
        char *newline;
        while (c->in_length && (newline = memchr(c->in, '\n', c->in_length))) {
                size_t length = (size_t)(newline - c->in) + 1;
                char line[256];
                snprintf(line, sizeof(line), "%.*s", (int)length - 1, c->in);
                line[strcspn(line, "\r")] = '\0';
                c->in_length -= length;
                memmove(c->in, newline + 1, c->in_length);
                if (length < 5 || line[3] == '-')
                        continue;
                client_on_reply(c, (int)strtol(line, NULL, 10), line);
        }
}

static void client_on_event(struct client *c, uint32_t events)
{
        if (c->stage == STAGE_CONNECT) {
                int error = 0;
                socklen_t length = sizeof(error);
                getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
                if (error) {
                        client_fail(c, "connect: ", strerror(error));
                        return;
                }
                if (!(events & EPOLLOUT))
                        return;
                c->stage = STAGE_GREETING;
                client_watch(c, EPOLLIN);
        }
        if (c->out_length && (events & EPOLLOUT))
                client_flush(c);
        if (c->fd < 0 || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                return;
        ssize_t n = recv(c->fd, c->in + c->in_length, sizeof(c->in) - c->in_length, 0);
        if (n < 0 && errno == EAGAIN)
                return;
        if (n <= 0) {
                client_fail(c, "connection lost", n < 0 ? strerror(errno) : "");
                return;
        }
        c->in_length += (size_t)n;
        client_read_replies(c);
        if (c->in_length == sizeof(c->in))
                client_fail(c, "a reply without end", "");
}

/* ---- the whole ---- */

/* Starts what can start; returns how many clients still have something to do. */
static long clients_start(int64_t now)
{
        long busy = totals.next <= options.messages;
        for (long i = 0; i < options.connections; i++) {
                struct client *c = &clients[i];
                if (c->fd < 0) {
                        client_begin_message(c);
                        if (c->number && now >= c->not_before)
                                client_connect(c);
                }
                busy += c->fd >= 0 || c->number;
        }
        return busy;
}

static void clients_run(void)
{
        int64_t end = now_ns() + options.limit_ns;
        struct epoll_event events[64];
        for (;;) {
                int64_t now = now_ns();
                if (!clients_start(now) || now > end)
                        return;
                int n = epoll_wait(poll_fd, events, 64, options.rate ? 1 : 20);
                if (n < 0 && errno != EINTR)
                        die("epoll_wait");
                for (int i = 0; i < n; i++) {
                        struct client *c = events[i].data.ptr;
                        if (c->fd >= 0)
                                client_on_event(c, events[i].events);
                }
        }
}

static int compare_times(const void *a, const void *b)
{
        const int64_t *x = a, *y = b;
        return (*x > *y) - (*x < *y);
}

static void print_totals(double seconds)
{
        long done = totals.accepted + totals.refused;
        qsort(totals.took_ns, (size_t)done, sizeof(*totals.took_ns), compare_times);
        qsort(totals.dot_ns, (size_t)done, sizeof(*totals.dot_ns), compare_times);
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        double cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        for (char *p = totals.failure; *p; p++) {
                if (*p == '"' || *p == '\\' || (unsigned char)*p < 0x20)
                        *p = '\'';
        }
        printf("{\"accepted\": %ld, \"refused\": %ld, \"failed\": %ld, \"retried\": %ld, "
               "\"seconds\": %.3f, \"per_second\": %.1f, \"median_ms\": %.2f, \"p99_ms\": %.2f, "
               "\"dot_median_ms\": %.2f, \"dot_p99_ms\": %.2f, \"client_cpu_s\": %.3f, \"first_failure\": \"%s\"}\n",
               totals.accepted, totals.refused, options.messages - done, totals.retried, seconds,
               (double)done / seconds, done ? (double)totals.took_ns[done / 2] / 1e6 : 0,
               done ? (double)totals.took_ns[done - 1 - done / 100] / 1e6 : 0,
               done ? (double)totals.dot_ns[done / 2] / 1e6 : 0,
               done ? (double)totals.dot_ns[done - 1 - done / 100] / 1e6 : 0, cpu, totals.failure);
}

static void options_read(int argc, char **argv)
{
        int o;
        while ((o = getopt(argc, argv, "n:c:s:drgb:t:u:f:o:k:R:T:")) != -1) {
                switch (o) {
                case 'n':
                        options.messages = number_option(optarg, 1, 100000000, 'n');
                        break;
                case 'c':
                        options.connections = number_option(optarg, 1, CLIENTS_MAX, 'c');
                        break;
                case 's':
                        options.bytes = (size_t)number_option(optarg, 1, MESSAGE_BYTES_MAX, 's');
                        break;
                case 'd':
                        options.keeps_connections = true;
                        break;
                case 'r':
                        options.expects_refusal = true;
                        break;
                case 'g':
                        options.expects_refusal = options.expects_no_greeting = true;
                        break;
                case 'b':
                        options.source.sin_family = AF_INET;
                        if (inet_pton(AF_INET, optarg, &options.source.sin_addr) != 1)
                                die(optarg);
                        break;
                case 't':
                        options.to = optarg;
                        break;
                case 'u':
                        options.recipients = number_option(optarg, 1, 100000000, 'u');
                        break;
                case 'f':
                        options.from = optarg;
                        break;
                case 'o':
                        options.record = fopen(optarg, "we");
                        if (!options.record)
                                die(optarg);
                        /* Line by line, so that others can watch it grow. */
                        setvbuf(options.record, NULL, _IOLBF, 0);
                        options.has_own_bodies = true;
                        break;
                case 'k':
                        options.retry_ns =
                                number_option(optarg, 1, 3600, 'k') * INT64_C(1000000000);
                        break;
                case 'R':
                        options.rate = number_option(optarg, 1, 1000000, 'R');
                        break;
                case 'T':
                        options.limit_ns =
                                number_option(optarg, 1, 86400, 'T') * INT64_C(1000000000);
                        break;
                default:
                        exit(2);
                }
        }
        if (argc - optind != 2) {
                fprintf(stderr, "usage: forepost-load [OPTION...] ADDRESS PORT\n");
                exit(2);
        }
        options.server = server_option(argv[optind], argv[optind + 1]);
        if (options.connections > options.messages)
                options.connections = options.messages;
}

int main(int argc, char **argv)
{
        options_read(argc, argv);
        poll_fd = epoll_create1(EPOLL_CLOEXEC);
        clients = calloc((size_t)options.connections, sizeof(*clients));
        totals.took_ns = calloc((size_t)options.messages, sizeof(*totals.took_ns));
        /* The header takes its part of the size. */
        options.bytes = options.bytes > 400 ? options.bytes - 300 : 100;
        common_body = malloc(options.bytes + 100);
        totals.dot_ns = calloc((size_t)options.messages, sizeof(*totals.dot_ns));
        if (poll_fd < 0 || !clients || !totals.took_ns || !totals.dot_ns || !common_body)
                die("start");
        for (long i = 0; i < options.connections; i++)
                clients[i].fd = -1;
        common_body_length = body_make(common_body, options.bytes, 0);
        body_digest(common_body, common_body_length, common_digest);

        int64_t begin = totals.begin_ns = now_ns();
        clients_run();
        if (options.record && fclose(options.record) != 0)
                die("record");
        print_totals((double)(now_ns() - begin) / 1e9);
        return totals.accepted + totals.refused == options.messages ? 0 : 1;
}
