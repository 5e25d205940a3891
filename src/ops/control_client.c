/* control_client.c - asking a server that runs; blocking, for commands */
#include "ops/control_client.h"

#include "base/clock.h"
#include "ops/control_path.h"
#include "ops/queue_directory.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 * 1024, START_MS = 10 * 1000, POLL_MS = 20 };

static int try_connect_to(const char *path, struct why *why)
{
        struct sockaddr_un address;
        int dir_fd;
        int rc = control_path_resolve(path, &address, &dir_fd, why);
        if (rc < 0)
                return rc == -ENOENT ? -ENOTCONN : rc;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        rc = fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno
                                                                                           : 0;
        if (dir_fd >= 0)
                close(dir_fd);
        if (rc == 0)
                return fd;
        if (fd >= 0)
                close(fd);
        if (rc == -ENOENT || rc == -ECONNREFUSED)
                return why_set(why, -ENOTCONN, "the server is not running (%s)", path);
        if (rc == -EACCES)
                return why_set(
                        why, rc,
                        "%s: permission denied; be root, or the user that the server runs as",
                        path);
        return why_set(why, rc, "cannot reach the server at %s: %s", path, why_errno(rc));
}

/* The control socket is for root and the server's user; others knock at the public one. */
static int try_connect(const struct config *c, struct why *why)
{
        char path[CONTROL_PATH_BYTES_MAX];
        struct why public_why;
        queue_directory_control_socket(c, path);
        int fd = try_connect_to(path, why);
        if (fd != -EACCES)
                return fd;
        queue_directory_public_socket(c, path);
        int public_fd = path[0] ? try_connect_to(path, &public_why) : -ENOENT;
        if (public_fd == -ENOTCONN)
                *why = public_why;
        return public_fd >= 0 || public_fd == -ENOTCONN ? public_fd : fd;
}

int control_submit(const struct config *c, struct why *why)
{
        char path[CONTROL_PATH_BYTES_MAX];
        queue_directory_public_socket(c, path);
        if (!path[0])
                return why_set(why, -ENOTCONN, "public_socket is empty: no mail can be submitted");
        int fd = try_connect_to(path, why);
        if (fd < 0)
                return fd;
        static char answer[REQUEST_BYTES_MAX];
        size_t len = 0;
        bool is_sent = send(fd, "submit\n", 7, MSG_NOSIGNAL) == 7;
        /* byte by byte: what follows the line is SMTP */
        while (is_sent && len + 1 < sizeof(answer) && recv(fd, answer + len, 1, 0) == 1)
                if (answer[len++] == '\n')
                        break;
        answer[len ? len - 1 : 0] = 0;
        if (strcmp(answer, "=0") == 0)
                return fd;
        close(fd);
        if (len < 2)
                return why_set(why, -EPIPE, "the server's answer broke off");
        int rc = answer[1] == '0' + ANSWER_NOT_PERMITTED ? -EPERM : -EPROTO;
        return why_set(why, rc, "%s", len > 3 ? answer + 3 : answer);
}

/* A server that is just starting listens soon; one that is ending will be gone. */
static int connect_to(const struct config *c, struct why *why)
{
        int64_t deadline_ms = clock_mono_ms() + START_MS;
        int fd;
        while ((fd = try_connect(c, why)) == -ENOTCONN && queue_directory_is_locked(c) &&
               clock_mono_ms() < deadline_ms)
                usleep(POLL_MS * 1000);
        return fd;
}

static int send_request(int fd, const struct request *request)
{
        struct buf line;
        buf_init(&line, REQUEST_BYTES_MAX);
        request_format(request, &line);
        ssize_t n = send(fd, line.ptr, line.len, MSG_NOSIGNAL);
        int rc = n == (ssize_t)line.len ? 0 : -EPIPE;
        buf_done(&line);
        return rc;
}

static void print_piece(void *context, char mark, struct str piece)
{
        fwrite(piece.ptr, 1, piece.len, mark == '|' ? stdout : stderr);
}

static int read_answer(int fd, struct answer_reader *reader)
{
        static char piece[PIECE_BYTES];
        while (!reader->is_done) {
                ssize_t n = read(fd, piece, sizeof(piece));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return -EPIPE;
                int rc = answer_reader_feed(reader, str_make(piece, (size_t)n));
                if (rc < 0)
                        return rc;
                if (ferror(stdout))
                        return -EPIPE;
        }
        return reader->code;
}

int control_ask(const struct config *c, const struct request *request, struct why *why)
{
        return control_ask_for(c, request, print_piece, NULL, why);
}

int control_ask_for(const struct config *c, const struct request *request,
                    void (*text)(void *, char, struct str), void *context, struct why *why)
{
        why->text[0] = 0;
        int fd = connect_to(c, why);
        if (fd < 0)
                return fd;
        struct answer_reader reader;
        answer_reader_init(&reader, text, context);
        int rc = send_request(fd, request);
        if (rc == 0)
                rc = read_answer(fd, &reader);
        close(fd);
        if (rc > 0)
                why_set(why, rc, "%.*s", STR_ARG(answer_reader_text(&reader)));
        else if (rc < 0)
                why_set(why, rc, "the server's answer broke off");
        answer_reader_done(&reader);
        return rc;
}
