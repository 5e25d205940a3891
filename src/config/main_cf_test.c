/* main_cf_test.c - lines, continuations, settings, and their limits */
#include "config/fixture.h"

static struct str raw(const struct config *c, const char *name)
{
        static struct arena arena;
        struct str value;
        arena_done(&arena);
        if (!config_text(c, str_from(name), CONFIG_EFFECTIVE_RAW, &arena, &value))
                fail_msg("%s is not known", name);
        static char copy[4096];
        snprintf(copy, sizeof(copy), "%.*s", STR_ARG(value));
        arena_done(&arena);
        return str_from(copy);
}

static void joins_lines(void **state)
{
        static const struct {
                const char *text, *value;
        } cases[] = {
                {"mail_name = a", "a"},
                {"mail_name=a\n", "a"},
                {"mail_name\t=\ta \t\n", "a"},
                {"mail_name =\n", ""},
                {"mail_name = a\n b\n", "a b"},
                {"mail_name = a  \n\tb\n", "a\tb"},
                {"mail_name = a\n  \n# x\n\t#y\n b\n\n c\n", "a b c"},
                {"mail_name =\n a\n", "a"},
                {"# c\n\n  # d\nmail_name = a # b\n", "a # b"},
                {"mail_name = a = b\n", "a = b"},
                {"mail_name = a\r\n b\r\n\r\n# c\r\n c\r\n", "a b c"},
                {"mail_name = a\\\n b\n", "a\\ b"},
                {"mail_name\n = a\n", "a"},
                {"mail_name = a", "a"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct findings f;
                struct config *c = fixture_read(cases[i].text, NULL, &f);
                assert_null(f.first);
                assert_str_equal(raw(c, "mail_name"), cases[i].value);
                fixture_done(&c, &f);
        }
}

static void tells_mistakes(void **state)
{
        static const struct {
                const char *text, *error;
        } cases[] = {
                {"mail_name = a\nx y\n z\n",
                 "dir/main.cf:2: error: missing '=' after the name \"x\" (begin the line with a "
                 "blank: it continues the line before) [syntax]"},
                {"mail_name\n", "dir/main.cf:1: error: missing '=' after the name \"mail_name\" "
                                "(begin the line with a blank: it continues the line before) "
                                "[syntax]"},
                {"mail name = a\n", "dir/main.cf:1: error: missing '=' after the name \"mail\" "
                                    "(begin the line with a blank: it continues the line before) "
                                    "[syntax]"},
                {"\n= a\n", "dir/main.cf:2: error: missing name before '=' (write: name = value) "
                            "[syntax]"},
                {"# c\n\n  mail_name = a\n b\n",
                 "dir/main.cf:3: error: this line begins with a blank, but there is nothing before "
                 "it to continue (remove the blanks in front of it) [stray-continuation]"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct findings f;
                struct config *c = fixture_read(cases[i].text, NULL, &f);
                assert_true(fixture_has(&f, cases[i].error));
                assert_int_equal(f.count[SEVERITY_ERROR], 1);
                fixture_done(&c, &f);
        }
}

static void last_one_wins(void **state)
{
        struct findings f;
        struct config *c =
                fixture_read("mail_name = a\nmyorigin = x.example\nmail_name = b\n", NULL, &f);
        assert_true(fixture_has(&f, "dir/main.cf:3: warning: mail_name is set here and in line 1; "
                                    "this one, the last, counts (remove one of the two) "
                                    "[set-twice]"));
        assert_str_equal(c->params.mail_name, "b");
        assert_int_equal(config_place(c, "mail_name").line, 3);
        fixture_done(&c, &f);
}

static void no_nul(void **state)
{
        static const char text[] = "mail_name = a\nmail\0_name = b\n";
        struct findings f;
        struct config_source source = {.dir = STR("dir"),
                                       .main_text = str_make(text, sizeof(text) - 1),
                                       .has_fixed_machine = true};
        findings_init(&f);
        struct config *c = config_read(&source, &f);
        assert_true(fixture_has(&f, "dir/main.cf:2: error: there is a NUL byte in this line (edit "
                                    "it as plain text) [nul-byte]"));
        fixture_done(&c, &f);
}

/* A logical line up to the limit is taken; one more byte is an error, and the next line is read. */
static void long_lines(void **state)
{
        static char text[LINE_BYTES_MAX + 65536];
        static const char head[] = "mail_name = ", tail[] = "\nsmtpd_banner = after\n";
        for (size_t over = 0; over < 2; over++) {
                memset(text, 'x', sizeof(text));
                memcpy(text, head, strlen(head));
                for (size_t i = 1000; i < LINE_BYTES_MAX; i += 1000)
                        text[i] = ' ';
                memcpy(text + LINE_BYTES_MAX + over, tail, sizeof(tail));
                struct findings f;
                struct config *c = fixture_read(text, NULL, &f);
                assert_int_equal(f.count[SEVERITY_ERROR], over);
                assert_int_equal(fixture_find(&f, "line-too-long") != NULL, over);
                assert_str_equal(c->params.smtpd_banner, "after");
                assert_int_equal(config_is_set(c, "mail_name"), !over);
                fixture_done(&c, &f);
        }
        /* the same in many continuation lines */
        for (size_t i = 0; i < sizeof(text) - 1; i++)
                text[i] = i % 64 == 0 ? '\n' : i % 64 == 1 ? ' ' : 'y';
        memcpy(text, head, strlen(head));
        text[sizeof(text) - 1] = 0;
        struct findings f;
        struct config *c = fixture_read(text, NULL, &f);
        assert_non_null(fixture_find(&f, "line-too-long"));
        fixture_done(&c, &f);
}

/* A file of mistakes: told without end it would take an hour. */
static void many_mistakes(void **state)
{
        enum { LINES = 30000 };
        static char text[LINES * 32];
        size_t at = 0;
        for (int i = 0; i < LINES; i++)
                at += (size_t)snprintf(text + at, sizeof(text) - at, "smtpd_banne%d = x\n", i);
        struct findings f;
        struct config *c = fixture_read(text, NULL, &f);
        assert_int_equal(f.count[SEVERITY_ERROR], LINES);
        fixture_done(&c, &f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(joins_lines),   cmocka_unit_test(tells_mistakes),
                cmocka_unit_test(last_one_wins), cmocka_unit_test(no_nul),
                cmocka_unit_test(long_lines),    cmocka_unit_test(many_mistakes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
