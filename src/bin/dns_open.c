/* dns_open.c - for commands that ask the DNS: whom they ask, and a task to ask from */
#include "bin/dns_open.h"

#include "base/buf.h"
#include "bin/command.h"
#include "loop/task.h"
#include "ops/site.h"

#include <errno.h>

enum { FILE_BYTES_MAX = 64 * 1024 * 1024 };

static int read_file(const char *name, struct buf *out)
{
        FILE *f = fopen(name, "r");
        if (!f)
                return -errno;
        int rc = 0;
        for (;;) {
                char *room = buf_reserve(out, 64 * 1024);
                if (!room) {
                        rc = -EFBIG;
                        break;
                }
                size_t got = fread(room, 1, 64 * 1024, f);
                if (got == 0) {
                        rc = ferror(f) ? -EIO : 0;
                        break;
                }
                buf_grow(out, got);
        }
        fclose(f);
        return rc;
}

static struct dns *open_given(const char *file)
{
        struct buf text;
        struct why why;
        buf_init(&text, FILE_BYTES_MAX);
        struct dns *dns = NULL;
        int rc = read_file(file, &text);
        if (rc < 0)
                command_error("%s: %s", file, why_errno(rc));
        else if (!(dns = dns_new_given(buf_str(&text), &why)))
                command_error("%s: %s", file, why.text);
        buf_done(&text);
        return dns;
}

struct dns *command_dns_open(const struct config *config, const char *file)
{
        if (file)
                return open_given(file);
        struct why why;
        static const struct dns_settings defaults = {
                .wants_validation = true, .timeout_ms = 10 * 1000, .cache_bytes_max = 64000000};
        struct dns *dns = config ? site_dns_new(&config->params, &why) : dns_new(&defaults, &why);
        if (!dns)
                command_error("%s", why.text);
        return dns;
}

struct run {
        void (*fn)(void *arg);
        void *arg;
};

static void await_run(void *arg)
{
        const struct run *run = arg;
        run->fn(run->arg);
        dns_leave_loop();
        loop_stop(loop_self());
}

void command_run_task(void (*fn)(void *arg), void *arg)
{
        struct why why;
        struct loop *loop = loop_new(&why);
        if (!loop) {
                command_error("%s", why.text);
                return;
        }
        struct run run = {.fn = fn, .arg = arg};
        task_start(loop, await_run, &run);
        loop_run(loop);
        loop_free(&loop);
}
