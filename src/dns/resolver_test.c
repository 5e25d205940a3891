/*
 * resolver_test.c - libunbound on a loop, against a server of our own on loopback
 *
 * The server's zone is t.example. What it does is told by the name's first label: "ok", "nx", "servfail", "drop" (never
 * answers), "tc" (truncated over UDP, whole over TCP), "wrong" (another id, an address that must not be
 * believed, and never the right one), "count" (an address that counts how often it was asked).
 */
#include "dns/dns_private.h"

#include "base/clock.h"
#include "base/unit.h"
#include "loop/task.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the server ---- */

static struct {
        int udp, tcp;
        int port;
        bool is_stopping;
        int counted;
        pthread_t thread;
} server;

static size_t put_a(unsigned char *out, size_t len, const char *address)
{
        static const unsigned char head[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4};
        memcpy(out + len, head, sizeof(head));
        inet_pton(AF_INET, address, out + len + sizeof(head));
        out[7]++;
        return len + sizeof(head) + 4;
}

/* Its length; 0: no answer. `q` becomes the answer. */
static size_t answer(unsigned char *q, size_t len, bool is_tcp)
{
        size_t label = q[12];
        struct str first = str_make((const char *)q + 13, label);
        size_t end = 12;
        while (end < len && q[end])
                end += 1u + q[end];
        end += 5;
        unsigned type = (unsigned)q[end - 4] << 8 | q[end - 3];
        q[2] = 0x84; /* an answer, authoritative */
        q[3] = 0;
        memset(q + 6, 0, 6);
        len = end;
        if (str_eq(first, STR("drop")))
                return 0;
        if (str_eq(first, STR("servfail")))
                q[3] = 2;
        else if (str_eq(first, STR("nx")))
                q[3] = 3;
        else if (type != DNS_A)
                return len;
        else if (str_eq(first, STR("tc")) && !is_tcp)
                q[2] |= 2;
        else if (str_eq(first, STR("wrong"))) {
                q[0] ^= 0x55;
                len = put_a(q, len, "203.0.113.66");
        } else if (str_eq(first, STR("count"))) {
                char text[32];
                snprintf(text, sizeof(text), "192.0.2.%d",
                         __atomic_add_fetch(&server.counted, 1, __ATOMIC_RELAXED));
                len = put_a(q, len, text);
        } else {
                len = put_a(q, len, "192.0.2.1");
        }
        return len;
}

static void serve_udp(void)
{
        unsigned char q[600];
        struct sockaddr_in from;
        socklen_t from_len = sizeof(from);
        ssize_t n = recvfrom(server.udp, q, 512, 0, (struct sockaddr *)&from, &from_len);
        size_t len = n > 16 ? answer(q, (size_t)n, false) : 0;
        if (len)
                sendto(server.udp, q, len, 0, (struct sockaddr *)&from, from_len);
}

static void serve_tcp(void)
{
        unsigned char q[600];
        int fd = accept(server.tcp, NULL, NULL);
        ssize_t n = fd >= 0 ? read(fd, q, 512) : -1;
        size_t len = n > 18 ? answer(q + 2, (size_t)n - 2, true) : 0;
        q[0] = (unsigned char)(len >> 8);
        q[1] = (unsigned char)len;
        if (len)
                assert_int_equal(write(fd, q, len + 2), len + 2);
        if (fd >= 0)
                close(fd);
}

static void *serve(void *arg)
{
        while (!__atomic_load_n(&server.is_stopping, __ATOMIC_ACQUIRE)) {
                struct pollfd fds[2] = {{.fd = server.udp, .events = POLLIN},
                                        {.fd = server.tcp, .events = POLLIN}};
                poll(fds, 2, 20);
                if (fds[0].revents)
                        serve_udp();
                if (fds[1].revents)
                        serve_tcp();
        }
        return NULL;
}

static int server_start(void **state)
{
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(at);
        server.tcp = socket(AF_INET, SOCK_STREAM, 0);
        server.udp = socket(AF_INET, SOCK_DGRAM, 0);
        assert_int_equal(bind(server.tcp, (struct sockaddr *)&at, sizeof(at)), 0);
        assert_int_equal(listen(server.tcp, 10), 0);
        assert_int_equal(getsockname(server.tcp, (struct sockaddr *)&at, &len), 0);
        assert_int_equal(bind(server.udp, (struct sockaddr *)&at, sizeof(at)), 0);
        server.port = ntohs(at.sin_port);
        return pthread_create(&server.thread, NULL, serve, NULL);
}

