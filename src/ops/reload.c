/*
 * reload.c - a new configuration for a server that runs
 *
 * The new site is made beside the old one by the pool. When it has errors the old one stays. Else the
 * supervisor is asked to open what the new one listens on, as only it may; when it cannot, the old one
 * stays too. Then every loop changes over: connections and deliveries that began before go on with
 * what they began with.
 */
#include "ops/ops_private.h"

#include "base/log.h"
#include "loop/pool.h"
#include "ops/log_setup.h"

#include <errno.h>
#include <unistd.h>

enum { SUPERVISOR_MS = 30 * 1000 };

struct making {
        const struct worker_options *options;
        const struct config *old;
        struct findings *findings;
        struct site *site;
        struct listen_set listen;
        const struct key_files *key_files;
        size_t loop_count;
};

static void must_not_change(const struct making *m, const struct config *c, const char *name,
                            struct str old, struct str new)
{
        if (!str_eq(old, new))
                findings_add(m->findings, SEVERITY_ERROR, "needs-restart", config_place(c, name),
                             "forepost stop, then serve",
                             "%s cannot change while the server runs (it is %.*s)", name,
                             STR_ARG(old));
}

static void compare(const struct making *m, const struct config *c)
{
        const struct params *old = &m->old->params;
        must_not_change(m, c, "queue_directory", old->queue_directory, c->params.queue_directory);
        if (str_eq(old->queue_directory, c->params.queue_directory))
                must_not_change(m, c, "control_socket", old->control_socket,
                                c->params.control_socket);
        if (!str_eq(old->import_environment, c->params.import_environment))
                findings_add(m->findings, SEVERITY_WARNING, "needs-restart",
                             config_place(c, "import_environment"), "forepost stop, then serve",
                             "import_environment takes effect at the next start");
        if (old->worker_threads != c->params.worker_threads)
                findings_add(m->findings, SEVERITY_WARNING, "needs-restart",
                             config_place(c, "worker_threads"), "forepost stop, then serve",
                             "worker_threads takes effect at the next start");
}

/* On a pool thread. */
static int make_site(void *arg)
{
        struct making *m = arg;
        struct config *c = config_load(m->options->dir, m->options->overrides, m->findings);
        if (!c)
                return -ENOENT;
        compare(m, c);
        struct keys keys;
        keys_make(&keys, c, m->key_files, m->findings);
        m->site = site_new(c, &keys, m->findings);
        listen_plan(c, m->loop_count, &m->listen, m->findings);
        config_unref(&c);
        return findings_has_errors(m->findings) ? -EINVAL : 0;
}

static int unmake_site(void *arg)
{
        struct making *m = arg;
        site_unref(&m->site);
        listen_done(&m->listen);
        return 0;
}

/* The supervisor sends all of them: what we serve already is not taken twice, else nobody could close it. */
static void take_socket(struct worker *w, const struct channel_message *m, int fd)
{
        struct listen_address *a = listen_find(&w->incoming, m->text);
        if (a && !listen_find(&w->listen, m->text) && m->loop < w->incoming.loop_count &&
            a->fds[m->loop] < 0)
                a->fds[m->loop] = fd;
        else
                close(fd);
}

void reload_receive(struct worker *w, const struct channel_message *m, int fd)
{
        if (!channel_question_is_answer(&w->question, m)) {
                if (fd >= 0)
                        close(fd); /* too late: that reload was given up */
                return;
        }
        if (m->kind == CHANNEL_SOCKET && fd >= 0) {
                take_socket(w, m, fd);
                return;
        }
        if (m->kind == CHANNEL_KEY && fd >= 0) {
                key_files_add(&w->key_files, m->text, fd);
                return;
        }
        if (m->kind != CHANNEL_DONE && m->kind != CHANNEL_FAILED)
                return;
        snprintf(w->refusal, sizeof(w->refusal), "%s", m->kind == CHANNEL_FAILED ? m->text : "");
        w->has_answer = true;
        if (w->reloader)
                task_wake(w->reloader);
}

/* Until the question that is open has its answer, which may be a refusal. Negative: it has not come. */
static int await_answer(struct worker *w)
{
        int64_t deadline_ms = loop_now_ms() + SUPERVISOR_MS;
        int rc = 0;
        w->reloader = task_self();
        while (rc == 0 && !w->has_answer)
                rc = await_wake("waiting for", STR("the supervisor"), deadline_ms);
        w->reloader = NULL;
        channel_question_give_up(&w->question);
        return rc;
}

