/* mapped_test.c - cdb: and lmdb:, building them, and files that Debian's postmap made */
#include "base/buf.h"
#include "base/mapped.h"
#include "table/build.h"
#include "table/table_unit.h"

#include <pthread.h>
#include <stdatomic.h>

#ifdef TABLE_HAS_CDB
#define HAS_CDB 1
#else
#define HAS_CDB 0
#endif
#ifdef TABLE_HAS_LMDB
#define HAS_LMDB 1
#else
#define HAS_LMDB 0
#endif

static const char *const types[] = {
#ifdef TABLE_HAS_CDB
        "cdb",
#endif
#ifdef TABLE_HAS_LMDB
        "lmdb",
#endif
        NULL,
};

static size_t must_build(struct bench *b, const char *spec)
{
        size_t entries;
        if (table_build(str_from(spec), b->dir, TABLE_TEXT_MAP, &b->findings, &entries, &b->why))
                fail_msg("%s: %s", spec, b->why.text);
        return entries;
}

static const char *spec_of(const char *type, const char *name)
{
        static char spec[200];
        snprintf(spec, sizeof(spec), "%s:%s", type, name);
        return spec;
}

static bool count_entry(void *context, struct str key, struct str value)
{
        size_t *count = context;
        ++*count;
        return true;
}

static void what_is_built_is_found(void **state)
{
        for (size_t i = 0; types[i]; i++) {
                struct bench b;
                bench_init(&b);
                bench_write(&b, "t",
                            "# a comment\nUser@Example.com  two words\n  and more\n"
                            "a OK\nb@c.d relay:[x]\na second\nnovalue\n");
                assert_int_equal(must_build(&b, spec_of(types[i], "t")), 3);
                bench_expect(&b, "table-duplicate", 6, "\"a\"");
                bench_expect(&b, "table-no-value", 7, "novalue");
                struct table *t = bench_must_open(&b, spec_of(types[i], "t"));
                assert_string_equal(bench_find(&b, t, "USER@example.COM"), "two words  and more");
                assert_string_equal(bench_find(&b, t, "a"), "OK");
                assert_string_equal(bench_find(&b, t, "b@c.d"), "relay:[x]");
                assert_string_equal(bench_find(&b, t, "b@c."), "-");
                assert_string_equal(bench_find(&b, t, ""), "-");
                char large[1300];
                memset(large, 'k', sizeof(large) - 1);
                for (size_t len = 1; len < sizeof(large); len += 100) {
                        large[len] = '\0';
                        assert_string_equal(bench_find(&b, t, large), "-");
                        large[len] = 'k';
                }
                size_t count = 0;
                assert_true(table_each(t, count_entry, &count));
                assert_int_equal(count, 3);
                bench_done(&b);
        }
}

static void a_file_made_anew_is_taken(void **state)
{
        for (size_t i = 0; types[i]; i++) {
                struct bench b;
                bench_init(&b);
                bench_write(&b, "t", "a one\n");
                must_build(&b, spec_of(types[i], "t"));
                struct table *t = bench_must_open(&b, spec_of(types[i], "t"));
                assert_string_equal(bench_find(&b, t, "a"), "one");
                bench_write(&b, "t", "a two\nb three\n");
                must_build(&b, spec_of(types[i], "t"));
                table_set_refresh(b.set);
                assert_string_equal(bench_find(&b, t, "a"), "two");
                assert_string_equal(bench_find(&b, t, "b"), "three");

                /* rubbish in its place: the old contents stay */
                char name[20];
                snprintf(name, sizeof(name), "t.%s", types[i]);
                char temporary[200];
                bench_write(&b, "rubbish", "this is no database\n");
                snprintf(temporary, sizeof(temporary), "%s", bench_path(&b, "rubbish"));
                assert_int_equal(rename(temporary, bench_path(&b, name)), 0);
                table_set_refresh(b.set);
                assert_string_equal(bench_find(&b, t, "b"), "three");
                bench_done(&b);
        }
}

