/* errand.c - something to be done on another loop */
#include "ops/errand.h"

#include "base/check.h"

static void errand_is_back(struct letter *letter)
{
        struct errand *e = heap_of(letter, struct errand, back);
        e->is_done = true;
        task_wake(e->waiter);
}

static void do_errand(void *arg)
{
        struct errand *e = arg;
        e->run(e->arg);
        loop_post(e->from, &e->back);
}

static void errand_arrives(struct letter *letter)
{
        struct errand *e = heap_of(letter, struct errand, there);
        task_start(e->to, do_errand, e);
}

void errand_send(struct errand *e, struct loop *to, void (*run)(void *arg), void *arg)
{
        *e = (struct errand){.there.open = errand_arrives,
                             .back.open = errand_is_back,
                             .from = loop_self(),
                             .to = to,
                             .waiter = task_self(),
                             .run = run,
                             .arg = arg};
        check(e->from && e->waiter);
        loop_post(to, &e->there);
}

void await_errands(struct errand *errands, size_t count, const char *doing)
{
        for (size_t i = 0; i < count; i++)
                while (!errands[i].is_done)
                        await_wake_always(doing, STR("another loop"), CLOCK_NEVER);
}

void await_errand(struct loop *to, void (*run)(void *arg), void *arg, const char *doing)
{
        struct errand e;
        errand_send(&e, to, run, arg);
        await_errands(&e, 1, doing);
}
