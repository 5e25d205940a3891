/* table_test.c - opening tables of every type, and noticing that their files have changed */
#include "base/log.h"
#include "table/table_private.h"
#include "table/table_unit.h"

static void each_type_answers(void **state)
{
        static const struct {
                const char *spec;
                const char *key;
                const char *value;
                bool is_pattern;
                bool has_any_key;
        } cases[] = {
                {"hash:t", "Key", "value", false, false},
                {"btree:t", "key", "value", false, false},
                {"texthash:t", "key", "value", false, false},
                {"proxy:hash:t", "key", "value", false, false},
                {" hash:t ", "key", "value", false, false},
                {"inline:{key=value}", "KEY", "value", false, false},
                {"inline:{ a=b, { Key = value with, comma } }", "key", "value with, comma", false,
                 false},
                {"inline:{{a=b},{key=c=d}}", "key", "c=d", false, false},
                {"inline:{key=1, key=2}", "key", "2", false, false},
                {"inline:{key=}", "key", "", false, false},
                {"inline:{ a=b }", "key", "-", false, false},
                {"static:value", "anything", "value", false, true},
                {"static:a,b c", "anything", "a,b c", false, true},
                {"static:{ some  text }", "", "some  text", false, true},
                {"static:", "x", "", false, true},
                {"cidr:{{10.0.0.0/8 ten}}", "10.0.0.1", "ten", true, false},
                {"regexp:{{/^k/ r}}", "KEY", "r", true, false},
                {"pcre:{{/^k/i p}}", "key", "p", true, false},
                {"unix:passwd.byname", "no-such-user@here", "-", false, false},
                {"unix:passwd.byname", "", "-", false, false},
                {"unix:group.byname", "ROOT", "root:x:0:", false, false},
                {"proxy:unix:group.byname", "no-such-group", "-", false, false},
        };
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "key value\n");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct table *t = bench_must_open(&b, cases[i].spec);
                assert_string_equal(bench_find(&b, t, cases[i].key), cases[i].value);
                assert_int_equal(table_is_pattern(t), cases[i].is_pattern);
                assert_int_equal(table_has_any_key(t), cases[i].has_any_key);
        }
        assert_int_equal(bench_count(&b, "table-duplicate"), 1);
        bench_expect(&b, "table-duplicate", 12, "\"key\" stands twice");
        bench_done(&b);
}

/* As in /etc/passwd; the shell of root is the machine's own. A key that no name can have is nobody. */
static void users_of_this_machine(void **state)
{
        struct bench b;
        char key[TABLE_KEY_BYTES_MAX + 2];
        bench_init(&b);
        struct table *t = bench_must_open(&b, "unix:passwd.byname");
        assert_memory_equal(bench_find(&b, t, "Root"), "root:x:0:0:", 11);
        memset(key, 'r', sizeof(key) - 1);
        key[sizeof(key) - 1] = '\0';
        assert_string_equal(bench_find(&b, t, key), "-");
        key[TABLE_KEY_BYTES_MAX] = '\0';
        assert_string_equal(bench_find(&b, t, key), "-");
        bench_done(&b);
}

static void the_same_table_is_opened_once(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "key value\n");
        struct table *t = bench_must_open(&b, "hash:t");
        char spec[100];
        snprintf(spec, sizeof(spec), "proxy:hash:%s/t", b.dir);
        assert_ptr_equal(bench_must_open(&b, "hash:t"), t);
        assert_ptr_equal(bench_must_open(&b, spec), t);
        assert_ptr_not_equal(bench_must_open(&b, "btree:t"), t);
        bench_done(&b);
}

