/* submit.c - giving a message to the server over the public socket, by SMTP */
#include "bin/submit.h"

#include "ops/control_client.h"
#include "ops/maildrop.h"
#include "ops/permission.h"

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

static void put_mail(FILE *out, const struct submission *s)
{
        fprintf(out, "MAIL FROM:<%s>%s%s%s%s%s%s%s%s%s\r\n", s->sender,
                s->is_8bit ? " BODY=8BITMIME" : "", s->ret ? " RET=" : "", s->ret ? s->ret : "",
                s->envid ? " ENVID=" : "", s->envid ? s->envid : "", s->report ? " XREPORT=" : "",
                s->report ? s->report : "", s->verp ? " XVERP=" : "", s->verp ? s->verp : "");
}

static void put_rcpt(FILE *out, const struct submission *s, size_t i)
{
        fprintf(out, "RCPT TO:<%s>%s%s\r\n", s->recipients[i], s->notify ? " NOTIFY=" : "",
                s->notify ? s->notify : "");
}

static int send_envelope(struct talk *t, const struct submission *s)
{
        put_mail(t->stream, s);
        int code = fflush(t->stream) == 0 ? read_reply(t) : 0;
        if (code != 250)
                return code ? refused(t, s->sender) : broken();
        size_t taken = 0;
        int worst = EX_OK;
        for (size_t i = 0; i < s->recipient_count; i++) {
                put_rcpt(t->stream, s, i);
                code = fflush(t->stream) == 0 ? read_reply(t) : 0;
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

static int cannot_connect(int error, const struct why *why)
{
        if (error == -EPERM || error == -EACCES)
                return name_fatal(EX_NOPERM, "%s", why->text);
        return name_fatal(EX_TEMPFAIL, "%s: message not queued", why->text);
}

static int connect_to_server(const struct config *c, int *fd)
{
        struct why why;
        *fd = control_submit(c, &why);
        return *fd >= 0 ? EX_OK : cannot_connect(*fd, &why);
}

/* ---- while no server runs ---- */

/* Limits and permissions are the server's, who looks again: but he who submits is to hear of them now. */
static int check_left(const struct config *c, const struct submission *s)
{
        char user[USER_NAME_BYTES];
        const struct params *p = &c->params;
        if (!permission_look_up(c, p->authorized_submit_users, getuid(), user))
                return name_fatal(EX_NOPERM, "User %s(%ld) is not allowed to submit mail", user,
                                  (long)getuid());
        if (p->message_size_limit && (int64_t)s->content.len > p->message_size_limit)
                return name_fatal(EX_DATAERR,
                                  "message of %zu bytes is over message_size_limit = %lld",
                                  s->content.len, (long long)p->message_size_limit);
        return EX_OK;
}

static int leave(const struct config *c, const struct submission *s, const char *no_server)
{
        char *text = NULL;
        size_t len = 0;
        char id[QUEUE_ID_BYTES_MAX];
        struct why why;
        int rc = check_left(c, s);
        if (rc != EX_OK)
                return rc;
        FILE *out = open_memstream(&text, &len);
        if (!out)
                return name_fatal(EX_OSERR, "no memory");
        put_mail(out, s);
        for (size_t i = 0; i < s->recipient_count; i++)
                put_rcpt(out, s, i);
        fputs("DATA\r\n", out);
        put_content(out, s->content);
        bool is_whole = !ferror(out);
        if (fclose(out) != 0 || !is_whole)
                rc = name_fatal(EX_OSERR, "no memory");
        else if (maildrop_write(c, str_make(text, len), id, &why) < 0)
                rc = name_fatal(EX_TEMPFAIL, "%s, and %s: message not queued", no_server, why.text);
        free(text);
        return rc;
}

int submit(const struct config *c, const struct submission *s)
{
        static struct talk t;
        int fd;
        struct why why;
        fd = control_submit(c, &why);
        if (fd == -ENOTCONN)
                return leave(c, s, why.text);
        if (fd < 0)
                return cannot_connect(fd, &why);
        int rc;
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
