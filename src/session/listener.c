/*
 * listener.c - connections come in
 *
 * Accepts in batches; when descriptors become few it rests for a second at a time instead of spinning. A part of
 * them stays free for what the mail that is here already needs: files, next hops, the administrator's commands.
 * How many are in use is told by the number of a new one, which is the lowest that is free. A client that the
 * front door or the core's list of relays turns away still gets its one line, from its own short task.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/spare.h"
#include "message/transcript.h"
#include "session/session_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        ACCEPTS_PER_TURN = 64,
        REST_MS = 1000,
        DESCRIPTORS_KEPT_MAX = 1000,
        SPARE_SESSIONS_MAX = 256,
};

struct listener {
        struct watch watch;
        struct timer rest; /* when descriptors are few */
        int fd_max;        /* sessions take descriptors below this */
        struct loop *loop;
        struct session_service *service;
        struct front_door *door;
        struct list sessions;
        struct session_counts counts;
        struct transcript_texts texts;
        struct task *stopper; /* waits until no session is left */
        bool is_open;
};

static __thread struct spares spare_sessions = {.bytes = sizeof(struct session),
                                                .count_max = SPARE_SESSIONS_MAX};

static struct session *session_new(struct listener *li, int fd)
{
        struct session *s = spare_take_zeroed(&spare_sessions);
        s->listener = li;
        s->service = session_service_ref(li->service);
        s->params = &li->service->parts.service->params;
        s->policy = li->service->parts.policy;
        s->wire = wire_new(li->loop, fd);
        list_add_last(&li->sessions, &s->link);
        session_roll_add(s);
        li->counts.connections++;
        li->counts.open++;
        return s;
}

static void start_session(struct listener *li, int fd)
{
        struct session *s = session_new(li, fd);
        s->task = task_start(li->loop, await_session, s);
}

void listener_adopt(struct listener *li, int fd, unsigned uid)
{
        struct session *s = session_new(li, fd);
        s->is_local = true;
        s->local_uid = uid;
        s->task = task_start(li->loop, await_session, s);
}

static void rest(struct listener *li, const char *why)
{
        log_warning("smtpd", "cannot accept more connections: %s; resting for a second", why);
        loop_watch_remove(li->loop, &li->watch);
        loop_timer_set(li->loop, &li->rest, loop_now_ms() + REST_MS);
}

static void accept_some(struct watch *w, uint32_t events)
{
        struct listener *li = list_of(w, struct listener, watch);
        for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
                int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd >= 0) {
                        start_session(li, fd);
                        if (fd >= li->fd_max) {
                                rest(li, "few descriptors are left (see ulimit -n)");
                                return;
                        }
                } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
                        return;
                } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                           errno == ENOMEM) {
                        rest(li, why_errno(errno));
                        return;
                }
                /* others are about the one connection that is gone already */
        }
}

/* Are there so few descriptors that the next session had to take one of those that are kept? */
static bool is_short_of_descriptors(const struct listener *li)
{
        int fd = fcntl(li->watch.fd, F_DUPFD_CLOEXEC, 0);
        if (fd >= 0)
                close(fd);
        return fd < 0 || fd >= li->fd_max;
}

static int sessions_fd_max(void)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX)
                return INT_MAX;
        rlim_t kept = limit.rlim_cur / 4;
        return (int)(limit.rlim_cur - (kept < DESCRIPTORS_KEPT_MAX ? kept : DESCRIPTORS_KEPT_MAX));
}

static void rest_is_over(struct timer *t)
{
        struct listener *li = list_of(t, struct listener, rest);
        if (!li->is_open)
                return;
        if (is_short_of_descriptors(li) || loop_watch_add(li->loop, &li->watch, EPOLLIN) < 0)
                loop_timer_set(li->loop, &li->rest, loop_now_ms() + REST_MS);
}

/* tcp_windowsize: of main.cf, or of this service */
static void fix_window(const struct listener *li)
{
        if (li->watch.fd >= 0)
                wire_set_window(li->watch.fd,
                                (int)li->service->parts.service->params.tcp_windowsize);
}

struct listener *listener_start(struct loop *l, int fd, struct session_service *service,
                                struct front_door *door)
{
        struct listener *li = calloc(1, sizeof(*li));
        check(li);
        li->loop = l;
        li->service = session_service_ref(service);
        li->door = door;
        li->watch = (struct watch){.fd = fd, .ready = accept_some};
        li->rest.due = rest_is_over;
        li->fd_max = sessions_fd_max();
        li->is_open = true;
        list_init(&li->sessions);
        if (fd >= 0)
                wire_prepare(fd);
        fix_window(li);
        check(fd < 0 || loop_watch_add(l, &li->watch, EPOLLIN) == 0);
        return li;
}

void listener_set_service(struct listener *li, struct session_service *service)
{
        struct session_service *before = li->service;
        li->service = session_service_ref(service);
        session_service_unref(&before);
        if (li->is_open)
                fix_window(li);
}

void listener_close(struct listener *li)
{
        if (!li->is_open)
                return;
        li->is_open = false;
        loop_timer_cancel(li->loop, &li->rest);
        if (li->watch.fd < 0)
                return;
        loop_watch_remove(li->loop, &li->watch);
        close(li->watch.fd);
}

struct front_door *listener_door(const struct listener *li)
{
        return li->door;
}

struct session_counts *listener_counts(struct listener *li)
{
        return &li->counts;
}

struct transcript_texts *listener_texts(struct listener *li)
{
        return &li->texts;
}

int64_t listener_sessions_max(const struct listener *li)
{
        return li->fd_max;
}

void listener_session_ended(struct listener *li, struct session *s)
{
        list_remove(&s->link);
        session_roll_remove(s);
        li->counts.open--;
        spare_give(&spare_sessions, s);
        if (li->stopper)
                task_wake(li->stopper);
}

void await_listener_stop(struct listener **lip, int64_t deadline_ms)
{
        struct listener *li = *lip;
        *lip = NULL;
        if (!li)
                return;
        listener_close(li);
        li->stopper = task_self();
        list_each (link, &li->sessions) {
                struct session *s = list_of(link, struct session, link);
                s->wants_to_leave = true;
                if (!s->transaction)
                        task_cancel(s->task);
        }
        bool is_told = false;
        while (!list_is_empty(&li->sessions)) {
                int64_t until = is_told ? CLOCK_NEVER : deadline_ms;
                if (await_wake_always("waiting for", STR("sessions to end"), until) != -ETIMEDOUT)
                        continue;
                is_told = true;
                list_each (link, &li->sessions) {
                        task_cancel(list_of(link, struct session, link)->task);
                }
        }
        session_service_unref(&li->service);
        transcript_texts_done(&li->texts);
        free(li);
}

void listener_count(const struct listener *li, struct session_counts *out)
{
        *out = li->counts;
}
