/*
 * verify.c - questions, probes and those who wait for them
 *
 * All hangs under one lock, held for a look-up. A probe that is under way is a struct verify_probe with its waiters; its end puts
 * what was found out into the cache and sends each waiter a letter.
 *
 * A waiter belongs to its task's loop: there the letter is opened and there the task gives it up, so the two need no lock
 * between them.
 *
 * The file only grows, line by line (verify_write appends what is new), until more than half of it is old or
 * address_verify_cache_cleanup_interval has passed: then it is written anew beside itself and renamed.
 */
#include "state/verify_private.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/task.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
        PROBE_TTL_S = 1000, /* a refresh that came to nothing is not tried again before */
        WARNING_MS = 60 * 1000,
        SERVERS_MAX = 1024,
        NEWS_BYTES_MAX = 4 << 20, /* lines that wait for verify_write() */
        PART_ENTRIES = 500,       /* written anew with the lock held, at once */
        PART_BYTES_MAX = PART_ENTRIES * VERIFY_LINE_BYTES_MAX,
        OLD_LINES_MIN = 1000,
        READ_BYTES = 64 * 1024,
        PATH_BYTES_MAX = 1024,
};

static const struct str in_progress = STR_INIT("Address verification in progress");

struct rules {
        bool remembers_refused;
        int64_t good_expire_s, good_refresh_s, bad_expire_s, bad_refresh_s, deferred_expire_s;
        int64_t tidy_ms;
        size_t probe_max;
};

struct server {
        struct loop *loop;
        verify_start *start;
        void *context;
};

struct verify {
        pthread_mutex_t lock;
        struct rules rules;
        struct verify_cache cache;
        struct map probes; /* by address */
        struct server *servers;
        size_t server_count;
        int64_t warned_ms; /* monotonic: of too many probes */

        /* the file; what has no lock belongs to verify_write() */
        char path[PATH_BYTES_MAX]; /* empty: none */
        struct buf news;           /* with the lock */
        bool news_are_lost;        /* with the lock: over the ceiling, all is to be written anew */
        size_t lines;              /* of the file */
        int64_t tidied_ms;
};

struct verify_probe {
        struct verify *verify;
        struct str address; /* behind this struct */
        struct list waiters;
};

struct waiter {
        struct letter letter;
        struct list link; /* with the lock; in probe->waiters until it is answered */
        struct loop *loop;
        struct task *task; /* NULL: it has gone */
        bool is_opened;
        bool is_answered; /* with the lock */
        enum verify_status status;
        struct str text; /* behind this struct */
        char bytes[VERIFY_TEXT_BYTES_MAX];
};

const char *verify_status_words(enum verify_status status)
{
        static const char *const names[] = {"pending", "deliverable", "undeliverable", "deferred"};
        return names[status];
}

static int64_t now_s(void)
{
        return clock_wall_us() / 1000000;
}

/* ---- life ---- */

void verify_set_params(struct verify *v, const struct params *p)
{
        pthread_mutex_lock(&v->lock);
        v->rules = (struct rules){
                .remembers_refused = p->address_verify_negative_cache,
                .good_expire_s = p->address_verify_positive_expire_time / 1000,
                .good_refresh_s = p->address_verify_positive_refresh_time / 1000,
                .bad_expire_s = p->address_verify_negative_expire_time / 1000,
                .bad_refresh_s = p->address_verify_negative_refresh_time / 1000,
                .deferred_expire_s = p->address_verify_tempfail_expire_time / 1000,
                .tidy_ms = p->address_verify_cache_cleanup_interval,
                .probe_max = (size_t)p->address_verify_pending_request_limit,
        };
        verify_cache_set_max(&v->cache, (size_t)p->address_verify_cache_entry_limit);
        pthread_mutex_unlock(&v->lock);
}

