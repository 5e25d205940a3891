/* key_watch_test.c - a renewed certificate is noticed once, when both files have come to rest */
#include "ops/key_watch.h"

#include "base/clock.h"
#include "base/unit.h"

#include <unistd.h>

static char dir[] = "/tmp/forepost-watch-XXXXXX";

static void put(const char *name, const char *text)
{
        char path[200];
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(text, f);
        assert_int_equal(fclose(f), 0);
}

static struct config *load(const char *interval)
{
        struct findings findings;
        char text[1000];
        snprintf(text, sizeof(text),
                 "compatibility_level = 3.6\nmyhostname = mx.example\nqueue_directory = %s/q\n"
                 "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = %s/cert\n"
                 "smtpd_tls_key_file = %s/key\ntls_watch_interval = %s\n",
                 dir, dir, dir, interval);
        put("main.cf", text);
        put("master.cf", "127.0.0.1:2525 inet n - n - - smtpd\n");
        findings_init(&findings);
        struct config *c = config_load(dir, NULL, &findings);
        assert_non_null(c);
        findings_done(&findings);
        return c;
}

static void a_change_counts_when_it_has_come_to_rest(void **state)
{
        put("cert", "one");
        put("key", "one");
        struct config *c = load("10s");
        struct key_watch w = {0};
        key_watch_begin(&w, c, 1000);
        assert_int_equal(w.next_ms, 11000);
        assert_false(key_watch_is_due(&w, 5000));
        assert_false(key_watch_is_due(&w, 11000));
        put("cert", "second");
        assert_false(key_watch_is_due(&w, 21000));
        put("key", "another");
        assert_false(key_watch_is_due(&w, 31000)); /* not at rest yet */
        assert_true(key_watch_is_due(&w, 41000));
        assert_false(key_watch_is_due(&w, 51000)); /* once */
        /* gone for a moment, and back: the same again is no change only when the file is */
        put("cert", "third one");
        assert_false(key_watch_is_due(&w, 61000));
        assert_true(key_watch_is_due(&w, 71000));
        key_watch_done(&w);
        config_unref(&c);
}

static void nothing_to_watch_is_never_due(void **state)
{
        struct config *c = load("0");
        struct key_watch w = {0};
        assert_false(key_watch_is_due(&w, 1000)); /* before the beginning */
        key_watch_begin(&w, c, 1000);
        assert_true(w.next_ms == CLOCK_NEVER);
        put("cert", "something else");
        assert_false(key_watch_is_due(&w, 100000));
        key_watch_done(&w);
        config_unref(&c);
}

static int make(void **state)
{
        return mkdtemp(dir) ? 0 : -1;
}

static int clean(void **state)
{
        static const char *const names[] = {"cert", "key", "main.cf", "master.cf"};
        char path[200];
        for (size_t i = 0; i < 4; i++) {
                snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
                unlink(path);
        }
        return rmdir(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_change_counts_when_it_has_come_to_rest),
                cmocka_unit_test(nothing_to_watch_is_never_due),
        };
        return cmocka_run_group_tests(tests, make, clean);
}
