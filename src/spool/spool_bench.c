/*
 * spool_bench.c - commits per second, fdatasync per message, CPU per message
 *
 *   spool_bench [-d DIR] [-n COMMITS] [-c CLIENTS] [-l LOOPS] [-b BYTES] [-r] [-k]
 *     -r  each message is also handed out, read and delivered
 *     -k  keep what was written (to time a start: run again with -n 0)
 */
#include "base/check.h"
#include "loop/pool.h"
#include "spool/spool_kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LOOPS_MAX = 64 };

static struct {
        long commits;
        long clients;
        long loops;
        long bytes;
        bool delivers;
        bool keeps;
} opt = {.commits = 100000, .clients = 100, .loops = 1, .bytes = 4096};

static struct kit kit;
static struct loop *loops[LOOPS_MAX];
static atomic_long left;
static atomic_long running;
static atomic_long undelivered;
static char *content;

static void stop_all(void)
{
        for (long i = 0; i < opt.loops; i++)
                loop_stop(loops[i]);
}

static void be_client(void *arg)
{
        struct why why = {""};
        struct recipient to = {.address = STR("editor@o3magazine.example")};
        struct envelope e = {.sender = STR("sender@client.example"),
                             .recipients = &to,
                             .recipient_count = 1,
                             .client_name = STR("unknown"),
                             .client_address = STR("192.0.2.1"),
                             .helo = STR("client.example"),
                             .protocol = STR("ESMTP")};
        while (atomic_fetch_sub(&left, 1) > 0) {
                struct spool_draft *d = spool_draft_new(kit.spool);
                int64_t put = 0;
                int rc = 0;
                while (rc == 0 && put < opt.bytes) {
                        size_t len = (size_t)(opt.bytes - put);
                        if (len > SPOOL_PIECE_BYTES_MAX)
                                len = SPOOL_PIECE_BYTES_MAX;
                        check(buf_append(spool_draft_buf(d), content + put, len) == 0);
                        put += (int64_t)len;
                        rc = await_spool_draft_settle(d, &why);
                }
                if (rc == 0)
                        rc = await_spool_commit(&d, &e, 0, &why);
                if (rc < 0)
                        fprintf(stderr, "%s\n", why.text);
                spool_draft_free(&d);
        }
        if (atomic_fetch_sub(&running, 1) == 1 && !opt.delivers)
                stop_all();
}

static void deliver(void *arg)
{
        struct spool_message *m = arg;
        struct spool_reader r;
        struct str piece;
        struct why why;
        int64_t bytes = 0;
        spool_reader_init(&r, m);
        while (await_spool_reader_next(&r, &piece, &why) == 0 && piece.len)
                bytes += (int64_t)piece.len;
        check(bytes == spool_message_bytes(m));
        spool_reader_done(&r);
        struct spool_result done = {.state = SPOOL_DELIVERED, .reason = STR("250 2.0.0 Ok")};
        spool_message_record(m, &done, 1);
        spool_message_settle(&m, 0);
        if (atomic_fetch_sub(&undelivered, 1) == 1)
                stop_all();
}

static void take_due(void *context, struct spool_message *m)
{
        task_start(loop_self(), deliver, m);
}

static void start_serving(void *arg)
{
        spool_serve(kit.spool, loop_self(), take_due, NULL);
}

static void *run_loop(void *arg)
{
        struct loop *l = arg;
        if (opt.delivers)
                task_start(l, start_serving, NULL);
        for (long i = 0; i < opt.clients / opt.loops; i++)
                task_start(l, be_client, NULL);
        loop_run(l);
        return NULL;
}