static int server_stop(void **state)
{
        __atomic_store_n(&server.is_stopping, true, __ATOMIC_RELEASE);
        pthread_join(server.thread, NULL);
        close(server.udp);
        close(server.tcp);
        return 0;
}

/* ---- the loop ---- */

static struct loop *loop;
static struct dns *dns;
static struct dns_settings settings;
static char stub[64];

static int setup(void **state)
{
        struct why why;
        snprintf(stub, sizeof(stub), "t.example 127.0.0.1@%d", server.port);
        settings = (struct dns_settings){
                .stub = str_from(stub), .timeout_ms = 3000, .cache_bytes_max = 4 * 1000 * 1000};
        loop = loop_new(&why);
        return loop ? 0 : -1;
}

static int teardown(void **state)
{
        dns_unref(&dns);
        loop_free(&loop);
        return 0;
}

static void (*await_body)(struct dns_questions *q);

static void await_test(void *arg)
{
        struct dns_questions *q = dns_questions_new(dns);
        await_body(q);
        dns_questions_free(&q);
        dns_leave_loop();
        loop_stop(loop);
}

static void run(void (*await_it)(struct dns_questions *q))
{
        struct why why = {""};
        if (!dns && !(dns = dns_new(&settings, &why)))
                fail_msg("%s", why.text);
        await_body = await_it;
        task_start(loop, await_test, NULL);
        loop_run(loop);
}

static const struct dns_answer *await_a(struct dns_questions *q, const char *name)
{
        return await_dns(q, str_from(name), DNS_A, CLOCK_NEVER);
}

/* ---- tests ---- */

static void await_answers(struct dns_questions *q)
{
        const struct dns_answer *a = await_a(q, "ok.t.example");
        if (a->why)
                fail_msg("%s", a->why);
        assert_int_equal(a->result, DNS_FOUND);
        assert_str_equal(a->records[0].text, "192.0.2.1");
        assert_false(a->is_secure);
        assert_false(a->was_cached);
        assert_int_equal(a->ttl_ms, 60000);
        assert_int_equal(await_a(q, "nx.t.example")->result, DNS_NO_NAME);
        assert_int_equal(await_dns(q, STR("ok.t.example"), DNS_MX, CLOCK_NEVER)->result,
                         DNS_NO_DATA);
        a = await_a(q, "servfail.t.example");
        assert_int_equal(a->result, DNS_FAILED);
        assert_non_null(a->why);
        a = await_a(q, "tc.t.example");
        assert_int_equal(a->result, DNS_FOUND);
        assert_str_equal(a->records[0].text, "192.0.2.1");
}

static void answers_and_failures(void **state)
{
        run(await_answers);
}

static void await_together(struct dns_questions *q)
{
        char name[40];
        for (int i = 0; i < 100; i++) {
                snprintf(name, sizeof(name), "n%d.t.example", i);
                dns_ask(q, str_from(name), DNS_A);
                assert_null(dns_peek(q, str_from(name), DNS_A));
        }
        for (int i = 0; i < 100; i++) {
                snprintf(name, sizeof(name), "n%d.t.example", i);
                assert_int_equal(await_a(q, name)->result, DNS_FOUND);
        }
}

static void a_hundred_at_once(void **state)
{
        run(await_together);
}

static void await_deadline(struct dns_questions *q)
{
        const struct dns_answer *a =
                await_dns(q, STR("drop.t.example"), DNS_A, clock_mono_ms() + 50);
        assert_int_equal(a->result, DNS_FAILED);
        assert_non_null(strstr(a->why, "in time"));
        assert_null(dns_peek(q, STR("drop.t.example"), DNS_A)); /* it is still under way */
        /* a wrong id is no answer, and what it says is not believed */
        a = await_dns(q, STR("wrong.t.example"), DNS_A, clock_mono_ms() + 300);
        assert_int_equal(a->result, DNS_FAILED);
        /* the end of both: dns_timeout, or what libunbound gives up on */
        a = await_a(q, "drop.t.example");
        assert_int_equal(a->result, DNS_FAILED);
        a = await_a(q, "wrong.t.example");
        assert_int_equal(a->result, DNS_FAILED);
        dns_ask(q, STR("drop2.t.example"), DNS_A); /* nobody waits for this one */
}

