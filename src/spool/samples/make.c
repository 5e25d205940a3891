/*
 * make.c - makes a sample of the journal's format as it is now
 *
 *      spool_sample_make DIRECTORY     a new one; what is in it is told by ../sample_test.c
 *
 * Run once for each version of the format, before the next is begun; the samples are kept in the tree and read by
 * sample_test for ever.
 */
#include "base/check.h"
#include "base/clock.h"
#include "loop/pool.h"
#include "spool/spool_kit.h"
#include "spool/spool_private.h"

static struct kit kit;

static void await_commit(struct kit *k, const char *sender, size_t recipients, size_t bytes,
                         unsigned seed, unsigned flags)
{
        struct buf content;
        struct why why = {""};
        struct recipient to[3] = {
                {.address = STR("one@example.org"),
                 .original = STR("alias@example.org"),
                 .notify = 1},
                {.address = STR("two@example.org"), .orcpt = STR("rfc822;two@example.org")},
                {.address = STR("three@example.net")},
        };
        struct envelope e = {
                .sender = str_from(sender),
                .recipients = to,
                .recipient_count = recipients,
                .envid = STR("sample"),
                .client_name = STR("client.example"),
                .client_address = STR("192.0.2.1"),
                .helo = STR("helo.example"),
                .protocol = STR("ESMTPS"),
                .arrival_us = 1700000000 * INT64_C(1000000),
        };
        buf_init(&content, 1 << 20);
        struct spool_draft *d = spool_draft_new(k->spool);
        check(buf_append_str(spool_draft_buf(d), kit_content(&content, bytes, seed)) == 0);
        check(await_spool_commit(&d, &e, flags, &why) == 0);
        buf_done(&content);
}

static void script(struct kit *k)
{
        await_commit(k, "tried@example.com", 3, 300, 1, 0);
        struct spool_message *m = await_kit_due(k, 5000);
        check(m);
        const struct spool_result results[2] = {
                {.recipient = 0, .state = SPOOL_DELIVERED, .reason = STR("250 2.0.0 ok")},
                {.recipient = 2, .state = SPOOL_WAITING, .reason = STR("451 4.3.0 later")},
        };
        spool_message_record(m, results, 2);
        spool_message_set_delay_told(m);
        spool_message_settle(&m, clock_wall_us());
        await_commit(k, "done@example.com", 1, 200, 2, 0);
        while ((m = await_kit_due(k, 5000)) && spool_message_attempts(m))
                spool_message_settle(&m, clock_wall_us() + 3600 * INT64_C(1000000));
        check(m);
        kit_settle(m, SPOOL_DELIVERED, "250 ok", 0);
        await_commit(k, "held@example.com", 1, 100, 3, SPOOL_HOLD);
        await_commit(k, "", 2, 5000, 4, SPOOL_HOLD); /* in large/ */
}

int main(int argc, char **argv)
{
        struct why why = {""};
        check(argc == 2);
        kit_init(&kit, argv[1]);
        kit.options.segment_bytes = SPOOL_SEGMENT_BYTES_MIN;
        kit.options.large_bytes = 4 << 10;
        check(kit_open(&kit, &why) == 0);
        kit_run(&kit, script);
        kit_close(&kit);
        return 0;
}
