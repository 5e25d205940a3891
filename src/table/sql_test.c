/* sql_test.c - the settings of tables on servers, and sqlite:, whose server is a file */
#include "config/config.h"
#include "table/table_unit.h"

#ifdef TABLE_HAS_SQLITE
#include <sqlite3.h>

static void make_database(const struct bench *b)
{
        sqlite3 *db;
        assert_int_equal(sqlite3_open(bench_path(b, "db"), &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db,
                                      "create table r(a text, b text, c text);"
                                      "insert into r values('u@d.com','x@y',null),"
                                      "('many@d.com','1','2'),('many@d.com','3',''),"
                                      "('it''s@d.com','quoted',null),('bare','b',null);",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        sqlite3_close(db);
}

/* Opens sqlite:DIR/cf with these settings behind the path. */
static struct table *open_with(struct bench *b, const char *settings)
{
        static int number;
        char text[1000];
        char name[40];
        char spec[300];
        snprintf(name, sizeof(name), "cf%d", number++);
        snprintf(text, sizeof(text), "dbpath = %s/db\n%s", b->dir, settings);
        bench_write(b, name, text);
        snprintf(spec, sizeof(spec), "sqlite:%s/%s", b->dir, name);
        return bench_open(b, spec);
}

struct look {
        const char *settings;
        const char *key;
        const char *value;
};

static void it_says_what_postfix_says(void **state)
{
        static const struct look looks[] = {
                {"query = select b from r where a='%s'\n", "U@D.com", "x@y"},
                {"query = select b from r where a='%s'\n", "it's@d.com", "quoted"},
                {"query = select b from r where a='%s'\n", "x' or '1'='1", "-"},
                {"query = select b from r where a='%s'\n", "none@d.com", "-"},
                {"query = select b, c from r where a='%s'\n", "many@d.com", "1,2,3"},
                {"query = select b, c from r where a='%s'\nexpansion_limit = 2\n", "many@d.com",
                 "!"},
                {"query = select b, c from r where a='%s'\nexpansion_limit = 3\n", "many@d.com",
                 "1,2,3"},
                {"query = select b from r where a='%s'\nresult_format = smtp:[%u]%d\n", "u@d.com",
                 "smtp:[x]y"},
                {"query = select b from r where a='%s'\nresult_format = %d\n", "many@d.com", "-"},
                {"query = select '%u %d %1'\n", "a@b.c", "a b.c c"},
                {"query = select '%d'\n", "a", "-"},
                {"query = select 'x'\ndomain = d.com, e.com\n", "a@D.com", "x"},
                {"query = select 'x'\ndomain = d.com\n", "a@b.com", "-"},
                {"query = select 'x'\ndomain = d.com\n", "@d.com", "-"},
                {"query = select 'x'\ndomain = d.com\n", "d.com", "-"},
                {"query = select 'x'\ndomain = inline:{d.com=y}\n", "a@d.com", "x"},
                {"table = r\nselect_field = b\nwhere_field = a\n", "u@d.com", "x@y"},
                {"table = r\nselect_field = b\nwhere_field = a\n"
                 "additional_conditions = and b='1'\n",
                 "many@d.com", "1"},
                {"query = select nonsense from nowhere\n", "a", "!"},
                {"query = select b from r\n  where a='%s'\n", "bare", "b"},
                {"query = select b from r where a='%s'\n", "\xff@d.com", "-"},
        };
        struct bench b;
        bench_init(&b);
        make_database(&b);
        for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++) {
                struct table *t = open_with(&b, looks[i].settings);
                if (!t)
                        fail_msg("%s: %s", looks[i].settings, b.why.text);
                const char *said = bench_find(&b, t, looks[i].key);
                if (strcmp(said, looks[i].value) != 0)
                        fail_msg("%s %s: %s", looks[i].settings, looks[i].key, said);
        }
        bench_done(&b);
}

static void what_is_wrong_is_told(void **state)
{
        static const char *const wrong[][2] = {
                {"", "query: it is missing"},
                {"query = select '%x'\n", "a percent sign"},
                {"query\n", "no setting"},
                {"query = x\nexpansion_limit = many\n", ":3: expansion_limit: not a number"},
                {"query = x\nresult_format = %\n", "result_format"},
                {"query = x\ndomain = nosuch:x\n", "domain"},
        };
        struct bench b;
        bench_init(&b);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                assert_null(open_with(&b, wrong[i][0]));
                bench_why_has(&b, wrong[i][1]);
        }
        assert_null(bench_open(&b, "sqlite:/does/not/exist"));
        bench_why_has(&b, "does not exist");
        /* the database is not there: that is for later */
        struct table *t = open_with(&b, "query = select 'x'\nquerry = y\n");
        assert_non_null(t);
        bench_expect(&b, "table-setting-unknown", 3, "querry");
        assert_string_equal(bench_find(&b, t, "a"), "!");
        bench_done(&b);
}

