/*
 * supervisor.c - the process that keeps the sockets, and a worker running
 *
 * Started as root it stays root, does next to nothing, and talks to no stranger: it opens sockets, makes
 * the queue directory, forks the worker, and forks another when that one dies, at once the first time,
 * then more and more slowly. A worker that dies gets the configuration that the last one had: a main.cf
 * that was broken meanwhile does not matter. One that hangs is asked whether it lives, and killed when it says nothing
 * (worker_watchdog_timeout).
 *
 * A new configuration is in force when the worker has taken it, and not before: until it says so, or that it has given up, what the
 * supervisor has opened for it stands beside what it had.
 *
 * Diagnostics: "ready on ..."; "worker process N died: signal 11"; as Postfix's master: "daemon started",
 * "terminating on signal 15".
 */
#include "ops/supervisor.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "ops/channel.h"
#include "ops/environment.h"
#include "ops/key_watch.h"
#include "ops/keys.h"
#include "ops/listen.h"
#include "ops/log_setup.h"
#include "ops/maildrop.h"
#include "ops/queue_directory.h"
#include "ops/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
        BACKOFF_MS_MAX = 2 * 1000, /* clients wait meanwhile: the sockets stay open */
        BACKOFF_MS_MIN = 100,
        HEALTHY_MS = 10 * 1000,   /* a worker that lived so long begins anew */
        STOP_MS = 20 * 1000,      /* then it is killed */
        STARTS_MAX = 5,           /* workers that die before the first is ready */
        ASK_MS_MAX = 15 * 1000,   /* between two questions whether the worker lives */
        ABORT_MS = 2 * 1000,      /* for the last words of one that does not */
        DESCRIPTORS_MIN = 262144, /* what root asks for */
};

struct supervisor {
        const char *dir;
        const struct config_override *overrides;
        struct findings findings; /* of the configuration in force, without the site's */
        struct config *config;
        struct identity identity;
        struct listen_set listen;
        size_t loop_count;
        int lock_fd;
        int signal_fd;

        pid_t worker; /* 0: none */
        int channel;  /* to it; -1: it has closed its end */
        struct channel_queue unsent;
        struct {
                struct config *config; /* NULL: none */
                struct listen_set listen;
                struct findings findings;
                uint32_t number; /* of the worker's question */
        } offered;            /* what a reload has found good, and the worker has not taken yet */
        int64_t ask_at_ms;    /* whether the worker lives; CLOCK_NEVER: it is not asked */
        int64_t alive_by_ms;  /* then it must have answered; CLOCK_NEVER: it has */
        int64_t hang_kill_ms; /* it did not, and has not died of SIGABRT either */
        bool is_deaf;         /* it was told in the log that the worker takes nothing */
        uint32_t question;    /* that is being answered */
        int answer_error;     /* some part of the answer cannot be sent */
        int64_t worker_started_ms;
        int64_t start_at_ms; /* the next one; CLOCK_NEVER: it runs */
        int64_t backoff_ms;
        unsigned starts;
        bool was_ready;
        bool is_stopping;
        int64_t kill_at_ms;
        struct key_watch keys;
        int exit_code;
        bool is_worker; /* we are the child */
};

/* ---- before the first worker ---- */

static void raise_limits(void)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        struct rlimit more = {.rlim_cur = DESCRIPTORS_MIN, .rlim_max = DESCRIPTORS_MIN};
        if (limit.rlim_max < DESCRIPTORS_MIN && geteuid() == 0 &&
            setrlimit(RLIMIT_NOFILE, &more) == 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
}

/* 0, 1 and 2 are open from here on, so that no socket becomes standard error. */
static void open_standard_files(void)
{
        int fd;
        do {
                fd = open("/dev/null", O_RDWR);
        } while (fd >= 0 && fd <= 2);
        if (fd > 2)
                close(fd);
}

static int watch_signals(struct supervisor *s)
{
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGCHLD);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
        s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return s->signal_fd < 0 ? -errno : 0;
}

static void set_up_log(struct supervisor *s)
{
        struct why why;
        log_setup_lint(s->config, &s->findings);
        if (findings_has_errors(&s->findings))
                return;
        if (log_setup_make_file(s->config, &s->identity, &why) < 0 ||
            log_setup_open(s->config, &s->identity, &why) < 0)
                findings_add(&s->findings, SEVERITY_ERROR, "no-log",
                             config_place(s->config, "maillog_file"), NULL, "%s", why.text);
}

