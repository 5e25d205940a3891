/*
 * worker.c - the process that serves
 *
 * Start: read the keys, give up privileges, make the site, open the spool, start the loops, then the office's tasks.
 * Stop: listeners and deliveries (what is under way may finish until a deadline), loops, spool.
 */
#include "ops/ops_private.h"

#include "base/check.h"
#include "base/log.h"
#include "dns/dns.h"
#include "loop/pool.h"
#include "ops/crash.h"
#include "ops/errand.h"
#include "ops/log_setup.h"
#include "ops/pickup.h"
#include "ops/queue_directory.h"
#include "ops/recorder.h"
#include "ops/refusals.h"
#include "ops/verifier.h"
#include "session/front_door.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
        POOL_THREADS = 16,   /* they sleep in fsync for the most part */
        STOP_MS = 10 * 1000, /* for what is under way when we are told to stop */
        REFRESH_MS = 1000,   /* how often files of tables are looked at */
        IDLE_MS = 10,
        LAST_WORDS_MS = 2000, /* for the log, when whoever takes it does not */
};

size_t worker_loop_count(const struct params *params)
{
        if (params->worker_threads > 0)
                return (size_t)params->worker_threads;
        cpu_set_t set;
        if (sched_getaffinity(0, sizeof(set), &set) == 0)
                return (size_t)CPU_COUNT(&set);
        return 1;
}

void worker_print_findings(const struct findings *findings, bool prints_all)
{
        static char line[8192];
        for (const struct finding *f = findings->first; f; f = f->next) {
                if (!prints_all && f->severity < SEVERITY_ERROR)
                        continue;
                finding_format(f, line, sizeof(line));
                fputs(line, stderr);
        }
}

static void log_finding(enum log_level level, const struct finding *f)
{
        char line[16] = "";
        if (f->line)
                snprintf(line, sizeof(line), ":%d", f->line);
        log_write(level, "master", "%.*s%s%s%.*s%s%.*s%s", STR_ARG(f->file), line,
                  f->file.len ? ": " : "", STR_ARG(f->text), f->cure.len ? " (" : "",
                  STR_ARG(f->cure), f->cure.len ? ")" : "");
}

void worker_log_findings(const struct findings *findings)
{
        for (const struct finding *f = findings->first; f; f = f->next) {
                if (f->severity == SEVERITY_ERROR)
                        log_finding(LOG_LEVEL_ERROR, f);
                else if (f->severity == SEVERITY_WARNING)
                        log_finding(LOG_LEVEL_WARNING, f);
        }
}

/* ---- signals and the supervisor ---- */

static void await_stop(void *arg)
{
        struct worker *w = arg;
        log_info("master", "stopping; what is under way has %d seconds", STOP_MS / 1000);
        if (w->refresher)
                task_cancel(w->refresher);
        if (w->list_keeper)
                task_cancel(w->list_keeper);
        if (w->verify_keeper)
                task_cancel(w->verify_keeper);
        if (w->picker)
                task_cancel(w->picker);
        while (!w->is_ready || w->refresher || w->list_keeper || w->verify_keeper || w->picker ||
               w->is_answering || w->is_reloading) /* what has begun comes to its end */
                await_sleep(IDLE_MS);
        await_stations_stop(w, loop_now_ms() + STOP_MS);
        await_control_stop(w);
        await_flusher_stop(w);
        loop_watch_remove(w->office, &w->signal_watch);
        loop_watch_remove(w->office, &w->channel_watch);
        dns_leave_loop(); /* the lists were tested from here */
        loop_stop(w->office);
}

void worker_stop(struct worker *w)
{
        if (w->is_stopping)
                return;
        w->is_stopping = true;
        task_start(w->office, await_stop, w);
}

void worker_ask_for_stop(struct worker *w)
{
        const struct channel_message m = {.kind = CHANNEL_STOP};
        if (channel_send(w->options->channel, &m, -1) < 0)
                worker_stop(w);
}

static void await_signalled_reload(void *arg)
{
        struct worker *w = arg;
        struct findings findings;
        struct why why;
        findings_init(&findings);
        if (await_reload(w, &findings, &why) < 0)
                log_error("master", "%s", why.text);
        findings_done(&findings);
}

static void reload_soon(struct worker *w)
{
        if (w->is_ready && !w->is_stopping)
                task_start(w->office, await_signalled_reload, w);
}

static void do_nothing(void *arg)
{
}

/* The office lives when it comes to this; each loop when it has done its errand. */
static void await_answer_alive(void *arg)
{
        struct worker *w = arg;
        const struct channel_message m = {.kind = CHANNEL_ALIVE};
        struct errand *errands = calloc(w->station_count, sizeof(*errands));
        check(errands);
        for (size_t i = 0; i < w->station_count; i++)
                errand_send(&errands[i], w->stations[i].loop, do_nothing, NULL);
        await_errands(errands, w->station_count, "asking whether it lives:");
        free(errands);
        channel_send(w->options->channel, &m, -1);
        w->is_answering = false;
}

