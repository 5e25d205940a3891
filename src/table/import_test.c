/* import_test.c - the article's three scripts, as they were meant */
#include "table/import.h"
#include "table/table_unit.h"

static const char *slurp(const struct bench *b, const char *name)
{
        static char text[4096];
        FILE *f = fopen(bench_path(b, name), "r");
        if (!f)
                return "(none)";
        size_t len = fread(text, 1, sizeof(text) - 1, f);
        text[len] = '\0';
        fclose(f);
        return text;
}

static int run(struct bench *b, struct table_import *import)
{
        static char paths[3][200];
        snprintf(paths[0], sizeof(paths[0]), "%s/domains", b->dir);
        snprintf(paths[1], sizeof(paths[1]), "%s/users", b->dir);
        snprintf(paths[2], sizeof(paths[2]), "%s/target", b->dir);
        import->domains = paths[0];
        import->target = paths[2];
        if (import->users)
                import->users = paths[1];
        return table_import(import, &b->findings);
}

static void domains_come_once(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "domains", "# ours\nA.example\r\n\nb.example\na.example\n");
        struct table_import import = {.value = "OK"};
        assert_int_equal(run(&b, &import), 0);
        assert_string_equal(slurp(&b, "target"), "a.example OK\nb.example OK\n");
        assert_int_equal(import.added, 2);
        assert_int_equal(import.domains_count, 2);
        struct stat before, after;
        assert_int_equal(stat(bench_path(&b, "target"), &before), 0);
        assert_int_equal(run(&b, &import), 0);
        assert_int_equal(import.added, 0);
        assert_int_equal(import.found, 2);
        assert_int_equal(stat(bench_path(&b, "target"), &after), 0);
        assert_int_equal(before.st_ino, after.st_ino); /* not even written */
        bench_done(&b);
}

static void what_stands_there_stays(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "domains", "a.example\nb.example\n");
        bench_write(&b, "target", "# by hand\nB.Example\tOK\n\nother.example OK");
        assert_int_equal(chmod(bench_path(&b, "target"), 0640), 0);
        struct table_import import = {.value = "OK"};
        assert_int_equal(run(&b, &import), 0);
        assert_string_equal(slurp(&b, "target"),
                            "# by hand\nB.Example\tOK\n\nother.example OK\na.example OK\n");
        struct stat st;
        assert_int_equal(stat(bench_path(&b, "target"), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0640);
        bench_done(&b);
}

static void users_are_in_each_domain_or_in_one(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "domains", "a.example\nb.example\n");
        bench_write(&b, "users", "editor\nroot+x\nonly@b.example\neditor@a.example\n");
        struct table_import import = {.value = "OK", .users = "users"};
        assert_int_equal(run(&b, &import), 0);
        assert_string_equal(slurp(&b, "target"), "only@b.example OK\neditor@a.example OK\n"
                                                 "root+x@a.example OK\neditor@b.example OK\n"
                                                 "root+x@b.example OK\n");
        assert_int_equal(import.users_count, 4);
        bench_done(&b);
}

static void another_value_stops_all(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "domains", "a.example\nb.example\n");
        bench_write(&b, "target", "b.example relay:[old]\n");
        struct table_import import = {.value = "relay:[new]"};
        assert_int_equal(run(&b, &import), -EINVAL);
        assert_string_equal(slurp(&b, "target"), "b.example relay:[old]\n");
        assert_int_equal(import.added, 0);
        assert_true(str_find_str(b.findings.first->text, STR("relay:[old]")) >= 0);
        bench_done(&b);
}

static void wrong_lines_are_named(void **state)
{
        static const char *const wrong[] = {"two words",      "-a.example",  "a..example",
                                            ".example",       "a.example.",  "a_b.c/d",
                                            "user@a.example", "a.example OK"};
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                struct bench b;
                bench_init(&b);
                char text[100];
                snprintf(text, sizeof(text), "good.example\n%s\n", wrong[i]);
                bench_write(&b, "domains", text);
                struct table_import import = {.value = "OK"};
                assert_int_equal(run(&b, &import), -EINVAL);
                bench_expect(&b, "import", 2, wrong[i]);
                assert_string_equal(slurp(&b, "target"), "(none)");
                bench_done(&b);
        }
        struct bench b;
        bench_init(&b);
        bench_write(&b, "domains", "a.example\n");
        bench_write(&b, "users", "ok\n.dot\nx@-b\n\"q\"\n");
        struct table_import import = {.value = "OK", .users = "users"};
        assert_int_equal(run(&b, &import), -EINVAL);
        assert_int_equal(bench_count(&b, "import"), 3);
        import.value = "two\nlines";
        assert_int_equal(run(&b, &import), -EINVAL);
        bench_done(&b);
}

static void missing_lists_are_errors(void **state)
{
        struct bench b;
        bench_init(&b);
        struct table_import import = {.value = "OK"};
        assert_int_equal(run(&b, &import), -ENOENT);
        assert_non_null(bench_finding(&b, "import"));
        assert_string_equal(slurp(&b, "target"), "(none)");
        bench_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(domains_come_once),
                cmocka_unit_test(what_stands_there_stays),
                cmocka_unit_test(users_are_in_each_domain_or_in_one),
                cmocka_unit_test(another_value_stops_all),
                cmocka_unit_test(wrong_lines_are_named),
                cmocka_unit_test(missing_lists_are_errors),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
