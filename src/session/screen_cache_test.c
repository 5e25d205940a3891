/* screen_cache_test.c - passes are remembered until they lapse, and a while longer as old ones */
#include "session/screen_cache.h"

#include "base/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const unsigned char one[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};

static void passes_are_found_and_never_shortened(void **state)
{
        struct screen_cache *c = screen_cache_new(100);
        struct screen_passes p = {{0}};
        assert_false(screen_cache_find(c, one, &p));
        p.until_s[SCREEN_PREGREET] = 1000;
        screen_cache_put(c, one, &p, 10, 100);
        p = (struct screen_passes){{0}};
        p.until_s[SCREEN_DNSBL] = 500;
        p.until_s[SCREEN_PREGREET] = 900;
        screen_cache_put(c, one, &p, 20, 100);
        assert_true(screen_cache_find(c, one, &p));
        assert_int_equal(p.until_s[SCREEN_PREGREET], 1000);
        assert_int_equal(p.until_s[SCREEN_DNSBL], 500);
        assert_int_equal(p.until_s[SCREEN_PIPELINING], 0);
        assert_int_equal(screen_cache_count(c), 1);
        screen_cache_free(&c);
        assert_null(c);
        screen_cache_free(&c);
}

static void the_cache_has_a_ceiling_and_forgets(void **state)
{
        struct screen_cache *c = screen_cache_new(100);
        struct screen_passes p = {{1000}};
        unsigned char a[16] = {0};
        for (int i = 0; i < 300; i++) {
                memcpy(a, &i, sizeof(i));
                screen_cache_put(c, a, &p, 10, 100);
        }
        assert_int_equal(screen_cache_count(c), 100);
        /* lapsed at 1000, forgotten at 1100 */
        for (int i = 300; i < 400; i++) {
                memcpy(a, &i, sizeof(i));
                screen_cache_put(c, a, &p, 1099, 100);
        }
        assert_false(screen_cache_find(c, a, &p));
        p = (struct screen_passes){{3000}};
        for (int i = 400; i < 500; i++) {
                memcpy(a, &i, sizeof(i));
                screen_cache_put(c, a, &p, 1100, 100);
        }
        assert_true(screen_cache_find(c, a, &p));
        assert_int_equal(screen_cache_count(c), 100);
        screen_cache_free(&c);
}

/* ---- kept over a restart ---- */

static char directory[] = "/tmp/forepost-screen-XXXXXX";

static const char *file_path(void)
{
        static char path[100];
        snprintf(path, sizeof(path), "%s/known", directory);
        return path;
}

static void passes_come_back(void **state)
{
        enum { CLIENTS = 10000 }; /* more than a slice */
        struct screen_cache *c = screen_cache_new(CLIENTS);
        struct screen_passes p = {{1000, 900}};
        unsigned char a[16] = {0};
        struct why why;
        assert_non_null(mkdtemp(directory));
        assert_int_equal(screen_cache_load(c, file_path(), 10, &why), -ENOENT);
        for (int i = 0; i < CLIENTS; i++) {
                memcpy(a, &i, sizeof(i));
                p.until_s[0] = i % 2 ? 1000 : 100;
                p.until_s[1] = p.until_s[0] - 10;
                screen_cache_put(c, a, &p, 10, 50);
        }
        assert_int_equal(screen_cache_save(c, file_path(), 10, &why), 0);
        screen_cache_free(&c);
        /* half of them is to be forgotten by now; who is known stays as he is */
        c = screen_cache_new(CLIENTS);
        int one_more = 1;
        memcpy(a, &one_more, sizeof(one_more));
        p = (struct screen_passes){{2000}};
        screen_cache_put(c, a, &p, 10, 50);
        assert_int_equal(screen_cache_load(c, file_path(), 500, &why), 0);
        assert_int_equal(screen_cache_count(c), CLIENTS / 2);
        assert_true(screen_cache_find(c, a, &p));
        assert_int_equal(p.until_s[0], 2000);
        one_more = 3;
        memcpy(a, &one_more, sizeof(one_more));
        assert_true(screen_cache_find(c, a, &p));
        assert_int_equal(p.until_s[0], 1000);
        assert_int_equal(p.until_s[1], 990);
        /* over its ceiling nobody is added */
        struct screen_cache *small = screen_cache_new(100);
        assert_int_equal(screen_cache_load(small, file_path(), 500, &why), 0);
        assert_int_equal(screen_cache_count(small), 100);
        screen_cache_free(&small);
        screen_cache_free(&c);
}

/* Whatever is wrong with it, nothing of it is taken, and it can be written again. */
static void a_file_that_is_not_whole_is_not_believed(void **state)
{
        struct screen_cache *c = screen_cache_new(100);
        struct screen_passes p = {{1000}};
        struct why why;
        char bytes[1000] = {0};
        screen_cache_put(c, one, &p, 10, 50);
        assert_int_equal(screen_cache_save(c, file_path(), 10, &why), 0);
        FILE *f = fopen(file_path(), "r");
        assert_non_null(f);
        size_t len = fread(bytes, 1, sizeof(bytes), f);
        fclose(f);
        assert_true(len > 32 && len < sizeof(bytes));
        struct screen_cache *other = screen_cache_new(100);
        for (size_t i = 0; i <= len + 1;
             i++) { /* one byte changed, cut short by one, one too many */
                char wrong[sizeof(bytes) + 1];
                size_t wrong_len = i < len ? len : i == len ? len - 1 : len + 1;
                memcpy(wrong, bytes, sizeof(bytes));
                if (i < len)
                        wrong[i] ^= 0x10;
                f = fopen(file_path(), "w");
                assert_int_equal(fwrite(wrong, 1, wrong_len, f), wrong_len);
                fclose(f);
                assert_int_equal(screen_cache_load(other, file_path(), 10, &why), -EBADMSG);
                assert_int_equal(screen_cache_count(other), 0);
        }
        /* more clients than there may be: the count is looked at before anything is read */
        const uint64_t many = SCREEN_CLIENTS_MAX + 1;
        memcpy(bytes + 24, &many, sizeof(many));
        f = fopen(file_path(), "w");
        fwrite(bytes, 1, len, f);
        fclose(f);
        assert_int_equal(truncate(file_path(), 32 + (off_t)many * 40 + 4), 0);
        assert_int_equal(screen_cache_load(other, file_path(), 10, &why), -EBADMSG);
        assert_int_equal(screen_cache_save(c, file_path(), 10, &why), 0);
        assert_int_equal(screen_cache_load(other, file_path(), 10, &why), 0);
        assert_int_equal(screen_cache_count(other), 1);
        assert_true(screen_cache_save(c, "/nonexistent/known", 10, &why) < 0);
        assert_true(screen_cache_load(c, directory, 10, &why) < 0);
        screen_cache_free(&other);
        screen_cache_free(&c);
        assert_int_equal(unlink(file_path()), 0);
        assert_int_equal(rmdir(directory), 0); /* nothing else was left in it */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(passes_are_found_and_never_shortened),
                cmocka_unit_test(passes_come_back),
                cmocka_unit_test(a_file_that_is_not_whole_is_not_believed),
                cmocka_unit_test(the_cache_has_a_ceiling_and_forgets),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
