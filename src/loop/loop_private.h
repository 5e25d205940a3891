/* loop_private.h - what loop.c and task.c share */
#ifndef LOOP_LOOP_PRIVATE_H
#define LOOP_LOOP_PRIVATE_H

#include "loop/loop.h"

struct task;

/* Tasks of one loop, kept by task.c. */
struct task_room {
        struct list all;   /* every task that has not ended */
        struct list ready; /* to be resumed, in order */
        struct list spare; /* stacks of ended tasks, for use again */
        size_t count;
        size_t spare_count;
        struct timer rest; /* set while a task may come to rest */
        size_t high_water; /* of stacks whose pages were given back */
        void *loop_fiber;  /* what TSan calls the loop's own stack */
};

struct loop {
        int epoll_fd;
        int letters_fd; /* eventfd: rung when `letters` was empty */
        bool is_stopping;
        int64_t now_ms;
        struct heap timers;
        struct list chores;
        struct letter *letters; /* newest first; pushed by any thread */
        struct watch letters_watch;
        struct task_room tasks;
        struct epoll_event *events; /* of this turn */
        int event_count;
        int event_at;
};

void task_room_init(struct task_room *room);
void task_room_done(struct task_room *room);
/* Resumes every task that is ready now, each once; true if there were any. */
bool task_room_run(struct loop *l);

#endif