/* Everything that needs our rights, or must be before there is a worker. What fails is in the findings. */
static void prepare(struct supervisor *s)
{
        identity_find(s->config, &s->identity, &s->findings);
        s->loop_count = worker_loop_count(&s->config->params);
        listen_plan(s->config, s->loop_count, &s->listen, &s->findings);
        if (findings_has_errors(&s->findings))
                return;
        queue_directory_make(s->config, &s->identity, &s->findings);
        maildrop_make(s->config, &s->identity, &s->findings);
        if (findings_has_errors(&s->findings))
                return;
        s->lock_fd = queue_directory_lock(s->config, &s->identity, &s->findings);
        if (s->lock_fd < 0)
                return;
        listen_open(&s->listen, &s->findings);
        set_up_log(s);
}

/* ---- the worker ---- */

/* In the child. */
static int be_worker(struct supervisor *s, int channel)
{
        s->is_worker = true;
        close(s->signal_fd);
        s->signal_fd = -1;
        const struct worker_options options = {
                .config = s->config,
                .findings = &s->findings,
                .prints_all = !s->was_ready,
                .listen = &s->listen,
                .identity = &s->identity,
                .dir = s->dir,
                .overrides = s->overrides,
                .channel = channel,
        };
        int code = worker_run(&options);
        close(channel);
        return code;
}

static void schedule_start(struct supervisor *s)
{
        int64_t now_ms = clock_mono_ms();
        s->start_at_ms = now_ms + s->backoff_ms;
        s->backoff_ms = s->backoff_ms ? s->backoff_ms * 2 : BACKOFF_MS_MIN;
        if (s->backoff_ms > BACKOFF_MS_MAX)
                s->backoff_ms = BACKOFF_MS_MAX;
}

static void start_worker(struct supervisor *s)
{
        int fds[2];
        struct why why;
        s->start_at_ms = s->ask_at_ms = s->alive_by_ms = s->hang_kill_ms = CLOCK_NEVER;
        s->worker_started_ms = clock_mono_ms();
        s->starts++;
        if (channel_open(fds, &why) < 0) {
                log_error("master", "%s", why.text);
                schedule_start(s);
                return;
        }
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
                close(fds[0]);
                s->exit_code = be_worker(s, fds[1]);
                return;
        }
        close(fds[1]);
        if (pid < 0) {
                log_error("master", "cannot fork a worker: %s", why_errno(errno));
                close(fds[0]);
                schedule_start(s);
                return;
        }
        s->worker = pid;
        s->channel = fds[0];
}

static void close_channel(struct supervisor *s)
{
        if (s->channel >= 0)
                close(s->channel);
        s->channel = -1;
        s->is_deaf = false;
        channel_queue_clear(&s->unsent);
}

/* Never waits for the worker: one that hangs is not to hold us. */
static int send_message(struct supervisor *s, const struct channel_message *m, int fd)
{
        if (s->channel < 0)
                return -EPIPE;
        int rc = channel_queue_send(&s->unsent, s->channel, m, fd);
        if (rc == -ENOBUFS && !s->is_deaf) {
                s->is_deaf = true;
                log_warning("master", "worker process %d does not listen to us: %d messages wait",
                            (int)s->worker, CHANNEL_QUEUE_MAX);
        }
        return rc;
}

static void send_unsent(struct supervisor *s)
{
        if (s->channel >= 0 && channel_queue_flush(&s->unsent, s->channel) == 0)
                s->is_deaf = false;
}

static void tell(struct supervisor *s, enum channel_kind kind)
{
        const struct channel_message m = {.kind = kind};
        send_message(s, &m, -1);
}

/* ---- does it live? ---- */

static int64_t watchdog_ms(const struct supervisor *s)
{
        return s->config->params.worker_watchdog_timeout;
}

static void ask_later(struct supervisor *s)
{
        int64_t pause_ms = watchdog_ms(s) / 4 < ASK_MS_MAX ? watchdog_ms(s) / 4 : ASK_MS_MAX;
        s->alive_by_ms = CLOCK_NEVER;
        s->ask_at_ms = clock_mono_ms() + pause_ms;
}

