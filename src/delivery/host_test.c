/* host_test.c - a next hop's addresses: literals without a look-up, names from the C library, kept a while */
#include "delivery/host.h"

#include "base/unit.h"
#include "loop/pool.h"
#include "loop/task.h"

#include <errno.h>

static struct loop *loop;
static struct host_cache *cache;
static struct arena arena;
static struct params params;
static int left;

static int setup(void **state)
{
        struct why why;
        loop = loop_new(&why);
        cache = host_cache_new();
        arena_init(&arena, 0);
        params = (struct params){.inet_protocols = STR("all"),
                                 .myhostname = STR("me.test"),
                                 .smtp_randomize_addresses = true};
        return pool_start(2, &why);
}

static int teardown(void **state)
{
        pool_stop();
        host_cache_free(&cache);
        arena_done(&arena);
        loop_free(&loop);
        return 0;
}

static void run(void (*await_test)(void *arg), int tasks)
{
        left = tasks;
        for (int i = 0; i < tasks; i++)
                task_start(loop, await_test, NULL);
        loop_run(loop);
        assert_int_equal(left, 0);
}

static void end_one(void)
{
        if (--left == 0)
                loop_stop(loop);
}

static int await_find(const char *text, struct host_address **out, size_t *count,
                      struct host_failure *failure)
{
        struct nexthop hop;
        assert_int_equal(nexthop_parse(str_from(text), 25, &hop), 0);
        return await_hosts_find(cache, &hop, &params, &arena, out, count, failure);
}

static void literals(void **state)
{
        static const struct {
                const char *text;
                const char *address;
                int family;
                int port;
        } cases[] = {
                {"[192.0.2.1]", "192.0.2.1", AF_INET, 25},
                {"[192.0.2.1]:2600", "192.0.2.1", AF_INET, 2600},
                {"[IPv6:2001:db8::1]:26", "2001:db8::1", AF_INET6, 26},
        };
        /* no task, no loop, no pool: a look-up would die */
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct host_address *a;
                struct host_failure failure;
                size_t count;
                assert_int_equal(await_find(cases[i].text, &a, &count, &failure), 0);
                assert_int_equal(count, 1);
                assert_string_equal(a->text, cases[i].address);
                assert_int_equal(a->to.any.sa_family, cases[i].family);
                assert_int_equal(ntohs(a->to.v4.sin_port), cases[i].port); /* at the same place */
        }
}

static void await_localhost(void *arg)
{
        struct host_address *a;
        struct host_failure failure;
        size_t count = 0;
        assert_int_equal(await_find("[localhost]:2525", &a, &count, &failure), 0);
        assert_true(count >= 1);
        assert_str_equal(a->name, "localhost");
        for (size_t i = 0; i < count; i++)
                assert_int_equal(ntohs(a[i].to.v4.sin_port), 2525);
        end_one();
}

/* Twenty tasks ask for one name: the pool has two threads, and one look-up is enough. */
static void one_look_up_for_many(void **state)
{
        run(await_localhost, 20);
}

static void await_protocols(void *arg)
{
        struct host_address *a;
        struct host_failure failure;
        size_t count = 0;
        params.inet_protocols = STR("ipv4");
        assert_int_equal(await_find("[localhost]", &a, &count, &failure), 0);
        for (size_t i = 0; i < count; i++)
                assert_int_equal(a[i].to.any.sa_family, AF_INET);
        end_one();
}

static void only_the_protocols_that_are_wanted(void **state)
{
        run(await_protocols, 1);
}

static void await_nonsense(void *arg)
{
        struct host_address *a;
        struct host_failure failure = {0};
        size_t count = 0;
        /* .invalid never exists (RFC 6761); without any name server it is "try again" */
        int rc = await_find("[no-such-host.invalid]", &a, &count, &failure);
        assert_true(rc == -ENOENT || rc == -EAGAIN);
        assert_int_equal(failure.is_permanent, rc == -ENOENT);
        assert_string_equal(failure.dsn, rc == -ENOENT ? "5.4.4" : "4.4.3");
        assert_non_null(strstr(failure.why.text, "no-such-host.invalid"));
        end_one();
}

static void a_host_that_is_not(void **state)
{
        run(await_nonsense, 2);
}

static struct task *asker;

static void await_canceled(void *arg)
{
        struct host_address *a;
        struct host_failure failure;
        size_t count;
        int rc = await_find("[localhost]", &a, &count, &failure);
        assert_true(rc == 0 || rc == -ECANCELED);
        end_one();
}

static void cancel_it(void *arg)
{
        task_cancel(asker);
        end_one();
}

/* The first asks, the second waits for the first and is told to stop. */
static void told_to_stop_while_another_asks(void **state)
{
        left = 3;
        task_start(loop, await_canceled, NULL);
        asker = task_start(loop, await_canceled, NULL);
        task_start(loop, cancel_it, NULL);
        loop_run(loop);
        assert_int_equal(left, 0);
}

#define HOST_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                HOST_TEST(literals),
                HOST_TEST(one_look_up_for_many),
                HOST_TEST(only_the_protocols_that_are_wanted),
                HOST_TEST(a_host_that_is_not),
                HOST_TEST(told_to_stop_while_another_asks),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