/*
 * Asks the supervisor for what needs its rights. Keys come into w->key_files, sockets that are new into
 * w->incoming.
 */
static int await_supervisor(struct worker *w, enum channel_kind kind, struct why *why)
{
        const struct channel_message m = {.kind = kind,
                                          .number = channel_question_ask(&w->question)};
        w->has_answer = false;
        int rc = channel_send(w->options->channel, &m, -1);
        if (rc == 0)
                rc = await_answer(w);
        if (!w->has_answer) {
                const struct channel_message end = {.kind = CHANNEL_GIVEN_UP, .number = m.number};
                channel_send(w->options->channel, &end, -1);
        }
        channel_question_give_up(&w->question);
        if (rc < 0)
                return why_set(why, rc, "the supervisor does not answer: %s", why_errno(rc));
        if (w->refusal[0])
                return why_set(why, -EADDRNOTAVAIL, "%s", w->refusal);
        return 0;
}

static void reopen_log(const struct worker *w, const struct config *c)
{
        struct why why;
        if (log_setup_open(c, w->options->identity, &why) < 0)
                log_warning("master", "%s; the log goes where it went before", why.text);
}

void reload_tell(struct worker *w)
{
        const struct channel_message m = {.kind = CHANNEL_TAKEN, .number = w->untold};
        if (w->untold && channel_send(w->options->channel, &m, -1) == 0)
                w->untold = 0;
}

/*
 * Tells the supervisor, which has the sockets too: when it has closed those that serve no more, nobody can connect there. That it
 * does not answer undoes nothing.
 */
static void await_tell(struct worker *w)
{
        w->untold = w->question.number;
        w->has_answer = false;
        reload_tell(w);
        if (w->untold)
                return;
        channel_question_reopen(&w->question);
        await_answer(w);
}

static void await_change(struct worker *w, struct making *m)
{
        worker_open_site(w, m->site);
        verify_set_params(w->verify, &m->site->config->params);
        core_mailboxes_use(m->site->mailboxes);
        m->listen = w->incoming;
        w->incoming = (struct listen_set){0};
        listen_drop_closed(&m->listen, &w->listen);
        await_stations_change(w, m->site, &m->listen);
        reopen_log(w, m->site->config);

        struct site *old_site = w->site;
        struct listen_set old_listen = w->listen;
        w->site = m->site;
        w->listen = m->listen;
        m->site = old_site;
        m->listen = old_listen;
        await_tell(w);
        w->reloads++;
        w->reloaded_us = clock_wall_us();
}

static int await_exchange(struct worker *w, struct making *m, struct why *why)
{
        int rc = w->options->identity->drops ? await_supervisor(w, CHANNEL_KEYS, why) : 0;
        if (rc < 0) {
                key_files_done(&w->key_files); /* else the next reload would find these first */
                return why_prefix(why, rc, "the old configuration stays in force");
        }
        m->key_files = &w->key_files;
        rc = await_pool_run("reading", STR("the configuration"), make_site, m);
        key_files_done(&w->key_files);
        if (rc < 0)
                return why_set(why, rc,
                               "the new configuration has errors; the old one stays in force");
        w->incoming = m->listen;
        m->listen = (struct listen_set){0};
        rc = await_supervisor(w, CHANNEL_LISTEN, why);
        if (rc < 0) {
                listen_done(&w->incoming);
                return why_prefix(why, rc, "the old configuration stays in force");
        }
        await_change(w, m);
        return 0;
}

int await_reload(struct worker *w, struct findings *findings, struct why *why)
{
        if (w->is_reloading || w->is_stopping)
                return why_set(why, -EBUSY,
                               w->is_stopping ? "the server is stopping"
                                              : "another reload is under way");
        w->is_reloading = true;
        struct making m = {.options = w->options,
                           .old = w->site->config,
                           .findings = findings,
                           .loop_count = w->station_count};
        int rc = await_exchange(w, &m, why);
        w->reloads_refused += rc < 0;
        worker_log_findings(findings);
        if (rc == 0)
                log_info("master", "reload -- version %s, configuration %.*s", FOREPOST_VERSION,
                         STR_ARG(w->site->config->dir));
        await_pool_run("letting go of", STR("a configuration"), unmake_site, &m);
        w->is_reloading = false;
        return rc;
}
