/* submit.c - giving a message to the server over the public socket, by SMTP */
#include "bin/submit.h"

#include "ops/control_client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 4096, PIECE_BYTES = 32 * 1024, REPLY_S = 300 };

struct talk {
        FILE *stream;
        char reply[LINE_BYTES_MAX]; /* the last line of the last reply, without its end */
};

static int exit_code_of(const char *reply)
{
        if (reply[0] == '4')
                return EX_TEMPFAIL;
        if (strncmp(reply, "552", 3) == 0)
                return EX_DATAERR;
        return strstr(reply, "5.1.1") ? EX_NOUSER : EX_UNAVAILABLE;
}

/* The server has gone, or does not answer: nothing is lost, as nothing was said to be taken. */
static int broken(void)
{
        return name_fatal(EX_TEMPFAIL,
                          "the connection to the server broke off: message not queued");
}

/* The reply's code, 0 when there is none. */
static int read_reply(struct talk *t)
{
        do {
                if (!fgets(t->reply, sizeof(t->reply), t->stream))
                        return 0;
                t->reply[strcspn(t->reply, "\r\n")] = 0;
        } while (strlen(t->reply) > 3 && t->reply[3] == '-');
        if (strlen(t->reply) < 3 || !char_is_digit(t->reply[0]))
                return 0;
        return (t->reply[0] - '0') * 100 + (t->reply[1] - '0') * 10 + (t->reply[2] - '0');
}

static int say(struct talk *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says a command and reads its reply. */
static int say(struct talk *t, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        vfprintf(t->stream, format, args);
        va_end(args);
        fputs("\r\n", t->stream);
        return fflush(t->stream) == 0 ? read_reply(t) : 0;
}

static int refused(const struct talk *t, const char *what)
{
        return name_fatal(exit_code_of(t->reply), "%s: %s", what, t->reply);
}

/* Content with line ends as SMTP has them, and dots doubled (RFC 5321 4.5.2). */
static void put_content(FILE *out, struct str content)
{
        while (content.len) {
                const char *lf = memchr(content.ptr, '\n', content.len);
                size_t len = lf ? (size_t)(lf - content.ptr) : content.len;
                struct str line = str_part(content, 0, len);
                if (line.len && line.ptr[line.len - 1] == '\r')
                        line.len--;
                if (line.len && line.ptr[0] == '.')
                        fputc('.', out);
                fwrite(line.ptr, 1, line.len, out);
                fputs("\r\n", out);
                content = str_tail(content, lf ? len + 1 : len);
        }
        fputs(".\r\n", out);
}

static int send_envelope(struct talk *t, const struct submission *s)
{
        int code = say(t, "MAIL FROM:<%s>%s%s%s%s%s%s%s", s->sender,
                       s->is_8bit ? " BODY=8BITMIME" : "", s->ret ? " RET=" : "",
                       s->ret ? s->ret : "", s->envid ? " ENVID=" : "", s->envid ? s->envid : "",
                       s->report ? " XREPORT=" : "", s->report ? s->report : "");
        if (code != 250)
                return code ? refused(t, s->sender) : broken();
        size_t taken = 0;
        int worst = EX_OK;
        for (size_t i = 0; i < s->recipient_count; i++) {
                code = say(t, "RCPT TO:<%s>%s%s", s->recipients[i], s->notify ? " NOTIFY=" : "",
                           s->notify ? s->notify : "");
                if (code == 0)
                        return broken();
                if (code / 100 == 2) {
                        taken++;
                } else {
                        /* all or nothing: who calls is told by one exit code */
                        int one = refused(t, s->recipients[i]);
                        if (worst == EX_OK || one != EX_TEMPFAIL)
                                worst = one;
                }
        }
        return taken == s->recipient_count ? EX_OK : worst;
}

static int send_message(struct talk *t, const struct submission *s)
{
        int code = read_reply(t);
        if (code == 0)
                return broken();
        if (code != 220)
                return refused(t, "greeting");
        code = say(t, "EHLO localhost");
        if (code != 250)
                return code ? refused(t, "EHLO") : broken();
        int rc = send_envelope(t, s);
        if (rc != EX_OK)
                return rc;
        code = say(t, "DATA");
        if (code != 354)
                return code ? refused(t, "DATA") : broken();
        put_content(t->stream, s->content);
        if (fflush(t->stream) != 0)
                return broken();
        code = read_reply(t);
        if (code == 0)
                return broken();
        return code == 250 ? EX_OK : refused(t, "message");
}

static int connect_to_server(const struct config *c, int *fd)
{
        struct why why;
        *fd = control_submit(c, &why);
        if (*fd >= 0)
                return EX_OK;
        if (*fd == -EPERM || *fd == -EACCES)
                return name_fatal(EX_NOPERM, "%s", why.text);
        return name_fatal(EX_TEMPFAIL, "%s: message not queued", why.text);
}

int submit(const struct config *c, const struct submission *s)
{
        static struct talk t;
        int fd;
        int rc = connect_to_server(c, &fd);
        if (rc != EX_OK)
                return rc;
        const struct timeval limit = {.tv_sec = REPLY_S};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        t.stream = fdopen(fd, "r+");
        if (!t.stream) {
                close(fd);
                return name_fatal(EX_OSERR, "no memory");
        }
        signal(SIGPIPE, SIG_IGN); /* a server that has gone is an error like others */
        rc = send_message(&t, s);
        fputs("QUIT\r\n", t.stream);
        fclose(t.stream);
        return rc;
}

static bool write_all(int fd, const char *bytes, size_t len)
{
        while (len) {
                ssize_t n = write(fd, bytes, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return false;
                bytes += n;
                len -= (size_t)n;
        }
        return true;
}

/* False at the end of what comes from there, or when nobody takes it. */
static bool pass_piece(int from, int to)
{
        static char piece[PIECE_BYTES];
        ssize_t n = read(from, piece, sizeof(piece));
        return n > 0 && write_all(to, piece, (size_t)n);
}

int submit_pass_on(const struct config *c)
{
        int fd;
        int rc = connect_to_server(c, &fd);
        if (rc != EX_OK)
                return rc;
        struct pollfd watched[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                    {.fd = fd, .events = POLLIN}};
        for (;;) {
                if (poll(watched, 2, -1) < 0 && errno != EINTR)
                        break;
                if (watched[1].revents && !pass_piece(fd, STDOUT_FILENO))
                        break;
                if (watched[0].revents && !pass_piece(STDIN_FILENO, fd)) {
                        shutdown(fd, SHUT_WR);
                        watched[0].fd = -1; /* what the server still says is passed on */
                }
        }
        close(fd);
        return EX_OK;
}