static void answer_alive(struct worker *w)
{
        if (!w->is_ready || w->is_stopping || w->is_answering)
                return;
        w->is_answering = true;
        task_start(w->office, await_answer_alive, w);
}

static void signal_ready(struct watch *watch, uint32_t events)
{
        struct worker *w = heap_of(watch, struct worker, signal_watch);
        struct signalfd_siginfo info;
        while (read(w->signal_fd, &info, sizeof(info)) == sizeof(info)) {
                if (info.ssi_signo == SIGHUP)
                        reload_soon(w);
                else
                        worker_stop(w);
        }
}

static void channel_ready(struct watch *watch, uint32_t events)
{
        struct worker *w = heap_of(watch, struct worker, channel_watch);
        for (;;) {
                struct channel_message m;
                int fd;
                int rc = channel_receive(watch->fd, &m, &fd, MSG_DONTWAIT);
                if (rc == -EAGAIN)
                        return;
                if (rc != 1) { /* the supervisor is gone */
                        m = (struct channel_message){.kind = CHANNEL_FAILED,
                                                     .number = w->question.number,
                                                     .text = "the supervisor is gone"};
                        loop_watch_remove(w->office, &w->channel_watch);
                        reload_receive(w, &m, -1);
                        worker_stop(w);
                        return;
                }
                if (m.kind == CHANNEL_STOP)
                        worker_stop(w);
                else if (m.kind == CHANNEL_RELOAD)
                        reload_soon(w);
                else if (m.kind == CHANNEL_ALIVE)
                        answer_alive(w);
                else
                        reload_receive(w, &m, fd);
        }
}

static int watch_signals(struct worker *w, struct why *why)
{
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        w->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (w->signal_fd < 0)
                return why_set(why, -errno, "cannot watch signals: %s", why_errno(errno));
        w->signal_watch = (struct watch){.fd = w->signal_fd, .ready = signal_ready};
        w->channel_watch = (struct watch){.fd = w->options->channel, .ready = channel_ready};
        int rc = loop_watch_add(w->office, &w->signal_watch, EPOLLIN);
        if (rc == 0)
                rc = loop_watch_add(w->office, &w->channel_watch, EPOLLIN);
        return rc < 0 ? why_set(why, rc, "cannot watch signals: %s", why_errno(rc)) : 0;
}

/* ---- the office's tasks ---- */

static int refresh(void *arg)
{
        site_refresh(arg);
        return 0;
}

static void await_refresh(void *arg)
{
        struct worker *w = arg;
        int64_t seconds = 0;
        w->refresher = task_self();
        while (!w->is_stopping && await_sleep(REFRESH_MS) == 0) {
                struct site *site = site_ref(w->site);
                await_pool_run("looking at", STR("the files of tables"), refresh, site);
                site_unref(&site);
                reload_tell(w);
                await_save_known_clients(w, ++seconds);
        }
        w->refresher = NULL;
}

static void await_begin(void *arg)
{
        struct worker *w = arg;
        struct why why;
        await_stations_start(w);
        w->is_ready = true;
        if (w->is_stopping)
                return;
        if (control_start(w, &why) < 0) {
                log_error("master", "%s", why.text);
                fprintf(stderr, "forepost: %s\n", why.text);
                w->exit_code = WORKER_FAILED;
                worker_stop(w);
                return;
        }
        const struct channel_message m = {.kind = CHANNEL_READY};
        channel_send(w->options->channel, &m, -1);
        task_start(w->office, await_refresh, w);
        task_start(w->office, await_keep_lists, w);
        task_start(w->office, await_keep_verified, w);
        task_start(w->office, await_pick_up, w);
}

/* ---- life ---- */

static void *station_main(void *arg)
{
        struct station *s = arg;
        crash_use_own_stack();
        loop_run(s->loop);
        return NULL;
}

static int make_loops(struct worker *w, struct why *why)
{
        w->station_count = w->listen.loop_count;
        w->stations = calloc(w->station_count, sizeof(*w->stations));
        check(w->stations);
        w->office = loop_new(why);
        if (!w->office)
                return -EMFILE;
        for (size_t i = 0; i < w->station_count; i++) {
                struct station *s = &w->stations[i];
                s->worker = w;
                s->index = i;
                s->loop = loop_new(why);
                if (!s->loop)
                        return -EMFILE;
        }
        return 0;
}

static int open_spool(struct worker *w, struct why *why)
{
        const struct params *p = &w->site->config->params;
        struct loop **loops = calloc(w->station_count, sizeof(*loops));
        check(loops);
        for (size_t i = 0; i < w->station_count; i++)
                loops[i] = w->stations[i].loop;
        static __thread char directory[QUEUE_DIRECTORY_BYTES_MAX]; /* large for a frame */
        queue_directory_find(w->site->config, directory);
        const struct spool_options options = {
                .directory = str_from(directory),
                .loops = loops,
                .loop_count = w->station_count,
                .segment_bytes = p->spool_segment_size,
                .large_bytes = p->large_message_threshold,
                .hot_bytes_max = p->spool_memory_limit,
                .free_bytes_min = p->queue_minfree,
                .active_max = (size_t)p->qmgr_message_active_limit,
        };
        int rc = spool_open(&options, &w->spool, why);
        free(loops);
        return rc;
}

