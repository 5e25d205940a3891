/* probe_test.c - probes over the connections and in the queues of mail */
#include "base/clock.h"
#include "delivery/rig.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define EHLO     ">220 peer.test\n<EHLO\n>250-peer.test\n>250-PIPELINING\n>250 ENHANCEDSTATUSCODES\n"

static struct rig r;
static struct verify *verify;
static struct cleanup_rules *rules;
static struct arena arena;

static int setup(void **state)
{
        r = (struct rig){0};
        verify = NULL;
        arena_init(&arena, 0);
        return 0;
}

static int teardown(void **state)
{
        verify_free(&verify);
        cleanup_rules_unref(&rules);
        arena_done(&arena);
        rig_done(&r);
        return 0;
}

static void serve(struct rig *rig)
{
        verify = verify_new(&rig->config->params);
        rules = cleanup_rules_new(rig->config, &rig->config->params, rig->tables, rig->policy,
                                  &rig->findings);
        delivery_serve_probes(rig->delivery, verify, rules);
}

static void await_expect(const char *address, enum verify_status status, const char *text)
{
        struct verify_answer a;
        await_verify_ask(verify, str_from(address), 10000, &arena, &a);
        assert_str_equal(a.text, text);
        assert_int_equal(a.status, status);
}

/* ---- connections ---- */

static void await_between_messages(struct rig *rig)
{
        serve(rig);
        await_rig_mail(rig, "from@sender.test", "u@dest.test");
        await_rig_quiet(rig);
        await_expect("a@dest.test", VERIFY_DELIVERABLE, "250 2.1.5 yes");
        await_expect("b@dest.test", VERIFY_UNDELIVERABLE,
                     "the destination's mail system said: 550 5.1.1 no");
        await_rig_mail(rig, "from@sender.test", "u@dest.test");
        await_rig_quiet(rig);
        assert_int_equal(rig->peer.connection_count, 1);
        struct delivery_counts counts;
        delivery_count(rig->delivery, &counts);
        assert_int_equal(counts.sent, 2); /* probes are no mail */
        assert_int_equal(counts.bounced, 0);
}

static void probes_use_the_connection_of_mail(void **state)
{
        const char *scripts[] = {
                EHLO "<MAIL\n>250 ok\n<RCPT\n>250 ok\n<DATA\n>354 go\n@data\n>250 2.0.0 Ok\n"
                     "<MAIL\n>250 ok\n<RCPT\n>250 2.1.5 yes\n"
                     "<RSET\n>250 ok\n<MAIL\n>250 ok\n<RCPT\n>550 5.1.1 no\n"
                     "<RSET\n<MAIL\n<RCPT\n<DATA\n>250 ok\n>250 ok\n>250 ok\n>354 go\n@data\n"
                     ">250 2.0.0 Ok\n<QUIT\n"};
        rig_run(&r, "smtp_destination_concurrency_limit = 1\n", scripts, COUNT(scripts),
                await_between_messages);
        assert_int_equal(r.peer.wrong.len, 0);
        assert_true(rig_log_has(&r, "to=<b@dest.test>, relay=127.0.0.1[127.0.0.1]:"));
        assert_true(rig_log_has(&r, "status=undeliverable (host 127.0.0.1[127.0.0.1] said: 550"));
}

static void await_stepwise(struct rig *rig)
{
        serve(rig);
        await_expect("a@dest.test", VERIFY_DEFERRED,
                     "the destination's mail system said: 450 not you");
        await_expect("b@dest.test", VERIFY_DELIVERABLE, "250 yes");
        assert_str_equal(buf_str(&rig->peer.heard),
                         "EHLO me.test\nMAIL FROM:<double-bounce@me.test>\n"
                         "MAIL FROM:<double-bounce@me.test>\nRCPT TO:<b@dest.test>\n");
}

static void a_server_without_pipelining_is_asked_step_by_step(void **state)
{
        const char *scripts[] = {">220 peer.test\n<EHLO\n>250 peer.test\n<MAIL\n>450 not you\n"
                                 "<MAIL\n>250 ok\n<RCPT\n>250 yes\n<QUIT\n"};
        rig_run(&r, "smtp_destination_concurrency_limit = 1\n", scripts, COUNT(scripts),
                await_stepwise);
        assert_int_equal(r.peer.wrong.len, 0);
}

static void await_closed(struct rig *rig)
{
        serve(rig);
        await_rig_mail(rig, "from@sender.test", "u@dest.test");
        await_rig_quiet(rig);
        await_sleep(50); /* the peer has closed */
        await_expect("a@dest.test", VERIFY_DELIVERABLE, "250 2.1.5 yes");
        assert_int_equal(rig->peer.connection_count, 2);
}

static void a_stale_connection_is_nobodys_failure(void **state)
{
        const char *scripts[] = {
                EHLO "<MAIL\n>250 ok\n<RCPT\n>250 ok\n<DATA\n>354 go\n@data\n>250 2.0.0 Ok\n",
                EHLO "<MAIL\n>250 ok\n<RCPT\n>250 2.1.5 yes\n<QUIT\n"};
        rig_run(&r, "smtp_destination_concurrency_limit = 1\n", scripts, COUNT(scripts),
                await_closed);
        assert_int_equal(r.peer.wrong.len, 0);
}

