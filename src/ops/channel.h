/*
 * channel.h - what supervisor and worker say to each other, over a socket pair
 *
 * Whole messages of one size, with a descriptor where a socket is handed over. The end of the channel is
 * the end of the other side. Nobody waits to send: what the other side does not take stands in a bounded queue, or is
 * an error. A question has a number that its answers bear, so that an answer that comes too late is not taken for
 * that of the next question.
 */
#ifndef OPS_CHANNEL_H
#define OPS_CHANNEL_H

#include "base/list.h"
#include "base/why.h"

#include <stdint.h>

enum channel_kind {
        CHANNEL_READY = 1, /* worker: it listens, and the spool is open */
        CHANNEL_STOP,      /* worker: it was asked to stop; supervisor: stop */
        CHANNEL_RELOAD,    /* supervisor: read the configuration anew */
        CHANNEL_KEYS,      /* worker: what keys does the new configuration have? */
        CHANNEL_KEY,       /* supervisor: a copy of the file `text` */
        CHANNEL_LISTEN,    /* worker: the new configuration is good; open what it listens on */
        CHANNEL_SOCKET,    /* supervisor: here is a new one, of address `text` for loop `loop` */
        CHANNEL_DONE, /* supervisor: that was all; to CHANNEL_TAKEN: and what nobody serves is closed */
        CHANNEL_FAILED, /* supervisor: the old ones stay; `text` says why */
        CHANNEL_TAKEN, /* worker: the new configuration is in force, and `number` was its CHANNEL_LISTEN */
        CHANNEL_GIVEN_UP, /* worker: nobody waits for the answer to `number` any more: all stays as it was */
        CHANNEL_ALIVE,      /* supervisor: are you? worker: all loops are */
        CHANNEL_LAST_WORDS, /* worker: dies of a signal; `text` is what it was doing */
};

struct channel_message {
        uint32_t kind;
        uint32_t loop;
        uint32_t number; /* of the question, and in all that answers it; else 0 */
        char text[sizeof(((struct why *)0)->text)];
};

/* Both ends, for the supervisor and the worker. */
int channel_open(int fds[2], struct why *why);

/* `fd` goes with it; -1: none. 0 or a negative errno value; -EAGAIN: no room. Safe in a signal handler. */
int channel_send(int channel, const struct channel_message *message, int fd);

/* 1: *message, and *fd (or -1). 0: the other side has ended. -EAGAIN: nothing yet (with MSG_DONTWAIT). */
int channel_receive(int channel, struct channel_message *message, int *fd, int flags);

/* ---- what waits to be sent ---- */

enum { CHANNEL_QUEUE_MAX = 4096 };

struct channel_queue {
        struct list waiting;
        size_t count;
};

void channel_queue_init(struct channel_queue *q);
/*
 * Sends the message now or, when there is no room, later; in order. `fd` stays the caller's. 0 or a negative errno value:
 * -ENOBUFS when CHANNEL_QUEUE_MAX wait already.
 */
int channel_queue_send(struct channel_queue *q, int channel, const struct channel_message *message,
                       int fd);
/* Sends what there is room for. 0: nothing waits any more; -EAGAIN; or the channel is broken, and the queue empty. */
int channel_queue_flush(struct channel_queue *q, int channel);
void channel_queue_clear(struct channel_queue *q);

/* ---- questions ---- */

/* Of the side that asks: one question at a time. */
struct channel_question {
        uint32_t number; /* of the last one */
        bool is_open;    /* its answer has not come, and is waited for */
};

/* A new question: its number. */
uint32_t channel_question_ask(struct channel_question *q);
/* More is to come in answer to the last one. */
void channel_question_reopen(struct channel_question *q);
/* Nobody waits for it any more. */
void channel_question_give_up(struct channel_question *q);
/* Is this (part of) the answer to what is asked now? */
bool channel_question_is_answer(const struct channel_question *q,
                                const struct channel_message *message);

#endif
