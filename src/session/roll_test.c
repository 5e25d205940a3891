/* roll_test.c - sessions come and go while somebody looks at them a page at a time */
#include "session/roll.h"

#include "base/unit.h"
#include "session/session_private.h"

enum { MANY = 50 };

static const struct service service = {.command = {"smtpd", 5}};
static struct session_service of_smtpd = {.parts.service = &service};
static struct session sessions[MANY];
static char seen[4096]; /* the helo of each, with a space behind it */
static char last_wait[SESSION_WAIT_BYTES_MAX];

static void await_idle(void *arg)
{
        while (await_wake("waiting for", STR("a command"), CLOCK_NEVER) == 0)
                ;
}

static void add(int i)
{
        static char names[MANY][8];
        struct session *s = &sessions[i];
        *s = (struct session){.service = &of_smtpd, .last_verb = "EHLO"};
        snprintf(names[i], sizeof(names[i]), "%d", i);
        s->helo = names[i];
        s->task = task_start(loop_self(), await_idle, NULL);
        session_roll_add(s);
}

static void take_away(int i)
{
        session_roll_remove(&sessions[i]);
        task_cancel(sessions[i].task);
}

static void show(void *context, const struct session_view *v)
{
        size_t len = strlen(seen);
        snprintf(seen + len, sizeof(seen) - len, "%.*s ", STR_ARG(v->helo));
        snprintf(last_wait, sizeof(last_wait), "%s", v->waits_for);
        assert_str_equal(v->service, "smtpd");
        assert_str_equal(v->command, "EHLO");
        assert_in_range(v->since_us, clock_wall_us() - 60000000, clock_wall_us());
}

static bool page(struct session_cursor *c, size_t count)
{
        seen[0] = 0;
        return session_roll_page(c, count, show, NULL);
}

static void walk(void *arg)
{
        struct session_cursor c = {0};
        assert_false(page(&c, 10));
        assert_string_equal(seen, "");

        for (int i = 0; i < 6; i++)
                add(i);
        await_turn(); /* they wait */
        assert_false(page(&c, 10));
        assert_string_equal(seen, "0 1 2 3 4 5 ");
        assert_string_equal(last_wait, "waiting for: a command");

        /* pages; the one at which the cursor stands ends, and the one behind it, and one that was shown */
        assert_true(page(&c, 2));
        assert_string_equal(seen, "0 1 ");
        take_away(2);
        take_away(3);
        take_away(0);
        assert_true(page(&c, 1));
        assert_string_equal(seen, "4 ");
        /* who comes now is not shown, and does not keep the walk from ending */
        add(6);
        assert_false(page(&c, 1));
        assert_string_equal(seen, "5 ");
        assert_false(page(&c, 9));
        assert_string_equal(seen, "1 4 5 6 ");

        /* all end under it */
        assert_true(page(&c, 1));
        take_away(1);
        take_away(4);
        take_away(5);
        take_away(6);
        assert_false(page(&c, 1));
        assert_string_equal(seen, "");

        /* two walks at once, and one is given up */
        struct session_cursor other = {0};
        add(7);
        add(8);
        add(9);
        assert_true(page(&c, 1));
        assert_true(page(&other, 2));
        session_roll_leave(&c);
        session_roll_leave(&c);
        assert_false(page(&other, 2));
        assert_string_equal(seen, "9 ");
        for (int i = 7; i < 10; i++)
                take_away(i);
        loop_stop(loop_self());
}

static void test_walks(void **state)
{
        struct why why;
        struct loop *l = loop_new(&why);
        assert_non_null(l);
        task_start(l, walk, NULL);
        loop_run(l);
        loop_free(&l);
}

static struct session with_message;
static struct transaction transaction;

static void show_message(void *context, const struct session_view *v)
{
        assert_true(v->has_sender);
        assert_str_equal(v->sender, "a@b.example");
        assert_int_equal(v->recipients, 3);
        assert_int_equal(v->messages, 2);
        assert_str_equal(v->tls, "TLSv1.3");
        (*(int *)context)++;
}

static void look_at_message(void *arg)
{
        transaction.sender.text = STR("a@b.example");
        transaction.rcpt_count = 3;
        with_message = (struct session){.service = &of_smtpd,
                                        .transaction = &transaction,
                                        .messages = 2,
                                        .facts = {.has_tls = true, .tls = STR("TLSv1.3")},
                                        .task = task_self()};
        session_roll_add(&with_message);
        struct session_cursor c = {0};
        assert_false(session_roll_page(&c, 1, show_message, arg));
        session_roll_remove(&with_message);
        loop_stop(loop_self());
}

static void test_message(void **state)
{
        struct why why;
        struct loop *l = loop_new(&why);
        int count = 0;
        task_start(l, look_at_message, &count);
        loop_run(l);
        loop_free(&l);
        assert_int_equal(count, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_walks),
                cmocka_unit_test(test_message),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
