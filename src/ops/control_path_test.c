/* control_path_test.c - sockets whose path is longer than the kernel takes */
#include "ops/control_path.h"

#include "core/core_unit.h"

#include <errno.h>
#include <sys/socket.h>

static int open_socket(const char *path, bool binds)
{
        struct sockaddr_un address;
        struct why why;
        int dir_fd;
        assert_int_equal(control_path_resolve(path, &address, &dir_fd, &why), 0);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        const struct sockaddr *a = (const struct sockaddr *)&address;
        int rc = binds ? bind(fd, a, sizeof(address)) : connect(fd, a, sizeof(address));
        assert_int_equal(rc, 0);
        if (binds)
                assert_int_equal(listen(fd, 1), 0);
        if (dir_fd >= 0)
                close(dir_fd);
        return fd;
}

static void test_lengths(void **state)
{
        /* in all: short, the longest that fits, one more, long */
        static const size_t lengths[] = {40, 107, 108, 250};
        for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
                char dir[300] = "/tmp/control-test.XXXXXX";
                assert_non_null(mkdtemp(dir));
                char path[300];
                size_t base = strlen(dir);
                memcpy(path, dir, base);
                path[base] = '/';
                memset(path + base + 1, 'd', sizeof(path) - base - 1);
                path[lengths[i] - 8] = 0; /* the directory */
                assert_int_equal(mkdir(path, 0700), 0);
                memcpy(path + lengths[i] - 8, "/control", 9);
                assert_int_equal(strlen(path), lengths[i]);
                int server = open_socket(path, true);
                int client = open_socket(path, false);
                close(client);
                close(server);
                assert_int_equal(nftw(dir, core_unit_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
        }
}

static void test_errors(void **state)
{
        struct sockaddr_un address;
        struct why why;
        int dir_fd;
        char path[CONTROL_PATH_BYTES_MAX];
        memset(path, 'x', sizeof(path));
        path[sizeof(path) - 1] = 0;
        assert_int_equal(control_path_resolve(path, &address, &dir_fd, &why), -ENAMETOOLONG);
        path[0] = '/';
        path[200] = '/';
        path[210] = 0;
        assert_int_equal(control_path_resolve(path, &address, &dir_fd, &why), -ENOENT);
        snprintf(path, sizeof(path), "/tmp/%0200d", 1); /* the name alone is too long */
        assert_int_equal(control_path_resolve(path, &address, &dir_fd, &why), -ENAMETOOLONG);
        if (dir_fd >= 0)
                close(dir_fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lengths),
                cmocka_unit_test(test_errors),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
