/*
 * delivery_bench.c - how much processor time a delivery takes
 *
 *     delivery_bench [-n messages] [-b bytes]
 *
 * Messages are committed first; then they are delivered over loopback to a server in a process of its own.
 * Prints messages per second, and microseconds of this process's time for each message.
 */
#include "delivery/rig.h"

#include "base/check.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
        int messages;
        int bytes;
} opt = {20000, 4096};

static int64_t cpu_us(void)
{
        struct rusage u;
        getrusage(RUSAGE_SELF, &u);
        return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec +
               u.ru_stime.tv_usec;
}

/* The server: its own process, so that its time is not ours. */
static pid_t start_server(uint16_t *port)
{
        static const char *const scripts[] = {"@sink"};
        int ends[2];
        check(pipe(ends) == 0);
        pid_t child = fork();
        if (child == 0) {
                static struct peer p;
                struct why why;
                struct loop *l = loop_new(&why);
                peer_start(&p, l, scripts, 1);
                check(write(ends[1], &p.port, sizeof(p.port)) == sizeof(p.port));
                loop_run(l);
                _exit(0);
        }
        check(child > 0 && read(ends[0], port, sizeof(*port)) == sizeof(*port));
        return child;
}

static void await_bench(struct rig *r)
{
        struct buf content;
        struct delivery_counts counts;
        buf_init(&content, 64 << 20);
        buf_append_str(&content, STR("Subject: a test\r\n\r\n"));
        while (content.len < (size_t)opt.bytes)
                buf_append_str(&content,
                               STR("0123456789012345678901234567890123456789012345678\r\n"));
        await_delivery_stop(&r->delivery, 0); /* not while they come in */
        for (int i = 0; i < opt.messages; i++) {
                char address[40];
                snprintf(address, sizeof(address), "u%d@dest.test", i);
                struct recipient to = {.address = str_from(address), .original = str_from(address)};
                struct envelope e = {.sender = STR("from@sender.test"),
                                     .recipients = &to,
                                     .recipient_count = 1,
                                     .arrival_us = clock_wall_us()};
                await_rig_send(r, &e, buf_str(&content), NULL);
        }
        buf_done(&content);
        int64_t cpu = cpu_us();
        int64_t begin = clock_mono_us();
        r->delivery = delivery_start(r->kit.loop, r->kit.spool, r->routes, 1);
        do {
                check(await_sleep(2) == 0);
                delivery_count(r->delivery, &counts);
        } while (counts.sent < (uint64_t)opt.messages);
        int64_t took = clock_mono_us() - begin;
        cpu = cpu_us() - cpu;
        printf("%d messages of %d bytes in %.2f s: %.0f/s, %.1f us of processor each, %zu "
               "connections\n",
               opt.messages, opt.bytes, (double)took / 1e6, opt.messages * 1e6 / (double)took,
               (double)cpu / opt.messages, counts.connections);
}

int main(int argc, char **argv)
{
        static struct rig r;
        int c;
        while ((c = getopt(argc, argv, "n:b:")) != -1) {
                if (c == 'n')
                        opt.messages = (int)strtol(optarg, NULL, 10);
                else if (c == 'b')
                        opt.bytes = (int)strtol(optarg, NULL, 10);
                else
                        return 2;
        }
        pid_t server = start_server(&r.outer_port);
        r.timeout_ms = 10000;
        rig_run(&r, "", NULL, 0, await_bench);
        rig_done(&r);
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        return 0;
}
