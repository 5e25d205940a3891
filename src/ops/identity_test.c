/* identity_test.c - who serves, and that there is no way back */
#include "ops/identity.h"

#include "core/core_unit.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void test_as_ordinary_user(void)
{
        struct core_unit u;
        struct identity id;
        core_unit_begin(&u);
        core_unit_load(&u, "mail_owner = no-such-user\n", NULL);
        assert_int_equal(identity_find(u.config, &id, &u.findings), 0);
        assert_int_equal(id.uid, geteuid());
        assert_false(id.drops);
        core_unit_end(&u);
}

static void find_as_root(const char *owner, int rc, const char *says)
{
        struct core_unit u;
        struct identity id;
        char text[100];
        core_unit_begin(&u);
        snprintf(text, sizeof(text), "mail_owner = %s\n", owner);
        core_unit_load(&u, text, NULL);
        struct findings own;
        findings_init(&own);
        assert_int_equal(identity_find(u.config, &id, &own), rc);
        assert_int_equal(own.count[SEVERITY_ERROR], rc < 0);
        if (says) {
                static char line[1000];
                finding_format(own.first, line, sizeof(line));
                assert_non_null(strstr(line, says));
                assert_non_null(strstr(line, "main.cf:4"));
        } else {
                assert_int_equal(id.uid, 65534);
                assert_true(id.drops);
        }
        findings_done(&own);
        core_unit_end(&u);
}

static void test_find(void **state)
{
        if (geteuid() != 0) {
                test_as_ordinary_user();
                return;
        }
        find_as_root("nobody", 0, NULL);
        find_as_root("root", -ENOENT, "the superuser");
        find_as_root("no-such-user", -ENOENT,
                     "useradd --system --no-create-home --shell /usr/sbin/nologin no-such-user");
}

static int become_nobody(void)
{
        const struct identity id = {.uid = 65534, .gid = 65534, .name = "nobody", .drops = true};
        struct why why;
        if (identity_become(&id, &why) < 0)
                return 2;
        if (geteuid() != 65534 || getegid() != 65534 || setuid(0) == 0)
                return 3;
        return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 4;
}

static void test_become(void **state)
{
        if (geteuid() != 0)
                skip();
        pid_t pid = fork();
        if (pid == 0)
                _exit(become_nobody());
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_find),
                cmocka_unit_test(test_become),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
