/*
 * control.c - the control socket and the public one: commands ask, the office answers
 *
 * A task for each conversation, on the office's loop. The control socket is made under a umask that leaves it to
 * the server's user (and root); the public one is everybody's, and answers by lists of users. Its path may be longer than the kernel takes: then it is reached through
 * /proc/self/fd.
 */
#include "base/check.h"
#include "base/log.h"
#include "loop/pool.h"
#include "ops/control_path.h"
#include "ops/ops_private.h"
#include "ops/permission.h"
#include "ops/queue_directory.h"
#include "wire/wire.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
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

/* A socket that listens: the administrator's, and everybody's. */
struct door {
        struct control *control;
        struct watch watch;
        size_t count; /* conversations that came in here */
        bool is_public;
        char path[CONTROL_PATH_BYTES_MAX];
};

struct control {
        struct worker *worker;
        struct door doors[2];
        size_t door_count;
        struct list conversations;
        size_t count;
        size_t next_station;
        struct task *waiter; /* for the last conversation to end */
};

struct conversation {
        struct list link;
        struct control *control;
        struct door *door;
        uid_t uid; /* of who asks, at the public door */
        bool submits;
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

/*
 * At the public door: who it is, is told by the kernel; what he may, by lists of users. Names of users come from
 * services that may be slow, so both are asked in the pool.
 */
struct permission {
        const struct config *config;
        struct str users; /* authorized_..._users */
        uid_t uid;
        char name[USER_NAME_BYTES];
        bool is_permitted;
};

static int look_up_user(void *arg)
{
        struct permission *p = arg;
        p->is_permitted = permission_look_up(p->config, p->users, p->uid, p->name);
        return 0;
}

static bool await_is_permitted(struct conversation *c, const struct request *request)
{
        const struct params *params = &conversation_worker(c)->site->config->params;
        bool is_own = c->uid == 0 || c->uid == getuid();
        struct permission p = {.config = conversation_worker(c)->site->config, .uid = c->uid};
        const char *what;
        switch (request->verb) {
        case REQUEST_QUEUE_LIST:
                p.users = params->authorized_mailq_users;
                what = "view the mail queue";
                break;
        case REQUEST_QUEUE_FLUSH:
                p.users = params->authorized_flush_users;
                what = "flush the mail queue";
                break;
        case REQUEST_SUBMIT:
                p.users = params->authorized_submit_users;
                what = "submit mail";
                is_own = false; /* as in Postfix, the list is for everybody */
                break;
        default:
                conversation_end(c, ANSWER_NOT_PERMITTED,
                                 "be root, or the user that the server runs as");
                return false;
        }
        struct config *kept = config_ref(conversation_worker(c)->site->config);
        if (!is_own && !str_eq(p.users, STR("static:anyone")))
                await_pool_run_remote("looking up", STR("a local user"), look_up_user, &p);
        else
                p.is_permitted = true;
        config_unref(&kept);
        if (p.is_permitted)
                return true;
        char text[200];
        snprintf(text, sizeof(text), "User %s(%ld) is not allowed to %s", p.name, (long)c->uid,
                 what);
        log_warning("master", "%s", text);
        conversation_end(c, ANSWER_NOT_PERMITTED, text);
        return false;
}

static void await_answer(struct conversation *c, const struct request *request)
{
        if (c->door->is_public && !await_is_permitted(c, request)) {
                await_send(c);
                return;
        }
        switch (request->verb) {
        case REQUEST_SUBMIT:
                c->submits = c->door->is_public;
                if (!c->submits)
                        conversation_end(c, 1, "this is not the public socket");
                break;
        case REQUEST_RELOAD:
                await_answer_reload(c);
                break;
        case REQUEST_STOP:
                c->stops = true;
                break;
        case REQUEST_STATUS:
                await_control_status(c, request);
                break;
        case REQUEST_EXPLAIN:
                await_control_explain(c, request);
                break;
        case REQUEST_SESSIONS:
                await_control_sessions(c, request);
                break;
        case REQUEST_DELIVERIES:
                await_control_deliveries(c, request);
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

/* Sessions of local users go to the loops in turn. */
static void await_hand_over(struct conversation *c)
{
        struct worker *w = c->control->worker;
        struct station *s = &w->stations[c->control->next_station++ % w->station_count];
        await_station_adopt(s, wire_release(&c->wire), (unsigned)c->uid);
}

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
        if (c->submits && c->error == 0)
                await_hand_over(c);
        wire_free(&c->wire);
        c->door->count--;
        buf_done(&c->marked);
        list_remove(&c->link);
        free(c);
        if (--control->count == 0 && control->waiter)
                task_wake(control->waiter);
}

static bool learn_user(struct conversation *c, int fd)
{
        struct ucred user;
        socklen_t len = sizeof(user);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &len) < 0)
                return false;
        c->uid = user.uid;
        return true;
}

