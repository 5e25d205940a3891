/* queue_directory_test.c - whose queue it is, and one server at a time */
#include "ops/queue_directory.h"

#include "core/core_unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

static struct core_unit unit;
static struct identity me;

static void begin(const char *queue_directory)
{
        char text[300];
        core_unit_begin(&unit);
        snprintf(text, sizeof(text), "queue_directory = %s%s\n",
                 queue_directory[0] == '@' ? unit.dir : "",
                 queue_directory + (queue_directory[0] == '@'));
        core_unit_load(&unit, text, NULL);
        me = (struct identity){.uid = geteuid(), .gid = getegid(), .name = "me"};
}

static const struct finding *first_finding(void)
{
        return unit.findings.first;
}

static void path_in(char out[200], const char *name)
{
        snprintf(out, 200, "%s/%s", unit.dir, name);
}

static void test_made(void **state)
{
        begin("@/queue");
        queue_directory_make(unit.config, &me, &unit.findings);
        assert_null(first_finding());
        char path[200];
        struct stat st;
        path_in(path, "queue");
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        /* and is taken as it is the next time */
        queue_directory_make(unit.config, &me, &unit.findings);
        assert_null(first_finding());
        core_unit_end(&unit);
}

static void test_wrong(void **state)
{
        static const struct {
                const char *queue_directory;
                const char *directory; /* made before */
                mode_t mode;
                enum severity severity;
                const char *says;
        } cases[] = {
                {"@/no/queue", NULL, 0, SEVERITY_ERROR, "does not exist"},
                {"@/no/queue", NULL, 0, SEVERITY_ERROR, "install -d -m 0700 -o me"},
                {"queue", NULL, 0, SEVERITY_ERROR, "is relative"},
                {"@/main.cf", NULL, 0, SEVERITY_ERROR, "is not a directory"},
                {"@/queue", "queue/x", 0755, SEVERITY_WARNING, "chmod 700"},
                {"@/queue", "queue/x", 0500, SEVERITY_ERROR, "chown -R me"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                begin(cases[i].queue_directory);
                char path[200];
                path_in(path, "queue");
                if (cases[i].directory) {
                        assert_int_equal(mkdir(path, 0700), 0);
                        char below[200];
                        path_in(below, cases[i].directory);
                        assert_int_equal(mkdir(below, 0700), 0);
                        assert_int_equal(chmod(path, cases[i].mode), 0);
                }
                queue_directory_make(unit.config, &me, &unit.findings);
                assert_non_null(first_finding());
                assert_int_equal(first_finding()->severity, cases[i].severity);
                assert_int_equal(first_finding()->line, 4);
                static char line[1000];
                finding_format(first_finding(), line, sizeof(line));
                if (!strstr(line, cases[i].says))
                        fail_msg("\"%s\" is not in: %s", cases[i].says, line);
                if (cases[i].directory)
                        assert_int_equal(chmod(path, 0700), 0);
                core_unit_end(&unit);
        }
}

/* What root has just made for it becomes the server's; what is not empty does not. */
static void test_given(void **state)
{
        if (geteuid() != 0)
                skip();
        begin("@/queue");
        me = (struct identity){.uid = 65534, .gid = 65534, .name = "nobody", .drops = true};
        char path[200];
        path_in(path, "queue");
        assert_int_equal(mkdir(path, 0755), 0);
        queue_directory_make(unit.config, &me, &unit.findings);
        assert_null(first_finding());
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_uid, 65534);
        assert_int_equal(st.st_mode & 07777, 0700);

        char below[200];
        path_in(below, "queue/x");
        assert_int_equal(chown(path, 0, 0), 0);
        assert_int_equal(mkdir(below, 0700), 0);
        queue_directory_make(unit.config, &me, &unit.findings);
        assert_non_null(first_finding());
        core_unit_end(&unit);
}