static void errors_say_what_and_how(void **state)
{
        static const struct {
                const char *spec;
                const char *why;
        } cases[] = {
                {"hash", "\"hash\" names no table (write type:name"},
                {"", "names no table"},
                {":x", "names no table"},
                {"hsah:x", "did you mean hash:?"},
                {"Hash:x", "did you mean hash:?"},
                {"regex:x", "did you mean regexp:?"},
                {"nonesuch:x", "known are hash"},
                {"sdbm:/x", "tables of type sdbm: are not here, because the format has no owner"},
                {"proxy:nis:x", "tables of type nis: are not here, because"},
                {"socketmap:unix:x", "inet:host:port or unix:path"},
                {"unix:shadow.byname", "write unix:passwd.byname or unix:group.byname"},
                {"hash:", "without the name of a file"},
                {"pcre:", "without the name of a file"},
                {"hash:missing", "/missing does not exist (make the file"},
                {"pcre:missing", "/missing does not exist"},
                {"hash:dir", "/dir is a directory, not a file"},
                {"hash:pipe", "/pipe is a device or a pipe"},
                {"hash:compiled", "only "},
                {"hash:compiled", "/compiled.db, which postmap made from it"},
                {"btree:compiled2", "/compiled2.cdb"},
                {"inline:{}", "needs entries"},
                {"inline:{ }", "needs entries"},
                {"inline:a=b", "needs entries"},
                {"inline:{a}", "\"a\" of an inline table has no '='"},
                {"inline:{=v}", "keys of 1 to"},
                {"inline:{a=b", "needs entries"},
                {"static:{a", "unbalanced braces"},
        };
        struct bench b;
        bench_init(&b);
        assert_int_equal(mkdir(bench_path(&b, "dir"), 0700), 0);
        assert_int_equal(mkfifo(bench_path(&b, "pipe"), 0600), 0);
        bench_write(&b, "compiled.db", "x");
        bench_write(&b, "compiled2.cdb", "x");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_null(bench_open(&b, cases[i].spec));
                bench_why_has(&b, cases[i].why);
        }
        /* a table that could not be opened can be opened later */
        bench_write(&b, "missing", "a b\n");
        assert_string_equal(bench_find(&b, bench_must_open(&b, "hash:missing"), "a"), "b");
        bench_done(&b);
}

static void names_have_limits(void **state)
{
        struct bench b;
        bench_init(&b);
        static char spec[(1 << 20) + 101];
        memset(spec, 'x', sizeof(spec) - 1);
        memcpy(spec, "static:", 7);
        assert_null(bench_open(&b, spec));
        bench_why_has(&b, "too long");
        memcpy(spec, "inline:{", 8);
        memcpy(spec + 2000, "=y}", 4);
        assert_null(bench_open(&b, spec));
        bench_why_has(&b, "keys of 1 to 1000 bytes");
        assert_null(table_open(b.set, STR("hash:a\0b"), bench_at, NULL, &b.why));
        bench_why_has(&b, "NUL");
        bench_done(&b);
}

/* ---- changes ---- */

/* The log of this test goes to a file that can be counted. */
static void log_to(const struct bench *b)
{
        struct why why;
        struct log_options options = {.target = LOG_TO_FILE,
                                      .path = bench_path(b, "log"),
                                      .name = "test",
                                      .hostname = "test"};
        if (log_open(&options, &why))
                fail_msg("%s", why.text);
}

static size_t log_count(const struct bench *b, const char *part)
{
        char *line = NULL;
        size_t room = 0;
        size_t count = 0;
        FILE *f = fopen(bench_path(b, "log"), "r");
        assert_non_null(f);
        while (getline(&line, &room, f) > 0)
                count += strstr(line, part) != NULL;
        free(line);
        fclose(f);
        return count;
}

static void log_to_stderr(void)
{
        struct why why;
        struct log_options options = {.name = "test", .hostname = "test"};
        assert_int_equal(log_open(&options, &why), 0);
}