static void watch_worker(struct supervisor *s, int64_t now_ms)
{
        if (s->is_stopping || !s->worker)
                return;
        if (now_ms >= s->hang_kill_ms) {
                kill(s->worker, SIGKILL);
                s->hang_kill_ms = CLOCK_NEVER;
        } else if (now_ms >= s->alive_by_ms) {
                log_error("master",
                          "worker process %d has not answered for %lld seconds: it is killed",
                          (int)s->worker, (long long)(watchdog_ms(s) / 1000));
                kill(s->worker, SIGABRT); /* it says what it was doing, if it can */
                s->alive_by_ms = s->ask_at_ms = CLOCK_NEVER;
                s->hang_kill_ms = now_ms + ABORT_MS;
        } else if (now_ms >= s->ask_at_ms && watchdog_ms(s) == 0) {
                s->ask_at_ms = now_ms + ASK_MS_MAX; /* a reload may change that */
        } else if (now_ms >= s->ask_at_ms) {
                tell(s, CHANNEL_ALIVE);
                s->ask_at_ms = CLOCK_NEVER;
                s->alive_by_ms = now_ms + watchdog_ms(s);
        }
}

/* ---- answers: parts, and what ends them ---- */

static void drop_offer(struct supervisor *s)
{
        if (!s->offered.config)
                return;
        listen_done(&s->offered.listen);
        findings_done(&s->offered.findings);
        config_unref(&s->offered.config);
}

static void begin_answer(struct supervisor *s, uint32_t question)
{
        drop_offer(s); /* of a question that nobody waits for any more */
        s->question = question;
        s->answer_error = 0;
}

static void answer_part(struct supervisor *s, struct channel_message *m, int fd)
{
        m->number = s->question;
        if (s->answer_error == 0)
                s->answer_error = send_message(s, m, fd);
}

static void answer_failed(struct supervisor *s, const char *text)
{
        struct channel_message m = {.kind = CHANNEL_FAILED, .number = s->question};
        snprintf(m.text, sizeof(m.text), "%s", text);
        send_message(s, &m, -1); /* if that fails too, the worker does not wait for ever */
}

/* "done"; or, when a part of it could not be sent, that it failed. */
static __attribute__((noinline)) void end_answer(struct supervisor *s)
{
        struct channel_message m = {.kind = CHANNEL_DONE};
        struct why why;
        if (s->answer_error == 0)
                answer_part(s, &m, -1);
        if (s->answer_error == 0)
                return;
        why_set(&why, s->answer_error, "the supervisor cannot send what was asked for: %s",
                why_errno(s->answer_error));
        answer_failed(s, why.text);
}

/* Nobody can connect from here on; the worker ends what is under way. */
static void begin_stop(struct supervisor *s)
{
        if (s->is_stopping)
                return;
        s->is_stopping = true;
        s->exit_code = 0;
        s->start_at_ms = CLOCK_NEVER;
        s->kill_at_ms = clock_mono_ms() + STOP_MS;
        drop_offer(s);
        listen_done(&s->listen);
        tell(s, CHANNEL_STOP);
}

/* ---- reload: the worker wants to read the new configuration's keys ---- */

static void send_key(void *context, struct str path)
{
        struct supervisor *s = context;
        struct channel_message m = {.kind = CHANNEL_KEY};
        int fd = path.len < sizeof(m.text) ? keys_copy_file(path) : -ENAMETOOLONG;
        if (fd < 0)
                return; /* the worker will find out, and say so */
        snprintf(m.text, sizeof(m.text), "%.*s", STR_ARG(path));
        answer_part(s, &m, fd);
        close(fd);
}

static void send_keys(struct supervisor *s)
{
        struct findings findings;
        findings_init(&findings);
        struct config *c = config_load(s->dir, s->overrides, &findings);
        if (c)
                keys_each_file(c, send_key, s);
        config_unref(&c);
        findings_done(&findings);
        end_answer(s);
}

/* ---- reload: the worker has found the new configuration good ---- */