struct verify *verify_new(const struct params *p)
{
        struct verify *v = calloc(1, sizeof(*v));
        check(v);
        pthread_mutex_init(&v->lock, NULL);
        verify_cache_init(&v->cache, 0);
        map_init(&v->probes);
        buf_init(&v->news, NEWS_BYTES_MAX);
        v->warned_ms = clock_mono_ms() - WARNING_MS;
        verify_set_params(v, p);
        return v;
}

void verify_free(struct verify **vp)
{
        struct verify *v = *vp;
        *vp = NULL;
        if (!v)
                return;
        check(v->probes.count == 0);
        verify_cache_done(&v->cache);
        map_done(&v->probes);
        buf_done(&v->news);
        free(v->servers);
        pthread_mutex_destroy(&v->lock);
        free(v);
}

void verify_count(struct verify *v, struct verify_counts *out)
{
        pthread_mutex_lock(&v->lock);
        *out = (struct verify_counts){.entries = v->cache.entries.count, .probes = v->probes.count};
        pthread_mutex_unlock(&v->lock);
}

/* ---- what is remembered; with the lock held ---- */

static bool is_valid(const struct rules *r, const struct verify_entry *e, int64_t now)
{
        int64_t age = now - e->updated_s;
        if (age < 0) /* the clock was set back */
                return false;
        switch (e->status) {
        case VERIFY_DELIVERABLE:
                return age < r->good_expire_s;
        case VERIFY_UNDELIVERABLE:
                return r->remembers_refused && age < r->bad_expire_s;
        case VERIFY_DEFERRED:
                return r->remembers_refused && age < r->deferred_expire_s;
        case VERIFY_PENDING:
                break;
        }
        return false;
}

static bool wants_refresh(const struct rules *r, const struct verify_entry *e, int64_t now)
{
        int64_t age = now - e->updated_s;
        int64_t limit = e->status == VERIFY_DELIVERABLE ? r->good_refresh_s : r->bad_refresh_s;
        return e->status != VERIFY_DEFERRED && age >= limit && now - e->probed_s >= PROBE_TTL_S;
}

/* May this take the place of what is remembered? A failure takes nobody's good name; who could not be asked, no name. */
static bool may_replace(const struct verify *v, struct str address, enum verify_status status,
                        int64_t now)
{
        const struct verify_entry *e = map_find(&v->cache.entries, address);
        if (status == VERIFY_PENDING ||
            (status != VERIFY_DELIVERABLE && !v->rules.remembers_refused))
                return false;
        if (!e || !is_valid(&v->rules, e, now) || status == VERIFY_DELIVERABLE)
                return true;
        return e->status == VERIFY_DEFERRED ||
               (e->status == VERIFY_UNDELIVERABLE && status == VERIFY_UNDELIVERABLE);
}

static void remember(struct verify *v, struct str address, enum verify_status status,
                     struct str text)
{
        int64_t now = now_s();
        if (!may_replace(v, address, status, now))
                return;
        const struct verify_entry *e = verify_cache_put(&v->cache, address, status, text, now);
        if (v->path[0] && !v->news_are_lost && !verify_line_put(&v->news, e))
                v->news_are_lost = true;
}

/* ---- waiting ---- */

static void waiter_open(struct letter *letter)
{
        struct waiter *w = heap_of(letter, struct waiter, letter);
        w->is_opened = true;
        if (w->task)
                task_wake(w->task);
        else
                free(w);
}

/* With the lock held. */
static struct waiter *waiter_new(struct verify_probe *p)
{
        struct waiter *w = calloc(1, sizeof(*w));
        check(w);
        w->letter.open = waiter_open;
        w->loop = loop_self();
        w->task = task_self();
        list_add_last(&p->waiters, &w->link);
        return w;
}

/* With the lock held: the waiter is its loop's alone from now on. */
static void waiter_answer(struct waiter *w, enum verify_status status, struct str text)
{
        list_remove(&w->link);
        w->status = status;
        w->text = str_make(w->bytes, text.len);
        if (text.len)
                memcpy(w->bytes, text.ptr, text.len);
        w->is_answered = true;
        loop_post(w->loop, &w->letter);
}