static void await_hidden(struct rig *rig)
{
        serve(rig);
        await_expect("a@relay.test", VERIFY_UNDELIVERABLE,
                     "the destination's mail system said: 550 5.1.1 no, says (hidden) at (hidden)");
        await_expect("b@relay.test", VERIFY_DEFERRED,
                     "the destination's mail system cannot be reached at the moment");
}

static void a_hidden_server_stays_hidden(void **state)
{
        const char *scripts[] = {">220 core7.inside.test\n<EHLO\n>250-core7.inside.test\n"
                                 ">250 PIPELINING\n<MAIL\n>250 ok\n<RCPT\n"
                                 ">550 5.1.1 no, says core7.inside.test at 127.0.0.1\n",
                                 "@reset\n"};
        rig_run(&r, "relay_destination_concurrency_limit = 1\n", scripts, COUNT(scripts),
                await_hidden);
}

/* ---- agents, aliases, an end ---- */

static void await_others(struct rig *rig)
{
        serve(rig);
        await_expect("a@gone.test", VERIFY_UNDELIVERABLE, "it has gone");
        await_expect("a@later.test", VERIFY_DEFERRED, "not today");
        await_expect("a@null.test", VERIFY_DELIVERABLE, "null.test");
        await_expect("none@alias.test", VERIFY_UNDELIVERABLE,
                     "User unknown in virtual alias table");
        await_expect("some@alias.test", VERIFY_DEFERRED, "not today");
        await_expect("one@alias.test", VERIFY_DELIVERABLE, "null.test");
        await_expect("canonical@alias.test", VERIFY_UNDELIVERABLE, "it has gone");
        await_expect("loop@alias.test", VERIFY_DEFERRED, "mail system lookup error");
        await_expect("a@lost.test", VERIFY_DEFERRED, "mail system lookup error");
        assert_int_equal(rig->peer.connection_count, 0);
}

static void other_ways_say_what_they_always_say(void **state)
{
        const char *scripts[] = {"@serve"};
        rig_run(&r,
                "virtual_alias_maps = inline:{ { some@alias.test = a@gone.test, a@later.test }"
                " { one@alias.test = a@gone.test, a@null.test }"
                " { loop@alias.test = loop2@alias.test, x@alias.test }"
                " { loop2@alias.test = loop@alias.test, y@alias.test } }\n"
                "virtual_alias_expansion_limit = 5\n"
                "virtual_alias_recursion_limit = 3\n"
                "recipient_canonical_maps = inline:{ { canonical@alias.test = a@gone.test } }\n"
                "address_verify_transport_maps = inline:{ { gone.test = error:5.1.6 it has gone }"
                " { later.test = retry:4.2.1 not today } { null.test = discard: }"
                " { lost.test = nonesuch: } }\n",
                scripts, 1, await_others);
}

static struct verify_answer late;
static bool is_late_done;

static void ask_main(void *arg)
{
        await_verify_ask(verify, STR("a@dest.test"), 60000, &arena, &late);
        is_late_done = true;
}

static void await_end(struct rig *rig)
{
        serve(rig);
        is_late_done = false;
        task_start(rig->kit.loop, ask_main, NULL);
        while (str_find_str(buf_str(&rig->peer.heard), STR("RCPT")) < 0)
                await_sleep(5);
        await_sleep(50);
        struct verify_counts counts;
        verify_count(verify, &counts);
        assert_int_equal(counts.probes, 1);
        await_delivery_stop(&rig->delivery, loop_now_ms());
        while (!is_late_done)
                await_sleep(5);
        assert_str_equal(late.text, "Address verification in progress");
        verify_count(verify, &counts);
        assert_int_equal(counts.probes + counts.entries, 0);
        rig->delivery = delivery_start(rig->kit.loop, rig->kit.spool, rig->routes, 1);
}

static void who_waits_at_the_end_is_told(void **state)
{
        const char *scripts[] = {EHLO "<MAIL\n>250 ok\n<RCPT\n@hang\n"};
        r.timeout_ms = 60000;
        rig_run(&r, "", scripts, COUNT(scripts), await_end);
}

/* ---- turns ---- */

static void probes_have_every_other_turn(void **state)
{
        struct envelope e = {.sender = STR("a@sender.test")};
        struct delivery_job mail[4] = {0};
        struct delivery_job probes[3] = {0};
        struct turns t;
        turns_init(&t);
        for (size_t i = 0; i < COUNT(mail); i++) {
                mail[i].envelope = &e;
                list_init(&mail[i].link);
                turns_add(&t, &mail[i]);
        }
        for (size_t i = 0; i < COUNT(probes); i++) {
                probes[i].envelope = &e;
                probes[i].probe = (struct probe *)&probes[i]; /* any */
                list_init(&probes[i].link);
                turns_add(&t, &probes[i]);
        }
        const struct delivery_job *order[] = {&probes[0], &mail[0], &probes[1], &mail[1],
                                              &probes[2], &mail[2], &mail[3]};
        assert_int_equal(t.count, COUNT(order));
        for (size_t i = 0; i < COUNT(order); i++)
                assert_ptr_equal(turns_take(&t), order[i]);
        turns_done(&t);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(probes_use_the_connection_of_mail),
                TEST(a_server_without_pipelining_is_asked_step_by_step),
                TEST(a_stale_connection_is_nobodys_failure),
                TEST(a_hidden_server_stays_hidden),
                TEST(other_ways_say_what_they_always_say),
                TEST(who_waits_at_the_end_is_told),
                cmocka_unit_test(probes_have_every_other_turn),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
