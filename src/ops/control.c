/*
 * control.c - the control socket: commands ask, the office answers
 *
 * A task for each conversation, on the office's loop. The socket is made under a umask that leaves it to the
 * server's user (and root). Its path may be longer than the kernel takes: then it is reached through
 * /proc/self/fd.
 */
#include "base/check.h"
#include "base/log.h"
#include "ops/control_path.h"
#include "ops/ops_private.h"
#include "ops/queue_directory.h"
#include "wire/wire.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
        CONVERSATIONS_MAX = 64,
        REQUEST_MS = 10 * 1000,
        ANSWER_MS = 600 * 1000, /* somebody may read it in a pager */
        PUT_BYTES = 64 * 1024,
        BACKLOG = 64,
};

struct control {
        struct worker *worker;
        struct watch watch;
        struct list conversations;
        size_t count;
        struct task *waiter; /* for the last conversation to end */
};

struct conversation {
        struct list link;
        struct control *control;
        struct wire *wire;
        struct task *task;
        struct buf marked; /* lines as they go out */
        int error;         /* the command is gone */
        bool is_ended;
        bool stops; /* when it is over, the server is to stop */
        char request[REQUEST_BYTES_MAX + 1];
};

struct worker *conversation_worker(struct conversation *c)
{
        return c->control->worker;
}

/* ---- answers ---- */

static int await_send(struct conversation *c)
{
        struct str rest = buf_str(&c->marked);
        while (rest.len && c->error == 0) {
                struct str part = str_part(rest, 0, PUT_BYTES);
                c->error = wire_put(c->wire, part);
                if (c->error == 0)
                        c->error = await_wire_flush(c->wire, loop_now_ms() + ANSWER_MS);
                rest = str_tail(rest, part.len);
        }
        buf_clear(&c->marked);
        return c->error;
}

int await_conversation_put(struct conversation *c, char mark, struct str text)
{
        if (c->error == 0)
                c->error = answer_lines(&c->marked, mark, text);
        return await_send(c);
}

void conversation_end(struct conversation *c, int code, const char *text)
{
        if (c->is_ended)
                return;
        c->is_ended = true;
        if (code)
                buf_printf(&c->marked, "=%d %s\n", code, text);
        else
                buf_printf(&c->marked, "=0\n");
}

static void await_put_findings(struct conversation *c, const struct findings *findings)
{
        static char line[8192]; /* not across an await: it is copied at once */
        for (const struct finding *f = findings->first; f && c->error == 0; f = f->next) {
                finding_format(f, line, sizeof(line));
                await_conversation_put(c, '!', str_from(line));
        }
}

static void await_answer_reload(struct conversation *c)
{
        struct findings findings;
        struct why why;
        findings_init(&findings);
        int rc = await_reload(conversation_worker(c), &findings, &why);
        if (rc < 0)
                log_error("master", "%s", why.text);
        await_put_findings(c, &findings);
        findings_done(&findings);
        conversation_end(c, rc < 0, why.text);
}

static void await_answer(struct conversation *c, const struct request *request)
{
        switch (request->verb) {
        case REQUEST_RELOAD:
                await_answer_reload(c);
                break;
        case REQUEST_STOP:
                c->stops = true;
                break;
        case REQUEST_STATUS:
                await_control_status(c, request);
                break;
        case REQUEST_DNSBL:
                await_control_lists(c, request);
                break;
        default:
                await_control_queue(c, request);
                break;
        }
        conversation_end(c, 0, "");
        await_send(c);
}

/* ---- conversations ---- */

static void await_converse(void *arg)
{
        struct conversation *c = arg;
        struct control *control = c->control;
        struct wire_line line;
        struct request request;
        struct why why;
        int rc = await_wire_line(c->wire, REQUEST_BYTES_MAX, loop_now_ms() + REQUEST_MS, &line);
        if (rc == 0) {
                snprintf(c->request, sizeof(c->request), "%.*s", STR_ARG(line.text));
                if (request_parse(str_from(c->request), &request, &why) == 0) {
                        await_answer(c, &request);
                } else {
                        conversation_end(c, 1, why.text);
                        await_send(c);
                }
        }
        if (c->stops)
                worker_ask_for_stop(control->worker);
        wire_free(&c->wire);
        buf_done(&c->marked);
        list_remove(&c->link);
        free(c);
        if (--control->count == 0 && control->waiter)
                task_wake(control->waiter);
}

static void begin_conversation(struct control *control, int fd)
{
        struct conversation *c = calloc(1, sizeof(*c));
        check(c);
        struct loop *office = control->worker->office;
        c->control = control;
        c->wire = wire_new(office, fd);
        buf_init(&c->marked, 256 * 1024 * 1024);
        list_add_last(&control->conversations, &c->link);
        control->count++;
        c->task = task_start(office, await_converse, c);
}

static void accept_ready(struct watch *watch, uint32_t events)
{
        struct control *control = heap_of(watch, struct control, watch);
        for (;;) {
                int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0 && errno == EINTR)
                        continue;
                if (fd < 0)
                        return;
                if (control->count < CONVERSATIONS_MAX)
                        begin_conversation(control, fd);
                else
                        close(fd);
        }
}

/* ---- life ---- */

static int remove_stale_socket(const char *path, struct why *why)
{
        struct stat st;
        if (lstat(path, &st) < 0)
                return 0;
        if (!S_ISSOCK(st.st_mode))
                return why_set(why, -EEXIST, "control_socket %s is not a socket; remove it", path);
        if (unlink(path) < 0)
                return why_set(why, -errno, "cannot remove the old control socket %s: %s", path,
                               why_errno(errno));
        return 0;
}

static int open_socket(const char *path, struct why *why)
{
        int rc = remove_stale_socket(path, why);
        if (rc < 0)
                return rc;
        struct sockaddr_un address;
        int dir_fd;
        rc = control_path_resolve(path, &address, &dir_fd, why);
        if (rc < 0)
                return rc;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        mode_t before = umask(077);
        if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(fd, BACKLOG) < 0) {
                rc = why_set(why, -errno, "cannot make the control socket %s: %s", path,
                             why_errno(errno));
                if (fd >= 0)
                        close(fd);
        }
        umask(before);
        if (dir_fd >= 0)
                close(dir_fd);
        return rc < 0 ? rc : fd;
}

int control_start(struct worker *w, struct why *why)
{
        char path[CONTROL_PATH_BYTES_MAX];
        queue_directory_control_socket(w->site->config, path);
        int fd = open_socket(path, why);
        if (fd < 0)
                return fd;
        struct control *control = calloc(1, sizeof(*control));
        check(control);
        control->worker = w;
        control->watch = (struct watch){.fd = fd, .ready = accept_ready};
        list_init(&control->conversations);
        int rc = loop_watch_add(w->office, &control->watch, EPOLLIN);
        if (rc < 0) {
                close(fd);
                free(control);
                return why_set(why, rc, "cannot watch the control socket: %s", why_errno(rc));
        }
        w->control = control;
        return 0;
}

void await_control_stop(struct worker *w)
{
        struct control *control = w->control;
        if (!control)
                return;
        loop_watch_remove(w->office, &control->watch);
        close(control->watch.fd);
        char path[CONTROL_PATH_BYTES_MAX];
        queue_directory_control_socket(w->site->config, path);
        unlink(path);
        list_each (link, &control->conversations)
                task_cancel(list_of(link, struct conversation, link)->task);
        control->waiter = task_self();
        while (control->count)
                await_wake_always("waiting for", STR("commands to go"), CLOCK_NEVER);
        free(control);
        w->control = NULL;
}
