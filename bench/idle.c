/*
 * idle.c - SMTP clients that say EHLO, and then nothing
 *
 *   forepost-idle [OPTION...] ADDRESS PORT
 *     -n N    sessions (1000)
 *     -a N    come from so many addresses, 127.1.0.1 and on, in turn (1)
 *     -s      STARTTLS, and EHLO again
 *
 * When all sessions stand it prints {"open": N, "seconds": S}. They are held until standard input ends; then it looks
 * whether the server has said anything to one of them, or has left it, and prints {"lost": N}. Exit 0 when none was.
 *
 * What a session under TLS needs on this side is given back when it stands: nothing more will be said. So this program stays
 * small, whatever the server takes.
 *
 * One thread, blocking, but some sessions at a time, so that the server works on one while another is talked to. Only
 * loopback is spoken to.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
        SESSIONS_MAX = 100000,
        ADDRESSES_MAX = 1 << 16,
        AT_A_TIME = 64,
        REPLY_BYTES_MAX = 4096,
        PATIENCE_SECONDS = 60, /* for one reply */
};

static struct {
        struct sockaddr_in server;
        long sessions, addresses;
        bool wants_tls;
} options = {.sessions = 1000, .addresses = 1};

struct session {
        int fd;
        SSL *ssl; /* NULL: in the clear */
};

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "forepost-idle: %s: %s\n", what, strerror(errno));
        exit(2);
}

static _Noreturn void die_of(const char *what, const char *text)
{
        fprintf(stderr, "forepost-idle: %s: %s\n", what, text);
        exit(2);
}

static double now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- one session ---- */

static void session_connect(struct session *s, long number)
{
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr = htonl(0x7f010001U + (uint32_t)(number % options.addresses));
        struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
        int one = 1;
        s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (s->fd < 0)
                die("socket");
        setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        /* the port is chosen at connect: the same one may be used from several addresses */
        setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
        if (bind(s->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
                die("bind");
        if (connect(s->fd, (struct sockaddr *)&options.server, sizeof(options.server)) < 0)
                die("connect");
}

static void session_say(struct session *s, const char *line)
{
        int length = (int)strlen(line);
        int n = s->ssl ? SSL_write(s->ssl, line, length)
                       : (int)send(s->fd, line, (size_t)length, MSG_NOSIGNAL);
        if (n != length)
                die("send");
}

/* Is the last line of what came a whole one that ends a reply? */
static bool is_whole(const char *text, size_t length)
{
        if (length < 5 || text[length - 1] != '\n')
                return false;
        size_t at = length - 1;
        while (at && text[at - 1] != '\n')
                at--;
        return length - at >= 5 && text[at + 3] == ' ';
}

/* Nothing but the reply may come: the server does not speak on its own. */
static void session_hear(struct session *s, const char *code)
{
        static char text[REPLY_BYTES_MAX + 1];
        size_t length = 0;
        while (!is_whole(text, length)) {
                int room = (int)(REPLY_BYTES_MAX - length);
                int n = s->ssl ? SSL_read(s->ssl, text + length, room)
                               : (int)recv(s->fd, text + length, (size_t)room, 0);
                if (n <= 0)
                        die_of("no whole reply", n == 0 ? "the connection ended" : strerror(errno));
                length += (size_t)n;
        }
        text[length] = '\0';
        if (strncmp(text, code, strlen(code)) != 0)
                die_of("refused", text);
}

static void session_start_tls(struct session *s, SSL_CTX *tls)
{
        s->ssl = SSL_new(tls);
        if (!s->ssl || SSL_set_fd(s->ssl, s->fd) != 1)
                die("memory");
        if (SSL_connect(s->ssl) != 1)
                die_of("TLS", ERR_reason_error_string(ERR_peek_error()));
}

/* ---- many ---- */

static void sessions_open(struct session *some, long first, long count, SSL_CTX *tls)
{
        static const char ehlo[] = "EHLO idle.client.test\r\n";
        for (long i = 0; i < count; i++)
                session_connect(&some[i], first + i);
        for (long i = 0; i < count; i++) {
                session_hear(&some[i], "220");
                session_say(&some[i], ehlo);
        }
        for (long i = 0; i < count; i++) {
                session_hear(&some[i], "250");
                if (tls)
                        session_say(&some[i], "STARTTLS\r\n");
        }
        for (long i = 0; tls && i < count; i++) {
                session_hear(&some[i], "220");
                session_start_tls(&some[i], tls);
                session_say(&some[i], ehlo);
        }
        for (long i = 0; tls && i < count; i++) {
                session_hear(&some[i], "250");
                SSL_free(some[i].ssl); /* says nothing, and leaves the socket open */
                some[i].ssl = NULL;
        }
}

static long sessions_lost(const struct session *all)
{
        long lost = 0;
        for (long i = 0; i < options.sessions; i++) {
                struct pollfd p = {.fd = all[i].fd, .events = POLLIN | POLLRDHUP};
                lost += poll(&p, 1, 0) != 0;
        }
        return lost;
}

static void wait_for_end_of_input(void)
{
        char rubbish[256];
        while (read(STDIN_FILENO, rubbish, sizeof(rubbish)) > 0)
                ;
}

static void options_read(int argc, char **argv)
{
        int o;
        while ((o = getopt(argc, argv, "n:a:s")) != -1) {
                switch (o) {
                case 'n':
                        options.sessions = number_option(optarg, 1, SESSIONS_MAX, 'n');
                        break;
                case 'a':
                        options.addresses = number_option(optarg, 1, ADDRESSES_MAX, 'a');
                        break;
                case 's':
                        options.wants_tls = true;
                        break;
                default:
                        exit(2);
                }
        }
        if (argc - optind != 2) {
                fprintf(stderr, "usage: forepost-idle [OPTION...] ADDRESS PORT\n");
                exit(2);
        }
        options.server = server_option(argv[optind], argv[optind + 1]);
}

int main(int argc, char **argv)
{
        options_read(argc, argv);
        struct session *all = calloc((size_t)options.sessions, sizeof(*all));
        SSL_CTX *tls = options.wants_tls ? SSL_CTX_new(TLS_client_method()) : NULL;
        if (!all || (options.wants_tls && !tls))
                die("start");
        double begin = now();
        for (long at = 0; at < options.sessions; at += AT_A_TIME) {
                long left = options.sessions - at;
                sessions_open(all + at, at, left < AT_A_TIME ? left : AT_A_TIME, tls);
        }
        printf("{\"open\": %ld, \"seconds\": %.3f}\n", options.sessions, now() - begin);
        fflush(stdout);
        wait_for_end_of_input();
        long lost = sessions_lost(all);
        printf("{\"lost\": %ld}\n", lost);
        return lost ? 1 : 0;
}
