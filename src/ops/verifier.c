/* verifier.c - what is known of addresses (state/verify.h), and its file in the queue's directory */
#include "ops/verifier.h"

#include "base/check.h"
#include "base/log.h"
#include "loop/pool.h"
#include "ops/queue_directory.h"

enum { WRITE_MS = 1000, TELL_MS = 60 * 1000 };

struct verify *verifier_new(const struct config *c)
{
        char directory[QUEUE_DIRECTORY_BYTES_MAX];
        char path[QUEUE_DIRECTORY_BYTES_MAX + 16];
        struct why why;
        struct verify *v = verify_new(&c->params);
        if (str_is_empty(str_trim(c->params.address_verify_map)))
                return v;
        queue_directory_find(c, directory);
        snprintf(path, sizeof(path), "%s/verify_cache", directory);
        if (verify_open(v, path, &why) < 0)
                log_warning("verify", "%s; nothing is kept over a restart", why.text);
        return v;
}

void verifier_write(struct verify *v)
{
        static int64_t told_ms;
        struct why why;
        if (verify_write(v, &why) == 0)
                return;
        int64_t now_ms = clock_mono_ms();
        if (told_ms == 0 || now_ms - told_ms >= TELL_MS) {
                told_ms = now_ms;
                log_warning("verify", "%s", why.text);
        }
}

static int write_in_pool(void *arg)
{
        verifier_write(arg);
        return 0;
}

void await_keep_verified(void *arg)
{
        struct worker *w = arg;
        w->verify_keeper = task_self();
        while (!w->is_stopping && await_sleep(WRITE_MS) == 0)
                await_pool_run("writing", STR("what is known of addresses"), write_in_pool,
                               w->verify);
        w->verify_keeper = NULL;
}
