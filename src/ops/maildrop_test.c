/* maildrop_test.c - what is found in maildrop/, in pieces, and where it goes when it is none of ours */
#include "ops/maildrop.h"

#include "core/core_unit.h"
#include "ops/maildrop_form.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { FILES = 23, PIECE = 5 };

static struct core_unit unit;
static char drop[QUEUE_DIRECTORY_BYTES_MAX];

static void begin(void)
{
        static const char *const directories[] = {"queue", "queue/maildrop", "queue/corrupt"};
        char path[300];
        core_unit_begin(&unit);
        snprintf(path, sizeof(path), "queue_directory = %s/queue\n", unit.dir);
        core_unit_load(&unit, path, NULL);
        for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
                snprintf(path, sizeof(path), "%s/%s", unit.dir, directories[i]);
                assert_int_equal(mkdir(path, 0700), 0);
        }
        maildrop_find(unit.config, drop);
}

static void put(const char *name)
{
        char path[QUEUE_DIRECTORY_BYTES_MAX + 64];
        snprintf(path, sizeof(path), "%s/%s", drop, name);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        close(fd);
}

/* Names that are ids, later ones with larger numbers. */
static void put_many(char names[FILES][QUEUE_ID_BYTES_MAX])
{
        for (size_t i = 0; i < FILES; i++)
                queue_id_format(1800000000000000 + (int64_t)i * 1000, 7, names[i]);
        for (size_t i = 0; i < FILES; i++) /* made in another order */
                put(names[i * 7 % FILES]);
}

static void test_scan_in_pieces(void **state)
{
        char names[FILES][QUEUE_ID_BYTES_MAX];
        char ids[2 * PIECE][QUEUE_ID_BYTES_MAX];
        char after[QUEUE_ID_BYTES_MAX] = "";
        size_t seen = 0, count;
        begin();
        put_many(names);
        put("README");
        put("new.1.2");
        do {
                count = maildrop_scan(drop, after, ids, PIECE);
                assert_true(count <= PIECE);
                for (size_t i = 0; i < count; i++)
                        assert_string_equal(ids[i], names[seen++]);
                if (count)
                        snprintf(after, sizeof(after), "%s", ids[count - 1]);
        } while (count == PIECE);
        assert_int_equal(seen, FILES);
        assert_int_equal(maildrop_scan(drop, after, ids, PIECE), 0);
        core_unit_end(&unit);
}

static void test_delete(void **state)
{
        char names[FILES][QUEUE_ID_BYTES_MAX];
        struct why why;
        begin();
        put_many(names);
        assert_int_equal(maildrop_delete(unit.config, names[FILES - 1], &why), 1);
        assert_int_equal(maildrop_delete(unit.config, names[FILES - 1], &why), 0);
        assert_int_equal(maildrop_delete(unit.config, "../corrupt", &why), 0);
        assert_int_equal(maildrop_delete(unit.config, "ALL", &why), FILES - 1);
        assert_int_equal(maildrop_delete(unit.config, "ALL", &why), 0);
        core_unit_end(&unit);
}

static void test_set_aside(void **state)
{
        char names[FILES][QUEUE_ID_BYTES_MAX];
        char kept[MAILDROP_KEPT_BYTES], expected[MAILDROP_KEPT_BYTES], path[300];
        struct why why;
        begin();
        put_many(names);
        assert_int_equal(maildrop_set_aside(drop, names[0], kept, &why), 0);
        snprintf(expected, sizeof(expected), "corrupt/maildrop-%s", names[0]);
        assert_string_equal(kept, expected);
        snprintf(path, sizeof(path), "%s/queue/%s", unit.dir, kept);
        assert_int_equal(access(path, F_OK), 0);
        /* where it cannot be moved it stays, under a name that is no id */
        snprintf(path, sizeof(path), "%s/queue/corrupt/maildrop-%s", unit.dir, names[1]);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(maildrop_set_aside(drop, names[1], kept, &why), 0);
        snprintf(expected, sizeof(expected), "maildrop/bad.%s", names[1]);
        assert_string_equal(kept, expected);
        snprintf(path, sizeof(path), "%s/queue/%s", unit.dir, kept);
        assert_int_equal(access(path, F_OK), 0);
        assert_int_equal(maildrop_set_aside(drop, names[1], kept, &why), -ENOENT);
        core_unit_end(&unit);
}

static void test_addresses(void **state)
{
        static const struct {
                const char *line, *address;
        } rows[] = {
                {"MAIL FROM:<a@b> SIZE=3", "a@b"},
                {"MAIL FROM:<>", ""},
                {"RCPT TO:<\"a>b\"@c> NOTIFY=NEVER", "\"a>b\"@c"},
                {"RCPT TO:<\"a\\\">b\"@c>", "\"a\\\">b\"@c"},
                {"RCPT TO:<a@b", ""},
                {"RCPT TO:a@b", ""},
                {"RCPT TO:<\"a\\", ""},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                assert_str_equal(maildrop_address(str_from(rows[i].line)), rows[i].address);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scan_in_pieces),
                cmocka_unit_test(test_delete),
                cmocka_unit_test(test_set_aside),
                cmocka_unit_test(test_addresses),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
