/*
 * sample_test.c - spools that older versions of the format have left (samples/) are read; newer ones are refused,
 * and not touched
 */
#include "base/unit.h"
#include "loop/pool.h"
#include "spool/bytes.h"
#include "spool/move.h"
#include "spool/spool_kit.h"
#include "spool/spool_private.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct kit kit;
static struct buf scratch;
static struct buf seen;

static int setup(void **state)
{
        buf_init(&scratch, 1 << 20);
        buf_init(&seen, 1 << 20);
        kit_init(&kit, NULL);
        return 0;
}

static int teardown(void **state)
{
        kit_done(&kit);
        buf_done(&scratch);
        buf_done(&seen);
        return 0;
}

static void copy_files(const char *version, const char *part)
{
        char from[512];
        char to[512];
        snprintf(from, sizeof(from), "%s/src/spool/samples/%s/%s", getenv("FOREPOST_SOURCE"),
                 version, part);
        snprintf(to, sizeof(to), "%s/%s", kit.path, part);
        assert_int_equal(mkdir(to, 0700), 0);
        int in = open(from, O_RDONLY | O_DIRECTORY);
        int out = open(to, O_RDONLY | O_DIRECTORY);
        assert_true(in >= 0 && out >= 0);
        struct names names;
        assert_int_equal(spool_names_read(in, &names), 0);
        assert_true(names.count > 0);
        for (size_t i = 0; i < names.count; i++) {
                assert_int_equal(spool_file_read(in, names.names[i], 1 << 20, &scratch), 0);
                int fd = openat(out, names.names[i], O_WRONLY | O_CREAT, 0600);
                assert_int_equal(write(fd, scratch.ptr, scratch.len), scratch.len);
                close(fd);
        }
        spool_names_done(&names);
        close(in);
        close(out);
}

static const struct spool_info *by_sender[5];
static struct spool_info infos[5];
static struct arena arena;
static size_t count;

static void gather(void *context, const struct spool_info *info)
{
        assert_true(count < 5);
        spool_message_info(info->message, &arena, &infos[count]);
        by_sender[count] = &infos[count];
        count++;
}

static const struct spool_info *find(const char *sender)
{
        for (size_t i = 0; i < count; i++)
                if (str_eq(by_sender[i]->envelope.sender, str_from(sender)))
                        return by_sender[i];
        fail_msg("no message from <%s>", sender);
        return NULL;
}

static void must_hold(const struct spool_info *info, size_t bytes, unsigned seed)
{
        assert_int_equal(await_kit_read(info->message, &seen), 0);
        assert_true(str_eq(buf_str(&seen), kit_content(&scratch, bytes, seed)));
        assert_str_equal(info->envelope.envid, "sample");
        assert_str_equal(info->envelope.client_address, "192.0.2.1");
        assert_str_equal(info->envelope.helo, "helo.example");
        assert_str_equal(info->envelope.protocol, "ESMTPS");
        assert_str_equal(info->envelope.recipients[0].original, "alias@example.org");
        assert_int_equal(info->arrival_us, 1700000000 * INT64_C(1000000));
}

/* What samples/make.c has put there. */
static void look(struct kit *k)
{
        uint64_t cursor = 0;
        count = 0;
        arena_init(&arena, 0);
        while (spool_list(k->spool, k->loop, &cursor, 100, gather, NULL))
                ;
        assert_int_equal(count, 3);
        const struct spool_info *tried = find("tried@example.com");
        must_hold(tried, 300, 1);
        assert_true(tried->attempts >= 1);
        assert_int_equal(spool_message_state(tried->message, 0), SPOOL_DELIVERED);
        assert_int_equal(spool_message_state(tried->message, 1), SPOOL_WAITING);
        assert_str_equal(spool_message_reason(tried->message, 0), "250 2.0.0 ok");
        assert_str_equal(spool_message_reason(tried->message, 2), "451 4.3.0 later");
        assert_true(spool_message_is_delay_told(tried->message));
        assert_str_equal(tried->envelope.recipients[1].orcpt, "rfc822;two@example.org");
        const struct spool_info *held = find("held@example.com");
        must_hold(held, 100, 3);
        assert_int_equal(held->queue, SPOOL_QUEUE_HOLD);
        must_hold(find(""), 5000, 4);
        arena_done(&arena);
}

static void read_version(const char *version)
{
        struct why why = {""};
        struct spool_moved moved;
        copy_files(version, "journal");
        copy_files(version, "large");
        assert_int_equal(spool_verify(str_from(kit.path), &moved, &why), 0);
        assert_int_equal(moved.damaged, 0);
        assert_int_equal(moved.messages, 3);
        for (int round = 0; round < 2;
             round++) { /* the second time beside segments of this version */
                if (kit_open(&kit, &why) < 0)
                        fail_msg("%s", why.text);
                struct spool_counts counts;
                spool_count(kit.spool, &counts);
                assert_int_equal(counts.damaged, 0);
                kit_run(&kit, look);
                kit_close(&kit);
        }
}

static void version_1(void **state)
{
        read_version("v1");
}

static void version_2(void **state)
{
        read_version("v2");
}

/* A header as a later program will write it: the version, and a checksum that is right. */
static void a_newer_one(void **state)
{
        struct why why = {""};
        char path[512];
        copy_files("v2", "journal");
        copy_files("v2", "large");
        snprintf(path, sizeof(path), "%s/journal/%016x", kit.path, 2);
        unsigned char header[SEGMENT_HEADER_BYTES];
        segment_header_encode(
                &(struct segment_header){.version = SEGMENT_VERSION + 1, .number = 2, .salt = 7},
                header);
        int fd = open(path, O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
        close(fd);
        assert_true(kit_open(&kit, &why) < 0);
        assert_non_null(strstr(why.text, "format version is 3"));
        assert_non_null(strstr(why.text, "start the newer program"));
        struct spool_moved moved;
        assert_int_equal(spool_verify(str_from(kit.path), &moved, &why), -EPROTONOSUPPORT);
        /* nothing was changed: without that segment all is there */
        assert_int_equal(unlink(path), 0);
        assert_int_equal(spool_verify(str_from(kit.path), &moved, &why), 0);
        assert_int_equal(moved.messages, 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(version_1, setup, teardown),
                cmocka_unit_test_setup_teardown(version_2, setup, teardown),
                cmocka_unit_test_setup_teardown(a_newer_one, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