static void what_is_wrong_is_told(void **state)
{
        for (size_t i = 0; types[i]; i++) {
                struct bench b;
                bench_init(&b);
                assert_null(bench_open(&b, spec_of(types[i], "t")));
                bench_why_has(&b, "does not exist");
                bench_write(&b, "t", "a one\n");
                assert_null(bench_open(&b, spec_of(types[i], "t")));
                bench_why_has(&b, "forepost map build");
                char name[20];
                snprintf(name, sizeof(name), "t.%s", types[i]);
                bench_write(&b, name, "this is no database, and not long enough to be one\n");
                assert_null(bench_open(&b, spec_of(types[i], "t")));
                bench_why_has(&b, "no whole");

                must_build(&b, spec_of(types[i], "t"));
                bench_set_age(&b, name, 500);
                bench_must_open(&b, spec_of(types[i], "t"));
                assert_non_null(bench_finding(&b, "table-older-than-text"));

                size_t entries;
                assert_int_equal(table_build(str_from(spec_of(types[i], "none")), b.dir,
                                             TABLE_TEXT_MAP, NULL, &entries, &b.why),
                                 -ENOENT);
                bench_why_has(&b, "none does not exist");
                bench_done(&b);
        }
}

static void permissions_are_those_of_the_text(void **state)
{
        for (size_t i = 0; types[i]; i++) {
                struct bench b;
                bench_init(&b);
                bench_write(&b, "t", "a one\n");
                assert_int_equal(chmod(bench_path(&b, "t"), 0640), 0);
                must_build(&b, spec_of(types[i], "t"));
                char name[20];
                struct stat st;
                snprintf(name, sizeof(name), "t.%s", types[i]);
                assert_int_equal(stat(bench_path(&b, name), &st), 0);
                assert_int_equal(st.st_mode & 0777, 0640);
                bench_done(&b);
        }
}

static void aliases_lose_their_colons(void **state)
{
        struct bench b;
        bench_init(&b);
        bench_write(&b, "t", "Root: admin,\n  other\n\"two words\": x\nnothing\nempty:\n");
        size_t entries;
        for (size_t i = 0; types[i]; i++) {
                const char *spec = spec_of(types[i], "t");
                assert_int_equal(table_build(str_from(spec), b.dir, TABLE_TEXT_ALIASES, &b.findings,
                                             &entries, &b.why),
                                 0);
                assert_int_equal(entries, 2);
                struct table *t = bench_must_open(&b, spec);
                assert_string_equal(bench_find(&b, t, "root"), "admin,  other");
                assert_string_equal(bench_find(&b, t, "two words"), "x");
        }
        if (types[0])
                bench_expect(&b, "table-no-value", 4, "no alias");
        bench_done(&b);
}

static void only_files_are_built(void **state)
{
        struct bench b;
        size_t entries;
        bench_init(&b);
        bench_write(&b, "t", "a one\nb\n");
        assert_int_equal(must_build(&b, "hash:t"), 1);
        bench_expect(&b, "table-no-value", 2, "\"b\"");
        assert_int_not_equal(access(bench_path(&b, "t.db"), F_OK), 0);
        assert_int_equal(table_build(STR("pcre:t"), b.dir, TABLE_TEXT_MAP, NULL, &entries, &b.why),
                         -ENOTSUP);
        bench_why_has(&b, "nothing to build");
        assert_true(table_build_has_type(STR("hash")));
        assert_int_equal(table_build_has_type(STR("cdb")), HAS_CDB);
        assert_int_equal(table_build_has_type(STR("lmdb")), HAS_LMDB);
        assert_false(table_build_has_type(STR("pcre")));
        bench_done(&b);
}

/* As `printf 'a@b.c OK\nUser@X.y two words\n' >t; postmap cdb:t lmdb:t` of Debian 12 made them. */
static void files_of_postmap_are_read(void **state)
{
        const char *source = getenv("FOREPOST_SOURCE");
        char dir[500];
        assert_non_null(source);
        snprintf(dir, sizeof(dir), "%s/tests/data/tables", source);
        for (size_t i = 0; types[i]; i++) {
                struct bench b;
                bench_init(&b);
                char spec[600];
                snprintf(spec, sizeof(spec), "%s:%s/debian", types[i], dir);
                struct table *t = bench_must_open(&b, spec);
                assert_string_equal(bench_find(&b, t, "A@b.c"), "OK");
                assert_string_equal(bench_find(&b, t, "user@x.y"), "two words");
                assert_string_equal(bench_find(&b, t, "user@x.z"), "-");
                size_t count = 0;
                assert_true(table_each(t, count_entry, &count));
                assert_int_equal(count, 2);
                bench_done(&b);
        }
}