/* All of them: which ones the worker has is for it to say, after a reload that it gave up too. */
static void send_sockets(struct supervisor *s, const struct listen_set *listen)
{
        for (size_t i = 0; i < listen->count; i++) {
                const struct listen_address *a = &listen->list[i];
                const struct listen_address *old = listen_find(&s->listen, a->text);
                const int *fds = old ? old->fds : a->fds;
                for (size_t k = 0; k < listen->loop_count; k++) {
                        struct channel_message m = {.kind = CHANNEL_SOCKET, .loop = (uint32_t)k};
                        snprintf(m.text, sizeof(m.text), "%s", a->text);
                        if (fds[k] >= 0)
                                answer_part(s, &m, fds[k]);
                }
        }
}

static const struct finding *first_error(const struct findings *findings)
{
        const struct finding *f = findings->first;
        while (f && f->severity < SEVERITY_ERROR)
                f = f->next;
        return f;
}

static __attribute__((noinline)) void refuse_reload(struct supervisor *s,
                                                    const struct findings *findings)
{
        char text[sizeof(((struct channel_message *)0)->text)] = "the server is stopping";
        const struct finding *f = first_error(findings);
        if (f) {
                finding_format(f, text, sizeof(text));
                text[strcspn(text, "\n")] = 0;
        }
        answer_failed(s, text);
}

/* What both have stays open; what only the old one has is closed; what only the new one has is opened. */
static void change_sockets(struct supervisor *s, struct listen_set *new)
{
        listen_take_over(new, &s->listen);
        listen_done(&s->listen);
        s->listen = *new;
        *new = (struct listen_set){0};
}

static void open_new(struct supervisor *s, struct listen_set *new, struct findings *findings)
{
        /* addresses that are open already are left alone: they are borrowed for the time being */
        struct listen_set wanted = *new;
        for (size_t i = 0; i < wanted.count; i++) {
                const struct listen_address *old = listen_find(&s->listen, wanted.list[i].text);
                if (old)
                        wanted.list[i].fds[0] = old->fds[0];
        }
        listen_open(new, findings);
        for (size_t i = 0; i < new->count; i++)
                if (listen_find(&s->listen, new->list[i].text))
                        new->list[i].fds[0] = -1;
}

static void reload(struct supervisor *s)
{
        struct findings findings;
        findings_init(&findings);
        struct listen_set listen = {0};
        struct config *c = s->is_stopping ? NULL : config_load(s->dir, s->overrides, &findings);
        if (c)
                listen_plan(c, s->loop_count, &listen, &findings);
        if (c && !findings_has_errors(&findings))
                open_new(s, &listen, &findings);
        struct why why;
        if (c && !findings_has_errors(&findings) && log_setup_make_file(c, &s->identity, &why) < 0)
                findings_add(&findings, SEVERITY_ERROR, "no-log", config_place(c, "maillog_file"),
                             NULL, "%s", why.text);
        if (!c || findings_has_errors(&findings)) {
                refuse_reload(s, &findings);
                listen_done(&listen);
                config_unref(&c);
                findings_done(&findings);
                return;
        }
        s->offered.config = c;
        s->offered.listen = listen;
        s->offered.findings = findings;
        s->offered.number = s->question;
        send_sockets(s, &listen);
        end_answer(s);
        if (s->answer_error < 0)
                drop_offer(s);
}

/* What is served no more is closed here, too. */
static __attribute__((noinline)) void answer_taken(struct supervisor *s, uint32_t number)
{
        const struct channel_message m = {.kind = CHANNEL_DONE, .number = number};
        send_message(s, &m, -1);
}

/* The worker has taken what was offered: it is ours, too. */
static void take_offer(struct supervisor *s, uint32_t number)
{
        struct why why;
        if (!s->offered.config || s->offered.number != number)
                return;
        change_sockets(s, &s->offered.listen);
        config_unref(&s->config);
        s->config = s->offered.config;
        s->offered.config = NULL;
        key_watch_begin(&s->keys, s->config, clock_mono_ms());
        findings_done(&s->findings);
        s->findings = s->offered.findings;
        if (log_setup_open(s->config, &s->identity, &why) < 0)
                log_warning("master", "%s", why.text);
}

/* ---- what happens ---- */

static void print_ready(const struct supervisor *s)
{
        fprintf(stderr, "forepost %s: ready on ", FOREPOST_VERSION);
        for (size_t i = 0; i < s->listen.count; i++) {
                struct str command = s->config->services[s->listen.list[i].service].command;
                fprintf(stderr, "%s%s (%.*s)", i ? ", " : "", s->listen.list[i].text,
                        STR_ARG(command));
        }
        static __thread char directory[QUEUE_DIRECTORY_BYTES_MAX]; /* large for a frame */
        queue_directory_find(s->config, directory);
        fprintf(stderr, ", queue %s, %zu thread%s\n", directory, s->loop_count,
                s->loop_count == 1 ? "" : "s");
}