static void begin_conversation(struct door *door, int fd)
{
        struct control *control = door->control;
        struct conversation *c = calloc(1, sizeof(*c));
        check(c);
        struct loop *office = control->worker->office;
        c->control = control;
        c->door = door;
        if (door->is_public && !learn_user(c, fd)) {
                close(fd);
                free(c);
                return;
        }
        c->wire = wire_new(office, fd);
        door->count++;
        buf_init(&c->marked, 256 * 1024 * 1024);
        list_add_last(&control->conversations, &c->link);
        control->count++;
        c->task = task_start(office, await_converse, c);
}

static void accept_ready(struct watch *watch, uint32_t events)
{
        struct door *door = heap_of(watch, struct door, watch);
        for (;;) {
                int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0 && errno == EINTR)
                        continue;
                if (fd < 0)
                        return;
                if (door->count < CONVERSATIONS_MAX)
                        begin_conversation(door, fd);
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
                return why_set(why, -EEXIST, "%s is not a socket; remove it", path);
        if (unlink(path) < 0)
                return why_set(why, -errno, "cannot remove the old control socket %s: %s", path,
                               why_errno(errno));
        return 0;
}

static int open_socket(const char *path, mode_t mask, struct why *why)
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
        mode_t before = umask(mask);
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

static int add_door(struct control *control, const char *path, bool is_public, struct why *why)
{
        struct door *door = &control->doors[control->door_count];
        int fd = open_socket(path, is_public ? 0 : 077, why);
        if (fd < 0)
                return fd;
        door->control = control;
        door->is_public = is_public;
        door->watch = (struct watch){.fd = fd, .ready = accept_ready};
        snprintf(door->path, sizeof(door->path), "%s", path);
        int rc = loop_watch_add(control->worker->office, &door->watch, EPOLLIN);
        if (rc < 0) {
                close(fd);
                return why_set(why, rc, "cannot watch the socket %s: %s", path, why_errno(rc));
        }
        control->door_count++;
        return 0;
}

/* Others may pass through the directory; what is in it stays closed to them. */
static void open_the_way(const struct config *c, const char *path)
{
        char directory[QUEUE_DIRECTORY_BYTES_MAX];
        struct stat st;
        queue_directory_find(c, directory);
        if (str_starts(str_from(path), str_from(directory)) && stat(directory, &st) == 0 &&
            st.st_uid == getuid() && (st.st_mode & 0777) == 0700 && chmod(directory, 0711) < 0)
                log_warning("master", "%s: only user %ld can submit mail: %s", directory,
                            (long)getuid(), why_errno(errno));
}

/* Without it the server is no less a server, but for the users of this machine. */
static void add_public_door(struct control *control)
{
        static char path[CONTROL_PATH_BYTES_MAX]; /* large for a frame; the office is one thread */
        struct why why;
        const struct config *c = control->worker->site->config;
        queue_directory_public_socket(c, path);
        if (!path[0])
                return;
        if (add_door(control, path, true, &why) < 0)
                log_warning("master", "users of this machine cannot submit mail: %s", why.text);
        else
                open_the_way(c, path);
}

int control_start(struct worker *w, struct why *why)
{
        static char path[CONTROL_PATH_BYTES_MAX];
        struct control *control = calloc(1, sizeof(*control));
        check(control);
        control->worker = w;
        list_init(&control->conversations);
        queue_directory_control_socket(w->site->config, path);
        int rc = add_door(control, path, false, why);
        if (rc < 0) {
                free(control);
                return rc;
        }
        add_public_door(control);
        w->control = control;
        return 0;
}

void await_control_stop(struct worker *w)
{
        struct control *control = w->control;
        if (!control)
                return;
        for (size_t i = 0; i < control->door_count; i++) {
                loop_watch_remove(w->office, &control->doors[i].watch);
                close(control->doors[i].watch.fd);
                unlink(control->doors[i].path);
        }
        list_each (link, &control->conversations)
                task_cancel(list_of(link, struct conversation, link)->task);
        control->waiter = task_self();
        while (control->count)
                await_wake_always("waiting for", STR("commands to go"), CLOCK_NEVER);
        free(control);
        w->control = NULL;
}
