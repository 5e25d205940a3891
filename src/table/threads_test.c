/*
 * threads_test.c - look-ups from several threads while the files change under them
 *
 * Each version of the files says the same number everywhere, so a look-up that saw a mixture, or
 * freed memory, would show. Built with the thread sanitizer, a missing lock shows too.
 */
#include "table/table_unit.h"

#include <pthread.h>
#include <stdatomic.h>

enum { READERS = 4, VERSIONS = 60, KEYS = 50 };

struct shared {
        struct bench b;
        struct table *hash;
        struct table *pcre;
        struct table *cidr;
        struct table_list *list;
        struct match_list *domains;
        atomic_bool is_over;
        atomic_ulong looked;
        atomic_int wrong;
};

static void put_file(struct shared *s, const char *name, const char *text)
{
        char temporary[100];
        char path[200];
        snprintf(temporary, sizeof(temporary), "%s.tmp", name);
        bench_write(&s->b, temporary, text);
        snprintf(path, sizeof(path), "%s", bench_path(&s->b, temporary));
        assert_int_equal(rename(path, bench_path(&s->b, name)), 0);
}

static void write_version(struct shared *s, int version)
{
        char text[KEYS * 40];
        size_t used = 0;
        for (int i = 0; i < KEYS; i++)
                used += (size_t)snprintf(text + used, sizeof(text) - used, "key%d@d.example %d\n",
                                         i, version);
        put_file(s, "hash", text);
        snprintf(text, sizeof(text), "/^(k)ey/ %d $1\n/(/ broken\n", version);
        if (version % 3)
                text[strlen(text) - strlen("/(/ broken\n")] = '\0';
        put_file(s, "pcre", text);
        snprintf(text, sizeof(text), "if 10.0.0.0/8\n10.0.0.0/9 %d\nendif\n", version);
        put_file(s, "cidr", text);
        snprintf(text, sizeof(text), "d%d.example\ncommon.example\nhash:hash\n", version);
        put_file(s, "domains", text);
}

static void expect(struct shared *s, bool is_right)
{
        if (!is_right)
                atomic_fetch_add(&s->wrong, 1);
}

static bool is_number(struct str value)
{
        int64_t n;
        return str_to_int64(str_cut(&value, ' '), 0, VERSIONS, &n) == 0;
}

static void *read_on(void *context)
{
        struct shared *s = context;
        struct arena arena;
        struct why why;
        arena_init(&arena, 0);
        for (unsigned i = 0; !atomic_load(&s->is_over); i++) {
                char key[40];
                struct str value = STR("");
                struct table_address address = {.domain = STR("d.example"), .delimiters = STR("+")};
                snprintf(key, sizeof(key), "KEY%u@d.example", i % KEYS);
                expect(s, await_table_find(s->hash, str_from(key), &arena, &value, &why) ==
                                          TABLE_FOUND &&
                                  is_number(value));
                expect(s, await_table_find(s->pcre, str_from(key), &arena, &value, &why) ==
                                          TABLE_FOUND &&
                                  is_number(value) && str_ends(value, STR(" K")));
                expect(s, await_table_find(s->cidr, STR("10.1.2.3"), &arena, &value, &why) ==
                                          TABLE_FOUND &&
                                  is_number(value));
                snprintf(key, sizeof(key), "key%u+x", i % KEYS);
                address.local = str_from(key);
                expect(s, await_table_list_find_address(s->list, &address, &arena, &value, NULL,
                                                        &why) == TABLE_FOUND &&
                                  is_number(value));
                expect(s, await_match_list_find(s->domains, STR("common.example"), &arena, NULL,
                                                &why) == TABLE_FOUND);
                expect(s, await_match_list_find(s->domains, STR("none.example"), &arena, NULL,
                                                &why) == TABLE_NOT_FOUND);
                arena_clear(&arena);
                atomic_fetch_add(&s->looked, 1);
        }
        arena_done(&arena);
        return NULL;
}

static void look_ups_go_on_while_files_change(void **state)
{
        static struct shared s;
        bench_init(&s.b);
        write_version(&s, 1);
        s.hash = bench_must_open(&s.b, "hash:hash");
        s.pcre = bench_must_open(&s.b, "pcre:pcre");
        s.cidr = bench_must_open(&s.b, "cidr:cidr");
        s.list = table_list_open(s.b.set, STR("pcre:{{/never/ x}}, hash:hash"), bench_at,
                                 &s.b.findings);
        s.domains = match_list_open(s.b.set, str_from(bench_path(&s.b, "domains")), MATCH_DOMAIN,
                                    true, bench_at, &s.b.findings);
        assert_non_null(s.list);
        assert_non_null(s.domains);

        pthread_t readers[READERS];
        for (int i = 0; i < READERS; i++)
                assert_int_equal(pthread_create(&readers[i], NULL, read_on, &s), 0);
        for (int version = 2; version <= VERSIONS; version++) {
                write_version(&s, version);
                table_set_refresh(s.b.set);
                /* opened while others look: the same set, another table */
                char spec[60];
                snprintf(spec, sizeof(spec), "static:%d", version);
                assert_string_equal(bench_find(&s.b, bench_must_open(&s.b, spec), "x"), spec + 7);
                unsigned long before = atomic_load(&s.looked);
                while (atomic_load(&s.looked) < before + READERS)
                        usleep(200);
        }
        atomic_store(&s.is_over, true);
        for (int i = 0; i < READERS; i++)
                pthread_join(readers[i], NULL);
        assert_int_equal(atomic_load(&s.wrong), 0);
        char last[10];
        snprintf(last, sizeof(last), "%d", VERSIONS);
        assert_string_equal(bench_find(&s.b, s.hash, "key0@d.example"), last);
        bench_done(&s.b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(look_ups_go_on_while_files_change),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