static void worker_is_ready(struct supervisor *s)
{
        if (s->was_ready) {
                log_info("master", "worker process %d serves", (int)s->worker);
                return;
        }
        s->was_ready = true;
        log_info("master", "daemon started -- version %s, configuration %.*s", FOREPOST_VERSION,
                 STR_ARG(s->config->dir));
        print_ready(s);
}

static void hear_worker(struct supervisor *s)
{
        struct channel_message m;
        int fd;
        int rc = channel_receive(s->channel, &m, &fd, MSG_DONTWAIT);
        if (fd >= 0)
                close(fd); /* it has nothing to give */
        if (rc == -EAGAIN)
                return;
        if (rc != 1) {
                close_channel(s);
                return;
        }
        switch (m.kind) {
        case CHANNEL_READY:
                worker_is_ready(s);
                ask_later(s);
                break;
        case CHANNEL_ALIVE:
                ask_later(s);
                break;
        case CHANNEL_TAKEN:
                take_offer(s, m.number);
                answer_taken(s, m.number);
                break;
        case CHANNEL_GIVEN_UP:
                if (m.number == s->offered.number)
                        drop_offer(s);
                break;
        case CHANNEL_STOP:
                log_info("master", "terminating on request");
                begin_stop(s);
                break;
        case CHANNEL_KEYS:
                begin_answer(s, m.number);
                send_keys(s);
                break;
        case CHANNEL_LISTEN:
                begin_answer(s, m.number);
                reload(s);
                break;
        case CHANNEL_LAST_WORDS:
                log_write(LOG_LEVEL_PANIC, "master", "worker process %d: %s", (int)s->worker,
                          m.text);
                break;
        default:
                log_warning("master", "worker process %d said %u", (int)s->worker, m.kind);
                break;
        }
}

static void log_death(const struct supervisor *s, pid_t pid, int status)
{
        if (WIFSIGNALED(status))
                log_warning("master", "worker process %d died: signal %d (%s)", (int)pid,
                            WTERMSIG(status), strsignal(WTERMSIG(status)));
        else if (WEXITSTATUS(status) != 0 || !s->is_stopping)
                log_warning("master", "worker process %d ended: exit status %d", (int)pid,
                            WEXITSTATUS(status));
}

static void worker_is_gone(struct supervisor *s, int status)
{
        while (s->channel >= 0)
                hear_worker(s);                  /* its last words, then the end */
        if (s->was_ready || WIFSIGNALED(status)) /* else it has said itself what is wrong */
                log_death(s, s->worker, status);
        s->worker = 0;
        drop_offer(s);
        if (s->is_stopping) {
                s->exit_code = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
                return;
        }
        bool has_said = WIFEXITED(status) && WEXITSTATUS(status) != 0;
        if (!s->was_ready && (has_said || s->starts == STARTS_MAX)) {
                if (!has_said)
                        fprintf(stderr, "forepost: the worker dies at the start; giving up\n");
                s->is_stopping = true;
                s->exit_code = 1;
                return;
        }
        if (clock_mono_ms() - s->worker_started_ms >= HEALTHY_MS)
                s->backoff_ms = 0;
        schedule_start(s);
}

static void hear_signals(struct supervisor *s)
{
        struct signalfd_siginfo info;
        while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
                if (info.ssi_signo == SIGCHLD)
                        continue; /* looked at below, whatever came */
                if (info.ssi_signo == SIGHUP) {
                        if (s->channel < 0)
                                log_warning("master", "no worker runs: SIGHUP is to be sent again");
                        tell(s, CHANNEL_RELOAD);
                        continue;
                }
                if (!s->is_stopping)
                        log_info("master", "terminating on signal %u", info.ssi_signo);
                begin_stop(s);
        }
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
                if (pid == s->worker)
                        worker_is_gone(s, status);
}