/* ---- files that are written to in place ---- */

enum { ENTRIES = 20000, LOOKERS = 3 };

/* Builds t.TYPE with "keyN" -> "valueN"; its path in `out`. */
static void build_many(struct bench *b, const char *type, char out[200])
{
        mapped_take_signal(); /* cmocka has taken it for this test */
        struct buf text;
        buf_init(&text, 16 << 20);
        for (int i = 0; i < ENTRIES; i++)
                buf_printf(&text, "key%d value%d\n", i, i);
        bench_write_bytes(b, "t", text.ptr, text.len);
        buf_done(&text);
        assert_int_equal(must_build(b, spec_of(type, "t")), ENTRIES);
        char name[20];
        snprintf(name, sizeof(name), "t.%s", type);
        bench_set_age(b, name, 50); /* whole for a while already */
        snprintf(out, 200, "%s", bench_path(b, name));
}

static off_t size_of(const char *path)
{
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        return st.st_size;
}

static int errors_of_all(struct bench *b, struct table *t)
{
        int errors = 0;
        for (int i = 0; i < ENTRIES; i += 7) {
                char key[20], value[20];
                snprintf(key, sizeof(key), "key%d", i);
                snprintf(value, sizeof(value), "value%d", i);
                const char *found = bench_find(b, t, key);
                if (strcmp(found, "!") == 0)
                        errors++;
                else
                        assert_string_equal(found, value);
                arena_clear(&b->arena);
        }
        return errors;
}

/* Wherever it is cut: who asks is to come later, and nobody hears that a key is not there. */
static void a_file_that_is_cut_short_is_an_error(void **state)
{
        for (size_t i = 0; types[i]; i++) {
                for (int cut = 0; cut < 6; cut++) {
                        struct bench b;
                        char path[200];
                        bench_init(&b);
                        build_many(&b, types[i], path);
                        off_t whole = size_of(path);
                        const off_t at[] = {0, 100, 5000, whole / 2, whole - 4096, whole - 1};
                        struct table *t = bench_must_open(&b, spec_of(types[i], "t"));
                        assert_int_equal(errors_of_all(&b, t), 0);
                        assert_int_equal(truncate(path, at[cut]), 0);
                        assert_string_equal(bench_find(&b, t, "key1"), "!");
                        bench_why_has(&b, "cut short while it was in use");
                        assert_string_equal(bench_find(&b, t, "nokey"), "!");
                        assert_true(errors_of_all(&b, t) > ENTRIES / 8);
                        size_t count = 0;
                        table_each(t, count_entry, &count);
                        assert_int_equal(count, 0);
                        /* as long as it was, but what is in there is no more known */
                        assert_int_equal(truncate(path, whole), 0);
                        assert_string_equal(bench_find(&b, t, "key1"), "!");
                        build_many(&b, types[i], path);
                        table_set_refresh(b.set);
                        assert_int_equal(errors_of_all(&b, t), 0);
                        bench_done(&b);
                }
        }
}

struct cutting {
        const char *path;
        size_t count;
};

static bool cut_and_count(void *context, struct str key, struct str value)
{
        struct cutting *c = context;
        assert_true(str_starts(key, STR("key")) && str_starts(value, STR("value")));
        if (++c->count == 100)
                assert_int_equal(truncate(c->path, 4096), 0);
        return true;
}

static void a_list_ends_where_the_file_does(void **state)
{
        for (size_t i = 0; types[i]; i++) {
                struct bench b;
                char path[200];
                bench_init(&b);
                build_many(&b, types[i], path);
                struct cutting cutting = {.path = path};
                struct table *t = bench_must_open(&b, spec_of(types[i], "t"));
                assert_true(table_each(t, cut_and_count, &cutting));
                assert_int_equal(cutting.count, 100);
                bench_done(&b);
        }
}

