/* config_test.c - whole configurations */
#include "config/fixture.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *source_path(const char *name)
{
        static char path[4096];
        const char *source = getenv("FOREPOST_SOURCE");
        snprintf(path, sizeof(path), "%s/tests/data/%s", source ? source : ".", name);
        return path;
}

static void types_and_defaults(void **state)
{
        struct findings f;
        struct config *c = fixture_read("myhostname = mx1.example.com\n"
                                        "smtpd_timeout = 2m\n"
                                        "maximal_queue_lifetime = 3\n"
                                        "message_size_limit = 1000000\n"
                                        "smtpd_helo_required = YES\n"
                                        "log_format = json\n"
                                        "smtp_tls_security_level = dane-only\n",
                                        NULL, &f);
        assert_null(f.first);
        const struct params *p = &c->params;
        assert_str_equal(p->mydomain, "example.com");
        assert_str_equal(p->mydestination, "mx1.example.com, localhost.example.com, localhost");
        assert_str_equal(p->smtpd_banner, "mx1.example.com ESMTP Forepost");
        assert_int_equal(p->smtpd_timeout, 120000);
        assert_int_equal(p->smtpd_starttls_timeout, 300000);
        assert_int_equal(p->maximal_queue_lifetime, 3 * 86400000LL);
        assert_int_equal(p->message_size_limit, 1000000);
        assert_true(p->smtpd_helo_required);
        assert_false(p->disable_vrfy_command);
        assert_int_equal(p->log_format, LOG_FORMAT_JSON);
        assert_int_equal(p->smtp_tls_security_level, TLS_LEVEL_DANE_ONLY);
        assert_int_equal(p->smtpd_tls_security_level, TLS_LEVEL_UNSET);
        assert_int_equal(p->smtpd_tls_ciphers, TLS_GRADE_MEDIUM);
        assert_int_equal(p->smtpd_forbid_bare_newline, BARE_NEWLINE_NORMALIZE);
        assert_str_equal(p->mynetworks, "127.0.0.0/8 [::1]/128");
        assert_str_equal(p->config_directory, "dir");
        fixture_done(&c, &f);
}

/* The article's relay as it is: no errors, and everything where it was written. */
static void reads_the_article(void **state)
{
        struct findings f;
        findings_init(&f);
        struct config *c = config_load(source_path("article"), NULL, &f);
        assert_non_null(c);
        assert_int_equal(f.count[SEVERITY_ERROR], 0);
        assert_int_equal(f.count[SEVERITY_WARNING], 0);
        const struct params *p = &c->params;
        assert_str_equal(p->smtpd_banner, "mx99.test.mydomain.com ESMTP Forepost");
        assert_str_equal(p->mydestination, "");
        assert_int_equal(p->unknown_local_recipient_reject_code, 500);
        assert_int_equal(config_place(c, "smtpd_recipient_restrictions").line, 20);
        struct str rest = p->smtpd_recipient_restrictions, item;
        size_t count = 0;
        while (config_list_next(&rest, &item)) {
                assert_int_equal(config_place_of(c, item).line, count < 2 ? 20 : 21);
                count++;
        }
        assert_int_equal(count, 14);
        fixture_done(&c, &f);
}

/* As printed: one line that cannot be read, with its number and the cure. */
static void reads_the_printed_article(void **state)
{
        struct findings f;
        static char text[8192];
        FILE *file = fopen(source_path("article/main.cf.printed"), "r");
        assert_non_null(file);
        text[fread(text, 1, sizeof(text) - 1, file)] = 0;
        fclose(file);
        struct config *c = fixture_read(text, NULL, &f);
        assert_int_equal(f.count[SEVERITY_ERROR], 1);
        assert_true(fixture_has(&f, "dir/main.cf:21: error: missing '=' after the name "
                                    "\"reject_non_fqdn_hostname\" (begin the line with a blank: it "
                                    "continues the line before) [syntax]"));
        assert_str_equal(c->params.smtpd_recipient_restrictions,
                         "permit_mynetworks reject_unauth_destination");
        assert_str_equal(c->params.transport_maps, "hash:/config/transport_maps");
        fixture_done(&c, &f);
}

static struct config *load(const char *dir, const struct config_override *overrides,
                           struct findings *f)
{
        findings_init(f);
        return config_load(dir, overrides, f);
}