static int sleep_ms(const struct supervisor *s)
{
        int64_t at_ms = s->is_stopping ? s->kill_at_ms : s->start_at_ms;
        const int64_t others[] = {s->keys.next_ms, s->ask_at_ms, s->alive_by_ms, s->hang_kill_ms};
        for (size_t i = 0; !s->is_stopping && i < sizeof(others) / sizeof(others[0]); i++)
                if (others[i] < at_ms)
                        at_ms = others[i];
        if (at_ms == CLOCK_NEVER)
                return -1;
        int64_t left = at_ms - clock_mono_ms();
        return left < 0 ? 0 : left > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : (int)left;
}

/* Renewed certificates are taken as a reload takes them: all at once, or the old ones stay. */
static void check_keys(struct supervisor *s, int64_t now_ms)
{
        if (s->is_stopping || !key_watch_is_due(&s->keys, now_ms) || s->channel < 0)
                return;
        log_info("master", "certificate files have changed: reloading");
        tell(s, CHANNEL_RELOAD);
}

static void check_times(struct supervisor *s)
{
        int64_t now_ms = clock_mono_ms();
        if (s->is_stopping && s->worker && now_ms >= s->kill_at_ms) {
                log_warning("master", "worker process %d does not end; killing it", (int)s->worker);
                kill(s->worker, SIGKILL);
                s->kill_at_ms = CLOCK_NEVER;
        }
        if (!s->is_stopping && !s->worker && now_ms >= s->start_at_ms)
                start_worker(s);
        check_keys(s, now_ms);
        watch_worker(s, now_ms);
}

/* Until the end; or, in a child, until the worker has ended. */
static void supervise(struct supervisor *s)
{
        check_times(s);
        while (!s->is_worker && (s->worker || !s->is_stopping)) {
                struct pollfd fds[] = {
                        {.fd = s->signal_fd, .events = POLLIN},
                        {.fd = s->channel, .events = s->unsent.count ? POLLIN | POLLOUT : POLLIN}};
                if (poll(fds, 2, sleep_ms(s)) < 0 && errno != EINTR)
                        break;
                if (fds[1].revents & ~POLLOUT && s->channel >= 0)
                        hear_worker(s);
                send_unsent(s);
                hear_signals(s);
                check_times(s);
        }
}

static void done(struct supervisor *s)
{
        close_channel(s);
        drop_offer(s);
        listen_done(&s->listen);
        key_watch_done(&s->keys);
        if (s->signal_fd >= 0)
                close(s->signal_fd);
        if (s->lock_fd >= 0)
                close(s->lock_fd);
        config_unref(&s->config);
        findings_done(&s->findings);
}

/* Before libraries look there. */
static void import_environment(struct supervisor *s)
{
        struct why why;
        struct str list = s->config->params.import_environment;
        if (environment_import(list, &why) < 0)
                findings_add(&s->findings, SEVERITY_ERROR, "bad-value",
                             config_place(s->config, "import_environment"), "write NAME=VALUE",
                             "%s", why.text);
}

int supervisor_run(const char *dir, const struct config_override *overrides)
{
        struct supervisor s = {.dir = dir,
                               .overrides = overrides,
                               .lock_fd = -1,
                               .signal_fd = -1,
                               .channel = -1,
                               .start_at_ms = 0,
                               .kill_at_ms = CLOCK_NEVER,
                               .ask_at_ms = CLOCK_NEVER,
                               .alive_by_ms = CLOCK_NEVER,
                               .hang_kill_ms = CLOCK_NEVER,
                               .keys = {.next_ms = CLOCK_NEVER},
                               .exit_code = 1};
        open_standard_files();
        umask(077);
        raise_limits();
        findings_init(&s.findings);
        channel_queue_init(&s.unsent);
        s.config = config_load(dir, overrides, &s.findings);
        if (s.config && !findings_has_errors(&s.findings))
                import_environment(&s);
        if (s.config)
                keys_begin(s.config, &s.findings);
        if (s.config)
                prepare(&s);
        if (!s.config || findings_has_errors(&s.findings)) {
                worker_print_findings(&s.findings, true);
        } else if (watch_signals(&s) < 0) {
                fprintf(stderr, "forepost: cannot watch signals: %s\n", why_errno(errno));
        } else {
                key_watch_begin(&s.keys, s.config, clock_mono_ms());
                supervise(&s);
        }
        int code = s.exit_code;
        done(&s);
        return code;
}