static void a_change_is_seen(void **state)
{
        static const struct {
                const char *spec;
                const char *before;
                const char *after;
                const char *key;
        } cases[] = {
                {"hash:t", "k old\n", "k new\n", "k"},
                {"texthash:t", "k old\n", "# and more\nk new\n", "k"},
                {"cidr:t", "10.0.0.0/8 old\n", "10.0.0.0/8 new\n", "10.0.0.1"},
                {"pcre:t", "/k/ old\n", "/k/ new\n", "k"},
                {"regexp:t", "/k/ old\n", "/k/ new\n", "k"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct bench b;
                bench_init(&b);
                log_to(&b);
                bench_write(&b, "t", cases[i].before);
                struct table *t = bench_must_open(&b, cases[i].spec);
                table_set_refresh(b.set);
                assert_string_equal(bench_find(&b, t, cases[i].key), "old");
                struct str kept = b.value;
                bench_write(&b, "t", cases[i].after); /* the same size, and an old mtime */
                table_set_refresh(b.set);
                table_set_refresh(b.set);
                assert_string_equal(bench_find(&b, t, cases[i].key), "new");
                assert_str_equal(kept, "old"); /* what was found before stays */
                assert_int_equal(log_count(&b, "read again"), 1);
                log_to_stderr();
                bench_done(&b);
        }
}

static void a_wrong_file_keeps_the_old_contents(void **state)
{
        struct bench b;
        bench_init(&b);
        log_to(&b);
        bench_write(&b, "t", "/k/ old\n");
        struct table *t = bench_must_open(&b, "pcre:t");
        bench_write(&b, "t", "/k/ new\n/(/ x\n");
        for (int i = 0; i < 5; i++)
                table_set_refresh(b.set);
        assert_string_equal(bench_find(&b, t, "k"), "old");
        assert_int_equal(log_count(&b, "warning: pcre:t: the old contents stay: "), 1);
        assert_int_equal(log_count(&b, "t:2: the pattern is wrong"), 1);

        bench_write(&b, "t", "/k/ wrong again\n/)/ x\n");
        table_set_refresh(b.set);
        table_set_refresh(b.set);
        assert_int_equal(log_count(&b, "the old contents stay: "), 2);

        assert_int_equal(unlink(bench_path(&b, "t")), 0);
        for (int i = 0; i < 3; i++)
                table_set_refresh(b.set);
        assert_string_equal(bench_find(&b, t, "k"), "old");
        assert_int_equal(log_count(&b, "the old contents stay: "), 3);
        assert_int_equal(log_count(&b, "No such file"), 1);

        bench_write(&b, "t", "/k/ mended\n");
        table_set_refresh(b.set);
        assert_string_equal(bench_find(&b, t, "k"), "mended");
        log_to_stderr();
        bench_done(&b);
}

static void a_file_that_may_not_be_read_warns_once(void **state)
{
        struct bench b;
        bench_init(&b);
        log_to(&b);
        bench_write(&b, "t", "k old\n");
        struct table *t = bench_must_open(&b, "hash:t");
        assert_int_equal(unlink(bench_path(&b, "t")), 0);
        assert_int_equal(mkdir(bench_path(&b, "t"), 0700), 0);
        bench_set_age(&b, "t", 100);
        for (int i = 0; i < 3; i++)
                table_set_refresh(b.set);
        assert_string_equal(bench_find(&b, t, "k"), "old");
        assert_int_equal(log_count(&b, "is a directory"), 1);
        log_to_stderr();
        bench_done(&b);
}

/* A renamed file is complete as a rule, and is read though it is young. */
static void a_rename_is_seen_at_once(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "k old\n");
        struct table *t = bench_must_open(&b, "hash:t");
        bench_write(&b, "t.new", "k new\n");
        bench_set_age(&b, "t.new", 0);
        char from[200];
        snprintf(from, sizeof(from), "%s", bench_path(&b, "t.new"));
        assert_int_equal(rename(from, bench_path(&b, "t")), 0);
        table_set_refresh(b.set);
        assert_string_equal(bench_find(&b, t, "k"), "new");
        bench_done(&b);
}

/* Half of a list of recipients must not be believed while the other half is being written. */
static void a_file_that_is_being_written_waits(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "a 1\nb 1\n");
        struct table *t = bench_must_open(&b, "hash:t");
        bench_write(&b, "t", "a 2\n");
        bench_set_age(&b, "t", 0);
        table_set_refresh(b.set);
        assert_string_equal(bench_find(&b, t, "b"), "1");
        bench_write(&b, "t", "a 2\nb 2\n"); /* a while later */
        table_set_refresh(b.set);
        assert_string_equal(bench_find(&b, t, "a"), "2");
        assert_string_equal(bench_find(&b, t, "b"), "2");
        bench_done(&b);
}

