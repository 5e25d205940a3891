/* site_test.c - the article's configuration, made into all that would serve it */
#include "ops/site.h"

#include "core/core_unit.h"

static bool has(const struct findings *findings, enum severity severity, const char *code)
{
        for (const struct finding *f = findings->first; f; f = f->next)
                if (f->severity == severity && strcmp(f->code, code) == 0)
                        return true;
        return false;
}

/* main.cf as the article has it, with its maps where they lie here. */
static struct config *load_article(struct findings *findings)
{
        const char *source = getenv("FOREPOST_SOURCE");
        assert_non_null(source);
        static char dir[500];
        static char lines[5][600];
        static struct config_override o[5];
        static const char *const maps[][2] = {
                {"virtual_alias_maps = hash:", "vamap"},
                {"relay_domains = hash:", "relay_domains"},
                {"relay_recipient_maps = hash:", "relay_recipients"},
                {"transport_maps = hash:", "transport_maps"},
                {"header_checks = regexp:", "headercheck.regex"},
        };
        snprintf(dir, sizeof(dir), "%s/tests/data/article", source);
        for (size_t i = 0; i < 5; i++) {
                snprintf(lines[i], sizeof(lines[i]), "%s%s/%s", maps[i][0], dir, maps[i][1]);
                o[i] = (struct config_override){.name_value = lines[i],
                                                .next = i + 1 < 5 ? &o[i + 1] : NULL};
        }
        struct config *c = config_load(dir, o, findings);
        assert_non_null(c);
        return c;
}

static void print_all(const struct findings *findings)
{
        static char line[4096];
        for (const struct finding *f = findings->first; f; f = f->next) {
                finding_format(f, line, sizeof(line));
                print_message("%s", line);
        }
}

static struct site *make(struct config *c, struct findings *findings)
{
        struct keys keys;
        keys_make(&keys, c, NULL, findings);
        return site_new(c, &keys, findings);
}

static void test_article(void **state)
{
        struct findings findings;
        findings_init(&findings);
        struct config *c = load_article(&findings);
        struct site *s = make(c, &findings);
        if (findings_has_errors(&findings))
                print_all(&findings);
        assert_false(findings_has_errors(&findings));
        /* a dozen true things about it, at the least; the rooms below have their own tests of each */
        assert_true(findings.count[SEVERITY_WARNING] >= 12);
        assert_false(has(&findings, SEVERITY_WARNING, "dns-not-yet"));
        assert_true(has(&findings, SEVERITY_WARNING, "dead-dnsbl"));
        assert_true(has(&findings, SEVERITY_NOTE, "old-restriction-name"));
        assert_true(has(&findings, SEVERITY_WARNING, "no-tls-inbound"));
        assert_non_null(s->routes);
        assert_non_null(s->mailboxes);
        site_refresh(s);
        struct site *second = site_ref(s);
        site_unref(&s);
        site_unref(&second);
        assert_null(second);
        config_unref(&c);
        findings_done(&findings);
}

/* An error anywhere is found, and the site can be thrown away all the same. */
static void test_errors(void **state)
{
        static const struct {
                const char *main_cf;
                const char *code;
        } cases[] = {
                {"relay_domains = hash:/no/such/map\n", "table-missing"},
                {"relay_domains = relay.test\nsmtpd_relay_restrictions =\n"
                 "smtpd_recipient_restrictions = permit\n",
                 "open-relay"},
                {"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = /no/such/key\n",
                 "bad-tls"},
                {"virtual_mailbox_domains = core.test\n", "no-mailbox-base"},
                {"maillog_file = /srv/log\n", "bad-log-file"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct core_unit u;
                core_unit_begin(&u);
                core_unit_load(&u, cases[i].main_cf, NULL);
                struct site *s = make(u.config, &u.findings);
                if (!has(&u.findings, SEVERITY_ERROR, cases[i].code)) {
                        print_all(&u.findings);
                        fail_msg("no error %s", cases[i].code);
                }
                site_unref(&s);
                core_unit_end(&u);
        }
}

/* A key that the configuration names is read from the copy that somebody else made. */
static void test_key_copies(void **state)
{
        struct core_unit u;
        core_unit_begin(&u);
        core_unit_load(&u, "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = /no/such/key\n",
                       NULL);
        core_unit_write(&u, "copied", "not a key");
        char path[100];
        snprintf(path, sizeof(path), "%s/copied", u.dir);
        int fd = keys_copy_file(str_from(path));
        assert_true(fd >= 0);
        assert_true(keys_copy_file(STR("/no/such/key")) < 0);
        struct key_files files = {0};
        struct keys keys;
        key_files_add(&files, "/no/such/key", fd);
        keys_make(&keys, u.config, &files, &u.findings);
        assert_true(has(&u.findings, SEVERITY_ERROR, "bad-tls"));
        /* it was read, or the text would be another; and it names the file, not the copy */
        bool is_named = false;
        for (const struct finding *f = u.findings.first; f; f = f->next) {
                if (strcmp(f->code, "bad-tls") != 0)
                        continue;
                is_named = str_find_str(f->text, STR("/no/such/key")) >= 0;
                assert_true(str_find_str(f->text, STR("No such file")) < 0);
                assert_true(str_find_str(f->text, STR("/proc/")) < 0);
        }
        assert_true(is_named);
        keys_done(&keys);
        key_files_done(&files);
        core_unit_end(&u);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_article),
                cmocka_unit_test(test_errors),
                cmocka_unit_test(test_key_copies),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