static void deadlines(void **state)
{
        settings.timeout_ms = 1500;
        run(await_deadline);
        struct dns_figures f;
        dns_figures(dns, &f);
        assert_int_equal(f.failed, 2);
}

static struct task *asker;

static void await_canceled(struct dns_questions *q)
{
        asker = task_self();
        task_cancel(asker);
        const struct dns_answer *a = await_a(q, "drop.t.example");
        assert_int_equal(a->result, DNS_FAILED);
        assert_non_null(strstr(a->why, "told to stop"));
}

static void told_to_stop(void **state)
{
        run(await_canceled);
}

static void await_cache(struct dns_questions *q)
{
        struct dns_questions *other = dns_questions_new(dns);
        const struct dns_answer *a = await_a(q, "count.t.example");
        const struct dns_answer *b = await_a(other, "Count.T.example.");
        assert_int_equal(a->result, DNS_FOUND);
        assert_true(b->was_cached);
        assert_str_equal(b->records[0].text, a->records[0].text.ptr);
        assert_true(b->ttl_ms <= 60000);
        /* a resolver with the same settings is the same, and remembers */
        struct why why;
        struct dns *again = dns_new(&settings, &why);
        assert_ptr_equal(again, dns);
        dns_unref(&again);
        dns_questions_free(&other);
        struct dns_figures f;
        dns_figures(dns, &f);
        assert_int_equal(f.asked, 2);
        assert_int_equal(f.cached, 1);
}

static void remembers(void **state)
{
        run(await_cache);
        assert_int_equal(__atomic_load_n(&server.counted, __ATOMIC_ACQUIRE), 1);
}

/* An anchor for a zone that is not signed: every answer from it is forged. */
static void await_bogus(struct dns_questions *q)
{
        for (int i = 0; i < 2; i++) {
                struct dns_questions *fresh = dns_questions_new(dns);
                const struct dns_answer *a = await_a(fresh, "ok.t.example");
                assert_int_equal(a->result, DNS_FAILED);
                assert_true(a->is_bogus);
                assert_int_equal(a->count, 0);
                dns_questions_free(&fresh);
        }
}

static void a_wrong_signature_is_a_failure(void **state)
{
        char path[] = "/tmp/forepost-anchor-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        static const char anchor[] =
                "; mine\n"
                "t.example. IN DS 20326 8 2 "
                "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n";
        assert_int_equal(write(fd, anchor, sizeof(anchor) - 1), sizeof(anchor) - 1);
        close(fd);
        settings.wants_validation = true;
        settings.trust_anchor_file = str_from(path);
        struct why why;
        dns = dns_new(&settings, &why);
        unlink(path);
        run(await_bogus);
}

static void await_private(struct dns_questions *q)
{
        assert_int_equal(await_a(q, "ok.t.example")->result, DNS_FOUND);
}

static void a_zone_that_is_not_validated(void **state)
{
        settings.wants_validation = true;
        settings.insecure_zones = STR("t.example");
        run(await_private);
}

/* Other loops, other threads, one cache. */
static void *loop_main(void *arg)
{
        loop_run(arg);
        return NULL;
}

static int threads_left;
static struct loop *loops[4];

