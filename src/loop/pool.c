/*
 * pool.c - a few threads for what may block
 *
 * Two queues under a mutex, one for work on this machine, one for what waits for others; a finished piece of work
 * goes back to its loop as a letter that wakes the task.
 */
#include "loop/pool.h"

#include "base/check.h"
#include "base/log.h"
#include "loop/task.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

enum { THREADS_MAX = 64 };

struct work {
        struct letter letter;
        struct list link;
        struct loop *loop;
        struct task *task;
        int (*run)(void *arg);
        void *arg;
        int result;
        bool is_remote;
        bool is_begun; /* with the lock: no longer in a queue */
        bool is_done;  /* set by the letter, on the loop's thread */
};

static struct {
        pthread_mutex_t lock;
        pthread_cond_t has_work;
        struct list queue;
        struct list remote_queue;
        int remote_count; /* pieces of remote work that are being done */
        int remote_max;
        bool is_stopping;
        pthread_t threads[THREADS_MAX];
        int thread_count;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .has_work = PTHREAD_COND_INITIALIZER};

static void open_result(struct letter *letter)
{
        struct work *w = heap_of(letter, struct work, letter);
        w->is_done = true;
        task_wake(w->task);
}

/* With the lock held; NULL when there is nothing that may be done now. */
static struct work *next_work(void)
{
        struct list *from = &pool.queue;
        if (list_is_empty(from)) {
                from = &pool.remote_queue;
                if (list_is_empty(from) || pool.remote_count == pool.remote_max)
                        return NULL;
                pool.remote_count++;
        }
        struct work *w = list_of(from->next, struct work, link);
        list_remove(&w->link);
        w->is_begun = true;
        return w;
}

static struct work *take_work(void)
{
        struct work *w;
        pthread_mutex_lock(&pool.lock);
        while (!(w = next_work()) && !pool.is_stopping)
                pthread_cond_wait(&pool.has_work, &pool.lock);
        pthread_mutex_unlock(&pool.lock);
        return w;
}

static void remote_is_done(void)
{
        pthread_mutex_lock(&pool.lock);
        pool.remote_count--;
        if (!list_is_empty(&pool.remote_queue))
                pthread_cond_signal(&pool.has_work);
        pthread_mutex_unlock(&pool.lock);
}

static void *thread_main(void *arg)
{
        struct work *w;
        while ((w = take_work())) {
                w->result = w->run(w->arg);
                if (w->is_remote)
                        remote_is_done();
                loop_post(w->loop, &w->letter);
        }
        return NULL;
}

int pool_start(int threads, struct why *why)
{
        check(pool.thread_count == 0);
        list_init(&pool.queue);
        list_init(&pool.remote_queue);
        pool.is_stopping = false;
        if (threads > THREADS_MAX)
                threads = THREADS_MAX;
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
        int rc = 0;
        while (pool.thread_count < threads && rc == 0) {
                rc = pthread_create(&pool.threads[pool.thread_count], NULL, thread_main, NULL);
                if (rc == 0)
                        pool.thread_count++;
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (pool.thread_count == 0)
                return why_set(why, -rc, "cannot start threads for file work: %s", why_errno(rc));
        pthread_mutex_lock(&pool.lock);
        pool.remote_max = pool.thread_count > 1 ? pool.thread_count / 2 : 1;
        pthread_mutex_unlock(&pool.lock);
        return 0;
}

void pool_stop(void)
{
        pthread_mutex_lock(&pool.lock);
        pool.is_stopping = true;
        pthread_cond_broadcast(&pool.has_work);
        pthread_mutex_unlock(&pool.lock);
        for (int i = 0; i < pool.thread_count; i++)
                pthread_join(pool.threads[i], NULL);
        pool.thread_count = 0;
}

bool pool_is_started(void)
{
        return pool.thread_count > 0;
}

/* Takes it out of its queue; false: a thread has it. */
static bool give_up(struct work *w)
{
        pthread_mutex_lock(&pool.lock);
        bool is_ours = !w->is_begun;
        if (is_ours)
                list_remove(&w->link);
        pthread_mutex_unlock(&pool.lock);
        return is_ours;
}

enum kind { LOCAL, REMOTE, REMOTE_IF_WANTED };

static int await_work(enum kind kind, const char *doing, struct str what, int (*run)(void *arg),
                      void *arg)
{
        bool is_remote = kind != LOCAL;
        bool may_give_up = kind == REMOTE_IF_WANTED;
        check(pool.thread_count > 0);
        struct work w = {.letter.open = open_result,
                         .loop = loop_self(),
                         .task = task_self(),
                         .run = run,
                         .arg = arg,
                         .is_remote = is_remote};
        check(w.task);
        pthread_mutex_lock(&pool.lock);
        list_add_last(is_remote ? &pool.remote_queue : &pool.queue, &w.link);
        pthread_cond_signal(&pool.has_work);
        pthread_mutex_unlock(&pool.lock);
        bool was_woken = false; /* a wake that was meant for the caller's next wait is passed on */
        while (!w.is_done) {
                int rc = may_give_up ? await_wake(doing, what, CLOCK_NEVER)
                                     : await_wake_always(doing, what, CLOCK_NEVER);
                if (rc == -ECANCELED && may_give_up && !w.is_done) {
                        if (give_up(&w))
                                return -ECANCELED;
                        may_give_up = false;
                        continue;
                }
                was_woken = was_woken || !w.is_done;
        }
        if (was_woken)
                task_wake(w.task);
        return w.result;
}

int await_pool_run(const char *doing, struct str what, int (*run)(void *arg), void *arg)
{
        return await_work(LOCAL, doing, what, run, arg);
}

int await_pool_run_remote(const char *doing, struct str what, int (*run)(void *arg), void *arg)
{
        return await_work(REMOTE, doing, what, run, arg);
}

int await_pool_run_if_wanted(const char *doing, struct str what, int (*run)(void *arg), void *arg)
{
        return await_work(REMOTE_IF_WANTED, doing, what, run, arg);
}
