/*
 * errand.h - something to be done on another loop, by a task there, while a task here waits
 */
#ifndef OPS_ERRAND_H
#define OPS_ERRAND_H

#include "loop/task.h"

struct errand {
        struct letter there; /* first */
        struct letter back;
        struct loop *from;
        struct loop *to;
        struct task *waiter;
        void (*run)(void *arg);
        void *arg;
        bool is_done;
};

/* Starts run(arg) as a task of loop `to`. It may wait there; *e stays where it is until it is done. */
void errand_send(struct errand *e, struct loop *to, void (*run)(void *arg), void *arg);
/* Waits until all `count` errands that this task has sent are done; not cut short by cancel. */
void await_errands(struct errand *errands, size_t count, const char *doing);
/* Both for one. */
void await_errand(struct loop *to, void (*run)(void *arg), void *arg, const char *doing);

#endif