struct lookers {
        struct table *table;
        atomic_bool is_over;
        atomic_int looks, errors, wrong;
};

static void *look_all_the_time(void *arg)
{
        struct lookers *l = arg;
        struct arena arena;
        arena_init(&arena, 0);
        for (unsigned n = 1; !atomic_load(&l->is_over); n = n * 1664525 + 1013904223) {
                char key[20], value[20];
                struct str found;
                struct why why;
                snprintf(key, sizeof(key), "key%u", n % ENTRIES);
                snprintf(value, sizeof(value), "value%u", n % ENTRIES);
                enum table_result rc =
                        await_table_find(l->table, str_from(key), &arena, &found, &why);
                atomic_fetch_add(&l->looks, 1);
                if (rc == TABLE_ERROR)
                        atomic_fetch_add(&l->errors, 1);
                else if (rc == TABLE_NOT_FOUND || !str_eq(found, str_from(value)))
                        atomic_fetch_add(&l->wrong, 1);
                arena_clear(&arena);
        }
        arena_done(&arena);
        return NULL;
}

/* Under load: all answers are right, or are none. */
static void files_are_cut_while_many_look(void **state)
{
        for (size_t i = 0; types[i]; i++) {
                struct bench b;
                char path[200];
                pthread_t threads[LOOKERS];
                bench_init(&b);
                build_many(&b, types[i], path);
                struct lookers l = {.table = bench_must_open(&b, spec_of(types[i], "t"))};
                for (int n = 0; n < LOOKERS; n++)
                        assert_int_equal(pthread_create(&threads[n], NULL, look_all_the_time, &l),
                                         0);
                for (int round = 0; round < 20; round++) {
                        int before = atomic_load(&l.looks);
                        while (atomic_load(&l.looks) < before + 100)
                                sched_yield();
                        int errors = atomic_load(&l.errors);
                        assert_int_equal(truncate(path, size_of(path) * round / 20), 0);
                        while (atomic_load(&l.errors) < errors + 100)
                                sched_yield();
                        build_many(&b, types[i], path);
                        table_set_refresh(b.set);
                }
                atomic_store(&l.is_over, true);
                for (int n = 0; n < LOOKERS; n++)
                        assert_int_equal(pthread_join(threads[n], NULL), 0);
                assert_int_equal(atomic_load(&l.wrong), 0);
                assert_in_range(atomic_load(&l.errors), 2000, atomic_load(&l.looks) - 1000);
                assert_int_equal(errors_of_all(&b, l.table), 0);
                bench_done(&b);
        }
}

/* A writer that is not done: a cdb is never believed while its time of change is another. */
static void a_file_that_is_written_over_is_an_error(void **state)
{
        for (size_t i = 0; types[i]; i++) {
                if (strcmp(types[i], "cdb") != 0)
                        continue; /* LMDB writes in place, and is meant to */
                struct bench b;
                char path[200];
                bench_init(&b);
                build_many(&b, types[i], path);
                struct table *t = bench_must_open(&b, spec_of(types[i], "t"));
                assert_string_equal(bench_find(&b, t, "key1"), "value1");
                int fd = open(path, O_WRONLY);
                assert_true(fd >= 0);
                static const char zeros[2048];
                assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
                assert_int_equal(close(fd), 0);
                assert_string_equal(bench_find(&b, t, "key1"), "!");
                bench_why_has(&b, "was changed");
                bench_done(&b);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_built_is_found),
                cmocka_unit_test(a_file_made_anew_is_taken),
                cmocka_unit_test(what_is_wrong_is_told),
                cmocka_unit_test(permissions_are_those_of_the_text),
                cmocka_unit_test(aliases_lose_their_colons),
                cmocka_unit_test(only_files_are_built),
                cmocka_unit_test(files_of_postmap_are_read),
                cmocka_unit_test(a_file_that_is_cut_short_is_an_error),
                cmocka_unit_test(a_list_ends_where_the_file_does),
                cmocka_unit_test(files_are_cut_while_many_look),
                cmocka_unit_test(a_file_that_is_written_over_is_an_error),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
