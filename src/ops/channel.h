/*
 * channel.h - what supervisor and worker say to each other, over a socket pair
 *
 * Whole messages of one size, with a descriptor where a socket is handed over. The end of the channel is
 * the end of the other side.
 */
#ifndef OPS_CHANNEL_H
#define OPS_CHANNEL_H

#include "base/why.h"

#include <stdint.h>

enum channel_kind {
        CHANNEL_READY = 1,  /* worker: it listens, and the spool is open */
        CHANNEL_STOP,       /* worker: it was asked to stop; supervisor: stop */
        CHANNEL_RELOAD,     /* supervisor: read the configuration anew */
        CHANNEL_KEYS,       /* worker: what keys does the new configuration have? */
        CHANNEL_KEY,        /* supervisor: a copy of the file `text` */
        CHANNEL_LISTEN,     /* worker: the new configuration is good; open what it listens on */
        CHANNEL_SOCKET,     /* supervisor: here is a new one, of address `text` for loop `loop` */
        CHANNEL_DONE,       /* supervisor: that was all */
        CHANNEL_FAILED,     /* supervisor: the old ones stay; `text` says why */
        CHANNEL_LAST_WORDS, /* worker: dies of a signal; `text` is what it was doing */
};

struct channel_message {
        uint32_t kind;
        uint32_t loop;
        char text[sizeof(((struct why *)0)->text)];
};

/* Both ends, for the supervisor and the worker. */
int channel_open(int fds[2], struct why *why);

/* `fd` goes with it; -1: none. 0 or a negative errno value. Safe in a signal handler. */
int channel_send(int channel, const struct channel_message *message, int fd);

/* 1: *message, and *fd (or -1). 0: the other side has ended. -EAGAIN: nothing yet (with MSG_DONTWAIT). */
int channel_receive(int channel, struct channel_message *message, int *fd, int flags);

#endif
