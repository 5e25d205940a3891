/* loop_test.c - watches, timers, chores, letters */
#include "loop/loop.h"

#include "base/clock.h"
#include "base/unit.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct loop *loop;
static char order[64];

static void note(char c)
{
        size_t n = strlen(order);
        assert_true(n + 1 < sizeof(order));
        order[n] = c;
        order[n + 1] = 0;
}

static int make_loop(void **state)
{
        struct why why;
        loop = loop_new(&why);
        order[0] = 0;
        return loop ? 0 : -1;
}

static int free_loop(void **state)
{
        loop_free(&loop);
        loop_free(&loop); /* NULL is fine */
        return 0;
}

struct named_timer {
        struct timer timer;
        char name;
};

static void timer_due(struct timer *t)
{
        struct named_timer *n = heap_of(t, struct named_timer, timer);
        note(n->name);
        if (n->name == 'z')
                loop_stop(loop);
}

static void timers_fire_in_order(void **state)
{
        struct named_timer t[] = {{{.due = timer_due}, 'b'},
                                  {{.due = timer_due}, 'a'},
                                  {{.due = timer_due}, 'z'},
                                  {{.due = timer_due}, 'x'},
                                  {{.due = timer_due}, 'c'}};
        int64_t now = clock_mono_ms();
        loop_timer_set(loop, &t[0].timer, now + 4);
        loop_timer_set(loop, &t[1].timer, now + 2);
        loop_timer_set(loop, &t[2].timer, now + 12);
        loop_timer_set(loop, &t[3].timer, now + 3);
        loop_timer_set(loop, &t[4].timer, now + 1);
        loop_timer_set(loop, &t[4].timer, now + 8); /* moved */
        loop_timer_cancel(loop, &t[3].timer);
        loop_timer_cancel(loop, &t[3].timer);
        loop_run(loop);
        assert_string_equal(order, "abcz");
        assert_true(clock_mono_ms() >= now + 12);
}

struct pipe_watch {
        struct watch watch;
        struct pipe_watch *other;
        char name;
};

/* Both are ready in one turn; the first that is called removes the other. */
static void remove_other(struct watch *w, uint32_t events)
{
        struct pipe_watch *p = (struct pipe_watch *)w;
        note('w');
        loop_watch_remove(loop, &p->other->watch);
        loop_watch_remove(loop, w);
        loop_stop(loop);
}

static void removed_watches_are_silent(void **state)
{
        int fds[2][2];
        struct pipe_watch w[2];
        for (int i = 0; i < 2; i++) {
                assert_int_equal(pipe(fds[i]), 0);
                w[i] = (struct pipe_watch){{fds[i][0], remove_other}, &w[1 - i], (char)('0' + i)};
                assert_int_equal(loop_watch_add(loop, &w[i].watch, EPOLLIN), 0);
                assert_int_equal(write(fds[i][1], "x", 1), 1);
        }
        loop_run(loop);
        assert_string_equal(order, "w");
        for (int i = 0; i < 2; i++) {
                close(fds[i][0]);
                close(fds[i][1]);
        }
        struct watch bad = {.fd = fds[0][0]};
        assert_true(loop_watch_add(loop, &bad, EPOLLIN) < 0);
}

struct counted_chore {
        struct chore chore;
        int left;
};

static void chore_again(struct chore *c)
{
        struct counted_chore *n = (struct counted_chore *)c;
        note('k');
        if (--n->left)
                loop_chore_add(loop, c);
        else
                loop_stop(loop);
}

static void chores_run_once_each(void **state)
{
        struct counted_chore c = {{.run = chore_again}, 3};
        struct counted_chore taken_back = {{.run = chore_again}, 1};
        list_init(&c.chore.link);
        list_init(&taken_back.chore.link);
        loop_chore_add(loop, &c.chore);
        loop_chore_add(loop, &c.chore);
        loop_chore_add(loop, &taken_back.chore);
        list_remove(&taken_back.chore.link);
        loop_run(loop);
        assert_string_equal(order, "kkk");
}

enum { SENDERS = 4, LETTERS = 20000 };

struct numbered {
        struct letter letter;
        int sender;
        int number;
};

static int last_number[SENDERS];
static int letters_opened;

static void open_numbered(struct letter *letter)
{
        struct numbered *n = (struct numbered *)letter;
        assert_int_equal(n->number, last_number[n->sender] + 1);
        last_number[n->sender] = n->number;
        if (++letters_opened == SENDERS * LETTERS)
                loop_stop(loop);
}

static void *send_letters(void *arg)
{
        struct numbered *mine = arg;
        for (int i = 0; i < LETTERS; i++)
                loop_post(loop, &mine[i].letter);
        return NULL;
}

static void letters_arrive_in_order(void **state)
{
        static struct numbered letters[SENDERS][LETTERS];
        pthread_t threads[SENDERS];
        for (int s = 0; s < SENDERS; s++) {
                for (int i = 0; i < LETTERS; i++)
                        letters[s][i] = (struct numbered){{NULL, open_numbered}, s, i + 1};
                assert_int_equal(pthread_create(&threads[s], NULL, send_letters, letters[s]), 0);
        }
        loop_run(loop);
        for (int s = 0; s < SENDERS; s++)
                pthread_join(threads[s], NULL);
        assert_int_equal(letters_opened, SENDERS * LETTERS);
}

static void open_note(struct letter *letter)
{
        note('l');
}

static void letters_before_the_stop_are_opened(void **state)
{
        struct letter letter = {.open = open_note};
        loop_post(loop, &letter);
        loop_stop(loop);
        loop_run(loop);
        assert_string_equal(order, "l");
        assert_null(loop_self());
}

int main(void)
{
#define WITH_LOOP(f) cmocka_unit_test_setup_teardown(f, make_loop, free_loop)
        const struct CMUnitTest tests[] = {
                WITH_LOOP(timers_fire_in_order),
                WITH_LOOP(removed_watches_are_silent),
                WITH_LOOP(chores_run_once_each),
                WITH_LOOP(letters_arrive_in_order),
                WITH_LOOP(letters_before_the_stop_are_opened),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