static void await_waiter(struct verify *v, struct waiter *w, struct str address, int64_t wait_ms,
                         struct arena *arena, struct verify_answer *out)
{
        int64_t deadline_ms = loop_now_ms() + wait_ms;
        int rc = 0;
        while (!w->is_opened && rc == 0)
                rc = await_wake("waiting for a probe of", address, deadline_ms);
        pthread_mutex_lock(&v->lock);
        list_remove(&w->link);
        bool is_answered = w->is_answered;
        pthread_mutex_unlock(&v->lock);
        if (is_answered && w->status != VERIFY_PENDING)
                *out = (struct verify_answer){.status = w->status,
                                              .text = arena_str(arena, w->text)};
        w->task = NULL;
        if (!is_answered || w->is_opened)
                free(w);
}

/* ---- probes ---- */

struct str verify_probe_address(const struct verify_probe *p)
{
        return p->address;
}

void verify_serve(struct verify *v, struct loop *l, verify_start *start, void *context)
{
        pthread_mutex_lock(&v->lock);
        size_t i = 0;
        while (i < v->server_count && v->servers[i].loop != l)
                i++;
        if (i == v->server_count) {
                check(v->server_count < SERVERS_MAX);
                v->servers = realloc(v->servers, ++v->server_count * sizeof(*v->servers));
                check(v->servers);
        }
        v->servers[i] = (struct server){.loop = l, .start = start, .context = context};
        pthread_mutex_unlock(&v->lock);
}

static struct server find_server(const struct verify *v)
{
        const struct loop *here = loop_self();
        for (size_t i = 0; i < v->server_count; i++)
                if (v->servers[i].loop == here)
                        return v->servers[i];
        return (struct server){0};
}

static bool may_probe(struct verify *v)
{
        int64_t now_ms = clock_mono_ms();
        if (v->probes.count < v->rules.probe_max)
                return true;
        if (now_ms - v->warned_ms >= WARNING_MS) {
                v->warned_ms = now_ms;
                log_warning("verify",
                            "%zu probes are under way: no more are made "
                            "(address_verify_pending_request_limit)",
                            v->probes.count);
        }
        return false;
}

static struct verify_probe *probe_new(struct verify *v, struct str address)
{
        struct verify_probe *p = calloc(1, sizeof(*p) + address.len);
        check(p);
        char *bytes = (char *)(p + 1);
        memcpy(bytes, address.ptr, address.len);
        p->verify = v;
        p->address = str_make(bytes, address.len);
        list_init(&p->waiters);
        map_put(&v->probes, p->address, p);
        return p;
}

void verify_probe_done(struct verify_probe *p, enum verify_status status, struct str text)
{
        struct verify *v = p->verify;
        text = str_part(text, 0, VERIFY_TEXT_BYTES_MAX);
        pthread_mutex_lock(&v->lock);
        map_remove(&v->probes, p->address);
        remember(v, p->address, status, text);
        list_each (link, &p->waiters) {
                waiter_answer(list_of(link, struct waiter, link), status, text);
        }
        pthread_mutex_unlock(&v->lock);
        free(p);
}

/* ---- questions ---- */

/* Domains compare without case; what a mailbox is called is its server's business. */
static bool key_of(struct str address, char key[SMTP_PATH_BYTES_MAX])
{
        ptrdiff_t at = str_find_last(address, '@');
        if (address.len == 0 || address.len > SMTP_PATH_BYTES_MAX)
                return false;
        for (size_t i = 0; i < address.len; i++)
                key[i] = at >= 0 && i > (size_t)at ? char_lower(address.ptr[i]) : address.ptr[i];
        return true;
}

/* What one question comes to while the lock is held. */
struct question {
        struct verify_probe *begun; /* to be started */
        struct server server;
        struct waiter *waiter; /* to be waited with */
};