/* In Postfix's own queue we have a directory of ours, and leave the rest alone. */
static void test_of_postfix(void **state)
{
        static const char *const names[] = {"incoming", "active", "deferred"};
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                begin("@/queue");
                bool is_root = geteuid() == 0;
                if (is_root)
                        me = (struct identity){
                                .uid = 65534, .gid = 65534, .name = "nobody", .drops = true};
                char path[200], below[200], ours[200], found[QUEUE_DIRECTORY_BYTES_MAX],
                        control[CONTROL_PATH_BYTES_MAX];
                path_in(path, "queue");
                char inner[300];
                snprintf(inner, sizeof(inner), "%s/%s", path, names[i]);
                path_in(ours, "queue/forepost");
                assert_int_equal(mkdir(path, 0755), 0);
                queue_directory_find(unit.config, found);
                assert_string_equal(found, path);
                assert_int_equal(mkdir(inner, 0700), 0);
                queue_directory_find(unit.config, found);
                assert_string_equal(found, ours);
                queue_directory_control_socket(unit.config, control);
                assert_true(str_starts(str_from(control), str_from(ours)));
                assert_true(str_ends(str_from(control), STR("/control")));

                queue_directory_make(unit.config, &me, &unit.findings);
                assert_non_null(first_finding());
                assert_int_equal(first_finding()->severity, SEVERITY_NOTE);
                assert_null(first_finding()->next);
                struct stat st;
                assert_int_equal(stat(ours, &st), 0);
                assert_int_equal(st.st_mode & 07777, 0700);
                assert_int_equal(st.st_uid, me.uid);
                assert_int_equal(stat(path, &st), 0);
                assert_int_equal(st.st_mode & 07777, 0755);
                assert_int_equal(st.st_uid, geteuid());
                int fd = queue_directory_lock(unit.config, &me, &unit.findings);
                assert_true(fd >= 0);
                path_in(below, "queue/forepost/pid");
                assert_int_equal(stat(below, &st), 0);
                close(fd);
                core_unit_end(&unit);
        }
}

static void test_too_long(void **state)
{
        char path[400] = "@/";
        memset(path + 2, 'x', 340);
        begin("@/queue");
        core_unit_end(&unit);
        core_unit_begin(&unit);
        char text[900];
        snprintf(text, sizeof(text), "queue_directory = %s/%s\n", unit.dir, path + 2);
        core_unit_load(&unit, text, NULL);
        queue_directory_make(unit.config, &me, &unit.findings);
        assert_non_null(first_finding());
        assert_int_equal(first_finding()->severity, SEVERITY_ERROR);
        assert_non_null(strstr(first_finding()->text.ptr, "too long"));
        core_unit_end(&unit);
}

static int lock_in_child(void)
{
        pid_t pid = fork();
        if (pid == 0) {
                int fd = queue_directory_lock(unit.config, &me, &unit.findings);
                static char line[1000] = "";
                if (first_finding())
                        finding_format(first_finding(), line, sizeof(line));
                char expected[64];
                snprintf(expected, sizeof(expected), "in use by process %d", getppid());
                _exit(fd >= 0 ? 1 : strstr(line, expected) ? 2 : 3);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void test_lock(void **state)
{
        begin("@/queue");
        assert_int_equal(queue_directory_wait(unit.config, 0), 0); /* there is none yet */
        queue_directory_make(unit.config, &me, &unit.findings);
        int fd = queue_directory_lock(unit.config, &me, &unit.findings);
        assert_true(fd >= 0);
        assert_true(queue_directory_is_locked(unit.config));
        assert_int_equal(queue_directory_wait(unit.config, 10), -ETIMEDOUT);
        assert_int_equal(lock_in_child(), 2);

        /* a worker that outlives its supervisor holds it on */
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0) {
                char byte;
                close(ends[1]);
                _exit((int)read(ends[0], &byte, 1));
        }
        close(ends[0]);
        close(fd);
        assert_true(queue_directory_is_locked(unit.config));
        close(ends[1]);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_false(queue_directory_is_locked(unit.config));
        assert_int_equal(queue_directory_wait(unit.config, 1000), 0);
        assert_int_equal(lock_in_child(), 1);
        core_unit_end(&unit);
}

/* The directory is its user's, and we may be root: what he plants is not followed. */
static void test_planted_links(void **state)
{
        begin("@/queue");
        queue_directory_make(unit.config, &me, &unit.findings);
        char pid_file[200];
        char victim[200];
        path_in(pid_file, "queue/pid");
        path_in(victim, "victim");
        core_unit_write(&unit, "victim", "precious");
        assert_int_equal(symlink(victim, pid_file), 0);
        assert_int_equal(queue_directory_lock(unit.config, &me, &unit.findings), -1);
        assert_int_equal(unlink(pid_file), 0);
        assert_int_equal(link(victim, pid_file), 0);
        assert_int_equal(queue_directory_lock(unit.config, &me, &unit.findings), -1);
        struct stat st;
        assert_int_equal(stat(victim, &st), 0);
        assert_int_equal(st.st_size, 8);
        core_unit_end(&unit);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_made),          cmocka_unit_test(test_wrong),
                cmocka_unit_test(test_given),         cmocka_unit_test(test_lock),
                cmocka_unit_test(test_planted_links), cmocka_unit_test(test_of_postfix),
                cmocka_unit_test(test_too_long),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