static void settings_may_stand_in_main_cf(void **state)
{
        struct bench b;
        bench_init(&b);
        make_database(&b);
        char text[400];
        snprintf(text, sizeof(text),
                 "compatibility_level = 3.6\nrelay_domains = sqlite:doms\nwhere = %s\n"
                 "doms_dbpath = $where/db\ndoms_query = select b from r where a='%%s'\n",
                 b.dir);
        bench_write(&b, "main.cf", text);
        struct config *c = config_load(b.dir, NULL, &b.findings);
        assert_false(findings_has_errors(&b.findings));
        table_set_use_config(b.set, c);
        struct table *t = bench_must_open(&b, "sqlite:doms");
        assert_string_equal(bench_find(&b, t, "u@d.com"), "x@y");
        assert_null(bench_open(&b, "sqlite:other"));
        bench_why_has(&b, "no parameter other_");
        config_unref(&c);
        bench_done(&b);
}
#endif

#ifdef TABLE_HAS_PGSQL
static void exposed_passwords_are_found(void **state)
{
        struct bench b;
        char spec[300];
        bench_init(&b);
        bench_write(&b, "cf",
                    "query = select 1\nhosts = unix:/nowhere\nuser = u\npassword = se cret\n");
        assert_int_equal(chmod(bench_path(&b, "cf"), 0640), 0);
        snprintf(spec, sizeof(spec), "pgsql:%s", bench_path(&b, "cf"));
        struct table *t = bench_must_open(&b, spec);
        assert_null(bench_finding(&b, "table-password-exposed"));
        assert_string_equal(bench_find(&b, t, "x"), "!");
        assert_null(strstr(b.why.text, "se cret"));

        bench_write(&b, "cf2",
                    "query = select 1\npassword = secret\nhosts = postgresql://u:pw@h/d\n");
        assert_int_equal(chmod(bench_path(&b, "cf2"), 0644), 0);
        snprintf(spec, sizeof(spec), "pgsql:%s", bench_path(&b, "cf2"));
        bench_must_open(&b, spec);
        const struct finding *f = bench_finding(&b, "table-password-exposed");
        assert_non_null(f);
        assert_true(str_ends(f->file, STR("cf2")));
        for (f = b.findings.first; f; f = f->next)
                assert_true(str_find_str(f->text, STR("secret")) < 0 &&
                            str_find_str(f->text, STR("pw@")) < 0);

        bench_write(&b, "cf3", "query = select 1\nhosts = postgresql://u:pw@h/d?nonsense=1\n");
        snprintf(spec, sizeof(spec), "pgsql:%s", bench_path(&b, "cf3"));
        assert_null(bench_open(&b, spec));
        bench_why_has(&b, ":2: hosts: a URI is not understood");
        bench_done(&b);
}
#endif

/* Two instances with one table's name each read the one in their own directory. */
static void instances_do_not_meet(void **state)
{
        struct bench one, two;
        bench_init(&one);
        bench_init(&two);
        bench_write(&one, "t", "a one\n");
        bench_write(&two, "t", "a two\n");
        assert_string_equal(bench_find(&one, bench_must_open(&one, "hash:t"), "a"), "one");
        assert_string_equal(bench_find(&two, bench_must_open(&two, "hash:t"), "a"), "two");
        struct bench *const both[] = {&one, &two};
        static const char *const values[] = {"one", "two"};
        for (int i = 0; i < 2; i++) {
                bench_write(
                        both[i], "main.cf",
                        "compatibility_level = 3.6\nrelay_domains = texthash:$config_directory/t\n");
                struct config *c = config_load(both[i]->dir, NULL, &both[i]->findings);
                struct arena arena;
                struct str spec;
                char text[200];
                arena_init(&arena, 0);
                assert_true(config_text(c, STR("relay_domains"), CONFIG_EFFECTIVE_EXPANDED, &arena,
                                        &spec));
                snprintf(text, sizeof(text), "%.*s", STR_ARG(spec));
                assert_string_equal(bench_find(both[i], bench_must_open(both[i], text), "a"),
                                    values[i]);
                arena_done(&arena);
                config_unref(&c);
        }
        bench_done(&one);
        bench_done(&two);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#ifdef TABLE_HAS_SQLITE
                cmocka_unit_test(it_says_what_postfix_says),
                cmocka_unit_test(what_is_wrong_is_told),
                cmocka_unit_test(settings_may_stand_in_main_cf),
#endif
#ifdef TABLE_HAS_PGSQL
                cmocka_unit_test(exposed_passwords_are_found),
#endif
                cmocka_unit_test(instances_do_not_meet),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
