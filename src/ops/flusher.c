/*
 * flusher.c - a session asks for a domain's mail to be tried now (ETRN)
 *
 * Sessions are on any loop and wait for nothing: the office does it. Over the ceiling no more is taken; the client
 * hears it.
 */
#include "base/check.h"
#include "base/log.h"
#include "ops/ops_private.h"

enum { WAITING_MAX = 64, DOMAIN_BYTES_MAX = 256 };

struct flush {
        struct letter letter;
        struct worker *worker;
        char domain[DOMAIN_BYTES_MAX];
};

static void await_flush(void *arg)
{
        struct flush *f = arg;
        struct worker *w = f->worker;
        size_t count = 0;
        if (w->is_ready && !w->is_stopping)
                count = await_queue_flush(w, str_from(f->domain));
        log_info("flush", "ETRN %s: %zu message%s to be tried now", f->domain, count,
                 count == 1 ? "" : "s");
        free(f);
        __atomic_sub_fetch(&w->flushes, 1, __ATOMIC_RELAXED);
}

static void flush_arrives(struct letter *letter)
{
        struct flush *f = heap_of(letter, struct flush, letter);
        task_start(f->worker->office, await_flush, f);
}

bool flusher_ask(void *context, struct str domain)
{
        struct worker *w = context;
        check(domain.len < DOMAIN_BYTES_MAX);
        if (__atomic_add_fetch(&w->flushes, 1, __ATOMIC_RELAXED) > WAITING_MAX) {
                __atomic_sub_fetch(&w->flushes, 1, __ATOMIC_RELAXED);
                return false;
        }
        struct flush *f = calloc(1, sizeof(*f));
        check(f);
        f->worker = w;
        f->letter.open = flush_arrives;
        memcpy(f->domain, domain.ptr, domain.len);
        loop_post(w->office, &f->letter);
        return true;
}

void await_flusher_stop(struct worker *w)
{
        while (__atomic_load_n(&w->flushes, __ATOMIC_RELAXED))
                await_sleep(10);
}
