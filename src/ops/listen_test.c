/* listen_test.c - where to listen, and what is said when that is not possible */
#include "ops/listen.h"

#include "base/buf.h"
#include "core/core_unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct core_unit unit;
static struct listen_set set;

static int setup(void **state)
{
        core_unit_begin(&unit);
        return 0;
}

static int teardown(void **state)
{
        listen_done(&set);
        core_unit_end(&unit);
        return 0;
}

static const struct finding *find(const char *code)
{
        const struct finding *f = unit.findings.first;
        while (f && strcmp(f->code, code) != 0)
                f = f->next;
        return f;
}

static void plan(const char *main_cf, const char *master_cf, size_t loop_count)
{
        core_unit_load(&unit, main_cf, master_cf);
        listen_plan(unit.config, loop_count, &set, &unit.findings);
}

static void test_plans(void **state)
{
        static const struct {
                const char *main_cf;
                const char *master_cf;
                const char *addresses; /* joined by blanks */
        } cases[] = {
                {"", "127.0.0.1:2525 inet n - n - - smtpd\n", "127.0.0.1:2525"},
                {"inet_interfaces = 127.0.0.1\n", "2525 inet n - n - - smtpd\n", "127.0.0.1:2525"},
                {"inet_interfaces = 127.0.0.1, 127.0.0.2\n", "smtp inet n - n - - smtpd\n",
                 "127.0.0.1:25 127.0.0.2:25"},
                {"inet_interfaces = loopback-only\n", "2525 inet n - n - - smtpd\n",
                 "127.0.0.1:2525 [::1]:2525"},
                {"inet_interfaces = loopback-only\ninet_protocols = ipv4\n",
                 "2525 inet n - n - - smtpd\n", "127.0.0.1:2525"},
                {"inet_interfaces = all\ninet_protocols = ipv4\n", "2525 inet n - n - - smtpd\n",
                 "0.0.0.0:2525"},
                {"inet_interfaces = all\ninet_protocols = ipv6\n", "2525 inet n - n - - smtpd\n",
                 "[::]:2525"},
                {"inet_interfaces = all\n", "2525 inet n - n - - smtpd\n",
                 "0.0.0.0:2525 [::]:2525"},
                {"inet_interfaces = 127.0.0.1, 127.0.0.1\n",
                 "25 inet n - n - - smtpd\n2525 inet n - n - - smtpd\n",
                 "127.0.0.1:25 127.0.0.1:2525"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                if (i > 0)
                        core_unit_begin(&unit);
                plan(cases[i].main_cf, cases[i].master_cf, 2);
                struct buf found;
                buf_init(&found, 1000);
                for (size_t k = 0; k < set.count; k++)
                        buf_printf(&found, "%s%s", k ? " " : "", set.list[k].text);
                assert_str_equal(buf_str(&found), cases[i].addresses);
                buf_done(&found);
                if (i + 1 < sizeof(cases) / sizeof(*cases))
                        teardown(NULL);
        }
}

static void test_plans_that_fail(void **state)
{
        static const struct {
                const char *main_cf;
                const char *master_cf;
                const char *code;
                const char *says;
        } cases[] = {
                {"", "127.0.0.1:smpt inet n - n - - smtpd\n", "unknown-port", "smpt"},
                {"inet_interfaces = no-such-host.invalid\n", "25 inet n - n - - smtpd\n",
                 "unknown-host", "no-such-host.invalid"},
                {"inet_protocols = ipv5\n", "25 inet n - n - - smtpd\n", "bad-protocol", "ipv5"},
                {"inet_interfaces = 127.0.0.1\n",
                 "25 inet n - n - - smtpd\n127.0.0.1:smtp inet n - n - - smtpd\n", "address-twice",
                 "127.0.0.1:25"},
                {"inet_interfaces =\n", "25 inet n - n - - smtpd\n", "no-address",
                 "no address to listen on"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                if (i > 0)
                        core_unit_begin(&unit);
                plan(cases[i].main_cf, cases[i].master_cf, 1);
                const struct finding *f = find(cases[i].code);
                assert_non_null(f);
                assert_int_equal(f->severity, SEVERITY_ERROR);
                static char line[1000];
                finding_format(f, line, sizeof(line));
                assert_non_null(strstr(line, cases[i].says));
                if (i + 1 < sizeof(cases) / sizeof(*cases))
                        teardown(NULL);
        }
}

/* A port that nobody has. */
static unsigned free_port(void)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
        close(fd);
        return ntohs(a.sin_port);
}

static void plan_port(unsigned port, const char *more)
{
        char master_cf[200];
        snprintf(master_cf, sizeof(master_cf), "127.0.0.1:%u inet n - n - - smtpd\n%s", port, more);
        plan("inet_interfaces = 127.0.0.1\n", master_cf, 3);
}

static bool can_connect(unsigned port)
{
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int rc = connect(fd, (struct sockaddr *)&a, sizeof(a));
        close(fd);
        return rc == 0;
}

static void test_open(void **state)
{
        unsigned port = free_port();
        plan_port(port, "");
        listen_open(&set, &unit.findings);
        assert_int_equal(unit.findings.count[SEVERITY_ERROR], 0);
        assert_int_equal(set.count, 1);
        assert_false(can_connect(port)); /* bound, and no more */
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(listen(set.list[0].fds[i], LISTEN_BACKLOG), 0);
        assert_true(can_connect(port));

        /* the same again is in use, though all of ours could share it */
        struct listen_set second;
        listen_plan(unit.config, 3, &second, &unit.findings);
        listen_open(&second, &unit.findings);
        const struct finding *f = find("cannot-listen");
        assert_non_null(f);
        assert_int_equal(f->line, 1);
        static char line[1000];
        finding_format(f, line, sizeof(line));
        assert_non_null(strstr(line, "Address already in use"));
        assert_non_null(strstr(line, "ss -ltnp"));
        assert_int_equal(second.list[0].fds[0], -1);

        /* what both have is taken over, not closed */
        listen_take_over(&second, &set);
        assert_int_equal(set.list[0].fds[0], -1);
        listen_done(&set);
        assert_true(can_connect(port));
        listen_done(&second);
        assert_false(can_connect(port));
}

static void test_not_our_address(void **state)
{
        plan("", "192.0.2.1:2525 inet n - n - - smtpd\n", 1);
        listen_open(&set, &unit.findings);
        const struct finding *f = find("cannot-listen");
        assert_non_null(f);
        static char line[1000];
        finding_format(f, line, sizeof(line));
        assert_non_null(strstr(line, "not an address of this machine"));
}

/* One of several addresses of a name that this machine does not have is left out. */
static void test_optional(void **state)
{
        plan_port(free_port(), "");
        set.list[0].is_optional = true;
        ((struct sockaddr_in *)&set.list[0].address)->sin_addr.s_addr = inet_addr("192.0.2.1");
        listen_open(&set, &unit.findings);
        assert_int_equal(set.count, 0);
        assert_int_equal(unit.findings.count[SEVERITY_ERROR], 0);
}

static void test_drop_closed(void **state)
{
        char more[100];
        unsigned kept = free_port();
        snprintf(more, sizeof(more), "127.0.0.1:%u inet n - n - - smtpd\n", kept);
        plan_port(free_port(), more);
        struct listen_set have;
        listen_plan(unit.config, 3, &have, &unit.findings);
        char first[LISTEN_TEXT_BYTES_MAX];
        memcpy(first, have.list[0].text, sizeof(first));
        snprintf(have.list[0].text, sizeof(have.list[0].text), "another");
        listen_drop_closed(&set, &have);
        assert_int_equal(set.count, 1);
        assert_null(listen_find(&set, first));
        listen_done(&have);
}

int main(void)
{
#define IN_UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        const struct CMUnitTest tests[] = {
                IN_UNIT(test_plans),    IN_UNIT(test_plans_that_fail), IN_UNIT(test_open),
                IN_UNIT(test_optional), IN_UNIT(test_not_our_address), IN_UNIT(test_drop_closed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