static void write_file(const char *dir, const char *name, const char *text, size_t len)
{
        char path[200];
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(text, 1, len, file), len);
        assert_int_equal(fclose(file), 0);
}

static void files_that_cannot_be_read(void **state)
{
        struct findings f;
        struct config *c = load("/nowhere/at/all", NULL, &f);
        assert_null(c);
        assert_true(fixture_has(&f, "/nowhere/at/all/main.cf: error: it cannot be read: No such "
                                    "file or directory (name the right directory with -c) "
                                    "[unreadable-file]"));
        fixture_done(&c, &f);

        char dir[] = "/tmp/forepost-config-XXXXXX", path[200];
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/main.cf", dir);
        assert_int_equal(mkdir(path, 0700), 0);
        c = load(dir, NULL, &f);
        assert_null(c);
        assert_non_null(fixture_find(&f, "unreadable-file"));
        fixture_done(&c, &f);
        rmdir(path);

        /* up to the limit, and one byte more */
        static char big[FILE_BYTES_MAX + 1];
        memset(big, '\n', sizeof(big));
        write_file(dir, "main.cf", big, FILE_BYTES_MAX);
        c = load(dir, NULL, &f);
        assert_non_null(c);
        assert_null(f.first);
        fixture_done(&c, &f);
        write_file(dir, "main.cf", big, FILE_BYTES_MAX + 1);
        c = load(dir, NULL, &f);
        assert_null(c);
        const struct finding *found = fixture_find(&f, "unreadable-file");
        assert_non_null(found);
        assert_str_equal(found->text, "it cannot be read: it is longer than 16 MiB");
        fixture_done(&c, &f);

        /* a master.cf that is there and cannot be read is not the same as none */
        write_file(dir, "main.cf", "", 0);
        snprintf(path, sizeof(path), "%s/master.cf", dir);
        assert_int_equal(mkdir(path, 0700), 0);
        c = load(dir, NULL, &f);
        assert_non_null(c);
        assert_non_null(fixture_find(&f, "unreadable-file"));
        assert_false(c->services[0].is_inet);
        fixture_done(&c, &f);
        rmdir(path);
        snprintf(path, sizeof(path), "%s/main.cf", dir);
        unlink(path);
        rmdir(dir);
}

static void command_line_wins(void **state)
{
        char dir[] = "/tmp/forepost-config-XXXXXX", path[200];
        assert_non_null(mkdtemp(dir));
        static const char text[] = "mail_name = file\nmyorigin = a.example\n";
        write_file(dir, "main.cf", text, strlen(text));
        struct config_override last = {"nonsense", NULL};
        struct config_override third = {"smtpd_timeout=never", &last};
        struct config_override second = {"mail_name=second", &third};
        struct config_override first = {"mail_name=first", &second};
        struct findings f;
        struct config *c = load(dir, &first, &f);
        assert_str_equal(c->params.mail_name, "second");
        assert_str_equal(c->params.myorigin, "a.example");
        assert_str_equal(config_place(c, "mail_name").file, "-o");
        assert_int_equal(config_place(c, "myorigin").line, 2);
        assert_true(fixture_has(&f, "-o: error: smtpd_timeout = never: allowed is a time like 30s, "
                                    "5m, 2h or 1d, from 1s to 3650d [bad-value]"));
        assert_true(fixture_has(&f, "-o: error: missing '=' after the name \"nonsense\" (write "
                                    "-o name=value) [syntax]"));
        /* and mynetworks, left out, are this machine's */
        assert_true(str_find_str(c->params.mynetworks, STR("127.0.0.")) >= 0);
        assert_true(str_find(c->params.myhostname, '.') > 0);
        fixture_done(&c, &f);
        snprintf(path, sizeof(path), "%s/main.cf", dir);
        unlink(path);
        rmdir(dir);
}

static void origin_from_a_file(void **state)
{
        char path[] = "/tmp/forepost-mailname-XXXXXX", text[100];
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "mail.example \nmore\n", 19), 19);
        close(fd);
        snprintf(text, sizeof(text), "myorigin = %s\n", path);
        struct config_source source = {.dir = STR("dir"), .main_text = str_from(text)};
        struct findings f;
        findings_init(&f);
        struct config *c = config_read(&source, &f);
        assert_null(f.first);
        assert_str_equal(c->params.myorigin, "mail.example");
        fixture_done(&c, &f);
        unlink(path);
        findings_init(&f);
        c = config_read(&source, &f);
        assert_non_null(fixture_find(&f, "unreadable-file"));
        fixture_done(&c, &f);
}

