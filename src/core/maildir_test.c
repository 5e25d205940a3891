/* maildir_test.c - a message is in the mailbox whole, or not at all */
#include "core/maildir.h"

#include "base/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[64];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
        return remove(path);
}

static int make_base(void **state)
{
        snprintf(base, sizeof(base), "/tmp/maildir-test.XXXXXX");
        return mkdtemp(base) ? 0 : -1;
}

static int remove_base(void **state)
{
        return nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* How many files are in base/`dir`; -1: no such directory. The last one's path goes to *found. */
static int count_files(const char *dir, char found[512])
{
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", base, dir);
        DIR *d = opendir(path);
        if (!d)
                return -1;
        int count = 0;
        for (struct dirent *e; (e = readdir(d));) {
                if (e->d_name[0] == '.')
                        continue;
                count++;
                if (found)
                        snprintf(found, 512, "%s/%s", path, e->d_name);
        }
        closedir(d);
        return count;
}

static void assert_file(const char *path, const char *expected)
{
        static char text[4096];
        int fd = open(path, O_RDONLY);
        assert_true(fd >= 0);
        ssize_t n = read(fd, text, sizeof(text) - 1);
        close(fd);
        assert_true(n >= 0);
        text[n] = 0;
        assert_string_equal(text, expected);
}

static int deliver(const char *path, const char *const *pieces, struct why *why)
{
        struct maildir m;
        int rc = maildir_begin(&m, str_from(base), str_from(path), why);
        for (; rc == 0 && *pieces; pieces++) {
                rc = maildir_append(&m, str_from(*pieces), why);
                if (rc < 0)
                        maildir_abandon(&m);
        }
        return rc < 0 ? rc : maildir_commit(&m, why);
}

static const char *const hello[] = {"Subject: x\r\n\r\nhello\r\n", NULL};

static void test_paths(void **state)
{
        static const struct {
                const char *path;
                const char *says; /* NULL: fine */
        } cases[] = {
                {"example.com/editor/", NULL},
                {"a/", NULL},
                {"/a/b/", NULL}, /* put behind the base, as Postfix does */
                {"a//b/", NULL},
                {"./a/", NULL},
                {"a..b/", NULL},
                {"example.com/editor", "not a Maildir"},
                {"", "not a Maildir"},
                {"/", "the base itself"},
                {"./", "the base itself"},
                {"../etc/", "out of the base"},
                {"a/../../b/", "out of the base"},
                {"a/..", "not a Maildir"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct why why = {""};
                int rc = maildir_path_check(str_from(cases[i].path), &why);
                assert_int_equal(rc, cases[i].says ? -EINVAL : 0);
                if (cases[i].says)
                        assert_non_null(strstr(why.text, cases[i].says));
        }
        struct why why;
        assert_int_equal(maildir_path_check(str_make("a\0b/", 4), &why), -EINVAL);
        static char path[MAILDIR_PATH_BYTES_MAX + 2];
        memset(path, 'a', sizeof(path));
        path[sizeof(path) - 1] = '/';
        assert_int_equal(maildir_path_check(str_make(path, sizeof(path)), &why), -EINVAL);
        assert_int_equal(maildir_path_check(str_tail(str_make(path, sizeof(path)), 600), &why),
                         -EINVAL); /* a component of 425 bytes */
        assert_int_equal(maildir_path_check(str_tail(str_make(path, sizeof(path)), 900), &why), 0);
}

static void test_line_ends(void **state)
{
        static const struct {
                const char *pieces[4];
                const char *expected;
        } cases[] = {
                {{"a\r\nb\r\n"}, "a\nb\n"},
                {{"a\r", "\nb\r\n"}, "a\nb\n"},
                {{"a\r", "", "\nb"}, "a\nb"},
                {{"a\rb\r\n"},
                 "a\rb\n"}, /* never sent by the spool; nothing is lost all the same */
                {{"a\r", "b"}, "a\rb"},
                {{"a\r"}, "a\r"},
                {{"\r\n\r\n\r\n"}, "\n\n\n"},
                {{"\r\r\n"}, "\r\n"},
                {{""}, ""},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                char box[32];
                snprintf(box, sizeof(box), "box%zu/", i);
                struct why why;
                assert_int_equal(deliver(box, cases[i].pieces, &why), 0);
                char dir[64];
                char found[512];
                snprintf(dir, sizeof(dir), "%snew", box);
                assert_int_equal(count_files(dir, found), 1);
                assert_file(found, cases[i].expected);
                snprintf(dir, sizeof(dir), "%stmp", box);
                assert_int_equal(count_files(dir, NULL), 0);
                snprintf(dir, sizeof(dir), "%scur", box);
                assert_int_equal(count_files(dir, NULL), 0);
        }
}

static void test_modes_and_names(void **state)
{
        struct why why;
        for (int i = 0; i < 100; i++)
                assert_int_equal(deliver("example.com/many/", hello, &why), 0);
        char found[512];
        assert_int_equal(count_files("example.com/many/new", found), 100);
        struct stat st;
        assert_int_equal(stat(found, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(st.st_nlink, 1);
        char dir[128];
        snprintf(dir, sizeof(dir), "%s/example.com", base);
        assert_int_equal(stat(dir, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        /* a name is no flag (":2,S") and no hidden file */
        const char *name = strrchr(found, '/') + 1;
        assert_null(strchr(name, ':'));
        assert_true(name[0] >= '1' && name[0] <= '9');
}

static void test_abandon_leaves_nothing(void **state)
{
        struct maildir m;
        struct why why;
        assert_int_equal(maildir_begin(&m, str_from(base), STR("box/"), &why), 0);
        assert_int_equal(maildir_append(&m, STR("half a mess"), &why), 0);
        assert_int_equal(count_files("box/tmp", NULL), 1);
        assert_int_equal(count_files("box/new", NULL), 0);
        maildir_abandon(&m);
        assert_int_equal(count_files("box/tmp", NULL), 0);
        maildir_abandon(&m); /* twice is once */
}

/* The move to new never replaces what is there: put a file of the same name before the commit. */
static void test_never_overwrites(void **state)
{
        struct maildir m;
        struct why why;
        assert_int_equal(maildir_begin(&m, str_from(base), STR("box/"), &why), 0);
        assert_int_equal(maildir_append(&m, STR("mine"), &why), 0);
        int fd = openat(m.new_fd, m.name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "other", 5), 5);
        close(fd);
        assert_int_equal(maildir_commit(&m, &why), -EEXIST);
        char found[512];
        assert_int_equal(count_files("box/new", found), 1);
        assert_file(found, "other");
        assert_int_equal(count_files("box/tmp", NULL), 0);
        assert_string_equal(maildir_error_dsn(-EEXIST), "4.2.0");
}

static void test_symlinks_are_not_followed(void **state)
{
        static const char *const links[] = {"box", "box/tmp", "box/new", "box/cur"};
        for (size_t i = 0; i < 4; i++) {
                char path[128];
                snprintf(path, sizeof(path), "%s/%s", base, links[i]);
                if (i == 1) {
                        char box[128];
                        snprintf(box, sizeof(box), "%s/box", base);
                        assert_int_equal(unlink(box), 0);
                        assert_int_equal(mkdir(box, 0700), 0);
                }
                assert_int_equal(symlink("/tmp", path), 0);
                struct why why;
                int rc = deliver("box/", hello, &why);
                assert_true(rc == -ELOOP || rc == -ENOTDIR);
                assert_non_null(strstr(why.text, "symbolic links are not followed"));
                if (i > 0)
                        assert_int_equal(unlink(path), 0);
        }
        /* the base itself may be a link: it is the administrator's */
        char link[80];
        snprintf(link, sizeof(link), "%s.link", base);
        assert_int_equal(symlink(base, link), 0);
        struct maildir m;
        struct why why;
        assert_int_equal(maildir_begin(&m, str_from(link), STR("linked/"), &why), 0);
        assert_int_equal(maildir_commit(&m, &why), 0);
        assert_int_equal(unlink(link), 0);
        assert_int_equal(count_files("linked/new", NULL), 1);
}

static void test_not_a_directory(void **state)
{
        char path[128];
        snprintf(path, sizeof(path), "%s/file", base);
        close(open(path, O_WRONLY | O_CREAT, 0600));
        struct why why;
        assert_int_equal(deliver("file/", hello, &why), -ENOTDIR);
        assert_non_null(strstr(why.text, "file/"));
        struct maildir m;
        snprintf(path, sizeof(path), "%s/new/base", base);
        assert_int_equal(maildir_begin(&m, str_from(path), STR("a/"), &why), -ENOENT);
        snprintf(path, sizeof(path), "%s/new", base);
        assert_int_equal(maildir_begin(&m, str_from(path), STR("a/"), &why), 0);
        maildir_abandon(&m);
        assert_int_equal(count_files("new/a/tmp", NULL), 0);
        assert_int_equal(maildir_begin(&m, STR("/nowhere/at/all"), STR("a/"), &why), -ENOENT);
        assert_int_equal(maildir_begin(&m, STR(""), STR("a/"), &why), -EINVAL);
}

/* Runs `body` in a child as user 65534 when we are root, whom permissions do not bind. */
static void in_child(int (*body)(void))
{
        pid_t pid = fork();
        if (pid == 0) {
                if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
                        _exit(99);
                _exit(body());
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static int deliver_read_only(void)
{
        struct why why;
        int rc = deliver("box/", hello, &why);
        return rc == -EACCES && strstr(why.text, "mailbox box/") ? 0 : 1;
}

static void test_read_only_directory(void **state)
{
        assert_int_equal(chmod(base, 0555), 0);
        in_child(deliver_read_only);
        assert_int_equal(chmod(base, 0700), 0);
        assert_int_equal(count_files("box", NULL), -1);
}

static int deliver_over_limit(void)
{
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {64, 64};
        static char long_text[200];
        memset(long_text, 'x', sizeof(long_text) - 1);
        const char *const pieces[] = {"Subject: x\r\n\r\n", long_text, NULL};
        if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
                return 2;
        struct why why;
        int rc = deliver("box/", pieces, &why);
        if (rc != -EFBIG || strcmp(maildir_error_dsn(rc), "4.2.2") != 0)
                return 3;
        return count_files("box/tmp", NULL) == 0 && count_files("box/new", NULL) == 0 ? 0 : 4;
}

static void test_file_size_limit(void **state)
{
        assert_int_equal(chmod(base, 0777), 0);
        in_child(deliver_over_limit);
}

/* A full disk: 64 KiB of tmpfs in a mount namespace of our own; needs root. */
static void fill_tmpfs(void)
{
        static char block[4096];
        char path[128];
        snprintf(path, sizeof(path), "%s/filler", base);
        int fd = open(path, O_WRONLY | O_CREAT, 0600);
        while (write(fd, block, sizeof(block)) > 0)
                ;
        close(fd);
}

static int deliver_on_full_disk(void)
{
        struct why why;
        if (deliver("box/", hello, &why) != 0)
                return 2;
        fill_tmpfs();
        int rc = deliver("box/", hello, &why);
        if (rc != -ENOSPC || strcmp(maildir_error_dsn(rc), "4.3.1") != 0)
                return 3;
        if (count_files("box/tmp", NULL) != 0 || count_files("box/new", NULL) != 1)
                return 4;
        char path[128];
        snprintf(path, sizeof(path), "%s/filler", base);
        unlink(path);
        return deliver("box/", hello, &why) == 0 ? 0 : 5;
}

static void test_full_disk(void **state)
{
        pid_t pid = fork();
        if (pid == 0) {
                if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "", MS_REC | MS_PRIVATE, "") < 0 ||
                    mount("tmpfs", base, "tmpfs", 0, "size=64k") < 0)
                        _exit(77);
                _exit(deliver_on_full_disk());
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
                skip(); /* no right to mount */
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_codes(void **state)
{
        assert_string_equal(maildir_error_dsn(-EDQUOT), "4.2.2");
        assert_string_equal(maildir_error_dsn(-ENOSPC), "4.3.1");
        assert_string_equal(maildir_error_dsn(-EACCES), "4.2.0");
}

int main(void)
{
#define IN_BASE(test) cmocka_unit_test_setup_teardown(test, make_base, remove_base)
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_paths),   IN_BASE(test_line_ends),
                IN_BASE(test_modes_and_names),  IN_BASE(test_abandon_leaves_nothing),
                IN_BASE(test_never_overwrites), IN_BASE(test_symlinks_are_not_followed),
                IN_BASE(test_not_a_directory),  IN_BASE(test_read_only_directory),
                IN_BASE(test_file_size_limit),  IN_BASE(test_full_disk),
                cmocka_unit_test(test_codes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