static double seconds(struct timeval t)
{
        return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void parse(int argc, char **argv)
{
        int c;
        const char *path = NULL;
        while ((c = getopt(argc, argv, "d:n:c:l:b:rk")) != -1) {
                switch (c) {
                case 'd':
                        path = optarg;
                        break;
                case 'n':
                        opt.commits = strtol(optarg, NULL, 10);
                        break;
                case 'c':
                        opt.clients = strtol(optarg, NULL, 10);
                        break;
                case 'l':
                        opt.loops = strtol(optarg, NULL, 10);
                        break;
                case 'b':
                        opt.bytes = strtol(optarg, NULL, 10);
                        break;
                case 'r':
                        opt.delivers = true;
                        break;
                case 'k':
                        opt.keeps = true;
                        break;
                default:
                        fprintf(stderr, "usage: spool_bench [-d DIR] [-n COMMITS] [-c CLIENTS] "
                                        "[-l LOOPS] [-b BYTES] [-r] [-k]\n");
                        exit(2);
                }
        }
        check(opt.loops >= 1 && opt.loops <= LOOPS_MAX && opt.bytes >= 1);
        if (opt.clients < opt.loops)
                opt.clients = opt.loops;
        setenv("TMPDIR", "/var/tmp", 0); /* a disk, not memory */
        kit_init(&kit, path);
}

int main(int argc, char **argv)
{
        struct why why = {""};
        parse(argc, argv);
        content = malloc((size_t)opt.bytes);
        check(content);
        memset(content, 'x', (size_t)opt.bytes);
        for (long i = 0; i < opt.loops; i++) {
                loops[i] = loop_new(&why);
                check(loops[i]);
        }
        kit.options.loops = loops;
        kit.options.loop_count = (size_t)opt.loops;
        kit.options.segment_bytes = 64 << 20;
        kit.options.hot_bytes_max = 64 << 20;
        kit.options.large_bytes = 128 << 10;
        int64_t began_us = clock_mono_us();
        if (pool_start(4, &why) < 0 || spool_open(&kit.options, &kit.spool, &why) < 0) {
                fprintf(stderr, "%s\n", why.text);
                return 1;
        }
        struct spool_counts before;
        spool_count(kit.spool, &before);
        printf("open: %.3f s, %zu queued\n", (double)(clock_mono_us() - began_us) / 1e6,
               before.deferred + before.held);
        opt.clients = opt.clients / opt.loops * opt.loops;
        atomic_store(&left, opt.commits);
        atomic_store(&running, opt.clients);
        atomic_store(&undelivered, opt.commits + (long)before.deferred);
        struct rusage r0;
        struct rusage r1;
        getrusage(RUSAGE_SELF, &r0);
        began_us = clock_mono_us();
        pthread_t threads[LOOPS_MAX];
        for (long i = 0; i < opt.loops; i++)
                check(pthread_create(&threads[i], NULL, run_loop, loops[i]) == 0);
        for (long i = 0; i < opt.loops; i++)
                pthread_join(threads[i], NULL);
        double took = (double)(clock_mono_us() - began_us) / 1e6;
        getrusage(RUSAGE_SELF, &r1);
        struct spool_counts c;
        spool_count(kit.spool, &c);
        double user = seconds(r1.ru_utime) - seconds(r0.ru_utime);
        double sys = seconds(r1.ru_stime) - seconds(r0.ru_stime);
        double n = c.commits ? (double)c.commits : 1;
        printf("%llu commits of %ld bytes by %ld clients on %ld loops%s: %.0f/s, %.4f fdatasync and "
               "%.1f us CPU (%.1f user, %.1f system) per message, %ld MiB at most\n",
               (unsigned long long)c.commits, opt.bytes, opt.clients, opt.loops,
               opt.delivers ? ", delivered" : "", n / took, (double)c.syncs / n,
               (user + sys) * 1e6 / n, user * 1e6 / n, sys * 1e6 / n, r1.ru_maxrss / 1024);
        spool_close(&kit.spool);
        pool_stop();
        for (long i = 0; i < opt.loops; i++)
                loop_free(&loops[i]);
        if (!opt.keeps)
                kit_done(&kit);
        else
                printf("kept in %s\n", kit.path);
        free(content);
        return 0;
}
