/* log_setup_test.c - where log lines go */
#include "ops/log_setup.h"

#include "base/log.h"
#include "core/core_unit.h"

#include <errno.h>
#include <fcntl.h>

static void test_lint(void **state)
{
        static const struct {
                const char *main_cf;
                const char *says; /* NULL: fine */
        } cases[] = {
                {"", NULL},
                {"maillog_file = /var/log/mail.log\n", NULL},
                {"maillog_file = /dev/stdout\n", NULL},
                {"maillog_file = syslog\n", NULL},
                {"maillog_file = /srv/log\nmaillog_file_prefixes = /srv\n", NULL},
                {"maillog_file = /srv/log\nmaillog_file_prefixes = /var, /srv/\n", NULL},
                {"maillog_file = /srv/log\n", "none of maillog_file_prefixes"},
                {"maillog_file = /various/log\n", "none of maillog_file_prefixes"},
                {"maillog_file = mail.log\n", "not the whole path"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct core_unit u;
                core_unit_begin(&u);
                core_unit_load(&u, cases[i].main_cf, NULL);
                struct findings own;
                findings_init(&own);
                log_setup_lint(u.config, &own);
                assert_int_equal(own.count[SEVERITY_ERROR], cases[i].says ? 1 : 0);
                static char line[1000];
                if (cases[i].says) {
                        finding_format(own.first, line, sizeof(line));
                        assert_non_null(strstr(line, cases[i].says));
                        assert_non_null(strstr(line, "main.cf:4: error"));
                }
                findings_done(&own);
                core_unit_end(&u);
        }
}

static void test_file(void **state)
{
        struct core_unit u;
        struct why why;
        char text[300];
        core_unit_begin(&u);
        snprintf(text, sizeof(text),
                 "maillog_file = %s/log\nmaillog_file_prefixes = /tmp\nsyslog_name = mx\n", u.dir);
        core_unit_load(&u, text, NULL);

        /* root makes it for the one who will write it */
        struct identity owner = {.uid = 65534, .gid = 65534, .name = "nobody", .drops = true};
        char path[100];
        struct stat st;
        snprintf(path, sizeof(path), "%s/log", u.dir);
        if (geteuid() == 0) {
                assert_int_equal(log_setup_make_file(u.config, &owner, &why), 0);
                assert_int_equal(stat(path, &st), 0);
                assert_int_equal(st.st_uid, 65534);
                assert_int_equal(st.st_mode & 07777, 0640);
                /* logrotate's own is given away too, but not what hides behind a second name */
                assert_int_equal(chown(path, 0, 0), 0);
                assert_int_equal(log_setup_make_file(u.config, &owner, &why), 0);
                assert_int_equal(stat(path, &st), 0);
                assert_int_equal(st.st_uid, 65534);
                assert_int_equal(st.st_gid, 0);
                char second[100];
                snprintf(second, sizeof(second), "%s/second", u.dir);
                assert_int_equal(chown(path, 0, 0), 0);
                assert_int_equal(link(path, second), 0);
                assert_int_equal(log_setup_make_file(u.config, &owner, &why), 0);
                assert_int_equal(stat(path, &st), 0);
                assert_int_equal(st.st_uid, 0);
        }
        owner.drops = false;
        assert_int_equal(log_setup_make_file(u.config, &owner, &why), 0);

        assert_int_equal(log_setup_open(u.config, &owner, &why), 0);
        log_info("smtpd", "hello");
        const struct log_options to_stderr = {.target = LOG_TO_STDERR};
        assert_int_equal(log_open(&to_stderr, &why), 0);
        char got[300] = "";
        int fd = open(path, O_RDONLY);
        assert_true(read(fd, got, sizeof(got) - 1) > 0);
        close(fd);
        assert_non_null(strstr(got, " core mx/smtpd["));
        assert_non_null(strstr(got, "]: hello\n"));
        core_unit_end(&u);
}

static void test_file_that_cannot_be(void **state)
{
        struct core_unit u;
        struct why why;
        const struct identity owner = {.uid = geteuid(), .gid = getegid()};
        core_unit_begin(&u);
        core_unit_load(&u, "maillog_file = /tmp/no/such/log\nmaillog_file_prefixes = /tmp\n", NULL);
        assert_true(log_setup_open(u.config, &owner, &why) < 0);
        assert_non_null(strstr(why.text, "/tmp/no/such/log"));
        core_unit_end(&u);
}

/* The user of the server puts a link in the log's place: it leads root nowhere that he could not go himself. */
static void test_planted_link(void **state)
{
        struct core_unit u;
        struct why why;
        char text[300], target[100], link[100];
        const struct identity owner = {.uid = 65534, .gid = 65534, .name = "nobody", .drops = true};
        if (geteuid() != 0)
                skip();
        core_unit_begin(&u);
        snprintf(text, sizeof(text), "maillog_file = %s/log\nmaillog_file_prefixes = /tmp\n",
                 u.dir);
        core_unit_load(&u, text, NULL);
        snprintf(target, sizeof(target), "%s/of-root", u.dir);
        snprintf(link, sizeof(link), "%s/log", u.dir);
        close(open(target, O_WRONLY | O_CREAT, 0600));
        assert_int_equal(symlink(target, link), 0);
        assert_int_equal(chmod(u.dir, 0755), 0);
        assert_int_equal(log_setup_make_file(u.config, &owner, &why), 0);
        assert_int_equal(log_setup_open(u.config, &owner, &why), -EACCES);
        assert_int_equal(geteuid(), 0);
        assert_int_equal(getegid(), 0);
        core_unit_end(&u);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lint),
                cmocka_unit_test(test_file),
                cmocka_unit_test(test_file_that_cannot_be),
                cmocka_unit_test(test_planted_link),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