/* True: *out is the answer, from what is remembered. */
static bool look_up(struct verify *v, struct str address, struct arena *arena,
                    struct verify_answer *out, bool *wants_probe)
{
        struct verify_entry *e = verify_cache_find(&v->cache, address);
        int64_t now = now_s();
        *wants_probe = true;
        if (!e || !is_valid(&v->rules, e, now))
                return false;
        *out = (struct verify_answer){
                .status = e->status, .text = arena_str(arena, e->text), .was_cached = true};
        *wants_probe = wants_refresh(&v->rules, e, now);
        if (*wants_probe)
                e->probed_s = now;
        return true;
}

static void ask(struct verify *v, struct str address, int64_t wait_ms, struct arena *arena,
                struct verify_answer *out, struct question *q)
{
        bool wants_probe;
        bool is_known = look_up(v, address, arena, out, &wants_probe);
        struct verify_probe *p = map_find(&v->probes, address);
        q->server = find_server(v);
        if (wants_probe && !p && q->server.start && may_probe(v))
                p = q->begun = probe_new(v, address);
        if (!is_known && p && wait_ms > 0)
                q->waiter = waiter_new(p);
}

void await_verify_ask(struct verify *v, struct str address, int64_t wait_ms, struct arena *arena,
                      struct verify_answer *out)
{
        char key[SMTP_PATH_BYTES_MAX];
        struct question q = {0};
        *out = (struct verify_answer){.status = VERIFY_PENDING, .text = in_progress};
        if (!key_of(address, key)) {
                out->status = VERIFY_DEFERRED;
                out->text = STR("the address is too long to be verified");
                return;
        }
        struct str folded = str_make(key, address.len);
        pthread_mutex_lock(&v->lock);
        ask(v, folded, wait_ms, arena, out, &q);
        pthread_mutex_unlock(&v->lock);
        if (q.begun)
                q.server.start(q.server.context, q.begun);
        if (q.waiter)
                await_waiter(v, q.waiter, address, wait_ms, arena, out);
}

/* ---- the file ---- */

static int say(struct why *why, const char *what, const char *path)
{
        int code = -errno;
        return why_set(why, code, "cannot %s %s: %s", what, path, why_errno(code));
}

/* Before there are threads that ask. */
static void take_line(struct verify *v, struct str line)
{
        struct verify_line l;
        v->lines++;
        if (!verify_line_read(line, &l))
                return;
        struct verify_entry *e =
                verify_cache_put(&v->cache, l.address, l.status, l.text, l.updated_s);
        if (!is_valid(&v->rules, e, now_s()))
                verify_cache_remove(&v->cache, e);
}

/* All whole lines of what stands in `in`; what is longer than a line can be is none. */
static void take_lines(struct verify *v, struct buf *in)
{
        struct str rest = buf_str(in);
        ptrdiff_t end;
        while ((end = str_find(rest, '\n')) >= 0) {
                take_line(v, str_part(rest, 0, (size_t)end));
                rest = str_tail(rest, (size_t)end + 1);
        }
        buf_consume(in, rest.len > VERIFY_LINE_BYTES_MAX ? in->len : in->len - rest.len);
}

static int read_all(struct verify *v, int fd, struct why *why)
{
        struct buf in;
        ssize_t got = 0;
        buf_init(&in, READ_BYTES + VERIFY_LINE_BYTES_MAX);
        for (;;) {
                char *at = buf_reserve(&in, READ_BYTES);
                check(at);
                got = read(fd, at, READ_BYTES);
                if (got <= 0)
                        break;
                buf_grow(&in, (size_t)got);
                take_lines(v, &in);
        }
        buf_done(&in);
        return got < 0 ? say(why, "read", v->path) : 0;
}