/* What was read from a young file is read once more when it has settled. */
static void the_same_text_read_again_changes_nothing(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "k old\n");
        bench_set_age(&b, "t", 0);
        struct table *t = bench_must_open(&b, "hash:t");
        assert_string_equal(bench_find(&b, t, "k"), "old");

        struct table_snapshot *before = table_snapshot_hold(t);
        table_set_refresh(b.set);
        struct table_snapshot *young = table_snapshot_hold(t);
        assert_ptr_equal(before, young); /* still young: waits */
        usleep(1100000);
        table_set_refresh(b.set);
        struct table_snapshot *settled = table_snapshot_hold(t);
        assert_ptr_equal(before, settled); /* what a server has said meanwhile is kept */
        bench_write(&b, "t", "k new\n");
        table_set_refresh(b.set);
        struct table_snapshot *last = table_snapshot_hold(t);
        assert_ptr_not_equal(settled, last);
        assert_string_equal(bench_find(&b, t, "k"), "new");
        table_snapshot_release(before);
        table_snapshot_release(young);
        table_snapshot_release(settled);
        table_snapshot_release(last);
        bench_done(&b);
}

static void a_file_that_grows_is_not_stable(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "k v\n");
        char *bytes;
        size_t len;
        struct file_stamp stamp;
        bool is_stable;
        struct table_fault fault;
        assert_int_equal(
                file_read(bench_path(&b, "t"), 100, &bytes, &len, &stamp, &is_stable, &fault), 0);
        assert_true(is_stable);
        assert_int_equal(len, 4);
        assert_string_equal(bytes, "k v\n");
        assert_false(file_stamp_is_young(&stamp));
        free(bytes);
        assert_int_equal(
                file_read(bench_path(&b, "t"), 3, &bytes, &len, &stamp, &is_stable, &fault),
                -EFBIG);
        bench_set_age(&b, "t", 0);
        struct file_stamp young;
        assert_int_equal(file_stamp_get(bench_path(&b, "t"), &young), 0);
        assert_true(file_stamp_is_young(&young));
        assert_false(file_stamp_eq(&stamp, &young));
        bench_set_age(&b, "t", -1000); /* the clock was set back */
        assert_int_equal(file_stamp_get(bench_path(&b, "t"), &young), 0);
        assert_false(file_stamp_is_young(&young));
        bench_done(&b);
}

static void the_last_user_frees_the_set(void **state)
{
        struct bench b;
        bench_init(&b);
        struct table *t = bench_must_open(&b, "static:here");
        struct table_set *other = table_set_ref(b.set);
        assert_ptr_equal(other, b.set);
        table_set_free(&other);
        assert_null(other);
        assert_string_equal(bench_find(&b, t, "x"), "here");
        bench_done(&b);
}

static void freeing_nothing_is_no_harm(void **state)
{
        struct table_set *set = NULL;
        table_set_free(&set);
        assert_null(set);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_type_answers),
                cmocka_unit_test(users_of_this_machine),
                cmocka_unit_test(the_same_table_is_opened_once),
                cmocka_unit_test(errors_say_what_and_how),
                cmocka_unit_test(names_have_limits),
                cmocka_unit_test(a_change_is_seen),
                cmocka_unit_test(a_wrong_file_keeps_the_old_contents),
                cmocka_unit_test(a_file_that_may_not_be_read_warns_once),
                cmocka_unit_test(a_rename_is_seen_at_once),
                cmocka_unit_test(a_file_that_is_being_written_waits),
                cmocka_unit_test(the_same_text_read_again_changes_nothing),
                cmocka_unit_test(a_file_that_grows_is_not_stable),
                cmocka_unit_test(the_last_user_frees_the_set),
                cmocka_unit_test(freeing_nothing_is_no_harm),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
