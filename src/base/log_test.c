/* log_test.c - lines as they arrive in a file */
#include "base/log.h"
#include "base/unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char path[] = "/tmp/forepost-log-test-XXXXXX";

static void read_log(char *text, size_t room)
{
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        size_t n = fread(text, 1, room - 1, f);
        text[n] = 0;
        fclose(f);
        assert_int_equal(truncate(path, 0), 0);
}

static void open_as(enum log_format format)
{
        struct log_options o = {.target = LOG_TO_FILE,
                                .format = format,
                                .path = path,
                                .name = "postfix",
                                .hostname = "mx1.example.com"};
        struct why why;
        assert_int_equal(log_open(&o, &why), 0);
}

static void speaks_postfix(void **state)
{
        char text[4096];
        open_as(LOG_AS_POSTFIX);
        log_mail(LOG_LEVEL_INFO, "smtpd", "4gXyZ12abcz9", "client=%s", "a\n\x1b[0mb");
        log_warning("smtp", "odd");
        read_log(text, sizeof(text));
        assert_non_null(strstr(text, " mx1 postfix/smtpd["));
        assert_non_null(strstr(text, "]: 4gXyZ12abcz9: client=a??[0mb\n"));
        assert_non_null(strstr(text, "]: warning: odd\n"));
}

static void speaks_json(void **state)
{
        char text[4096];
        open_as(LOG_AS_JSON);
        log_mail(LOG_LEVEL_INFO, "smtpd", "ID", "say \"%s\"", "a\\\n");
        read_log(text, sizeof(text));
        assert_non_null(strstr(text, "\"level\":\"info\",\"service\":\"smtpd\""));
        assert_non_null(
                strstr(text, "\"queue_id\":\"ID\",\"text\":\"say \\\"a\\\\\\u000a\\\"\"}\n"));
}

static void cuts_long_lines(void **state)
{
        static char big[3 * LOG_LINE_BYTES_MAX];
        static char text[4 * LOG_LINE_BYTES_MAX];
        memset(big, '"', sizeof(big) - 1);
        for (int json = 0; json < 2; json++) {
                open_as(json ? LOG_AS_JSON : LOG_AS_POSTFIX);
                log_info("smtpd", "%s", big);
                read_log(text, sizeof(text));
                size_t len = strlen(text);
                assert_true(len <= LOG_LINE_BYTES_MAX);
                assert_int_equal(text[len - 1], '\n');
        }
        assert_string_equal(text + strlen(text) - 3, "\"}\n");
}

static int syslog_start(const char *where)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", where);
        unlink(where);
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

static void syslog_must_hear(int fd, const char *text)
{
        char line[500];
        ssize_t n = recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT);
        assert_true(n > 0);
        line[n] = 0;
        assert_non_null(strstr(line, text));
}

static void finds_syslog_again(void **state)
{
        char where[] = "/tmp/forepost-syslog-XXXXXX";
        struct log_options o = {.target = LOG_TO_SYSLOG, .path = where, .facility = 2 << 3};
        struct why why;
        close(mkstemp(where));
        int fd = syslog_start(where);
        assert_int_equal(log_open(&o, &why), 0);
        log_info("smtpd", "one");
        syslog_must_hear(fd, "<22>");
        close(fd);
        log_info("smtpd", "nobody hears this");
        fd = syslog_start(where);
        log_info("smtpd", "three");
        syslog_must_hear(fd, "three\n");
        close(fd);
        unlink(where);
}

static void collects_until_flushed(void **state)
{
        char text[4096];
        open_as(LOG_AS_POSTFIX);
        log_collect();
        log_info("qmgr", "one");
        log_debug("qmgr", "not wanted");
        read_log(text, sizeof(text));
        assert_string_equal(text, "");
        log_flush();
        read_log(text, sizeof(text));
        assert_non_null(strstr(text, "one\n"));
        assert_null(strstr(text, "not wanted"));
        log_collect_end();
}

static void says_why_it_cannot_open(void **state)
{
        struct why why;
        struct log_options o = {.target = LOG_TO_FILE, .path = "/nonexistent/dir/log"};
        assert_int_equal(log_open(&o, &why), -ENOENT);
        assert_non_null(strstr(why.text, "/nonexistent/dir/log"));
        o = (struct log_options){.target = LOG_TO_SYSLOG, .path = "/nonexistent/socket"};
        assert_int_equal(log_open(&o, &why), -ENOENT);
}

int main(void)
{
        int fd = mkstemp(path);
        if (fd < 0)
                return 1;
        close(fd);
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(speaks_postfix),          cmocka_unit_test(speaks_json),
                cmocka_unit_test(cuts_long_lines),         cmocka_unit_test(collects_until_flushed),
                cmocka_unit_test(says_why_it_cannot_open), cmocka_unit_test(finds_syslog_again),
        };
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        unlink(path);
        return failed;
}
