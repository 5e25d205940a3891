/* args_test.c - the command line, good and bad */
#include "bin/args.h"

#include "base/buf.h"
#include "base/unit.h"

#include <errno.h>

static const struct args_flag flags[] = {{"--json", 1, "", NULL},
                                         {"-n", 2, "", NULL},
                                         {"--sender", 4, "", "ADDRESS"},
                                         {NULL, 0, NULL, NULL}};

static int parse(struct args *args, const char *line, const struct args_flag *with, struct why *why)
{
        static char text[20000];
        static char *argv[1000];
        int argc = 0;
        snprintf(text, sizeof(text), "%s", line);
        for (char *p = text; *p;) {
                argv[argc++] = p;
                p += strcspn(p, " ");
                while (*p == ' ')
                        *p++ = 0;
        }
        return args_parse(args, argc, argv, with, why);
}

static void test_good(void **state)
{
        static const struct {
                const char *line;
                const char *dir;
                const char *overrides; /* joined by blanks */
                const char *words;
                unsigned flags;
                bool wants_help;
        } cases[] = {
                {"", "/etc/forepost", "", "", 0, false},
                {"serve", "/etc/forepost", "", "serve", 0, false},
                {"serve -c /x", "/x", "", "serve", 0, false},
                {"-c /x serve", "/x", "", "serve", 0, false},
                {"-c/x -oa=b serve -o c=", "/x", "a=b c=", "serve", 0, false},
                {"queue list --json", "/etc/forepost", "", "queue list", 1, false},
                {"queue --json list -n", "/etc/forepost", "", "queue list", 3, false},
                {"queue --help", "/etc/forepost", "", "queue", 0, true},
                {"-h", "/etc/forepost", "", "", 0, true},
                {"map query -- --json -c", "/etc/forepost", "", "map query --json -c", 0, false},
                {"map query hash:/x -", "/etc/forepost", "", "map query hash:/x -", 0, false},
                {"-c /x -c /y", "/y", "", "", 0, false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                static struct args args;
                struct why why;
                assert_int_equal(parse(&args, cases[i].line, flags, &why), 0);
                assert_string_equal(args.dir, cases[i].dir);
                assert_int_equal(args.flags, cases[i].flags);
                assert_int_equal(args.wants_help, cases[i].wants_help);
                struct buf joined;
                buf_init(&joined, 1000);
                for (size_t w = 0; w < args.word_count; w++)
                        buf_printf(&joined, "%s%s", w ? " " : "", args.words[w]);
                assert_str_equal(buf_str(&joined), cases[i].words);
                buf_clear(&joined);
                for (const struct config_override *o = args_overrides(&args); o; o = o->next)
                        buf_printf(&joined, "%s%s", joined.len ? " " : "", o->name_value);
                assert_str_equal(buf_str(&joined), cases[i].overrides);
                buf_done(&joined);
        }
}

static void test_bad(void **state)
{
        static const struct {
                const char *line;
                const char *says;
        } cases[] = {
                {"serve -c", "-c wants a directory"},
                {"serve -o", "-o wants NAME=VALUE"},
                {"serve -o nothing", "not \"nothing\""},
                {"serve -o =x", "not \"=x\""},
                {"serve --jsn", "unknown option \"--jsn\""},
                {"serve -x", "unknown option \"-x\""},
                {"queue list --sender", "--sender wants ADDRESS"},
                {"queue list --senders x", "unknown option \"--senders\""},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                static struct args args;
                struct why why = {""};
                assert_int_equal(parse(&args, cases[i].line, flags, &why), -EINVAL);
                assert_non_null(strstr(why.text, cases[i].says));
        }
}

static const char *terminated(struct buf *b)
{
        assert_int_equal(buf_append_char(b, 0), 0);
        b->len--;
        return b->ptr;
}

static void test_values(void **state)
{
        static struct args args;
        struct why why;
        assert_int_equal(parse(&args, "queue list --sender a@b --json", flags, &why), 0);
        assert_string_equal(args_value(&args, 4), "a@b");
        assert_int_equal(args.flags, 5);
        assert_int_equal(args.word_count, 2);
        assert_int_equal(parse(&args, "queue --sender=-x list --sender=", flags, &why), 0);
        assert_string_equal(args_value(&args, 4), ""); /* the last counts */
        assert_int_equal(args.word_count, 2);
        assert_null(args_value(&args, 2));
        assert_int_equal(parse(&args,
                               "--sender=1 --sender=2 --sender=3 --sender=4 --sender=5 --sender=6 "
                               "--sender=7 --sender=8 --sender=9 --sender=10 --sender=11 "
                               "--sender=12 --sender=13 --sender=14 --sender=15 --sender=16",
                               flags, &why),
                         0);
        assert_int_equal(args.value_count, ARGS_VALUES_MAX);
        assert_int_equal(
                parse(&args,
                      "--sender=1 --sender=2 --sender=3 --sender=4 --sender=5 --sender=6 "
                      "--sender=7 --sender=8 --sender=9 --sender=10 --sender=11 --sender=17 "
                      "--sender=12 --sender=13 --sender=14 --sender=15 --sender=16",
                      flags, &why),
                -EINVAL);
}

static void test_limits(void **state)
{
        static struct args args;
        struct buf line;
        buf_init(&line, 100000);
        struct why why;
        for (int i = 0; i < ARGS_OVERRIDES_MAX; i++)
                buf_printf(&line, "-oa=%d ", i);
        assert_int_equal(parse(&args, terminated(&line), flags, &why), 0);
        assert_int_equal(args.override_count, ARGS_OVERRIDES_MAX);
        buf_printf(&line, "-oa=b ");
        assert_int_equal(parse(&args, terminated(&line), flags, &why), -EINVAL);
        buf_clear(&line);
        for (int i = 0; i <= ARGS_WORDS_MAX; i++)
                buf_printf(&line, "w ");
        assert_int_equal(parse(&args, terminated(&line), flags, &why), -EINVAL);
        buf_done(&line);
}

static void test_first_look(void **state)
{
        static struct args args;
        struct why why;
        assert_int_equal(parse(&args, "-c /x queue --whatever list --version", NULL, &why), 0);
        assert_int_equal(args.word_count, 2);
        assert_string_equal(args.words[1], "list");
        assert_true(args.wants_version);
}

static void test_nearest(void **state)
{
        static const char *const names[] = {"serve", "check", "queue", "map", NULL};
        assert_string_equal(args_nearest("sevre", names), "serve");
        assert_string_equal(args_nearest("QUEUE", names), "queue");
        assert_string_equal(args_nearest("mapp", names), "map");
        assert_string_equal(args_nearest("chek", names), "check");
        assert_null(args_nearest("deliver", names));
        assert_null(args_nearest("", names));
        assert_null(args_nearest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", names));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),    cmocka_unit_test(test_bad),
                cmocka_unit_test(test_limits),  cmocka_unit_test(test_first_look),
                cmocka_unit_test(test_nearest), cmocka_unit_test(test_values),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
