/* log_test.c - lines as they arrive in a file */
#include "base/log.h"
#include "base/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
        log_info("smtpd", "from=<%s@b>", "\xc3\xbc\xe4\xbd\xa0\xf0\x9f\x93\xa7");
        /* too long for what they mean, halves of pairs, over the last, C1, a turner, cut off, alone */
        log_info("smtpd", "bad %s",
                 "\xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xc2\x85 \xe2\x80\xae \xbf "
                 "\xf5\x80\x80\x80 \xe0\x80\x80");
        log_warning("smtp", "odd");
        read_log(text, sizeof(text));
        assert_non_null(strstr(text, " mx1 postfix/smtpd["));
        assert_non_null(strstr(text, "]: 4gXyZ12abcz9: client=a??[0mb\n"));
        assert_non_null(strstr(text, "from=<\xc3\xbc\xe4\xbd\xa0\xf0\x9f\x93\xa7@b>\n"));
        assert_non_null(strstr(text, "bad ?? ??? ???? ?? ??? ? ???? ???\n"));
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

/* Nobody reads the pipe: whoever logs goes on, what does not fit is counted, and the log says so afterwards. */
static void a_pipe_that_nobody_reads(void **state)
{
        char fifo[] = "/tmp/forepost-log-fifo-XXXXXX";
        assert_non_null(mkdtemp(fifo));
        char name[64];
        snprintf(name, sizeof(name), "%s/pipe", fifo);
        assert_int_equal(mkfifo(name, 0600), 0);
        int reader = open(name, O_RDONLY | O_NONBLOCK);
        struct log_options o = {.target = LOG_TO_FILE, .path = name, .name = "postfix"};
        struct why why;
        assert_int_equal(log_open(&o, &why), 0);
        assert_int_equal(log_thread_start(&why), 0);
        static char words[1000];
        memset(words, 'x', sizeof(words) - 1);
        size_t before = log_dropped();
        enum { LINES = 12000 }; /* some 12 MB: twice the 4 MiB that wait, and more */
        for (int i = 0; i < LINES; i++)
                log_info("smtpd", "%s", words);
        size_t dropped = log_dropped() - before;
        assert_true(dropped > 0 && dropped < LINES);

        /* somebody reads at last */
        size_t lines = 0;
        bool is_told = false;
        size_t kept = 0; /* the words that are looked for may come in two pieces */
        for (int idle = 0; idle < 3000 && !is_told;) {
                static char piece[65536];
                ssize_t n = read(reader, piece + kept, sizeof(piece) - 1 - kept);
                if (n <= 0) {
                        usleep(10000);
                        idle++;
                        continue;
                }
                piece[kept + (size_t)n] = 0;
                idle = 0;
                for (char *p = piece + kept; (p = strchr(p, '\n')); p++)
                        lines++;
                is_told = strstr(piece, "log lines were dropped") != NULL;
                size_t all = kept + (size_t)n;
                kept = all < 40 ? all : 40;
                memmove(piece, piece + all - kept, kept);
        }
        assert_true(is_told);
        assert_true(lines >= LINES - dropped);
        log_thread_stop(1000);
        close(reader);
        unlink(name);
        rmdir(fifo);
        open_as(LOG_AS_POSTFIX);
}

/* The end does not wait for ever for one who does not read; a new place is taken meanwhile. */
static void the_end_waits_for_nobody(void **state)
{
        char fifo[] = "/tmp/forepost-log-fifo-XXXXXX";
        assert_non_null(mkdtemp(fifo));
        char name[64], text[4096];
        snprintf(name, sizeof(name), "%s/pipe", fifo);
        assert_int_equal(mkfifo(name, 0600), 0);
        int reader = open(name, O_RDONLY | O_NONBLOCK);
        struct log_options o = {.target = LOG_TO_FILE, .path = name, .name = "postfix"};
        struct why why;
        assert_int_equal(log_open(&o, &why), 0);
        assert_int_equal(log_thread_start(&why), 0);
        static char words[1900];
        memset(words, 'x', sizeof(words) - 1);
        for (int i = 0; i < 200; i++) /* more than a pipe takes */
                log_info("smtpd", "%s", words);
        open_as(LOG_AS_POSTFIX); /* as a reload does */
        log_info("smtpd", "after the reload");
        log_sync(5000);
        static char all[1024 * 1024];
        read_log(all, sizeof(all));
        assert_non_null(strstr(all, "after the reload"));

        /* not one byte more fits into the pipe, also not the line that tells of those that were dropped */
        int filler = open(name, O_WRONLY | O_NONBLOCK);
        while (write(filler, "x", 1) == 1)
                ;
        close(filler);
        size_t before = log_dropped();
        assert_int_equal(log_open(&o, &why), 0);
        for (int i = 0; i < 200; i++)
                log_info("smtpd", "%s", words);
        log_thread_stop(100);
        assert_int_equal(log_dropped() - before, 200);
        close(reader);
        unlink(name);
        rmdir(fifo);
        open_as(LOG_AS_POSTFIX);
        log_info("smtpd", "at once again");
        read_log(text, sizeof(text));
        assert_non_null(strstr(text, "at once again"));
}

/* What logrotate does, while the thread writes. */
static void the_thread_follows_a_new_file(void **state)
{
        char old[sizeof(path) + 8], text[4096];
        struct why why;
        open_as(LOG_AS_POSTFIX);
        assert_int_equal(log_thread_start(&why), 0);
        log_info("smtpd", "before the move");
        log_sync(5000);
        snprintf(old, sizeof(old), "%s.1", path);
        assert_int_equal(rename(path, old), 0);
        log_info("smtpd", "after the move");
        log_sync(5000);
        assert_int_equal(log_reopen(&why), 0);
        log_info("smtpd", "in the new file");
        log_thread_stop(5000);
        read_log(text, sizeof(text));
        assert_non_null(strstr(text, "in the new file"));
        assert_null(strstr(text, "the move"));
        FILE *f = fopen(old, "r");
        assert_non_null(f);
        text[fread(text, 1, sizeof(text) - 1, f)] = 0;
        fclose(f);
        unlink(old);
        assert_non_null(strstr(text, "before the move"));
        assert_non_null(strstr(text, "after the move"));
        assert_null(strstr(text, "in the new file"));
}

int main(void)
{
        int fd = mkstemp(path);
        if (fd < 0)
                return 1;
        close(fd);
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_pipe_that_nobody_reads),
                cmocka_unit_test(the_end_waits_for_nobody),
                cmocka_unit_test(the_thread_follows_a_new_file),
                cmocka_unit_test(speaks_postfix),
                cmocka_unit_test(speaks_json),
                cmocka_unit_test(cuts_long_lines),
                cmocka_unit_test(collects_until_flushed),
                cmocka_unit_test(says_why_it_cannot_open),
                cmocka_unit_test(finds_syslog_again),
        };
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        unlink(path);
        return failed;
}