int verify_open(struct verify *v, const char *path, struct why *why)
{
        check((size_t)snprintf(v->path, sizeof(v->path), "%s", path) < sizeof(v->path));
        v->tidied_ms = clock_mono_ms();
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        int rc = 0;
        if (fd >= 0) {
                rc = read_all(v, fd, why);
                close(fd);
                v->news_are_lost = true; /* it is written anew, without half a line at its end */
        } else if (errno != ENOENT) {
                rc = say(why, "open", path);
        }
        if (rc < 0)
                v->path[0] = 0;
        return rc;
}

static int write_all(int fd, struct str text)
{
        while (text.len) {
                ssize_t n = write(fd, text.ptr, text.len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -1;
                text = str_tail(text, (size_t)n);
        }
        return 0;
}

struct rewriting {
        struct verify *verify;
        struct buf out;
        size_t lines;
};

static void put_entry(void *context, const struct verify_entry *e)
{
        struct rewriting *r = context;
        if (!is_valid(&r->verify->rules, e, now_s()))
                return;
        verify_line_put(&r->out, e);
        r->lines++;
}

/* In parts, so that nobody who asks waits for the lock for long. */
static int write_entries(struct rewriting *r, int fd)
{
        struct verify *v = r->verify;
        bool has_more = true;
        int rc = 0;
        pthread_mutex_lock(&v->lock);
        verify_cache_begin_round(&v->cache);
        buf_done(&v->news); /* they are among the entries */
        v->news_are_lost = false;
        pthread_mutex_unlock(&v->lock);
        while (has_more && rc == 0) {
                buf_clear(&r->out);
                pthread_mutex_lock(&v->lock);
                has_more = verify_cache_each_part(&v->cache, PART_ENTRIES, put_entry, r);
                pthread_mutex_unlock(&v->lock);
                rc = write_all(fd, buf_str(&r->out));
        }
        return rc;
}

static int write_anew(struct verify *v, struct why *why)
{
        char path[PATH_BYTES_MAX + 8];
        struct rewriting r = {.verify = v};
        snprintf(path, sizeof(path), "%s.new", v->path);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
                return say(why, "make", path);
        buf_init(&r.out, PART_BYTES_MAX);
        int rc = write_entries(&r, fd);
        if (rc == 0)
                rc = rename(path, v->path);
        if (rc < 0)
                rc = say(why, "write", path);
        close(fd);
        buf_done(&r.out);
        if (rc < 0)
                return rc;
        v->lines = r.lines;
        v->tidied_ms = clock_mono_ms();
        return 0;
}

static size_t count_lines(struct str text)
{
        size_t count = 0;
        for (size_t i = 0; i < text.len; i++)
                count += text.ptr[i] == '\n';
        return count;
}

static int append(struct verify *v, struct buf *news, struct why *why)
{
        int fd = open(v->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0)
                return say(why, "open", v->path);
        int rc = write_all(fd, buf_str(news)) < 0 ? say(why, "write", v->path) : 0;
        close(fd);
        v->lines += count_lines(buf_str(news));
        return rc;
}

int verify_write(struct verify *v, struct why *why)
{
        struct buf news = {0};
        if (!v->path[0])
                return 0;
        pthread_mutex_lock(&v->lock);
        bool is_due = v->rules.tidy_ms && clock_mono_ms() - v->tidied_ms >= v->rules.tidy_ms;
        bool is_old = v->lines > 2 * v->cache.entries.count + OLD_LINES_MIN;
        bool writes_anew = v->news_are_lost || is_due || is_old;
        if (!writes_anew) {
                news = v->news;
                buf_init(&v->news, NEWS_BYTES_MAX);
        }
        pthread_mutex_unlock(&v->lock);
        int rc = 0;
        if (writes_anew)
                rc = write_anew(v, why);
        else if (news.len)
                rc = append(v, &news, why);
        buf_done(&news);
        if (rc < 0) { /* the next time, all of it */
                pthread_mutex_lock(&v->lock);
                v->news_are_lost = true;
                pthread_mutex_unlock(&v->lock);
        }
        return rc;
}