static int start_threads(struct worker *w, struct why *why)
{
        for (size_t i = 0; i < w->station_count; i++) {
                int rc =
                        pthread_create(&w->stations[i].thread, NULL, station_main, &w->stations[i]);
                if (rc != 0)
                        return why_set(why, -rc, "cannot start a thread: %s", why_errno(rc));
        }
        return 0;
}

/* Without a ring there are no codes; that is no reason not to serve. */
__attribute__((noinline)) static void open_refusals(struct worker *w)
{
        struct why why;
        const struct params *p = &w->site->config->params;
        w->refusals = refusals_new((size_t)p->refusal_trace_size, p->refusal_trace_file, &why);
        if (!w->refusals)
                log_warning("master", "%s; refusals are not kept for forepost explain", why.text);
}

void worker_open_site(struct worker *w, struct site *site)
{
        const bool records = site->config->params.session_record_file.len > 0;
        const struct site_hearing hearing = {.hear = w->refusals ? refusals_hear : NULL,
                                             .context = w->refusals,
                                             .await_record = records ? await_recorder_add : NULL,
                                             .record_context = site->config};
        site_open(site, w->spool, w->verify, flusher_ask, w, &hearing);
}

static int open_all(struct worker *w, struct why *why)
{
        int rc = log_thread_start(why);
        if (rc == 0)
                rc = make_loops(w, why);
        if (rc == 0)
                rc = pool_start(POOL_THREADS, why);
        if (rc == 0)
                rc = open_spool(w, why);
        if (rc == 0)
                rc = watch_signals(w, why);
        if (rc < 0)
                return rc;
        core_register();
        core_mailboxes_use(w->site->mailboxes);
        open_refusals(w);
        w->verify = verifier_new(w->site->config);
        worker_open_site(w, w->site);
        w->door = front_door_new();
        front_door_close(w->door, spool_is_drained(w->spool));
        if (front_door_is_closed(w->door))
                log_info("master", DRAINING);
        worker_load_known_clients(w);
        return start_threads(w, why);
}

static void close_all(struct worker *w)
{
        for (size_t i = 0; i < w->station_count; i++) {
                if (w->stations[i].thread) {
                        loop_stop(w->stations[i].loop);
                        pthread_join(w->stations[i].thread, NULL);
                }
        }
        if (w->door)
                worker_save_known_clients(w, w->site);
        if (w->spool)
                spool_close(&w->spool);
        pool_stop();
        if (w->verify)
                verifier_write(w->verify);
        core_mailboxes_use(NULL);
        site_unref(&w->site);
        front_door_free(&w->door);
        refusals_free(&w->refusals);
        verify_free(&w->verify);
        for (size_t i = 0; i < w->station_count; i++)
                loop_free(&w->stations[i].loop);
        free(w->stations);
        if (w->office)
                loop_free(&w->office);
        if (w->signal_fd >= 0)
                close(w->signal_fd);
        listen_done(&w->listen);
        log_thread_stop(LAST_WORDS_MS);
}

static int serve(struct worker *w)
{
        struct why why;
        int rc = open_all(w, &why);
        if (rc < 0) {
                log_write(LOG_LEVEL_FATAL, "master", "%s", why.text);
                fprintf(stderr, "forepost: %s\n", why.text);
                w->exit_code = WORKER_FAILED;
        } else {
                task_start(w->office, await_begin, w);
                loop_run(w->office);
        }
        close_all(w);
        return w->exit_code;
}

/* What this process is, before it has threads. */
static int prepare_process(const struct worker_options *options, struct why *why)
{
        int rc = identity_become(options->identity, why);
        if (rc < 0)
                return rc;
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error like a full disk */
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_SETMASK, &set, NULL);
        crash_install(options->channel);
        crash_use_own_stack();
        return 0;
}

int worker_run(const struct worker_options *options)
{
        struct why why;
        struct keys keys;
        keys_make(&keys, options->config, NULL, options->findings);
        if (prepare_process(options, &why) < 0) {
                fprintf(stderr, "forepost: %s\n", why.text);
                keys_done(&keys);
                return WORKER_FAILED;
        }
        struct worker w = {.options = options,
                           .listen = *options->listen,
                           .signal_fd = -1,
                           .started_us = clock_wall_us()};
        *options->listen = (struct listen_set){0};
        w.site = site_new(options->config, &keys, options->findings);
        worker_print_findings(options->findings, options->prints_all);
        if (findings_has_errors(options->findings)) {
                if (!options->prints_all)
                        worker_log_findings(options->findings);
                site_unref(&w.site);
                listen_done(&w.listen);
                return WORKER_REFUSED;
        }
        return serve(&w);
}