static void count_name(void *context, struct str name)
{
        struct buf *names = context;
        buf_append_str(names, name);
        buf_append_char(names, ' ');
}

static void tells_values_as_text(void **state)
{
        static const struct {
                const char *name;
                enum config_value which;
                const char *value; /* NULL: not known */
        } texts[] = {
                {"smtpd_banner", CONFIG_EFFECTIVE_RAW, "$mine and $$"},
                {"smtpd_banner", CONFIG_DEFAULT, "$myhostname ESMTP $mail_name"},
                {"smtpd_banner", CONFIG_EFFECTIVE_EXPANDED, "yours and $"},
                {"mine", CONFIG_EFFECTIVE_RAW, "yours"},
                {"mine", CONFIG_DEFAULT, NULL},
                {"nosuch", CONFIG_EFFECTIVE_RAW, NULL},
                {"myhostname", CONFIG_DEFAULT, "host.example.com"},
                {"myhostname", CONFIG_EFFECTIVE_RAW, "host.example.com"},
                {"mydomain", CONFIG_DEFAULT, "example.com"},
                {"smtpd_use_tls", CONFIG_EFFECTIVE_RAW, "no"},
                {"tlsproxy_use_tls", CONFIG_EFFECTIVE_EXPANDED, "no"},
                {"relay_destination_concurrency_limit", CONFIG_EFFECTIVE_RAW,
                 "$default_destination_concurrency_limit"},
                {"relay_destination_concurrency_limit", CONFIG_EFFECTIVE_EXPANDED, "20"},
                {"other_destination_concurrency_limit", CONFIG_EFFECTIVE_RAW, NULL},
                {"smtpd_reject_footer", CONFIG_EFFECTIVE_EXPANDED, "$client"},
        };
        struct findings f;
        struct config *c = fixture_read("smtpd_banner = $mine and $$\nmine = yours\n"
                                        "smtpd_reject_footer = $client\n",
                                        NULL, &f);
        assert_null(f.first);
        struct arena arena;
        arena_init(&arena, 0);
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                struct str value = STR("none");
                bool is_known =
                        config_text(c, str_from(texts[i].name), texts[i].which, &arena, &value);
                if (is_known != (texts[i].value != NULL) ||
                    (is_known && !str_eq(value, str_from(texts[i].value))))
                        fail_msg("%s: %.*s", texts[i].name, STR_ARG(value));
        }
        arena_done(&arena);
        struct buf names;
        buf_init(&names, 1 << 20);
        config_each(c, true, count_name, &names);
        assert_str_equal(buf_str(&names), "mine smtpd_banner smtpd_reject_footer ");
        buf_clear(&names);
        config_each(c, false, count_name, &names);
        assert_true(str_find_str(buf_str(&names), STR(" smtpd_banner ")) > 0);
        assert_true(str_find_str(buf_str(&names), STR(" tlsproxy_use_tls ")) > 0);
        assert_true(str_find_str(buf_str(&names), STR(" mine ")) < 0);
        buf_done(&names);
        fixture_done(&c, &f);
}

static void *borrow(void *argument)
{
        struct config *c = argument;
        for (int i = 0; i < 1000; i++) {
                struct config *mine = config_ref(c);
                config_unref(&mine);
                if (mine)
                        return NULL;
        }
        config_unref(&c);
        return argument;
}

static void lives_as_long_as_it_is_used(void **state)
{
        enum { THREADS = 4 };
        struct findings f;
        struct config *c = fixture_read("mail_name = x\n", NULL, &f);
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, borrow, config_ref(c)), 0);
        for (int i = 0; i < THREADS; i++) {
                void *result;
                pthread_join(threads[i], &result);
                assert_ptr_equal(result, c);
        }
        assert_str_equal(c->params.mail_name, "x");
        fixture_done(&c, &f);
        assert_null(c);
        config_unref(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(types_and_defaults),
                cmocka_unit_test(reads_the_article),
                cmocka_unit_test(reads_the_printed_article),
                cmocka_unit_test(files_that_cannot_be_read),
                cmocka_unit_test(command_line_wins),
                cmocka_unit_test(origin_from_a_file),
                cmocka_unit_test(tells_values_as_text),
                cmocka_unit_test(lives_as_long_as_it_is_used),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