static void await_thread(void *arg)
{
        for (int round = 0; round < 20; round++) {
                struct dns_questions *q = dns_questions_new(dns);
                char name[40];
                for (int i = 0; i < 20; i++) {
                        snprintf(name, sizeof(name), "x%d.t.example", (round * 7 + i) % 50);
                        dns_ask(q, str_from(name), DNS_A);
                }
                snprintf(name, sizeof(name), "x%d.t.example", round * 7 % 50);
                assert_int_equal(await_a(q, name)->result, DNS_FOUND);
                dns_questions_free(&q); /* with questions under way */
        }
        if (__atomic_sub_fetch(&threads_left, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        dns_unref(&dns); /* the last one: each loop is told by a letter */
        for (size_t i = 0; i < 4; i++)
                loop_stop(loops[i]);
}

static void start_thread_task(struct letter *letter)
{
        task_start(loop_self(), await_thread, NULL);
}

static void many_threads(void **state)
{
        pthread_t threads[4];
        struct letter letters[4];
        struct why why;
        dns = dns_new(&settings, &why);
        threads_left = 4;
        for (size_t i = 0; i < 4; i++) {
                loops[i] = loop_new(&why);
                letters[i].open = start_thread_task;
                assert_int_equal(pthread_create(&threads[i], NULL, loop_main, loops[i]), 0);
                loop_post(loops[i], &letters[i]);
        }
        for (size_t i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        for (size_t i = 0; i < 4; i++)
                loop_free(&loops[i]);
        assert_null(dns);
}

static void settings_that_are_wrong(void **state)
{
        static const struct {
                struct dns_settings settings;
                const char *words;
        } cases[] = {
                {{.forward = STR_INIT("localhost")}, "dns_forward: \"localhost\" is no address"},
                {{.forward = STR_INIT("192.0.2.1@0")}, "dns_forward: \"192.0.2.1@0\""},
                {{.forward = STR_INIT("192.0.2.1, 1.2.3.4@x")}, "dns_forward: \"1.2.3.4@x\""},
                {{.stub = STR_INIT("a..b 192.0.2.1")}, "dns_stub: \"a..b\" is no zone"},
                {{.stub = STR_INIT("a.example")}, "dns_stub: no server for a.example"},
                {{.stub = STR_INIT("a.example 192.0.2.1, b.example")}, "no server for b.example"},
                {{.insecure_zones = STR_INIT("a..b")}, "dns_insecure_zones: \"a..b\""},
                {{.wants_validation = true, .trust_anchor_file = STR_INIT("/nowhere/at/all")},
                 "cannot open /nowhere/at/all"},
                {{.wants_validation = true, .trust_anchor_file = STR_INIT("/etc/passwd")},
                 "/etc/passwd:1: no trust anchor"},
                {{.wants_validation = true, .trust_anchor_file = STR_INIT("/dev/null")},
                 "has no trust anchor"},
                {{.wants_validation = true, .trust_anchor_file = STR_INIT("/dev/zero")},
                 "over 1 MiB"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct why why = {""};
                assert_null(dns_new(&cases[i].settings, &why));
                if (!strstr(why.text, cases[i].words))
                        fail_msg("case %zu: %s", i, why.text);
        }
}

static void the_nearest_stub(void **state)
{
        struct settings s;
        struct arena arena;
        struct why why;
        struct dns_settings text = {
                .forward = STR("192.0.2.1, 2001:db8::1@54, [2001:db8::2]"),
                .stub = STR("example 192.0.2.2, Sub.Example. 192.0.2.3 192.0.2.4@5353")};
        arena_init(&arena, 0);
        assert_int_equal(settings_parse(&text, &arena, &s, &why), 0);
        assert_int_equal(s.forward.server_count, 3);
        assert_string_equal(s.forward.servers[1], "2001:db8::1@54");
        assert_string_equal(s.forward.servers[2], "2001:db8::2@53");
        assert_str_equal(settings_stub_of(&s, STR("a.sub.example"))->zone, "sub.example");
        assert_str_equal(settings_stub_of(&s, STR("example"))->zone, "example");
        assert_str_equal(settings_stub_of(&s, STR("asub.example"))->zone, "example");
        assert_ptr_equal(settings_stub_of(&s, STR("other.test")), &s.forward);
        arena_done(&arena);
}

#define ON_LOOP(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_LOOP(answers_and_failures),
                ON_LOOP(a_hundred_at_once),
                ON_LOOP(deadlines),
                ON_LOOP(told_to_stop),
                ON_LOOP(remembers),
                ON_LOOP(a_wrong_signature_is_a_failure),
                ON_LOOP(a_zone_that_is_not_validated),
                ON_LOOP(many_threads),
                cmocka_unit_test(settings_that_are_wrong),
                cmocka_unit_test(the_nearest_stub),
        };
        return cmocka_run_group_tests(tests, server_start, server_stop);
}
